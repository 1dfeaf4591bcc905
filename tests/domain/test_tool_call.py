"""The call machine: it only moves forward, and an agent may raise a risk but never lower it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsconsole.domain.tool_call import (
    CALL_ENDED,
    CALL_TRANSITIONS,
    RISK_RANK,
    CallStatus,
    Risk,
    advance_call,
    max_risk,
)

C = CallStatus


def test_the_table_is_this() -> None:
    assert {
        C.PROPOSED: {C.HELD, C.RUNNING, C.COMPLETED, C.FAILED, C.DENIED, C.KILLED},
        C.HELD: {C.RUNNING, C.COMPLETED, C.FAILED, C.DENIED, C.KILLED},
        C.RUNNING: {C.COMPLETED, C.FAILED, C.KILLED},
        C.COMPLETED: set(),
        C.FAILED: set(),
        C.DENIED: set(),
        C.KILLED: set(),
    } == CALL_TRANSITIONS


@given(st.lists(st.sampled_from(C), max_size=20))
def test_an_ended_call_stays_as_it_ended(reports: list[CallStatus]) -> None:
    status = C.PROPOSED
    for report in reports:
        after = advance_call(status, report)
        assert status not in CALL_ENDED or after is status
        status = after


def test_a_call_that_ran_was_not_denied() -> None:
    assert advance_call(C.RUNNING, C.DENIED) is C.RUNNING


@pytest.mark.parametrize("policy", Risk)
@pytest.mark.parametrize("claimed", [None, *Risk])
def test_an_agent_raises_the_risk_or_leaves_it(policy: Risk, claimed: Risk | None) -> None:
    assert RISK_RANK[max_risk(policy, claimed)] == max(RISK_RANK[policy], RISK_RANK[claimed] if claimed else 0)
