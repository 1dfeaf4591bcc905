"""What a gateway counts of itself, for Prometheus; plain numbers on the hot path, shaped only when somebody asks."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from prometheus_client.core import HistogramMetricFamily, Metric

from opsconsole.exposition import Exposition, levels, totals, totals_by

PREFIX = "opsconsole_gateway_"
WAIT_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 1.0, 5.0, 30.0, 120.0, 600.0)
"""Bounds of the buckets; a verdict of the policy is at the left, one of a person at the right."""


@dataclass(slots=True)
class Counts:
    """Everything that is counted as it happens, on the gateway's loop."""

    requests: Counter[str] = field(default_factory=Counter)
    """By endpoint."""
    turns: int = 0
    joined: int = 0
    """Requests that joined the pending turn of one sent before."""
    held: int = 0
    """Calls held for a verdict."""
    refused: int = 0
    reasks: int = 0
    composed: int = 0
    """Answers by an operator."""
    chunks: int = 0
    holding: int = 0
    """Turns that wait for a decision now."""
    upstream_errors: Counter[str] = field(default_factory=Counter)
    """By provider."""
    wait_seconds: float = 0.0
    waits: list[int] = field(default_factory=lambda: [0] * (len(WAIT_SECONDS) + 1))

    def waited(self, seconds: float) -> None:
        """A decision came after so long."""
        self.wait_seconds += seconds
        self.waits[bisect_left(WAIT_SECONDS, seconds)] += 1


class Metrics:
    """One gateway's registry."""

    def __init__(
        self,
        counts: Counts,
        now: Callable[[], Mapping[str, float]],
        more: Callable[[], Iterable[Metric]] = tuple,
    ) -> None:
        self._counts, self._now, self._more = counts, now, more
        self._exposition = Exposition(self._families)

    def text(self) -> bytes:
        """The exposition."""
        return self._exposition.text()

    def _families(self) -> Iterator[Metric]:
        counts = self._counts
        yield totals_by("endpoint", f"{PREFIX}requests", "Requests received", counts.requests)
        yield totals_by("provider", f"{PREFIX}upstream_errors", "Errors of providers", counts.upstream_errors)
        yield from totals(
            PREFIX,
            (
                ("turns", "Turns of models begun", counts.turns),
                ("joined", "Requests that joined a pending turn", counts.joined),
                ("held_calls", "Calls of tools held for a verdict", counts.held),
                ("refused_turns", "Turns refused", counts.refused),
                ("reasks", "Turns asked again after all of their calls were refused", counts.reasks),
                ("composed", "Answers by an operator as the model", counts.composed),
                ("chunks", "Chunks read from providers", counts.chunks),
            ),
        )
        now = {**self._now(), "holding": counts.holding}
        yield from levels(PREFIX, ((name, f"{name.replace('_', ' ')} now", number) for name, number in now.items()))
        yield self._waits()
        yield from self._more()

    def _waits(self) -> Metric:
        counts = self._counts
        total, buckets = 0, list[tuple[str, float]]()
        for bound, number in zip((*WAIT_SECONDS, float("inf")), counts.waits, strict=True):
            total += number
            buckets.append(("+Inf" if bound == float("inf") else str(bound), float(total)))
        text = "From a proposal to its decision"
        return HistogramMetricFamily(f"{PREFIX}decision_seconds", text, buckets=buckets, sum_value=counts.wait_seconds)
