"""Providers that fill up."""

from __future__ import annotations

from opsconsole.policy.detectors.observation import RateReading
from opsconsole.policy.file.settings import RateLimitSettings
from tests.policy.detectors.seeing import only, request, restarted, texts, told


def filling(seen):
    return texts(told(only(rate_limit=RateLimitSettings()), seen))


def reading(at: float, remaining: float, resets_at: float | None = None) -> RateReading:
    return RateReading(
        run="r", at=at, provider="acme", limit="tokens", size=100, remaining=remaining, resets_at=resets_at
    )


def test_headers_warn_at_four_fifths_and_trip_nearly_full() -> None:
    assert filling([reading(0, 21), reading(1, 20), reading(2, 5)]) == [
        ("warn", "acme: 80% of tokens used"),
        ("trip", "acme: 95% of tokens used"),
    ]


def test_a_limit_that_will_be_full_before_it_is_filled_up_warns_early() -> None:
    steady = [reading(at * 3.0, 80 - at * 6, resets_at=60.0) for at in range(6)]
    assert filling(steady) == [("warn", "acme: 50% of tokens used, full in 25 s, before it is filled up")]
    assert filling([reading(at * 3.0, 80 - at * 6, resets_at=30.0) for at in range(6)]) == []


def test_an_episode_is_told_once_until_it_is_over() -> None:
    swinging = [reading(at, 15 + 10 * (at % 2)) for at in range(8)]
    assert len(filling(swinging)) == 1
    assert len(filling([*swinging, reading(9, 100), reading(10, 10)])) == 2


def test_without_headers_our_own_count_learns_the_limit_from_a_refusal() -> None:
    full = [request(at * 0.1, 200) for at in range(50)]
    learnt = [*full, request(5.0, 429)]
    again = [request(200 + at * 0.1, 200) for at in range(45)]
    assert filling(full) == []
    assert filling([*learnt, *again])[1:] == [("warn", "acme: 80% of requests a minute, by our count used")]


def test_where_headers_come_our_count_is_silent() -> None:
    seen = [reading(0, 90), *[request(at * 0.1, 200) for at in range(50)], request(5.0, 429), request(6.0, 429)]
    assert filling(seen) == []


def test_an_episode_outlives_a_restart() -> None:
    detectors = only(rate_limit=RateLimitSettings())
    told(detectors, [reading(0, 10)])
    assert told(restarted(detectors, "r"), [reading(1, 9)]) == []
