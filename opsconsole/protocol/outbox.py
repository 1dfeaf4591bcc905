"""What a point has journalled and the hub has not acknowledged: decides what to send next; it neither stores nor sends.

One Outbox a run. Sequence numbers are contiguous from 1. The journal (a shell) keeps the bytes; this keeps the numbers.
"""

from __future__ import annotations

from dataclasses import dataclass

from opsconsole.protocol.limits import INFLIGHT_EVENTS_MAX


@dataclass(slots=True)
class Outbox:
    """Numbers of one run: `acked <= sent <= journalled`."""

    journalled: int = 0
    sent: int = 0
    acked: int = 0

    def emit(self, count: int = 1) -> int:
        """The sequence number of the last of so many more events, now journalled."""
        self.journalled += count
        return self.journalled

    def due(self, *, batch_max: int) -> range:
        """The next sequence numbers to send (empty when none, or when the window is full)."""
        room = INFLIGHT_EVENTS_MAX - (self.sent - self.acked)
        last = min(self.journalled, self.sent + min(batch_max, room))
        return range(self.sent + 1, last + 1)

    def mark_sent(self, last: int) -> None:
        """Everything up to `last` is on its way."""
        self.sent = max(self.sent, min(last, self.journalled))

    def acknowledge(self, seq: int, want: int | None = None) -> int:
        """The hub stored everything up to `seq`; with `want`, send again from there. Gives the new acked number."""
        self.acked = max(self.acked, min(seq, self.journalled))
        self.sent = max(self.sent, self.acked)
        if want is not None:
            self.sent = max(self.acked, min(self.sent, want - 1))
        return self.acked

    def reconnect(self, acked: int) -> None:
        """A new connection begins: the hub has `acked`; all that follows is sent again."""
        self.acked = max(self.acked, min(acked, self.journalled))
        self.sent = self.acked

    @property
    def unacked(self) -> int:
        """Events journalled and not known to be stored."""
        return self.journalled - self.acked


@dataclass(slots=True)
class Inbox:
    """The hub's side of one run and generation: what has been received, and what of it is stored."""

    received: int = 0
    stored: int = 0

    def accept(self, first: int, last: int) -> int | None:
        """How many leading events of [first, last] are here already (0 = all new); None if there is a gap before."""
        if first > self.received + 1:
            return None
        return min(last - first + 1, self.received - first + 1)

    def take(self, last: int) -> None:
        """Events up to `last` were handed to storage."""
        self.received = max(self.received, last)

    def commit(self, last: int) -> None:
        """Events up to `last` are stored."""
        self.stored = max(self.stored, last)
