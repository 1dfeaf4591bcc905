"""Slow models and tools, and who waits for them."""

from __future__ import annotations

import random

from opsconsole.policy.detectors.baseline import Baseline
from opsconsole.policy.file.settings import LatencySettings
from tests.policy.detectors.seeing import call, only, restarted, texts, told, turn

USUAL = [turn(at=number, latency_ms=1_000.0) for number in range(20)]


def slow(seen, **settings):
    return told(only(latency=LatencySettings(**settings)), seen)


def late(at: float, run: str = "r", latency_ms: float = 3_001.0):
    return turn(at=at, run=run, agent=run, latency_ms=latency_ms)


def test_three_in_a_row_over_three_times_the_usual_trip() -> None:
    found = slow([*USUAL, late(20), late(21), late(22)])
    assert texts(found) == [("trip", "model gpt-5 takes 3.0 times its usual 1,000 ms, 3 calls in a row")]
    assert slow([*USUAL, late(20), late(21), late(22, latency_ms=2_999), late(23), late(24)]) == []


def test_before_twenty_calls_nothing_is_usual() -> None:
    assert slow([*USUAL[:19], late(20), late(21)]) == []


def test_runs_that_are_slow_within_a_minute_share_one_incident() -> None:
    seen = [*USUAL, *[late(30 + number, run) for run in ("a", "b", "c") for number in range(3)]]
    found = slow(seen)
    assert {one.key for one in found} == {"latency:model gpt-5:32"}
    assert found[-1].runs == ("c", "a", "b")
    assert found[-1].text.endswith("; 3 runs wait for it")


def test_an_hour_later_it_is_another_incident() -> None:
    again = [late(4_000 + number) for number in range(3)]
    found = slow([*USUAL, late(20), late(21), late(22), late(23, latency_ms=900), *again])
    assert [one.key for one in found] == ["latency:model gpt-5:22", "latency:model gpt-5:4002"]


def test_what_is_over_in_no_time_is_never_slow() -> None:
    calls = [call(at=number, latency_ms=1.0) for number in range(20)]
    assert slow([*calls, *[call(at=30 + number, latency_ms=99.0) for number in range(3)]]) == []


def test_a_streak_outlives_a_restart() -> None:
    detectors = only(latency=LatencySettings())
    told(detectors, [*USUAL, late(20), late(21)])
    assert len(told(restarted(detectors, "r"), [late(22)])) == 1


def test_the_baseline_is_the_median_of_its_window() -> None:
    dice = random.Random(4)
    values = [dice.randrange(50) for _ in range(400)]
    usual = Baseline(7)
    for number, value in enumerate(values, 1):
        usual.add(value)
        last = sorted(values[max(0, number - 7) : number])
        assert usual.median(1) == last[(len(last) - 1) // 2]
    assert usual.median(8) is None
