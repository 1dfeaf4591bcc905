"""What a run has cost and how large its requests were, over time; the numbers are those of its timeline and its row."""

from __future__ import annotations

from collections.abc import Sequence

from opsconsole.console.view.amounts import count, money
from opsconsole.console.view.line import Line, fit, fit_line
from opsconsole.console.view.sparkline import Point, by_column, chart
from opsconsole.console.view.turns import Reading, used_by_turn

NAME_CELLS = 8


def cost_points(readings: Sequence[Reading], *, total_usd: float) -> tuple[list[Point], bool]:
    """Dollars spent so far, and whether they are the author's own numbers.

    Where an author gives none, the run's total is laid out by the tokens used.
    """
    latest: dict[str, float] = {}
    exact = bool(readings) and all(one.cost_usd is not None for one in readings)
    points: list[Point] = []
    for one in readings:
        tokens = one.counts.get("input_tokens", 0) + one.counts.get("output_tokens", 0)
        latest[one.model] = one.cost_usd if exact and one.cost_usd is not None else float(tokens)
        points.append((one.at, sum(latest.values())))
    most = max((value for _, value in points), default=0.0)
    if not exact and most > 0:
        points = [(at, value / most * total_usd) for at, value in points]
    return points, exact


def context_points(readings: Sequence[Reading]) -> list[Point]:
    """Tokens that each turn sent to the model, what was read from its cache among them."""
    return [
        (one.at, float(max(used["input_tokens"], used["cache_read_tokens"]))) for one, used in used_by_turn(readings)
    ]


def curve_lines(
    readings: Sequence[Reading], *, total_usd: float, start: float, end: float, width: int, height: int
) -> list[Line]:
    """Two charts, one above the other, over the same time as the lanes of `axis`; `height` lines each."""
    columns = max(1, width - NAME_CELLS)
    costs, exact = cost_points(readings, total_usd=total_usd)
    context = context_points(readings)
    spent = max((value for _, value in costs), default=0.0)
    largest = max((value for _, value in context), default=0.0)
    how = "as told with each turn" if exact else "≈ the run's total by tokens used"
    lines: list[Line] = [fit_line((("cost    ", "dim"), (money(spent), "strong"), (f"  {how}", "dim")), width)]
    lines += _drawn(by_column(costs, start=start, end=end, columns=columns, steady=True), height, money(spent), width)
    last = context[-1][1] if context else 0.0
    words = f"{count(int(last))} in the latest request, {count(int(largest))} in the largest"
    lines.append(fit_line((("context ", "dim"), (words, "strong")), width))
    by_turn = by_column(context, start=start, end=end, columns=columns, steady=False)
    return [*lines, *_drawn(by_turn, height, count(int(largest)), width)]


def _drawn(values: list[float | None], height: int, top: str, width: int) -> list[Line]:
    rows = chart(values, height=height)
    heads = [top, *[""] * (len(rows) - 1)]
    return [
        fit_line(((fit(head, NAME_CELLS), "dim"), (row, "good")), width) for head, row in zip(heads, rows, strict=True)
    ]
