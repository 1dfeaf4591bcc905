"""Sums over the last so many seconds, in bins: bounded whatever the traffic; it takes no clock."""

from __future__ import annotations

from collections import deque


class Window:
    """What was added within `seconds`; the times given never run backwards."""

    def __init__(self, seconds: float, bins: int = 30) -> None:
        self.seconds = seconds
        self._width = seconds / bins
        self._count = bins
        self._bins: deque[list[float]] = deque()
        """(bin's number, sum), oldest first."""
        self._sum = 0.0

    def add(self, amount: float, now: float) -> None:
        """So much more, or less."""
        self._forget(now)
        number = now // self._width
        if not self._bins or self._bins[-1][0] < number:
            self._bins.append([number, 0.0])
        self._bins[-1][1] += amount
        self._sum += amount

    def total(self, now: float) -> float:
        """The sum."""
        self._forget(now)
        return max(0.0, self._sum)

    def _forget(self, now: float) -> None:
        oldest = now // self._width - self._count
        while self._bins and self._bins[0][0] <= oldest:
            self._sum -= self._bins.popleft()[1]
        if not self._bins:
            self._sum = 0.0
