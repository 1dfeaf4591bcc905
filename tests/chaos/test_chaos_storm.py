"""A short storm in CI: nothing is lost, nothing is done twice, and every console shows the truth afterwards.

`python -m bench chaos --seconds 300` is the long one.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.storm import storm

SEED = 7
STORM_SECONDS = 30.0


@pytest.mark.slow
@pytest.mark.process
@pytest.mark.timeout(360)
async def test_a_storm_loses_nothing_does_nothing_twice_and_every_console_converges(tmp_path: Path) -> None:
    findings, story = await storm(tmp_path, SEED, STORM_SECONDS)
    assert not findings.problems, "\n".join([*findings.problems, *story])
    assert min(findings.counts[what] for what in ("events", "decisions", "executions", "hub kill -9")) > 0
