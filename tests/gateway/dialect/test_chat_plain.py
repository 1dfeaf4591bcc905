"""A plain answer of Chat Completions: kept whole, judged as a stream is, and read by the official client."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest

from opsconsole.gateway.dialect.interface import (
    HELD_BYTES_MAX,
    Answered,
    Broken,
    CallBegan,
    CannotReask,
    ComposedCall,
    Counted,
    Counts,
    Done,
    Edited,
    Failure,
    Held,
    ModelCall,
    Pass,
    Ruling,
    Served,
    Stands,
    Text,
)
from tests.gateway.dialect.chat_wire import (
    DIALECT,
    PLAIN_SPOKEN,
    PLAIN_TWO_CALLS,
    client,
    fed,
    function_entry,
    held,
    passed,
    plain,
    read_by_helper,
    read_plain,
    read_raw,
    request,
)


def settled(data: bytes, *rulings: Ruling) -> bytes:
    answer = DIALECT.answer(request(streams=False))
    ids = [call.id for call in held(fed(answer, data)).calls]
    return answer.settle(dict(zip(ids, rulings, strict=True)))


def test_an_answer_without_calls_passes_byte_for_byte_once_it_is_whole() -> None:
    pieces = fed(DIALECT.answer(request(streams=False)), PLAIN_SPOKEN, [10, 60])
    counts = Counts(
        input_tokens=10,
        output_tokens=20,
        cache_read_tokens=4,
        cache_write_tokens=3,
        reasoning_tokens=5,
        service_tier="default",
    )
    assert pieces == [
        Served(id="chatcmpl-A", model="gpt-5-2026-08-01", fingerprint="fp_1"),
        Counted(counts),
        Text(text="Hello wörld"),
        Pass(PLAIN_SPOKEN),
        Done(finish="stop"),
    ]


def test_an_answer_with_calls_is_held_whole() -> None:
    pieces = fed(DIALECT.answer(request(streams=False)), PLAIN_TWO_CALLS)
    assert passed(pieces) == b""
    assert pieces[-3:] == [
        CallBegan(name="run"),
        CallBegan(name="run"),
        Held(
            calls=(
                ModelCall(id="call_A", name="run", args={"cmd": "ls"}, raw='{"cmd": "ls"}'),
                ModelCall(id="call_B", name="run", args={}, raw="{}"),
            )
        ),
    ]


def test_calls_that_stand_go_out_byte_for_byte() -> None:
    assert settled(PLAIN_TWO_CALLS, Stands(), Stands()) == PLAIN_TWO_CALLS


def test_an_edit_reaches_the_client_and_the_rest_stays() -> None:
    assert read_plain(settled(PLAIN_TWO_CALLS, Edited(args={"cmd": "pwd"}), Stands())) == {
        "id": "chatcmpl-A",
        "role": "assistant",
        "content": "Both.",
        "calls": [("call_A", "run", '{"cmd":"pwd"}'), ("call_B", "run", "{}")],
        "stop": "tool_calls",
        "tokens": (10, 20),
    }


def test_a_denied_call_is_stripped_and_noted() -> None:
    assert read_plain(settled(PLAIN_TWO_CALLS, Answered(text="No."), Stands())) == {
        "id": "chatcmpl-A",
        "role": "assistant",
        "content": "Both.\n\nNo.",
        "calls": [("call_B", "run", "{}")],
        "stop": "tool_calls",
        "tokens": (10, 20),
    }


def test_an_answer_without_any_call_left_stops() -> None:
    read = read_plain(settled(PLAIN_TWO_CALLS, Answered(text="No."), Answered(text="No.")))
    assert (read["content"], read["calls"], read["stop"]) == ("Both.\n\nNo.", [], "stop")


def test_a_custom_call_is_edited_in_its_free_text() -> None:
    entry = {"id": "call_A", "type": "custom", "custom": {"name": "sh", "input": "rm"}}
    body = settled(plain({"tool_calls": [entry]}), Edited(args={"input": "ls"}))
    assert read_plain(body)["calls"] == [("call_A", "sh", "ls")]


def test_a_function_call_of_the_older_format_is_edited_and_stripped() -> None:
    data = plain({"function_call": {"name": "run", "arguments": "{}"}}, "function_call")
    assert json.loads(settled(data, Edited(args={"a": 1})))["choices"][0]["message"]["function_call"] == {
        "name": "run",
        "arguments": '{"a":1}',
    }
    stripped = json.loads(settled(data, Answered(text="No.")))["choices"][0]
    assert (stripped["message"]["function_call"], stripped["message"]["content"]) == (None, "No.")


@pytest.mark.parametrize("message", [{"tool_calls": {"a": 1}}, {"tool_calls": ["rm"]}, {"shell_call": {"cmd": "rm"}}])
def test_what_looks_like_a_call_of_a_kind_that_nobody_knows_is_held_and_can_be_stripped(
    message: dict[str, Any],
) -> None:
    body = json.loads(settled(plain(message), Answered(text="No.")))
    assert set(message) & set(body["choices"][0]["message"]) == set()


def test_an_edit_that_cannot_be_written_is_a_refusal() -> None:
    entry = {"id": "x", "type": "function", "function": ["rm"]}
    read = read_plain(settled(plain({"tool_calls": [entry]}, {"odd": 1}), Edited(args={"cmd": "ls"})))
    assert (read["calls"], "cannot be written" in read["content"]) == ([], True)


def test_calls_that_share_an_id_get_ids_of_their_own() -> None:
    data = plain({"tool_calls": [function_entry("call_A", "{}"), function_entry("call_A", "[]")]})
    assert read_plain(settled(data, Stands(), Stands()))["calls"] == [
        ("call_A", "run", "{}"),
        ("call_A.1", "run", "[]"),
    ]


def test_arguments_given_as_an_object_reach_the_client_as_text() -> None:
    entry = {"id": "call_A", "type": "function", "function": {"name": "run", "arguments": {"a": 1}}}
    answer = DIALECT.answer(request(streams=False))
    (call,) = held(fed(answer, plain({"tool_calls": [entry]}))).calls
    assert (call.args, call.raw) == ({"a": 1}, '{"a":1}')


@pytest.mark.parametrize(
    "data", [b"", b"{", PLAIN_SPOKEN[:50], b"[]", b'{"choices": 1}', b'{"a":1,"a":2}', b'{"error": {"message": "x"}}']
)
def test_what_is_no_answer_is_broken(data: bytes) -> None:
    pieces = fed(DIALECT.answer(request(streams=False)), data)
    assert [type(piece) for piece in pieces] == [Broken]


def test_an_answer_over_the_limit_is_broken() -> None:
    answer = DIALECT.answer(request(streams=False))
    assert answer.feed(b" " * HELD_BYTES_MAX) == []
    assert [type(piece) for piece in answer.feed(b" ")] == [Broken]


def test_white_space_keeps_a_client_waiting() -> None:
    answer = DIALECT.answer(request(streams=False))
    body = answer.keep_alive() + passed(fed(answer, PLAIN_SPOKEN))
    assert read_plain(body)["content"] == "Hello wörld"


def test_two_answers_are_read_as_one() -> None:
    asked = request(streams=False)
    first = DIALECT.answer(asked)
    fed(first, PLAIN_TWO_CALLS)
    refused = {"call_A": Answered(text="No A."), "call_B": Answered(text="No B.")}
    again = DIALECT.reask(asked, first, refused)
    assert [message["role"] for message in again.body["messages"]] == ["user", "assistant", "tool", "tool"]
    second = fed(DIALECT.answer(again, continues=first), plain({"content": "Fine."}, "stop", id="chatcmpl-B"))
    assert read_plain(passed(second)) == {
        "id": "chatcmpl-A",
        "role": "assistant",
        "content": "Both.\n\nFine.",
        "calls": [],
        "stop": "stop",
        "tokens": (20, 40),
    }


def test_an_answer_of_several_choices_cannot_be_asked_again() -> None:
    asked = request(streams=False, n=2)
    message = {"role": "assistant", "tool_calls": [function_entry("call_A", "{}")]}
    choices = [{"index": n, "message": message, "finish_reason": "tool_calls"} for n in range(2)]
    answer = DIALECT.answer(asked)
    calls = held(fed(answer, plain({}, choices=choices))).calls
    with pytest.raises(CannotReask):
        DIALECT.reask(asked, answer, {call.id: Answered(text="No.") for call in calls})


def test_a_failure_is_the_error_body_of_the_api() -> None:
    failure = Failure(status=403, code="run_killed", message="This run was killed.")
    assert DIALECT.answer(request(streams=False)).failure(failure) == DIALECT.error(failure)
    with pytest.raises(openai.PermissionDeniedError, match="This run was killed"):
        client(DIALECT.error(failure), streams=False, status=403).chat.completions.create(model="m", messages=[])


# -- an operator answers as the model ----------------------------------------------------------------------------------

COMPOSED = {
    "id": "chatcmpl-op",
    "role": "assistant",
    "content": "I do it.",
    "calls": [("call_1", "run", '{"cmd":"ls ü"}')],
    "stop": "tool_calls",
    "tokens": (1, 1),
}
COMPOSED_CALL = ComposedCall(id="call_1", name="run", args={"cmd": "ls ü"})


@pytest.mark.parametrize("read", [read_by_helper, read_raw])
def test_a_streamed_client_reads_what_an_operator_composed(read: Any) -> None:
    body = DIALECT.composed(request(), id="chatcmpl-op", text="I do it.", calls=[COMPOSED_CALL])
    assert read(body) == COMPOSED


def test_a_plain_client_reads_what_an_operator_composed() -> None:
    body = DIALECT.composed(request(streams=False), id="chatcmpl-op", text="I do it.", calls=[COMPOSED_CALL])
    assert read_plain(body) == COMPOSED


@pytest.mark.parametrize("streams", [True, False])
def test_words_alone_stop_the_turn(streams: bool) -> None:
    body = DIALECT.composed(request(streams=streams), id="x", text="Done.", calls=[])
    read = (read_raw if streams else read_plain)(body)
    assert (read["content"], read["calls"], read["stop"]) == ("Done.", [], "stop")


def test_a_tool_that_takes_free_text_is_called_with_it() -> None:
    asked = request(streams=False, tools=[{"type": "custom", "custom": {"name": "sh"}}])
    body = DIALECT.composed(asked, id="x", text="", calls=[ComposedCall(id="c", name="sh", args={"input": "ls"})])
    assert read_plain(body)["calls"] == [("c", "sh", "ls")]


def test_a_composed_stream_is_an_answer_of_this_dialect() -> None:
    body = DIALECT.composed(request(usage=False), id="x", text="Hi", calls=[COMPOSED_CALL])
    assert held(fed(DIALECT.answer(request()), body)).calls[0].args == {"cmd": "ls ü"}
    assert b"usage" not in body


@pytest.mark.parametrize("delta", [{"tool_calls": [function_entry("c1", "{}")]}, {"function_call": {"name": "x"}}])
def test_a_call_in_a_delta_of_a_whole_answer_is_cut(delta: dict[str, Any]) -> None:
    body = {"choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi"}, "delta": delta}]}
    pieces = fed(DIALECT.answer(request(streams=False)), json.dumps(body).encode())
    assert [type(piece) for piece in pieces] == [Broken]


def test_half_a_character_reaches_every_client_as_it_was_judged() -> None:
    message = {"role": "assistant", "content": None, "tool_calls": [function_entry("call_A", '{"cmd":"@"}')]}
    body = settled(plain(message).replace(b"@", rb"\ud800"), Stands())
    assert b"\\ud800" not in body


def test_a_call_without_a_name_is_cut() -> None:
    message = {"role": "assistant", "content": None, "tool_calls": [function_entry("call_A", "{}", name="")]}
    pieces = fed(DIALECT.answer(request(streams=False)), plain(message))
    assert isinstance(pieces[-1], Broken)
