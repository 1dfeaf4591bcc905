"""Agents that spend too much for hours without a spike."""

from __future__ import annotations

from opsconsole.policy.detectors.tuning import Answer
from opsconsole.policy.file.settings import BurnSettings, DetectorSettings
from tests.policy.detectors.seeing import only, restarted, texts, told, turn

HOUR = 3_600.0
CHRONIC = (*[1.0] * 8, 1.8, 1.8, 1.8, 0.1)


def burning(**settings: float):
    return only(burn=BurnSettings(**settings))


def hours(*dollars: float, first: int = 0):
    return [turn(at=(first + number) * HOUR, cost_usd=usd) for number, usd in enumerate(dollars)]


def test_three_hours_above_the_usual_are_chronic() -> None:
    assert texts(told(burning(), hours(*[1.0] * 8, 2.0, 2.0, 2.0, 0.1))) == [
        ("warn", "chronic burn: bot spent $2.00 an hour for 3 hours, its usual is $1.00")
    ]


def test_a_spike_is_not_chronic_nor_is_what_was_always_so() -> None:
    assert told(burning(), hours(*[1.0] * 8, 50.0, 1.0, 1.0, 0.1)) == []
    assert told(burning(), hours(*[2.0] * 12)) == []


def test_an_agent_that_is_not_known_for_eight_hours_is_left_alone() -> None:
    assert told(burning(), hours(*[1.0] * 7, 2.0, 2.0, 2.0, 0.1)) == []


def test_cents_wake_nobody() -> None:
    assert told(burning(), hours(*[0.01] * 8, 0.05, 0.05, 0.05, 0.1)) == []


def test_hours_outlive_a_restart() -> None:
    detectors = burning()
    told(detectors, hours(*[1.0] * 8, 2.0, 2.0, 2.0))
    assert len(told(restarted(detectors, "r"), hours(0.1, first=11))) == 1


def test_the_file_says_how_much_for_how_long_and_whether_at_all() -> None:
    assert len(told(burning(), hours(*CHRONIC))) == 1
    assert told(burning(ratio=2.0), hours(*CHRONIC)) == []
    assert told(burning(hours=4), hours(*CHRONIC)) == []
    assert told(burning(minimum_usd=5.0), hours(*CHRONIC)) == []
    assert told(only(), hours(*CHRONIC)) == []


def test_two_answers_fine_raise_what_is_chronic_for_that_agent() -> None:
    detectors = burning()
    for _ in range(2):
        detectors.tuning.answer("bot", "burn", Answer.FINE)
    assert told(detectors, hours(*CHRONIC)) == []
    assert DetectorSettings().burn == BurnSettings(ratio=1.5, hours=3, minimum_usd=0.10)
