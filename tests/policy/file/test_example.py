"""The documented example loads as printed, and each of its cases comes out as it says."""

from __future__ import annotations

from dataclasses import replace

import pytest

from opsconsole.policy.file.loader import load
from opsconsole.policy.file.settings import Action, DetectorSettings, Per
from opsconsole.policy.interface import Decision, Limits, Quorum
from tests.policy.file.documented import EXAMPLE, read

POLICY = load(EXAMPLE, read=read)
OUTCOMES = POLICY.test()


def test_the_example_states_nine_cases() -> None:
    assert len(OUTCOMES) == 9


@pytest.mark.parametrize(
    "outcome", OUTCOMES, ids=lambda one: f"{one.expectation.number}-{one.expectation.proposal.tool}"
)
def test_a_case_comes_out_as_printed(outcome: object) -> None:
    assert getattr(outcome, "differences", None) == {}


def test_the_drop_is_refused_by_the_rule_it_names() -> None:
    assert OUTCOMES[0].verdict.rule == "sql-schema-change"


def test_a_large_payment_asks_two_of_finance_who_may_not_edit_it() -> None:
    verdict = OUTCOMES[3].verdict
    finance = Quorum(approvers=2, group="finance", people=frozenset({"dee@acme.example", "eli@acme.example"}))
    assert (verdict.quorums, verdict.may_edit, verdict.ttl_seconds) == ((finance,), False, 3_600.0)


def test_a_deployment_in_office_hours_is_not_approved_by_who_started_it() -> None:
    deploy = OUTCOMES[5].expectation.proposal
    on_tuesday = replace(deploy, now=deploy.now + 2 * 86_400, starter="ben@acme.example")
    verdict = POLICY.judge(on_tuesday)
    assert (verdict.decision, verdict.rule, verdict.not_by) == (Decision.ASK, "deploy-prod", ("ben@acme.example",))


def test_a_run_starts_with_the_limits_of_the_breaker_per_run() -> None:
    assert POLICY.limits("any", {}) == Limits(cost_usd=5.0, turns=60, tokens=400_000)


def test_its_breakers_are_values() -> None:
    told = [(one.id, one.scope, one.window, dict(one.trip), one.warn_at, one.resume_seconds) for one in POLICY.breakers]
    assert told == [
        ("run-cost", "run", "total", {"cost_usd": 5.0, "turns": 60, "tokens": 400_000}, 0.8, None),
        ("billing-bot-day", "agent", "day", {"cost_usd": 20.0, "tool_calls": 500}, None, None),
        ("rate", "agent", "total", {"tool_calls_per_minute": 30, "same_tool_per_minute": 15}, None, None),
        ("model-latency", "agent", "total", {"latency_ratio": 3.0, "in_a_row": 3}, None, 120.0),
    ]
    assert [one.per for one in POLICY.breakers] == [Per.RUN, Per.DAY, Per.AGENT, Per.AGENT]


def test_its_detectors_are_the_defaults() -> None:
    assert POLICY.detectors == DetectorSettings()
    assert POLICY.detectors.drift is not None
    assert POLICY.detectors.drift.model_change is Action.WARN
