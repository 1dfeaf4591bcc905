"""Turns under a lease that last longer than a moment: one timer a run finds them; what is said of them they know."""

from __future__ import annotations

import asyncio
import time
from typing import Protocol

OUTLASTS_SECONDS = 0.5
"""A turn that takes longer is told as running: well before the reservation of its lease ends."""


class Lasting(Protocol):
    """A turn under a lease."""

    began: float
    """Monotonic seconds."""

    def outlasts(self) -> None: ...


class Outlasting:
    """Those of one run. Everything happens on the loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._open: dict[Lasting, None] = {}
        """In the order in which they began."""
        self._timer: asyncio.TimerHandle | None = None

    def begun(self, turn: Lasting) -> None:
        """It goes to its provider now."""
        self._open[turn] = None
        if self._timer is None:
            self._timer = self._loop.call_later(OUTLASTS_SECONDS, self._look)

    def over(self, turn: Lasting) -> None:
        """It has ended, or was told as running."""
        self._open.pop(turn, None)

    def _look(self) -> None:
        """Tells those whose time is over, and comes back for the next; a turn that is told leaves by `over`."""
        self._timer = None
        due = time.monotonic() - OUTLASTS_SECONDS
        for turn in [one for one in self._open if one.began <= due]:
            turn.outlasts()
        oldest = next(iter(self._open), None)
        if oldest is not None:
            self._timer = self._loop.call_later(max(0.0, oldest.began - due), self._look)
