"""What the hub counts of itself, for Prometheus; plain numbers on the hot path, shaped only when somebody asks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_COMMAND_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
_WAIT_SECONDS = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)
_KILL_MS = (5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1_000.0, 2_500.0, 5_000.0, 15_000.0)


@dataclass(slots=True)
class Counts:
    """Everything that only grows; kept by whoever sees it happen."""

    frames: Counter[str] = field(default_factory=Counter)
    """By frame type, agents' and operators' together."""
    events: int = 0
    batches_stored: int = 0
    entries_recorded: int = 0
    records_failed: int = 0
    frames_dropped: int = 0
    """Event frames not taken because the disk refused; their agents send them again."""
    refusals: Counter[str] = field(default_factory=Counter)
    """By code."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gauges:
    """What is now."""

    runs_by_state: dict[str, int]
    approvals_pending: int
    batches_waiting: int
    bytes_waiting: int
    records_waiting: int
    unrecorded: int
    agents: int
    operators: int
    storage_ok: bool


class Metrics:
    """One hub's registry; nothing of it is global."""

    def __init__(self, counts: Counts, now: Callable[[], Gauges]) -> None:
        self.counts = counts
        self._now = now
        self._registry = CollectorRegistry()
        self._registry.register(self)
        self.command_seconds = Histogram(
            "opsconsole_command_seconds",
            "From an operator's command to its answer, the audit entry included",
            ["do"],
            buckets=_COMMAND_SECONDS,
            registry=self._registry,
        )
        self.decision_wait_seconds = Histogram(
            "opsconsole_decision_wait_seconds",
            "From a held call to the operator's decision",
            buckets=_WAIT_SECONDS,
            registry=self._registry,
        )
        self.kill_ms = Histogram(
            "opsconsole_kill_ms",
            "From an accepted kill to its proof",
            buckets=_KILL_MS,
            registry=self._registry,
        )

    def text(self) -> bytes:
        """The exposition."""
        return generate_latest(self._registry)

    def describe(self) -> Iterable[Metric]:
        """Nothing to say before the first collection."""
        return []

    def collect(self) -> Iterator[Metric]:
        """The counts and what is now, as metric families."""
        counts = self.counts
        yield _labelled("frames", "Frames received", "type", counts.frames)
        yield _labelled("refusals", "Requests refused at the door", "code", counts.refusals)
        for name, text, value in (
            ("events", "Events received", counts.events),
            ("batches_stored", "Batches of events made durable", counts.batches_stored),
            ("audit_entries", "Audit entries made durable", counts.entries_recorded),
            ("audit_failures", "Audit entries that storage refused", counts.records_failed),
            ("frames_dropped", "Event frames left to be sent again while the disk refused", counts.frames_dropped),
        ):
            yield CounterMetricFamily(f"opsconsole_{name}", text, value=value)
        yield from self._gauges(self._now())

    def _gauges(self, now: Gauges) -> Iterator[Metric]:
        runs = GaugeMetricFamily("opsconsole_runs", "Runs on the board", labels=["state"])
        for state, number in sorted(now.runs_by_state.items()):
            runs.add_metric([state], number)
        yield runs
        connections = GaugeMetricFamily("opsconsole_connections", "Open connections", labels=["kind"])
        connections.add_metric(["agent"], now.agents)
        connections.add_metric(["operator"], now.operators)
        yield connections
        for name, text, value in (
            ("approvals_pending", "Calls that wait for a person", now.approvals_pending),
            ("storage_batches_waiting", "Batches that wait for the disk", now.batches_waiting),
            ("storage_bytes_waiting", "Bytes that wait for the disk", now.bytes_waiting),
            ("storage_entries_waiting", "Audit entries that wait for the disk", now.records_waiting),
            ("audit_unrecorded", "Acts done whose audit entry storage has not taken yet", now.unrecorded),
            ("storage_ok", "Whether storage takes what it is given", now.storage_ok),
        ):
            yield GaugeMetricFamily(f"opsconsole_{name}", text, value=float(value))


def _labelled(name: str, text: str, label: str, counter: Counter[str]) -> Metric:
    family = CounterMetricFamily(f"opsconsole_{name}", text, labels=[label])
    for value, number in sorted(counter.items()):
        family.add_metric([value], number)
    return family
