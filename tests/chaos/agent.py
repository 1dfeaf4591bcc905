"""An agent for chaos: works through steps, asks for every second tool call, resumes where it was killed.

Usage: python -m tests.chaos.agent NAME DIRECTORY. It goes on until DIRECTORY/stop exists. What enters its journal and
what it executes is also written to NAME.events and NAME.calls, the truth that the hub's record is compared with.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
from pathlib import Path
from typing import Any

from opsconsole.errors import CallDenied, RunStopped
from opsconsole.sdk import CallInterrupted, Run, connect, link, run_host
from opsconsole.sdk.journal import Journal

DELIVERY_SECONDS = 30.0


def record(path: Path, line: dict[str, Any]) -> None:
    """Append one line in one write, which survives a killed process."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(fd, json.dumps(line).encode() + b"\n")
    finally:
        os.close(fd)


def watch_journal(path: Path) -> None:
    """From now on note every event as soon as it is in a journal."""
    append = Journal.append

    def noted(journal: Journal, seq: int, type: str, body: bytes) -> None:
        append(journal, seq, type, body)
        record(path, {"run": journal.run, "gen": f"{journal.point}/{journal.gen}", "seq": seq, "body": body.decode()})

    setattr(Journal, "append", noted)  # noqa: B010  a method is replaced on purpose


async def work(run: Run, calls: Path, stop: Path, dice: random.Random) -> None:
    """Step after step."""
    done: int = (run.restore() or {"step": 0})["step"]
    while not os.path.exists(stop):  # noqa: ASYNC240  a look at a local directory
        step = done + 1
        await run.note(f"step {step} begins")
        tool = "shell" if step % 2 else "read_file"
        await call(run, calls, tool, f"call_{step}", {"command" if step % 2 else "path": f"thing {step}"})
        await run.message("assistant", f"step {step} is done, and {'x' * dice.randrange(400)}")
        await run.checkpoint({"step": step})
        done = step
        await asyncio.sleep(dice.uniform(0.0, 0.05))


async def call(run: Run, calls: Path, tool: str, id: str, args: dict[str, Any]) -> None:
    """One guarded call, written down when it runs."""

    async def execute(**given: Any) -> str:
        record(calls, {"run": run.id, "call": id, "tool": tool, "args": given})
        await asyncio.sleep(0.001)
        return f"did {given}"

    try:
        await run.tool(tool, args, execute, id=id)
    except (CallDenied, CallInterrupted) as refused:
        await run.note(f"{id}: {refused}")


async def main(name: str, directory: Path) -> None:
    """One life of the agent."""
    run_host.FLUSH_SECONDS = link.LOST_FLUSH_SECONDS = DELIVERY_SECONDS  # the storm looks what is left undelivered
    watch_journal(directory / f"{name}.events")
    dice = random.Random(f"{name} {os.getpid()}")
    async with connect(data_dir=directory / "agents") as hub:
        try:
            async with hub.run("chaotic", name, key=name) as run:
                await work(run, directory / f"{name}.calls", directory / "stop", dice)
        except RunStopped as stopped:
            print(f"{name} was stopped: {stopped}", flush=True)
        await hub.wait_connected(DELIVERY_SECONDS)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2])))
