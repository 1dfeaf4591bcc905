"""The fleet in numbers: spend, burn, approvals, limits, trips, the last proven stop, and whom to shed; it stops nobody.

Everything is of the rows that the hub shows now: runs and settled questions that left the board are not in it.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from dataclasses import dataclass

from opsconsole.console.view.alerts import open_alerts
from opsconsole.console.view.board import Board
from opsconsole.console.view.limits import HubShown
from opsconsole.console.view.queue import Queue
from opsconsole.console.view.status import STALLED_SECONDS, is_dead, over_a_cap
from opsconsole.console.view.unread import as_came
from opsconsole.domain.approval import SETTLED
from opsconsole.domain.proof import Proof
from opsconsole.domain.run import TERMINAL
from opsconsole.protocol.rates import LimitRow
from opsconsole.protocol.rows import RunRow

SHED_MAX = 100
"""Runs that are offered for shedding."""
AGENTS_MAX = 50
SPENDERS_MAX = 10
HOUR_SECONDS = 3_600.0
PRIORITY_LABEL = "priority"
NORMAL = 1
_PRIORITIES = {"low": 0, "batch": 0, "background": 0, "normal": NORMAL, "high": 2, "critical": 3}
"""What the label of a run may say; a run without one, or with another word, is normal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Burn:
    """What the runs of one agent spend."""

    agent: str
    live: int = 0
    usd_per_minute: float = 0.0
    cost_usd: float = 0.0
    cost_known: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Shed:
    """A live run that spends, and what speaks for stopping it."""

    run: str
    agent: str
    priority: int
    label: str
    """What the label says; empty without one."""
    usd_per_minute: float
    cost_usd: float
    cost_known: bool
    idle_seconds: float
    """Since its last progress."""
    held_by: str
    """Who has taken it over."""

    @property
    def is_stalled(self) -> bool:
        """Whether it spends without a step."""
        return self.idle_seconds >= STALLED_SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Trip:
    """Alerts of one kind on live runs, or on the hub."""

    kind: str
    level: str
    runs: int
    text: str
    """What the newest says."""
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """A kill with its proof."""

    run: str
    agent: str
    by: str
    sent_at: float
    proof: Proof
    total_ms: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The questions that the hub shows."""

    pending: int
    oldest_at: float | None
    asked_last_hour: int
    settled_last_hour: int
    median_wait_seconds: float | None
    """From question to answer, of those settled in the last hour."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """Everything the view says."""

    runs: int
    live: int
    cost_usd: float
    live_cost_usd: float
    cost_known: bool
    usd_per_minute: float
    burns: tuple[Burn, ...]
    """Those that spend fastest first."""
    spenders: tuple[RunRow, ...]
    """The dearest runs, ended ones too."""
    shed: tuple[Shed, ...]
    trips: tuple[Trip, ...]
    unanswered: int
    """Alerts that nobody has answered, of runs that have ended."""
    capped: int
    """Live runs that have used up one of their limits."""
    unconfirmed: int
    last_stop: Stop | None
    asked: Asked
    limits: tuple[LimitRow, ...]


def fleet_of(board: Board, queue: Queue, hub: HubShown, *, now: float) -> Fleet:
    """The fleet at hub time `now`."""
    rows = list(board.rows.by_key.values())
    live = [row for row in rows if row.state not in TERMINAL or not is_dead(row)]
    burns = _burns(rows, live)
    return Fleet(
        runs=len(rows),
        live=len(live),
        cost_usd=sum([burn.cost_usd for burn in burns]),
        live_cost_usd=sum([row.cost_usd for row in live]),
        cost_known=all(burn.cost_known for burn in burns),
        usd_per_minute=sum([burn.usd_per_minute for burn in burns]),
        burns=burns[:AGENTS_MAX],
        spenders=tuple(row for _, _, row in heapq.nlargest(SPENDERS_MAX, _costs(rows))),
        shed=whom_to_shed(live, now=now),
        trips=_trips(live, hub),
        unanswered=_unanswered(rows),
        capped=sum([over_a_cap(row) for row in live]),
        unconfirmed=len(board.unconfirmed),
        last_stop=_last_stop(rows),
        asked=_asked(queue, now),
        limits=tuple(sorted(hub.limits, key=lambda one: -(one.used_share or 0.0))),
    )


def whom_to_shed(live: Iterable[RunRow], *, now: float) -> tuple[Shed, ...]:
    """Live runs that spend: the least important first; among equals those without a step, then the fastest.

    What an operator holds comes last, whatever it costs.
    """
    placed = [
        (
            row.baton is not None,
            _priority(row),
            now - row.progress_at < STALLED_SECONDS,
            -row.cost_per_minute_usd,
            -row.cost_usd,
            row.key,
            row,
        )
        for row in live
        if row.cost_per_minute_usd > 0
    ]
    return tuple(_shed(place[-1], now) for place in heapq.nsmallest(SHED_MAX, placed))


def _priority(row: RunRow) -> int:
    label = row.labels.get(PRIORITY_LABEL) if row.labels else None
    return NORMAL if label is None else _PRIORITIES.get(label.strip().lower(), NORMAL)


def _shed(row: RunRow, now: float) -> Shed:
    return Shed(
        run=row.key,
        agent=row.agent,
        priority=_priority(row),
        label=row.labels.get(PRIORITY_LABEL, ""),
        usd_per_minute=row.cost_per_minute_usd,
        cost_usd=row.cost_usd,
        cost_known=row.cost_known,
        idle_seconds=max(0.0, now - row.progress_at),
        held_by=row.baton.by if row.baton is not None else "",
    )


def _costs(rows: list[RunRow]) -> list[tuple[float, str, RunRow]]:
    return [(row.cost_usd, row.key, row) for row in rows if row.cost_usd > 0]


def _burns(rows: list[RunRow], live: list[RunRow]) -> tuple[Burn, ...]:
    spent: dict[str, list[float]] = {}
    alive: dict[str, list[float]] = {}
    unknown = {row.agent for row in rows if not row.cost_known}
    for row in rows:
        spent.setdefault(row.agent, []).append(row.cost_usd)
    for row in live:
        alive.setdefault(row.agent, []).append(row.cost_per_minute_usd)
    burns = (
        Burn(
            agent=agent,
            live=len(alive.get(agent, ())),
            usd_per_minute=sum(alive.get(agent, ())),
            cost_usd=sum(costs),
            cost_known=agent not in unknown,
        )
        for agent, costs in spent.items()
    )
    return tuple(sorted(burns, key=lambda one: (-one.usd_per_minute, -one.cost_usd, one.agent)))


def _trips(live: list[RunRow], hub: HubShown) -> tuple[Trip, ...]:
    found: dict[tuple[str, str], Trip] = {}
    alerts = [(1, alert) for row in live if row.alerts for alert in row.alerts]
    alerts += [(0, alert) for row in hub.rows.by_key.values() for alert in row.alerts]
    for runs, alert in alerts:
        had = found.get((alert.kind, alert.level))
        newest = had is None or alert.at >= had.at
        found[alert.kind, alert.level] = Trip(
            kind=alert.kind,
            level=alert.level,
            runs=runs + (0 if had is None else had.runs),
            text=alert.text if newest or had is None else had.text,
            at=alert.at if newest or had is None else had.at,
        )
    rank = {"critical": 0, "warning": 1, "info": 2}
    return tuple(sorted(found.values(), key=lambda one: (rank[one.level], -one.at, one.kind)))


def _unanswered(rows: list[RunRow]) -> int:
    """As the alerts are listed: each once, however many runs it concerns."""
    told = [row for row, came in zip(rows, as_came(rows), strict=True) if came.alerts]
    of_live = {alert.id for row in told if not is_dead(row) for alert in row.alerts}
    return len({alert.id for row in told if is_dead(row) for alert in open_alerts(row)} - of_live)


def _last_stop(rows: list[RunRow]) -> Stop | None:
    proven = [row for row in rows if row.kill is not None and row.kill.proof is not Proof.NONE and is_dead(row)]
    last = max(proven, key=lambda row: row.kill.sent_at if row.kill is not None else 0.0, default=None)
    if last is None or last.kill is None:
        return None
    kill = last.kill
    return Stop(
        run=last.key, agent=last.agent, by=kill.by, sent_at=kill.sent_at, proof=kill.proof, total_ms=kill.total_ms
    )


def _asked(queue: Queue, now: float) -> Asked:
    shown = [held.row for held in queue.rows.by_key.values()]
    waits = [
        row.decided_at - row.requested_at
        for row in shown
        if row.status in SETTLED and row.decided_at is not None and now - row.decided_at <= HOUR_SECONDS
    ]
    return Asked(
        pending=len(queue.pending),
        oldest_at=queue.oldest(),
        asked_last_hour=sum(now - row.requested_at <= HOUR_SECONDS for row in shown),
        settled_last_hour=len(waits),
        median_wait_seconds=sorted(waits)[len(waits) // 2] if waits else None,
    )
