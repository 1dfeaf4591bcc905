"""Who continues from an operator's own answer goes on, although the provider has never heard of it."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from opsconsole.gateway.dialect.dialects import DIALECTS
from opsconsole.gateway.dialect.interface import Request
from opsconsole.gateway.dialect.splice import Splices
from opsconsole.gateway.dialect.unheard import ANSWERS_MAX
from tests.gateway.place import Place
from tests.support.model_script import Turn, mark

RESPONSES = DIALECTS["openai.responses"]
SHELL = {"type": "function", "name": "shell", "parameters": {"type": "object", "properties": {}}}
SAID = [{"type": "message", "role": "assistant", "id": "msg_op", "content": [{"type": "output_text", "text": "No."}]}]
USER = {"role": "user", "content": "hello"}


def request(given: Any, **more: Any) -> Request:
    return RESPONSES.read(json.dumps({"model": "m", "input": given} | more).encode())


def without_ids(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{key: value for key, value in item.items() if key != "id"} for item in items]


def test_a_request_after_an_operators_answer_says_all_since_the_last_that_upstream_knows() -> None:
    splices = Splices()
    splices.unheard.composed(request("hello", previous_response_id="resp_1"), "op_1", SAID)
    sent = splices.restored(request("again", previous_response_id="op_1")).body
    assert sent["previous_response_id"] == "resp_1"
    assert sent["input"] == [USER, *without_ids(SAID), {"role": "user", "content": "again"}]


def test_several_answers_in_a_row_are_all_said() -> None:
    splices = Splices()
    splices.unheard.composed(request("hello"), "op_1", SAID)
    second = splices.restored(request("two", previous_response_id="op_1"))
    splices.unheard.composed(second, "op_2", SAID)
    sent = splices.restored(request("three", previous_response_id="op_2")).body
    assert (sent["previous_response_id"], len(sent["input"])) == (None, 5)


def test_a_conversation_kept_upstream_hears_it_once() -> None:
    splices = Splices()
    splices.unheard.composed(request("hello", conversation="conv_1"), "op_1", SAID)
    asked = request("again", conversation={"id": "conv_1"})
    told = [splices.restored(asked).body["input"] for _ in range(2)]
    splices.unheard.heard(asked)
    assert [len(one) for one in told] == [3, 3]
    assert splices.restored(asked) is asked


def test_who_continues_from_another_answer_is_left_alone() -> None:
    splices = Splices()
    splices.unheard.composed(request("hello"), "op_1", SAID)
    asked = request("again", previous_response_id="resp_1")
    assert splices.restored(asked) is asked


def test_what_is_remembered_is_bounded() -> None:
    splices = Splices()
    for number in range(ANSWERS_MAX + 1):
        splices.unheard.composed(request("hello"), f"op_{number}", SAID)
    oldest, newest = (request("x", previous_response_id=f"op_{number}") for number in (0, ANSWERS_MAX))
    assert (splices.restored(oldest) is oldest, splices.restored(newest) is newest) == (True, False)


@pytest.mark.parametrize("streams", [False, True])
async def test_an_agent_goes_on_with_its_model_after_an_operator_answered_it(place: Place, streams: bool) -> None:
    place.upstream.script("talk", Turn(text="One"), Turn(text="Thanks"))
    async with place.openai() as agent:
        first = await agent.responses.create(model="gpt-4o-mini", input=mark("talk"), tools=[SHELL])
        await place.command("takeover")
        asked = asyncio.create_task(
            agent.responses.create(model="gpt-4o-mini", input="go on", previous_response_id=first.id, tools=[SHELL])
        )
        call = {"id": "c1", "name": "shell", "args": {"cmd": "id"}}
        await place.decide("respond", text="Look who you are", calls=[call])
        answer = await asked
        await place.command("release")
        output = {"type": "function_call_output", "call_id": "c1", "output": "root"}
        more = {"model": "gpt-4o-mini", "input": [output], "previous_response_id": answer.id, "tools": [SHELL]}
        if streams:
            async with agent.responses.stream(**more) as stream:
                last = await stream.get_final_response()
        else:
            last = await agent.responses.create(**more)
    heard = place.upstream.calls("talk")[1].body
    assert (last.output_text, heard["previous_response_id"]) == ("Thanks", first.id)
    assert [item.get("type", "message") for item in heard["input"]] == [
        "message",
        "message",
        "function_call",
        "function_call_output",
    ]
