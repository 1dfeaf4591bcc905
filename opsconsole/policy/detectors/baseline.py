"""What is usual of one model or tool: the median of its last latencies, kept in order as they come."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Iterable


class Baseline:
    """The last `window` values of something."""

    __slots__ = ("_ordered", "_values", "window")

    def __init__(self, window: int, values: Iterable[float] = ()) -> None:
        self.window = window
        self._values: deque[float] = deque()
        self._ordered: list[float] = []
        for value in values:
            self.add(value)

    def __len__(self) -> int:
        return len(self._values)

    @property
    def values(self) -> list[float]:
        """Oldest first."""
        return list(self._values)

    def add(self, value: float) -> None:
        """One more value; the oldest goes when there are too many."""
        self._values.append(value)
        insort(self._ordered, value)
        while len(self._values) > self.window:
            gone = self._values.popleft()
            del self._ordered[bisect_left(self._ordered, gone)]

    def median(self, minimum: int) -> float | None:
        """The lower median, or None before `minimum` values."""
        count = len(self._ordered)
        return self._ordered[(count - 1) // 2] if count >= max(1, minimum) else None
