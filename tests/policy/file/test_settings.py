"""Breakers and detectors as the file states them, and the limits that a run starts with."""

from __future__ import annotations

import pytest

from opsconsole.policy.default import RUN_LIMITS
from opsconsole.policy.file.settings import (
    Action,
    ContextSettings,
    DetectorSettings,
    DriftSettings,
    LoopSettings,
    StallSettings,
)
from opsconsole.policy.interface import Limits
from tests.policy.file.writing import policy, problems


def breaker(id: str, per: str, trip: str, **more: str) -> str:
    lines = [f'id = "{id}"', f'per = "{per}"', f"trip = {{ {trip} }}", *(f"{k} = {v}" for k, v in more.items())]
    return "\n".join(["[[breakers]]", *lines, ""])


@pytest.mark.parametrize(
    ("per", "more", "scope", "window"),
    [
        ("run", {}, "run", "total"),
        ("agent", {}, "agent", "total"),
        ("agent", {"within": "'day'"}, "agent", "day"),
        ("label", {"label": "'team'", "within": "'hour'"}, "label", "hour"),
        ("fleet", {"within": "'total'"}, "fleet", "total"),
        ("day", {}, "fleet", "day"),
        ("hour", {"agent": "'billing-*'"}, "agent", "hour"),
        ("total", {"label": "'team=a'"}, "label", "total"),
    ],
)
def test_a_breaker_counts_somebody_over_some_time(per: str, more: dict[str, str], scope: str, window: str) -> None:
    found = policy(breaker("a", per, "turns = 3", **more)).breakers[0]
    assert (found.scope, found.window) == (scope, window)


def test_a_wall_clock_is_written_as_a_time_and_read_as_seconds() -> None:
    assert dict(policy(breaker("a", "run", 'wall_clock = "2h"')).breakers[0].trip) == {"wall_clock": 7_200.0}


def test_a_breaker_per_label_says_which() -> None:
    told = "line 2: breakers[1]: label is missing: a breaker per label says which"
    assert problems(breaker("a", "label", "turns = 3")) == [told]


def test_slow_calls_in_a_row_need_what_slow_is() -> None:
    assert problems(breaker("a", "agent", "in_a_row = 3")) == [
        "line 5: breakers[1].trip: in_a_row counts slow calls: it needs latency_ratio beside it"
    ]


def test_a_run_starts_with_the_lowest_limit_of_each_kind_that_is_about_it() -> None:
    found = policy(
        breaker("all", "run", "cost_usd = 5.0, turns = 60")
        + breaker("billing", "run", "cost_usd = 2.0, tokens = 9", agent="'billing-*'")
        + breaker("team", "run", "turns = 10", label="'team=a'")
        + breaker("day", "day", "cost_usd = 0.5, turns = 1")
    )
    tokens = RUN_LIMITS.tokens
    assert found.limits("x", {}) == Limits(cost_usd=5.0, turns=60, tokens=tokens)
    assert found.limits("billing-1", {"team": "b"}) == Limits(cost_usd=2.0, turns=60, tokens=9)
    assert found.limits("x", {"team": "a"}) == Limits(cost_usd=5.0, turns=10, tokens=tokens)


def test_where_the_file_says_no_limit_the_defaults_hold() -> None:
    assert policy("").limits("x", {}) == RUN_LIMITS


def test_detectors_have_their_defaults() -> None:
    assert policy("").detectors == DetectorSettings()
    assert DetectorSettings().agreement is False


def test_a_detector_is_set_in_part_or_switched_off() -> None:
    found = policy(
        "[detectors]\nloop = { trip = 5, poll = 'wait_*' }\nstall = { model = '90s' }\nretries = false\n"
        "context = { warn_at = 0.4 }\ndrift = { model_change = 'trip' }\nagreement = true\n"
    ).detectors
    assert found.loop is not None
    assert (found.loop.warn, found.loop.trip, found.loop.poll and found.loop.poll.text) == (3, 5, "wait_*")
    assert (found.stall, found.retries, found.agreement) == (StallSettings(model_seconds=90.0), None, True)
    assert found.context == ContextSettings(warn_at=0.4)
    assert found.drift == DriftSettings(model_change=Action.TRIP)


@pytest.mark.parametrize(
    "line",
    [
        "loop = true",
        "loop = { warn = 0 }",
        "loop = { warn = 2.0 }",
        "loop = { warn = 3, trip = 13 }",
        "context = { warn_at = 1.5 }",
        "context = { warn_at = 0.9, trip_at = 0.8 }",
        "stall = { model = 90 }",
        "drift = { model_change = 'kill' }",
        "agreement = 'on'",
    ],
)
def test_a_detector_that_could_not_work_is_refused(line: str) -> None:
    assert len(problems(f"[detectors]\n{line}")) == 1


def test_the_loop_detector_has_the_measured_defaults() -> None:
    assert LoopSettings() == LoopSettings(warn=3, trip=4, window=12, poll=None)
