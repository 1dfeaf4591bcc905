"""Headings of the grouped runs table: what the runs of a group come to, and where they stand; it orders none."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from opsconsole.console.view.amounts import money
from opsconsole.console.view.arranged import group_of
from opsconsole.console.view.line import Line, fit, fit_line, width_of
from opsconsole.console.view.status import Status, is_dead
from opsconsole.domain.run import TERMINAL
from opsconsole.domain.text import safe_line
from opsconsole.protocol.rows import RunRow

_MARK = "\x00group "
"""Begins the key of a heading: no run's id can."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """What the runs of one group come to."""

    name: str
    runs: int
    live: int
    waiting: int
    """Held calls that wait for a person."""
    cost_usd: float
    cost_known: bool
    dollars_per_minute: float
    worst: str
    """The run that needs a person most, by its key."""


def heading_of(name: str) -> str:
    """The key of a group's heading."""
    return _MARK + name


def group_named(key: str | None) -> str | None:
    """The group that a key is the heading of; None for a run's."""
    return key.removeprefix(_MARK) if key is not None and key.startswith(_MARK) else None


def headed(
    keys: Iterable[str],
    rows: Mapping[str, RunRow],
    *,
    by: str,
    urgent: Iterable[str],
    folded: frozenset[str],
) -> tuple[list[str], dict[str, Group]]:
    """`keys`, arranged in groups, with a heading before each and without the runs of folded ones; and the groups.

    `urgent` are the same keys, most urgent first.
    """
    members: dict[str, list[str]] = {}
    for key in keys:
        members.setdefault(group_of(rows[key], by), []).append(key)
    worst: dict[str, str] = {}
    for key in urgent:
        worst.setdefault(group_of(rows[key], by), key)
    listed: list[str] = []
    for name, runs in members.items():
        listed += [heading_of(name), *(() if name in folded else runs)]
    return listed, {name: _sum(name, [rows[key] for key in runs], worst[name]) for name, runs in members.items()}


def _sum(name: str, rows: list[RunRow], worst: str) -> Group:
    return Group(
        name=name,
        runs=len(rows),
        live=sum(not is_dead(row) for row in rows),
        waiting=sum(row.pending_approvals for row in rows),
        cost_usd=sum(row.cost_usd for row in rows),
        cost_known=all(row.cost_known for row in rows),
        dollars_per_minute=sum(row.cost_per_minute_usd for row in rows if row.state not in TERMINAL),
        worst=worst,
    )


def heading_line(group: Group, *, by: str, folded: bool, status: Callable[[str], Status | None], width: int) -> Line:
    """One heading in exactly `width` cells; `status` words a run by its key."""
    worst = status(group.worst)
    name = safe_line(group.name) or f"(no {by})"
    counts = f"{group.runs:,} run{'s' if group.runs != 1 else ''}, {group.live:,} live"
    spent = f"{money(group.cost_usd, known=group.cost_known)}  ${group.dollars_per_minute:.2f}/min"
    tail: Line = (
        *(() if worst is None else ((f"{worst.glyph} {worst.word}  ", worst.tone),)),
        *(((f"◆ {group.waiting}  ", "ask"),) if group.waiting else ()),
        (f"{counts}  ", "plain"),
        (spent, "strong"),
    )
    room = max(6, width - width_of(tail) - 4)
    return fit_line((("▸ " if folded else "▾ ", "key"), (fit(name, room) + "  ", "title"), *tail), width)
