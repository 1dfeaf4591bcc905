"""A gateway process amid arbitrary bytes, for a moment: `make fuzz` does so for a minute."""

from __future__ import annotations

import pytest

from bench.gateway_fuzz import search

SECONDS = 4.0


@pytest.mark.process
@pytest.mark.slow
def test_a_gateway_amid_arbitrary_bytes_lives_holds_every_call_and_leaves_nothing_behind() -> None:
    found = search(SECONDS)
    assert found.wrong == []
    assert found.answered > 0
