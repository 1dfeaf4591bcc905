"""The gate of one call: only a verdict over exactly this call lets it run."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsconsole.domain.command import Do
from opsconsole.domain.digest import call_digest
from opsconsole.domain.tool_call import CallKind, Outcome, Risk
from opsconsole.errors import ConfigError
from opsconsole.protocol.frames import PointCommand, TurnGrant
from opsconsole.sdk.arguments import exact
from opsconsole.sdk.gate import OFFLINE, Admission, Gate, LinkView, Proposal
from opsconsole.sdk.on_hub_lost import OnHubLost
from opsconsole.sdk.order import Order, order_from_json, order_of

UP = LinkView(up=True)
CONNECTING = LinkView(up=False)
LOST = LinkView(up=False, lost=True)
REFUSED = LinkView(up=False, lost=True, refused="4501 revoked")
ARGS = {"query": "delete from orders"}
DIGEST = call_digest("sql", ARGS)


def proposal(**fields: Any) -> Proposal:
    plain = Proposal(
        call="call_1",
        kind=CallKind.TOOL_CALL,
        name="sql",
        args=exact("sql", ARGS),
        risk=Risk.MEDIUM,
        ttl_seconds=60.0,
        ttl_given=True,
        proposed_at=100.0,
    )
    return replace(plain, **fields)


def verdict(outcome: Outcome | None = Outcome.ALLOW, digest: str | None = DIGEST, **fields: Any) -> Order:
    return Order(cmd="cmd_1", cseq=1, do=Do.VERDICT, call="call_1", outcome=outcome, digest=digest, by="ann", **fields)


def test_an_allow_over_this_call_lets_it_run() -> None:
    decision = Gate(proposal(), OnHubLost()).verdict(verdict())
    assert decision is not None
    assert (decision.admission, decision.verdict, decision.edited) == (Admission.RUN, "cmd_1", False)
    assert decision.args is not None
    assert decision.args.value() == ARGS


def test_what_a_turn_is_granted_goes_with_its_leave_and_outlives_the_process_that_heard_it() -> None:
    told = PointCommand(
        cmd="cmd_1",
        run="run_1",
        cseq=1,
        do=Do.VERDICT,
        call="call_1",
        outcome=Outcome.ALLOW,
        digest=DIGEST,
        granted=TurnGrant(usd=0.25, tokens=700),
    )
    order = order_from_json(order_of(told).to_json())
    decision = Gate(proposal(kind=CallKind.MODEL_CALL), OnHubLost()).verdict(order)
    assert decision is not None
    assert (decision.admission, decision.granted) == (Admission.RUN, {"usd": 0.25, "tokens": 700})


def test_the_leave_of_a_hub_that_grants_nothing_in_part_is_for_all() -> None:
    decision = Gate(proposal(kind=CallKind.MODEL_CALL), OnHubLost()).verdict(verdict())
    assert decision is not None
    assert (decision.admission, decision.granted) == (Admission.RUN, None)


@pytest.mark.parametrize("digest", [None, "", call_digest("sql", {"query": "select 1"})])
def test_an_allow_over_other_arguments_is_refused(digest: str | None) -> None:
    decision = Gate(proposal(), OnHubLost()).verdict(verdict(digest=digest))
    assert decision is not None
    assert (decision.admission, decision.rule, decision.by) == (Admission.REFUSE, "digest", "sdk")


def test_edited_arguments_run_where_the_digest_is_theirs() -> None:
    edited = {"query": "delete from orders where id = 7"}
    decision = Gate(proposal(), OnHubLost()).verdict(verdict(args=edited, digest=call_digest("sql", edited)))
    assert decision is not None
    assert (decision.admission, decision.edited) == (Admission.RUN, True)
    assert decision.args is not None
    assert decision.args.value() == edited


def test_edited_arguments_under_the_old_digest_are_refused() -> None:
    decision = Gate(proposal(), OnHubLost()).verdict(verdict(args={"query": "drop table orders"}))
    assert decision is not None
    assert (decision.admission, decision.rule) == (Admission.REFUSE, "digest")


def test_a_verdict_without_an_outcome_is_a_refusal() -> None:
    decision = Gate(proposal(), OnHubLost()).verdict(verdict(outcome=None))
    assert decision is not None
    assert decision.admission is Admission.REFUSE


def test_the_first_decision_is_final() -> None:
    gate = Gate(proposal(), OnHubLost())
    gate.verdict(verdict(Outcome.DENY, text="no"))
    assert gate.verdict(verdict()) is None
    assert gate.decision is not None
    assert gate.decision.text == "no"


def test_a_denial_does_not_become_an_allow_when_the_time_is_over() -> None:
    gate = Gate(proposal(), OnHubLost(gate="allow", allow_risk_max=Risk.CRITICAL))
    gate.verdict(verdict(Outcome.DENY))
    assert gate.judge(1e9, LOST, taken_over=False) is None
    assert gate.decision is not None
    assert gate.decision.admission is Admission.REFUSE


def test_with_the_hub_in_reach_its_clock_is_waited_for() -> None:
    gate = Gate(proposal(), OnHubLost())
    assert gate.judge(170.0, UP, taken_over=False) is None
    late = gate.judge(176.0, UP, taken_over=False)
    assert late is not None
    assert (late.admission, late.rule) == (Admission.REFUSE, "expired")


def test_a_lost_hub_is_waited_for_until_the_time_is_over() -> None:
    gate = Gate(proposal(), OnHubLost())
    assert gate.judge(159.0, LOST, taken_over=False) is None
    expired = gate.judge(160.0, LOST, taken_over=False)
    assert expired is not None
    assert expired.rule == "expired"


def test_a_lost_hub_refuses_at_once_where_the_run_says_reject() -> None:
    decision = Gate(proposal(), OnHubLost(gate="reject")).judge(100.0, LOST, taken_over=False)
    assert decision is not None
    assert (decision.admission, decision.rule) == (Admission.REFUSE, "hub_lost")


def test_a_hub_that_is_still_being_connected_is_not_lost() -> None:
    gate = Gate(proposal(), OnHubLost(gate="allow", allow_risk_max=Risk.CRITICAL))
    assert gate.judge(101.0, CONNECTING, taken_over=False) is None


@pytest.mark.parametrize(
    ("risk", "runs"),
    [(Risk.LOW, True), (Risk.MEDIUM, True), (Risk.HIGH, False), (Risk.CRITICAL, False), (None, False)],
)
def test_a_lost_hub_lets_only_calls_of_known_small_risk_run(risk: Risk | None, runs: bool) -> None:
    policy = OnHubLost(gate="allow", allow_risk_max=Risk.MEDIUM)
    decision = Gate(proposal(risk=risk), policy).judge(100.0, LOST, taken_over=False)
    assert (decision is not None and decision.admission is Admission.RUN and decision.verdict == OFFLINE) is runs


def test_a_hub_that_refused_this_agent_allows_nothing_whatever_the_run_says() -> None:
    policy = OnHubLost(gate="allow", allow_risk_max=Risk.CRITICAL)
    decision = Gate(proposal(risk=Risk.LOW), policy).judge(100.0, REFUSED, taken_over=False)
    assert decision is not None
    assert (decision.admission, decision.rule) == (Admission.REFUSE, "hub_refused")


def test_a_run_that_was_taken_over_does_not_call_its_model_unseen() -> None:
    policy = OnHubLost(gate="allow", allow_risk_max=Risk.CRITICAL)
    assert Gate(proposal(risk=Risk.LOW), policy).judge(100.0, LOST, taken_over=True) is None


def test_allow_without_a_limit_of_risk_is_no_policy() -> None:
    with pytest.raises(ConfigError, match="allow_risk_max"):
        OnHubLost(gate="allow")


@given(
    policy=st.sampled_from(
        [OnHubLost(), OnHubLost(gate="reject"), OnHubLost(gate="allow", allow_risk_max=Risk.MEDIUM)]
    ),
    risk=st.sampled_from([None, *Risk]),
    steps=st.lists(
        st.one_of(
            st.tuples(st.just("judge"), st.floats(0, 1e6), st.sampled_from([UP, CONNECTING, LOST, REFUSED])),
            st.tuples(
                st.just("verdict"), st.sampled_from([None, *Outcome]), st.sampled_from([None, DIGEST, "sha256:00"])
            ),
            st.just(("stop", None, None)),
        ),
        max_size=12,
    ),
)
def test_no_order_of_events_lets_a_call_run_without_its_verdict(
    policy: OnHubLost, risk: Risk | None, steps: Any
) -> None:
    gate = Gate(proposal(risk=risk), policy)
    reason = None
    for kind, first, second in steps:
        if gate.decision is not None:
            assert gate.verdict(verdict()) is None
        elif kind == "judge":
            gate.judge(first, second, taken_over=False)
            reason = ("lost", policy.allows(risk)) if second is LOST else None
        elif kind == "verdict":
            gate.verdict(verdict(first, digest=second))
            reason = ("verdict", first is Outcome.ALLOW and second == DIGEST)
        else:
            gate.stop("killed")
            reason = None
        if gate.decision is not None and gate.decision.admission is Admission.RUN:
            assert reason is not None
            assert reason[1], "it ran without a verdict over exactly this call and outside the policy"
            return
