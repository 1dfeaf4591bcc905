"""What the hub counts of itself, for Prometheus; plain numbers on the hot path, shaped only when somebody asks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from prometheus_client import Histogram
from prometheus_client.core import Metric

from opsconsole.exposition import Exposition, levels, levels_by, totals, totals_by

PREFIX = "opsconsole_"
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
    """What one hub tells; nothing of it is global."""

    def __init__(self, counts: Counts, now: Callable[[], Gauges]) -> None:
        self.counts = counts
        self._now = now
        self._exposition = Exposition(self._families)
        registry = self._exposition.registry
        self.command_seconds = Histogram(
            f"{PREFIX}command_seconds",
            "From an operator's command to its answer, the audit entry included",
            ["do"],
            buckets=_COMMAND_SECONDS,
            registry=registry,
        )
        self.decision_wait_seconds = Histogram(
            f"{PREFIX}decision_wait_seconds",
            "From a held call to the operator's decision",
            buckets=_WAIT_SECONDS,
            registry=registry,
        )
        self.kill_ms = Histogram(
            f"{PREFIX}kill_ms", "From an accepted kill to its proof", buckets=_KILL_MS, registry=registry
        )

    def text(self) -> bytes:
        """The exposition."""
        return self._exposition.text()

    def _families(self) -> Iterator[Metric]:
        counts, now = self.counts, self._now()
        yield totals_by("type", f"{PREFIX}frames", "Frames received", counts.frames)
        yield totals_by("code", f"{PREFIX}refusals", "Requests refused at the door", counts.refusals)
        yield from totals(
            PREFIX,
            (
                ("events", "Events received", counts.events),
                ("batches_stored", "Batches of events made durable", counts.batches_stored),
                ("audit_entries", "Audit entries made durable", counts.entries_recorded),
                ("audit_failures", "Audit entries that storage refused", counts.records_failed),
                ("frames_dropped", "Event frames left to be sent again while the disk refused", counts.frames_dropped),
            ),
        )
        yield levels_by("state", f"{PREFIX}runs", "Runs on the board", now.runs_by_state)
        open_now = {"agent": now.agents, "operator": now.operators}
        yield levels_by("kind", f"{PREFIX}connections", "Open connections", open_now)
        yield from levels(
            PREFIX,
            (
                ("approvals_pending", "Calls that wait for a person", now.approvals_pending),
                ("storage_batches_waiting", "Batches that wait for the disk", now.batches_waiting),
                ("storage_bytes_waiting", "Bytes that wait for the disk", now.bytes_waiting),
                ("storage_entries_waiting", "Audit entries that wait for the disk", now.records_waiting),
                ("audit_unrecorded", "Acts done whose audit entry storage has not taken yet", now.unrecorded),
                ("storage_ok", "Whether storage takes what it is given", now.storage_ok),
            ),
        )
