"""Numbers over time as pictures of block characters, exactly as wide as asked; it knows not what they count."""

from __future__ import annotations

import math
from collections.abc import Sequence

BLOCKS = " ▁▂▃▄▅▆▇█"
"""From nothing to a whole cell; every character is one cell wide."""
Point = tuple[float, float]
"""When, and how much."""


def by_column(points: Sequence[Point], *, start: float, end: float, columns: int, steady: bool) -> list[float | None]:
    """The greatest value of each column of the time from `start` to `end`; None where nothing is known.

    With `steady`, a value holds until the next one: so is a sum, and not the size of a single turn.
    """
    found: list[float | None] = [None] * max(0, columns)
    for at, value in points:
        if math.isfinite(value) and (column := column_of(at, start=start, end=end, columns=columns)) is not None:
            known = found[column]
            found[column] = value if known is None else max(known, value)
    if steady:
        last: float | None = None
        for column, known in enumerate(found):
            last = known if known is not None else last
            found[column] = last
    return found


def column_of(at: float, *, start: float, end: float, columns: int) -> int | None:
    """The column in which a time stands, from 0; None outside of start and end."""
    if columns <= 0 or not start <= at <= end:
        return None
    span = end - start
    return min(columns - 1, int((at - start) / span * columns)) if span > 0 else 0


def chart(values: Sequence[float | None], *, height: int, top: float | None = None) -> list[str]:
    """`height` lines, the highest first, one character a value; every value above 0 is seen."""
    known = [value for value in values if value is not None]
    most = max([top or 0.0, *known], default=0.0)
    levels = [_level(value, most, height) for value in values]
    return ["".join(BLOCKS[max(0, min(8, level - 8 * row))] for level in levels) for row in range(height - 1, -1, -1)]


def _level(value: float | None, most: float, height: int) -> int:
    if value is None or value <= 0 or most <= 0:
        return 0
    return max(1, min(8 * height, round(value / most * 8 * height)))
