"""What has been under the cursor, unchanged, for how long: the guard of every key that decides; it decides nothing."""

from __future__ import annotations

from collections.abc import Hashable

DWELL_SECONDS = 0.4
"""Faster than a person can notice that the row is another one, slower than a deliberate second press."""


class Dwell:
    """Times how long one thing has been shown; times are monotonic seconds."""

    def __init__(self) -> None:
        self._shown: Hashable = None
        self._since = 0.0

    def show(self, shown: Hashable, *, now: float) -> None:
        """`shown` is what the operator sees now; the time runs on as long as it stays equal."""
        if shown != self._shown:
            self._shown, self._since = shown, now

    def long_enough(self, shown: Hashable, *, now: float) -> bool:
        """Whether exactly this has been on screen for DWELL_SECONDS."""
        return shown == self._shown and now - self._since >= DWELL_SECONDS
