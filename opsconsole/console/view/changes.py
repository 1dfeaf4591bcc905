"""Which cells of a line differ from what stood there before: only those are worth sending; it paints nothing."""

from __future__ import annotations

from rich.cells import cell_len

from opsconsole.console.view.line import Line

MERGED_CELLS = 12
"""Moving the cursor and setting colours again costs as many bytes as this many cells: nearer changes are one."""
Cells = tuple[int, int]
"""(first cell, cells)."""


def changed_cells(before: Line, after: Line) -> list[Cells] | None:
    """Where `after` differs from `before`, left to right; None where their spans have other widths: draw it whole."""
    if len(before) != len(after):
        return None
    found: list[Cells] = []
    start = 0
    for old, new in zip(before, after, strict=True):
        width = cell_len(new[0])
        if old != new:
            if cell_len(old[0]) != width:
                return None
            if width:
                _add(found, start, width)
        start += width
    return found


def _add(found: list[Cells], start: int, width: int) -> None:
    if found and start - sum(found[-1]) < MERGED_CELLS:
        first = found.pop()[0]
        found.append((first, start + width - first))
    else:
        found.append((start, width))
