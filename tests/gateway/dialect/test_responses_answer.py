"""A streamed answer of OpenAI Responses: what passes, what is held, and what the official client reads afterwards."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest

from opsconsole.gateway.dialect.interface import (
    Answered,
    Broken,
    CallBegan,
    CannotReask,
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
from tests.gateway.dialect.anthropic_wire import fed, held, passed
from tests.gateway.dialect.responses_wire import (
    CALLED,
    DIALECT,
    ONE_CALL,
    REASONING,
    SPOKEN,
    TWO_CALLS,
    custom,
    events,
    frames,
    function,
    message,
    read_by_helper,
    read_raw,
    request,
    response,
    shell,
    stream,
)

NO = Answered(text="Refused by ops.")
REFUSED = {"says": "Refused by ops."}
LOCAL_SHELL = {
    "id": "ls_1",
    "type": "local_shell_call",
    "call_id": "call_A",
    "status": "completed",
    "action": {"type": "exec", "command": ["rm"], "env": {}},
}
PATCH = {
    "id": "ap_1",
    "type": "apply_patch_call",
    "call_id": "call_A",
    "status": "completed",
    "operation": {"type": "delete_file", "path": "a"},
}
COMPUTER = {
    "id": "cu_1",
    "type": "computer_call",
    "call_id": "call_A",
    "status": "completed",
    "action": {"type": "click", "button": "left", "x": 1, "y": 2},
    "pending_safety_checks": [],
}
APPROVAL = {
    "id": "mcpr_1",
    "type": "mcp_approval_request",
    "server_label": "wiki",
    "name": "erase",
    "arguments": '{"page":"x"}',
}


def rewritten(data: bytes, rulings: dict) -> bytes:
    answer = DIALECT.answer(request())
    pieces = fed(answer, data)
    return passed(pieces) + answer.settle(rulings)


def test_words_pass_byte_for_byte_and_are_told() -> None:
    pieces = fed(DIALECT.answer(request()), SPOKEN)
    assert passed(pieces) == SPOKEN
    assert "".join(piece.text for piece in pieces if isinstance(piece, Text)) == "Hello wörld"
    assert Served(id="resp_1", model="gpt-5.5-2026-10-01") in pieces
    assert pieces[-1] == Done(finish="completed")


def test_the_tokens_are_told_at_the_end() -> None:
    counts = Counts(
        input_tokens=30,
        output_tokens=12,
        cache_read_tokens=8,
        cache_write_tokens=2,
        reasoning_tokens=5,
        service_tier="default",
    )
    assert Counted(counts) in fed(DIALECT.answer(request()), SPOKEN)


def test_an_answer_cut_short_by_its_limit_says_so() -> None:
    data = stream(message("Half"), ends="incomplete", incomplete_details={"reason": "max_output_tokens"})
    pieces = fed(DIALECT.answer(request()), data)
    assert (passed(pieces), pieces[-1]) == (data, Done(finish="max_output_tokens"))


def test_thoughts_are_told_apart_from_words() -> None:
    thought = {"type": "response.reasoning_summary_text.delta", "item_id": "rs_1", "output_index": 0, "delta": "Hm."}
    told = events(REASONING)
    pieces = fed(DIALECT.answer(request()), frames([*told[:3], thought, *told[3:]]))
    assert Text(text="Hm.", role="thought") in pieces


def test_nothing_passes_from_the_beginning_of_a_call_on() -> None:
    pieces = fed(DIALECT.answer(request()), ONE_CALL)
    assert passed(pieces) == ONE_CALL[: len(passed(pieces))]
    assert b"function_call" not in passed(pieces)
    assert CallBegan(name="run") in pieces
    raw = '{"cmd": "rm -rf ü"}'
    assert held(pieces).calls == (ModelCall(id="call_A", name="run", args={"cmd": "rm -rf ü"}, raw=raw),)


@pytest.mark.parametrize("data", [ONE_CALL, TWO_CALLS, stream(custom("call_A", "rm"), shell("call_B", "rm"))])
def test_an_approved_answer_is_byte_identical(data: bytes) -> None:
    assert rewritten(data, {"call_A": Stands(), "call_B": Stands()}) == data


def test_an_edited_call_carries_the_operators_arguments_in_every_place() -> None:
    body = rewritten(ONE_CALL, {"call_A": Edited(args={"cmd": "ls ü"})})
    assert b"rm -rf" not in body
    assert read_by_helper(body) == {
        "id": "resp_1",
        "output": [{"is": "reasoning"}, {"says": "Running ü."}, {"runs": '{"cmd":"ls ü"}', "id": "call_A"}],
        "tokens": (30, 12, 42),
    }
    done = next(event for event in read_raw(body) if event["type"] == "response.function_call_arguments.done")
    assert done["arguments"] == '{"cmd":"ls ü"}'


@pytest.mark.parametrize(
    ("item", "call", "args", "runs"),
    [
        (
            custom("call_A", "rm ü"),
            ModelCall(id="call_A", name="script", args={"input": "rm ü"}, raw="rm ü", kind="custom"),
            {"input": "ls"},
            "ls",
        ),
        (
            LOCAL_SHELL,
            ModelCall(
                id="call_A",
                name="local_shell",
                args=LOCAL_SHELL["action"],
                raw='{"type":"exec","command":["rm"],"env":{}}',
                kind="local_shell_call",
            ),
            {"type": "exec", "command": ["ls"], "env": {}},
            {"type": "exec", "command": ["ls"], "env": {}},
        ),
        (
            PATCH,
            ModelCall(
                id="call_A",
                name="apply_patch",
                args=PATCH["operation"],
                raw='{"type":"delete_file","path":"a"}',
                kind="apply_patch_call",
            ),
            {"type": "delete_file", "path": "b"},
            {"type": "delete_file", "path": "b"},
        ),
    ],
)
def test_each_kind_of_call_is_held_and_edited_where_it_keeps_its_arguments(
    item: dict, call: ModelCall, args: dict, runs: Any
) -> None:
    answer = DIALECT.answer(request())
    pieces = fed(answer, stream(item))
    assert held(pieces).calls == (call,)
    body = passed(pieces) + answer.settle({"call_A": Edited(args=args)})
    assert read_by_helper(body)["output"] == [{"runs": runs, "id": "call_A"}]


@pytest.mark.parametrize("item", [custom("call_A", "rm"), shell("call_A", "rm"), LOCAL_SHELL, PATCH, COMPUTER])
def test_each_kind_of_call_makes_room_for_a_note_when_it_is_refused(item: dict) -> None:
    body = rewritten(stream(message("So."), item), {"call_A": NO})
    assert read_by_helper(body)["output"] == [{"says": "So."}, REFUSED]


def test_a_shells_call_in_the_providers_container_passes() -> None:
    data = stream(shell("call_A", "ls", environment={"type": "container_reference", "container_id": "c"}))
    assert passed(fed(DIALECT.answer(request()), data)) == data


@pytest.mark.parametrize(
    "item",
    [
        {"id": "ws_1", "type": "web_search_call", "status": "completed", "action": {"type": "search", "query": "x"}},
        {"id": "fs_1", "type": "file_search_call", "status": "completed", "queries": []},
        {"id": "ci_1", "type": "code_interpreter_call", "status": "completed", "code": "1", "container_id": "c"},
        {"id": "ig_1", "type": "image_generation_call", "status": "completed", "result": "aGk="},
        {"id": "mcp_1", "type": "mcp_call", "name": "x", "arguments": "{}", "server_label": "y"},
        {"id": "x", "type": "shell_call_output", "call_id": "y", "output": []},
        {"id": "ts_1", "type": "tool_search_call", "execution": "server", "arguments": {}, "status": "completed"},
    ],
)
def test_what_ran_at_the_provider_passes(item: dict) -> None:
    data = stream(item)
    assert passed(fed(DIALECT.answer(request()), data)) == data


def test_an_item_that_nobody_knows_and_that_looks_like_a_call_is_held() -> None:
    item = {"id": "x", "type": "robot_call", "call_id": "call_A", "motion": "forward"}
    pieces = fed(DIALECT.answer(request()), stream(item))
    call = ModelCall(
        id="call_A", name="robot_call", args={"motion": "forward"}, raw='{"motion":"forward"}', kind="robot_call"
    )
    assert held(pieces).calls == (call,)
    assert b"robot" not in passed(pieces)


def test_what_stands_beside_a_refused_call_keeps_its_place() -> None:
    body = rewritten(TWO_CALLS, {"call_A": NO, "call_B": Stands()})
    assert read_by_helper(body)["output"] == [{"says": "Both."}, REFUSED, {"runs": '{"cmd":"rm"}', "id": "call_B"}]


def test_one_note_stands_for_all_calls_that_were_refused() -> None:
    body = rewritten(TWO_CALLS, {"call_A": NO, "call_B": Answered(text="Nor this.")})
    assert read_by_helper(body)["output"] == [{"says": "Both."}, {"says": "Refused by ops.\nNor this."}]


def test_what_stands_behind_refused_calls_moves_up() -> None:
    data = stream(function("call_A", "{}"), function("call_B", "{}"), function("call_C", '{"n":1}'), message("So."))
    body = rewritten(data, {"call_A": NO, "call_B": NO, "call_C": Stands()})
    assert read_by_helper(body)["output"] == [REFUSED, {"runs": '{"n":1}', "id": "call_C"}, {"says": "So."}]
    begun = [event["output_index"] for event in read_raw(body) if event["type"] == "response.output_item.added"]
    assert begun == [0, 1, 2]


def test_no_arguments_mean_an_empty_object() -> None:
    calls = held(fed(DIALECT.answer(request()), stream(function("call_A", "")))).calls
    assert calls == (ModelCall(id="call_A", name="run", args={}, raw=""),)


def test_a_call_that_was_cut_short_is_shown_as_it_is() -> None:
    told = events(function("call_A", '{"cmd": "rm'), ends="incomplete")
    cut = [event for event in told if not event["type"].endswith("_item.done")]
    calls = held(fed(DIALECT.answer(request()), frames(cut))).calls
    assert calls == (ModelCall(id="call_A", name="run", args=None, raw='{"cmd": "rm'),)


def test_a_hosted_servers_call_that_asks_for_approval_is_held_and_cannot_be_edited() -> None:
    answer = DIALECT.answer(request())
    pieces = fed(answer, stream(APPROVAL))
    kind = "mcp_approval_request"
    raw = '{"page":"x"}'
    assert held(pieces).calls == (ModelCall(id="mcpr_1", name="wiki.erase", args={"page": "x"}, raw=raw, kind=kind),)
    body = passed(pieces) + answer.settle({"mcpr_1": Edited(args={"page": "y"})})
    assert "it was refused" in read_by_helper(body)["output"][0]["says"]


def test_places_that_differ_on_a_call_are_made_to_agree_on_what_was_shown() -> None:
    told = events(function("call_A", '{"cmd":"ls"}'))
    told[-1]["response"]["output"] = [function("call_A", '{"cmd":"rm"}')]
    answer = DIALECT.answer(request())
    pieces = fed(answer, frames(told))
    assert [call.raw for call in held(pieces).calls] == ['{"cmd":"ls"}']
    body = passed(pieces) + answer.settle({"call_A": Stands()})
    assert b"rm" not in body
    assert read_by_helper(body)["output"] == [{"runs": '{"cmd":"ls"}', "id": "call_A"}]


def test_two_calls_with_one_id_get_each_their_own() -> None:
    data = stream(function("same", '{"n":1}'), function("same", '{"n":2}'))
    answer = DIALECT.answer(request())
    pieces = fed(answer, data)
    assert [call.id for call in held(pieces).calls] == ["same", "same_2"]
    body = passed(pieces) + answer.settle({"same": Stands(), "same_2": Stands()})
    assert [item["id"] for item in read_by_helper(body)["output"]] == ["same", "same_2"]


def test_calls_that_are_written_side_by_side_are_told_apart() -> None:
    told = events(function("call_A", '{"n":1}'), function("call_B", '{"n":2}'))
    a, b = told[2:7], told[7:12]
    mixed = [*told[:2], *(event for pair in zip(b, a, strict=True) for event in pair), told[-1]]
    calls = held(fed(DIALECT.answer(request()), frames(mixed))).calls
    assert [(call.id, call.args) for call in calls] == [("call_B", {"n": 2}), ("call_A", {"n": 1})]


@pytest.mark.parametrize("cut", [0, 300, 2500, 5000])
def test_a_client_waits_at_any_place_and_reads_the_same_answer(cut: int) -> None:
    answer = DIALECT.answer(request())
    body = passed(answer.feed(ONE_CALL[:cut])) + answer.keep_alive() + answer.keep_alive()
    body += passed(answer.feed(ONE_CALL[cut:])) + answer.keep_alive() + answer.settle({"call_A": Stands()})
    read = read_by_helper(body)
    assert read["output"] == read_by_helper(ONE_CALL)["output"]


def test_a_client_that_waits_before_upstream_has_begun_keeps_the_id_it_was_told() -> None:
    answer = DIALECT.answer(request())
    body = answer.keep_alive() + answer.keep_alive() + passed(answer.feed(SPOKEN))
    read = read_by_helper(body)
    assert read["id"].startswith("resp_")
    assert answer.ids == (read["id"], "resp_1")
    assert read["output"] == [{"is": "reasoning"}, {"says": "Hello wörld"}]


@pytest.mark.parametrize("data", [b"", SPOKEN[:3000], ONE_CALL])
def test_a_failure_in_a_stream_makes_the_client_raise(data: bytes) -> None:
    answer = DIALECT.answer(request())
    body = passed(answer.feed(data)) + answer.failure(Failure(status=403, code="killed", message="Killed by ops."))
    with pytest.raises(openai.APIError, match="Killed by ops"):
        read_by_helper(body)


@pytest.mark.parametrize(
    "error",
    [
        {"type": "error", "code": "server_error", "message": "Down", "param": None},
        {
            "type": "response.failed",
            "response": response(status="failed", error={"code": "server_error", "message": "Down"}),
        },
    ],
)
def test_upstreams_own_error_reaches_the_client_as_it_is(error: dict) -> None:
    data = frames([*events()[:2], error])
    pieces = fed(DIALECT.answer(request()), data)
    assert passed(pieces) == data
    assert pieces[-1] == Broken(why="upstream: server_error: Down")


def begun(*more: dict) -> bytes:
    return frames([*events()[:2], *more])


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"data: nonsense\n\n",
        b"data: " + b"[" * 100_000 + b"\n\n",
        ONE_CALL[:-200],
        frames(events(function("call_A", "{}"))[2:]),
        frames([{"type": "response.created", "response": response(function("call_A", "{}"))}]),
        begun({"type": "response.completed", "response": response(function("call_A", "{}"))}),
        begun({"type": "response.failed", "response": response(function("call_A", "{}"), status="failed")}),
        begun({"type": "response.item.updated", "item": function("call_A", "{}")}),
        begun({"type": "response.output_item.done", "output_index": 0, "item": None}),
        stream(*[function(f"call_{n}", "{}") for n in range(257)]),
        begun({"type": "response.function_call_arguments.done", "output_index": 0, "arguments": "{}"}),
        begun({"type": "response.apply_patch_call_operation_diff.delta", "output_index": 0, "delta": "{}"}),
        begun({"type": "response.output_item.added", "output_index": "x", "item": message("a")}),
        begun(
            *events(message("a"))[2:4], {"type": "response.output_item.done", "output_index": 0, "item": LOCAL_SHELL}
        ),
        begun(*events(message("a"))[2:4], *events(function("call_A", "{}"))[2:]),
        begun(*events(message("a"))[2:4], {**events(function("a", "{}"))[3], "output_index": 0}),
    ],
)
def test_what_the_format_does_not_allow_is_broken_and_passes_no_call(data: bytes) -> None:
    pieces = fed(DIALECT.answer(request()), data)
    assert isinstance(pieces[-1], Broken)
    assert b'"call_id"' not in passed(pieces)


def test_crlf_and_a_missing_last_blank_line_are_understood() -> None:
    data = ONE_CALL.replace(b"\n", b"\r\n").removesuffix(b"\r\n")
    body = rewritten(data, {"call_A": Edited(args={"cmd": "ls"})})
    assert read_by_helper(body)["output"][2] == {"runs": '{"cmd":"ls"}', "id": "call_A"}


# -- asking again ------------------------------------------------------------------------------------------------------

SECOND = stream({**REASONING, "id": "rs_2"}, message("As you say.", "msg_2"), id="resp_2")


def test_a_refusal_is_asked_again_with_the_whole_answer_untouched() -> None:
    asked, answer = request(), DIALECT.answer(request())
    fed(answer, ONE_CALL)
    again = DIALECT.reask(asked, answer, {"call_A": NO})
    output = {"type": "function_call_output", "call_id": "call_A", "output": "Refused by ops."}
    assert json.loads(again.raw)["input"] == [{"role": "user", "content": ASKED_WORDS}, *CALLED, output]
    assert (again.streams, again.results) == (True, ())


ASKED_WORDS = "Wipe the disk ü"


def test_what_upstream_remembers_is_not_lost_when_asked_again() -> None:
    asked = request(previous_response_id="resp_0")
    answer = DIALECT.answer(asked)
    fed(answer, ONE_CALL)
    assert DIALECT.reask(asked, answer, {"call_A": NO}).previous == "resp_0"


def test_a_conversation_at_the_provider_gets_the_results_alone() -> None:
    asked = request(conversation="conv_1")
    answer = DIALECT.answer(asked)
    fed(answer, ONE_CALL)
    output = {"type": "function_call_output", "call_id": "call_A", "output": "Refused by ops."}
    assert DIALECT.reask(asked, answer, {"call_A": NO}).body["input"] == [output]


def test_reasoning_that_upstream_does_not_store_is_given_back_only_when_sealed() -> None:
    asked = request(store=False)
    answer = DIALECT.answer(asked)
    fed(answer, stream({"id": "rs_0", "type": "reasoning", "summary": []}, *CALLED))
    given = DIALECT.reask(asked, answer, {"call_A": NO}).body["input"]
    assert [item.get("id") for item in given[1:3]] == ["rs_1", "msg_1"]


@pytest.mark.parametrize(
    ("item", "output"),
    [
        (custom("call_A", "rm"), {"type": "custom_tool_call_output", "call_id": "call_A", "output": "Refused by ops."}),
        (
            shell("call_A", "rm"),
            {
                "type": "shell_call_output",
                "call_id": "call_A",
                "output": [
                    {"stdout": "", "stderr": "Refused by ops.", "outcome": {"type": "exit", "exit_code": 1}},
                ],
            },
        ),
        (
            PATCH,
            {
                "type": "apply_patch_call_output",
                "call_id": "call_A",
                "status": "failed",
                "output": "Refused by ops.",
            },
        ),
        (
            LOCAL_SHELL,
            {
                "type": "local_shell_call_output",
                "id": "call_A",
                "output": '{"output":"Refused by ops.","metadata":{"exit_code":1}}',
            },
        ),
        (
            APPROVAL,
            {
                "type": "mcp_approval_response",
                "approval_request_id": "mcpr_1",
                "approve": False,
                "reason": "Refused by ops.",
            },
        ),
    ],
)
def test_each_kind_of_call_is_answered_in_its_own_words(item: dict, output: dict) -> None:
    answer = DIALECT.answer(request())
    pieces = fed(answer, stream(item))
    again = DIALECT.reask(request(), answer, {held(pieces).calls[0].id: NO})
    assert again.body["input"][-1] == output


def test_a_call_that_wants_a_screenshot_cannot_be_answered_and_can_still_be_settled() -> None:
    answer = DIALECT.answer(request())
    pieces = fed(answer, stream(COMPUTER))
    with pytest.raises(CannotReask):
        DIALECT.reask(request(), answer, {"call_A": NO})
    assert read_by_helper(passed(pieces) + answer.settle({"call_A": NO}))["output"] == [REFUSED]


def test_the_answer_goes_on_under_the_same_id_indices_and_numbers() -> None:
    asked, answer = request(), DIALECT.answer(request())
    body = passed(fed(answer, ONE_CALL))
    again = DIALECT.reask(asked, answer, {"call_A": NO})
    body += answer.keep_alive()
    second = DIALECT.answer(again, continues=answer)
    body += second.keep_alive() + passed(fed(second, SECOND))
    assert read_by_helper(body) == {
        "id": "resp_1",
        "output": [{"is": "reasoning"}, {"says": "Running ü."}, {"is": "reasoning"}, {"says": "As you say."}],
        "tokens": (60, 24, 84),
    }
    assert second.ids == ("resp_1", "resp_2")


def test_three_answers_make_one_with_a_call_that_stands_beside_a_refused_one() -> None:
    asked, first = request(), DIALECT.answer(request())
    body = passed(fed(first, ONE_CALL))
    again = DIALECT.reask(asked, first, {"call_A": NO})
    second = DIALECT.answer(again, continues=first)
    body += passed(fed(second, stream(message("Two.", "msg_2"), function("call_B", "{}"), id="resp_2")))
    third = DIALECT.answer(DIALECT.reask(again, second, {"call_B": NO}), continues=second)
    body += passed(fed(third, stream(function("call_C", "{}"), custom("call_D", "ls"), id="resp_3")))
    body += third.keep_alive() + third.settle({"call_C": NO, "call_D": Stands()})
    assert read_by_helper(body) == {
        "id": "resp_1",
        "output": [
            {"is": "reasoning"},
            {"says": "Running ü."},
            {"says": "Two."},
            REFUSED,
            {"runs": "ls", "id": "call_D"},
        ],
        "tokens": (90, 36, 126),
    }


def test_what_the_client_saw_begin_is_ended_before_the_answer_goes_on() -> None:
    told = events(message("Slow."), function("call_A", "{}"))
    late = [*told[:4], *told[9:14], *told[4:9], told[-1]]
    assert [event["type"] for event in late[:4]][-1] == "response.content_part.added"
    asked, answer = request(), DIALECT.answer(request())
    body = passed(fed(answer, frames(late)))
    again = DIALECT.reask(asked, answer, {"call_A": NO})
    body += passed(fed(DIALECT.answer(again, continues=answer), SECOND))
    read = read_by_helper(body)
    assert read["output"] == [{"says": "Slow."}, {"is": "reasoning"}, {"says": "As you say."}]


def test_a_call_that_stands_once_and_comes_twice_at_the_end_is_cut() -> None:
    made = function("call_A", '{"cmd":"ls"}')
    told = events(made)
    told[-1]["response"]["output"].append(made)
    pieces = fed(DIALECT.answer(request()), frames(told))
    assert isinstance(pieces[-1], Broken)


def stood(told: list[dict[str, Any]]) -> bytes:
    answer = DIALECT.answer(request())
    pieces = fed(answer, frames(told))
    assert [call.id for call in held(pieces).calls] == ["call_A"]
    return passed(pieces) + answer.settle({"call_A": Stands()})


def test_arguments_that_came_otherwise_in_pieces_reach_no_client() -> None:
    told = events(function("call_A", '{"cmd":"ls"}'))
    for event in told:
        if event["type"] == "response.function_call_arguments.delta":
            event["delta"] = event["delta"].replace("ls", "rm")
    body = stood(told)
    assert (b"rm" in body, rb"\"ls\"" in body) == (False, True)


def test_a_name_that_was_another_as_the_call_began_reaches_no_client() -> None:
    told = events(function("call_A", "{}"))
    for event in told:
        if event["type"] == "response.output_item.added":
            event["item"]["name"] = "wipe"
    assert b"wipe" not in stood(told)


def test_a_call_that_ends_as_words_is_cut() -> None:
    told = events(function("call_A", "{}"))
    for event in told:
        if event["type"] == "response.output_item.done":
            event["item"] = message("It was nothing.")
    told[-1]["response"]["output"] = [message("It was nothing.")]
    pieces = fed(DIALECT.answer(request()), frames(told))
    assert isinstance(pieces[-1], Broken)


def test_an_event_of_a_call_that_never_began_is_cut() -> None:
    told = events(message("Hello"))
    told.insert(-1, {"type": "response.novel_call.delta", "output_index": 7, "delta": "rm"})
    pieces = fed(DIALECT.answer(request()), frames(told))
    assert isinstance(pieces[-1], Broken)
