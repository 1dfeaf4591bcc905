"""What an operator does with a held call, as real clients meet it: approve, edit, refuse, answer in its place."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.gateway.clients.casts import CURRENT, EVERYBODY, FEW, Client, played_by
from tests.gateway.clients.stage import Stage, plays
from tests.support.model_script import Call, Delivery, Turn
from tests.support.model_upstream import Seen

pytestmark = [pytest.mark.process, pytest.mark.slow]

SHELL = Call(name="shell", args={"command": "écho 👋"})
DEPLOY = Call(name="deploy", args={"service": "shop"})
READ = Call(name="read_file", args={"path": "notes"})
TORN = Delivery(cut="torn", newline="\r\n", comments=True)
ASKS = Turn(text="I will look: 世界.", calls=[SHELL], delivery=TORN)
DONE = Turn(text="Done.")
WORDS = ["I will look: 世界.", "Done."]


def told(seen: Seen) -> str:
    """All that a request told the model."""
    return json.dumps(seen.body, ensure_ascii=False)


@played_by(EVERYBODY)
@plays
async def test_an_approved_call_reaches_the_agent_as_the_model_made_it(stage: Stage, client: Client) -> None:
    agent = await stage.agent(**client.task, turns=[ASKS, DONE])
    asked = await stage.operator.asked(agent.run, "shell")
    assert asked["args"] == SHELL.args
    assert [line for line in agent.told if line["what"] == "ran"] == []
    await stage.operator.decide(asked, "approve")
    end = await agent.succeeds()
    assert (end["texts"], end["ran"]) == (WORDS, [["shell", SHELL.args]])
    assert not client.streams or agent.words == "".join(WORDS)
    assert [call.status for call in stage.calls(agent)] == [200, 200]


@played_by(EVERYBODY)
@plays
async def test_an_edited_call_reaches_the_agent_with_the_operators_arguments(stage: Stage, client: Client) -> None:
    agent = await stage.agent(**client.task, turns=[ASKS, DONE])
    edited = {"command": 'ls "ü"'}
    await stage.operator.decide(await stage.operator.asked(agent.run, "shell"), "edit", args=edited)
    end = await agent.succeeds()
    assert (end["texts"], end["ran"]) == (WORDS, [["shell", edited]])
    assert [call.status for call in stage.calls(agent)] == [200, 200]


@played_by(EVERYBODY)
@plays
async def test_a_refused_call_never_reaches_the_agent_and_the_model_hears_why(stage: Stage, client: Client) -> None:
    agent = await stage.agent(**client.task, turns=[ASKS, Turn(text="Then not.")])
    await stage.operator.decide(await stage.operator.asked(agent.run, "shell"), "reject", note="not on a friday")
    end = await agent.succeeds()
    (words,) = end["texts"]
    assert (words.split("世界.")[0], words[-9:], end["ran"]) == ("I will look: ", "Then not.", [])
    first, again = stage.calls(agent)
    assert "not on a friday" not in told(first)
    assert "not on a friday" in told(again)


@played_by(FEW)
@plays
async def test_after_a_refusal_the_conversation_goes_on_with_a_valid_history(stage: Stage, client: Client) -> None:
    asks = Turn(thinking="Is it friday? 世界", text="I will look.", calls=[SHELL], delivery=TORN)
    turns = [asks, Turn(thinking="Then so.", text="Then I read.", calls=[READ]), DONE]
    agent = await stage.agent(**client.task, turns=turns)
    await stage.operator.decide(await stage.operator.asked(agent.run, "shell"), "reject", note="not on a friday")
    end = await agent.succeeds()
    assert end["ran"] == [["read_file", READ.args]]
    calls = stage.calls(agent)
    assert [call.status for call in calls] == [200, 200, 200]
    assert "not on a friday" in told(calls[2])
    assert "écho" in told(calls[2])


@played_by(FEW)
@plays
async def test_an_operators_words_stand_as_the_calls_result(stage: Stage, client: Client) -> None:
    agent = await stage.agent(**client.task, turns=[ASKS, Turn(text="I see.")])
    asked = await stage.operator.asked(agent.run, "shell")
    await stage.operator.decide(asked, "respond", text="it is already up")
    end = await agent.succeeds()
    assert end["ran"] == []
    assert "it is already up" in told(stage.calls(agent)[1])


@played_by(FEW)
@plays
async def test_a_gateway_that_strips_puts_a_note_where_the_call_was(stage: Stage, client: Client) -> None:
    agent = await stage.agent(**client.task, turns=[ASKS], by="strict_gateway")
    await stage.operator.decide(await stage.operator.asked(agent.run, "shell"), "reject", note="not on a friday")
    end = await agent.succeeds()
    assert end["ran"] == []
    assert "not on a friday" in end["texts"][0]
    assert len(stage.calls(agent)) == 1


@played_by(CURRENT)
@plays
async def test_of_parallel_calls_only_the_allowed_reach_the_agent(stage: Stage, client: Client) -> None:
    asks = Turn(thinking="hm", text="All at once.", calls=[DEPLOY, READ, SHELL], delivery=TORN)
    agent = await stage.agent(**client.task, turns=[asks, DONE])
    for asked in await stage.operator.all_asked(agent.run, 2):
        await stage.operator.decide(asked, "reject", note="not now")
    end = await agent.succeeds()
    assert end["ran"] == [["read_file", READ.args]]
    assert end["texts"][-1] == "Done."
    assert [call.status for call in stage.calls(agent)] == [200, 200]
    assert all(word in told(stage.calls(agent)[1]) for word in ("not now", "écho", "shop"))


@played_by([client for client in CURRENT if client.program == "openai.responses"])
@plays
async def test_a_custom_tool_is_held_and_edited_as_text(stage: Stage, client: Client) -> None:
    patch = Call(name="patch", args="*** Begin Patch\nü\n", kind="custom")
    agent = await stage.agent(**client.task, turns=[Turn(calls=[patch], delivery=TORN), DONE])
    asked = await stage.operator.asked(agent.run, "patch")
    assert asked["args"] == {"input": patch.args}
    await stage.operator.decide(asked, "edit", args={"input": "*** Nothing"})
    end = await agent.succeeds()
    assert end["ran"] == [["patch", {"input": "*** Nothing"}]]


@played_by([client for client in CURRENT if client.program == "openai.responses"])
@pytest.mark.parametrize("answer", ["approve", "edit", "reject"])
@plays
async def test_a_conversation_that_the_provider_remembers_goes_on(stage: Stage, client: Client, answer: str) -> None:
    asks = Turn(thinking="hm", calls=[DEPLOY])
    turns = [asks, Turn(text="Then I read.", calls=[READ]), DONE]
    agent = await stage.agent(**client.task, turns=turns, stores=True)
    more: dict[str, Any] = {"edit": {"args": {"service": "test"}}, "reject": {"note": "no"}}.get(answer, {})
    await stage.operator.decide(await stage.operator.asked(agent.run, "deploy"), answer, **more)
    end = await agent.succeeds()
    deployed = {"approve": [["deploy", DEPLOY.args]], "edit": [["deploy", {"service": "test"}]], "reject": []}[answer]
    assert end["ran"] == [*deployed, ["read_file", READ.args]]
    assert [call.status for call in stage.calls(agent)] == [200, 200, 200]


@played_by([client for client in CURRENT if client.program.startswith("openai") and client.streams])
@plays
async def test_calls_whose_pieces_come_in_turns_are_held_and_kept_apart(stage: Stage, client: Client) -> None:
    agent = await stage.agent(**client.task, turns=[Turn(calls=[DEPLOY, SHELL], interleaved=True), DONE])
    shell, deploy = sorted(await stage.operator.all_asked(agent.run, 2), key=lambda row: row["tool"], reverse=True)
    await stage.operator.decide(shell, "edit", args={"command": "ls"})
    await stage.operator.decide(deploy, "approve")
    end = await agent.succeeds()
    assert end["ran"] == [["deploy", DEPLOY.args], ["shell", {"command": "ls"}]]


@played_by([client for client in FEW if client.program.startswith("openai")])
@plays
async def test_arguments_that_nobody_can_read_never_reach_the_agent(stage: Stage, client: Client) -> None:
    garbled = Call(name="shell", args='{"command": "ls')
    agent = await stage.agent(**client.task, turns=[Turn(text="Hm.", calls=[garbled]), DONE])
    end = await agent.succeeds()
    assert (end["ran"], end["texts"][-1][-5:]) == ([], "Done.")
    assert "not a JSON object" in told(stage.calls(agent)[1])
