"""The tree of agents around one run: who started whom and what each waits for; it checks no claim of parentage."""

from __future__ import annotations

from dataclasses import dataclass

from opsconsole.console.view.amounts import age, money
from opsconsole.console.view.board import Board
from opsconsole.console.view.line import Line, Span
from opsconsole.domain.ids import short_id

LINES_MAX = 200
"""Lines of one tree; a run with more relatives is looked at in the runs table."""
DEPTH_MAX = 12
"""Levels drawn; deeper ones would leave no room for words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FamilyLine:
    """One run of the tree."""

    key: str
    line: Line


def family(board: Board, key: str, *, now: float) -> list[FamilyLine]:
    """The tree from the eldest known ancestor down, depth first; the run itself is marked."""
    lines: list[FamilyLine] = []
    seen: set[str] = set()

    def visit(one: str, prefix: str, branch: str, depth: int) -> None:
        if one in seen or len(lines) >= LINES_MAX or depth > DEPTH_MAX:
            return
        seen.add(one)
        lines.append(FamilyLine(key=one, line=_line(board, one, prefix + branch, marked=one == key, now=now)))
        below = board.children(one)
        indent = prefix + {"": "", "├▶ ": "│  ", "└▶ ": "   "}[branch]
        for index, child in enumerate(below):
            visit(child, indent, "└▶ " if index == len(below) - 1 else "├▶ ", depth + 1)

    visit(board.root(key), "", "", 0)
    return lines


def _line(board: Board, key: str, prefix: str, *, marked: bool, now: float) -> Line:
    row = board.get(key)
    if row is None:
        return ((prefix, "dim"), (f"{short_id(key)} (not on the board)", "dim"))
    status = board.status(row, now)
    spans: list[Span] = [
        (prefix, "dim"),
        (row.agent, "title" if marked else "strong"),
        (f" {status.glyph} {status.word}", status.tone),
        (f"  {row.turns} turns {money(row.cost_usd, known=row.cost_known)}", "dim"),
        (f"  {age(now - status.since)}", "dim"),
    ]
    if status.now:
        spans.append((f"  {status.now}", "plain"))
    return tuple(spans)
