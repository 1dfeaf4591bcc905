"""A hub that is killed in the middle of writing: whatever it acknowledged is there."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROUNDS = 60


@pytest.mark.slow
@pytest.mark.process
def test_sixty_kills_lose_nothing_that_was_acknowledged(directory: Path) -> None:
    script = Path(__file__).with_name("kill_rounds.py")
    finished = subprocess.run(
        [sys.executable, str(script), str(directory), str(ROUNDS)],
        capture_output=True,
        text=True,
        timeout=110,
        check=True,
    )
    result = json.loads(finished.stdout)
    assert result["acknowledged"] >= ROUNDS * 2
    assert (result["lost"], result["positions_given_twice"], result["problems"]) == (0, 0, [])
