"""A real agent process that does what its standard input says, line by line, and tells on standard output how it went.

python puppet.py AGENT [--key KEY] [--clock SECONDS]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

Line = dict[str, Any]

ESCAPEES = (
    "trap '' TERM; (trap '' TERM; setsid sh -c 'sleep 300 & sleep 300' & sleep 300) & while :; do sleep 0.1; done"
)
"""Ignores SIGTERM, with a grandchild in a session of its own."""


def say(**line: Any) -> None:
    print(json.dumps(line), flush=True)


def write_file(path: str, text: str) -> str:
    with Path(path).open("a") as file:
        file.write(text)
    return "written"


def child() -> int:
    """A tree of processes that does not want to die; its first pid."""
    return subprocess.Popen(["sh", "-c", ESCAPEES]).pid


class Puppet:
    """One run, and the conversation that its model reads."""

    def __init__(self, hub: Any, run: Any) -> None:
        self.hub, self.run = hub, run
        self.messages: list[Line] = []
        self.held: asyncio.Task[Any] | None = None

    async def tool(self, name: str = "write_file", **call: Any) -> None:
        from opsconsole.sdk import CallDenied, CallInterrupted

        try:
            result = await self.run.tool(name, call.pop("args"), write_file, **call)
            say(tool=name, result=result)
        except (CallDenied, CallInterrupted) as error:
            result = str(error)
            say(tool=name, refused=result)
        self.messages.append({"role": "user", "content": f"{name}: {result}"})

    async def model(self, model: str = "gpt-4o", input_tokens: int = 10) -> None:
        async def answer(request: Line) -> Line:
            read = request["messages"][-1]["content"] if request["messages"] else "nothing"
            usage = {"prompt_tokens": input_tokens, "completion_tokens": 1}
            return {"choices": [{"message": {"content": f"I read: {read}"}}], "usage": usage}

        reply = await self.run.model_call({"model": model, "messages": self.messages}, answer)
        if isinstance(reply, dict):
            say(model=reply["choices"][0]["message"]["content"])
            return
        say(model=reply.text, by=reply.author)
        for call in reply.calls:
            await self.tool(call.name, args=call.args, id=call.id)

    async def changing_tool(self, args: Line, later: Line) -> None:
        """Changes the arguments it gave while the call is held."""
        held = asyncio.ensure_future(self.tool(args=args))
        await asyncio.sleep(0)
        args.update(later)
        await held

    async def handoff(self, to: str) -> None:
        async def child() -> None:
            async with self.hub.run(agent=to) as run:
                say(child=run.id)
                await asyncio.Event().wait()

        await self.run.handoff(to, {}, child)

    async def spawn(self) -> None:
        say(spawned=child())

    async def note(self, text: str) -> None:
        await self.run.note(text)
        say(noted=text)

    async def checkpoint(self, state: Any) -> None:
        say(checkpoint=await self.run.checkpoint(state))

    async def restore(self) -> None:
        say(restored=self.run.restore())

    async def injected(self) -> None:
        say(injected=self.run.injected())

    async def tidy(self, seconds: float) -> None:
        """Works until it is stopped, and then needs so long to leave everything in order."""
        say(tidy=True)
        try:
            await asyncio.Event().wait()
        finally:
            time.sleep(seconds)  # noqa: ASYNC251

    async def hang(self, seconds: float) -> None:
        say(hanging=True)
        time.sleep(seconds)  # noqa: ASYNC251


def orders() -> asyncio.Queue[Line | None]:
    """What standard input says; a thread that dies with the process reads it."""
    queue: asyncio.Queue[Line | None] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    def read() -> None:
        for line in sys.stdin:
            loop.call_soon_threadsafe(queue.put_nowait, json.loads(line))
        loop.call_soon_threadsafe(queue.put_nowait, None)

    threading.Thread(target=read, daemon=True).start()
    return queue


async def main(agent: str, key: str | None) -> int:
    from opsconsole.sdk import RunStopped, connect

    queue = orders()
    try:
        async with connect() as hub, hub.run(agent=agent, key=key) as run:
            say(run=run.id)
            puppet = Puppet(hub, run)
            while (order := await queue.get()) is not None and order["do"] != "leave":
                await getattr(puppet, order.pop("do"))(**order)
    except RunStopped as stopped:
        say(stopped=str(stopped))
        return 7
    while order is not None:  # told to leave its run: the process goes on
        order = await queue.get()
    return 0


def shift_clock(seconds: float) -> None:
    """This process lives in another hour than everybody else."""
    real: Callable[[], float] = time.time
    time.time = lambda: real() + seconds


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("agent")
    parser.add_argument("--key")
    parser.add_argument("--clock", type=float, default=0.0)
    given = parser.parse_args()
    shift_clock(given.clock)
    sys.exit(asyncio.run(main(given.agent, given.key)))
