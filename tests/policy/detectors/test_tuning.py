"""Operators' answers move thresholds in steps, within bounds, and back."""

from __future__ import annotations

import json

import pytest

from opsconsole.policy.detectors.tuning import STEPS_MAX, Answer, Level, Tuning, tuned
from opsconsole.policy.file.settings import DetectorSettings, LoopSettings

FILE = DetectorSettings()
NAMES = ["loop", "retries", "stall", "context", "drift", "rate_limit", "parameters", "latency", "ping_pong"]
NAMES += ["burn"]


def answered(*answers: Answer) -> Tuning:
    tuning = Tuning()
    for answer in answers:
        tuning.answer("bot", "loop", answer)
    return tuning


def test_one_fine_changes_nothing_and_two_raise_by_one() -> None:
    assert answered(Answer.FINE).settings_for("bot", FILE) == FILE
    assert answered(Answer.FINE, Answer.FINE).settings_for("bot", FILE).loop == LoopSettings(warn=4, trip=5)
    assert answered(Answer.FINE, Answer.FINE).settings_for("other", FILE) == FILE


def test_a_real_lowers_again_and_never_below_the_file() -> None:
    assert answered(Answer.FINE, Answer.FINE, Answer.REAL).settings_for("bot", FILE) == FILE
    assert answered(*[Answer.REAL] * 9).settings_for("bot", FILE) == FILE


def test_a_real_takes_back_a_fine_that_waits_for_another() -> None:
    assert answered(Answer.FINE, Answer.REAL, Answer.FINE).settings_for("bot", FILE) == FILE


def test_however_many_fines_the_detector_is_not_switched_off() -> None:
    loop = answered(*[Answer.FINE] * 100).settings_for("bot", FILE).loop
    assert loop == LoopSettings(warn=3 + STEPS_MAX, trip=4 + STEPS_MAX)


@pytest.mark.parametrize("name", NAMES)
def test_every_step_of_every_detector_differs_and_stays_in_order(name: str) -> None:
    levels = [getattr(tuned(FILE, {name: Level(steps=steps)}), name) for steps in range(STEPS_MAX + 1)]
    assert levels[0] == getattr(FILE, name)
    assert len(set(map(repr, levels))) == STEPS_MAX + 1
    for one in levels:
        assert getattr(one, "warn_at", 0) <= getattr(one, "trip_at", 1) <= 1


def test_what_is_off_stays_off() -> None:
    off = DetectorSettings(loop=None)
    assert answered(Answer.FINE, Answer.FINE).settings_for("bot", off) == off


def test_answers_outlive_a_restart() -> None:
    tuning = answered(Answer.FINE, Answer.FINE, Answer.FINE)
    again = Tuning.load(json.loads(json.dumps(tuning.dump())))
    assert again.dump() == tuning.dump()
    assert again.answer("bot", "loop", Answer.FINE) == Level(steps=2)


def test_a_detector_without_thresholds_is_told_so() -> None:
    with pytest.raises(KeyError):
        Tuning().answer("bot", "agreement", Answer.FINE)
