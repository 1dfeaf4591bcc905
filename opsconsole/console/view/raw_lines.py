"""Events as they came, one line each and in full; it folds nothing."""

from __future__ import annotations

import json
from datetime import tzinfo

from opsconsole.console.view.amounts import day_and_time, time_of_day
from opsconsole.console.view.fence import fenced
from opsconsole.console.view.line import Line, fit, fit_line
from opsconsole.console.view.timeline import Raw
from opsconsole.console.view.timeline_lines import pretty
from opsconsole.domain.text import safe_line

_SAID = ("seq", "ts", "type")


def raw_line(raw: Raw, *, width: int, zone: tzinfo) -> Line:
    """One event in exactly `width` cells."""
    rest = {name: value for name, value in raw.event.items() if name not in _SAID and value is not None}
    text = safe_line(json.dumps(rest, ensure_ascii=False, default=str)[: 4 * max(1, width)])
    head: Line = (
        (f"{raw.key:>9} ", "dim"),
        (f"{time_of_day(raw.at, zone)} ", "dim"),
        (fit(safe_line(str(raw.event.get("type", "?"))), 8) + " ", "key"),
    )
    return fit_line((*head, (text, "quote")), width)


def raw_detail(raw: Raw, *, width: int, zone: tzinfo) -> list[Line]:
    """One event in full, secrets masked by the hub."""
    head: Line = (("event ", "key"), (raw.key, "plain"), (f"  {day_and_time(raw.at, zone)}", "dim"))
    return [head, *fenced("as the hub has it", pretty(raw.event), width=width)]
