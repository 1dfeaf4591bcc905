"""What a kill of many runs would stop, shown before anybody types its number; it stops nothing."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Sequence
from operator import attrgetter

from opsconsole.console.view.amounts import age
from opsconsole.console.view.line import Line, cut
from opsconsole.console.view.unread import spending
from opsconsole.domain.ids import short_id
from opsconsole.protocol.rows import RunRow

AGENTS_MAX = 6
RUNS_MAX = 5
"""Runs that are named: the most expensive ones."""
LINES = 4 + RUNS_MAX
"""Of most plans."""


def plan_lines(rows: Sequence[RunRow], *, wanted: str, below: int, now: float) -> list[Line]:
    """How many and whose, what they spend, who else is at work on them, and the most expensive by name.

    `wanted` is the selector, empty for every run; `below` counts their children that the selector does not name.
    """
    spent = spending(rows)
    lines: list[Line] = [
        plan_head(len(rows), wanted=wanted, below=below),
        ((f"  {_agents(spent.agents)}", "plain"), (f"  ${spent.cost_per_minute_usd:.2f}/min", "dim")),
    ]
    for row in (rows[place] for place in spent.taken_over[:2]):
        assert row.baton is not None
        lines.append(((f"  {row.agent} {short_id(row.run)} is taken over by {row.baton.by}", "hold"),))
    if spent.pending_approvals:
        lines.append(((f"  {spent.pending_approvals} held calls of theirs are refused with it", "ask"),))
    for row in _dearest(rows, spent.costs_usd):
        about = f"{row.agent} {short_id(row.run)}  ${row.cost_usd:,.2f}  up {age(now - row.started_at)}"
        lines.append(((f"  {about}  ", "plain"), (cut(row.name or row.doing, 40), "dim")))
    if len(rows) > RUNS_MAX:
        lines.append(((f"  … and {len(rows) - RUNS_MAX:,} more", "dim"),))
    return lines


def plan_head(count: int, *, wanted: str, below: int = 0) -> Line:
    """How many: what is known before anything is worked out."""
    which = f"that match “{wanted}”" if wanted else "of this hub, also those that are not shown"
    return ((f"WOULD STOP {count:,} live runs ", "alarm"), (which, "strong"), (_and_below(below), "warn"))


def _and_below(below: int) -> str:
    return f"  and {below:,} runs below them" if below else ""


def _dearest(rows: Sequence[RunRow], costs_usd: list[float]) -> list[RunRow]:
    """The first of the fleet by cost, then key; many runs cost the same, most of them nothing yet."""
    least = min(heapq.nlargest(RUNS_MAX, costs_usd), default=0.0)
    more = [row for row, cost in zip(rows, costs_usd, strict=True) if cost > least]
    same = [row for row, cost in zip(rows, costs_usd, strict=True) if cost == least]
    first = sorted(more, key=lambda row: (-row.cost_usd, row.key))
    return [*first, *heapq.nsmallest(RUNS_MAX, same, key=attrgetter("key"))][:RUNS_MAX]


def _agents(agents: Counter[str]) -> str:
    counts = agents.most_common()
    shown = ", ".join(f"{agent} ×{count}" if count > 1 else agent for agent, count in counts[:AGENTS_MAX])
    return shown + (f" and {len(counts) - AGENTS_MAX} more agents" if len(counts) > AGENTS_MAX else "")
