"""The Kolmogorov–Smirnov test for two samples of the same size, exact; it knows nothing of what was measured."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from functools import lru_cache
from math import comb


def p_value(one: Sequence[float], other: Sequence[float]) -> float:
    """How likely samples of one distribution differ so much; at most the truth where values are equal.

    Exact by Gnedenko and Korolyuk (1951). Raises: ValueError when the sizes differ.
    """
    if len(one) != len(other):
        raise ValueError("the samples have different sizes")
    ours, theirs = sorted(one), sorted(other)
    return 1.0 if ours == theirs else _p(len(one), _steps(ours, theirs))


def _steps(one: Sequence[float], other: Sequence[float]) -> int:
    """The largest difference between the two counts of values up to some value."""
    return max(abs(bisect_right(one, value) - bisect_right(other, value)) for value in {*one, *other})


@lru_cache(maxsize=4_096)
def _p(size: int, steps: int) -> float:
    if steps == 0:
        return 1.0
    terms = range(1, size // steps + 1)
    total = sum((-1) ** (k + 1) * comb(2 * size, size - k * steps) for k in terms)
    return float(min(1.0, 2 * total / comb(2 * size, size)))
