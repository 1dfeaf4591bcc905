"""The terminal beneath the console: how fast it takes frames, and whether it is still there; it draws nothing.

A load frame is followed by a question for the cursor's place; until the terminal answers, no further load frame is
drawn. A slow link thus drops frames instead of queueing them, and the kill key never waits behind a picture.
"""

from __future__ import annotations

import select

PROBE = "\x1b[6n"
FORGET_SECONDS = 1.0
"""A question unanswered for this long is given up."""
MISSES_MAX = 3
"""After this many, the terminal is one that never answers, and is asked no more."""


class FramePacer:
    """Whether another load frame may be drawn; times are monotonic seconds."""

    def __init__(self, *, enabled: bool) -> None:
        self.enabled = enabled
        self.round_trip_seconds: float | None = None
        self._asked_at: float | None = None
        self._misses = 0

    def ready(self, *, now: float) -> bool:
        """Whether the terminal has taken the last load frame (or is known not to say)."""
        if self._asked_at is None:
            return True
        if now - self._asked_at < FORGET_SECONDS:
            return False
        self._asked_at = None
        self._misses += 1
        self.enabled = self.enabled and self._misses < MISSES_MAX
        return True

    def ask(self, *, now: float) -> str:
        """What to write after a load frame; empty when the terminal is not asked."""
        if not self.enabled or self._asked_at is not None:
            return ""
        self._asked_at = now
        return PROBE

    def answered(self, *, now: float) -> None:
        """The terminal reported its cursor."""
        if self._asked_at is not None:
            self.round_trip_seconds = now - self._asked_at
            self._asked_at = None
            self._misses = 0


def is_gone(descriptor: int) -> bool:
    """Whether the other end of a terminal has hung up."""
    poll = select.poll()
    poll.register(descriptor, 0)
    return any(events & (select.POLLHUP | select.POLLERR | select.POLLNVAL) for _, events in poll.poll(0))
