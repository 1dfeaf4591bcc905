"""A streamed answer of Anthropic Messages: what passes, what is held, and what the official client reads afterwards."""

from __future__ import annotations

import json

import anthropic
import pytest

from opsconsole.gateway.dialect.interface import (
    Answered,
    Broken,
    CallBegan,
    Counted,
    Counts,
    Done,
    Edited,
    Failure,
    ModelCall,
    Served,
    Stands,
    Text,
)
from tests.gateway.dialect.anthropic_wire import (
    CALL_A,
    DIALECT,
    ONE_CALL,
    SPOKEN,
    TWO_CALLS,
    block,
    call,
    event,
    fed,
    held,
    passed,
    read_by_helper,
    read_raw,
    request,
    start,
    stop,
    text,
    thinking,
)

NO = Answered(text="Refused by ops.")


def rewritten(stream: bytes, rulings: dict) -> bytes:
    answer = DIALECT.answer(request())
    pieces = fed(answer, stream)
    return passed(pieces) + answer.settle(rulings)


def test_words_pass_byte_for_byte_and_are_told() -> None:
    pieces = fed(DIALECT.answer(request()), SPOKEN)
    assert passed(pieces) == SPOKEN
    assert [piece for piece in pieces if isinstance(piece, Text)] == [Text(text="Hello wörld")]
    assert pieces[-1] == Done(finish="end_turn")


def test_the_cost_of_the_input_is_known_with_the_first_event() -> None:
    pieces = DIALECT.answer(request()).feed(start())
    assert Served(id="msg_1", model="claude-opus-5-20260801") in pieces
    counts = Counts(
        input_tokens=17, output_tokens=1, cache_read_tokens=4, cache_write_tokens=3, service_tier="standard"
    )
    assert Counted(counts) in pieces


def test_later_counts_replace_what_they_name_and_keep_the_rest() -> None:
    delta = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}}
    told = {"output_tokens": 50, "output_tokens_details": {"thinking_tokens": 30}, "input_tokens": None}
    pieces = fed(DIALECT.answer(request()), start() + event({**delta, "usage": told}) + event({"type": "message_stop"}))
    counts = [piece.counts for piece in pieces if isinstance(piece, Counted)][-1]
    assert (counts.input_tokens, counts.output_tokens, counts.reasoning_tokens) == (17, 50, 30)


def test_nothing_passes_from_the_beginning_of_a_call_on() -> None:
    pieces = fed(DIALECT.answer(request()), ONE_CALL)
    assert passed(pieces) == start() + thinking(0, "I must.") + text(1, "Running ü.")
    assert CallBegan(name="run") in pieces
    raw = '{"cmd": "rm -rf ü"}'
    assert held(pieces).calls == (ModelCall(id="toolu_A", name="run", args={"cmd": "rm -rf ü"}, raw=raw),)


def test_an_approved_answer_is_byte_identical() -> None:
    assert rewritten(ONE_CALL, {"toolu_A": Stands()}) == ONE_CALL


def test_an_edited_call_reaches_the_client_with_the_operators_arguments_only() -> None:
    body = rewritten(ONE_CALL, {"toolu_A": Edited(args={"cmd": "ls ü"})})
    assert b"rm" not in body
    message = read_by_helper(body)
    assert message["content"][2] == {"type": "tool_use", "id": "toolu_A", "name": "run", "input": {"cmd": "ls ü"}}
    assert message["stop"] == "tool_use"


def test_a_refused_call_leaves_a_note_and_the_turn_ends() -> None:
    body = rewritten(ONE_CALL, {"toolu_A": NO})
    assert read_by_helper(body) == {
        "id": "msg_1",
        "content": [
            {"type": "thinking", "thinking": "I must.", "signature": "sig-1"},
            {"type": "text", "text": "Running ü."},
            {"type": "text", "text": "Refused by ops."},
        ],
        "stop": "end_turn",
        "tokens": (10, 20),
    }


@pytest.mark.parametrize(("refused", "kept"), [("toolu_A", "toolu_B"), ("toolu_B", "toolu_A")])
def test_what_stands_beside_a_refused_call_moves_up_behind_the_note(refused: str, kept: str) -> None:
    body = rewritten(TWO_CALLS, {refused: NO, kept: Stands()})
    message = read_by_helper(body)
    assert [part.get("text", part.get("id")) for part in message["content"]] == ["Both.", "Refused by ops.", kept]
    assert message["stop"] == "tool_use"
    begun = [part["index"] for part in read_raw(body) if part["type"] == "content_block_start"]
    assert begun == [0, 1, 2]


