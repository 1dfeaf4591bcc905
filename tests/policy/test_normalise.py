"""What no rule may be asked about is refused before any engine cuts, rounds or chokes on it; nothing is repaired."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsconsole.policy.normalise import NotNormal, normalise


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


REFUSED = {
    "NUL": ("ls\0; rm -rf /", "args.x holds a NUL character"),
    "NUL inside": ([{"a": "\0"}], "args.x[].a holds a NUL character"),
    "NaN": (float("nan"), "args.x is NaN or infinite"),
    "infinity": (float("inf"), "args.x is NaN or infinite"),
    "a lone surrogate": ("\ud800", "args.x holds a lone surrogate"),
    "a long string": ("x" * 65_537, "args.x is longer than 65,536 bytes"),
    "a long string of few characters": ("é" * 32_769, "args.x is longer than 65,536 bytes"),
    "a long list": ([0] * 1_001, "args.x has more than 1,000 items"),
    "a large object": ({str(n): 0 for n in range(1_001)}, "args.x has more than 1,000 items"),
    "many values": ([[0] * 1_000] * 11, "args.x[] passes 10,000 values in all"),
    "a large integer": (2**63, "args.x is an integer beyond 64 bits"),
    "a small integer": (-(2**63) - 1, "args.x is an integer beyond 64 bits"),
    "no JSON": (b"x", "args.x is no JSON value"),
    "a set": ({1}, "args.x is no JSON value"),
    "a key that is a number": ({1: 1}, "args.x has a key that is no string"),
    "a key with NUL": ({"a\0": 1}, "args.x has a key that holds a NUL character"),
}


@pytest.mark.parametrize(("value", "why"), REFUSED.values(), ids=list(REFUSED))
def test_what_an_engine_would_misread_is_refused_with_its_place(value: Any, why: str) -> None:
    with pytest.raises(NotNormal) as caught:
        normalise({"x": value})
    assert str(caught.value) == why


def test_deep_nesting_is_refused() -> None:
    assert normalise({"x": nested(31)}) == {"x": nested(31)}
    with pytest.raises(NotNormal, match="nested deeper than 32 levels"):
        normalise({"x": nested(32)})


@pytest.mark.parametrize("value", [2**63 - 1, -(2**63), "x" * 65_536, [0] * 1_000, -0.0, 1e308, "\u202e\x1b", None, {}])
def test_what_is_within_bounds_is_as_it_was(value: Any) -> None:
    assert normalise({"x": value}) == {"x": value}


def test_the_arguments_are_copied_so_that_nobody_changes_what_is_judged() -> None:
    args = {"to": ["a"]}
    found = normalise(args)
    args["to"].append("b")
    assert found == {"to": ["a"]}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(st.text(max_size=4), JSON, max_size=4))
def test_arguments_are_unchanged_or_refused(args: dict[str, Any]) -> None:
    try:
        found = normalise(args)
    except NotNormal:
        return
    assert json.dumps(found, allow_nan=False) == json.dumps(args)
