"""How a process tells Prometheus what it counted: metric families out of plain numbers, as text; it counts nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
Told = tuple[str, str, float]
"""(name without its prefix, what it says, number)"""


class Exposition:
    """One process's registry; nothing of it is global. `collect` is asked for the families at each reading."""

    def __init__(self, collect: Callable[[], Iterable[Metric]]) -> None:
        self.registry = CollectorRegistry()
        """For what keeps its own numbers, such as a histogram."""
        self._collect = collect
        self.registry.register(self)

    def text(self) -> bytes:
        """What a reader gets, as CONTENT_TYPE."""
        return generate_latest(self.registry)

    def describe(self) -> Iterable[Metric]:
        """Nothing to say before the first reading."""
        return []

    def collect(self) -> Iterable[Metric]:
        """The families as they are now."""
        return self._collect()


def totals(prefix: str, told: Iterable[Told]) -> Iterable[Metric]:
    """What only grows, a family each."""
    return [CounterMetricFamily(prefix + name, text, value=number) for name, text, number in told]


def levels(prefix: str, told: Iterable[Told]) -> Iterable[Metric]:
    """What is now, a family each."""
    return [GaugeMetricFamily(prefix + name, text, value=float(number)) for name, text, number in told]


def totals_by(label: str, name: str, text: str, numbers: Mapping[str, float]) -> Metric:
    """What only grows, by the value of a label, in its order."""
    return _labelled(CounterMetricFamily(name, text, labels=[label]), numbers)


def levels_by(label: str, name: str, text: str, numbers: Mapping[str, float]) -> Metric:
    """What is now, by the value of a label, in its order."""
    return _labelled(GaugeMetricFamily(name, text, labels=[label]), numbers)


def _labelled(family: CounterMetricFamily | GaugeMetricFamily, numbers: Mapping[str, float]) -> Metric:
    for value, number in sorted(numbers.items()):
        family.add_metric([value], number)
    return family
