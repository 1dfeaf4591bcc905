"""Real agents on the SDK, many runs in one process: each starts, and ends, when a line of JSON on stdin says so.

Usage: python -m tests.console.journeys.agents DIRECTORY. What comes to them goes to DIRECTORY/said.jsonl, a line each.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from itertools import count
from pathlib import Path
from typing import Any

from opsconsole.errors import CallDenied, RunStopped
from opsconsole.sdk import ModelReply, Run, connect

STEP_SECONDS = 0.3
"""Between two steps of an agent that goes on until it is stopped."""

Say = Callable[..., None]


async def talks(run: Run, say: Say) -> None:
    """Says something now and then."""
    for step in count(1):
        await run.message("assistant", f"step {step}: looked at order {step}, nothing is wrong with it")
        if step == 1:
            say(talking=run.id)
        await asyncio.sleep(STEP_SECONDS)


async def refunds(run: Run, say: Say) -> None:
    """Makes one call that a person is asked about."""

    async def refund(**args: Any) -> str:
        say(refunded=args)
        return "done"

    say(asking=run.id)
    try:
        await run.tool("refund", {"amount": 12.5, "order": 7}, refund, reason="the customer was charged twice")
    except CallDenied as denied:
        say(denied=denied.reason)


async def asks_its_model(run: Run, say: Say) -> None:
    """Asks a model again and again, and says who answered and what an operator left for it to read."""
    messages: list[dict[str, Any]] = [{"role": "user", "content": "was order 7 charged twice?"}]

    async def model(request: dict[str, Any]) -> dict[str, Any]:
        for message in request["messages"][len(messages) :]:
            say(read=message["content"])
        return {"choices": [{"message": {"role": "assistant", "content": "I do not know yet"}}]}

    say(asking=run.id)
    while True:
        reply = await run.model_call({"model": "m1", "messages": list(messages), "tools": []}, model)
        if isinstance(reply, ModelReply):
            say(answered=reply.text, by=reply.author)
        await asyncio.sleep(STEP_SECONDS)


ROLES: dict[str, Callable[[Run, Say], Awaitable[None]]] = {
    "talks": talks,
    "refunds": refunds,
    "asks its model": asks_its_model,
}


async def main(directory: Path) -> None:
    """Starts and ends runs as it is told, until stdin is at its end."""
    tasks: dict[str, asyncio.Task[None]] = {}
    said = (directory / "said.jsonl").open("a", encoding="utf-8", buffering=1)

    async with connect(data_dir=directory / "agents") as hub:

        async def live(agent: str, role: str) -> None:
            def say(**words: Any) -> None:
                said.write(json.dumps({"agent": agent, **words}) + "\n")

            try:
                async with hub.run(agent, f"the run of {agent}") as run:
                    await ROLES[role](run, say)
            except RunStopped as stopped:
                say(stopped=str(stopped))

        while line := await asyncio.to_thread(sys.stdin.readline):
            told = json.loads(line)
            if role := told.get("role"):
                tasks[told["agent"]] = asyncio.create_task(live(told["agent"], role))
            else:
                tasks[told["agent"]].cancel()
        for task in tasks.values():
            task.cancel()
        await asyncio.gather(*tasks.values(), return_exceptions=True)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
