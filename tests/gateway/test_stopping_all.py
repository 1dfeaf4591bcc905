"""`gateway.deny = "stop"`, seen by the official clients: one refusal takes every call of the answer out of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from anthropic import AsyncAnthropic

from tests.gateway.place import Place, running_place
from tests.gateway.test_turn import ask, calls_of, plain
from tests.support.model_script import Call, Turn, mark

BOTH = Turn(calls=[Call(name="shell", args={"cmd": "ls"}), Call(name="shell", args={"cmd": "rm -rf /"})])


@pytest.fixture
async def strict(tmp_path: Path) -> AsyncIterator[Place]:
    """A gateway that ends an answer of which any call is refused."""
    async with running_place(tmp_path, deny="stop") as place:
        place.upstream.script("both", BOTH)
        yield place


async def one_yes_one_no(place: Place) -> None:
    await place.decide("approve")
    await place.decide("reject", note="not that")


async def test_a_plain_client_gets_no_call_and_reads_why(strict: Place) -> None:
    asked = asyncio.create_task(plain(strict, "both"))
    await one_yes_one_no(strict)
    choice = await asked
    assert (calls_of(choice), choice.finish_reason) == ([], "stop")
    assert "not that" in choice.message.content
    assert len(strict.upstream.calls("both")) == 1


async def test_a_client_that_streams_gets_no_call_either(strict: Place) -> None:
    async def heard() -> tuple[str, list[Any]]:
        async with strict.openai() as agent:
            stream = await agent.chat.completions.create(**ask("both", stream=True))
            deltas = [chunk.choices[0].delta async for chunk in stream if chunk.choices]
        words = "".join(delta.content or "" for delta in deltas)
        return words, [call for delta in deltas for call in delta.tool_calls or []]

    asked = asyncio.create_task(heard())
    await one_yes_one_no(strict)
    words, calls = await asked
    assert (calls, "not that" in words) == ([], True)


async def test_anthropic_s_client_gets_no_call_either(strict: Place) -> None:
    tool = {"name": "shell", "input_schema": {"type": "object", "properties": {}}}
    async with AsyncAnthropic(base_url=strict.base(provider="anthropic"), api_key="sk-agent", max_retries=0) as agent:
        asked = asyncio.create_task(
            agent.messages.create(
                model="claude-haiku-4-5",
                max_tokens=100,
                tools=[tool],  # type: ignore[list-item]
                messages=[{"role": "user", "content": mark("both")}],
            )
        )
        await one_yes_one_no(strict)
        answer = await asked
    assert ([block.type for block in answer.content], answer.stop_reason) == (["text"], "end_turn")


async def test_an_answer_whose_calls_all_stand_is_passed_on(strict: Place) -> None:
    asked = asyncio.create_task(plain(strict, "both"))
    for _ in BOTH.calls:
        await strict.decide("approve")
    assert [args for _, args in calls_of(await asked)] == [{"cmd": "ls"}, {"cmd": "rm -rf /"}]
