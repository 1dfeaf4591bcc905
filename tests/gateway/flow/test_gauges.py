"""How full a limit is and when it will be: told, worked out between two answers, learned, or not known."""

import pytest

from opsconsole.gateway.flow.gauges import Gauge, Gauges, Lane, first_to_fill, level
from opsconsole.gateway.flow.limits_read import Kind, Limit

LANE: Lane = ("openai", "", "gpt-4o")


def told(gauges: Gauges, remaining: float, now: float, *, limit: float = 60_000, kind: Kind = "tokens") -> None:
    back = (limit - remaining) * 60 / limit
    gauges.read(LANE, [Limit(kind=kind, limit=limit, remaining=remaining, resets_in_seconds=back)], now)


def gauge(gauges: Gauges, now: float, kind: Kind = "tokens") -> Gauge:
    return next(one for one in gauges.all(now) if one.kind == kind)


def test_the_used_share_is_what_the_provider_says() -> None:
    gauges = Gauges()
    told(gauges, 15_000, 100.0)
    found = gauge(gauges, 100.0)
    assert (found.source, found.limit, found.used_share, found.resets_in_seconds) == ("headers", 60_000, 0.75, 45)


def test_between_two_answers_the_bucket_refills_and_what_was_sent_is_gone() -> None:
    gauges = Gauges()
    told(gauges, 15_000, 100.0)
    gauges.sent(LANE, 4_000, 105.0)
    assert gauge(gauges, 110.0).used_share == pytest.approx((60_000 - 15_000 - 10 * 1_000 + 4_000) / 60_000)


def test_a_request_waits_until_enough_has_come_back() -> None:
    gauges = Gauges()
    told(gauges, 1_000, 100.0)
    assert gauges.wait_seconds(LANE, 500, 100.0) == 0
    assert gauges.wait_seconds(LANE, 6_000, 100.0) == pytest.approx(5)


def test_a_request_larger_than_the_limit_waits_for_all_of_it_and_no_longer() -> None:
    gauges = Gauges()
    told(gauges, 30_000, 100.0)
    assert gauges.wait_seconds(LANE, 1_000_000, 100.0) == pytest.approx(30)


def test_a_daily_limit_refills_as_its_reset_says() -> None:
    gauges = Gauges()
    gauges.read(LANE, [Limit(kind="requests", limit=10_000, remaining=0, resets_in_seconds=86_400)], 0.0)
    assert gauges.wait_seconds(LANE, 1, 0.0) == pytest.approx(8.64)


def test_nothing_waits_where_no_limit_is_known() -> None:
    gauges = Gauges()
    gauges.sent(LANE, 10_000_000, 1.0)
    assert gauges.wait_seconds(LANE, 10_000_000, 1.0) == 0
    assert (gauge(gauges, 1.0).used_share, gauge(gauges, 1.0).per_minute) == (None, 10_000_000)


def test_a_steady_way_down_is_projected_to_its_end() -> None:
    gauges = Gauges()
    for step in range(13):  # 100 tokens a second over the refill
        told(gauges, 50_000 - 1_000 * step, 1_000.0 + 10 * step)
    found = gauge(gauges, 1_120.0)
    assert found.full_in_seconds == pytest.approx(380, rel=0.02)


def test_a_level_that_stands_still_is_not_projected() -> None:
    gauges = Gauges()
    for step in range(13):
        told(gauges, 20_000, 1_000.0 + 10 * step)
    assert gauge(gauges, 1_120.0).full_in_seconds is None


def test_a_single_refusal_teaches_nothing() -> None:
    gauges = Gauges()
    for _ in range(100):
        gauges.sent(LANE, 1_000, 60.0)
    gauges.refused(LANE, 61.0)
    assert (gauge(gauges, 61.0).source, gauges.wait_seconds(LANE, 1_000, 61.0)) == ("counted", 0)


def test_refusals_teach_a_limit_that_grows_again() -> None:
    gauges = Gauges()
    for _ in range(100):
        gauges.sent(LANE, 1_000, 60.0)
    for _ in range(5):
        gauges.refused(LANE, 61.0)
    assert gauges.wait_seconds(LANE, 1_000, 61.0) > 0
    at_once, later = gauge(gauges, 61.0, "requests"), gauge(gauges, 61.0 + 600, "requests")
    assert (at_once.source, at_once.limit, later.limit) == ("learned", 90, pytest.approx(180))


def test_refusals_of_few_requests_teach_nothing() -> None:
    gauges = Gauges()
    gauges.sent(LANE, 1_000, 60.0)
    for _ in range(9):
        gauges.refused(LANE, 61.0)
    assert (gauge(gauges, 61.0).source, gauges.wait_seconds(LANE, 1_000, 61.0)) == ("counted", 0)


def test_headers_put_an_end_to_what_was_learned() -> None:
    gauges = Gauges()
    for _ in range(100):
        gauges.sent(LANE, 1_000, 60.0)
    for _ in range(5):
        gauges.refused(LANE, 61.0)
    told(gauges, 60_000, 62.0)
    assert (gauge(gauges, 62.0).source, gauge(gauges, 62.0, "requests").source) == ("headers", "counted")


def test_a_gauge_that_nobody_speaks_of_is_no_longer_shown() -> None:
    gauges = Gauges()
    told(gauges, 1_000, 100.0)
    assert gauges.all(1_200.0) == []


def test_the_memory_of_models_is_bounded() -> None:
    gauges = Gauges()
    for number in range(1_000):
        gauges.sent(("openai", "", f"made-up-{number}"), 1, 5.0)
    assert len(gauges.all(5.0)) == 2 * 400


@pytest.mark.parametrize(
    ("share", "full_in", "expected"),
    [
        (None, 1.0, "ok"),
        (0.4, 10.0, "ok"),
        (0.6, 400.0, "ok"),
        (0.6, 90.0, "warning"),
        (0.8, None, "warning"),
        (0.95, None, "critical"),
    ],
)
def test_a_limit_warns_by_its_share_and_by_how_soon_it_is_full(
    share: float | None, full_in: float | None, expected: str
) -> None:
    assert level(share, full_in) == expected


def test_what_fills_soonest_comes_before_what_is_fullest() -> None:
    gauges = Gauges()
    told(gauges, 10_000, 1_120.0, kind="requests")
    for step in range(13):
        told(gauges, 50_000 - 1_000 * step, 1_000.0 + 10 * step)
    first = first_to_fill(gauges.all(1_120.0))
    assert first is not None
    assert first.kind == "tokens"
