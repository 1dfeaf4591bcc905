"""Loops of doom: what is one, what is none, and that memory of them outlives a restart."""

from __future__ import annotations

import pytest

from opsconsole.policy.detectors.outcome import normalised
from opsconsole.policy.file.settings import LoopSettings
from opsconsole.policy.rules.pattern import Pattern
from tests.policy.detectors.seeing import call, only, restarted, texts, told


def loops(seen, **settings):
    return texts(told(only(loop=LoopSettings(**settings)), seen))


def test_the_same_call_with_the_same_outcome_warns_at_three_and_trips_at_four() -> None:
    assert loops([call()] * 5) == [
        ("warn", "loop: search called 3 times with the same outcome"),
        ("trip", "loop: search called 4 times with the same outcome"),
    ]


def test_calls_in_between_do_not_hide_a_loop_within_the_window() -> None:
    others = [call(args=f"b{number}", outcome=f"y{number}") for number in range(12)]
    spread = [one for pair in zip([call()] * 4, others[:8:2], others[1:8:2], strict=True) for one in pair]
    assert [severity for severity, _ in loops(spread)] == ["warn", "trip"]
    assert loops([call(), call(), *others, call(), call()]) == []


def test_an_outcome_that_changes_is_progress() -> None:
    assert loops([call(outcome=f"{number} files left") for number in range(12)]) == []


@pytest.mark.parametrize("length", [2, 3, 4])
def test_a_pattern_of_calls_three_times_over_is_a_loop(length: int) -> None:
    pattern = [call(args=str(number), outcome=str(number)) for number in range(length)]
    found = loops(pattern * 3, warn=12, trip=12)
    assert found == [("trip", f"loop: search a pattern of {length} calls, 3 times over")]


def test_the_same_failure_of_different_calls_is_a_loop_once_it_is_no_search_any_more() -> None:
    failures = [call(args=str(number), outcome="Table 'a' does not exist", ok=False) for number in range(8)]
    failures.insert(4, call(args="fine", outcome="fine"))
    assert loops(failures) == [("trip", "loop: search failed 8 times in the same way, of 9 calls")]
    assert loops(failures[1:]) == []


def test_a_call_that_only_warns_hides_no_failures_that_trip() -> None:
    failures = [call(args=str(min(number, 5)), outcome="no", ok=False) for number in range(8)]
    assert [severity for severity, _ in loops(failures)] == ["trip"]


def test_eight_different_failures_in_a_row_are_a_loop_and_a_success_breaks_the_row() -> None:
    failures = [call(args=str(number), outcome=str(number), ok=False) for number in range(8)]
    assert loops(failures) == [("trip", "loop: search 8 calls failed in a row")]
    assert loops([*failures[:5], call(args="fine", outcome="fine"), *failures[5:]]) == []


def test_a_refusal_of_ours_breaks_no_streak() -> None:
    refused = call(tool="other", outcome="denied", ok=False, denied_by_console=True)
    assert [severity for severity, _ in loops([call(), call(), refused, call(), refused, call()])] == ["warn", "trip"]


def test_asking_four_times_for_what_is_refused_is_a_loop() -> None:
    refused = call(tool="pay", ok=False, denied_by_console=True)
    assert loops([refused] * 4) == [("trip", "loop: pay called 4 times although it is refused")]


def test_a_poll_may_repeat_for_ten_minutes_and_no_longer() -> None:
    polls = [call(tool="poll_job", outcome="queued", at=at * 60.0) for at in range(31)]
    poll = Pattern.parse("poll_*")
    assert loops(polls[:10], poll=poll) == []
    assert loops(polls, poll=poll) == [
        ("warn", "loop: poll_job polled for 10 min without a change"),
        ("trip", "loop: poll_job polled for 30 min without a change"),
    ]


def test_two_agents_of_a_run_do_not_make_a_loop_of_each_others_calls() -> None:
    assert loops([call(agent="a"), call(agent="b")] * 2) == []


def test_a_window_outlives_a_restart() -> None:
    detectors = only(loop=LoopSettings())
    assert [severity for severity, _ in texts(told(detectors, [call()] * 3))] == ["warn"]
    assert [severity for severity, _ in texts(told(restarted(detectors, "r"), [call()]))] == ["trip"]


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("at 2026-11-22T10:00:00.123Z", "at 2026-11-23 11:12:13+01:00"),
        ("took 12 ms", "took 3.5 s"),
        ("<obj at 0x7f00aa>", "<obj at 0x7f11bb>"),
        ("id 123e4567-e89b-12d3-a456-426614174000", "id deadbeef-e89b-12d3-a456-426614174abc"),
        ("10:00:01 ready", "23:59:59 ready"),
    ],
)
def test_what_changes_by_itself_does_not_tell_outcomes_apart(text: str, same: str) -> None:
    assert normalised(text) == normalised(same)


@pytest.mark.parametrize(("text", "other"), [("3 rows", "4 rows"), ("HAT136", "HAT137"), ("2024-05-20", "2024-05-21")])
def test_what_an_outcome_says_tells_it_apart(text: str, other: str) -> None:
    assert normalised(text) != normalised(other)
