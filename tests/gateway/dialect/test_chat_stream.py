"""A streamed answer of Chat Completions: what passes, what is held, and what the official client makes of the rest."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import openai
import pytest

from opsconsole.gateway.dialect.chat import Chat
from opsconsole.gateway.dialect.chat_stream import CHOICES_MAX
from opsconsole.gateway.dialect.interface import (
    HELD_BYTES_MAX,
    Answered,
    Broken,
    CallBegan,
    CannotReask,
    Changes,
    Counted,
    Counts,
    Done,
    Edited,
    Failure,
    Held,
    ModelCall,
    Pass,
    Piece,
    Ruling,
    Served,
    Stands,
    Text,
)
from opsconsole.gateway.dialect.machine import NotHeld, joined
from tests.gateway.dialect.chat_wire import (
    DIALECT,
    DONE,
    ONE_CALL,
    OPENED_BY_A_CALL,
    OPENING,
    SECOND,
    SPOKEN,
    TWO_CALLS,
    USAGE,
    call,
    chunk,
    client,
    fed,
    frame,
    held,
    passed,
    read_by_helper,
    read_raw,
    request,
    role,
    stop,
    words,
)

Reader = Callable[[bytes], dict[str, Any]]
READERS = pytest.mark.parametrize("read", [read_by_helper, read_raw])
KILLED = Failure(status=403, code="run_killed", message="This run was killed.")


def settled(data: bytes, *rulings: Ruling, usage: bool = True) -> bytes:
    """All that the client gets of a held answer, its calls ruled in order."""
    answer = DIALECT.answer(request(usage=usage))
    pieces = fed(answer, data)
    ids = [call.id for call in held(pieces).calls]
    return passed(pieces) + answer.settle(dict(zip(ids, rulings, strict=True)))


def reasked(data: bytes, second: bytes, *texts: str, usage: bool = True) -> tuple[dict[str, Any], bytes]:
    """The request that was asked again, and all that the client gets."""
    asked = request(usage=usage)
    first = DIALECT.answer(asked)
    pieces = fed(first, data)
    rulings = {call.id: Answered(text=words) for call, words in zip(held(pieces).calls, texts, strict=True)}
    again = DIALECT.reask(asked, first, rulings)
    pieces += fed(DIALECT.answer(again, continues=first), second)
    return json.loads(DIALECT.forwarded(again, Changes())), passed(pieces)


# -- what passes -------------------------------------------------------------------------------------------------------


def test_an_answer_without_calls_passes_byte_for_byte() -> None:
    assert passed(fed(DIALECT.answer(request()), SPOKEN)) == SPOKEN


def test_an_answer_tells_who_serves_it_what_it_says_what_it_counts_and_why_it_ends() -> None:
    pieces = joined([piece for piece in fed(DIALECT.answer(request()), SPOKEN) if not isinstance(piece, Pass)])
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
        Text(text="Hello wörld 🙂"),
        Counted(counts),
        Done(finish="stop"),
    ]


def test_a_model_that_changes_within_an_answer_is_told_again() -> None:
    pieces = fed(DIALECT.answer(request()), role() + words("a", model="gpt-5-mini") + stop("stop", model="gpt-5-mini"))
    assert [piece.model for piece in pieces if isinstance(piece, Served)] == ["gpt-5-2026-08-01", "gpt-5-mini"]


def test_usage_that_the_client_did_not_ask_for_is_counted_and_not_passed_on() -> None:
    pieces = fed(DIALECT.answer(request(usage=False)), SPOKEN)
    assert passed(pieces) == SPOKEN.replace(frame({**OPENING, "choices": [], "usage": USAGE}), b"")
    assert any(isinstance(piece, Counted) for piece in pieces)


def test_thoughts_are_told_apart_from_words() -> None:
    pieces = fed(DIALECT.answer(request()), role() + chunk({"reasoning_content": "Hm."}) + words("Yes.") + stop("stop"))
    assert [piece for piece in pieces if isinstance(piece, Text)] == [
        Text(text="Hm.", role="thought"),
        Text(text="Yes."),
    ]


def test_an_answer_whose_words_nobody_wants_passes_all_the_same() -> None:
    pieces = fed(Chat(wants_text=False).answer(request()), SPOKEN)
    assert passed(pieces) == SPOKEN
    assert [piece for piece in pieces if isinstance(piece, Text)] == []
    assert pieces[-1] == Done(finish="stop")


def test_calls_are_held_also_where_nobody_wants_the_words() -> None:
    assert held(fed(Chat(wants_text=False).answer(request()), ONE_CALL)).calls[0].raw == '{"cmd": "rm -rf ü"}'


def test_crlf_and_comments_pass_as_they_came() -> None:
    data = b": hello\r\n\r\n" + SPOKEN.replace(b"\n", b"\r\n")
    assert passed(fed(DIALECT.answer(request()), data)) == data


def test_a_last_frame_without_a_blank_line_ends_the_answer() -> None:
    assert fed(DIALECT.answer(request()), SPOKEN.rstrip(b"\n"))[-1] == Done(finish="stop")


def test_a_server_that_closes_without_done_has_ended_once_every_choice_has() -> None:
    assert fed(DIALECT.answer(request()), SPOKEN.removesuffix(DONE))[-1] == Done(finish="stop")


# -- what is held ------------------------------------------------------------------------------------------------------


def test_nothing_passes_from_the_first_call_on() -> None:
    pieces = fed(DIALECT.answer(request()), ONE_CALL)
    assert passed(pieces) == role() + words("Running ü.")
    assert [piece for piece in pieces if isinstance(piece, CallBegan | Held)] == [
        CallBegan(name="run"),
        Held(calls=(ModelCall(id="call_A", name="run", args={"cmd": "rm -rf ü"}, raw='{"cmd": "rm -rf ü"}'),)),
    ]


def test_parallel_calls_are_told_apart_however_their_pieces_come() -> None:
    opened = call(0, "call_A") + call(1, "call_B")
    pieces = [
        chunk({"tool_calls": [{"index": n, "function": {"arguments": p}}]}) for n, p in enumerate(('{"a"', '{"b"'))
    ]
    ends = [chunk({"tool_calls": [{"index": n, "function": {"arguments": f":{n}}}"}}]}) for n in (1, 0)]
    calls = held(fed(DIALECT.answer(request()), role() + opened + b"".join(pieces + ends) + stop())).calls
    assert [(call.id, call.args) for call in calls] == [("call_A", {"a": 0}), ("call_B", {"b": 1})]


@pytest.mark.parametrize("text", ["", "  "])
def test_arguments_that_are_empty_mean_none(text: str) -> None:
    assert held(fed(DIALECT.answer(request()), role() + call(0, "a", text) + stop())).calls[0].args == {}


@pytest.mark.parametrize("text", ['{"cmd": "l', "[1]", '{"a":1,"a":2}', '{"a":NaN}', '{"a":1e999}', r'{"a":"\ud800"}'])
def test_arguments_that_parsers_could_read_differently_are_no_arguments(text: str) -> None:
    (call_,) = held(fed(DIALECT.answer(request()), role() + call(0, "call_A", text) + stop())).calls
    assert (call_.args, call_.raw) == (None, text)


def test_a_custom_tool_is_called_with_free_text() -> None:
    opening = {"index": 0, "id": "call_A", "type": "custom", "custom": {"name": "sh", "input": ""}}
    deltas = [opening, {"index": 0, "custom": {"input": "rm "}}, {"index": 0, "custom": {"input": "x"}}]
    data = role() + b"".join(chunk({"tool_calls": [delta]}) for delta in deltas) + stop()
    assert held(fed(DIALECT.answer(request()), data)).calls == (
        ModelCall(id="call_A", name="sh", args={"input": "rm x"}, raw="rm x", kind="custom"),
    )


def test_a_function_call_of_the_older_format_is_held_under_an_id_of_its_answer() -> None:
    deltas = [{"function_call": {"name": "run", "arguments": ""}}, {"function_call": {"arguments": '{"a":1}'}}]
    data = role() + b"".join(chunk(delta) for delta in deltas) + stop("function_call")
    assert held(fed(DIALECT.answer(request()), data)).calls == (
        ModelCall(id="chatcmpl-A.0.0", name="run", args={"a": 1}, raw='{"a":1}', kind="function_call"),
    )


@pytest.mark.parametrize(
    "delta",
    [
        {"tool_calls": [{"index": 0, "id": "x", "type": "shell", "shell": {"cmd": "rm"}}]},
        {"tool_calls": {"0": {"cmd": "rm"}}},
        {"tool_calls": ["rm"]},
        {"shell_call": {"cmd": "rm"}},
        {"server_tools": ["rm"]},
    ],
)
def test_what_looks_like_a_call_of_a_kind_that_nobody_knows_is_held(delta: dict[str, Any]) -> None:
    pieces = fed(DIALECT.answer(request()), role() + chunk(delta) + stop())
    assert passed(pieces) == role()
    assert [call.args for call in held(pieces).calls] == [None]


def test_a_name_written_with_escapes_is_still_a_call() -> None:
    data = role() + call(0, "call_A", "{}").replace(b"tool_calls", rb"tool\u005fcalls") + stop()
    assert passed(fed(Chat(wants_text=False).answer(request()), data)) == role()


def test_calls_of_several_choices_are_held_together() -> None:
    data = role() + chunk({"role": "assistant"}, index=1) + call(0, "call_A", "{}") + call(0, "call_B", "{}", index=1)
    answer = DIALECT.answer(request(n=2))
    pieces = fed(answer, data + chunk({}, "tool_calls") + chunk({}, "tool_calls", index=1) + DONE)
    assert [call.id for call in held(pieces).calls] == ["call_A", "call_B"]


def test_calls_that_share_an_id_get_ids_of_their_own_and_the_client_reads_those() -> None:
    data = role() + call(0, "call_A", "{}") + call(1, "call_A", "[]") + stop()
    body = settled(data, Stands(), Stands())
    assert read_raw(body)["calls"] == [("call_A", "run", "{}"), ("call_A.1", "run", "[]")]


def test_indices_out_of_order_are_put_in_order_for_the_client() -> None:
    body = settled(role() + call(3, "call_A", "{}") + call(1, "call_B", "{}") + stop(), Stands(), Stands())
    assert read_raw(body)["calls"] == [("call_A", "run", "{}"), ("call_B", "run", "{}")]


def test_a_new_id_under_an_old_index_is_a_call_of_its_own() -> None:
    body = settled(role() + call(0, "call_A", "{}") + call(0, "call_B", "[]") + stop(), Stands(), Stands())
    assert read_raw(body)["calls"] == [("call_A", "run", "{}"), ("call_B", "run", "[]")]


def test_a_name_that_comes_in_pieces_reaches_every_client_as_it_was_judged() -> None:
    named = chunk({"tool_calls": [{"index": 0, "function": {"name": "_all"}}]})
    body = settled(role() + call(0, "call_A") + named + stop(), Stands())
    assert read_raw(body)["calls"] == [("call_A", "run_all", "")]
    assert body.count(b'"run_all"') == 1


def test_half_a_character_reaches_every_client_as_it_was_judged() -> None:
    body = settled(role() + call(0, "call_A", '{"cmd":"@"}').replace(b"@", rb"\ud800") + stop(), Stands())
    assert read_raw(body)["calls"] == [("call_A", "run", '{"cmd":"\ufffd"}')]


def test_a_character_in_two_pieces_is_one() -> None:
    data = role() + call(0, "call_A", "first", "second") + stop()
    halves = data.replace(b"first", rb"\ud83d").replace(b"second", rb"\ude42")
    assert held(fed(DIALECT.answer(request()), halves)).calls[0].raw == "🙂"


# -- what breaks it ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [SPOKEN[: len(SPOKEN) // 2], ONE_CALL.removesuffix(stop()), b"", role()])
def test_an_answer_that_is_cut_is_broken_and_gives_nothing_more(data: bytes) -> None:
    assert isinstance(fed(DIALECT.answer(request()), data)[-1], Broken)


@pytest.mark.parametrize(
    "data", [b"data: {nonsense\n\n", b"data: [1]\n\n", b"data: \xff\n\n", b"data: " + b"[" * 99_999]
)
def test_what_is_no_chunk_breaks_the_answer(data: bytes) -> None:
    assert isinstance(fed(DIALECT.answer(request()), role() + data)[-1], Broken)


@pytest.mark.parametrize("index", [b"true", b"-1", b'"0"', b"null", b"0.5"])
def test_a_choice_whose_place_nobody_knows_breaks_the_answer(index: bytes) -> None:
    data = words("a").replace(b'"index": 0', b'"index": ' + index)
    assert isinstance(fed(DIALECT.answer(request()), role() + data + stop("stop"))[-1], Broken)


def test_an_error_of_upstream_passes_and_breaks_the_answer() -> None:
    error = frame({"error": {"message": "overloaded", "type": "server_error"}})
    pieces = fed(DIALECT.answer(request()), role() + error)
    assert (passed(pieces), pieces[-1]) == (role() + error, Broken(why="upstream: overloaded"))


def test_an_error_behind_a_call_lets_nothing_of_the_call_through() -> None:
    pieces = fed(DIALECT.answer(request()), role() + call(0, "call_A", "{}") + frame({"error": {"message": "x"}}))
    assert (passed(pieces), pieces[-1]) == (role(), Broken(why="upstream: x"))


def test_a_held_answer_over_the_limit_is_broken() -> None:
    answer = DIALECT.answer(request())
    answer.feed(role() + call(0, "call_A"))
    piece = chunk({"tool_calls": [{"index": 0, "function": {"arguments": "x" * 1_000_000}}]})
    pieces: list[Piece] = []
    for _ in range(HELD_BYTES_MAX // 1_000_000 + 1):
        pieces += answer.feed(piece)
    assert [type(piece) for piece in pieces] == [Broken]


def test_a_broken_answer_cannot_be_settled() -> None:
    answer = DIALECT.answer(request())
    fed(answer, role() + call(0, "call_A", "{}"))
    with pytest.raises(NotHeld):
        answer.settle({"call_A": Stands()})


def test_a_thousand_calls_break_the_answer() -> None:
    data = b"".join(call(place, f"call_{place}") for place in range(300))
    assert isinstance(fed(DIALECT.answer(request()), role() + data)[-1], Broken)


# -- settled -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [ONE_CALL, TWO_CALLS, OPENED_BY_A_CALL, ONE_CALL.replace(b"\n", b"\r\n")])
def test_calls_that_stand_go_out_byte_for_byte(data: bytes) -> None:
    count = len(held(fed(DIALECT.answer(request()), data)).calls)
    assert settled(data, *[Stands()] * count) == data


@READERS
def test_an_edit_reaches_the_client_in_the_place_of_what_the_model_wrote(read: Reader) -> None:
    body = settled(ONE_CALL, Edited(args={"cmd": "echo ü"}))
    assert read(body) == {
        "id": "chatcmpl-A",
        "role": "assistant",
        "content": "Running ü.",
        "calls": [("call_A", "run", '{"cmd":"echo ü"}')],
        "stop": "tool_calls",
        "tokens": (10, 20),
    }
    assert b"rm" not in body


@READERS
def test_a_denied_call_is_stripped_and_noted_and_the_others_move_up(read: Reader) -> None:
    body = settled(TWO_CALLS, Answered(text="No: ls is denied."), Stands())
    assert read(body) == {
        "id": "chatcmpl-A",
        "role": "assistant",
        "content": "Both.\n\nNo: ls is denied.",
        "calls": [("call_B", "run", '{"cmd":"rm"}')],
        "stop": "tool_calls",
        "tokens": (10, 20),
    }
    assert b"call_A" not in body


@READERS
@pytest.mark.parametrize("data", [ONE_CALL, OPENED_BY_A_CALL])
def test_an_answer_without_any_call_left_stops(data: bytes, read: Reader) -> None:
    read_ = read(settled(data, Answered(text="Not allowed.")))
    assert (read_["role"], read_["calls"], read_["stop"]) == ("assistant", [], "stop")
    assert read_["content"].endswith("Not allowed.")


def test_a_custom_call_is_edited_in_its_free_text() -> None:
    opening = {"index": 0, "id": "call_A", "type": "custom", "custom": {"name": "sh", "input": "rm"}}
    body = settled(role() + chunk({"tool_calls": [opening]}) + stop(), Edited(args={"input": "ls"}))
    assert b'"custom":{"input":"ls"}' in body
    assert b"rm" not in body


def test_a_function_call_of_the_older_format_is_edited_and_stripped() -> None:
    data = role() + chunk({"function_call": {"name": "run", "arguments": '{"cmd":"rm"}'}}) + stop("function_call")
    assert b'"function_call":{"arguments":"{\\"cmd\\":\\"ls\\"}"}' in settled(data, Edited(args={"cmd": "ls"}))
    stripped = settled(data, Answered(text="No."))
    assert b"function_call" not in stripped
    assert read_raw(stripped)["stop"] == "stop"


def test_an_edit_that_cannot_be_written_is_a_refusal() -> None:
    data = role() + chunk({"tool_calls": [{"index": 0, "id": "x", "type": "shell", "shell": {"cmd": "rm"}}]}) + stop()
    body = settled(data, Edited(args={"cmd": "ls"}))
    assert b"shell" not in body
    assert "cannot be written" in read_raw(body)["content"]


def test_an_edit_of_a_function_whose_body_nobody_can_read_is_a_refusal() -> None:
    entry = {"index": 0, "id": "x", "type": "function", "function": ["rm"]}
    body = settled(role() + chunk({"tool_calls": [entry]}) + stop(), Edited(args={"cmd": "ls"}))
    assert b"rm" not in body
    assert "cannot be written" in read_raw(body)["content"]


def test_a_call_of_an_unknown_kind_that_stands_beside_an_edit_keeps_its_pieces() -> None:
    unknown = {"index": 0, "id": "x", "type": "shell", "shell": {"cmd": "rm"}}
    data = role() + chunk({"tool_calls": [unknown]}) + call(1, "call_B", "{}") + stop()
    body = settled(data, Stands(), Edited(args={"a": 1}))
    assert b'"shell":{"cmd":"rm"}' in body


def test_fields_of_a_call_that_no_type_knows_are_kept_with_it() -> None:
    opening = {
        "index": 0,
        "id": "a",
        "type": "function",
        "function": {"name": "run", "arguments": "{}"},
        "extra_content": {"s": 1},
    }
    body = settled(role() + chunk({"tool_calls": [opening]}) + stop(), Edited(args={}))
    assert b'"extra_content":{"s":1}' in body


def test_in_several_choices_each_one_is_settled_by_itself() -> None:
    data = role() + chunk({"role": "assistant"}, index=1) + call(0, "call_A", "{}") + call(0, "call_B", "{}", index=1)
    body = settled(
        data + chunk({}, "tool_calls") + chunk({}, "tool_calls", index=1) + DONE, Answered(text="No."), Stands()
    )
    finishes = [
        (choice["index"], choice["finish_reason"])
        for line in body.split(b"\n\n")
        if line.startswith(b"data: {")
        for choice in json.loads(line[6:])["choices"]
        if choice["finish_reason"]
    ]
    assert finishes == [(0, "stop"), (1, "tool_calls")]


# -- asked again -------------------------------------------------------------------------------------------------------


def test_a_reask_repeats_the_answer_with_its_calls_and_their_results() -> None:
    again, _ = reasked(TWO_CALLS, SECOND, "No A.", "No B.")
    entries = [
        {"id": id, "type": "function", "function": {"name": "run", "arguments": raw}}
        for id, raw in (("call_A", '{"cmd":"ls"}'), ("call_B", '{"cmd":"rm"}'))
    ]
    assert again["messages"][1:] == [
        {"role": "assistant", "content": "Both.", "tool_calls": entries},
        {"role": "tool", "tool_call_id": "call_A", "content": "No A."},
        {"role": "tool", "tool_call_id": "call_B", "content": "No B."},
    ]


@READERS
def test_the_client_reads_both_answers_as_one_and_the_tokens_of_both(read: Reader) -> None:
    _, body = reasked(ONE_CALL, SECOND, "No.")
    assert read(body) == {
        "id": "chatcmpl-A",
        "role": "assistant",
        "content": "Running ü.\n\nI will not.",
        "calls": [],
        "stop": "stop",
        "tokens": (20, 40),
    }
    assert b"chatcmpl-B" not in body


@READERS
def test_an_answer_that_began_with_its_call_is_continued_with_its_role(read: Reader) -> None:
    _, body = reasked(OPENED_BY_A_CALL, SECOND, "No.")
    read_ = read(body)
    assert (read_["role"], read_["content"], read_["id"]) == ("assistant", "I will not.", "chatcmpl-A")


def test_usage_stays_hidden_over_a_reask() -> None:
    _, body = reasked(ONE_CALL, SECOND, "No.", usage=False)
    assert b"prompt_tokens" not in body


def test_a_continued_answer_may_call_again_and_is_settled_under_the_first_id() -> None:
    asked = request()
    first = DIALECT.answer(asked)
    pieces = fed(first, ONE_CALL)
    again = DIALECT.reask(asked, first, {"call_A": Answered(text="No.")})
    second = DIALECT.answer(again, continues=first)
    pieces += fed(second, (role(id="B") + call(0, "call_C", "{}") + stop()))
    body = passed(pieces) + second.settle({"call_C": Edited(args={"n": 1})})
    read = read_by_helper(body)
    assert (read["id"], read["calls"], read["tokens"]) == ("chatcmpl-A", [("call_C", "run", '{"n":1}')], (20, 40))


def test_a_call_of_the_older_format_is_asked_again_in_the_older_format() -> None:
    data = role() + chunk({"function_call": {"name": "run", "arguments": "{}"}}) + stop("function_call")
    again, _ = reasked(data, SECOND, "No.")
    assert again["messages"][1:] == [
        {"role": "assistant", "content": None, "function_call": {"name": "run", "arguments": "{}"}},
        {"role": "function", "name": "run", "content": "No."},
    ]


def test_an_answer_of_several_choices_cannot_be_asked_again_and_still_waits() -> None:
    answer = DIALECT.answer(request(n=2))
    fed(answer, role() + chunk({"content": "b"}, "stop", index=1) + call(0, "call_A", "{}") + stop())
    with pytest.raises(CannotReask):
        DIALECT.reask(request(n=2), answer, {"call_A": Answered(text="No.")})
    assert answer.settle({"call_A": Stands()})


# -- waiting and failing -----------------------------------------------------------------------------------------------


@READERS
@pytest.mark.parametrize("cut", [0, len(role()), len(role() + words("Running ü."))])
def test_keep_alives_leave_no_trace_in_what_the_client_reads(cut: int, read: Reader) -> None:
    answer = DIALECT.answer(request())
    body = passed(answer.feed(ONE_CALL[:cut])) + answer.keep_alive() + answer.keep_alive()
    rest = fed(answer, ONE_CALL[cut:])
    body += passed(rest) + answer.keep_alive() + answer.settle({"call_A": Stands()})
    read_ = read(body)
    assert {**read_, "id": "chatcmpl-A"} == read(ONE_CALL)


def test_an_answer_has_begun_once_bytes_went_to_the_client() -> None:
    answer = DIALECT.answer(request())
    assert not answer.begun
    answer.keep_alive()
    assert answer.begun
    other = DIALECT.answer(request())
    other.feed(role())
    assert other.begun


@pytest.mark.parametrize("data", [b"", role(), ONE_CALL])
def test_a_failure_raises_in_the_official_client(data: bytes) -> None:
    answer = DIALECT.answer(request())
    pieces = fed(answer, data) if data == ONE_CALL else answer.feed(data)
    body = passed(pieces) + answer.failure(KILLED)
    with pytest.raises(openai.APIError, match="This run was killed"):
        list(client(body, streams=True).chat.completions.create(model="m", messages=[], stream=True))


def test_nothing_is_given_after_a_failure() -> None:
    answer = DIALECT.answer(request())
    answer.feed(ONE_CALL)
    answer.failure(KILLED)
    assert answer.feed(ONE_CALL) == []
    assert answer.end() == []


def test_an_answer_of_which_one_choice_has_not_ended_is_broken() -> None:
    stream = role() + words("a") + chunk({"content": "b"}, index=1) + chunk({}, "stop", index=0)
    assert isinstance(fed(DIALECT.answer(request()), stream)[-1], Broken)


def test_more_choices_than_anybody_asks_for_are_cut() -> None:
    stream = role() + b"".join(chunk({"content": "a"}, "stop", index=n) for n in range(CHOICES_MAX + 1))
    assert isinstance(fed(DIALECT.answer(request()), stream + b"data: [DONE]\n\n")[-1], Broken)
