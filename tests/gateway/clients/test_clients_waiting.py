"""Clients that wait long or lose patience, and providers that falter: one turn is one call of the model."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.gateway.clients.casts import CURRENT, EARLIER, FEW, Client, played_by
from tests.gateway.clients.stage import Stage, plays, waits
from tests.support.model_script import Call, Delivery, Fault, Turn, Usage

pytestmark = [pytest.mark.process, pytest.mark.slow]

HOLD_SECONDS = 20.0
CLIENT_TIMEOUT_SECONDS = 5.0
SHELL = Call(name="shell", args={"command": "ls"})
ASKS = Turn(text="I will.", calls=[SHELL])
DONE = Turn(text="Done.")
PATIENT = [client for client in CURRENT if client.sync] + [client for client in EARLIER if client.mode != "helper"]


@played_by(PATIENT)
@waits
async def test_a_client_survives_a_hold_that_is_longer_than_its_timeout(stage: Stage, client: Client) -> None:
    agent = await stage.agent(**client.task, turns=[ASKS, DONE], timeout=CLIENT_TIMEOUT_SECONDS, retries=2)
    asked = await stage.operator.asked(agent.run, "shell")
    await asyncio.sleep(HOLD_SECONDS)
    assert len(stage.calls(agent)) == 1
    await stage.operator.decide(asked, "approve")
    end = await agent.succeeds()
    assert end["ran"] == [["shell", SHELL.args]]
    assert [call.status for call in stage.calls(agent)] == [200, 200]


@played_by(FEW)
@waits
async def test_a_client_that_times_out_and_retries_joins_the_turn_it_began(stage: Stage, client: Client) -> None:
    slow = Turn(text="I will.", calls=[SHELL], delivery=Delivery(first_delay_seconds=5.0))
    agent = await stage.agent(**client.task, turns=[slow, DONE], timeout=2.0, retries=8, by="mute_gateway")
    await stage.operator.decide(await stage.operator.asked(agent.run, "shell"), "approve")
    end = await agent.succeeds()
    assert end["ran"] == [["shell", SHELL.args]]
    first, _ = stage.calls(agent)
    assert (first.status, first.aborted_at) == (200, None)
    assert len(await stage.operator.approvals(agent.run)) == 1


@played_by(FEW)
@pytest.mark.parametrize("death", ["reset", "close", "truncate", "error"])
@plays
async def test_an_answer_cut_by_its_provider_is_an_error_and_never_a_short_answer(
    stage: Stage, client: Client, death: Any
) -> None:
    cut = Delivery(cut="bytes", die_after=250, death=death)
    agent = await stage.agent(**client.task, turns=[Turn(text="word " * 50, delivery=cut)])
    end = await agent.end()
    assert end["error"] is not None
    assert end["texts"] == []


@played_by(FEW)
@plays
async def test_a_busy_provider_is_asked_again_after_the_time_it_names(stage: Stage, client: Client) -> None:
    busy = Turn(fault=Fault(status=429, message="slow down", headers={"retry-after": "1"}))
    agent = await stage.agent(**client.task, turns=[busy, DONE], retries=2)
    end = await agent.succeeds()
    assert end["texts"] == ["Done."]
    first, second = stage.calls(agent)
    assert second.at - first.at >= 1.0


@played_by(FEW)
@plays
async def test_a_change_of_the_served_model_stands_on_the_timeline(stage: Stage, client: Client) -> None:
    model = "gpt-4o-mini" if "openai" in client.program else "claude-haiku-4-5"
    turns = [Turn(text="One.", calls=[SHELL], model=f"{model}-2025-10-01"), Turn(text="Two.", model=f"{model}-other")]
    agent = await stage.agent(**client.task, turns=turns)
    await stage.operator.decide(await stage.operator.asked(agent.run, "shell"), "approve")
    await agent.succeeds()
    used = await stage.operator.event(agent.run, lambda event: event.get("served_model") == f"{model}-other")
    assert used["type"] == "usage"


@played_by(FEW)
@plays
async def test_what_a_turn_used_is_counted_with_its_caches(stage: Stage, client: Client) -> None:
    used = Usage(input_tokens=1_000, output_tokens=50, cache_read_tokens=600, cache_write_tokens=100)
    agent = await stage.agent(**client.task, turns=[Turn(text="Done.", usage=used)])
    await agent.succeeds()
    row = await stage.operator.until(agent.run, lambda row: row["output_tokens"])
    assert (row["turns"], row["input_tokens"], row["output_tokens"]) == (1, 1_000, 50)
    assert row["cost_usd"] > 0
    assert row["cost_known"]


@played_by(FEW)
@plays
async def test_a_provider_that_would_compress_is_not_asked_to(stage: Stage, client: Client) -> None:
    for encoding in ("gzip", "br"):
        agent = await stage.agent(
            **client.task, turns=[Turn(text="Grüße.", delivery=Delivery(encoding=encoding, cut="torn"))]
        )
        end = await agent.succeeds()
        assert end["texts"] == ["Grüße."]
