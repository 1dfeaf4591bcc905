"""The loop that others copy, killed in the middle of a turn and started again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.sdk.fake_hub import TIME_LIMIT_SECONDS, FakeHub, running_hub

pytestmark = pytest.mark.process
SCRIPT = Path(__file__).with_name("paying_agent.py")


def drive(hub: FakeHub, place: Path, *how: str) -> tuple[int, str]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("OPSCONSOLE_")}
    command = [sys.executable, str(SCRIPT), hub.url, str(place / "data"), str(place), *how]
    done = subprocess.run(command, env=environ, timeout=2 * TIME_LIMIT_SECONDS, check=False, stdout=subprocess.PIPE)
    return done.returncode, done.stdout.decode()


def test_an_agent_killed_between_two_calls_of_one_turn_makes_neither_again(tmp_path: Path) -> None:
    with running_hub() as hub:
        crashed, (status, said) = drive(hub, tmp_path, "crash"), drive(hub, tmp_path)
        assert (crashed, status) == ((-signal.SIGKILL, ""), 0)
        assert (tmp_path / "ledger").read_text() == "900\n"
        ran = [
            event["id"]
            for event in hub.only().of("tool")
            if event["status"] == "running" and event["kind"] != "model_call"
        ]
        assert len(ran) == 2
    assert said.startswith("paid and Error: The call ")
