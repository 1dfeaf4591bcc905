"""What turns through the gateway cost, told by the answer: cut, retried and asked again, refused, served by others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import openai
import pytest

from opsconsole.policy.prices import PriceList, prices_of
from tests.gateway.place import Place, running_gateway, running_place, until
from tests.gateway.test_turn import ask, plain, words
from tests.support.hub import running_hub
from tests.support.model_script import Call, Delivery, Fault, Turn, Usage
from tests.support.model_upstream import running_upstream

OWN = {"input": 100, "output": 1_000, "cache_read": 10}
USED = Usage(input_tokens=100, output_tokens=7, cache_read_tokens=40)
USED_USD = (60 * 100 + 40 * 10 + 7 * 1_000) / 1e6


@pytest.fixture
async def priced(tmp_path: Path) -> AsyncIterator[Place]:
    """A gateway whose operator has set a price, beside a hub that knows nothing of it."""
    async with running_place(tmp_path, prices=prices_of({"gpt-4o-mini": OWN}), answer_tokens=1_000) as place:
        yield place


async def usage_of(place: Place, turns: int) -> dict[str, Any]:
    return await place.told(lambda event: event["type"] == "usage" and event["turns"] == turns)


async def test_the_price_of_each_answer_is_added_up_and_believed(priced: Place) -> None:
    for number in (1, 2):
        priced.upstream.script(f"hello{number}", Turn(text="Hello", usage=USED))
        await plain(priced, f"hello{number}")
    usage = await usage_of(priced, 2)
    assert usage["cost_usd"] == pytest.approx(2 * USED_USD)
    assert usage["priced_by"].startswith("genai-prices ")
    assert (await priced.row())["cost_usd"] == pytest.approx(2 * USED_USD)


async def test_a_gateway_reads_the_price_list_before_the_first_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    async with running_hub(tmp_path / "hub") as hub:
        monkeypatch.setattr(PriceList, "load", lambda _self: read.append("the list"))
        with running_upstream() as upstream:
            async with running_gateway(hub, upstream, tmp_path):
                assert read == ["the list"]


async def test_an_answer_that_was_cut_costs_what_it_is_thought_to_have_used(priced: Place) -> None:
    delivery = Delivery(die_after=4, death="truncate")
    priced.upstream.script("long", Turn(text="word " * 200, usage=USED, delivery=delivery))
    with pytest.raises(openai.APIError):
        await words(priced, "long")
    usage = await usage_of(priced, 1)
    assert usage["cost_usd"] == pytest.approx((usage["input_tokens"] * 100 + usage["output_tokens"] * 1_000) / 1e6)
    assert usage["output_tokens"] > 0


async def test_a_request_that_upstream_refused_first_costs_once(priced: Place) -> None:
    priced.upstream.script("again", Turn(fault=Fault(status=500)), Turn(text="Hello", usage=USED))
    await plain(priced, "again")
    assert (await usage_of(priced, 1))["cost_usd"] == pytest.approx(USED_USD)


async def test_a_model_that_is_asked_again_is_paid_for_both_answers(priced: Place) -> None:
    call = Turn(calls=[Call(name="shell", args={"cmd": "ls"})], usage=USED)
    priced.upstream.script("call", call, Turn(text="Then I will not.", usage=USED))
    asked = asyncio.create_task(plain(priced, "call"))
    await priced.decide("reject", text="no")
    await asked
    assert (await usage_of(priced, 2))["cost_usd"] == pytest.approx(2 * USED_USD)


async def test_a_model_without_a_price_is_refused_where_the_settings_say_so(tmp_path: Path) -> None:
    async with running_place(tmp_path, prices=prices_of({"unknown_model": "block"})) as place:
        place.upstream.script("hello", Turn(text="Hello"))
        async with place.openai() as agent:
            with pytest.raises(openai.PermissionDeniedError, match="No price is known for nobodys-model"):
                await agent.chat.completions.create(**ask("hello", model="nobodys-model"))
        note = await place.told(lambda event: event["type"] == "note" and event["level"] == "error")
        assert "nobodys-model" in note["text"]
        assert place.upstream.calls("hello") == []


async def test_a_hub_refuses_what_its_own_settings_cannot_price(tmp_path: Path) -> None:
    blocking = prices_of({"unknown_model": "block"})
    with running_upstream() as upstream:
        async with (
            running_hub(tmp_path / "hub", prices=blocking) as hub,
            running_gateway(hub, upstream, tmp_path) as gateway,
        ):
            place = Place(hub, gateway, upstream)
            upstream.script("hello", Turn(text="Hello"))
            async with place.openai() as agent:
                with pytest.raises(openai.PermissionDeniedError, match="No price is known for nobodys-model"):
                    await agent.chat.completions.create(**ask("hello", model="nobodys-model"))
            denied = await place.told(lambda event: event["type"] == "tool" and event["status"] == "denied")
            assert (denied["id"][:5], upstream.calls("hello")) == ("turn_", [])


async def test_a_flat_price_counts_a_model_that_nobody_prices_and_an_alert_says_so(tmp_path: Path) -> None:
    flat = {"input": 100, "output": 1_000}
    async with running_place(tmp_path, prices=prices_of({"unknown_model": flat}), answer_tokens=1_000) as place:
        place.upstream.script("hello", Turn(text="Hello", usage=Usage(input_tokens=100, output_tokens=7)))
        async with place.openai() as agent:
            await agent.chat.completions.create(**ask("hello", model="nobodys-model"))
        usage = await usage_of(place, 1)
        assert (usage["cost_usd"], usage["unpriced_turns"]) == (pytest.approx(0.017), 1)
        assert [alert["kind"] for alert in (await place.row())["alerts"]] == ["unpriced"]


async def test_another_model_in_a_later_turn_is_told_and_raises_an_alert(place: Place) -> None:
    for number, served in enumerate(("gpt-a", "gpt-b")):
        place.upstream.script(f"hello{number}", Turn(text="Hello", model=served))
        await plain(place, f"hello{number}")

    async def is_seen() -> bool:
        alerts = (await place.row())["alerts"]  # a detector that sees the same takes the plain alert's place
        return any(one["kind"] in ("model_changed", "drift") and "gpt-b" in one["text"] for one in alerts)

    await until(is_seen)
    await place.told(lambda event: event["type"] == "usage" and event["served_model"] == "gpt-b")
    told = [event["served_model"] for event in await place.timeline() if event["type"] == "usage"]
    assert told == ["gpt-a", "gpt-b"]
