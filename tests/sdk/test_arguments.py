"""Exact arguments: what is digested is what runs; what cannot be shown is refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsconsole.domain.digest import call_digest
from opsconsole.protocol.limits import ARGS_BYTES_MAX
from opsconsole.sdk.arguments import ArgumentsRefused, exact, preview

CYCLE: dict[str, Any] = {}
CYCLE["again"] = CYCLE
DEEP: dict[str, Any] = {}
for _ in range(40):
    DEEP = {"deeper": DEEP}
SHARED: list[Any] = ["x"]
for _ in range(30):
    SHARED = [SHARED, SHARED]


def test_later_changes_to_the_callers_objects_do_not_reach_what_runs() -> None:
    args = {"ids": [1, 2]}
    frozen = exact("delete", args)
    args["ids"].append(3)
    assert frozen.value() == {"ids": [1, 2]}


@pytest.mark.parametrize(
    "args",
    [
        {"text": "x" * (ARGS_BYTES_MAX + 1)},
        {"number": float("nan")},
        {"number": float("inf")},
        {"text": "\ud800"},
        {"\udfff": 1},
        {"bytes": b"x"},
        {"object": object()},
        {1: "a key that is no string"},
        {"number": 10**5000},
        CYCLE,
        DEEP,
        {"shared": SHARED},
        ["not by name"],
        "not by name",
        None,
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_nobody_could_be_shown_exactly_is_refused_and_previewed(args: Any) -> None:
    with pytest.raises(ArgumentsRefused):
        exact("tool", args)
    shown = preview(args)["preview"]
    assert len(shown.encode()) <= 2_100


@given(
    st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
        st.recursive(
            st.none()
            | st.booleans()
            | st.integers(-(2**53), 2**53)
            | st.text(st.characters(exclude_categories=["Cs"])),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab"), inner, max_size=3),
            max_leaves=8,
        ),
        max_size=4,
    )
)
def test_what_runs_has_the_digest_of_what_was_given(args: dict[str, Any]) -> None:
    frozen = exact("tool", args)
    assert frozen.value() == args
    assert frozen.digest == call_digest("tool", args) == call_digest("tool", frozen.value())
