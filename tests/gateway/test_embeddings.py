"""Embeddings cost: they reserve by their input, wait and pause as turns do, and are no turns."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from opsconsole.policy.prices import prices_of
from tests.gateway.place import Place, running_gateway, until
from tests.support.hub import running_hub
from tests.support.model_upstream import running_upstream

KEY = {"authorization": "Bearer sk-agent"}
MODEL = "my-embedder"
PRICES = prices_of({MODEL: {"input": 100, "output": 0}})


@pytest.fixture
async def capped(tmp_path: Path) -> AsyncIterator[Place]:
    """A run may cost a tenth of a dollar: a thousand tokens of this model."""
    with running_upstream() as upstream:
        async with (
            running_hub(tmp_path / "hub", cost_usd=0.1, prices=PRICES) as hub,
            running_gateway(hub, upstream, tmp_path, prices=PRICES) as gateway,
        ):
            yield Place(hub, gateway, upstream)


async def embedded(place: Place, given: Any, **more: Any) -> httpx.Response:
    body = {"model": MODEL, "input": given} | more
    return await place.post("/r/run_1/tester/openai/v1/embeddings", json=body, headers=KEY)


async def test_embeddings_reserve_by_their_input_and_cost_what_was_told(capped: Place) -> None:
    answer = await embedded(capped, "x" * 400)
    used = answer.json()["usage"]["prompt_tokens"]
    proposed = await capped.told(lambda event: event["type"] == "tool" and event["status"] == "proposed")
    assert proposed["args"]["reserve"] == {"usd": pytest.approx(0.0101), "tokens": 101}
    await capped.told(lambda event: event["type"] == "usage" and event["input_tokens"] == used)
    row = await capped.row()
    assert (row["cost_usd"], row["turns"], row["input_tokens"]) == (pytest.approx(used * 1e-4), 0, used)


@pytest.mark.parametrize("given", ["x" * 8_000, [[1] * 2_000], list(range(2_000)), ["ab " * 1_500] * 2])
async def test_embeddings_that_do_not_fit_the_budget_pause_the_run_and_are_not_bought(
    capped: Place, given: Any
) -> None:
    asked = asyncio.create_task(embedded(capped, given))
    await until(lambda: is_state(capped, "paused"))
    await capped.command("kill")
    assert (await asked).status_code == 403


async def is_state(place: Place, state: str) -> bool:
    async with place.hub.http() as client:
        answer = await client.get("/v1/runs/run_1")
    return answer.status_code == 200 and answer.json()["row"]["state"] == state


async def test_embeddings_are_bought_while_an_operator_answers_as_the_model(place: Place) -> None:
    await embedded(place, "one")
    await place.command("takeover")
    assert (await embedded(place, "two")).status_code == 200


@pytest.mark.parametrize("sent", [b"{", b"{}", b'{"model":"cheap","input":"x","model":"dear"}'])
async def test_a_request_whose_price_nobody_can_tell_is_refused(place: Place, sent: bytes) -> None:
    answer = await place.post("/r/run_1/tester/openai/v1/embeddings", content=sent, headers=KEY)
    assert answer.status_code == 400
