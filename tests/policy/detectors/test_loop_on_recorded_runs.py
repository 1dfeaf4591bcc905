"""The loop detector on recorded SQL runs: rules and thresholds were chosen on one half, the other is only measured."""

from __future__ import annotations

import pytest

from opsconsole.policy.detectors.finding import Severity
from opsconsole.policy.file.settings import LoopSettings
from tests.policy.detectors.recorded import intercode, is_success
from tests.policy.detectors.seeing import only, told
from tests.policy.facts.recorded_runs import ABSENT, half_of, is_present, lines

pytestmark = pytest.mark.skipif(not is_present(), reason=ABSENT)


@pytest.fixture(scope="module")
def shares() -> dict[tuple[str, bool], float]:
    """Half and success -> the share of runs that trip."""
    counts: dict[tuple[str, bool], list[bool]] = {}
    for run in lines("sql_agent_runs.jsonl.gz"):
        found = told(only(loop=LoopSettings()), intercode(run, "run_sql"))
        trips = any(one.severity is Severity.TRIP for one in found)
        for half in (half_of(run["id"]), "both"):
            counts.setdefault((half, is_success(run)), []).append(trips)
    return {key: sum(trips) / len(trips) for key, trips in counts.items()}


@pytest.mark.parametrize("half", ["both", "tuning", "frozen"])
def test_most_failed_runs_trip(shares: dict[tuple[str, bool], float], half: str) -> None:
    assert shares[half, False] >= 0.62


@pytest.mark.parametrize("half", ["both", "tuning", "frozen"])
def test_hardly_a_successful_run_trips(shares: dict[tuple[str, bool], float], half: str) -> None:
    assert shares[half, True] <= 0.005
