"""Detectors against fleets that go wrong on purpose; the margins leave room for no more than a finding or two."""

from __future__ import annotations

import pytest

from tests.policy.detectors import simulated_providers, simulated_waits
from tests.policy.detectors.simulator import Injected, Scenario, Score, run

LATE = Injected(late_seconds=2.0)
SEEDS = range(2)
LEAST = {
    "stall": (0.98, 0.98),
    "deadlock": (0.98, 0.98),
    "orphan": (0.95, 0.95),
    "cascade": (0.85, 0.9),
    "saturation": (0.8, 0.95),
    "retry storm": (0.95, 0.95),
}
"""Precision and recall, over the seeds of this test."""
SCENARIOS = [*simulated_waits.SCENARIOS, *simulated_providers.SCENARIOS]


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
@pytest.mark.parametrize("injected", [Injected(), LATE], ids=["in time", "late"])
def test_faults_are_found_and_little_else(scenario: Scenario, injected: Injected) -> None:
    score = run(scenario, SEEDS, injected)
    precision, recall = LEAST[scenario.name]
    assert score.found + score.missed >= 5
    assert (score.precision >= precision, score.recall >= recall) == (True, True), score


def test_a_deadlock_is_told_within_seconds() -> None:
    assert max(run(simulated_waits.DEADLOCK, SEEDS).delays) < 20


def test_providers_are_judged_well_even_when_some_of_it_is_lost() -> None:
    total = Score()
    for scenario in simulated_providers.SCENARIOS:
        total.add(run(scenario, SEEDS, Injected(lost=0.02, late_seconds=2.0)))
    assert (total.precision >= 0.85, total.recall >= 0.95) == (True, True), total
