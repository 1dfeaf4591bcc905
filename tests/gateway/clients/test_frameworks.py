"""LangChain and the OpenAI Agents SDK through the gateway: their own loops meet held, edited and refused calls."""

from __future__ import annotations

import asyncio
import json

import pytest

from tests.gateway.clients.casts import Client, played_by
from tests.gateway.clients.stage import Stage, plays, waits
from tests.support.model_script import Call, Delivery, Turn

pytestmark = [pytest.mark.process, pytest.mark.slow]

WORKER = "current/frameworks"
CHAINS = [
    Client(worker=WORKER, program=program, mode=mode)
    for program in ("langchain.openai", "langchain.anthropic", "agents.chat", "agents.responses")
    for mode in ("plain", "stream")
]
HOLD_SECONDS = 15.0
"""Longer than any client here waits without a word."""
SHELL = Call(name="shell", args={"command": "ls"})
ASKS = Turn(text="I will: 世界.", calls=[SHELL], delivery=Delivery(cut="torn"))
DONE = Turn(text="Done.")


@played_by(CHAINS)
@plays
async def test_a_framework_runs_the_call_that_was_approved(stage: Stage, client: Client) -> None:
    agent = await stage.agent(**client.task, turns=[ASKS, DONE])
    await stage.operator.decide(await stage.operator.asked(agent.run, "shell"), "approve")
    end = await agent.succeeds()
    assert (end["ran"], end["texts"][-1]) == ([["shell", SHELL.args]], "Done.")


@played_by(CHAINS)
@plays
async def test_a_framework_runs_the_call_as_it_was_edited(stage: Stage, client: Client) -> None:
    agent = await stage.agent(**client.task, turns=[ASKS, DONE])
    asked = await stage.operator.asked(agent.run, "shell")
    await stage.operator.decide(asked, "edit", args={"command": "echo edited"})
    end = await agent.succeeds()
    assert end["ran"] == [["shell", {"command": "echo edited"}]]


@played_by(CHAINS)
@plays
async def test_a_framework_never_sees_the_call_that_was_refused(stage: Stage, client: Client) -> None:
    agent = await stage.agent(**client.task, turns=[ASKS, Turn(text="Then not.")])
    await stage.operator.decide(await stage.operator.asked(agent.run, "shell"), "reject", note="no")
    end = await agent.succeeds()
    assert (end["ran"], end["texts"][-1][-9:]) == ([], "Then not.")
    assert len(stage.calls(agent)) == 2


@played_by(CHAINS)
@plays
async def test_a_framework_hears_an_operator_as_the_model(stage: Stage, client: Client) -> None:
    agent = await stage.agent(**client.task, turns=[ASKS, DONE])
    asked = await stage.operator.asked(agent.run, "shell")
    await stage.operator.say("takeover", run=agent.run)
    await stage.operator.decide(asked, "approve")
    turn = await stage.operator.asked(agent.run)
    await stage.operator.decide(turn, "respond", text="The operator ends this.")
    end = await agent.succeeds()
    assert end["texts"][-1] == "The operator ends this."
    assert "ls" in json.dumps(turn["args"])


@played_by(CHAINS)
@plays
async def test_a_framework_stops_when_its_run_is_killed(stage: Stage, client: Client) -> None:
    endless = Turn(text="word " * 40, delivery=Delivery(cut="bytes", stall_after=400))
    agent = await stage.agent(**client.task, turns=[endless], retries=2)
    await stage.until(lambda: stage.calls(agent) and stage.calls(agent)[0].writes, "the first words")
    await stage.operator.say("kill", run=agent.run)
    end = await agent.end()
    assert end["error"] is not None
    assert end["texts"] == []
    assert len(stage.calls(agent)) == 1


@played_by([client for client in CHAINS if client.program.startswith("langchain")])
@waits
async def test_a_chain_that_allows_ten_seconds_between_chunks_survives_a_hold(stage: Stage, client: Client) -> None:
    agent = await stage.agent(**client.task, turns=[ASKS, DONE], chunk_timeout=10.0, timeout=10.0)
    asked = await stage.operator.asked(agent.run, "shell")
    await asyncio.sleep(HOLD_SECONDS)
    await stage.operator.decide(asked, "approve")
    end = await agent.succeeds()
    assert end["ran"] == [["shell", SHELL.args]]
