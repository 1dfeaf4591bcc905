"""A run that is over or under way, as a tape: what was known of it after each of its events; it fetches none.

A step is folded only when it is looked at, from its own events: going back costs what going on does.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from opsconsole.console.view.ingest import in_pane
from opsconsole.console.view.timeline import TEXT_CHARS_MAX, Step, Timeline, step_key
from opsconsole.domain.text import safe_line

TAPE_EVENTS_MAX = 50_000
"""Of one run; the tape says when there were more."""
FOLDED_KEPT_MAX = 2_000
"""Steps kept folded: some screens of them."""
_OPEN = frozenset({"proposed", "held", "running"})
_BAD = frozenset({"failed", "denied", "killed"})
_ALARMING = frozenset({"warning", "error"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """What was known of the run after some of its events."""

    agent: str = ""
    name: str = ""
    state: str = "unknown"
    turns: int = 0
    tokens: int = 0
    cost_usd: float | None = None
    """None where no turn told what it cost."""
    open_calls: int = 0


@dataclass(slots=True, kw_only=True)
class _Fold:
    """The numbers of a moment while the tape is read."""

    about: dict[str, str]
    usage: dict[str, tuple[int, int, float | None]]
    open: set[str]

    def moment(self) -> Moment:
        known = [cost for _, _, cost in self.usage.values() if cost is not None]
        return Moment(
            agent=self.about.get("agent", ""),
            name=self.about.get("name", ""),
            state=self.about.get("state", "unknown"),
            turns=sum(turns for turns, _, _ in self.usage.values()),
            tokens=sum(tokens for _, tokens, _ in self.usage.values()),
            cost_usd=sum(known) if known else None,
            open_calls=len(self.open),
        )

    def take(self, event: dict[str, Any], key: str) -> bool:
        """Count one event in; whether it is worth a stop."""
        kind, status = event.get("type"), event.get("status")
        if kind == "run":
            self.about |= {name: _line(event[name]) for name in ("agent", "name") if event.get(name)}
            return True
        if kind == "state":
            self.about["state"] = _line(event.get("state"))
            return True
        if kind == "usage":
            tokens = _count(event, "input_tokens") + _count(event, "output_tokens")
            cost = event.get("cost_usd")
            known = float(cost) if isinstance(cost, int | float) else None
            self.usage[_line(event.get("model"))] = (_count(event, "turns"), tokens, known)
            return False
        if kind == "tool":
            (self.open.add if status in _OPEN and event.get("kind") != "model_call" else self.open.discard)(key)
            return status in _BAD or bool(event.get("gate"))
        return kind == "command" or bool(event.get("author")) or event.get("level") in _ALARMING


class Tape:
    """The events of one run, oldest first; `index` counts those that have happened, from 0 to len(tape)."""

    def __init__(self, run: str, rows: Sequence[dict[str, Any]], *, is_cut: bool = False) -> None:
        self.run = run
        self.is_cut = is_cut or len(rows) > TAPE_EVENTS_MAX
        self._rows = sorted(filter(_readable, rows), key=_place)[:TAPE_EVENTS_MAX]
        self._times: list[float] = []
        self._moments = [Moment()]
        self._last_key: list[str] = []
        """Index of an event -> the step that it belongs to."""
        self.stops: list[int] = []
        """Where something happened that is worth a look: states, held calls, failures, people, warnings."""
        self._of_step: dict[str, list[int]] = {}
        self._folded: dict[tuple[str, int], Step] = {}
        self._read()
        self._keys = list(self._of_step)
        self._firsts = [indexes[0] for indexes in self._of_step.values()]
        self.whole = Timeline(run)
        """Everything, for what is drawn of the run as a whole."""
        self.whole.add([dict(row) for row in self._rows])

    def __len__(self) -> int:
        return len(self._rows)

    def at(self, index: int) -> float:
        """When the latest event that has happened came, hub clock."""
        return self._times[max(0, min(index, len(self)) - 1)] if self._times else 0.0

    def index_at(self, at: float) -> int:
        """How many events had happened by then."""
        return bisect_right(self._times, at)

    def moment(self, index: int) -> Moment:
        """What was known then."""
        return self._moments[max(0, min(index, len(self)))]

    def order(self, index: int) -> list[str]:
        """Keys of the steps that had begun by then, oldest first."""
        return self._keys[: bisect_left(self._firsts, index)]

    def latest(self, index: int) -> str | None:
        """The step that the latest event belongs to; of usage, the step before."""
        for place in range(min(index, len(self)) - 1, -1, -1):
            if self._last_key[place]:
                return self._last_key[place]
        return None

    def step(self, key: str, index: int) -> Step | None:
        """A step as it stood then; None where it had not begun."""
        indexes = self._of_step.get(key, [])
        count = bisect_left(indexes, index)
        if count == 0:
            return None
        known = self._folded.get((key, count))
        if known is None:
            one = Timeline(self.run)
            one.add([self._rows[place] for place in indexes[:count]])
            known = one.steps[key]
            if count == len(indexes) and key in self.whole.steps:
                known.aside = self.whole.steps[key].aside
            while len(self._folded) >= FOLDED_KEPT_MAX:
                del self._folded[next(iter(self._folded))]
            self._folded[key, count] = known
        return known

    def next_stop(self, index: int) -> int:
        """The next index worth a look, or the end."""
        place = bisect_right(self.stops, index)
        return self.stops[place] if place < len(self.stops) else len(self)

    def last_stop(self, index: int) -> int:
        """The index worth a look before this one, or the beginning."""
        place = bisect_left(self.stops, index)
        return self.stops[place - 1] if place else 0

    def _read(self) -> None:
        fold = _Fold(about={}, usage={}, open=set())
        latest = float("-inf")
        for index, row in enumerate(self._rows):
            event = row["event"] = in_pane(row["event"], limit=TEXT_CHARS_MAX)
            latest = max(latest, float(row["at"]))
            key = "" if event.get("type") == "usage" else step_key(event, _place(row))
            if key:
                self._of_step.setdefault(key, []).append(index)
            before = fold.about.get("state"), len(fold.open)
            worth = fold.take(event, key)
            changed = before != (fold.about.get("state"), len(fold.open)) or event.get("type") in ("run", "usage")
            self._moments.append(fold.moment() if changed else self._moments[-1])
            self._times.append(latest)
            self._last_key.append(key)
            if worth:
                self.stops.append(index + 1)


def _readable(row: dict[str, Any]) -> bool:
    return (
        isinstance(row.get("event"), dict)
        and isinstance(row.get("position"), int)
        and isinstance(row.get("at"), int | float)
    )


def _place(row: dict[str, Any]) -> tuple[int, int]:
    seq = row["event"].get("seq")
    return row["position"], seq if isinstance(seq, int) else 0


def _count(event: dict[str, Any], name: str) -> int:
    value = event.get(name)
    return value if isinstance(value, int) and value >= 0 else 0


def _line(value: Any) -> str:
    return safe_line(str(value)) if value is not None else ""
