"""What an operator's command carries beside its words."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from opsconsole.protocol.asked import AskedGrant, NewCaps


@pytest.mark.parametrize("number", ["Infinity", "-Infinity", "NaN", "1e999"])
@pytest.mark.parametrize("name", ["cost_usd", "wall_clock"])
def test_a_cap_is_a_number_that_ends(name: str, number: str) -> None:
    with pytest.raises(ValidationError):
        NewCaps.model_validate_json(f'{{"{name}": {number}}}')


@pytest.mark.parametrize("number", ["Infinity", "NaN"])
def test_a_grant_ends(number: str) -> None:
    with pytest.raises(ValidationError):
        AskedGrant.model_validate_json(f'{{"uses": 1, "seconds": {number}}}')
