"""New caps as an operator types them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsconsole.console.view.caps_text import CAP_MAX, NoCaps, asked_caps


@pytest.mark.parametrize(
    ("text", "caps", "why"),
    [
        ("20", {"cost_usd": 20.0}, ""),
        ("$20.50", {"cost_usd": 20.5}, ""),
        ("$20 launch day", {"cost_usd": 20.0}, "launch day"),
        ("80 turns", {"turns": 80}, ""),
        ("$9, 80 turns and 500k tokens: month end", {"cost_usd": 9.0, "turns": 80, "tokens": 500_000}, "month end"),
        ("50 tool calls, 2h slow tool", {"tool_calls": 50, "wall_clock": 7_200.0}, "slow tool"),
        ("1_000 turns, because of 3 retries", {"turns": 1_000}, "because of 3 retries"),
    ],
)
def test_caps_and_the_reason_are_told_apart(text: str, caps: dict[str, float], why: str) -> None:
    assert asked_caps(text) == (caps, why)


@pytest.mark.parametrize("text", ["", "launch day", "$", "-5", "$3 turns", "1.5 turns", "$1, $2", "many"])
def test_what_is_no_cap_is_said_to_be_none(text: str) -> None:
    with pytest.raises(NoCaps):
        asked_caps(text)


@pytest.mark.parametrize(
    "ending", ["", "h", "M turns", " tokens", "_" * 400], ids=["bare", "hours", "turns", "tokens", "lines"]
)
@pytest.mark.parametrize("digits", [16, 20, 400, 5_000])
def test_a_number_without_end_is_no_cap(digits: int, ending: str) -> None:
    with pytest.raises(NoCaps):
        asked_caps("9" * digits + ending)


@given(st.text(max_size=60))
def test_whatever_is_typed_is_caps_above_nothing_or_refused(text: str) -> None:
    try:
        caps, _ = asked_caps(text)
    except NoCaps:
        return
    assert caps
    assert all(0 <= value <= CAP_MAX for value in caps.values())
