"""The hub's clock: unix seconds that never run backwards, whatever happens to the system's clock; it wakes nobody."""

from __future__ import annotations

import time
from collections.abc import Callable


class HubClock:
    """Wall clock at the start plus monotonic time since, never below what was already written with it."""

    def __init__(
        self, *, wall: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._monotonic = monotonic
        self._offset = wall() - monotonic()

    def now(self) -> float:
        """Unix seconds."""
        return self._monotonic() + self._offset

    def not_before(self, at: float) -> None:
        """From now on never give a time below `at`: storage already holds it."""
        self._offset += max(0.0, at - self.now())
