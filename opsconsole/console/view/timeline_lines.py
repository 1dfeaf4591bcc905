"""Steps of a timeline as lines, and one step opened; it folds no events."""

from __future__ import annotations

import json
from datetime import tzinfo
from typing import Any

from opsconsole.console.view.amounts import day_and_time, time_of_day
from opsconsole.console.view.fence import fenced
from opsconsole.console.view.line import Line, fit, fit_line, width_of
from opsconsole.console.view.timeline import Step
from opsconsole.domain.text import safe, safe_line

_QUOTED = ("reason", "text", "result", "error")
_HEAD = ("type", "id", "seq", "ts", "text", "args", "reason", "result", "error")


def step_line(step: Step, *, width: int, zone: tzinfo) -> Line:
    """One step in exactly `width` cells."""
    outcome = safe_line(step.outcome)
    head: Line = (
        (f"{time_of_day(step.at, zone)} ", "dim"),
        (fit(safe_line(step.what), 10) + " ", "key"),
    )
    end = min(len(outcome), max(0, width // 3))
    room = width - width_of(head) - end - (1 if end else 0)
    line: Line = (*head, (fit(step.title, max(0, room)), step.tone))
    if end:
        line = (*line, (" " + fit(outcome, end, "right"), step.tone if step.tone in ("bad", "warn", "ask") else "dim"))
    return fit_line(line, width)


def step_detail(step: Step, *, width: int, zone: tzinfo) -> list[Line]:
    """Everything that was said under one step's id; what comes from the agent stands in fences."""
    fields = step.fields
    lines: list[Line] = [
        ((f"{step.what} ", "key"), (day_and_time(step.at, zone), "plain"), (f"  position {step.place[0]}", "dim")),
    ]
    rest = {name: value for name, value in fields.items() if name not in _HEAD and value not in ("", None, {}, [])}
    lines += [((f"{safe_line(name)}: ", "dim"), (_short(value), "plain")) for name, value in rest.items()]
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
