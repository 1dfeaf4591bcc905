"""What the made-up fleet has done: the timeline of one run and a page of the audit log, for pictures and tests."""

from __future__ import annotations

from typing import Any

from opsconsole.console.sample import NOW

_STORY: list[tuple[float, dict[str, Any]]] = [
    (-600, {"type": "run", "agent": "refunds", "name": "refund batch 88"}),
    (-599, {"type": "state", "state": "working"}),
    (-590, {"type": "message", "id": "m1", "role": "user", "text": "Refund batch 88: it was charged twice."}),
    (
        -588,
        {
            "type": "tool",
            "id": "c1",
            "name": "gpt-5-mini",
            "kind": "model_call",
            "status": "completed",
            "duration_ms": 2_100,
        },
    ),
    (
        -585,
        {
            "type": "tool",
            "id": "c2",
            "name": "sql_read",
            "status": "proposed",
            "gate": True,
            "args": {"sql": "SELECT id, amount FROM orders WHERE batch = 88"},
        },
    ),
    (-584, {"type": "tool", "id": "c2", "status": "completed", "result": "4 rows", "duration_ms": 37}),
    (
        -300,
        {
            "type": "tool",
            "id": "c3",
            "name": "http_get",
            "status": "failed",
            "args": {"url": "/v2/charges/88"},
            "error": "timed out after 10 s",
            "duration_ms": 10_000,
        },
    ),
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
    (-60, {"type": "message", "id": "m2", "role": "assistant", "text": "The ledger shows four double charges."}),
    (
        -41,
        {
            "type": "tool",
            "id": "sql",
            "name": "sql_write",
            "status": "proposed",
            "gate": True,
            "args": {"database": "orders.db", "sql": "UPDATE orders\n   SET state = 'refunded'"},
            "reason": "The customer batch 88 was charged twice.",
        },
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
    script: list[tuple[str, float, dict[str, Any]]] = [
        ("hub", -9_000, {"kind": "hub.started", "who": {"principal": "hub"}, "version": "0.1.0"}),
        ("ana", -7_000, {"kind": "login", "who": {"principal": "ana", "origin": "127.0.0.1:51234"}}),
        (
            "apr_mail",
            -3_010,
            {
                "kind": "decision",
                "who": {"principal": "ben"},
                "run": "run_01KADONEX13",
                "approval": "apr_mail",
                "answer": "approve",
                "tool": "send_email",
            },
        ),
        (
            "run_01KATRIAG10",
            -60,
            {"kind": "takeover", "who": {"principal": "ana"}, "run": "run_01KATRIAG10", "epoch": 1},
        ),
        (
            "run_01KAMIGRA11",
            -22,
            {"kind": "kill", "who": {"principal": "ana"}, "run": "run_01KAMIGRA11", "mode": "ladder"},
        ),
        (
            "run_01KAMIGRA11",
            -21,
            {
                "kind": "kill.proof",
                "who": {"principal": "hub"},
                "run": "run_01KAMIGRA11",
                "proof": "process",
                "ms": 41.7,
            },
        ),
    ]
    return [
        {"seq": index + 1, "key": key, "at": NOW + offset, **body} for index, (key, offset, body) in enumerate(script)
    ]
