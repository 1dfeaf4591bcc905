"""A small agent of a team, written with the official clients or plain HTTP, as cases drive it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import anthropic
import openai

from opsconsole.scenario.driving import Model

Tool = Callable[..., str]
TURNS_MAX = 20


def chat_agent(model: Model, tools: dict[str, Tool], *, stream: bool = False, turns_max: int = TURNS_MAX) -> str:
    """Chat Completions, until there are no more calls or turns; finds its model by the environment."""
    messages: list[Any] = [{"role": "user", "content": model.task}]
    with openai.OpenAI(max_retries=0) as client:
        for _ in range(turns_max):
            message = _chat(client, messages, stream)
            messages.append(message)
            if not message.get("tool_calls"):
                return str(message["content"])
            for call in message["tool_calls"]:
                made = tools[call["function"]["name"]](**json.loads(call["function"]["arguments"]))
                messages.append({"role": "tool", "tool_call_id": call["id"], "content": made})
    return "gave up"


def _chat(client: openai.OpenAI, messages: list[Any], stream: bool) -> dict[str, Any]:
    if not stream:
        answer = client.chat.completions.create(model="gpt-4o", messages=messages)
        return answer.choices[0].message.model_dump(exclude_none=True)
    with client.chat.completions.stream(model="gpt-4o", messages=messages) as events:
        whole = events.get_final_completion().choices[0].message.model_dump(exclude_none=True)
    calls = [
        {"id": one["id"], "type": "function", "function": {k: one["function"][k] for k in ("name", "arguments")}}
        for one in whole.get("tool_calls") or ()
    ]
    return {"role": "assistant", "content": whole.get("content") or ""} | ({"tool_calls": calls} if calls else {})


def responses_agent(model: Model, tools: dict[str, Tool]) -> str:
    """Responses, which remembers what was said before."""
    with openai.OpenAI(max_retries=0) as client:
        answer = client.responses.create(model="gpt-4o", input=model.task)
        for _ in range(TURNS_MAX):
            results: list[Any] = [
                {
                    "type": "function_call_output",
                    "call_id": item.call_id,
                    "output": tools[item.name](**json.loads(item.arguments)),
                }
                for item in answer.output
                if item.type == "function_call"
            ]
            if not results:
                return answer.output_text
            answer = client.responses.create(model="gpt-4o", previous_response_id=answer.id, input=results)
    return "gave up"


async def anthropic_agent(model: Model, tools: dict[str, Tool]) -> str:
    """Messages, with asyncio."""
    messages: list[Any] = [{"role": "user", "content": model.task}]
    async with anthropic.AsyncAnthropic(max_retries=0) as client:
        for _ in range(TURNS_MAX):
            answer = await client.messages.create(model="claude", max_tokens=100, messages=messages)
            messages.append({"role": "assistant", "content": [block.model_dump() for block in answer.content]})
            results = [
                {"type": "tool_result", "tool_use_id": block.id, "content": tools[block.name](**block.input)}
                for block in answer.content
                if block.type == "tool_use"
            ]
            if not results:
                return "".join(block.text for block in answer.content if block.type == "text")
            messages.append({"role": "user", "content": results})
    return "gave up"