def test_calls_that_are_written_side_by_side_are_told_apart() -> None:
    def begin(index: int, id: str) -> bytes:
        content = {"type": "tool_use", "id": id, "name": "run", "input": {}}
        return event({"type": "content_block_start", "index": index, "content_block": content})

    def piece(index: int, json: str) -> bytes:
        delta = {"type": "input_json_delta", "partial_json": json}
        return event({"type": "content_block_delta", "index": index, "delta": delta})

    mixed = begin(0, "A") + begin(1, "B") + piece(1, '{"n":') + piece(0, '{"n":1}') + piece(1, "2}")
    ends = event({"type": "content_block_stop", "index": 1}) + event({"type": "content_block_stop", "index": 0})
    answer = DIALECT.answer(request())
    calls = held(fed(answer, start() + mixed + ends + stop())).calls
    assert [(call.id, call.args) for call in calls] == [("A", {"n": 1}), ("B", {"n": 2})]


def test_no_arguments_mean_an_empty_object() -> None:
    calls = held(fed(DIALECT.answer(request()), start() + call(0, "toolu_A") + stop())).calls
    assert calls == (ModelCall(id="toolu_A", name="run", args={}, raw=""),)


def test_arguments_that_are_not_json_are_shown_as_they_are() -> None:
    stream = start() + call(0, "toolu_A", '{"cmd": "rm') + stop("max_tokens")
    calls = held(fed(DIALECT.answer(request()), stream)).calls
    assert calls == (ModelCall(id="toolu_A", name="run", args=None, raw='{"cmd": "rm'),)


def test_two_calls_with_one_id_get_each_their_own() -> None:
    stream = start() + call(0, "same", '{"n":1}') + call(1, "same", '{"n":2}') + stop()
    answer = DIALECT.answer(request())
    pieces = fed(answer, stream)
    assert [call.id for call in held(pieces).calls] == ["same", "same_2"]
    message = read_by_helper(passed(pieces) + answer.settle({"same": Stands(), "same_2": Stands()}))
    assert [(part["id"], part["input"]) for part in message["content"]] == [("same", {"n": 1}), ("same_2", {"n": 2})]


def test_blocks_out_of_order_are_put_in_order_so_that_the_client_runs_what_was_shown() -> None:
    stream = start() + text(0, "So.") + call(7, "A", '{"n":1}') + call(1, "B", '{"n":2}') + stop()
    message = read_by_helper(rewritten(stream, {"A": Stands(), "B": Stands()}))
    assert [(part["id"], part["input"]) for part in message["content"][1:]] == [("A", {"n": 1}), ("B", {"n": 2})]


def test_a_call_behind_words_out_of_order_is_broken() -> None:
    pieces = fed(DIALECT.answer(request()), start() + text(3, "So.") + call(1, "A", "{}") + stop())
    assert pieces[-1] == Broken(why="a call behind blocks that are out of order")


@pytest.mark.parametrize(
    "content",
    [
        {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}},
        {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []},
        {"type": "mcp_tool_use", "id": "mcptoolu_1", "name": "x", "server_name": "y", "input": {}},
        {"type": "mcp_tool_result", "tool_use_id": "mcptoolu_1", "content": [], "is_error": False},
        {"type": "redacted_thinking", "data": "xyz"},
        {"type": "container_upload", "file_id": "file_1"},
        {"type": "compaction", "content": "short"},
    ],
)
def test_what_ran_at_the_provider_passes(content: dict) -> None:
    stream = start() + block(0, content) + stop("end_turn")
    assert passed(fed(DIALECT.answer(request()), stream)) == stream


def test_arguments_of_a_providers_tool_pass() -> None:
    content = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}}
    stream = start() + block(0, content, {"type": "input_json_delta", "partial_json": '{"q":1}'}) + stop("end_turn")
    assert passed(fed(DIALECT.answer(request()), stream)) == stream


