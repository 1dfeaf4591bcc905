"""Conversations that fill their model's window."""

from __future__ import annotations

from opsconsole.policy.file.settings import ContextSettings
from tests.policy.detectors.seeing import call, only, restarted, texts, told, turn


def filled(seen):
    return texts(told(only(context=ContextSettings()), seen))


def test_a_window_warns_half_full_and_trips_nearly_full() -> None:
    turns = [turn(input_tokens=tokens, window=100_000) for tokens in (49_000, 50_000, 86_000)]
    assert filled(turns) == [
        ("warn", "context 50% full (50,000 of 100,000 tokens)"),
        ("trip", "context 86% full (86,000 of 100,000 tokens)"),
    ]


def test_a_window_that_is_about_to_be_full_warns_early() -> None:
    turns = [turn(input_tokens=tokens * 12_000, window=100_000) for tokens in (1, 2, 3, 4)]
    assert filled(turns) == []
    faster = [turn(input_tokens=tokens, window=100_000) for tokens in (1_000, 16_000, 32_000, 49_000)]
    assert filled([*faster, turn(input_tokens=49_900, window=100_000)]) == []
    steep = [turn(input_tokens=tokens, window=100_000) for tokens in (1_000, 19_000, 37_000, 49_999)]
    assert filled(steep) == [("warn", "context 50% full (49,999 of 100,000 tokens); at this rate full in 3 turns")]


def test_a_conversation_that_was_compacted_begins_anew() -> None:
    turns = [turn(input_tokens=tokens, window=100_000) for tokens in (1_000, 19_000, 37_000, 9_000, 27_000, 45_000)]
    assert filled(turns) == []


def test_a_result_that_takes_a_fifth_of_the_window_warns() -> None:
    found = filled([turn(input_tokens=10, window=1_000), call(outcome="a" * 1_000)])
    assert found == [("warn", "one result of search has 1,000 characters, about 25% of the context")]


def test_a_result_over_fifty_thousand_bytes_warns_whatever_the_window() -> None:
    assert filled([call(outcome="a" * 50_000)]) == []
    assert filled([call(outcome="ä" * 25_001)]) == [("warn", "one result of search has 25,001 characters")]


def test_the_same_lines_over_and_over_warn() -> None:
    text = "\n".join(f"line number {number}" for number in range(60))
    assert filled([call(outcome=text), call(outcome=text)]) == []
    assert filled([call(outcome=text)] * 3) == [("warn", "67% of the last 180 lines of results were there before")]


def test_growth_outlives_a_restart() -> None:
    detectors = only(context=ContextSettings())
    told(detectors, [turn(input_tokens=tokens, window=100_000) for tokens in (1_000, 19_000, 37_000)])
    last = turn(input_tokens=49_999, window=100_000)
    assert told(restarted(detectors, "r"), [last]) == told(detectors, [last]) != []
