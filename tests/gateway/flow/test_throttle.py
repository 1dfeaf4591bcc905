"""Adaptive throttling and storms of retries."""

import pytest

from opsconsole.gateway.flow.storm import Storm, StormWatch
from opsconsole.gateway.flow.throttle import Throttle


def after(accepted: int, refused: int, status: int = 429) -> float:
    throttle = Throttle()
    for _ in range(accepted):
        throttle.answered(200, 10.0)
    for _ in range(refused):
        throttle.answered(status, 10.0)
    return throttle.refusal_share(10.0)


def test_nothing_is_refused_while_half_is_accepted() -> None:
    assert (after(50, 0), after(50, 50)) == (0, 0)


def test_more_is_refused_the_less_is_accepted() -> None:
    assert after(10, 90) == pytest.approx(80 / 101)
    assert after(0, 99) == pytest.approx(99 / 100)


@pytest.mark.parametrize("status", [0, 429, 500, 503, 529])
def test_every_kind_of_too_much_counts(status: int) -> None:
    assert after(0, 50, status) > 0.9


def test_an_error_of_the_request_itself_does_not() -> None:
    assert after(0, 50, 400) == 0


def test_few_requests_tell_nothing() -> None:
    assert after(0, 9) == 0


def test_what_is_refused_here_counts_as_asked_for() -> None:
    throttle = Throttle()
    for _ in range(20):
        throttle.refused(10.0)
    assert throttle.refusal_share(10.0) == pytest.approx(20 / 21)


def test_it_is_forgotten_after_two_minutes() -> None:
    throttle = Throttle()
    for _ in range(50):
        throttle.answered(503, 10.0)
    assert throttle.refusal_share(140.0) == 0


def stormed(runs: int, retries_each: int, calm: int = 0) -> Storm | None:
    watch = StormWatch("openai")
    for number in range(calm):
        watch.asked("calm", number, 1.0)
    for run in range(runs):
        for attempt in range(retries_each + 1):
            watch.asked(f"run{run}", run, 1.0 + attempt)
            watch.answered(f"run{run}", run, 429, 1.0 + attempt)
    return watch.storm(5.0)


def test_three_runs_that_ask_again_together_are_a_storm() -> None:
    assert stormed(3, 1) == Storm(provider="openai", runs=("run0", "run1", "run2"), retries=3, share=0.5)


def test_two_runs_are_not() -> None:
    assert stormed(2, 5) is None


def test_few_retries_among_many_requests_are_not() -> None:
    assert stormed(3, 1, calm=100) is None


def test_a_new_request_of_a_run_is_no_retry() -> None:
    watch = StormWatch("openai")
    watch.answered("a", 1, 503, 1.0)
    assert (watch.asked("a", 2, 2.0), watch.asked("b", 1, 2.0), watch.asked("a", 1, 2.0)) == (False, False, True)


def test_what_worked_and_is_sent_again_is_no_retry() -> None:
    watch = StormWatch("openai")
    watch.answered("a", 1, 503, 1.0)
    watch.answered("a", 1, 200, 2.0)
    assert not watch.asked("a", 1, 3.0)
