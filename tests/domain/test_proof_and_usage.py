"""Proofs are ranked, and counters never run backwards."""

from __future__ import annotations

from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from opsconsole.domain.proof import Proof, best
from opsconsole.domain.usage import Usage, not_below

COUNTS = st.builds(Usage, **dict.fromkeys(Usage.__slots__, st.integers(0, 10**6)))


def test_the_stronger_proof_stands() -> None:
    ranked = [Proof.NONE, Proof.LEASE, Proof.COOPERATIVE, Proof.PROCESS]
    for (low, one), (high, other) in product(enumerate(ranked), repeat=2):
        assert best(one, other) is ranked[max(low, high)]


@given(COUNTS, COUNTS)
def test_a_later_reading_is_never_below_an_earlier(earlier: Usage, later: Usage) -> None:
    folded = not_below(earlier, later)
    for name in Usage.__slots__:
        assert getattr(folded, name) == max(getattr(earlier, name), getattr(later, name))


def test_cached_input_counts_as_input_and_reasoning_as_output() -> None:
    assert Usage(input_tokens=3, output_tokens=4, cache_read_tokens=2, reasoning_tokens=1).tokens == 7
