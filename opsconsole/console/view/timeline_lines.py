"""Steps of a timeline as lines, and one step opened; it folds no events."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import tzinfo
from typing import Any

from opsconsole.console.view.amounts import day_and_time, time_of_day
from opsconsole.console.view.fence import fenced
from opsconsole.console.view.line import Line, Tone, cut_front, fit, fit_line, width_of
from opsconsole.console.view.timeline import Step
from opsconsole.domain.text import safe, safe_line

CARET = "▌"
"""Stands where the model's next word will be."""
_QUOTED = ("reason", "text", "result", "error")
_LABELS = {"digest": "digest of the call"}
"""Where the name of a field could be taken for another thing: a decision is bound to the digest of its approval."""
_HEAD = ("type", "id", "seq", "ts", "text", "args", "reason", "result", "error")


Ruling = tuple[str, Tone]


def step_line(step: Step, *, width: int, zone: tzinfo, ruling: Ruling | None = None, speaking: bool = False) -> Line:
    """One step in exactly `width` cells; of a message that is being spoken, its newest words."""
    outcome = safe_line(step.outcome)
    if ruling is not None:
        outcome = f"{ruling[0]}  {outcome}".rstrip()
    head: Line = (
        (f"{time_of_day(step.at, zone)} ", "dim"),
        (fit(safe_line(step.what), 10) + " ", "key"),
    )
    end = min(len(outcome), max(0, width // (2 if ruling else 3)))
    room = max(0, width - width_of(head) - end - (1 if end else 0))
    line: Line = (*head, *_title(step, room, speaking=speaking))
    if end:
        own: Tone = step.tone if step.tone in ("bad", "warn", "ask") else "dim"
        line = (*line, (" " + fit(outcome, end, "right"), ruling[1] if ruling else own))
    return fit_line(line, width)


def _title(step: Step, room: int, *, speaking: bool) -> Line:
    if speaking:
        return ((fit(cut_front(safe_line(step.text[-room:] + CARET), room), room), step.tone),)
    if not step.aside:
        return ((fit(step.title, room), step.tone),)
    aside = room - width_of(((step.title, step.tone),)) - 2
    if aside < 1:
        return ((fit(step.title, room), step.tone),)
    return (step.title, step.tone), (f"  {fit(step.aside, aside)}", "dim")


def step_detail(step: Step, *, width: int, zone: tzinfo, ruling: Sequence[Line] = ()) -> list[Line]:
    """Everything said under one step's id, and the ruling on it; what comes from the agent stands in fences."""
    fields = step.fields
    lines: list[Line] = [
        ((f"{step.what} ", "key"), (day_and_time(step.at, zone), "plain"), (f"  position {step.place[0]}", "dim")),
    ]
    rest = {name: value for name, value in fields.items() if name not in _HEAD and value not in ("", None, {}, [])}
    lines += [
        ((f"{_LABELS.get(name) or safe_line(name)}: ", "dim"), (_short(value), "plain")) for name, value in rest.items()
    ]
    if step.aside:
        lines.append((("used: ", "dim"), (step.aside, "plain")))
    lines += ruling
    if isinstance(fields.get("args"), dict):
        lines += fenced("arguments", pretty(fields["args"]), width=width)
    for name in _QUOTED:
        if fields.get(name):
            lines += fenced(name, safe(str(fields[name])), width=width)
    return lines


def pretty(value: Any) -> str:
    """Indented JSON that is safe to show."""
    return safe(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def _short(value: Any) -> str:
    return safe_line(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str))