@pytest.mark.parametrize(
    "content",
    [
        {"type": "shell_use", "id": "x"},
        {"type": "novelty", "id": "x", "command": "rm"},
        {"id": "x"},
    ],
)
def test_a_block_that_nobody_knows_and_that_looks_like_a_call_is_held(content: dict) -> None:
    pieces = fed(DIALECT.answer(request()), start() + block(0, content) + stop())
    assert passed(pieces) == start()
    assert held(pieces).calls[0].id == "x"


def test_a_client_waits_at_every_place_and_reads_the_same_answer() -> None:
    answer = DIALECT.answer(request())
    body = answer.keep_alive() + passed(answer.feed(ONE_CALL[:400])) + answer.keep_alive()
    body += passed(answer.feed(ONE_CALL[400:])) + answer.keep_alive() + answer.settle({"toolu_A": Stands()})
    assert read_by_helper(body) == read_by_helper(ONE_CALL)


def test_a_failure_in_a_stream_makes_the_client_raise() -> None:
    answer = DIALECT.answer(request())
    body = passed(answer.feed(ONE_CALL)) + answer.failure(Failure(status=403, code="killed", message="Killed by ops."))
    with pytest.raises(anthropic.APIStatusError, match="Killed by ops"):
        read_by_helper(body)


def test_upstreams_own_error_reaches_the_client_as_it_is() -> None:
    error = event({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}})
    pieces = fed(DIALECT.answer(request()), start() + error)
    assert passed(pieces) == start() + error
    assert pieces[-1] == Broken(why="upstream: overloaded_error: Overloaded")


def test_upstreams_error_behind_a_call_releases_nothing() -> None:
    error = event({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}})
    pieces = fed(DIALECT.answer(request()), start() + call(0, "toolu_A", "{}") + error)
    assert passed(pieces) == start()
    assert pieces[-1] == Broken(why="upstream: overloaded_error: Overloaded")


@pytest.mark.parametrize(
    "stream",
    [
        start() + text(0, "cut"),
        start() + call(0, "A", "{}"),
        call(0, "A", "{}"),
        start() + start() + stop("end_turn"),
        start() + text(0, "a") + call(0, "A", "{}") + stop(),
        start() + event({"type": "content_block_delta", "index": 4, "delta": {"type": "text_delta", "text": "a"}}),
        start() + block(0, {"type": "text", "text": ""}, {"type": "input_json_delta", "partial_json": "{}"}) + stop(),
        start() + event({"type": "tool_call", "name": "run"}) + stop(),
        start() + b"".join(call(n, f"toolu_{n}", "{}") for n in range(257)) + stop(),
        b"event: message_start\ndata: nonsense\n\n",
        b"data: " + b"[" * 100_000 + b"\n\n",
        b"",
    ],
)
def test_what_the_format_does_not_allow_is_broken_and_passes_no_call(stream: bytes) -> None:
    pieces = fed(DIALECT.answer(request()), stream)
    assert isinstance(pieces[-1], Broken)
    assert b"tool_use" not in passed(pieces)


def test_crlf_and_a_missing_last_blank_line_are_understood() -> None:
    stream = ONE_CALL.replace(b"\n", b"\r\n").removesuffix(b"\r\n")
    answer = DIALECT.answer(request())
    pieces = fed(answer, stream)
    body = passed(pieces) + answer.settle({"toolu_A": Edited(args={"cmd": "ls"})})
    assert read_by_helper(body)["content"][2]["input"] == {"cmd": "ls"}


# -- asking again ------------------------------------------------------------------------------------------------------

SECOND = start("msg_2") + thinking(0, "Then so.", "sig-2") + text(1, "As you say.") + stop("end_turn", 7)


def test_a_refusal_is_asked_again_with_the_whole_answer_untouched() -> None:
    asked, answer = request(), DIALECT.answer(request())
    fed(answer, ONE_CALL)
    again = DIALECT.reask(asked, answer, {"toolu_A": NO})
    use = {"type": "tool_use", "id": "toolu_A", "name": "run", "input": {"cmd": "rm -rf ü"}}
    result = {"type": "tool_result", "tool_use_id": "toolu_A", "content": "Refused by ops.", "is_error": True}
    assert json.loads(again.raw)["messages"] == [
        *asked.body["messages"],
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "I must.", "signature": "sig-1"},
                {"type": "text", "text": "Running ü."},
                use,
            ],
        },
        {"role": "user", "content": [result]},
    ]
    assert (again.streams, again.results) == (True, ())


