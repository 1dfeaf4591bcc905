"""Every run the hub shows: its latest row, the order by urgency, who started whom, and counters; it draws nothing.

Nothing here is recomputed for every row on every change: counters and children follow the change of one row, and the
order is made anew only when the caller finds it due.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import tzinfo

from msgspec import Struct

from opsconsole.console.view.filter import RunFilter
from opsconsole.console.view.rows import Rows
from opsconsole.console.view.status import (
    NEEDS_ME,
    PAUSING_SECONDS,
    PROOF_SECONDS,
    RECENT_FAILURE_SECONDS,
    STALLED_SECONDS,
    WORKING,
    Rank,
    Status,
    is_dead,
    is_frozen,
    over_a_cap,
    paused_since,
    status_of,
)
from opsconsole.console.view.unread import at_work, read, taken_in
from opsconsole.domain.run import HELD, TERMINAL, RunState
from opsconsole.domain.tool_call import RISK_RANK
from opsconsole.protocol.rows import RunRow

_RATE_UNITS = 1_000_000
"""To the dollar a minute."""
_Place = tuple[int, float, str, str, float]
"""(urgency, order within it, key, status word, hub clock at which time alone may change it)."""


class Tally(Struct, frozen=True, gc=False):
    """What one run counts as."""

    bucket: str
    rate: int
    """In `_RATE_UNITS`."""
    parent: str | None
    is_unconfirmed: bool


DEAD = frozenset(state.value for state in TERMINAL)
"""What runs that are dead count as, and no others."""
_AT_WORK = int(Rank.WORKING)
_BEFORE_OVERRUN = frozenset({Rank.CAPPED, Rank.APPROVAL, Rank.TAKEOVER, Rank.INPUT})
"""What a run may be shown as while the pause for its cap may still take effect."""
_AGES = 1e10
"""Longer than anything waits, in seconds: a worse risk stands above all that waits."""
_COUNTED_AS_WORKING = RunState.WORKING.value
_LOUDER = frozenset({"takeover", "alert", "stalled"})
"""What is shown, and counted, of a run in place of what it says of itself; that it is paused is counted as such."""
NOTHING = Tally("", 0, None, False)
"""What no run counts as."""


class Board:
    """The runs, by key."""

    def __init__(self, *, zone: tzinfo) -> None:
        self.rows: Rows[RunRow] = Rows(taken_in, self._changed)
        self.states: Counter[str] = Counter()
        """Runs by what would be said of them: see `bucket`."""
        self.changes = 0
        """Grows with every changed row; tells whether the order may be old."""
        self.unconfirmed: set[str] = set()
        """Runs whose kill has no proof: loud until they have one."""
        self.zone = zone
        self.now = 0.0
        """Hub clock when the latest frame came; set before rows are applied."""
        self._children: dict[str, set[str]] = {}
        self._places: dict[str, _Place] = {}
        self._tallies: dict[str, Tally] = {}
        self._rate = 0
        """In `_RATE_UNITS`, whole numbers: however they changed, the same rows come to the same sum."""
        self._ordered: list[str] = []
        """Every run, as it was ordered last."""
        self._moved: set[str] = set()
        """Runs that stand elsewhere now, or nowhere, than they did then."""
        self._stands_until = math.inf
        """Hub clock before which no place changes by time alone."""

    @property
    def dollars_per_minute(self) -> float:
        """What all live runs spend."""
        return self._rate / _RATE_UNITS

    def get(self, key: str | None) -> RunRow | None:
        """The row of a run, if the hub shows it."""
        row = None if key is None else self.rows.by_key.get(key)
        return None if row is None else read(row)

    def status(self, row: RunRow, now: float) -> Status:
        """What is said of a run at hub time `now`."""
        return status_of(row, now=now, zone=self.zone)

    def order(self, wanted: RunFilter, now: float) -> list[str]:
        """Keys of the runs that match, most urgent first; among equals the longest waiting, then the newest run."""
        places = self._places
        if self._stands_until <= now:
            self._place_by_time(now)
        if self._moved:
            stood = [key for key in self._ordered if key not in self._moved]
            # sorting what was in order a second ago costs little more than looking at it
            self._ordered = sorted((*stood, *(self._moved & places.keys())), key=places.__getitem__)
            self._moved.clear()
        if not wanted.tests:
            return list(self._ordered)
        rows = self.rows.by_key
        return [key for key in self._ordered if wanted.matches(rows[key], places[key][3], now)]

    def needing_me(self, keys: list[str]) -> list[str]:
        """Those of `keys` that wait for a person."""
        return [key for key in keys if key in self._places and self._places[key][0] in NEEDS_ME]

    def live(self, keys: Iterable[str]) -> list[str]:
        """Those of `keys` that are not dead."""
        tallies = self._tallies
        return [key for key in keys if key in tallies and tallies[key].bucket not in DEAD]

    def below(self, keys: Sequence[str]) -> set[str]:
        """The live runs below any of `keys`, themselves not among them."""
        named = set(keys)
        parents = [key for key, children in self._children.items() if children and key in named]
        return {child for key in parents for child in self.live(self.descendants(key))} - named

    def told(self, keys: Iterable[str]) -> list[RunRow]:
        """Rows of many runs, for the words and numbers in them: they are not read further."""
        rows = self.rows.by_key
        return [row for row in map(rows.get, keys) if row is not None]

    def children(self, key: str) -> list[str]:
        """The runs that this run started, oldest first."""
        known = [self.rows.by_key[child] for child in self._children.get(key, ()) if child in self.rows.by_key]
        return [row.key for row in sorted(known, key=lambda row: (row.started_at, row.key))]

    def descendants(self, key: str) -> list[str]:
        """All runs below a run, breadth first."""
        found: list[str] = []
        ahead, seen = self.children(key), {key}
        while ahead:
            child = ahead.pop(0)
            if child not in seen:
                seen.add(child)
                found.append(child)
                ahead += self.children(child)
        return found

    def descendants_of(self, keys: Sequence[str]) -> list[str]:
        """All runs below any of `keys`, each once, those among `keys` left out."""
        parents = [key for key in keys if self._children.get(key)]
        named = set(keys) if parents else set()
        found = dict.fromkeys(child for key in parents for child in self.descendants(key))
        return [child for child in found if child not in named]

    def root(self, key: str) -> str:
        """The eldest known ancestor of a run; a cycle of claims ends at the run itself."""
        seen = {key}
        while (row := self.rows.by_key.get(key)) is not None and row.parent in self.rows.by_key:
            if row.parent is None or row.parent in seen:
                break
            seen.add(row.parent)
            key = row.parent
        return key

    def _place_by_time(self, now: float) -> None:
        """Time alone has put some elsewhere."""
        places = self._places
        for key in [key for key, place in places.items() if place[4] <= now]:
            row = read(self.rows.by_key[key])
            places[key] = self._place(row, now)
            self._moved.add(key)
            self._recount(key, _tally(row, places[key][3]))
        self._stands_until = min((place[4] for place in places.values()), default=math.inf)

    def _changed(self, key: str, _before: RunRow | None, after: RunRow | None) -> None:
        self.changes += 1
        if after is None:
            self._places.pop(key, None)
            self._moved.add(key)
            self._recount(key, NOTHING)
            self._tallies.pop(key)
            return
        place, now = self._judged(after)
        stood = self._places.get(key)
        if stood is None or place[1] != stood[1] or place[0] != stood[0]:
            self._moved.add(key)
        if place[4] < self._stands_until:
            self._stands_until = place[4]
        self._places[key] = place
        if now != self._tallies.get(key):
            self._recount(key, now)

    def _judged(self, row: RunRow) -> tuple[_Place, Tally]:
        """Where it stands and what it counts as; most of a fleet does nothing but work, and needs no closer look."""
        told = at_work(row)
        if told is not None and self.now - told.progress_at < STALLED_SECONDS:
            place = (_AT_WORK, -told.started_at, told.key, WORKING, told.progress_at + STALLED_SECONDS)
            parent = told.parent if told.parent is None else row.parent
            return place, Tally(_COUNTED_AS_WORKING, _units(told.cost_per_minute_usd), parent, False)
        row = read(row)
        place = self._place(row, self.now)
        return place, _tally(row, place[3])

    def _place(self, row: RunRow, now: float) -> _Place:
        status = status_of(row, now=now, zone=self.zone)
        return (int(status.rank), _within(status, row), row.key, status.word, _until(status, row))

    def _recount(self, key: str, now: Tally) -> None:
        was = self._tallies.get(key, NOTHING)
        self._tallies[key] = now
        self._rate += now.rate - was.rate
        if was.bucket != now.bucket:
            self.states[was.bucket] -= 1
            self.states[now.bucket] += 1
            del self.states[NOTHING.bucket]
        if was.parent != now.parent:
            self._children.get(was.parent or "", set()).discard(key)
            if now.parent is not None:
                self._children.setdefault(now.parent, set()).add(key)
        if was.is_unconfirmed != now.is_unconfirmed:
            (self.unconfirmed.add if now.is_unconfirmed else self.unconfirmed.discard)(key)


def _units(dollars_per_minute: float) -> int:
    return round(dollars_per_minute * _RATE_UNITS) if math.isfinite(dollars_per_minute) else 0


def _tally(row: RunRow, shown: str) -> Tally:
    dollars = 0.0 if row.state in TERMINAL else row.cost_per_minute_usd
    is_unconfirmed = row.kill is not None and row.kill.status == "unconfirmed"
    return Tally(bucket(row, shown), _units(dollars), row.parent, is_unconfirmed)


def bucket(row: RunRow, shown: str) -> str:
    """The word a run is counted under, `shown` being its status."""
    if row.state in TERMINAL:
        is_open = row.kill is not None and not row.kill.status.endswith("dead")
        return row.state.value if is_dead(row) else RunState.STOPPING.value if is_open else "unknown"
    if is_frozen(row):
        return "frozen"
    if row.link != "live":
        return "unknown"
    if row.pending_approvals:
        return "approval"
    return shown if shown in _LOUDER and row.state not in HELD else row.state.value


def _within(status: Status, row: RunRow) -> float:
    if status.rank in (Rank.WORKING, Rank.PAUSED):
        return -row.started_at
    if status.rank in (Rank.ENDED, Rank.FAILED):
        return -status.since
    if status.rank is Rank.APPROVAL and row.pending_risk is not None:
        return status.since - _AGES * RISK_RANK[row.pending_risk]
    return status.since


def _until(status: Status, row: RunRow) -> float:
    if status.rank is Rank.WORKING and row.state is RunState.WORKING:
        return row.progress_at + STALLED_SECONDS
    if status.rank in _BEFORE_OVERRUN and row.state is RunState.PAUSING and over_a_cap(row):
        return paused_since(row) + PAUSING_SECONDS
    if status.rank is Rank.STOPPING and row.outlived:
        return status.since + PROOF_SECONDS
    if status.rank is Rank.FAILED:
        return status.since + RECENT_FAILURE_SECONDS
    return math.inf
