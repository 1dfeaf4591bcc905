"""Requests tried again, and storms of them."""

from __future__ import annotations

from opsconsole.policy.file.settings import RetrySettings
from tests.policy.detectors.seeing import only, request, restarted, texts, told


def retried(seen):
    return told(only(retries=RetrySettings()), seen)


def attempts(run: str, at: float, count: int = 2):
    return [request(at + number, 503, digest=run, run=run) for number in range(count)]


def test_three_retries_that_are_a_fifth_of_all_warn() -> None:
    assert texts(retried(attempts("a", 0, 3))) == []
    assert texts(retried(attempts("a", 0, 4))) == [
        ("warn", "acme: 3 of 4 requests are retries; hold back 80% of new ones")
    ]


def test_three_runs_that_retry_together_are_a_storm() -> None:
    found = retried([*attempts("a", 0), *attempts("b", 2), *attempts("c", 4)])
    assert texts(found) == [
        ("trip", "acme: 3 of 6 requests are retries by 3 runs at a time; hold back 86% of new ones")
    ]
    assert found[0].runs == ("c", "a", "b")


def test_few_retries_among_many_requests_are_fine() -> None:
    fine = [request(number * 0.1, 200, digest=f"f{number}", run="z") for number in range(30)]
    assert retried([*fine, *attempts("a", 5, 4)]) == []


def test_the_same_request_after_a_success_is_no_retry() -> None:
    assert retried([request(number, 200) for number in range(9)]) == []


def test_what_is_older_than_a_minute_does_not_count() -> None:
    assert retried([one for at in (0, 100, 200, 300) for one in attempts(f"a{at}", at)]) == []


def test_a_time_out_is_a_failure_and_a_bad_request_is_none() -> None:
    assert len(retried([request(number, None) for number in range(4)])) == 1
    assert retried([request(number, 400) for number in range(9)]) == []


def test_the_window_outlives_a_restart() -> None:
    detectors = only(retries=RetrySettings())
    told(detectors, attempts("a", 0, 3))
    assert len(told(restarted(detectors, "a"), attempts("a", 3, 1))) == 1
