"""What tells two outcomes apart."""

from __future__ import annotations

import random

import pytest

from opsconsole.policy.detectors.outcome import _BY_ITSELF, _UUID, normalised

UUID = "12345678-1234-1234-1234-123456789012"
PIECES = (
    *("0", "1", "23", "0x", "x", "f", "-", ":", " ", "T", "Z", "s", "ms", "µs", "min", "h", "secs", "second", "hours"),
    *("2024-05-01 10:00:01", "10:00:00", ".", "5", ",", "ab", UUID, "é", "٣", "\n"),
)


@pytest.mark.parametrize(
    "text", ["took 12 ms", "at 0x7f3a", "2024-05-01 10:00:01Z", "10:00:00.5", "3h", f"id {UUID}"], ids=str
)
def test_what_changes_by_itself_is_left_out(text: str) -> None:
    assert "#" in normalised(text)


@pytest.mark.parametrize("text", ["41250 have no owner", "total 318.40", "3 mice", "2 of 7", "v10:"], ids=str)
def test_other_numbers_stay(text: str) -> None:
    assert normalised(text) == text


@pytest.mark.parametrize("seed", range(5))
def test_the_first_look_passes_over_nothing_that_changes_by_itself(seed: int) -> None:
    dice = random.Random(seed)
    texts = ["".join(dice.choices(PIECES, k=dice.randrange(1, 14))) for _ in range(2_000)]
    assert [normalised(text) for text in texts] == [_BY_ITSELF.sub("#", _UUID.sub("#", text)) for text in texts]
