"""What commands print: aligned columns, amounts and ages, each word from outside made safe; it asks nobody anything."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

import click

from opsconsole.domain.text import safe, safe_line

TONES = {
    "working": "green",
    "completed": "green",
    "dead": "green",
    "already_dead": "green",
    "failed": "red",
    "killed": "red",
    "unconfirmed": "red",
    "stopping": "red",
    "high": "red",
    "critical": "red",
    "paused": "yellow",
    "pausing": "yellow",
    "input_required": "yellow",
    "pending": "yellow",
    "medium": "yellow",
    "lost": "yellow",
    "stale": "yellow",
}
"""Words that carry a colour on a terminal; nothing is told by colour alone."""

CELL_CHARS = 60
"""A cell of a table; the whole text is in `show` and in --json."""
EXACT_BELOW = 1e15
"""What counts something is smaller; larger numbers are shown as they came."""


def echo_json(value: Any) -> None:
    """Prints JSON, indented on a terminal; ASCII only, so that nothing in it can drive one."""
    click.echo(json.dumps(value, indent=2 if sys.stdout.isatty() else None, default=str))


def echo(text: str = "") -> None:
    """Prints one text of our own (its parts already made safe)."""
    click.echo(text, color=None if _may_colour() else False)


def note(text: str) -> None:
    """Prints to stderr what is for people, not for pipes."""
    click.echo(f"opsconsole: {text}", err=True, color=None if _may_colour() else False)


def tone(word: str) -> str:
    """A word in its colour, where it has one and the terminal shows any."""
    colour = TONES.get(word)
    return click.style(word, fg=colour) if colour and _may_colour() and sys.stdout.isatty() else word


def cell(value: Any, limit: int = CELL_CHARS) -> str:
    """Anything from outside on one safe line."""
    text = value if isinstance(value, str) else "" if value is None else _json(value)
    return safe_line(text, limit=limit)


def number(value: Any) -> str:
    """A number from outside, with thousands apart; what is none as it is, on one safe line."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < EXACT_BELOW:
        return cell(value)
    return f"{value:,.0f}"


def _json(value: Any) -> str:
    try:
        return json.dumps(value, ensure_ascii=False)
    except RecursionError:
        return "(nested too deeply to show)"


def block(text: str, indent: str) -> str:
    """A longer text from outside, safe, each line behind `indent`: agent text never starts a line of ours."""
    return "\n".join(indent + line for line in safe(text).split("\n"))


def table(headers: Sequence[str], rows: Sequence[Sequence[str]], right: frozenset[int] = frozenset()) -> str:
    """Aligned columns, two spaces apart; `right` names the columns of numbers. On a terminal lines end at its edge."""
    widths = [max([width(text) for text in column]) for column in zip(headers, *rows, strict=True)]
    edge = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    lines = []
    for number, row in enumerate([headers, *rows]):
        cells = [_pad(text, widths[at], at in right) for at, text in enumerate(row)]
        line = _cut("  ".join(cells).rstrip(), edge)
        lines.append(line if number == 0 else _toned(line, row))
    return "\n".join(lines)


def width(text: str) -> int:
    """Columns that a text takes on a terminal."""
    if text.isascii():
        return len(text)
    wide = sum(unicodedata.east_asian_width(char) in "WF" for char in text)
    return len(text) + wide - sum(unicodedata.combining(char) != 0 for char in text)


def money(amount: float, *, known: bool = True) -> str:
    """US dollars; `+` where some of it has no known price."""
    return f"${amount:,.{2 if amount >= 1 else 4}f}{'' if known else '+'}"


def count(number: int) -> str:
    """A count, short."""
    for unit, size in (("M", 1_000_000), ("k", 1_000)):
        if number >= 10 * size:
            return f"{number / size:.1f}{unit}"
    return str(number)


def span(seconds: float) -> str:
    """A length of time, in its two largest units."""
    left = max(0, int(seconds))
    for unit, size, lower, part in (("d", 86_400, "h", 3_600), ("h", 3_600, "m", 60), ("m", 60, "s", 1)):
        if left >= size:
            return f"{left // size}{unit}{left % size // part:02d}{lower}"
    return f"{left}s"


def clock(at: Any) -> str:
    """A moment (unix seconds) in local time, with its date when that is not today; what is no moment as it is."""
    if at is None:
        return "-"
    try:
        moment, today = time.localtime(at), time.localtime()
        return time.strftime("%H:%M:%S" if moment[:3] == today[:3] else "%Y-%m-%d %H:%M:%S", moment)
    except (TypeError, ValueError, OverflowError, OSError):
        return cell(at)


def fields(pairs: Mapping[str, str]) -> str:
    """`name  value` lines, aligned; empty values are left out."""
    shown = {name: value for name, value in pairs.items() if value}
    wide = max((len(name) for name in shown), default=0)
    return "\n".join(f"{name.ljust(wide)}  {value}" for name, value in shown.items())


def _pad(text: str, wanted: int, right: bool) -> str:
    space = " " * (wanted - width(text))
    return space + text if right else text + space


def _cut(line: str, edge: int | None) -> str:
    if edge is None or width(line) <= edge:
        return line
    kept, used = [], 0
    for char in line:
        used += width(char)
        if used > edge - 1:
            break
        kept.append(char)
    return "".join(kept) + "…"


def _toned(line: str, row: Sequence[str]) -> str:
    """The line with its own state words coloured: only a cell that is such a word, at its place."""
    if not (_may_colour() and sys.stdout.isatty()):
        return line
    place, out = 0, []
    for text in row:
        if text in TONES and (found := line.find(text, place)) >= 0:
            out.append(line[place:found] + tone(text))
            place = found + len(text)
    return "".join(out) + line[place:]


def _may_colour() -> bool:
    return not os.environ.get("NO_COLOR")
