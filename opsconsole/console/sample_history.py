"""What the made-up fleet has done: the timeline of one run and a page of the audit log, for pictures and tests."""

from __future__ import annotations

from typing import Any

from opsconsole.console.sample import NOW

_MODEL, _SERVED, _SERVED_LATER = "gpt-5-mini", "gpt-5-mini-2025-08-07", "gpt-5-mini-2026-02-11"


def _turn(at: float, id: str, status: str, **more: Any) -> tuple[float, dict[str, Any]]:
    return at, {"type": "tool", "id": id, "name": _MODEL, "kind": "model_call", "status": status, **more}


def _usage(at: float, turns: int, input_tokens: int, output_tokens: int, served: str) -> tuple[float, dict[str, Any]]:
    counts = {"turns": turns, "input_tokens": input_tokens, "output_tokens": output_tokens}
    return at, {"type": "usage", "model": _MODEL, "provider": "openai", "served_model": served, **counts}


def _call(
    at: float, id: str, name: str, args: dict[str, Any], status: str, **more: Any
) -> tuple[float, dict[str, Any]]:
    return at, {"type": "tool", "id": id, "name": name, "gate": True, "args": args, "status": status, **more}


def _said(at: float, id: str, text: str, **more: Any) -> tuple[float, dict[str, Any]]:
    return at, {"type": "message", "id": id, "role": "assistant", "text": text, **more}


_STORY: list[tuple[float, dict[str, Any]]] = [
    (-600, {"type": "run", "agent": "refunds", "name": "refund batch 88"}),
    (-599, {"type": "state", "state": "working"}),
    (-590, {"type": "message", "id": "m1", "role": "user", "text": "Refund batch 88: it was charged twice."}),
    _turn(-590, "t1", "running"),
    _said(-588, "m2", "I look at the orders first."),
    _usage(-588, 1, 812, 64, _SERVED),
    _turn(-588, "t1", "completed", duration_ms=2_100),
    _call(
        -587, "c2", "sql_read", {"sql": "SELECT id, amount FROM orders WHERE batch = 88"}, "completed", duration_ms=37
    ),
    _turn(-560, "t2", "failed", error="the model's provider answered 529", duration_ms=310),
    _turn(-558, "t3", "running"),
    _usage(-556, 2, 1_790, 133, _SERVED_LATER),
    _turn(-556, "t3", "completed", duration_ms=1_480),
    _call(-540, "c3", "sql_write", {"sql": "DELETE FROM charges WHERE batch = 88"}, "completed", duration_ms=52),
    _call(-300, "c4", "http_get", {"url": "/v2/charges/88"}, "failed", error="timed out", duration_ms=10_000),
    (
        -120,
        {
            "type": "command",
            "command": "cmd_1",
            "do": "inject",
            "by": "ben",
            "status": "applied",
            "text": "use the ledger",
        },
    ),
    _said(-80, "m3", "Compare with the ledger before you write.", author="ana"),
    _turn(-62, "t4", "running"),
    _said(-60, "m4", "The ledger shows four double charges."),
    _usage(-60, 3, 3_010, 201, _SERVED_LATER),
    _turn(-60, "t4", "completed", duration_ms=1_920),
    _call(
        -41,
        "call_sql",
        "sql_write",
        {"database": "orders.db", "sql": "UPDATE orders\n   SET state = 'refunded'"},
        "proposed",
        reason="The customer batch 88 was charged twice.",
    ),
]


def events(run: str = "run_01KAREFUND1") -> list[dict[str, Any]]:
    """The timeline of one run, as the hub's `run` view gives it."""
    return [
        {
            "position": 100 + index,
            "gen": "g1",
            "at": NOW + offset,
            "event": {"seq": index + 1, "ts": NOW + offset, **event},
        }
        for index, (offset, event) in enumerate(_STORY)
    ]


def audit() -> list[dict[str, Any]]:
    """A page of the audit log."""
    script = (
        _entry("hub/hub.started", -9_000, "hub.started", _HUB, version="0.1.0", url="http://127.0.0.1:7787", pid=4_021),
        _entry("hub/login", -7_000, "login", _ANA | {"from": "127.0.0.1:51234"}, how="websocket", path="/v1/console"),
        _entry(
            "approval/apr_mail",
            -3_010,
            "approval.decided",
            _BEN,
            run="run_01KADONEX13",
            agent="greeter",
            approval="apr_mail",
            tool="send_email",
            answer="approve",
            args={"to": "ops@example.com", "subject": "The refunds of batch 88 are paid"},
            seconds_to_decide=10.0,
        ),
        _entry("run/run_01KATRIAG10", -60, "run.takeover", _ANA, run="run_01KATRIAG10", agent="triage", do="takeover"),
        _entry("kill", -22, "kill", _ANA, runs=["run_01KAMIGRA11"], mode="ladder"),
        _entry(
            "run/run_01KAMIGRA11",
            -21,
            "kill.outcome",
            _HUB,
            run="run_01KAMIGRA11",
            agent="migrator",
            status="dead",
            state="killed",
            proof="process",
            points=[{"name": "supervisor.verify", "ms": 31.9, "outcome": "empty tree"}],
            total_ms=41.7,
        ),
    )
    return [
        {"seq": index + 1, "key": key, "at": NOW + offset, **body} for index, (key, offset, body) in enumerate(script)
    ]


_HUB = {"principal": "hub", "role": "admin", "token": ""}
"""As the hub writes of itself."""
_ANA, _BEN = ({"principal": name, "role": "operator", "token": f"token_{name}"} for name in ("ana", "ben"))


def _entry(key: str, at: float, kind: str, who: dict[str, str], **more: Any) -> tuple[str, float, dict[str, Any]]:
    return key, at, {"kind": kind, "who": who, **more}
