"""Models that are not, or no longer, what was asked for."""

from __future__ import annotations

import random

import pytest

from opsconsole.policy.detectors.model_change import is_family
from opsconsole.policy.detectors.two_samples import p_value
from opsconsole.policy.file.settings import Action, DriftSettings
from tests.policy.detectors.seeing import only, proposed, restarted, texts, told, turn

DAY = 86_400.0


def drifted(seen, **settings):
    return texts(told(only(drift=DriftSettings(**settings)), seen))


@pytest.mark.parametrize(
    ("asked", "served"),
    [
        ("gpt-5", "gpt-5-2025-08-07"),
        ("claude-sonnet-4-5", "claude-sonnet-4-5-20250929"),
        ("anthropic/claude-sonnet-4-5", "claude-sonnet-4-5"),
        ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", "claude-sonnet-4-5"),
        ("gemini-2.5-flash-latest", "gemini-2.5-flash"),
    ],
)
def test_a_dated_version_is_the_same_family(asked: str, served: str) -> None:
    assert is_family(asked, served)


@pytest.mark.parametrize(("asked", "served"), [("gpt-5", "gpt-5-mini"), ("gpt-4", "gpt-4o"), ("opus-4-1", "opus-4-5")])
def test_another_size_or_version_is_another_family(asked: str, served: str) -> None:
    assert not is_family(asked, served)


def test_another_model_than_asked_for_warns_at_once() -> None:
    assert drifted([turn(served_model="gpt-5-mini")]) == [
        ("warn", "model changed: asked for gpt-5, answered by gpt-5-mini")
    ]


def test_a_model_that_changes_within_a_run_warns_even_within_its_family() -> None:
    assert drifted([turn(served_model="gpt-5-2025-08-07"), turn(served_model="gpt-5-2025-11-01")]) == [
        ("warn", "model changed: gpt-5-2025-08-07 answered before, now gpt-5-2025-11-01")
    ]


def test_the_file_says_whether_that_trips_or_is_nobodys_business() -> None:
    assert drifted([turn(served_model="other")], model_change=Action.TRIP)[0][0] == "trip"
    assert drifted([turn(served_model="other")], model_change=Action.OFF) == []


def test_a_fingerprint_is_new_only_beside_a_hundred_turns_of_others() -> None:
    known = [turn(at=number, fingerprint=f"fp{number % 6}") for number in range(100)]
    assert drifted(known) == []
    assert drifted([*known, turn(at=101, fingerprint="fp9")]) == [
        ("warn", "model drift: gpt-5 answers with a fingerprint not seen for a week: fp9")
    ]
    assert drifted([*known, turn(at=6 * DAY, fingerprint="fp1")]) == []
    assert len(drifted([*known, turn(at=8 * DAY, fingerprint="fp1")])) == 1


def _turns(dice: random.Random, count: int, mean: float) -> list:
    return [turn(at=number, output_tokens=int(dice.gauss(mean, 40))) for number in range(count)]


def test_behaviour_that_changes_is_told_once_and_becomes_the_reference() -> None:
    dice = random.Random(1)
    found = drifted([*_turns(dice, 100, 300), *_turns(dice, 200, 500)])
    assert [severity for severity, _ in found] == ["warn"]
    assert "bot with gpt-5 behaves otherwise: output tokens" in found[0][1]


def test_behaviour_that_stays_is_seldom_called_drift() -> None:
    dice = random.Random(2)
    assert sum(bool(drifted(_turns(dice, 100, 300))) for _ in range(200)) <= 4


def test_longer_arguments_are_behaviour_too() -> None:
    before, now = ([proposed(args_chars=size + number % 9) for number in range(50)] for size in (100, 400))
    assert ["length of arguments" in text for _, text in drifted([turn(), *before, *now])] == [True]


def test_samples_outlive_a_restart() -> None:
    dice = random.Random(3)
    detectors = only(drift=DriftSettings())
    told(detectors, _turns(dice, 75, 300))
    last = _turns(dice, 60, 900)
    assert texts(told(restarted(detectors, "r"), last)) == texts(told(detectors, last)) != []


def test_the_p_value_is_that_of_the_tables() -> None:
    apart = [float(number) for number in range(10)]
    assert p_value(apart, [number + 100 for number in apart]) == pytest.approx(1.0825e-5, rel=1e-3)
    assert p_value(apart, apart) == 1.0
    assert p_value(apart, [number + 5 for number in apart]) == pytest.approx(0.16782, rel=1e-3)
