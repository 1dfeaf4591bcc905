"""Sums over the last so many seconds, in bins: bounded whatever the traffic; it takes no clock."""

from __future__ import annotations

import math
from collections import deque


class Window:
    """What was added within `seconds`; the times given never run backwards."""

    def __init__(self, seconds: float, bins: int = 30) -> None:
        self.seconds = seconds
        self._width = seconds / bins
        self._count = bins
        self._bins: deque[list[float]] = deque()
        """(bin's number, sum), oldest first."""
        self._ends_at = -math.inf
        """When the newest bin is over."""
        self._sum = 0.0

    def add(self, amount: float, now: float) -> None:
        """So much more, or less."""
        if now >= self._ends_at or not self._bins:
            number = now // self._width
            self._forget(number)
            self._bins.append([number, 0.0])
            self._ends_at = (number + 1) * self._width
        self._bins[-1][1] += amount
        self._sum += amount

    def total(self, now: float) -> float:
        """The sum."""
        number, bins = now // self._width, self._bins
        if bins and bins[0][0] <= number - self._count:
            self._forget(number)
        return self._sum if self._sum > 0.0 else 0.0

    def _forget(self, number: float) -> None:
        """What is too old in the bin of this number."""
        oldest = number - self._count
        while self._bins and self._bins[0][0] <= oldest:
            self._sum -= self._bins.popleft()[1]
        if not self._bins:
            self._sum = 0.0
