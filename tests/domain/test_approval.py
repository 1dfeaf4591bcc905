"""The approval machine: settled once, and never allowed by time."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from opsconsole.domain.approval import (
    ALLOWS,
    ANSWERED,
    APPROVAL_TRANSITIONS,
    DELIVERY_TRANSITIONS,
    OPEN,
    RECORDED,
    SETTLED,
    Answer,
    ApprovalStatus,
    Delivery,
    advance_delivery,
    may_settle,
)

S = ApprovalStatus
BY_TIME = {S.EXPIRED, S.CANCELLED}


def test_the_table_is_this() -> None:
    answered = {S.APPROVED, S.EDITED, S.REJECTED, S.RESPONDED}
    assert {
        S.PENDING: {S.DECIDING} | BY_TIME,
        S.DECIDING: answered | {S.PENDING} | BY_TIME,
    } | {status: set() for status in answered | BY_TIME} == APPROVAL_TRANSITIONS


def test_one_yes_of_several_settles_nothing_and_one_no_does() -> None:
    assert {answer: status for (answer, agreed), status in RECORDED.items() if not agreed} == {
        Answer.APPROVE: S.PENDING,
        Answer.EDIT: S.PENDING,
        Answer.REJECT: S.REJECTED,
    }


def test_where_a_record_leads_is_where_the_table_goes() -> None:
    assert all(may_settle(S.DECIDING, status) for status in RECORDED.values())


def test_every_status_is_either_open_or_settled() -> None:
    assert set(S) == OPEN | SETTLED
    assert set() == OPEN & SETTLED


def test_only_an_approval_or_an_edit_allows() -> None:
    assert {answer for answer in Answer if ANSWERED[answer] in ALLOWS} == {Answer.APPROVE, Answer.EDIT}
    assert set() == BY_TIME & ALLOWS


def test_no_path_leads_from_time_to_an_allow() -> None:
    reached, frontier = set(BY_TIME), list(BY_TIME)
    while frontier:
        news = APPROVAL_TRANSITIONS[frontier.pop()] - reached
        reached |= news
        frontier += news
    assert reached & ALLOWS == set()


def test_an_allow_is_reached_only_through_a_recorded_decision() -> None:
    assert {status for status, targets in APPROVAL_TRANSITIONS.items() if targets & ALLOWS} == {S.DECIDING}


@given(st.lists(st.sampled_from(S), max_size=30))
def test_any_order_of_decisions_expiries_and_fences_settles_at_most_once(targets: list[S]) -> None:
    status, settlements = S.PENDING, 0
    for target in targets:
        if may_settle(status, target):
            status = target
            settlements += status in SETTLED
    assert settlements <= 1
    assert (settlements == 1) == (status in SETTLED)


@given(st.lists(st.sampled_from(Delivery), max_size=20))
def test_news_of_delivery_only_travels_forward(news: list[Delivery]) -> None:
    order = [Delivery.NONE, Delivery.RECORDED, Delivery.DELIVERED, Delivery.APPLIED]
    delivery = Delivery.NONE
    for target in news:
        after = advance_delivery(delivery, target)
        if after is Delivery.VOID:
            assert delivery is Delivery.VOID or Delivery.VOID in DELIVERY_TRANSITIONS[delivery]
        else:
            assert order.index(after) >= order.index(delivery)
        delivery = after


def test_nothing_is_delivered_before_it_is_recorded() -> None:
    assert DELIVERY_TRANSITIONS[Delivery.NONE] == {Delivery.RECORDED}
