"""The breaker's table, walked, and what stands in for what."""

import itertools

import pytest

from opsconsole.gateway.flow.breaker import (
    OPEN_SECONDS,
    OPEN_SECONDS_MAX,
    PROBE_SECONDS,
    TRANSITIONS,
    Breaker,
    Fallback,
    fallbacks_of,
    read_fallbacks,
)


def opened(at: float = 0.0) -> Breaker:
    breaker = Breaker()
    for _ in range(5):
        breaker.answered(503, at)
    assert breaker.state == "open"
    return breaker


def test_the_table_knows_every_event_in_every_state() -> None:
    states, events = ("closed", "open", "half_open"), ("failed", "tripped", "worked", "cooled")
    assert set(TRANSITIONS) == set(itertools.product(states, events))


def test_an_open_breaker_closes_only_by_a_probe_that_worked() -> None:
    assert [key for key, state in TRANSITIONS.items() if state == "closed" and key[0] != "closed"] == [
        ("half_open", "worked")
    ]


def test_few_failures_open_nothing() -> None:
    breaker = Breaker()
    for _ in range(4):
        breaker.answered(500, 0.0)
    assert (breaker.state, breaker.wait_seconds(0.0)) == ("closed", 0)


def test_failures_among_many_answers_open_nothing() -> None:
    breaker = Breaker()
    for number in range(100):
        breaker.answered(500 if number % 3 == 0 else 200, 0.0)
    assert breaker.state == "closed"


def test_too_many_requests_do_not_speak_against_an_upstream() -> None:
    breaker = Breaker()
    for _ in range(50):
        breaker.answered(429, 0.0)
    assert breaker.state == "closed"


def test_nobody_is_let_through_while_it_is_open() -> None:
    assert opened().wait_seconds(3.0) == OPEN_SECONDS - 3


def test_one_probe_is_let_through_once_it_has_cooled() -> None:
    breaker = opened()
    waits = [breaker.wait_seconds(OPEN_SECONDS), breaker.wait_seconds(OPEN_SECONDS)]
    assert (waits[0], waits[1] > 0, breaker.state) == (0, True, "half_open")


def test_a_probe_that_works_closes_it() -> None:
    breaker = opened()
    breaker.wait_seconds(OPEN_SECONDS)
    assert (breaker.answered(200, OPEN_SECONDS + 1), breaker.wait_seconds(OPEN_SECONDS + 1)) == ("closed", 0)


def test_probes_that_fail_open_it_for_longer_and_longer() -> None:
    breaker, now, waits = opened(), 0.0, []
    for _ in range(6):
        now += breaker.wait_seconds(now)
        assert breaker.wait_seconds(now) == 0
        breaker.answered(0, now)
        waits.append(breaker.wait_seconds(now))
    assert waits == [20, 40, 80, 120, 120, OPEN_SECONDS_MAX]


def test_a_probe_of_which_nothing_is_heard_is_given_up() -> None:
    breaker = opened()
    breaker.wait_seconds(OPEN_SECONDS)
    assert breaker.wait_seconds(OPEN_SECONDS + PROBE_SECONDS) == 0


def test_fallbacks_are_read_in_order() -> None:
    found = read_fallbacks(["openai/gpt-5 = gpt-5-mini, gpt-4o", "anthropic/opus=sonnet"])
    assert found[2] == Fallback(provider="anthropic", model="opus", instead="sonnet")
    assert fallbacks_of(found, "openai", "gpt-5") == ["gpt-5-mini", "gpt-4o"]
    assert fallbacks_of(found, "openai", "sonnet") == []


@pytest.mark.parametrize(
    "written", ["gpt-5=gpt-4", "openai/gpt-5", "openai/=x", "/m=x", "openai/m=", "a/b=" + "x," * 9]
)
def test_what_is_no_fallback_is_refused(written: str) -> None:
    with pytest.raises(ValueError):
        read_fallbacks([written])
