"""The stage of a simulated shift: virtual time, seeded chance, and the story of what happened; it knows no actors."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from random import Random

START = 1_000_000.0
"""Unix seconds at the beginning of every shift."""


class Violated(AssertionError):
    """A promise was broken; the message says which."""


class Stage:
    """One shift. `now` counts seconds from its beginning."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.chance = Random(seed)
        self.now = 0.0
        self.story: list[str] = []
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0

    @property
    def clock(self) -> float:
        """Unix seconds, as the hub sees them."""
        return START + self.now

    def after(self, seconds: float, act: Callable[[], None]) -> None:
        """Do something later."""
        self._count += 1
        heapq.heappush(self._due, (self.now + seconds, self._count, act))

    def soon(self, least: float, most: float, act: Callable[[], None]) -> None:
        """Do something after a time left to chance."""
        self.after(self.chance.uniform(least, most), act)

    def tell(self, text: str) -> None:
        """Note a line of the story."""
        self.story.append(f"{self.now:9.3f}  {text}")

    def play(self, until: float) -> None:
        """Let everything happen that is due by then."""
        while self._due and self._due[0][0] <= until:
            self.now, _, act = heapq.heappop(self._due)
            act()
        self.now = until

    def demand(self, holds: bool, promise: str) -> None:
        """Raises: Violated unless the promise holds."""
        if not holds:
            self.tell(f"VIOLATED: {promise}")
            raise Violated(promise)
