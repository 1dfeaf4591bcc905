"""A made-up fleet at one fixed moment, for pictures and tests; every screen that shows it says DEMO DATA."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from opsconsole.domain.digest import approval_digest, call_digest

NOW = datetime(2026, 3, 14, 3, 12, 44, tzinfo=UTC).timestamp()
"""Hub clock of the moment shown."""
POLICY_HASH = "sha256:demo"

_CAPS = ("hold", "pause", "inject", "takeover", "kill_cooperative"), ("kill_process", "freeze")


def run(run: str, agent: str, **fields: Any) -> dict[str, Any]:
    """One row of the board: a live, supervised, working run unless `fields` say otherwise."""
    gateway, supervisor = _CAPS
    link = fields.get("link", "live")
    since = fields.get("link_since", NOW - 600)
    heard = NOW - 1 if link == "live" else since
    row: dict[str, Any] = {
        "key": run,
        "run": run,
        "agent": agent,
        "name": "",
        "owner": "agents",
        "state": "working",
        "link": link,
        "link_since": since,
        "started_at": NOW - 600,
        "progress_at": NOW - 4,
        "caps": {"cost_usd": 5.0, "turns": 200},
        "models": ["gpt-5-mini"],
        "points": [
            {"name": "gateway", "link": link, "caps": list(gateway), "host": "ops-1", "pid": 4_117, "heard_at": heard},
            {
                "name": "supervisor",
                "link": "live",
                "caps": list(supervisor),
                "host": "ops-1",
                "pid": 4_116,
                "heard_at": NOW - 1,
            },
        ],
    }
    return {**row, **fields}


def approval(approval: str, run: str, agent: str, tool: str, args: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """One row of the queue: a pending tool call unless `fields` say otherwise; its digest is a true one."""
    call = fields.get("call", f"call_{approval[4:]}")
    bound = call_digest(tool, args)
    row: dict[str, Any] = {
        "key": approval,
        "approval": approval,
        "run": run,
        "agent": agent,
        "call": call,
        "kind": "tool_call",
        "tool": tool,
        "args": args,
        "call_digest": bound,
        "digest": approval_digest(run=run, call=call, call_digest=bound, policy_hash=POLICY_HASH),
        "risk": "medium",
        "rule": "default.ask",
        "why": "not known to be read-only",
        "requested_at": NOW - 41,
        "expires_at": NOW + 559,
        "status": "pending",
    }
    return {**row, **fields}


_RUNS: list[dict[str, Any]] = [
    run(
        "run_01KAREFUND1",
        "refunds",
        name="refund batch 88",
        turns=103,
        input_tokens=184_200,
        output_tokens=21_400,
        cost_usd=4.7175,
        cost_per_minute_usd=0.39,
        pending_approvals=1,
        doing="sql_write UPDATE orders SET state",
        waiting={"kind": "approval", "what": "sql_write", "since": NOW - 41, "id": "apr_sql"},
        state="input_required",
    ),
    run(
        "run_01KASREXX02",
        "sre",
        name="disk almost full",
        turns=12,
        input_tokens=30_100,
        output_tokens=2_900,
        cost_usd=0.1201,
        cost_per_minute_usd=0.02,
        pending_approvals=1,
        doing="shell rm old logs",
        waiting={"kind": "approval", "what": "shell", "since": NOW - 230, "id": "apr_rm"},
        state="input_required",
        started_at=NOW - 1_900,
    ),
    run(
        "run_01KAPLANN03",
        "planner",
        name="weekly report",
        turns=9,
        input_tokens=12_000,
        output_tokens=1_800,
        cost_usd=0.0312,
        cost_per_minute_usd=0.01,
        children=2,
        doing="handoff writer",
    ),
    run(
        "run_01KARESEA04",
        "researcher",
        parent="run_01KAPLANN03",
        turns=12,
        input_tokens=88_000,
        output_tokens=5_100,
        cost_usd=0.41,
        cost_per_minute_usd=0.08,
        doing="http_get /v2/incidents?limit=50",
        waiting={"kind": "tool", "what": "http_get", "since": NOW - 2},
        started_at=NOW - 300,
    ),
    run(
        "run_01KAWRITE05",
        "writer",
        parent="run_01KAPLANN03",
        turns=3,
        input_tokens=9_100,
        output_tokens=2_000,
        cost_usd=0.08,
        cost_per_minute_usd=0.03,
        waiting={"kind": "model", "what": "gpt-5-mini", "since": NOW - 1},
        started_at=NOW - 120,
    ),
    run(
        "run_01KALOOPE06",
        "looper",
        name="fix the build",
        turns=140,
        input_tokens=402_000,
        output_tokens=33_000,
        cost_usd=3.91,
        cost_per_minute_usd=0.60,
        doing="shell make test",
        alerts=[
            {
                "id": "a1",
                "kind": "loop",
                "text": "the same call failed 14 times",
                "level": "critical",
                "at": NOW - 33,
            }
        ],
    ),
    run(
        "run_01KAHANGE07",
        "hanger",
        name="nightly export",
        turns=4,
        input_tokens=5_000,
        output_tokens=400,
        cost_usd=0.02,
        progress_at=NOW - 1_930,
        doing="shell sleep infinity",
        started_at=NOW - 2_000,
        waiting={"kind": "tool", "what": "shell", "since": NOW - 1_930},
    ),
    run(
        "run_01KASPEND08",
        "spender",
        name="summarise everything",
        turns=61,
        input_tokens=900_000,
        output_tokens=410_000,
        cost_usd=5.02,
        state="paused",
        reason="cost $5.02 of $5.00",
        models=["gpt-5-pro"],
        waiting={"kind": "pause", "what": "hub", "since": NOW - 75},
    ),
    run(
        "run_01KACODER09",
        "coder",
        name="retry on 429",
        turns=44,
        input_tokens=120_000,
        output_tokens=9_000,
        cost_usd=1.9004,
        link="lost",
        link_since=NOW - 640,
        progress_at=NOW - 700,
    ),
    run(
        "run_01KATRIAG10",
        "triage",
        name="INC-4412",
        turns=7,
        input_tokens=14_000,
        output_tokens=900,
        cost_usd=0.21,
        baton={"by": "ana", "since": NOW - 60, "until": NOW + 840, "epoch": 1},
        pending_approvals=1,
        waiting={"kind": "approval", "what": "gpt-5-mini", "since": NOW - 20, "id": "apr_model"},
    ),
    run(
        "run_01KAMIGRA11",
        "migrator",
        name="schema check",
        state="killed",
        ended_at=NOW - 20,
        turns=30,
        cost_usd=0.77,
        input_tokens=51_000,
        output_tokens=4_000,
        kill={
            "command": "cmd_demo",
            "by": "ana",
            "mode": "ladder",
            "reason": "",
            "sent_at": NOW - 22,
            "status": "dead",
            "proof": "process",
            "total_ms": 41.7,
            "points": [
                {"name": "fence", "ms": 0.4, "outcome": "no further call is let through"},
                {"name": "gateway", "ms": 2.9, "outcome": "1 stream cut"},
                {"name": "supervisor.term", "ms": 18.2, "outcome": "3 processes ended"},
                {"name": "supervisor.proof", "ms": 41.7, "outcome": "exit seen, tree empty"},
            ],
        },
    ),
    run(
        "run_01KAFAILE12",
        "indexer",
        state="failed",
        error="exit 1: index is locked",
        ended_at=NOW - 540,
        turns=5,
        cost_usd=0.05,
        input_tokens=6_000,
        output_tokens=500,
        progress_at=NOW - 541,
        exit_code=1,
    ),
    run(
        "run_01KADONEX13",
        "greeter",
        state="completed",
        ended_at=NOW - 3_000,
        started_at=NOW - 3_200,
        turns=6,
        cost_usd=0.03,
        input_tokens=4_000,
        output_tokens=700,
        stop_reason="end_turn",
    ),
]


def runs() -> list[dict[str, Any]]:
    """The board."""
    return [dict(row) for row in _RUNS]


_TOOLS = [
    {"name": "shell", "parameters": {"properties": {"command": {"type": "string"}}, "required": ["command"]}},
    {"name": "lookup", "parameters": {"properties": {"id": {"type": "string"}}, "required": ["id"]}},
]
_APPROVALS: list[dict[str, Any]] = [
    approval(
        "apr_sql",
        "run_01KAREFUND1",
        "refunds",
        "sql_write",
        {"database": "orders.db", "sql": "UPDATE orders\n   SET state = 'refunded', amount = 0\n WHERE batch = 88"},
        risk="high",
        why="writes to a database; 4 rows in the last such call",
        rule="default.writes",
        agent_reason="The customer batch 88 was charged twice. I checked all four orders.",
    ),
    approval(
        "apr_rm",
        "run_01KASREXX02",
        "sre",
        "shell",
        {"command": "rm -v logs/app-2026-02-*.log", "timeout_seconds": 20},
        risk="high",
        why="deletes files",
        rule="default.destructive",
        requested_at=NOW - 230,
        expires_at=NOW + 52,
        agent_reason="The disk is 97 % full; these logs are older than the retention.",
    ),
    approval(
        "apr_model",
        "run_01KATRIAG10",
        "triage",
        "gpt-5-mini",
        {
            "model": "gpt-5-mini",
            "tools": _TOOLS,
            "messages": [
                {"role": "system", "content": "You triage incidents."},
                {"role": "user", "content": "INC-4412: checkout is slow since 02:50."},
                {
                    "role": "assistant",
                    "content": "I will look at the deploy log first.",
                    "tool_calls": [{"id": "c1", "name": "lookup", "arguments": {"id": "deploys"}}],
                },
                {"role": "tool", "content": "02:48 checkout 4.1.0 by ci"},
            ],
        },
        kind="model_call",
        risk="low",
        why="taken over by ana",
        rule="takeover",
        requested_at=NOW - 20,
    ),
    approval(
        "apr_delete",
        "run_01KAREFUND1",
        "refunds",
        "sql_write",
        {"sql": "DELETE FROM charges WHERE batch = 88"},
        call="c3",
        risk="critical",
        why="deletes rows",
        rule="default.writes",
        status="edited",
        decided_by="ben",
        decided_at=NOW - 541,
        requested_at=NOW - 556,
        expires_at=NOW + 44,
        edited_args={"sql": "UPDATE charges SET void = 1 WHERE batch = 88"},
        delivery="applied",
    ),
    approval(
        "apr_mail",
        "run_01KADONEX13",
        "greeter",
        "send_email",
        {"to": "team@example.com", "subject": "Done"},
        risk="low",
        status="approved",
        decided_by="ben",
        decided_at=NOW - 3_010,
        delivery="applied",
        requested_at=NOW - 3_020,
        expires_at=NOW - 2_420,
        result="sent",
    ),
]


def approvals() -> list[dict[str, Any]]:
    """The queue."""
    return [dict(row) for row in _APPROVALS]
