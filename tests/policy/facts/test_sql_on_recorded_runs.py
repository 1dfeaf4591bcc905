"""The SQL fact against 35,000 calls of real agents and what MySQL answered them, tuned on one half, held on both."""

from __future__ import annotations

import pytest

from tests.policy.facts.recorded_runs import ABSENT, SqlRuns, is_present

PRECISION_MIN = 0.96
RECALL_MIN = 0.99

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not is_present(), reason=ABSENT)]


@pytest.mark.parametrize("half", ["tuning", "frozen"])
def test_unknown_names_are_found_and_known_ones_are_left_alone(half: str) -> None:
    score = SqlRuns(half).measure(lambda fact, args, history: fact(args, history))
    assert score.calls > 17_000
    assert score.precision >= PRECISION_MIN
    assert score.recall >= RECALL_MIN
