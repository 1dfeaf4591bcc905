"""A shift worked from the command line alone: a real hub, and a real agent under `opsconsole run`."""

from __future__ import annotations

import json
import os
import select
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.machine import PATIENCE_SECONDS, Machine, living, until

pytestmark = [pytest.mark.process, pytest.mark.skipif(sys.platform != "linux", reason="finds leftovers by /proc")]

AGENT = """
import asyncio, sys
from opsconsole.sdk import CallDenied, connect

async def write(path, text):
    with open(path, "a") as file:
        file.write(text)
    return "written"

async def model(request):
    heard = request["messages"][-1]["content"]
    usage = {"prompt_tokens": 5, "completion_tokens": 2}
    return {"choices": [{"message": {"content": "heard " + heard}}], "usage": usage}

async def main(path):
    async with connect() as hub, hub.run(agent="writer") as run:
        for number in range(100):
            try:
                print("tool", await run.tool("write_file", {"path": path, "text": f"{number} "}, write), flush=True)
            except CallDenied as denied:
                print("denied", denied.reason, flush=True)
            reply = await run.model_call({"model": "m", "messages": [{"role": "user", "content": "go on"}]}, model)
            text = reply["choices"][0]["message"]["content"] if isinstance(reply, dict) else reply.text
            print("model", text, flush=True)

asyncio.run(main(sys.argv[1]))
"""


WAITING = frozenset({"takeover", "pause", "resume", "kill"})
"""Commands that wait until what they ask for is done, though nobody says how long."""


class Shift:
    """One machine, one agent, one operator."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.file = machine.data_dir / "out.txt"
        script = machine.data_dir / "writer.py"
        script.write_text(AGENT)
        patient = {"OPSCONSOLE_KILL_COOPERATIVE_MS": "30000"}  # until the agent's own word, on a busy machine
        self.process = machine.begin("run", "--", sys.executable, str(script), str(self.file), environment=patient)
        self._said = b""
        self.run = str(until(lambda: machine.row("writer"), "the run")["run"])

    def held(self, kind: str = "tool_call") -> dict[str, Any]:
        """The next held call."""

        def look() -> dict[str, Any] | None:
            rows = json.loads(self.machine.cli("approvals", "--json").stdout)
            return next((row for row in rows if row["kind"] == kind), None)

        return until(look, f"a held {kind}")

    def does(self, *args: str, status: int = 0) -> str:
        done = self.machine.cli(*args, *(("--timeout", "60") if args[0] in WAITING else ()))
        assert done.returncode == status, done.stderr
        return done.stdout

    def says(self) -> str:
        """The agent's next line."""
        assert self.process.stdout is not None
        output = self.process.stdout.fileno()

        def look() -> str | None:
            self._said += os.read(output, 65_536) if select.select([output], [], [], 0)[0] else b""
            line, end, rest = self._said.partition(b"\n")
            self._said = rest if end else self._said
            return line.decode() if end else None

        return until(look, "a line of the agent")


@pytest.fixture
def shift(tmp_path: Path) -> Iterator[Shift]:
    machine = Machine(tmp_path)
    machine.start_hub()
    yield Shift(machine)
    machine.close()


def test_each_answer_reaches_the_agent_and_nothing_else_runs(shift: Shift) -> None:
    shift.does("approve", shift.held()["approval"])
    assert (shift.says(), shift.says()) == ("tool written", "model heard go on")
    shift.does("reject", shift.held()["approval"], "--reason", "not on a Sunday")
    assert (shift.says(), shift.says()) == ("denied not on a Sunday", "model heard go on")
    edited = json.dumps({"path": str(shift.file), "text": "edited "})
    shift.does("edit", shift.held()["approval"], "--args", edited)
    assert (shift.says(), shift.says()) == ("tool written", "model heard go on")
    shift.does("respond", shift.held()["approval"], "--text", "I did it by hand", "--timeout", "60")
    assert (shift.says(), shift.says()) == ("tool I did it by hand", "model heard go on")
    assert shift.file.read_text() == "0 edited "
    shift.does("approve", shift.held()["approval"], "--digest", "sha256:of another call", status=7)


def test_a_run_is_taken_over_answered_as_the_model_and_handed_back(shift: Shift) -> None:
    shift.held()
    shift.does("takeover", shift.run)
    shift.does("reject", shift.held()["approval"], "--reason", "mine now")
    assert shift.says() == "denied mine now"
    shift.does("respond", shift.held("model_call")["approval"], "--text", "I am the model")
    assert shift.says() == "model I am the model"
    shift.does("release", shift.run, "--summary", "all is well")
    shift.does("reject", shift.held()["approval"], "--reason", "enough")
    assert shift.says() == "denied enough"
    assert "all is well" in shift.says()


def test_a_paused_run_goes_on_only_when_it_is_resumed(shift: Shift) -> None:
    shift.held()
    shift.does("pause", shift.run)
    shift.does("approve", shift.held()["approval"])
    until(lambda: (shift.machine.row("writer") or {})["state"] == "paused", "the pause")
    assert not shift.file.exists()
    shift.does("resume", shift.run)
    assert shift.says() == "tool written"


def test_a_kill_of_an_agent_that_listens_has_proof_from_both_points(shift: Shift) -> None:
    shift.held()
    (receipt,) = json.loads(shift.does("kill", shift.run, "--json"))
    assert (receipt["proof"], receipt["status"]) == ("process", "dead")
    assert {"sdk", "supervisor.cooperative"} <= {point["name"] for point in receipt["points"]}
    assert living(shift.run) == []
    assert json.loads(shift.does("approvals", "--json")) == []
    assert not shift.file.exists()


def test_an_agent_that_is_killed_from_outside_is_told_whole_by_its_supervisor(shift: Shift) -> None:
    shift.held()
    (agent,) = living(shift.run)
    os.kill(agent, signal.SIGKILL)
    assert shift.process.wait(PATIENCE_SECONDS) == 137
    row = until(lambda: (shift.machine.row("writer") or {}).get("ended_at") and shift.machine.row("writer"), "the end")
    assert (row["state"], row["exit_signal"], row["zombie"], row["pending_approvals"]) == (
        "failed",
        "SIGKILL",
        False,
        0,
    )
    assert list(shift.machine.data_dir.glob("journal/*.db")) == []


def test_a_call_is_claimed_passed_on_and_let_go_and_the_digest_says_so(shift: Shift) -> None:
    approval = shift.held()["approval"]
    shift.does("claim", approval)
    assert "now: you look at write_file of writer" in shift.does("digest")
    shift.does("claim", approval, "--for", "ben", status=6)
    shift.does("claim", approval, "--for", "admin@bootstrap")
    assert shift.held()["claimed_by"] == "admin@bootstrap"
    shift.does("claim", approval, "--release", status=7)
    shift.does("claim", approval)
    shift.does("claim", approval, "--release")
    assert shift.held().get("claimed_by") is None


def test_everything_that_was_done_stands_in_the_record(shift: Shift) -> None:
    shift.does("reject", shift.held()["approval"], "--reason", "no")
    shift.does("kill", shift.run)
    kinds = [entry["kind"] for entry in json.loads(shift.does("audit", "list", "--run", shift.run, "--json"))]
    assert {"run.started", "approval.decided", "kill", "kill.outcome"} <= set(kinds)
    assert json.loads(shift.does("audit", "verify", "--json"))["ok"] is True
