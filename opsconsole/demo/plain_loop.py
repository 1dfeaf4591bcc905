"""An ordinary tool loop as everybody has one: ask the model, run its calls, until it makes no more.

It knows nothing of opsconsole: `opsconsole run` sets the base URL that its client reads, and holds its processes. Calls
of its model that were refused on the way never reach it.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping
from typing import Any

import httpx

from opsconsole.demo.job import TOOL_ERRORS, Job, Message, opening, told, told_error
from opsconsole.demo.model_client import ModelClient, ModelRefused
from opsconsole.demo.toolbox import Tools, specifications


async def work(job: Job, task: str, *, base_url: str | None = None) -> str:
    """Works on a task until the model is done; gives its last words. Raises: ModelRefused, httpx.TransportError."""
    messages, tools = opening(job, task), specifications(job.tools)
    async with ModelClient(agent=job.agent, base_url=base_url) as model:
        while True:
            completion = await model.complete({"model": job.model, "messages": messages, "tools": tools})
            message: Message = completion["choices"][0]["message"]
            messages.append(message)
            if not message.get("tool_calls"):
                return message["content"] or ""
            for call in message["tool_calls"]:
                content = await asyncio.to_thread(_result, job.tools, call)
                messages.append({"role": "tool", "tool_call_id": call["id"], "content": content})


def _result(tools: Tools, call: Mapping[str, Any]) -> str:
    """What the model hears of a call."""
    try:
        tool = tools[call["function"]["name"]]
        return told(tool(**json.loads(call["function"]["arguments"])))
    except TOOL_ERRORS as error:
        return told_error(error)


def main(job: Job) -> None:
    """Works on the task in the program's argument; ends with status 1 where the model is refused to it."""
    try:
        print(asyncio.run(work(job, sys.argv[1])), flush=True)
    except (ModelRefused, httpx.TransportError) as error:
        print(f"{job.agent}: {error}", file=sys.stderr)
        sys.exit(1)
