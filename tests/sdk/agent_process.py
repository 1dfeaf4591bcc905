"""A real agent process for the restart tests: does what it is told by its arguments, and says on stdout how far it is.

python agent_process.py URL DATA_DIR MODE [KEY]
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

from opsconsole.sdk import CallDenied, CallInterrupted, RunInUse, RunStopped, connect, run_host

run_host.FLUSH_SECONDS = 30.0  # the tests look at what has been delivered when it has ended


def say(*words: object) -> None:
    print(*words, flush=True)


async def main(url: str, data_dir: str, mode: str, key: str | None) -> None:
    ran = Path(data_dir) / "ran.txt"

    def effect(n: int) -> str:
        with ran.open("a") as file:
            file.write(f"{n}\n")
        return f"did {n}"

    def fatal(n: int) -> None:
        effect(n)
        os.kill(os.getpid(), signal.SIGKILL)

    async with connect(url, token="good", data_dir=data_dir) as hub, hub.run(agent="worker", key=key) as run:
        say("run", run.id, "state", run.restore())
        if mode == "hold":
            await run.note("holding")
            say("holding")
            await asyncio.sleep(60)
        if mode == "crash":
            say(await run.tool("effect", {"n": 1}, effect))
            await run.checkpoint({"done": 1})
            say(await run.tool("effect", {"n": 2}, effect))
            await run.tool("effect", {"n": 3}, fatal)
        if mode == "wait":
            await run.tool("effect", {"n": 4}, effect)
        if mode == "resume":
            say(await run.tool("effect", {"n": 2}, effect))
            try:
                await run.tool("effect", {"n": 3}, effect)
            except CallInterrupted as error:
                say("interrupted", error.outcome)
            say(await run.tool("effect", {"n": 4}, effect))


if __name__ == "__main__":
    try:
        asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4] if len(sys.argv) > 4 else None))
    except (RunStopped, RunInUse, CallDenied) as error:
        say(type(error).__name__, error)
        sys.exit(7)
