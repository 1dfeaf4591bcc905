"""Kill, pause, takeover and injection, as real clients meet them, amid a stream and amid a hold."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from tests.gateway.clients.casts import CURRENT, EVERYBODY, FEW, Client, played_by
from tests.gateway.clients.stage import Agent, Stage, plays, waits
from tests.support.model_script import Call, Delivery, Turn

pytestmark = [pytest.mark.process, pytest.mark.slow]

SHELL = Call(name="shell", args={"command": "ls"})
ENDLESS = Turn(text="word " * 40, delivery=Delivery(stall_after=12))
DONE = Turn(text="Done.")
STREAMED = [client for client in EVERYBODY if client.streams]


async def killed(stage: Stage, agent: Agent) -> dict[str, Any]:
    """The agent's end after the run's kill, proven."""
    await stage.operator.say("kill", run=agent.run, note="runaway")
    end = await agent.end()
    row = await stage.operator.until(agent.run, lambda row: row["kill"]["status"] == "dead")
    assert (row["state"], row["kill"]["proof"]) == ("killed", "cooperative")
    return end


@played_by(STREAMED)
@plays
async def test_a_kill_cuts_a_stream_in_the_middle_and_upstream_with_it(stage: Stage, client: Client) -> None:
    agent = await stage.agent(**client.task, turns=[ENDLESS], retries=2)
    await agent.tells("piece")
    end = await killed(stage, agent)
    assert end["texts"] == []
    assert end["error"] is not None
    assert "APIError" in end["error"]["kinds"]
    (call,) = stage.calls(agent)
    await stage.until(lambda: call.aborted_at is not None, "the end of the upstream connection")


@played_by(CURRENT)
@plays
async def test_a_kill_ends_a_held_call_and_nothing_of_it_runs(stage: Stage, client: Client) -> None:
    agent = await stage.agent(**client.task, turns=[Turn(text="I will.", calls=[SHELL]), DONE], retries=2)
    await stage.operator.asked(agent.run, "shell")
    end = await killed(stage, agent)
    assert (end["texts"], end["ran"]) == ([], [])
    assert end["error"] is not None
    assert len(stage.calls(agent)) == 1


@played_by(FEW)
@plays
async def test_a_killed_run_asks_no_model_again(stage: Stage, client: Client) -> None:
    agent = await stage.agent(**client.task, turns=[Turn(calls=[SHELL]), DONE])
    await stage.operator.asked(agent.run, "shell")
    await killed(stage, agent)
    again = await stage.agent(
        **client.task, turns=[DONE], retries=2, base_url=stage.base_url(agent.run, client.program)
    )
    end = await again.end()
    assert end["error"]["status"] == 403
    assert stage.calls(again) == []


@played_by(FEW)
@plays
async def test_a_pause_holds_the_next_turn_until_it_is_resumed(stage: Stage, client: Client) -> None:
    agent = await stage.agent(**client.task, turns=[Turn(text="I will.", calls=[SHELL]), DONE])
    asked = await stage.operator.asked(agent.run, "shell")
    await stage.operator.say("pause", run=agent.run)
    await stage.operator.decide(asked, "approve")
    await stage.operator.until(agent.run, lambda row: row["state"] == "paused")
    before = len(stage.calls(agent))
    await stage.operator.say("resume", run=agent.run)
    end = await agent.succeeds()
    assert before == 1
    assert end["ran"] == [["shell", SHELL.args]]
    assert end["texts"][-1] == "Done."


@played_by(EVERYBODY)
@plays
async def test_an_operator_answers_as_the_model(stage: Stage, client: Client) -> None:
    agent = await stage.agent(**client.task, turns=[Turn(text="I will.", calls=[SHELL]), DONE])
    asked = await stage.operator.asked(agent.run, "shell")
    await stage.operator.say("takeover", run=agent.run)
    await stage.operator.decide(asked, "approve")
    turn = await stage.operator.asked(agent.run, "gpt-4o-mini" if "openai" in client.program else "claude-haiku-4-5")
    offered = {tool["name"] for tool in turn["args"]["tools"] if isinstance(tool, dict)}
    assert offered >= {"shell", "deploy", "read_file"}
    read = {"id": "call_op_1", "name": "read_file", "args": {"path": "ü"}}
    await stage.operator.decide(turn, "respond", text="The operator says: wait.", calls=[read])
    turn = await stage.operator.asked(agent.run, turn["tool"])
    await stage.operator.decide(turn, "respond", text="Enough, 世界.")
    end = await agent.succeeds()
    assert end["texts"] == ["I will.", "The operator says: wait.", "Enough, 世界."]
    assert end["ran"] == [["shell", SHELL.args], ["read_file", {"path": "ü"}]]
    assert len(stage.calls(agent)) == 1


@played_by(FEW)
@plays
async def test_a_takeover_takes_a_turn_that_the_model_has_not_answered_yet(stage: Stage, client: Client) -> None:
    slow = Turn(text="Too late.", delivery=Delivery(first_delay_seconds=3_600.0))
    agent = await stage.agent(**client.task, turns=[slow, DONE])
    await stage.until(lambda: stage.calls(agent), "the first request")
    await stage.operator.say("takeover", run=agent.run)
    turn = await stage.operator.asked(agent.run)
    await stage.operator.decide(turn, "respond", text="I answer.")
    end = await agent.succeeds()
    assert end["texts"] == ["I answer."]
    (call,) = stage.calls(agent)
    await stage.until(lambda: call.aborted_at is not None, "the end of the upstream connection")


@played_by(FEW)
@plays
async def test_after_a_release_the_model_goes_on_and_hears_of_it(stage: Stage, client: Client) -> None:
    agent = await stage.agent(**client.task, turns=[Turn(text="I will.", calls=[SHELL]), DONE])
    asked = await stage.operator.asked(agent.run, "shell")
    await stage.operator.say("takeover", run=agent.run)
    await stage.operator.decide(asked, "approve")
    turn = await stage.operator.asked(agent.run)
    await stage.operator.say("release", run=agent.run, text="carry on with the blue one")
    end = await agent.succeeds()
    assert turn["kind"] == "model_call"
    assert end["texts"] == ["I will.", "Done."]
    assert "carry on with the blue one" in json.dumps(stage.calls(agent)[-1].body)


@played_by(FEW)
@plays
async def test_an_operators_words_reach_the_model_with_the_next_turn(stage: Stage, client: Client) -> None:
    agent = await stage.agent(**client.task, turns=[Turn(text="I will.", calls=[SHELL]), DONE])
    asked = await stage.operator.asked(agent.run, "shell")
    await stage.operator.say("inject", run=agent.run, text="mind the gap")
    await stage.operator.decide(asked, "approve")
    await agent.succeeds()
    first, second = stage.calls(agent)
    assert "mind the gap" not in json.dumps(first.body)
    assert "mind the gap" in json.dumps(second.body)


@played_by(FEW)
@waits
async def test_a_client_that_leaves_while_held_takes_its_call_with_it(stage: Stage, client: Client) -> None:
    agent = await stage.agent(**client.task, turns=[Turn(calls=[SHELL])], timeout=10.0, by="strict_gateway")
    await stage.operator.asked(agent.run, "shell")
    end = await agent.end()
    assert end["error"] is not None
    await stage.operator.until(agent.run, lambda row: row["pending_approvals"] == 0)
    assert {row["status"] for row in await stage.operator.approvals(agent.run)} == {"cancelled"}


@played_by(FEW)
@plays
async def test_of_two_operators_who_answer_as_the_model_one_is_heard(stage: Stage, client: Client) -> None:
    agent = await stage.agent(**client.task, turns=[Turn(text="I will.", calls=[SHELL]), DONE])
    asked = await stage.operator.asked(agent.run, "shell")
    other = await stage.colleague(f"colleague of {agent.run}"[:60])
    await stage.operator.say("takeover", run=agent.run)
    await stage.operator.decide(asked, "approve")
    turn = await stage.operator.asked(agent.run)
    answer = {"approval": turn["approval"], "digest": turn["digest"], "answer": "respond"}
    both = await asyncio.gather(
        stage.operator.tries("decide", **answer, text="from one"), other.tries("decide", **answer, text="from another")
    )
    end = await agent.succeeds()
    heard = ["from one", "from another"][[said.get("ok") for said in both].index(True)]
    assert sorted(bool(said.get("ok")) for said in both) == [False, True]
    assert end["texts"] == ["I will.", heard]
