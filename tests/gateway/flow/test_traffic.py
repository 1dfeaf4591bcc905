"""One gateway's traffic: who goes, who waits, who is told to come back."""

from typing import Any

from opsconsole.gateway.flow.gauges import Lane
from opsconsole.gateway.flow.traffic import Ask, Go, Refuse, Traffic, Wait

LANE: Lane = ("openai", "", "gpt-4o")
OTHER: Lane = ("openai", "", "gpt-4o-mini")


def traffic(**more: Any) -> Traffic:
    return Traffic(dice=lambda: 0.5, **more)


def ask(number: int, run: str = "a", tokens: float = 100, lane: Lane = LANE) -> Ask:
    return Ask(id=number, lane=lane, run=run, tokens=tokens, request=number)


def headers(remaining: float, limit: float = 6_000) -> dict[str, str]:
    return {
        "x-ratelimit-limit-tokens": f"{limit:.0f}",
        "x-ratelimit-remaining-tokens": f"{remaining:.0f}",
        "x-ratelimit-reset-tokens": f"{(limit - remaining) * 60 / limit}s",
    }


def test_all_go_where_no_limit_is_known() -> None:
    one = traffic()
    assert all(isinstance(one.arrive(ask(number), 1.0), Go) for number in range(500))


def test_who_finds_no_room_waits_until_there_is() -> None:
    one = traffic()
    one.answered(ask(1), 200, headers(50), 1.0, 1.0)
    waits = ask(2)
    assert one.arrive(waits, 1.0) == Wait()
    assert (one.due(1.4), one.due(1.6)) == ([], [(waits, Go())])


def test_it_says_when_to_look_again() -> None:
    one = traffic()
    one.answered(ask(1), 200, headers(50), 1.0, 1.0)
    assert one.next_due(1.0) is None
    one.arrive(ask(2), 1.0)
    assert abs((one.next_due(1.0) or 0) - 0.5) < 0.01


def test_a_hog_does_not_starve_its_neighbour() -> None:
    one = traffic()
    one.answered(ask(1), 200, headers(0), 0.0, 0.0)
    for number in range(60):
        one.arrive(ask(10 + number, "hog"), 0.0)
    one.arrive(ask(100, "quiet"), 0.0)
    gone = [found.run for tenth in range(31) for found, verdict in one.due(tenth / 10) if isinstance(verdict, Go)]
    assert gone[:3] == ["hog", "quiet", "hog"]


def test_one_models_limit_holds_up_no_other() -> None:
    one = traffic()
    one.answered(ask(1), 200, headers(0), 1.0, 1.0)
    assert isinstance(one.arrive(ask(2, lane=OTHER), 1.0), Go)


def test_a_wait_longer_than_anybody_keeps_is_refused_at_once_with_when_to_come_back() -> None:
    one = traffic(delay_seconds_max=10)
    one.answered(ask(1), 200, headers(0), 1.0, 1.0)
    verdict = one.arrive(ask(2, tokens=3_000), 1.0)
    assert isinstance(verdict, Refuse)
    assert (round(verdict.retry_after_seconds), verdict.is_down) == (30, False)


def test_who_waited_too_long_is_told_to_come_back() -> None:
    one = traffic(delay_seconds_max=10)
    one.answered(ask(1), 200, headers(0), 0.0, 0.0)
    for number in range(20):
        one.arrive(ask(10 + number, "hog", tokens=500), 0.0)
    refused = [
        found for second in range(12) for found, verdict in one.due(float(second)) if isinstance(verdict, Refuse)
    ]
    assert (len(refused), one.waiting) == (18, 0)


def test_a_provider_that_asks_for_a_pause_gets_it() -> None:
    one = traffic()
    one.answered(ask(1), 429, {"retry-after": "4"}, 1.0, 1.0)
    waits = ask(2)
    assert one.arrive(waits, 2.0) == Wait()
    assert (one.due(4.9), one.due(5.0)) == ([], [(waits, Go())])


def test_who_left_does_not_go() -> None:
    one = traffic()
    one.answered(ask(1), 429, {"retry-after": "4"}, 1.0, 1.0)
    waits = ask(2)
    one.arrive(waits, 2.0)
    one.leave(waits)
    assert (one.due(60.0), one.waiting) == ([], 0)


def test_an_upstream_that_fails_is_not_asked_for_a_while() -> None:
    one = traffic()
    told = [one.answered(ask(number), 502, {}, 1.0, 1.0) for number in range(5)]
    verdict = one.arrive(ask(9), 2.0)
    assert told[-1] == "openai gpt-4o fails too often: it is not asked for a while"
    assert isinstance(verdict, Refuse)
    assert (verdict.is_down, verdict.retry_after_seconds) == (True, 9)


def test_a_provider_that_refuses_most_is_asked_less() -> None:
    one = Traffic(dice=lambda: 0.8)
    for number in range(100):
        one.answered(ask(number), 429 if number % 10 else 200, {}, 1.0, 1.0)
    first = one.arrive(ask(200), 1.0)
    eager = Traffic(dice=lambda: 0.7)
    for number in range(100):
        eager.answered(ask(number), 429 if number % 10 else 200, {}, 1.0, 1.0)
    assert (isinstance(first, Refuse), isinstance(eager.arrive(ask(200), 1.0), Refuse)) == (False, True)


def test_retries_stay_within_their_budget() -> None:
    one = traffic()
    waits = [one.again_seconds(ask(number), 0, 503, {}, 1.0, 1.0) for number in range(5)]
    assert waits == [0.375, 0.375, 0.375, None, None]


def test_what_a_request_took_in_truth_replaces_what_was_thought() -> None:
    one = traffic()
    one.arrive(ask(1, tokens=5_000), 1.0)
    one.used(ask(1, tokens=5_000), 700, 2.0)
    assert [gauge.per_minute for gauge in one.shown(2.0) if gauge.kind == "tokens"] == [700]
