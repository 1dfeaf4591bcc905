"""A plain answer of OpenAI Responses is judged as a stream is, and the official client reads what becomes of it."""

from __future__ import annotations

import json

import openai
import pytest

from opsconsole.gateway.dialect.interface import (
    HELD_BYTES_MAX,
    Answered,
    Broken,
    CallBegan,
    ComposedCall,
    Counted,
    Counts,
    Done,
    Edited,
    Failure,
    Held,
    ModelCall,
    Pass,
    Served,
    Stands,
    Text,
)
from tests.gateway.dialect.anthropic_wire import fed, held, passed
from tests.gateway.dialect.responses_wire import (
    DIALECT,
    REASONING,
    client,
    custom,
    function,
    message,
    read_by_helper,
    read_plain,
    request,
    response,
)

NO = Answered(text="Refused by ops.")
REFUSED = {"says": "Refused by ops."}
A, B = function("call_A", '{"cmd":"ls"}'), custom("call_B", "rm")


def body(*items: dict, **more: object) -> bytes:
    return json.dumps(response(*items, **more), indent=1).encode()


def settled(data: bytes, rulings: dict) -> bytes:
    answer = DIALECT.answer(request(streams=False))
    fed(answer, data)
    return answer.settle(rulings)


def test_an_answer_without_calls_passes_whole() -> None:
    thought = {**REASONING, "summary": [{"type": "summary_text", "text": "Hm."}]}
    data = body(thought, message("Both."))
    counts = Counts(
        input_tokens=30,
        output_tokens=12,
        cache_read_tokens=8,
        cache_write_tokens=2,
        reasoning_tokens=5,
        service_tier="default",
    )
    assert fed(DIALECT.answer(request(streams=False)), data) == [
        Served(id="resp_1", model="gpt-5.5-2026-10-01"),
        Text(text="Hm.", role="thought"),
        Text(text="Both."),
        Counted(counts),
        Pass(data),
        Done(finish="completed"),
    ]


def test_an_answer_with_calls_waits() -> None:
    pieces = fed(DIALECT.answer(request(streams=False)), body(message("Both."), A, B), cuts=range(1, 900, 7))
    calls = (
        ModelCall(id="call_A", name="run", args={"cmd": "ls"}, raw='{"cmd":"ls"}'),
        ModelCall(id="call_B", name="script", args={"input": "rm"}, raw="rm", kind="custom"),
    )
    assert pieces[-3:] == [CallBegan(name="run"), CallBegan(name="script"), Held(calls=calls)]
    assert passed(pieces) == b""


def test_an_approved_answer_is_byte_identical() -> None:
    data = body(message("Both."), A, B)
    assert settled(data, {"call_A": Stands(), "call_B": Stands()}) == data


def test_an_edited_call_carries_the_operators_arguments() -> None:
    data = settled(body(A, B), {"call_A": Edited(args={"cmd": "pwd"}), "call_B": Edited(args={"input": "ls"})})
    assert read_plain(data)["output"] == [{"runs": '{"cmd":"pwd"}', "id": "call_A"}, {"runs": "ls", "id": "call_B"}]


def test_a_refused_call_makes_room_for_a_note() -> None:
    data = settled(body(message("Both."), A, B), {"call_A": NO, "call_B": Stands()})
    assert read_plain(data) == {
        "id": "resp_1",
        "output": [{"says": "Both."}, REFUSED, {"runs": "rm", "id": "call_B"}],
        "tokens": (30, 12, 42),
    }


def test_the_answer_goes_on_after_a_refusal() -> None:
    asked, answer = request(streams=False), DIALECT.answer(request(streams=False))
    fed(answer, body(message("One."), A))
    again = DIALECT.reask(asked, answer, {"call_A": NO})
    second = DIALECT.answer(again, continues=answer)
    pieces = fed(second, body(message("Well."), id="resp_2"))
    assert read_plain(answer.keep_alive() + passed(pieces)) == {
        "id": "resp_1",
        "output": [{"says": "One."}, {"says": "Well."}],
        "tokens": (60, 24, 84),
    }
    assert second.ids == ("resp_1", "resp_2")


def test_two_calls_with_one_id_get_each_their_own() -> None:
    answer = DIALECT.answer(request(streams=False))
    pieces = fed(answer, body(A, A))
    data = answer.settle({call.id: Stands() for call in held(pieces).calls})
    assert [item["id"] for item in read_plain(data)["output"]] == ["call_A", "call_A_2"]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{}",
        b'{"output": [1]}',
        body(A)[:-3],
        body(A, status="failed", error={"code": "server_error", "message": "Down"}),
        body(A, status="queued"),
    ],
)
def test_what_is_no_answer_is_broken(data: bytes) -> None:
    pieces = fed(DIALECT.answer(request(streams=False)), data)
    assert isinstance(pieces[-1], Broken)
    assert passed(pieces) == b""


def test_an_answer_over_the_cap_is_broken_at_once() -> None:
    answer = DIALECT.answer(request(streams=False))
    assert isinstance(answer.feed(b" " * (HELD_BYTES_MAX + 1))[-1], Broken)


def test_an_error_body_is_what_the_client_raises() -> None:
    data = DIALECT.error(Failure(status=403, code="killed", message="Killed by ops."))
    with pytest.raises(openai.PermissionDeniedError, match="Killed by ops") as raised:
        client(data, streams=False, status=403).responses.create(model="m", input="x")
    assert raised.value.code == "killed"


@pytest.mark.parametrize("streams", [True, False])
def test_an_operators_answer_reads_like_the_models(streams: bool) -> None:
    calls = [
        ComposedCall(id="call_1", name="run", args={"cmd": "ls ü"}),
        ComposedCall(id="call_2", name="script", args={"input": "ls"}),
        ComposedCall(id="call_3", name="shell", args={"commands": ["ls"]}),
    ]
    data = DIALECT.composed(request(streams=streams), id="resp_9", text="I take over.", calls=calls)
    assert (read_by_helper if streams else read_plain)(data) == {
        "id": "resp_9",
        "output": [
            {"says": "I take over."},
            {"runs": '{"cmd":"ls ü"}', "id": "call_1"},
            {"runs": "ls", "id": "call_2"},
            {"runs": {"commands": ["ls"]}, "id": "call_3"},
        ],
        "tokens": (1, 1, 2),
    }


def test_an_operators_call_to_a_tool_of_a_namespace_names_both() -> None:
    tools = [{"type": "namespace", "name": "crm", "description": "", "tools": [{"type": "function", "name": "find"}]}]
    call = ComposedCall(id="call_1", name="crm.find", args={})
    item = json.loads(DIALECT.composed(request(streams=False, tools=tools), id="r", text="", calls=[call]))["output"][0]
    assert (item["type"], item["namespace"], item["name"]) == ("function_call", "crm", "find")


def test_an_operators_answer_goes_on_under_the_id_that_the_client_was_told_while_it_waited() -> None:
    asked = request()
    answer = DIALECT.answer(asked)
    waited = answer.keep_alive() + answer.keep_alive()
    data = waited + DIALECT.composed(asked, id=answer.ids[0], text="I take over.", calls=[])
    with client(data, streams=True).responses.stream(model="m", input="x") as stream:
        final = stream.get_final_response()
    assert (final.id, final.output_text) == (answer.ids[0], "I take over.")
