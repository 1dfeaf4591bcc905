"""How long a budget lasts, in words; and whom to pause first."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from opsconsole.policy.breaker_runway import Candidate, Runway, pause_first

BERLIN = ZoneInfo("Europe/Berlin")
NOON = datetime(2026, 11, 25, 12, 0, tzinfo=BERLIN).timestamp()


def way(used: float, limit: float, per_minute: float, what: str = "cost_usd", window: str = "total") -> Runway:
    return Runway(what=what, window=window, used=used, limit=limit, per_minute=per_minute, now=NOON)


@pytest.mark.parametrize(
    ("runway", "text"),
    [
        (way(10 - 0.42 * 152, 10, 0.42), "$0.42/min, reaches its $10 cap at 14:32"),
        (way(1, 2_000, 1.0), "$1.00/min, reaches its $2,000 cap on Thu 26 Nov at 21:19"),
        (way(1, 90_000, 1.0), "$1.00/min, reaches its $90,000 cap in more than a week"),
        (way(10.5, 10, 1.0), "$10.50 used, its $10 cap is reached"),
        (way(5, 10, 0.0), "idle, 50 % of its $10 cap"),
        (way(5, 10, 0.1, window="hour"), "$0.10/min, stays below its $10 cap"),
        (way(7_600, 20_000, 2_000, "tokens", "minute"), "38 % of 20,000 tokens a minute"),
        (way(7_600, 20_000, 40_000, "tokens", "minute"), "38 % of 20,000 tokens a minute, full in 19 s"),
        (way(20_000, 20_000, 40_000, "tokens", "minute"), "100 % of 20,000 tokens a minute, full"),
    ],
)
def test_a_runway_says_what_is_left_in_words(runway: Runway, text: str) -> None:
    assert runway.text(BERLIN) == text


def test_a_cap_that_is_reached_has_no_time_left_and_one_that_never_is_has_no_end() -> None:
    assert (way(10, 10, 1).seconds, way(9, 10, 1).seconds, way(9, 10, 0).seconds) == (0.0, 60.0, None)


def test_the_least_important_is_paused_first_then_what_has_cost_least_then_what_is_least_far() -> None:
    runs = [
        Candidate(run="urgent", priority=9),
        Candidate(run="dear", sunk_usd=5.0),
        Candidate(run="far", sunk_usd=1.0, progress=0.9),
        Candidate(run="begun", sunk_usd=1.0, progress=0.1),
    ]
    assert [one.run for one in pause_first(runs)] == ["begun", "far", "dear", "urgent"]
