"""An ordinary tool loop under opsconsole, meant to be copied: ask the model, run its calls, until it makes no more.

What makes it controllable are four lines: `hub.run`, `run.model_call`, `run.tool` (or a tool's own `@guard`), and
`run.checkpoint`. The last, with the run's `key`, lets a process that died be started again: no call is made twice.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import os
import sqlite3
import sys
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from subprocess import SubprocessError
from typing import Any

from opsconsole.demo.conversation import DENIED
from opsconsole.demo.model_client import ModelClient
from opsconsole.demo.toolbox import Tools, specifications
from opsconsole.demo.tools import RISKS
from opsconsole.errors import CallDenied, RunStopped
from opsconsole.sdk import CallInterrupted, Hub, ModelReply, Run, connect

Message = dict[str, Any]
HUB: ContextVar[Hub] = ContextVar("hub")
"""The hub of this process, for a tool that opens runs of its own."""


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
            messages += await _results(run, job.tools, messages[-1])
            # What an operator said meanwhile is appended to `messages` by the call.
            request = {"model": job.model, "messages": messages, "tools": tools}
            reply = _message(await run.model_call(request, model.complete))
            messages.append(reply)
            words = reply["content"] or ""
            if words:
                await run.message("assistant", words)
            if not reply.get("tool_calls"):
                return words
            # Before the calls: an agent that dies amid them makes these again, by their ids, instead of asking for new.
            await run.checkpoint({"messages": messages})


def main(job: Job) -> None:
    """Runs one task as this process; a killed run ends with status 1."""
    number = os.environ.get("OPSCONSOLE_DEMO_TASK", "1")
    sys.exit(asyncio.run(_perform(job, job.task.format(number=number))))


async def _perform(job: Job, task: str) -> int:
    key = f"{task} in {os.environ.get('OPSCONSOLE_DEMO_DIR', '')}"  # names the work: who starts it again, resumes it
    try:
        async with connect() as hub, hub.run(agent=job.agent, name=task, key=key) as run:
            HUB.set(hub)
            await work(run, job, task)
    except RunStopped as stopped:
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
        if inspect.iscoroutinefunction(tool):  # it passes the gate by itself: guarded, or a handoff
            result = await tool(**args)
        else:
            result = await run.tool(name, args, tool, id=call["id"], risk=RISKS.get(name), reason=reason)
    except CallDenied as denied:
        return f"{DENIED} by {denied.by}: {denied.reason}"
    except CallInterrupted as interrupted:
        return f"Error: {interrupted}"
    except (KeyError, TypeError, ValueError, ArithmeticError, OSError, sqlite3.Error, SubprocessError) as error:
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
