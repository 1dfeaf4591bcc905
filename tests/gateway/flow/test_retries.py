"""What is tried again, when, and how many may be."""

import pytest

from opsconsole.gateway.flow.retries import ATTEMPTS_MAX, RetryBudget, backoff_seconds, is_retried


@pytest.mark.parametrize("status", [0, 408, 409, 429, 500, 502, 503, 504, 529])
def test_what_may_pass_is_tried_again(status: int) -> None:
    assert is_retried(status, 0, None)


@pytest.mark.parametrize("status", [200, 400, 401, 402, 403, 404, 413, 422])
def test_what_will_not_change_is_not(status: int) -> None:
    assert not is_retried(status, 0, None)
    assert not is_retried(status, 0, True)


def test_the_provider_has_the_last_word_on_it() -> None:
    assert not is_retried(429, 0, False)


def test_attempts_are_bounded() -> None:
    assert [is_retried(503, attempt, None) for attempt in range(4)] == [True, True, False, False]
    assert ATTEMPTS_MAX == 3


@pytest.mark.parametrize("dice", [0.0, 0.5, 1.0])
def test_waits_double_and_are_jittered_over_half(dice: float) -> None:
    waits = [backoff_seconds(attempt, None, dice) for attempt in range(6)]
    assert waits == [bound * (0.5 + 0.5 * dice) for bound in (0.5, 1, 2, 4, 8, 8)]


def test_what_a_provider_asks_for_is_honoured_and_never_undercut() -> None:
    waits = [backoff_seconds(0, 7.0, dice) or 0 for dice in (0.0, 1.0)]
    assert waits == [7.0, pytest.approx(7.75)]


def test_a_long_wait_is_left_to_the_client() -> None:
    assert backoff_seconds(0, 60.0, 0.5) is None


def test_three_retries_are_always_allowed_and_no_fourth() -> None:
    budget = RetryBudget()
    assert [budget.take(1.0) for _ in range(4)] == [True, True, True, False]


def test_a_fifth_of_the_requests_may_be_retried() -> None:
    budget = RetryBudget()
    for _ in range(100):
        budget.asked(1.0)
    assert sum(budget.take(2.0) for _ in range(100)) == 20


def test_the_budget_comes_back_with_time() -> None:
    budget = RetryBudget()
    for _ in range(3):
        budget.take(1.0)
    assert (budget.take(5.0), budget.take(12.0)) == (False, True)
