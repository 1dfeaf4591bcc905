"""Sums over sliding windows of time, in buckets: never less than the truth, and little more; it caps nothing."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from typing import Any

TOTAL = "total"
WINDOW_SECONDS: Mapping[str, float] = {"minute": 60.0, "hour": 3_600.0, "day": 86_400.0, TOTAL: math.inf}
BUCKETS = 60
"""Of a window: what is a sixtieth too old still counts, which errs on the side of the cap."""


class Window:
    """What was added within the window that ends now."""

    __slots__ = ("_buckets", "_sum", "seconds")

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._buckets: deque[tuple[int, float]] = deque()
        self._sum = 0.0

    def add(self, amount: float, at: float) -> None:
        """Something was used. Time that runs backwards is taken as standing still."""
        self._sum += amount
        if self.seconds == math.inf:
            return
        bucket = int(at * BUCKETS // self.seconds)
        if self._buckets and self._buckets[-1][0] >= bucket:
            last, before = self._buckets.pop()
            self._buckets.append((last, before + amount))
        else:
            self._buckets.append((bucket, amount))

    def sum(self, at: float) -> float:
        """What was used within the window."""
        if self.seconds == math.inf:
            return self._sum
        first = int(at * BUCKETS // self.seconds) - BUCKETS
        if self._buckets and self._buckets[0][0] < first:
            while self._buckets and self._buckets[0][0] < first:
                self._buckets.popleft()
            self._sum = math.fsum(amount for _, amount in self._buckets)
        return self._sum

    def since(self, at: float, seconds: float) -> float:
        """What was used in the last part of the window, whole buckets."""
        first = int((at - seconds) * BUCKETS // self.seconds)
        return math.fsum(amount for bucket, amount in self._buckets if bucket > first)

    def dump(self) -> Any:
        """As JSON values."""
        return self._sum if self.seconds == math.inf else list(self._buckets)

    @classmethod
    def load(cls, seconds: float, state: Any) -> Window:
        """Put back what `dump` gave. Raises: TypeError or ValueError when it is something else."""
        window = cls(seconds)
        if seconds == math.inf:
            window._sum = float(state)
        else:
            window._buckets.extend((int(bucket), float(amount)) for bucket, amount in state)
            window._sum = math.fsum(amount for _, amount in window._buckets)
        return window
