"""What a benchmark found: a number against its limit, and statistics over samples; it measures nothing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table. Without a `limit` it is shown for comparison and judged by nobody."""

    bench: str
    what: str
    measured: float
    unit: str
    limit: float | None = None
    sense: Literal["at least", "at most"] = "at most"
    more: dict[str, Any] = field(default_factory=dict)
    """Further facts of the same run, for results.json."""

    @property
    def ratio(self) -> float | None:
        """Measured to limit; None without a limit or with one of zero."""
        return self.measured / self.limit if self.limit else None

    @property
    def reached(self) -> bool | None:
        """Whether the limit is kept; None without a limit."""
        if self.limit is None:
            return None
        return self.measured >= self.limit if self.sense == "at least" else self.measured <= self.limit

    def to_json(self) -> dict[str, Any]:
        """As it stands in results.json."""
        return asdict(self) | {"ratio": self.ratio, "reached": self.reached}


def percentile(samples: Sequence[float], share: float) -> float:
    """The nearest-rank percentile, `share` between 0 and 1; NaN of nothing."""
    if not samples:
        return math.nan
    ordered = sorted(samples)
    return ordered[min(len(ordered) - 1, max(0, math.ceil(share * len(ordered)) - 1))]


def spread(samples: Sequence[float]) -> dict[str, float]:
    """How samples are spread: count, median, p90, p99, largest."""
    return {
        "count": len(samples),
        "p50": round(percentile(samples, 0.5), 3),
        "p90": round(percentile(samples, 0.9), 3),
        "p99": round(percentile(samples, 0.99), 3),
        "max": round(max(samples, default=math.nan), 3),
    }


def table(rows: Sequence[Row]) -> str:
    """The rows as text for a terminal."""
    lines = [("bench", "what", "measured", "limit", "ratio", "verdict")]
    for row in rows:
        limit = "" if row.limit is None else f"{row.sense} {_number(row.limit)} {row.unit}"
        ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
        verdict = {None: "", True: "reached", False: "MISSED"}[row.reached]
        lines.append((row.bench, row.what, f"{_number(row.measured)} {row.unit}", limit, ratio, verdict))
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    right = {2, 4}
    return "\n".join(
        "  ".join(
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:.3g}"
