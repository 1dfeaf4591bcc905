"""Every fuzz target holds for a short search at random; `make fuzz` searches for a minute each."""

from __future__ import annotations

import pytest

from tests.fuzz.__main__ import search_at_random, targets

INPUTS_MAX = 2_000
"""However fast the machine: what a test tries, it has tried before. To search further is `make fuzz`."""


@pytest.mark.parametrize("name", targets())
def test_a_target_holds_for_a_short_search(name: str) -> None:
    assert search_at_random(name, seconds=1.0, seed=1, inputs_max=INPUTS_MAX) > 10
