"""How the runs table is arranged: by urgency or any column, and in groups; it leaves no run out."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from opsconsole.console.view.amounts import of_cap
from opsconsole.console.view.status import runway_ends
from opsconsole.protocol.rows import RunRow

Value = tuple[float, str]
"""What a column sorts by: numbers before words."""
URGENCY = "STATUS"
"""The column that means the order of urgency."""

_VALUES: dict[str, Callable[[RunRow], Value]] = {
    "RUN": lambda row: (0.0, row.run),
    "AGENT": lambda row: (0.0, row.agent),
    "NAME": lambda row: (0.0, row.name),
    "TURNS": lambda row: (float(row.turns), ""),
    "TOKENS": lambda row: (float(row.input_tokens + row.output_tokens), ""),
    "COST": lambda row: (row.cost_usd, ""),
    "$/MIN": lambda row: (row.cost_per_minute_usd, ""),
    "BUDGET": lambda row: (of_cap(row.cost_usd, row.caps.cost_usd) or 0.0, ""),
    "TO CAP": lambda row: (-math.inf if (ends := runway_ends(row)) is None else -ends, ""),
    "OWNER": lambda row: (0.0, row.owner),
    "NOW": lambda row: (0.0, row.doing),
    "FOR": lambda row: (-row.progress_at, ""),
    "AGE": lambda row: (-row.started_at, ""),
}
_WORDS = frozenset({"RUN", "AGENT", "NAME", "OWNER", "NOW"})
"""Columns that begin at A; the others begin with the most."""
COLUMNS = (URGENCY, *_VALUES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrangement:
    """A column to sort by, whether that is turned round, and what to group by: `agent`, `owner` or a label's name."""

    column: str = URGENCY
    reverse: bool = False
    group: str = ""

    @property
    def is_plain(self) -> bool:
        """Whether it is the order of urgency alone."""
        return self.column == URGENCY and not self.reverse and not self.group

    def by(self, column: str) -> Arrangement:
        """Sorted by this column; the same one again turns the order round."""
        return replace(self, column=column, reverse=not self.reverse if column == self.column else False)

    def next_column(self, shown: Iterable[str]) -> Arrangement:
        """Sorted by the next of the columns shown."""
        columns = [column for column in COLUMNS if column in frozenset(shown)] or [URGENCY]
        at = columns.index(self.column) if self.column in columns else -1
        return replace(self, column=columns[(at + 1) % len(columns)], reverse=False)

    @property
    def words(self) -> str:
        """For the line above the table."""
        order = "most urgent first" if self.column == URGENCY else f"by {self.column}"
        turned = " turned round" if self.reverse else ""
        return order + turned + (f", grouped by {self.group}" if self.group else "")


def column_named(text: str) -> str | None:
    """The column that somebody means by the beginning of its name; None when there is none such."""
    wanted = text.strip().upper().lstrip("$/")
    names = {column.lstrip("$/"): column for column in COLUMNS}
    begun = (column for name, column in names.items() if wanted and name.startswith(wanted))
    return names.get(wanted) or next(begun, None)


def arrange(keys: list[str], rows: Mapping[str, RunRow], arrangement: Arrangement) -> list[str]:
    """`keys` (most urgent first) as arranged; among equals the more urgent stays first, and so does its group."""
    value = _VALUES.get(arrangement.column)
    if value is None:
        ordered = keys[::-1] if arrangement.reverse else keys
    else:
        from_most = arrangement.column not in _WORDS
        ordered = sorted(keys, key=lambda key: value(rows[key]), reverse=from_most != arrangement.reverse)
    if not arrangement.group:
        return ordered
    groups: dict[str, list[str]] = {}
    for key in ordered:
        groups.setdefault(group_of(rows[key], arrangement.group), []).append(key)
    return [key for members in groups.values() for key in members]


def group_of(row: RunRow, by: str) -> str:
    """The group a run belongs to; empty where it has no such label."""
    if by == "agent":
        return row.agent
    if by == "owner":
        return row.owner
    return row.labels.get(by, "")
