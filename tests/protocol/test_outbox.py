"""Outbox and Inbox: whatever is lost, doubled or cut, each event is stored once and in order."""

from __future__ import annotations

from collections import deque

from hypothesis import given, settings
from hypothesis import strategies as st

from opsconsole.protocol.limits import INFLIGHT_EVENTS_MAX
from opsconsole.protocol.outbox import Inbox, Outbox

STEPS = st.lists(
    st.sampled_from(["emit", "send", "arrive", "commit", "lose", "double", "reconnect", "hub dies", "ack"]), max_size=80
)


class Delivery:
    """A journal, a wire that may misbehave, and a hub that stores."""

    def __init__(self) -> None:
        self.outbox, self.inbox = Outbox(), Inbox()
        self.wire: deque[tuple[int, int]] = deque()
        self.acks: deque[tuple[int, int | None]] = deque()
        self.committing: deque[tuple[int, int]] = deque()
        self.stored: list[int] = []

    def do(self, step: str) -> None:
        """One thing happens."""
        if step == "emit":
            self.outbox.emit()
        elif step == "send" and (due := self.outbox.due(batch_max=3)):
            self.outbox.mark_sent(due[-1])
            self.wire.append((due[0], due[-1]))
        elif step == "arrive" and self.wire:
            self._arrive(*self.wire.popleft())
        elif step == "commit" and self.committing:
            first, last = self.committing.popleft()
            self.stored += range(first, last + 1)
            self.inbox.commit(last)
            self.acks.append((self.inbox.stored, None))
        elif step == "lose" and self.wire:
            self.wire.popleft()
        elif step == "double" and self.wire:
            self.wire.append(self.wire[0])
        elif step == "ack" and self.acks:
            self.outbox.acknowledge(*self.acks.popleft())
        elif step == "reconnect":
            self.wire.clear()
            self.acks.clear()
            self.outbox.reconnect(self.inbox.stored)
        elif step == "hub dies":
            self.committing.clear()
            self.inbox = Inbox(received=self.inbox.stored, stored=self.inbox.stored)
            self.do("reconnect")

    def _arrive(self, first: int, last: int) -> None:
        known = self.inbox.accept(first, last)
        if known is None:
            self.acks.append((self.inbox.stored, self.inbox.received + 1))
        elif known <= last - first:
            self.committing.append((self.inbox.received + 1, last))
            self.inbox.take(last)


@settings(max_examples=300)
@given(STEPS)
def test_each_event_is_stored_once_and_in_order_whatever_happens(steps: list[str]) -> None:
    delivery = Delivery()
    for step in steps:
        delivery.do(step)
        assert delivery.stored == list(range(1, len(delivery.stored) + 1))
        assert delivery.outbox.acked <= len(delivery.stored)
    delivery.do("reconnect")
    while delivery.outbox.unacked:
        for step in ("send", "arrive", "commit", "ack"):
            delivery.do(step)
    assert delivery.stored == list(range(1, delivery.outbox.journalled + 1))


@given(STEPS)
def test_the_numbers_of_an_outbox_stay_in_order(steps: list[str]) -> None:
    delivery = Delivery()
    for step in steps:
        delivery.do(step)
        outbox = delivery.outbox
        assert 0 <= outbox.acked <= outbox.sent <= outbox.journalled


def test_a_full_window_sends_nothing_more() -> None:
    outbox = Outbox(journalled=INFLIGHT_EVENTS_MAX + 10)
    outbox.mark_sent(INFLIGHT_EVENTS_MAX)
    assert list(outbox.due(batch_max=100)) == []
    outbox.acknowledge(4)
    assert list(outbox.due(batch_max=100)) == [INFLIGHT_EVENTS_MAX + place for place in (1, 2, 3, 4)]


def test_a_gap_is_sent_again_from_where_it_is_wanted() -> None:
    outbox = Outbox(journalled=10, sent=10, acked=2)
    outbox.acknowledge(3, want=5)
    assert list(outbox.due(batch_max=3)) == [5, 6, 7]


def test_an_acknowledgement_of_what_was_never_sent_is_not_believed() -> None:
    outbox = Outbox(journalled=3, sent=3)
    assert outbox.acknowledge(99) == 3


def test_a_repeated_batch_is_known_and_a_gap_is_seen() -> None:
    inbox = Inbox(received=5, stored=3)
    assert [inbox.accept(1, 3), inbox.accept(4, 8), inbox.accept(6, 7), inbox.accept(7, 8)] == [3, 2, 0, None]
