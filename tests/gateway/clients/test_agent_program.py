"""A real agent program that runs shell commands, unchanged, under `opsconsole run`, from its first call to its end."""

from __future__ import annotations

import asyncio
import json
import subprocess
from asyncio.subprocess import Process
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.gateway.clients.environments import made
from tests.gateway.clients.stage import PATIENCE_SECONDS, PROGRAM, Stage, plays, quiet_environment
from tests.support.model_script import Call, Delivery, Turn, mark

pytestmark = [pytest.mark.process, pytest.mark.slow]

FINISH = "echo COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT"
SETTINGS = {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "MSWEA_SILENT_STARTUP": "1",
    "MSWEA_CONFIGURED": "true",
    "MSWEA_MODEL_RETRY_STOP_AFTER_ATTEMPT": "1",
    "OPENAI_API_KEY": "sk-test",
}
"""What a person who uses it has set; nothing of it knows opsconsole. To it an answer at no cost is an error."""


def bash(command: str, text: str = "Next.") -> Turn:
    """The model wants a command run."""
    return Turn(text=text, calls=[Call(name="bash", args={"command": command})])


@dataclass(kw_only=True)
class Program:
    """mini-swe-agent at work in a directory, supervised."""

    stage: Stage
    script: str
    place: Path
    process: Process
    run: str = ""

    @classmethod
    async def begin(cls, stage: Stage, script: str, *turns: Turn) -> Program:
        """Starts it on a script."""
        stage.upstream.script(script, *turns)
        place = stage.hub.data_dir / script
        place.mkdir()
        mini = (await asyncio.to_thread(made, "program")).program("mini")
        command = [str(mini), "-m", "openai/gpt-4o-mini", "-t", f"Do it. {mark(script)}", "-y", "--exit-immediately"]
        environment = quiet_environment(
            OPSCONSOLE_DATA_DIR=str(stage.hub.data_dir),
            OPSCONSOLE_HUB=stage.hub.url,
            XDG_CONFIG_HOME=str(place / "config"),
            MSWEA_GLOBAL_CONFIG_DIR=str(place / "config"),
            **SETTINGS,
        )
        process = await asyncio.create_subprocess_exec(
            *PROGRAM,
            "run",
            "--agent",
            script,
            "--",
            *command,
            "-o",
            str(place / "trajectory.json"),
            cwd=place,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self = cls(stage=stage, script=script, place=place, process=process)
        self.run = (await stage.operator.newest(script))["run"]
        return self

    async def asked(self, tool: str = "bash") -> dict[str, Any]:
        """The approval it waits for."""
        return await self.stage.operator.asked(self.run, tool)

    async def ended(self) -> int:
        """Its exit code."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            self.output = (await self.process.communicate())[0].decode()
        assert self.process.returncode is not None
        return self.process.returncode

    @property
    def status(self) -> str:
        """What it says of its own end."""
        return str(json.loads((self.place / "trajectory.json").read_text())["info"]["exit_status"])


@plays
async def test_an_operator_approves_edits_refuses_and_takes_over_an_agent_program(stage: Stage) -> None:
    program = await Program.begin(
        stage,
        "mini-shift",
        bash("echo one > made"),
        bash("echo two > made"),
        bash("rm -rf everything"),
        bash("ls made"),
    )
    operator = stage.operator
    await operator.decide(await program.asked(), "approve")
    second = await operator.asked_for(program.run, {"command": "echo two > made"})
    assert (program.place / "made").read_text() == "one\n"
    await operator.decide(second, "edit", args={"command": "echo edited > made"})
    third = await operator.asked_for(program.run, {"command": "rm -rf everything"})
    assert (program.place / "made").read_text() == "edited\n"
    await operator.decide(third, "reject", note="never that")
    fourth = await operator.asked_for(program.run, {"command": "ls made"})
    assert "never that" in json.dumps(stage.upstream.calls(program.script)[-1].body)
    await operator.say("takeover", run=program.run)
    await operator.decide(fourth, "approve")
    turn = await program.asked("gpt-4o-mini")
    finish = {"id": "call_end", "name": "bash", "args": {"command": f"{FINISH}; echo by hand"}}
    await operator.decide(turn, "respond", text="I end this.", calls=[finish])
    assert await program.ended() == 0, program.output
    assert program.status == "Submitted"
    assert [call.status for call in stage.upstream.calls(program.script)] == [200] * 4
    row = await operator.until(program.run, lambda row: row["state"] == "completed")
    assert row["exit_code"] == 0
    assert {point["name"] for point in row["points"]} >= {"supervisor", "gateway"}


@plays
async def test_a_kill_amid_an_answer_ends_an_agent_program_and_its_processes(stage: Stage) -> None:
    endless = Turn(text="word " * 40, delivery=Delivery(cut="bytes", stall_after=300))
    program = await Program.begin(stage, "mini-killed", endless)
    await stage.until(lambda: any(call.writes for call in stage.upstream.calls("mini-killed")), "the first words")
    await stage.operator.say("kill", run=program.run)
    assert await program.ended() != 0
    row = await stage.operator.until(program.run, lambda row: row["kill"]["status"] == "dead")
    assert (row["state"], row["kill"]["proof"]) == ("killed", "process")
    (call,) = stage.upstream.calls(program.script)
    await stage.until(lambda: call.aborted_at is not None, "the end of the upstream connection")
