"""Large requests through the gateway on a run with the limits that every run has: pictures, and many tools."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import pytest

from opsconsole.policy.price_rates import Billed
from opsconsole.policy.prices import PriceList
from tests.gateway.place import Place
from tests.gateway.raw_upstream import raw_place
from tests.gateway.test_turn import SHELL
from tests.support.hub import eventually
from tests.support.model_script import Turn, Usage, mark

MIB = 1_048_576
SEEN = Usage(input_tokens=1_500, output_tokens=10)


def picture(size: int) -> dict[str, Any]:
    return {
        "type": "image_url",
        "image_url": {"url": "data:image/png;base64," + base64.b64encode(bytes(size)).decode()},
    }


def looking(script: str, *pictures: dict[str, Any]) -> dict[str, Any]:
    parts = [{"type": "text", "text": mark(script)}, *pictures]
    return {"model": "gpt-4o", "messages": [{"role": "user", "content": parts}]}


async def used(place: Place) -> dict[str, Any]:
    return await place.told(lambda event: event["type"] == "usage")


@pytest.mark.parametrize(("number", "size"), [(1, 30 * MIB), (4, 2 * MIB)])
async def test_pictures_pass_on_a_new_run_and_cost_what_the_provider_says(place: Place, number: int, size: int) -> None:
    place.upstream.script("look", Turn(text="A cat", usage=SEEN))
    async with place.openai(timeout=60) as agent:
        answer = await agent.chat.completions.create(**looking("look", *[picture(size)] * number))
    cost = PriceList().turn("openai", Billed(input_tokens=1_500, output_tokens=10), "gpt-4o").usd
    usage = await used(place)
    assert (answer.choices[0].message.content, usage["input_tokens"]) == ("A cat", 1_500)
    assert usage["cost_usd"] == pytest.approx(cost)


async def test_what_a_turn_with_a_picture_reserves_is_little_and_enough(place: Place) -> None:
    place.upstream.script("look", Turn(text="A cat", usage=SEEN))
    async with place.openai() as agent:
        await agent.chat.completions.create(**looking("look", picture(MIB)), max_tokens=100)
    call = await place.told(lambda event: event["type"] == "tool" and event.get("args", {}).get("reserve"))
    reserve = call["args"]["reserve"]
    assert SEEN.input_tokens + SEEN.output_tokens <= reserve["tokens"] < 5_000
    assert reserve["usd"] < 0.02


async def test_a_picture_whose_client_left_counts_as_a_picture_and_the_run_says_that_it_is_estimated(
    tmp_path: Any,
) -> None:
    async with raw_place(tmp_path, grace_seconds=0.1) as raw:
        raw.upstream.lets_answer.clear()
        place = Place(raw.hub, raw.gateway, raw.upstream)  # type: ignore[arg-type]
        asking = asyncio.create_task(
            place.post("/r/run_1/tester/openai/v1/chat/completions", json=looking("look", picture(2 * MIB)))
        )
        await eventually(lambda: raw.upstream.asked)
        asking.cancel()
        note = await place.told(lambda event: event["type"] == "note" and (event.get("data") or {}).get("estimated"))
        assert 4_096 <= (await used(place))["input_tokens"] < 5_000
        assert note["data"]["input"] is True
        raw.upstream.lets_answer.set()


async def test_a_request_with_two_hundred_tools_passes(place: Place) -> None:
    tools = [{**SHELL, "function": {**SHELL["function"], "name": f"tool_{number}"}} for number in range(200)]
    place.upstream.script("many", Turn(text="So many"))
    async with place.openai() as agent:
        answer = await agent.chat.completions.create(**looking("many"), tools=tools)
    assert answer.choices[0].message.content == "So many"
