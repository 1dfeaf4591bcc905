"""An ordinary tool loop under opsconsole, meant to be copied: ask the model, run its calls, until it makes no more.

What makes it controllable is four lines: `hub.run`, `run.model_call`, the tools' `@guard`, and `run.checkpoint`.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from opsconsole.demo.conversation import DENIED
from opsconsole.demo.model_client import ModelClient
from opsconsole.demo.toolbox import Tools, specifications
from opsconsole.errors import CallDenied, RunStopped
from opsconsole.sdk import ModelReply, Run, connect

Message = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What an agent is told and given; `task` may hold `{number}`, the number of the task."""

    agent: str
    model: str
    instructions: str
    task: str
    tools: Tools


async def work(run: Run, job: Job, task: str) -> str:
    """Works on a task until the model is done; gives its last words. An agent that died goes on from its checkpoint."""
    state = run.restore() or {}
    messages: list[Message] = state.get("messages") or _opening(job, task)
    tools = specifications(job.tools)
    async with ModelClient(agent=job.agent) as model:
        while True:
            messages += [{"role": "user", "content": text} for text in run.injected()]
            request = {"model": job.model, "messages": messages, "tools": tools}
            reply = _message(await run.model_call(request, model.complete))
            messages.append(reply)
            await run.message("assistant", reply["content"] or "")
            calls = reply.get("tool_calls") or ()
            if not calls:
                return reply["content"] or ""
            for call in calls:
                content = await _result(call, job.tools)
                messages.append({"role": "tool", "tool_call_id": call["id"], "content": content})
            await run.checkpoint({"messages": messages})


def main(job: Job) -> None:
    """Runs one task as this process; a killed run ends with status 1."""
    number = os.environ.get("OPSCONSOLE_DEMO_TASK", "1")
    sys.exit(asyncio.run(_perform(job, job.task.format(number=number))))


async def _perform(job: Job, task: str) -> int:
    try:
        async with connect() as hub, hub.run(agent=job.agent, name=task) as run:
            await work(run, job, task)
    except RunStopped as stopped:
        print(f"{job.agent}: {stopped}", file=sys.stderr)
        return 1
    return 0


async def _result(call: Mapping[str, Any], tools: Tools) -> str:
    """What the model hears of a call: the result, the operator's refusal, or the error."""
    name, arguments = call["function"]["name"], call["function"]["arguments"]
    try:
        result = await tools[name](**json.loads(arguments))
    except CallDenied as denied:
        return f"{DENIED} by {denied.by}: {denied.reason}"
    except (KeyError, TypeError, ValueError, ArithmeticError, OSError) as error:
        return f"Error: {type(error).__name__}: {error}"
    return result if isinstance(result, str) else json.dumps(result, ensure_ascii=False, default=str)


def _opening(job: Job, task: str) -> list[Message]:
    return [{"role": "system", "content": job.instructions}, {"role": "user", "content": task}]


def _message(reply: Mapping[str, Any] | ModelReply) -> Message:
    """The assistant's message, said by the model or by an operator in its place."""
    if not isinstance(reply, ModelReply):
        return dict(reply["choices"][0]["message"])
    message: Message = {"role": "assistant", "content": reply.text}
    if reply.calls:
        message["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": json.dumps(call.args)}}
            for call in reply.calls
        ]
    return message
