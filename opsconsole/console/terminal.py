"""The terminal beneath the console: how fast it takes frames, and whether it is still there; it draws nothing.

A load frame is followed by a question for the cursor's place; until the terminal answers, no further load frame is
drawn. A slow link thus drops frames instead of queueing them, and the kill key never waits behind a picture.
"""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Callable

PROBE = "\x1b[6n"
HANGUP_SECONDS = 3.0
"""Writing to a terminal that is gone may block for ever: a console that has not left by then is ended."""
FORGET_SECONDS = 1.0
"""A question unanswered for this long is given up."""
MISSES_MAX = 3
"""After this many, the terminal is one that never answers, and is asked no more."""
SLOW_SECONDS = 0.03
QUICK_SECONDS = 0.012
"""A load frame that takes longer than the first is made smaller, one that takes less than the second larger again."""
SLICES_MIN, SLICES_MAX = 3, 48
"""Parts of the visible rows that load frames paint in turn."""


class FramePacer:
    """Whether another load frame may be drawn; times are monotonic seconds."""

    def __init__(self, *, enabled: bool) -> None:
        self.enabled = enabled
        self.round_trip_seconds: float | None = None
        self.slices = SLICES_MIN
        self._asked_at: float | None = None
        self._misses = 0

    @property
    def is_slow(self) -> bool:
        """Whether the last load frame took so long that the next key might have waited behind it."""
        return self.round_trip_seconds is not None and self.round_trip_seconds > SLOW_SECONDS

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
            if self.is_slow:
                self.slices = min(SLICES_MAX, 2 * self.slices)
            elif self.round_trip_seconds < QUICK_SECONDS:
                self.slices = max(SLICES_MIN, self.slices // 2)
            self._asked_at = None
            self._misses = 0


def watch_for_hangup(
    descriptor: int,
    gone: Callable[[], None],
    *,
    patience_seconds: float = HANGUP_SECONDS,
    end: Callable[[int], object] = os._exit,
) -> None:
    """Call `gone` (on a thread of its own) when the terminal has hung up, and `end` when that has not ended it all."""

    def watch() -> None:
        poll = select.poll()
        poll.register(descriptor, 0)
        poll.poll()
        gone()
        threading.Event().wait(patience_seconds)
        end(1)

    threading.Thread(target=watch, name="console hangup", daemon=True).start()
