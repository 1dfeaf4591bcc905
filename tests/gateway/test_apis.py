"""The same acts in every API, streamed and plain, with the official clients: approve, edit, refuse, answer, kill."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import anthropic
import openai
import pytest

from tests.gateway.place import Place
from tests.support.model_script import Call, Delivery, Turn, mark

LS = Turn(text="Let me look.", calls=[Call(name="shell", args={"cmd": "ls"})])
SCHEMA = {"type": "object", "properties": {"cmd": {"type": "string"}}}


@dataclass(frozen=True, kw_only=True)
class Heard:
    """What an agent got."""

    words: str
    calls: tuple[tuple[str, Any], ...]


async def chat(place: Place, script: str, streamed: bool) -> Heard:
    request: Any = {
        "model": "gpt-4o-mini",
        "messages": [{"role": "user", "content": mark(script)}],
        "tools": [{"type": "function", "function": {"name": "shell", "parameters": SCHEMA}}],
    }
    async with place.openai() as client:
        if streamed:
            async with client.chat.completions.stream(**request) as stream:
                answer = await stream.get_final_completion()
        else:
            answer = await client.chat.completions.create(**request)
    message = answer.choices[0].message
    calls = tuple((call.function.name, call.function.arguments) for call in message.tool_calls or [])
    return heard(message.content or "", calls)


async def responses(place: Place, script: str, streamed: bool) -> Heard:
    tool = {"type": "function", "name": "shell", "parameters": SCHEMA, "strict": False}
    request: Any = {"model": "gpt-4o-mini", "input": mark(script), "tools": [tool], "store": False}
    async with place.openai() as client:
        if streamed:
            async with client.responses.stream(**request) as stream:
                answer = await stream.get_final_response()
        else:
            answer = await client.responses.create(**request)
    calls = tuple((item.name, item.arguments) for item in answer.output if item.type == "function_call")
    return heard(answer.output_text, calls)


async def messages(place: Place, script: str, streamed: bool) -> Heard:
    request: Any = {
        "model": "claude-sonnet-5",
        "max_tokens": 500,
        "messages": [{"role": "user", "content": mark(script)}],
        "tools": [{"name": "shell", "input_schema": SCHEMA}],
    }
    settings: Any = {"base_url": place.base(provider="anthropic"), "api_key": "sk-agent", "max_retries": 0}
    async with anthropic.AsyncAnthropic(**settings) as client:
        if streamed:
            async with client.messages.stream(**request) as stream:
                answer = await stream.get_final_message()
        else:
            answer = await client.messages.create(**request)
    words = "".join(block.text for block in answer.content if block.type == "text")
    return heard(words, tuple((block.name, block.input) for block in answer.content if block.type == "tool_use"))


def heard(words: str, calls: tuple[tuple[str, Any], ...]) -> Heard:
    import json

    read = tuple((name, json.loads(args) if isinstance(args, str) else args) for name, args in calls)
    return Heard(words=words, calls=read)


Ask = Callable[[Place, str, bool], Any]
EVERY = pytest.mark.parametrize(
    ("ask", "streamed"),
    [
        pytest.param(ask, streamed, id=f"{ask.__name__}-{'streamed' if streamed else 'plain'}")
        for ask in (chat, responses, messages)
        for streamed in (True, False)
    ],
)


@EVERY
async def test_an_answer_without_calls_passes(place: Place, ask: Ask, streamed: bool) -> None:
    place.upstream.script("hello", Turn(text="Grüße 世界"))
    assert await ask(place, "hello", streamed) == Heard(words="Grüße 世界", calls=())


@EVERY
async def test_an_approved_call_passes(place: Place, ask: Ask, streamed: bool) -> None:
    place.upstream.script("call", LS)
    asked = asyncio.create_task(ask(place, "call", streamed))
    await asyncio.sleep(0.25)
    await place.decide("approve")
    assert await asked == Heard(words="Let me look.", calls=(("shell", {"cmd": "ls"}),))


@EVERY
async def test_an_edited_call_passes_as_it_was_edited(place: Place, ask: Ask, streamed: bool) -> None:
    place.upstream.script("call", LS)
    asked = asyncio.create_task(ask(place, "call", streamed))
    await place.decide("edit", args={"cmd": "pwd"})
    assert (await asked).calls == (("shell", {"cmd": "pwd"}),)


@EVERY
async def test_a_refused_call_is_told_to_the_model_which_goes_on(place: Place, ask: Ask, streamed: bool) -> None:
    place.upstream.script("call", LS, Turn(text="Then not."))
    asked = asyncio.create_task(ask(place, "call", streamed))
    await place.decide("reject", note="no")
    found = await asked
    assert (found.calls, "Then not." in found.words) == ((), True)
    assert len(place.upstream.calls("call")) == 2


@EVERY
async def test_an_operator_answers_as_the_model(place: Place, ask: Ask, streamed: bool) -> None:
    place.upstream.script("hello", Turn(text="Hello"), Turn(text="Hello"))
    await ask(place, "hello", streamed)
    await place.command("takeover")
    asked = asyncio.create_task(ask(place, "hello", streamed))
    await asyncio.sleep(0.25)
    await place.decide("respond", text="I am a person", calls=[{"id": "c1", "name": "shell", "args": {"cmd": "id"}}])
    assert await asked == Heard(words="I am a person", calls=(("shell", {"cmd": "id"}),))
    assert len(place.upstream.calls("hello")) == 1


@EVERY
async def test_a_killed_run_is_an_error_to_its_client(place: Place, ask: Ask, streamed: bool) -> None:
    endless = Delivery(stall_after=3) if streamed else Delivery(first_delay_seconds=3_600.0)
    place.upstream.script("long", Turn(text="word " * 100, delivery=endless))
    asked = asyncio.create_task(ask(place, "long", streamed))
    await place.told(lambda event: event["type"] == "tool" and event["status"] == "running")
    await asyncio.sleep(0.1)
    await place.command("kill")
    with pytest.raises((openai.APIError, anthropic.APIError)):
        await asked
    with pytest.raises((openai.PermissionDeniedError, anthropic.PermissionDeniedError)):
        await ask(place, "long", streamed)
