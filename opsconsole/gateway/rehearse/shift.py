"""The people on shift as the rehearsal imagines them: the next free operator decides; it knows no model."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass

SERVICE_SHARE = 0.25
"""The quartile of the recorded times to decide that is taken for the work itself: longer ones waited first."""
SERVICE_SECONDS_MIN = 5.0
SERVICE_SECONDS_ASSUMED = 30.0
"""Where nothing was decided."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShiftResult:
    """How it went. Times are simulated seconds."""

    service_seconds: float
    waits: list[float]
    """Of each question, until an operator took it up."""
    first_late_at: float | None
    """When a question first waited longer than `late_seconds`."""


def service_seconds(decided_in: Sequence[float]) -> float:
    """How long a decision takes whom nothing keeps waiting."""
    if not decided_in:
        return SERVICE_SECONDS_ASSUMED
    ordered = sorted(decided_in)
    return max(SERVICE_SECONDS_MIN, ordered[int(SERVICE_SHARE * (len(ordered) - 1))])


def worked(asked_at: Sequence[float], operators: int, each_seconds: float, late_seconds: float) -> ShiftResult:
    """Questions in the order of their coming, decided by so many operators."""
    free = [0.0] * max(1, operators)
    heapq.heapify(free)
    waits: list[float] = []
    first_late: float | None = None
    for at in sorted(asked_at):
        begun = max(at, heapq.heappop(free))
        heapq.heappush(free, begun + each_seconds)
        waits.append(begun - at)
        if begun - at > late_seconds and first_late is None:
            first_late = at
    return ShiftResult(service_seconds=each_seconds, waits=waits, first_late_at=first_late)
