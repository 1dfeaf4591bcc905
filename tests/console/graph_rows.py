"""A made-up tree of agents for the graph's tests: delegations, hand-offs, a fold, a cycle and a wait for a person."""

from __future__ import annotations

from typing import Any

from opsconsole.console.sample import NOW, run


def handed(what: str, since: float = NOW - 60) -> dict[str, Any]:
    """Waiting for an agent that it handed over to."""
    return {"kind": "handoff", "what": what, "since": since}


def team() -> list[dict[str, Any]]:
    """planner → coder → reviewer → coder again, which waits for a person; three researchers, two of them done."""
    held = {"kind": "approval", "what": "sql_write", "since": NOW - 41}
    ended = {"state": "completed", "ended_at": NOW - 100}
    return [
        run("run_A1", "planner", waiting=handed("coder"), turns=9, cost_usd=0.03, started_at=NOW - 500),
        run("run_R1", "researcher", parent="run_A1", started_at=NOW - 400, **ended),
        run("run_R2", "researcher", parent="run_A1", started_at=NOW - 390, **ended),
        run("run_R3", "researcher", parent="run_A1", started_at=NOW - 380, turns=3, cost_usd=0.41),
        run("run_C1", "coder", parent="run_A1", started_at=NOW - 300, waiting=handed("reviewer")),
        run("run_V1", "reviewer", parent="run_C1", started_at=NOW - 200, waiting=handed("coder")),
        run("run_C2", "coder", parent="run_V1", started_at=NOW - 100, waiting=held, pending_approvals=1),
    ]


def calls(*tools: tuple[str, str], handoffs: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    """A timeline of calls (tool, status), then of hand-offs to agents."""
    events = [
        {"type": "tool", "id": f"c{index}", "name": name, "status": status}
        for index, (name, status) in enumerate(tools)
    ]
    events += [
        {"type": "tool", "id": f"h{index}", "name": "handoff", "kind": "handoff", "status": "running", "target": target}
        for index, target in enumerate(handoffs)
    ]
    return [
        {"position": index + 1, "gen": "g", "at": NOW, "event": {"seq": index + 1, "ts": NOW, **event}}
        for index, event in enumerate(events)
    ]
