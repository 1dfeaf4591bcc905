"""A run on one axis of time: turns, tools, questions, retries, alerts, model changes and people, a lane each.

It reads steps; what they mean is told by the timeline.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from datetime import tzinfo
from typing import Any, NamedTuple

from opsconsole.console.view.amounts import age, time_of_day
from opsconsole.console.view.line import Line, Span, Tone, fit, fit_line
from opsconsole.console.view.sparkline import column_of
from opsconsole.console.view.timeline import Step, Timeline
from opsconsole.protocol.rows import Alert

NAME_CELLS = 8
HELD_SECONDS = 0.5
"""A policy lets a call go within milliseconds; a person never that soon."""
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


def marks(steps: Sequence[Step], *, asked: Collection[str], alerts: Iterable[Alert] = ()) -> list[Mark]:
    """The marks of steps in their order; `asked` are the keys of steps that a person was asked about."""
    again = repeats(steps)
    found = [mark for step in steps for mark in _marks(step, step.key in asked, step.key in again)]
    found += [Mark(lane="alerts", at=one.at, glyph="▲", tone=_LEVELS.get(one.level, "plain")) for one in alerts]
    return found


def held_long(timeline: Timeline) -> frozenset[str]:
    """Keys of the calls that waited at their gate as only a person lets them wait; for where no queue tells it."""
    return frozenset(
        key
        for key, step in timeline.steps.items()
        if step.fields.get("gate") and step.what != "model" and (step.gate_seconds >= HELD_SECONDS or _waits(step))
    )


def _waits(step: Step) -> bool:
    return step.fields.get("status") in ("proposed", "held")


def repeats(steps: Sequence[Step]) -> frozenset[str]:
    """Keys of the calls and turns that ask again for what failed just before, and of notes that say so."""
    failed: dict[str, set[str]] = {}
    found: list[str] = []
    for step in steps:
        if step.what == "note" and str(step.fields.get("text", "")).startswith("retry "):
            found.append(step.key)
        if step.what not in _REPEATED_KINDS or not step.key.startswith("tool:"):
            continue
        name, bad = str(step.fields.get("name")), step.fields.get("status") in _FAILED
        before = failed.get(name)
        if not before and not bad:
            continue  # most calls: what they were asked for need not be looked at
        args = json.dumps(step.fields.get("args"), sort_keys=True, default=str) if step.what == "tool" else ""
        if before and args in before:
            found.append(step.key)
        own = failed.setdefault(name, set())
        (own.add if bad else own.discard)(args)
    return frozenset(found)


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


def axis_lines(
    found: Sequence[Mark], *, start: float, end: float, width: int, zone: tzinfo, at: float | None = None
) -> list[Line]:
    """A line for each lane that has a mark, and the time below; `at` is a moment to point at."""
    columns = max(1, width - NAME_CELLS)
    end = max(end, start)
    lines: list[Line] = []
    by_lane: dict[str, list[Mark]] = {}
    for mark in found:
        by_lane.setdefault(mark.lane, []).append(mark)
    for lane in LANES:
        if lane in by_lane:
            cells = _cells(by_lane[lane], start, end, columns)
            lines.append(fit_line(((fit(lane, NAME_CELLS), "dim"), *cells), width))
    return [*lines, _scale(start, end, columns, width, zone, at)]


def _cells(own: Iterable[Mark], start: float, end: float, columns: int) -> list[Span]:
    """One character a column: the worst of what began there, else what went on there."""
    cells: list[tuple[str, Tone]] = [(" ", "dim")] * columns
    begun: set[int] = set()
    for mark in own:
        first = column_of(mark.at, start=start, end=end, columns=columns)
        if first is None:
            continue
        last = column_of(min(end, mark.at + mark.seconds), start=start, end=end, columns=columns)
        for column in range(first + 1, (first if last is None else last) + 1):
            if column not in begun:
                cells[column] = ("─", mark.tone)
        if first not in begun or _RANK.get(mark.tone, 1) >= _RANK.get(cells[first][1], 1):
            cells[first] = (mark.glyph, mark.tone)
        begun.add(first)
    return [(text, tone) for text, tone in cells]


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
