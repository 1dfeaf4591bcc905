"""What a kill of many runs would stop, shown before anybody types its number; it stops nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from opsconsole.console.view.amounts import age, short_id
from opsconsole.console.view.line import Line, cut
from opsconsole.protocol.rows import RunRow

AGENTS_MAX = 6
RUNS_MAX = 5
"""Runs that are named: the most expensive ones."""


def plan_lines(rows: Sequence[RunRow], *, wanted: str, below: int, now: float) -> list[Line]:
    """How many and whose, what they spend, who else is at work on them, and the most expensive by name.

    `wanted` is the selector, empty for every run; `below` counts their children that the selector does not name.
    """
    which = f"that match “{wanted}”" if wanted else "of this hub, also those that are not shown"
    burn = sum(row.cost_per_minute_usd for row in rows)
    lines: list[Line] = [
        ((f"WOULD STOP {len(rows):,} live runs ", "alarm"), (which, "strong"), (_and_below(below), "warn")),
        ((f"  {_agents(rows)}", "plain"), (f"  ${burn:.2f}/min", "dim")),
    ]
    held = [row for row in rows if row.baton is not None]
    for row in held[:2]:
        assert row.baton is not None
        lines.append(((f"  {row.agent} {short_id(row.run)} is taken over by {row.baton.by}", "hold"),))
    waiting = sum(row.pending_approvals for row in rows)
    if waiting:
        lines.append(((f"  {waiting} held calls of theirs are refused with it", "ask"),))
    for row in sorted(rows, key=lambda row: (-row.cost_usd, row.key))[:RUNS_MAX]:
        about = f"{row.agent} {short_id(row.run)}  ${row.cost_usd:,.2f}  up {age(now - row.started_at)}"
        lines.append(((f"  {about}  ", "plain"), (cut(row.name or row.doing, 40), "dim")))
    if len(rows) > RUNS_MAX:
        lines.append(((f"  … and {len(rows) - RUNS_MAX:,} more", "dim"),))
    return lines


def _and_below(below: int) -> str:
    return f"  and {below:,} runs below them" if below else ""


def _agents(rows: Sequence[RunRow]) -> str:
    counts = Counter(row.agent for row in rows).most_common()
    shown = ", ".join(f"{agent} ×{count}" if count > 1 else agent for agent, count in counts[:AGENTS_MAX])
    return shown + (f" and {len(counts) - AGENTS_MAX} more agents" if len(counts) > AGENTS_MAX else "")
