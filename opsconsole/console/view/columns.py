"""The cells of the runs table at any width: which columns there is room for, and what a run says in each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from opsconsole.console.view.alerts import badge
from opsconsole.console.view.amounts import age, bar, count, money, of_cap, rate
from opsconsole.console.view.line import Align, Line, Span, Tone, fit
from opsconsole.console.view.presence import names
from opsconsole.console.view.run_summary import RUNWAY_SHORT_SECONDS
from opsconsole.console.view.status import Status, runway_ends
from opsconsole.domain.ids import short_id
from opsconsole.domain.run import TERMINAL
from opsconsole.protocol.rows import RunRow

NOW_CELLS_MIN = 16
"""The column that says what goes on keeps at least this much before another column is added."""

SHARE_MAX = 9.99
"""Of a cap; how many times over it is used says the cost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column: its title, its width in cells, and when it is worth the room (lowest first)."""

    title: str
    width: int
    priority: int
    align: Align
    cell: Callable[[RunRow, Status, float], Span]


def _status(_row: RunRow, status: Status, _now: float) -> Span:
    return f"{status.glyph} {status.word}", status.tone


def _run(row: RunRow, _status: Status, _now: float) -> Span:
    return short_id(row.run), "plain"


def _agent(row: RunRow, _status: Status, _now: float) -> Span:
    children = f" +{row.children}" if row.children else ""
    return f"{row.agent}{children}", "strong"


def _turns(row: RunRow, _status: Status, _now: float) -> Span:
    if row.caps.turns is None:
        return str(row.turns), "plain"
    return f"{row.turns}/{row.caps.turns}", _heat(of_cap(row.turns, row.caps.turns))


def _tokens(row: RunRow, _status: Status, _now: float) -> Span:
    used = row.input_tokens + row.output_tokens
    return count(used), _heat(of_cap(used, row.caps.tokens))


def _cost(row: RunRow, _status: Status, _now: float) -> Span:
    return money(row.cost_usd, known=row.cost_known), _heat(of_cap(row.cost_usd, row.caps.cost_usd))


def _rate(row: RunRow, _status: Status, _now: float) -> Span:
    if row.state in TERMINAL:
        return "", "dim"
    return rate(row.cost_per_minute_usd), "plain"


def _budget(row: RunRow, _status: Status, _now: float) -> Span:
    share = of_cap(row.cost_usd, row.caps.cost_usd)
    if share is None:
        return "no cap", "dim"
    return f"{bar(share, 5)} {min(share, SHARE_MAX):4.0%}", _heat(share)


def _to_cap(row: RunRow, _status: Status, now: float) -> Span:
    ends = runway_ends(row)
    if ends is None:
        return "", "dim"
    left = ends - now
    return age(left), "warn" if left < RUNWAY_SHORT_SECONDS else "plain"


def _now(row: RunRow, status: Status, _clock: float) -> Span:
    alerts = badge(row)
    if alerts is not None:
        return f"{alerts[0]}  {status.now}", alerts[1]
    return status.now, "dim" if status.tone == "dim" else "plain"


def _since(row: RunRow, status: Status, now: float) -> Span:
    return age(now - status.since), status.tone if status.tone in ("ask", "bad", "alarm", "warn") else "dim"


def _age(row: RunRow, _status: Status, now: float) -> Span:
    end = row.ended_at if row.ended_at is not None else now
    return age(end - row.started_at), "dim"


def _owner(row: RunRow, _status: Status, _now: float) -> Span:
    return row.owner, "dim"


def _name(row: RunRow, _status: Status, _now: float) -> Span:
    return row.name, "dim"


_COLUMNS = (
    Column(title="STATUS", width=13, priority=0, align="left", cell=_status),
    Column(title="RUN", width=8, priority=7, align="left", cell=_run),
    Column(title="AGENT", width=12, priority=0, align="left", cell=_agent),
    Column(title="NAME", width=18, priority=10, align="left", cell=_name),
    Column(title="OWNER", width=10, priority=6, align="left", cell=_owner),
    Column(title="TURNS", width=8, priority=2, align="right", cell=_turns),
    Column(title="TOKENS", width=6, priority=9, align="right", cell=_tokens),
    Column(title="COST", width=9, priority=1, align="right", cell=_cost),
    Column(title="BUDGET", width=10, priority=3, align="left", cell=_budget),
    Column(title="$/MIN", width=6, priority=4, align="right", cell=_rate),
    Column(title="TO CAP", width=6, priority=5, align="right", cell=_to_cap),
    Column(title="NOW", width=NOW_CELLS_MIN, priority=0, align="left", cell=_now),
    Column(title="FOR", width=5, priority=0, align="right", cell=_since),
    Column(title="AGE", width=5, priority=8, align="right", cell=_age),
)
_TIGHT = {"STATUS": 10, "AGENT": 9, "NOW": 8}
"""Widths on a screen so narrow that even the first columns do not fit."""


@lru_cache(maxsize=32)
def columns_for(width: int) -> tuple[tuple[Column, int], ...]:
    """The columns that fit in `width` cells with their widths; what is left over goes to NOW."""
    chosen = {column.title for column in _COLUMNS if column.priority == 0}
    for column in sorted(_COLUMNS, key=lambda column: column.priority):
        if _total(chosen | {column.title}) <= width:
            chosen.add(column.title)
    narrow = _total(chosen) > width
    widths = {
        column.title: _TIGHT.get(column.title, column.width) if narrow else column.width
        for column in _COLUMNS
        if column.title in chosen
    }
    widths["NOW"] = max(0, widths["NOW"] + width - sum(widths.values()) - len(widths) + 1)
    return tuple((column, widths[column.title]) for column in _COLUMNS if widths.get(column.title))


def _total(titles: set[str]) -> int:
    return sum(column.width + 1 for column in _COLUMNS if column.title in titles) - 1


def titles(width: int) -> str:
    """The heading of the table."""
    return " ".join(fit(column.title, cells, column.align) for column, cells in columns_for(width))


def run_line(row: RunRow, status: Status, *, now: float, width: int, looking: Sequence[str] = ()) -> Line:
    """One row of the table in exactly `width` cells; `looking` are others who have the run open."""
    spans: list[Span] = []
    gap = ""
    for column, cells in columns_for(width):
        text, tone = column.cell(row, status, now)
        if looking and column.title == "NOW":
            text = f"◉ {names(looking)}  {text}"
        spans.append((gap + fit(text, cells, column.align), tone))
        gap = " "
    return tuple(spans)


def _heat(share: float | None) -> Tone:
    if share is None or share < 0.8:
        return "plain"
    return "bad" if share >= 1 else "warn"
