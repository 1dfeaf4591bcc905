"""The default policy: safe without configuration, and identified by all of its settings."""

from __future__ import annotations

from dataclasses import replace

import pytest

from opsconsole.domain.tool_call import CallKind, Risk
from opsconsole.policy.default import READ_ONLY_TOOLS, DefaultPolicy
from opsconsole.policy.interface import Decision, Limits, Proposal, Spent, tripped

PROPOSAL = Proposal(run="r", agent="a", call="c", kind=CallKind.TOOL_CALL, tool="sql", args={"query": "x"})
POLICY = DefaultPolicy()


@pytest.mark.parametrize("tool", sorted(READ_ONLY_TOOLS))
def test_a_listed_read_only_tool_passes(tool: str) -> None:
    assert POLICY.judge(replace(PROPOSAL, tool=tool)).decision is Decision.ALLOW


@pytest.mark.parametrize("tool", ["sql", "read_file ", "READ_FILE", "read_file\u200b", "write_file", "", "glob2"])
def test_everything_else_asks(tool: str) -> None:
    assert POLICY.judge(replace(PROPOSAL, tool=tool)).decision is Decision.ASK


def test_what_a_tool_claims_of_itself_is_not_believed() -> None:
    assert POLICY.judge(replace(PROPOSAL, read_only_claimed=True)).decision is Decision.ASK


@pytest.mark.parametrize("kind", [CallKind.MODEL_CALL, CallKind.HANDOFF])
def test_turns_and_handoffs_pass(kind: CallKind) -> None:
    assert POLICY.judge(replace(PROPOSAL, kind=kind)).decision is Decision.ALLOW


def test_a_risk_is_what_the_settings_say_else_what_the_agent_claims_else_medium() -> None:
    policy = DefaultPolicy(risks={"sql": Risk.CRITICAL})
    assert policy.judge(PROPOSAL).risk is Risk.CRITICAL
    assert POLICY.judge(replace(PROPOSAL, risk_claimed=Risk.LOW)).risk is Risk.LOW
    assert POLICY.judge(PROPOSAL).risk is Risk.MEDIUM


@pytest.mark.parametrize(
    "changed",
    [
        DefaultPolicy(read_only_tools=frozenset({"x"})),
        DefaultPolicy(run_limits=Limits(cost_usd=1.0, turns=200, tokens=2_000_000)),
        DefaultPolicy(run_limits=Limits(cost_usd=5.0, turns=1, tokens=2_000_000)),
        DefaultPolicy(run_limits=Limits(cost_usd=5.0, turns=200, tokens=1)),
        DefaultPolicy(ask_ttl_seconds=60.0),
        DefaultPolicy(risks={"sql": Risk.HIGH}),
    ],
)
def test_the_hash_changes_with_each_setting(changed: DefaultPolicy) -> None:
    assert changed.hash != POLICY.hash


def test_the_same_settings_have_the_same_hash() -> None:
    assert DefaultPolicy(read_only_tools=frozenset(sorted(READ_ONLY_TOOLS, reverse=True))).hash == POLICY.hash


@pytest.mark.parametrize(
    ("spent", "reached"),
    [
        (Spent(cost_usd=0.99, turns=9, tokens=99), None),
        (Spent(cost_usd=1.0, turns=0, tokens=0), "cost $1.00 of $1.00"),
        (Spent(cost_usd=0.0, turns=10, tokens=0), "turns 10 of 10"),
        (Spent(cost_usd=0.0, turns=0, tokens=1_000), "tokens 1,000 of 1,000"),
    ],
)
def test_a_limit_is_reached_when_it_is_reached(spent: Spent, reached: str | None) -> None:
    assert tripped(spent, Limits(cost_usd=1.0, turns=10, tokens=1_000)) == reached


def test_no_limit_is_never_reached() -> None:
    assert tripped(Spent(cost_usd=1e9, turns=10**9, tokens=10**12), Limits()) is None