def test_the_answer_goes_on_under_the_same_id_and_the_next_indices() -> None:
    asked, answer = request(), DIALECT.answer(request())
    body = passed(fed(answer, ONE_CALL))
    again = DIALECT.reask(asked, answer, {"toolu_A": NO})
    body += answer.keep_alive()
    body += passed(fed(DIALECT.answer(again, continues=answer), SECOND))
    assert read_by_helper(body) == {
        "id": "msg_1",
        "content": [
            {"type": "thinking", "thinking": "I must.", "signature": "sig-1"},
            {"type": "text", "text": "Running ü."},
            {"type": "thinking", "thinking": "Then so.", "signature": "sig-2"},
            {"type": "text", "text": "As you say."},
        ],
        "stop": "end_turn",
        "tokens": (20, 27),
    }


def test_each_answer_counts_its_own_tokens() -> None:
    asked, answer = request(), DIALECT.answer(request())
    fed(answer, ONE_CALL)
    again = DIALECT.reask(asked, answer, {"toolu_A": NO})
    pieces = fed(DIALECT.answer(again, continues=answer), SECOND)
    counts = [piece.counts for piece in pieces if isinstance(piece, Counted)][-1]
    assert (counts.input_tokens, counts.output_tokens) == (17, 7)


def test_three_answers_make_one_with_a_call_that_stands_beside_a_refused_one() -> None:
    asked, first = request(), DIALECT.answer(request())
    body = passed(fed(first, ONE_CALL))
    again = DIALECT.reask(asked, first, {"toolu_A": NO})
    second = DIALECT.answer(again, continues=first)
    body += passed(fed(second, start("msg_2") + text(0, "Two.") + call(1, "toolu_B", "{}") + stop()))
    third = DIALECT.answer(DIALECT.reask(again, second, {"toolu_B": NO}), continues=second)
    body += passed(fed(third, start("msg_3") + call(0, "toolu_C", "{}") + call(1, "toolu_D", '{"n":1}') + stop()))
    body += third.settle({"toolu_C": NO, "toolu_D": Stands()})
    message = read_by_helper(body)
    told = [part.get("text") or part.get("thinking") or part.get("id") for part in message["content"]]
    assert told == ["I must.", "Running ü.", "Two.", "Refused by ops.", "toolu_D"]
    assert (message["stop"], message["tokens"]) == ("tool_use", (30, 60))


def test_a_container_that_the_answer_opened_is_named_when_asked_again() -> None:
    opened = json.loads(start().split(b"data: ")[1])
    opened["message"]["container"] = {"id": "container_1", "expires_at": "2026-12-01T00:00:00Z"}
    answer = DIALECT.answer(request())
    fed(answer, event(opened) + call(0, "toolu_A", "{}") + stop())
    assert DIALECT.reask(request(), answer, {"toolu_A": NO}).body["container"] == "container_1"


def test_a_message_that_begins_with_a_call_is_cut() -> None:
    began = start().replace(b'"content": []', b'"content": [' + json.dumps(CALL_A).encode() + b"]")
    pieces = fed(DIALECT.answer(request()), began + stop())
    assert (passed(pieces), type(pieces[-1])) == (b"", Broken)


def test_a_message_that_begins_twice_is_cut() -> None:
    stream = start() + start() + text(0, "x") + stop("end_turn")
    pieces = fed(DIALECT.answer(request()), stream)
    assert isinstance(pieces[-1], Broken)


def test_no_delta_of_an_unknown_kind_makes_a_call_another_one() -> None:
    content = {"type": "tool_use", "id": "toolu_A", "name": "wipe", "input": {}}
    renamed = block(0, content, {"type": "novel_delta", "name": "look"})
    pieces = fed(DIALECT.answer(request()), start() + renamed + stop())
    assert [call.name for call in held(pieces).calls] == ["wipe"]


def test_a_name_that_stands_twice_is_seen_though_the_call_is_written_with_escapes() -> None:
    began = event(
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "id": "A", "input": {}}}
    ).replace(b'"type": "text"', b'"type": "t\\u006fol_use", "type": "text"')
    stream = start() + began + stop("end_turn")
    assert isinstance(fed(DIALECT.answer(request()), stream)[-1], Broken)
