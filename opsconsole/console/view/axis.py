"""A run on one axis of time: turns, tools, questions, retries, alerts, model changes and people, a lane each.

It reads steps; what they mean is told by the timeline.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Iterable, Iterator
from datetime import tzinfo
from itertools import islice
from typing import Any, NamedTuple

from opsconsole.console.view.amounts import age, time_of_day
from opsconsole.console.view.line import Line, Span, Tone, fit, fit_line
from opsconsole.console.view.sparkline import column_of
from opsconsole.console.view.timeline import Step, Timeline
from opsconsole.protocol.rows import Alert

NAME_CELLS = 8
HELD_SECONDS = 0.5
"""A policy lets a call go within milliseconds; a person never that soon."""
PART_MARKS = 500
"""So many are drawn in one piece of work, in about two milliseconds: keys come between."""
_RANK: dict[Tone, int] = {"dim": 0, "plain": 1, "good": 2, "hold": 3, "ask": 4, "warn": 5, "bad": 6, "alarm": 7}
_LEVELS: dict[str, Tone] = {"critical": "alarm", "warning": "warn"}
_FAILED = ("failed", "killed")
_REPEATED_KINDS = ("tool", "model")


class Mark(NamedTuple):
    """Something that happened, in a lane; `seconds` is how long it took, 0 where that is not known."""

    lane: str
    at: float
    glyph: str
    tone: Tone
    seconds: float = 0.0


LANES = ("turns", "tools", "asked", "retries", "alerts", "models", "people")


def marks(steps: Iterable[Step], *, asked: Callable[[str], bool], alerts: Iterable[Alert] = ()) -> Iterator[Mark]:
    """The marks of steps in their order; `asked` tells by its key of which step a person was asked about."""
    repeats = Repeats()
    for step in steps:
        yield from _marks(step, asked(step.key), repeats.is_one(step))
    for one in alerts:
        yield Mark(lane="alerts", at=one.at, glyph="▲", tone=_LEVELS.get(one.level, "plain"))


def held_long(timeline: Timeline) -> frozenset[str]:
    """Keys of the calls that waited at their gate as only a person lets them wait; for where no queue tells it."""
    return frozenset(
        key
        for key, step in timeline.steps.items()
        if step.fields.get("gate") and step.what != "model" and (step.gate_seconds >= HELD_SECONDS or _waits(step))
    )


def _waits(step: Step) -> bool:
    return step.fields.get("status") in ("proposed", "held")


class Repeats:
    """Tells the calls and turns that ask again for what failed just before, and notes that say so."""

    def __init__(self) -> None:
        self._failed: dict[str, set[str]] = {}

    def is_one(self, step: Step) -> bool:
        """Whether this step is one; steps are shown to it in their order."""
        if step.what == "note":
            return str(step.fields.get("text", "")).startswith("retry ")
        if step.what not in _REPEATED_KINDS or not step.key.startswith("tool:"):
            return False
        name, bad = str(step.fields.get("name")), step.fields.get("status") in _FAILED
        before = self._failed.get(name)
        if not before and not bad:
            return False  # most calls: what they were asked for need not be looked at
        args = json.dumps(step.fields.get("args"), sort_keys=True, default=str) if step.what == "tool" else ""
        is_again = before is not None and args in before
        own = self._failed.setdefault(name, set())
        (own.add if bad else own.discard)(args)
        return is_again


def _marks(step: Step, asked: bool, again: bool) -> Iterable[Mark]:
    bad = step.fields.get("status") in _FAILED
    if step.key.startswith("tool:"):
        lane = "turns" if step.what == "model" else "tools"
        glyph, tone = ("✖", step.tone) if bad else ("■", step.tone)
        took = max(0.0, step.until - step.at)
        yield Mark(lane=lane, at=step.at, glyph=glyph, tone="bad" if bad else tone, seconds=took)
    if asked:
        yield Mark(lane="asked", at=step.at, glyph="◆", tone="ask" if step.tone == "ask" else "hold")
    if again:
        yield Mark(lane="retries", at=step.at, glyph="●", tone="warn")
    if step.key.startswith("served@"):
        yield Mark(lane="models", at=step.at, glyph="◉", tone="warn")
    elif lane_of_words := _words_lane(step.fields, step.what):
        yield Mark(lane=lane_of_words[0], at=step.at, glyph=lane_of_words[1], tone=lane_of_words[2])


def _words_lane(fields: dict[str, Any], what: str) -> tuple[str, str, Tone] | None:
    if what == "operator" or fields.get("author"):
        return "people", "●", "hold"
    level = str(fields.get("level", ""))
    if fields.get("type") == "note" and level in ("warning", "error"):
        return "alerts", "▲", "bad" if level == "error" else "warn"
    if fields.get("type") == "link" and fields.get("status") in ("stale", "lost"):
        return "alerts", "✖", "warn"
    return None


class Axis:
    """The lanes of the time from `start` to `end`, in hub seconds, `width` cells wide; marks are put in one by one."""

    def __init__(self, *, start: float, end: float, width: int, zone: tzinfo) -> None:
        self._start, self._end, self._width, self._zone = start, max(end, start), width, zone
        self._columns = max(1, width - NAME_CELLS)
        self._lanes: dict[str, _Lane] = {}

    def put(self, mark: Mark) -> None:
        """Draw one more; what lies outside of the time is left out."""
        first = self._column(mark.at)
        if first is not None:
            last = self._column(min(self._end, mark.at + mark.seconds)) if mark.seconds else first
            self._lane(mark.lane).put(mark, first, first if last is None else last)

    def lines(self, *, at: float | None = None) -> list[Line]:
        """A line for each lane that has a mark, and the time below; `at` is a moment to point at."""
        width = self._width
        lanes = [(name, self._lanes[name].cells) for name in LANES if name in self._lanes]
        found = [fit_line(((fit(name, NAME_CELLS), "dim"), *cells), width) for name, cells in lanes]
        return [*found, _scale(self._start, self._end, self._columns, width, self._zone, at)]

    def _lane(self, name: str) -> _Lane:
        lane = self._lanes.get(name)
        if lane is None:
            lane = self._lanes[name] = _Lane(self._columns)
        return lane

    def _column(self, at: float) -> int | None:
        return column_of(at, start=self._start, end=self._end, columns=self._columns)


class _Lane:
    """One character a column: the worst of what began there, else what went on there."""

    def __init__(self, columns: int) -> None:
        self.cells: list[Span] = [(" ", "dim")] * columns
        self._begun: set[int] = set()

    def put(self, mark: Mark, first: int, last: int) -> None:
        for column in range(first + 1, last + 1):
            if column not in self._begun:
                self.cells[column] = ("─", mark.tone)
        if first not in self._begun or _RANK.get(mark.tone, 1) >= _RANK.get(self.cells[first][1], 1):
            self.cells[first] = (mark.glyph, mark.tone)
        self._begun.add(first)


def axis_lines(
    found: Iterable[Mark], *, start: float, end: float, width: int, zone: tzinfo, at: float | None = None
) -> list[Line]:
    """The axis with all these marks on it, drawn at once."""
    axis = Axis(start=start, end=end, width=width, zone=zone)
    for mark in found:
        axis.put(mark)
    return axis.lines(at=at)


def in_parts(axis: Axis, found: Iterable[Mark]) -> Generator[None, None, list[Line]]:
    """Draw many marks a part at a time; each step is one part, the result is the axis with all of them."""
    left = iter(found)
    while part := list(islice(left, PART_MARKS)):
        for mark in part:
            axis.put(mark)
        if len(part) == PART_MARKS:
            yield
    return axis.lines()


def _scale(start: float, end: float, columns: int, width: int, zone: tzinfo, at: float | None) -> Line:
    first, last = time_of_day(start, zone), f"{age(end - start)} {time_of_day(end, zone)}"
    room = columns - len(first) - len(last)
    text = f"{first}{'·' * room}{last}" if room > 0 else first
    text = fit(text, columns)
    point = None if at is None else column_of(at, start=start, end=end, columns=columns)
    head: Span = (" " * NAME_CELLS, "dim")
    if point is None:
        return fit_line((head, (text, "dim")), width)
    return fit_line((head, (text[:point], "dim"), ("▲", "alarm"), (text[point + 1 :], "dim")), width)
