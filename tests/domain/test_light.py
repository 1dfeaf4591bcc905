"""Values that are frozen to whoever checks them, and cheap to make."""

from __future__ import annotations

import pytest

from opsconsole.domain.light import light_dataclass


@light_dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """A value."""

    model: str
    tokens: int = 0


def test_light_values_of_the_same_fields_are_one_key() -> None:
    assert {Turn(model="gpt", tokens=1): "one"}[Turn(model="gpt", tokens=1)] == "one"


def test_a_light_value_has_its_fields_and_no_others() -> None:
    turn = Turn(model="gpt")
    with pytest.raises(AttributeError):
        turn.price = 1.0  # type: ignore[attr-defined]


def test_only_what_is_declared_frozen_is_light() -> None:
    with pytest.raises(TypeError, match="frozen"):
        light_dataclass(frozen=False, slots=True)
