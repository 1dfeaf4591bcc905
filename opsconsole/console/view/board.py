"""Every run the hub shows: its latest row, the order by urgency, who started whom, and counters; it draws nothing.

Nothing here is recomputed for every row on every change: counters and children follow the change of one row, and the
order is made anew only when the caller finds it due.
"""

from __future__ import annotations

import math
from collections import Counter
from datetime import tzinfo

from opsconsole.console.view.filter import RunFilter
from opsconsole.console.view.ingest import run_row
from opsconsole.console.view.rows import Rows
from opsconsole.console.view.status import (
    NEEDS_ME,
    PROOF_SECONDS,
    RECENT_FAILURE_SECONDS,
    STALLED_SECONDS,
    Rank,
    Status,
    is_dead,
    is_frozen,
    status_of,
)
from opsconsole.domain.run import TERMINAL, RunState
from opsconsole.protocol.rows import RunRow

_Place = tuple[int, float, str, str, float]
"""(urgency, order within it, key, status word, hub clock at which time alone may change it)."""


class Board:
    """The runs, by key."""

    def __init__(self, *, zone: tzinfo) -> None:
        self.rows: Rows[RunRow] = Rows(run_row, self._changed)
        self.states: Counter[str] = Counter()
        """Runs by what would be said of them: see `bucket`."""
        self.dollars_per_minute = 0.0
        self.changes = 0
        """Grows with every changed row; tells whether the order may be old."""
        self.unconfirmed: set[str] = set()
        """Runs whose kill has no proof: loud until they have one."""
        self.zone = zone
        self.now = 0.0
        """Hub clock when the latest frame came; set before rows are applied."""
        self._children: dict[str, set[str]] = {}
        self._places: dict[str, _Place] = {}
        self._ordered: list[str] = []
        """Every run, as it was ordered last."""

    def get(self, key: str | None) -> RunRow | None:
        """The row of a run, if the hub shows it."""
        return None if key is None else self.rows.by_key.get(key)

    def status(self, row: RunRow, now: float) -> Status:
        """What is said of a run at hub time `now`."""
        return status_of(row, now=now, zone=self.zone)

    def order(self, wanted: RunFilter, now: float) -> list[str]:
        """Keys of the runs that match, most urgent first; among equals the longest waiting, then the newest run."""
        places = self._places
        for key in [key for key, place in places.items() if place[4] <= now]:
            places[key] = self._place(self.rows.by_key[key], now)
        known = [key for key in self._ordered if key in places]
        fresh = places.keys() - set(known) if len(known) < len(places) else ()
        # sorting what was in order a second ago costs little more than looking at it
        self._ordered = sorted((*known, *fresh), key=places.__getitem__)
        if not wanted.tests:
            return list(self._ordered)
        rows = self.rows.by_key
        return [key for key in self._ordered if wanted.matches(rows[key], places[key][3], now)]

    def needing_me(self, keys: list[str]) -> list[str]:
        """Those of `keys` that wait for a person."""
        return [key for key in keys if key in self._places and self._places[key][0] in NEEDS_ME]

    def live(self, keys: list[str]) -> list[str]:
        """Those of `keys` that are not dead."""
        rows = ((key, self.rows.by_key.get(key)) for key in keys)
        return [key for key, row in rows if row is not None and not is_dead(row)]

    def children(self, key: str) -> list[str]:
        """The runs that this run started, oldest first."""
        known = [self.rows.by_key[child] for child in self._children.get(key, ()) if child in self.rows.by_key]
        return [row.key for row in sorted(known, key=lambda row: (row.started_at, row.key))]

    def descendants(self, key: str) -> list[str]:
        """All runs below a run, breadth first."""
        found: list[str] = []
        todo, seen = self.children(key), {key}
        while todo:
            child = todo.pop(0)
            if child not in seen:
                seen.add(child)
                found.append(child)
                todo += self.children(child)
        return found

    def root(self, key: str) -> str:
        """The eldest known ancestor of a run; a cycle of claims ends at the run itself."""
        seen = {key}
        while (row := self.rows.by_key.get(key)) is not None and row.parent in self.rows.by_key:
            if row.parent is None or row.parent in seen:
                break
            seen.add(row.parent)
            key = row.parent
        return key

    def _changed(self, key: str, before: RunRow | None, after: RunRow | None) -> None:
        self.changes += 1
        if before is not None:
            self._count(before, -1)
            if before.parent is not None and (after is None or after.parent != before.parent):
                self._children.get(before.parent, set()).discard(key)
        self.unconfirmed.discard(key)
        if after is None:
            self._places.pop(key, None)
        else:
            self._places[key] = self._place(after, self.now)
            self._count(after, 1)
            if after.parent is not None:
                self._children.setdefault(after.parent, set()).add(key)
            if after.kill is not None and after.kill.status == "unconfirmed":
                self.unconfirmed.add(key)
        if not self.rows.by_key:
            self.dollars_per_minute = 0.0

    def _place(self, row: RunRow, now: float) -> _Place:
        status = status_of(row, now=now, zone=self.zone)
        return (int(status.rank), _within(status, row), row.key, status.word, _until(status, row))

    def _count(self, row: RunRow, by: int) -> None:
        self.states[bucket(row)] += by
        if row.state not in TERMINAL:
            self.dollars_per_minute += by * row.cost_per_minute_usd


def bucket(row: RunRow) -> str:
    """The word a run is counted under."""
    if row.state in TERMINAL:
        is_open = row.kill is not None and not row.kill.status.endswith("dead")
        return row.state.value if is_dead(row) else RunState.STOPPING.value if is_open else "unknown"
    if is_frozen(row):
        return "frozen"
    if row.link != "live":
        return "unknown"
    if row.pending_approvals:
        return "approval"
    return row.state.value


def _within(status: Status, row: RunRow) -> float:
    if status.rank in (Rank.WORKING, Rank.PAUSED):
        return -row.started_at
    if status.rank in (Rank.ENDED, Rank.FAILED):
        return -status.since
    return status.since


def _until(status: Status, row: RunRow) -> float:
    if status.rank is Rank.WORKING and row.state is RunState.WORKING:
        return row.progress_at + STALLED_SECONDS
    if status.rank is Rank.STOPPING and row.outlived:
        return status.since + PROOF_SECONDS
    if status.rank is Rank.FAILED:
        return status.since + RECENT_FAILURE_SECONDS
    return math.inf
