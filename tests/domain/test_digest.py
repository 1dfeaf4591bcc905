"""Digests: one byte string for each value, so that a decision is bound to exactly what was shown."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsconsole.domain.digest import DEPTH_MAX, NotCanonical, approval_digest, call_digest, canonical, digest

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]))
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner)
    ),
    max_leaves=12,
)


def test_the_canonical_form_is_this() -> None:
    assert canonical({"b": [1, 1.5, None, True], "a": "ü\n"}) == '{"a":"ü\\n","b":[1,1.5,null,true]}'.encode()


def test_a_call_digest_never_changes() -> None:
    known = "sha256:9d39d4c24fd37deaa30209c0eb4da18447806390bdfcddc80dc82840a94ce890"
    assert call_digest("sql", {"query": "SELECT 1"}) == digest({"tool": "sql", "args": {"query": "SELECT 1"}}) == known


@given(VALUES)
def test_a_value_read_back_has_the_same_digest(value: Any) -> None:
    assert digest(json.loads(canonical(value))) == digest(value)


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), SCALARS, min_size=2))
def test_the_order_of_keys_does_not_matter(value: dict[str, Any]) -> None:
    assert canonical(dict(reversed(value.items()))) == canonical(value)


@given(VALUES, VALUES)
def test_different_values_have_different_canonical_forms(one: Any, other: Any) -> None:
    same = canonical(one) == canonical(other)
    assert same == (json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True))


@pytest.mark.parametrize(
    ("one", "other"), [(1, True), (0, False), (1, 1.0), ("1", 1), (None, "null"), ([], {}), ([1, [2]], [[1], 2])]
)
def test_values_that_look_alike_are_told_apart(one: Any, other: Any) -> None:
    assert digest(one) != digest(other)


def test_tool_and_arguments_cannot_be_shifted_into_each_other() -> None:
    assert call_digest("a", {"b": 1}) != call_digest("ab", {"": 1})


@pytest.mark.parametrize(
    "value",
    [math.nan, math.inf, -math.inf, "\ud800", {"\udfff": 1}, {1: 2}, {"a": {1, 2}}, b"bytes", 10**5000],
    ids=["nan", "inf", "-inf", "surrogate", "surrogate key", "number key", "set", "bytes", "huge number"],
)
def test_what_is_not_json_has_no_digest(value: Any) -> None:
    with pytest.raises(NotCanonical):
        canonical(value)


def nested(levels: int) -> Any:
    """A value of so many levels."""
    value: Any = 0
    for _ in range(levels):
        value = [value]
    return value


def test_nesting_beyond_what_a_person_can_read_is_refused() -> None:
    assert canonical(nested(DEPTH_MAX))
    for levels in (DEPTH_MAX + 1, 100_000):
        with pytest.raises(NotCanonical):
            canonical(nested(levels))


def test_a_value_that_holds_itself_is_refused() -> None:
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(NotCanonical):
        canonical(loop)


@pytest.mark.parametrize("part", ["run", "call", "call_digest", "policy_hash"])
def test_an_approval_is_bound_to_its_run_its_call_and_the_policy(part: str) -> None:
    parts = {"run": "r", "call": "c", "call_digest": "d", "policy_hash": "p"}
    assert approval_digest(**parts | {part: "other"}) != approval_digest(**parts)
