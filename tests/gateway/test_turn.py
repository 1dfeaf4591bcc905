"""A turn through the gateway, with the official client: passed on, held, edited, refused, answered, cut."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.gateway.place import Place, running_place, until
from tests.support.hub import eventually
from tests.support.model_script import Call, Delivery, Fault, Turn, Usage, mark

SHELL = {"type": "function", "function": {"name": "shell", "parameters": {"type": "object", "properties": {}}}}


def ask(script: str, **more: Any) -> dict[str, Any]:
    """A request that plays a script."""
    request = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": mark(script)}], "tools": [SHELL]}
    return request | more


async def plain(place: Place, script: str, **client: Any) -> Any:
    async with place.openai(**client) as agent:
        return (await agent.chat.completions.create(**ask(script))).choices[0]


async def words(place: Place, script: str) -> str:
    async with place.openai() as agent:
        stream = await agent.chat.completions.create(**ask(script, stream=True))
        return "".join([chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices])


def calls_of(choice: Any) -> list[tuple[str, dict[str, Any]]]:
    return [(call.function.name, json.loads(call.function.arguments)) for call in choice.message.tool_calls or []]


LS = Turn(calls=[Call(name="shell", args={"cmd": "ls"})])


async def test_a_streamed_answer_reaches_the_client_as_it_is(place: Place) -> None:
    place.upstream.script("hello", Turn(text="Grüße aus der Ferne"))
    assert await words(place, "hello") == "Grüße aus der Ferne"


async def test_a_plain_answer_reaches_the_client(place: Place) -> None:
    place.upstream.script("hello", Turn(text="Hello"))
    assert (await plain(place, "hello")).message.content == "Hello"


async def test_what_a_turn_used_and_said_is_on_the_run(place: Place) -> None:
    place.upstream.script("hello", Turn(text="Hello", usage=Usage(input_tokens=100, output_tokens=7)))
    await words(place, "hello")
    usage = await place.told(lambda event: event["type"] == "usage")
    said = await place.told(lambda event: event["type"] == "message" and event["role"] == "assistant")
    assert (usage["input_tokens"], usage["output_tokens"], usage["turns"]) == (100, 7, 1)
    assert (usage["provider"], usage["served_model"], said["append"]) == ("openai", "gpt-4o-mini", "Hello")


async def test_a_call_is_held_until_it_is_approved(place: Place) -> None:
    place.upstream.script("call", LS)
    asked = asyncio.create_task(plain(place, "call"))
    row = await place.approval()
    assert not asked.done()
    await place.decide("approve")
    assert (row["tool"], calls_of(await asked)) == ("shell", [("shell", {"cmd": "ls"})])


async def test_a_client_gets_the_arguments_that_the_operator_wrote(place: Place) -> None:
    place.upstream.script("call", LS)
    asked = asyncio.create_task(plain(place, "call"))
    await place.decide("edit", args={"cmd": "pwd"})
    assert calls_of(await asked) == [("shell", {"cmd": "pwd"})]


async def test_the_model_is_asked_again_when_all_of_its_calls_are_refused(place: Place) -> None:
    place.upstream.script("call", LS, Turn(text="Then I will not."))
    asked = asyncio.create_task(plain(place, "call"))
    await place.decide("reject", note="not on this machine")
    choice = await asked
    second = place.upstream.calls("call")[1].body["messages"][-1]
    assert (choice.message.content, choice.message.tool_calls) == ("Then I will not.", None)
    assert (second["role"], "not on this machine" in second["content"]) == ("tool", True)


async def test_an_operators_answer_stands_as_the_result_of_the_call(place: Place) -> None:
    place.upstream.script("call", LS, Turn(text="I see: three files."))
    asked = asyncio.create_task(plain(place, "call"))
    await place.decide("respond", text="three files")
    assert (await asked).message.content == "I see: three files."
    assert place.upstream.calls("call")[1].body["messages"][-1]["content"] == "three files"


async def test_of_two_calls_the_one_that_is_allowed_reaches_the_client(place: Place) -> None:
    both = [Call(name="read_file", args={"path": "a"}), Call(name="shell", args={"cmd": "rm -rf ."})]
    place.upstream.script("call", Turn(calls=both))
    asked = asyncio.create_task(plain(place, "call"))
    await place.decide("reject", note="no removing")
    choice = await asked
    assert calls_of(choice) == [("read_file", {"path": "a"})]
    assert "no removing" in choice.message.content


async def test_a_run_that_is_killed_breaks_its_stream_and_gets_no_other(place: Place) -> None:
    place.upstream.script("long", Turn(text="word " * 200, delivery=Delivery(stall_after=10)))
    async with place.openai() as agent:
        stream = await agent.chat.completions.create(**ask("long", stream=True))
        await anext(aiter(stream))
        await place.command("kill")
        with pytest.raises(openai.APIError):
            async for _ in stream:
                pass
        with pytest.raises(openai.PermissionDeniedError):
            await agent.chat.completions.create(**ask("long"))
    await eventually(lambda: place.upstream.calls("long")[0].aborted_at)


async def test_a_kill_is_answered_with_what_it_cut(place: Place) -> None:
    place.upstream.script("call", LS)
    asked = asyncio.create_task(plain(place, "call"))
    await place.approval()
    await place.command("kill")
    with pytest.raises(openai.APIError):
        await asked
    row = await place.row()
    while row["kill"]["status"] != "dead":
        row = await place.row()
    points = [(one["name"], one["outcome"]) for one in row["kill"]["points"] if one["name"] == "gateway"]
    assert (points, row["state"]) == ([("gateway", "1 stream cut")], "killed")


async def test_a_paused_run_asks_nothing_of_its_provider_until_it_is_resumed(place: Place) -> None:
    place.upstream.script("one", Turn(text="One"))
    place.upstream.script("two", Turn(text="Two"))
    await plain(place, "one")
    await place.command("pause")
    await eventually(lambda: place.gateway.runs.live[0].live.session.paused)
    asked = asyncio.create_task(plain(place, "two"))
    await until(lambda: is_state(place, "paused"))
    assert place.upstream.calls("two") == []
    await place.command("resume")
    assert (await asked).message.content == "Two"


async def is_state(place: Place, state: str) -> bool:
    return bool((await place.row())["state"] == state)


async def test_an_operator_who_has_taken_over_answers_as_the_model(place: Place) -> None:
    place.upstream.script("one", Turn(text="One"))
    place.upstream.script("two", Turn(text="Two"))
    await plain(place, "one")
    await place.command("takeover")
    asked = asyncio.create_task(plain(place, "two"))
    await place.decide("respond", text="I am a person", calls=[{"id": "c1", "name": "shell", "args": {"cmd": "id"}}])
    choice = await asked
    assert (choice.message.content, calls_of(choice)) == ("I am a person", [("shell", {"cmd": "id"})])
    assert place.upstream.calls("two") == []


async def test_a_takeover_before_the_model_has_said_a_word_takes_its_turn(place: Place) -> None:
    place.upstream.script("slow", Turn(text="late", delivery=Delivery(first_delay_seconds=30)))
    asked = asyncio.create_task(plain(place, "slow"))
    await eventually(lambda: place.upstream.calls("slow"))
    await place.command("takeover")
    await place.decide("respond", text="I was faster")
    assert (await asked).message.content == "I was faster"


async def test_an_operators_words_go_with_the_next_request(place: Place) -> None:
    place.upstream.script("one", Turn(text="One"))
    place.upstream.script("two", Turn(text="Two"))
    await plain(place, "one")
    await place.command("inject", text="mind the gap")
    await eventually(lambda: place.gateway.runs.live[0].live.session._injects)
    await plain(place, "two")
    assert "mind the gap" in json.dumps(place.upstream.calls("two")[0].body["messages"])


async def test_a_client_that_times_out_and_asks_again_joins_its_own_turn(tmp_path: Path) -> None:
    async with running_place(tmp_path, patience_seconds=60.0, grace_seconds=60.0) as mute:
        mute.upstream.script("call", LS)
        asked = asyncio.create_task(plain(mute, "call", max_retries=20, timeout=1.0))
        await mute.approval()
        await eventually(lambda: mute.gateway.counts.joined)
        await mute.decide("approve")
        assert calls_of(await asked) == [("shell", {"cmd": "ls"})]
        assert len(mute.upstream.calls("call")) == 1


async def test_a_call_is_withdrawn_when_its_client_does_not_come_back(place: Place) -> None:
    place.upstream.script("call", LS)
    asked = asyncio.create_task(plain(place, "call"))
    await place.approval()
    asked.cancel()
    denied = await place.told(lambda event: event["type"] == "tool" and event["status"] == "denied")
    async with place.hub.http() as client:
        waiting = (await client.get("/v1/approvals")).json()["rows"]
    assert (waiting, denied["error"]) == ([], "The agent gave the call up.")


async def test_an_error_of_the_provider_reaches_the_client_as_it_is(place: Place) -> None:
    fault = Fault(status=400, message="no such parameter", headers={"x-strange": "yes"})
    place.upstream.script("wrong", Turn(fault=fault))
    with pytest.raises(openai.BadRequestError) as caught:
        await plain(place, "wrong")
    assert (caught.value.response.headers["x-strange"], "no such parameter" in str(caught.value)) == ("yes", True)


async def test_a_stream_that_dies_is_not_ended_as_if_it_were_whole(place: Place) -> None:
    delivery = Delivery(die_after=3, death="truncate")
    place.upstream.script("dies", Turn(text="word " * 20, delivery=delivery))
    with pytest.raises(openai.APIError):
        await words(place, "dies")


async def test_the_result_of_a_call_is_told_once_the_agent_sends_it(place: Place) -> None:
    place.upstream.script("call", LS, Turn(text="done"))
    async with place.openai() as agent:
        asked = asyncio.create_task(agent.chat.completions.create(**ask("call")))
        await place.decide("approve")
        message = (await asked).choices[0].message
        history = [
            *ask("call")["messages"],
            message.model_dump(exclude_none=True),
            {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "a.txt"},
        ]
        await agent.chat.completions.create(**ask("call", messages=history))
    done = await place.told(
        lambda event: event["type"] == "tool" and event["status"] == "completed" and event["kind"] == "tool_call"
    )
    assert (done["id"], done["result"]) == (message.tool_calls[0].id, "a.txt")


async def test_a_fault_of_the_gateway_is_an_error_and_never_a_call_let_through(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any, **__: Any) -> None:
        raise KeyError("a defect")

    monkeypatch.setattr("opsconsole.gateway.turn.Holding", fails)
    place.upstream.script("call", LS)
    with pytest.raises(openai.InternalServerError):
        await plain(place, "call")
    await eventually(lambda: not place.gateway.runs.live[0].turns)
