"""A tool loop under the SDK, meant to be copied: what it adds to an ordinary one is that it survives, and tells more.

The gateway sees, counts and holds the model's turns and calls of any program. With the SDK a run also resumes after a
crash (`run.checkpoint` and the run's `key`: no call is made twice), its tools report their own outcomes, and agents
that it starts are its children. Each call passes the gate under the id that the model gave it, as it did at the
gateway: it is one call, asked about once.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import os
import sys
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any
from urllib.parse import quote

import httpx

from opsconsole.demo.conversation import DENIED
from opsconsole.demo.job import TOOL_ERRORS, Job, Message, opening, told, told_error
from opsconsole.demo.model_client import ModelClient, ModelRefused
from opsconsole.demo.toolbox import Tools, specifications
from opsconsole.demo.tools import RISKS
from opsconsole.errors import CallDenied, RunStopped
from opsconsole.sdk import CallInterrupted, Hub, Run, connect

HUB: ContextVar[Hub] = ContextVar("hub")
"""The hub of this process, for a tool that opens runs of its own."""


async def work(run: Run, job: Job, task: str) -> str:
    """Works on a task until the model is done; gives its last words. An agent that died goes on from its checkpoint."""
    state = run.restore() or {}
    messages: list[Message] = state.get("messages") or opening(job, task)
    tools = specifications(job.tools)
    async with ModelClient(agent=job.agent, base_url=base_url_of(run.id, run.agent)) as model:
        while True:
            messages += await _results(run, job.tools, messages[-1])
            messages += [{"role": "user", "content": text} for text in run.injected()]
            completion = await model.complete({"model": job.model, "messages": messages, "tools": tools})
            reply: Message = completion["choices"][0]["message"]
            messages.append(reply)
            if not reply.get("tool_calls"):
                return reply["content"] or ""
            # Before the calls: an agent that dies amid them makes these again, by their ids, instead of asking for new.
            await run.checkpoint({"messages": messages})


def base_url_of(run: str, agent: str) -> str:
    """OPENAI_BASE_URL for another run of this process: behind a gateway the address says whose turns they are."""
    base = os.environ["OPENAI_BASE_URL"]
    gateway, mark, rest = base.partition("/r/")
    api = rest.split("/", 2)[-1]
    return f"{gateway}/r/{quote(run, safe='')}/{quote(agent, safe='')}/{api}" if mark else base


def main(job: Job, task: str | None = None) -> None:
    """Works on the task in the program's argument; a run that is killed ends with status 1."""
    sys.exit(asyncio.run(_perform(job, sys.argv[1] if task is None else task)))


async def _perform(job: Job, task: str) -> int:
    key = f"{task} in {os.environ.get('OPSCONSOLE_DEMO_DIR', '')}"  # names the work: who starts it again, resumes it
    try:
        async with connect() as hub, hub.run(agent=job.agent, name=task, key=key) as run:
            HUB.set(hub)
            print(await work(run, job, task), flush=True)
    except (RunStopped, ModelRefused, httpx.TransportError) as stopped:
        print(f"{job.agent}: {stopped}", file=sys.stderr)
        return 1
    return 0


async def _results(run: Run, tools: Tools, asked: Message) -> list[Message]:
    """The answers to the calls that a message asks for, if any."""
    answers: list[Message] = []
    for call in asked.get("tool_calls") or ():
        content = await _result(run, tools, call, reason=asked["content"] or "")
        answers.append({"role": "tool", "tool_call_id": call["id"], "content": content})
    return answers


async def _result(run: Run, tools: Tools, call: Mapping[str, Any], *, reason: str) -> str:
    """What the model hears of a call: the result, the operator's refusal, or the error."""
    name, arguments = call["function"]["name"], call["function"]["arguments"]
    try:
        tool, args = tools[name], json.loads(arguments)
        if inspect.iscoroutinefunction(tool):  # it passes the gate by itself: a handoff
            return told(await tool(**args))
        return told(await run.tool(name, args, tool, id=call["id"], risk=RISKS.get(name), reason=reason))
    except CallDenied as denied:
        return f"{DENIED} by {denied.by}: {denied.reason}"
    except CallInterrupted as interrupted:
        return f"Error: {interrupted}"
    except TOOL_ERRORS as error:
        return told_error(error)
