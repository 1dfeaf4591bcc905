"""Texts and results are cut to what the wire carries, and say how much was cut."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsconsole.sdk.bounded import bounded_text, result_text


class Hostile:
    def __repr__(self) -> str:
        raise RuntimeError("no")


def test_a_long_text_is_cut_and_says_how_many_bytes_are_missing() -> None:
    assert bounded_text("x" * 1_000, 100) == "x" * 20 + "… 980 more bytes left out"


def test_bytes_become_text_with_visible_escapes() -> None:
    assert result_text(b"caf\xe9 ok") == "caf\\xe9 ok"


def test_a_json_result_is_shown_as_json() -> None:
    assert result_text({"rows": [1, None]}) == '{"rows": [1, null]}'


@pytest.mark.parametrize("value", [Hostile(), {"x": Hostile()}, {(1, 2): 3}, {float("nan")}, b"\xff" * 9_000, "\ud800"])
def test_a_hostile_result_still_becomes_bounded_text(value: Any) -> None:
    assert len(result_text(value, 500).encode()) <= 500


@given(st.text(max_size=300), st.integers(90, 200))
def test_a_bounded_text_is_valid_and_within_its_bound(text: str, limit: int) -> None:
    assert len(bounded_text(text, limit).encode()) <= limit


@given(st.recursive(st.text(max_size=50) | st.binary(max_size=50) | st.floats(), st.lists), st.integers(120, 400))
def test_any_result_is_valid_and_within_its_bound(value: Any, limit: int) -> None:
    assert len(result_text(value, limit).encode()) <= limit
