"""The rows of a made-up fleet as a hub sends them: runs at work, held calls, a long timeline."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from typing import Any

from pydantic_core import to_json

from opsconsole.protocol.rows import ApprovalRow, RunRow

TOP_ROWS = 40
"""Runs that are first in the console's order and get a fifth of all changes: the worst case is what is on screen."""
LONG_RUN, RUN_EVENTS = "run_000000", 10_000
EVENTS_PER_FRAME = 200
"""As a hub tells them."""
_AGENTS = ("coder", "researcher", "planner", "support")


def run_row(number: int, turns: int, rev: int, *, began: float, progress_at: float) -> bytes:
    """One run as the hub renders it."""
    run, is_top = f"run_{number:06d}", number < TOP_ROWS
    waiting = {"kind": "approval", "what": "run_sql", "since": began, "id": f"apr_{number:06d}"}
    point = {"link": "live", "host": "ops-1", "heard_at": progress_at, "busy": ""}
    moving = {
        "waiting": waiting if is_top else None,
        "pending_approvals": int(is_top),
        "turns": turns,
        "input_tokens": turns * 900,
        "output_tokens": turns * 80,
        "cost_usd": round(turns * 0.0031, 4),
        "cost_per_minute_usd": round(0.12 + turns % 7 * 0.01, 4),
        "doing": f"http_get /v2/users?page={turns}",
        "progress_at": progress_at,
        "points": [
            point | {"name": "sdk", "pid": 20_000 + number, "caps": ["pause", "kill_cooperative"]},
            point | {"name": "supervisor", "pid": 10_000 + number, "caps": ["kill_process", "freeze"]},
        ],
        "rev": rev,
    }
    return json.dumps(_still(number, run, began) | moving, separators=(",", ":")).encode()


def _still(number: int, run: str, began: float) -> dict[str, Any]:
    agent = _AGENTS[number % len(_AGENTS)]
    row = RunRow(
        key=run,
        run=run,
        agent=agent,
        name=f"task {number}",
        labels={"team": "search", "env": "prod"},
        owner="svc-agents",
        framework="langgraph",
        state="input_required" if number < TOP_ROWS else "working",  # type: ignore[arg-type]
        link="live",
        link_since=began,
        caps={"cost_usd": 5.0, "turns": 200},  # type: ignore[arg-type]
        models=["model-large"],
        started_at=began - number,
        progress_at=began,
    )
    shown: dict[str, Any] = json.loads(to_json(row, exclude_none=True))
    return shown


def approvals(began: float) -> list[dict[str, Any]]:
    """One held call for each of the first runs."""
    rows = (
        ApprovalRow(
            key=f"apr_{number:06d}",
            approval=f"apr_{number:06d}",
            run=f"run_{number:06d}",
            agent=_AGENTS[number % len(_AGENTS)],
            call=f"call_{number}",
            kind="tool_call",  # type: ignore[arg-type]
            tool="run_sql",
            args={"sql": f"UPDATE invoices SET status = 'void' WHERE customer = {number}", "db": "shop"},
            digest=f"sha256:{number:064x}",
            call_digest=f"sha256:{number:064x}",
            risk="high",  # type: ignore[arg-type]
            rule="sql-writes",
            why="writes to a database",
            requested_at=began + number / 1_000,
            expires_at=began + 3_600,
            status="pending",  # type: ignore[arg-type]
        )
        for number in range(TOP_ROWS)
    )
    return [json.loads(to_json(row, exclude_none=True)) for row in rows]


def timeline(run: str, sub: str, began: float) -> Iterator[str]:
    """A run as a hub tells it to who follows it: its newest events; all ten thousand of the first run, as they came."""
    start = 0 if run == LONG_RUN else RUN_EVENTS - EVENTS_PER_FRAME
    for first in range(start, RUN_EVENTS, EVENTS_PER_FRAME):
        rev = first + EVENTS_PER_FRAME
        head: dict[str, Any] = {"t": "delta", "sub": sub, "from_rev": first, "rev": rev}
        if first == start:
            head = {"t": "snap", "sub": sub, "epoch": "e1", "part": 0, "end": True, "rev": rev}
        yield f'{json.dumps(head)[:-1]},"rows":{_events(first, began)}}}'


@cache
def _events(first: int, began: float) -> str:
    return json.dumps([_event(position, began) for position in range(first, first + EVENTS_PER_FRAME)])


def _event(position: int, began: float) -> dict[str, Any]:
    step, phase = divmod(position, 4)
    event: dict[str, Any] = {"seq": position, "ts": began + position / 10}
    if phase == 0:
        event |= {"type": "message", "id": f"m{step}", "role": "assistant", "text": f"Look at page {step} next."}
    elif phase == 3:
        event |= {"type": "usage", "model": "model-large", "turns": step, "input_tokens": 900 * step}
    else:
        status = {"status": "proposed", "args": {"url": f"/v2/users?page={step}"}} if phase == 1 else _ENDED
        event |= {"type": "tool", "id": f"c{step}", "name": "http_get"} | status
    return {"position": position, "gen": "g", "at": began + position / 10, "event": event}


_ENDED: dict[str, Any] = {"status": "completed", "result": "ok", "duration_ms": 37}
