"""How long models and tools usually take, and who has seen how many slow calls in a row; it trips nothing itself."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from opsconsole.policy.breaker_values import IN_A_ROW
from opsconsole.policy.detectors.baseline import Baseline
from opsconsole.policy.detectors.bounded import kept, put

LATENCY_WINDOW, LATENCY_MIN = 100, 20
"""Calls of one dependency that are remembered, and how many make a median."""
DEPENDENCIES_MAX = 500
STREAKS_MAX = 10_000


class Latencies:
    """The last latencies of every dependency, and the slow calls in a row of every account."""

    def __init__(self) -> None:
        self._usual: dict[str, Baseline] = {}
        self._streaks: dict[str, int] = {}

    def took(
        self, dependency: str, latency_ms: float, limits: Iterable[tuple[str, Mapping[str, float]]]
    ) -> list[tuple[str, str]]:
        """A call took so long; gives (account, words) of those among `limits` whose row of slow calls is too long."""
        usual = kept(self._usual, dependency, lambda: Baseline(LATENCY_WINDOW), DEPENDENCIES_MAX)
        median = usual.median(LATENCY_MIN)
        usual.add(latency_ms)
        found: list[tuple[str, str]] = []
        for account, trip in limits:
            ratio = trip.get("latency_ratio")
            if ratio is None or median is None:
                continue
            streak = f"{account}\0{dependency}"
            times = self._streaks.get(streak, 0) + 1 if latency_ms > ratio * median else 0
            put(self._streaks, streak, times, STREAKS_MAX)
            if times >= trip.get("in_a_row", IN_A_ROW):
                words = f"{dependency} took over {ratio:g} times its usual {median:,.0f} ms, {times} calls in a row"
                found.append((account, words))
        return found

    def forget(self, account: str) -> None:
        """The rows of an account begin anew."""
        for streak in [one for one in self._streaks if one.startswith(f"{account}\0")]:
            del self._streaks[streak]

    def dump(self) -> dict[str, Any]:
        """As JSON values."""
        return {"usual": {name: one.values for name, one in self._usual.items()}, "streaks": self._streaks}

    @classmethod
    def load(cls, state: Mapping[str, Any]) -> Latencies:
        """Put back what `dump` gave; a value that is no number is left out. Raises: KeyError, TypeError, ValueError."""
        latencies = cls()
        for name, values in state["usual"].items():
            known = (float(ms) for ms in values if ms is not None and math.isfinite(ms))
            latencies._usual[name] = Baseline(LATENCY_WINDOW, known)
        latencies._streaks = {str(streak): int(times) for streak, times in state["streaks"].items()}
        return latencies
