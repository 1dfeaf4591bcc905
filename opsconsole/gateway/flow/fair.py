"""Who goes next where a provider does not let all go at once: max-min by weight between runs; it knows no provider.

Start-time fair queueing: a request's start tag is where its run's last one ended, or the present where the run was
quiet; the smallest tag goes first. A run that asks for much waits behind its own requests, never before another's.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field

QUEUE_PER_RUN_MAX = 64
"""Requests of one run that wait; an agent that sends more without an answer is told to come back."""
QUEUE_MAX = 2_000
RUNS_MAX = 10_000
"""Runs whose end tag is remembered; those behind the present need no memory."""


class QueueFull(Exception):
    """No more may wait."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """One request that wants to go out."""

    id: int
    run: str
    tokens: float
    """What it is thought to take."""
    weight: float = 1.0
    arrived_at: float = 0.0


@dataclass(slots=True)
class FairQueue:
    """The requests that wait for one (provider, model)."""

    _heap: list[tuple[float, int, Ticket]] = field(default_factory=list)
    _waiting: dict[int, Ticket] = field(default_factory=dict)
    _by_run: dict[str, int] = field(default_factory=dict)
    _ends: dict[str, float] = field(default_factory=dict)
    _present: float = 0.0

    def __len__(self) -> int:
        return len(self._waiting)

    def join(self, ticket: Ticket) -> None:
        """Waits from now on. Raises: QueueFull."""
        if self._by_run.get(ticket.run, 0) >= QUEUE_PER_RUN_MAX:
            raise QueueFull(f"{QUEUE_PER_RUN_MAX} requests of this run wait already")
        if len(self._waiting) >= QUEUE_MAX:
            raise QueueFull(f"{QUEUE_MAX} requests wait already")
        start = max(self._present, self._ends.get(ticket.run, 0.0))
        self._ends[ticket.run] = start + max(1.0, ticket.tokens) / max(1e-6, ticket.weight)
        self._waiting[ticket.id] = ticket
        self._by_run[ticket.run] = self._by_run.get(ticket.run, 0) + 1
        heapq.heappush(self._heap, (start, ticket.id, ticket))
        if len(self._ends) > RUNS_MAX:
            self._ends = {run: end for run, end in self._ends.items() if end > self._present}

    def next(self) -> Ticket | None:
        """Whose turn it is; it stays in the queue until it is taken."""
        while self._heap and self._heap[0][1] not in self._waiting:
            heapq.heappop(self._heap)
        return self._heap[0][2] if self._heap else None

    def take(self, ticket: Ticket) -> None:
        """It goes."""
        start = next((start for start, number, _ in self._heap[:1] if number == ticket.id), self._present)
        self._present = max(self._present, start)
        self.leave(ticket.id)

    def leave(self, number: int) -> None:
        """The ticket of this id waits no more."""
        ticket = self._waiting.pop(number, None)
        if ticket is None:
            return
        left = self._by_run[ticket.run] - 1
        if left:
            self._by_run[ticket.run] = left
        else:
            del self._by_run[ticket.run]
        if not self._waiting:  # nobody is owed anything
            self._heap.clear()
            self._ends.clear()

    def oldest(self) -> Ticket | None:
        """Who has waited longest."""
        return next(iter(self._waiting.values()), None)
