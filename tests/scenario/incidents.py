"""Scenarios and policies that tests replay, small enough to be seen whole."""

from __future__ import annotations

from typing import Any

from opsconsole.domain.tool_call import CallStatus
from opsconsole.policy.file.loader import load
from opsconsole.policy.file.policy import FilePolicy
from opsconsole.policy.interface import Decision
from opsconsole.scenario.case import Claim, Expectation, Message, Scenario, Step, ToolCall, Turn


def policy(text: str = "", *, rules: str = "") -> FilePolicy:
    """`rules` after a head that asks about whatever no rule is about."""
    return load(text or f"version = 1\n{rules}", read=lambda name: b"")


SQL = policy(
    """
version = 1
[facts]
sql = { tool = "run_sql", arg = "query", dialect = "postgres" }
[[rules]]
id = "no-wipe"
tool = "run_sql"
when = "sql.changes_schema || sql.unbounded_write"
decision = "deny"
[[rules]]
id = "reads"
tool = "run_sql"
when = "sql.reads && !sql.writes"
decision = "allow"
[[rules]]
id = "mail"
tool = "send_email"
decision = "allow"
"""
)
"""Refuses to wipe tables, lets reads and mails through, asks about the rest."""


def turn(at: float = 0.0, *, cost: float | None = 0.01, **more: Any) -> Turn:
    return Turn(at=at, model="gpt-4o", input_tokens=1_000, output_tokens=10, cost_usd=cost, **more)


def call(tool: str, decision: Decision | None = None, **more: Any) -> ToolCall:
    """A call that ran to its end."""
    about = {"at": 1.0, "id": f"call_{tool}", "status": CallStatus.COMPLETED, "result": "done"}
    args = more.pop("args", {})
    return ToolCall(tool=tool, args=args, decision=decision, **about | more)


def sql(query: str, decision: Decision | None = Decision.ALLOW, **more: Any) -> ToolCall:
    return call("run_sql", decision, args={"query": query}, **more)


def said(text: str) -> Message:
    return Message(at=0.0, role="user", text=text)


def case(*steps: Step, expect: Expectation | None = None, **more: Any) -> Scenario:
    """Of an agent called refunds, on a Thursday."""
    about: dict[str, Any] = {"name": "a case", "agent": "refunds", "run": "run_1", "started_at": 1_780_000_000.0}
    return Scenario(**about | more, steps=steps, expectations=(expect,) if expect else ())


def expects(claim: Claim, value: str | float, **more: Any) -> Expectation:
    return Expectation(claim=claim, value=value, **more)
