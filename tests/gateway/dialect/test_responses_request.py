"""Requests of OpenAI Responses: what the gateway reads in them, and what it may change."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from opsconsole.gateway.dialect.interface import (
    BadRequest,
    Changes,
    ModelCall,
    Request,
    Said,
    ToolOffer,
    ToolResult,
)
from tests.gateway.dialect.responses_wire import DIALECT, REASONING, custom, function, message, request

OUTPUT = {"type": "function_call_output", "call_id": "call_A", "output": "a.txt"}
TALK = [
    {"role": "developer", "content": "Be safe."},
    {"role": "user", "content": [{"type": "input_text", "text": "Look."}, {"type": "input_image", "image_url": "x"}]},
    REASONING,
    message("Looking."),
    function("call_A", '{"cmd":"ls"}'),
    custom("call_B", "pwd"),
    OUTPUT,
    {"type": "custom_tool_call_output", "call_id": "call_B", "output": [{"type": "input_text", "text": "/"}]},
]


def changed(request: Request, **changes: Any) -> dict[str, Any]:
    return json.loads(DIALECT.forwarded(request, Changes(**changes)))


def test_an_unchanged_request_goes_on_as_it_came() -> None:
    raw = b'{ "model" : "m", "input": "hi", "max_output_tokens": 50 }'
    assert DIALECT.forwarded(DIALECT.read(raw), Changes(output_tokens_max=90, drop_tools=frozenset({"x"}))) == raw


def test_a_conversation_reads_in_the_order_in_which_it_was_said() -> None:
    assert request(instructions="Be brief.", input=TALK).conversation == (
        Said(role="system", text="Be brief."),
        Said(role="system", text="Be safe."),
        Said(role="user", text="Look.\n[input_image]"),
        Said(role="assistant", text="Looking."),
        Said(
            role="assistant",
            text="",
            calls=(ModelCall(id="call_A", name="run", args={"cmd": "ls"}, raw='{"cmd":"ls"}'),),
        ),
        Said(
            role="assistant",
            text="",
            calls=(ModelCall(id="call_B", name="script", args={"input": "pwd"}, raw="pwd", kind="custom"),),
        ),
        Said(role="tool", text="a.txt", call="call_A"),
        Said(role="tool", text="/", call="call_B"),
    )


def test_a_text_alone_is_what_the_user_said() -> None:
    assert request(input="Hello").conversation == (Said(role="user", text="Hello"),)


def test_the_results_are_those_after_the_models_last_word() -> None:
    assert request(input=TALK).results == (
        ToolResult(call="call_A", text="a.txt"),
        ToolResult(call="call_B", text="/"),
    )
    assert request(input=[*TALK, message("Ok.")]).results == ()


@pytest.mark.parametrize(
    ("output", "told", "is_error"),
    [
        (
            {
                "type": "shell_call_output",
                "call_id": "c",
                "output": [{"stdout": "out", "stderr": "err", "outcome": {"type": "exit", "exit_code": 1}}],
            },
            "outerr",
            False,
        ),
        ({"type": "apply_patch_call_output", "call_id": "c", "status": "failed", "output": "no"}, "no", True),
        (
            {"type": "computer_call_output", "call_id": "c", "output": {"type": "computer_screenshot"}},
            "[computer_screenshot]",
            False,
        ),
        ({"type": "mcp_approval_response", "approval_request_id": "c", "approve": False}, "refused", True),
    ],
)
def test_each_kind_of_result_is_read(output: dict, told: str, is_error: bool) -> None:
    assert request(input=[output]).results == (ToolResult(call="c", text=told, is_error=is_error),)


def test_each_offer_says_where_it_runs() -> None:
    tools = [
        {"type": "function", "name": "run", "description": "Runs.", "parameters": {"type": "object"}},
        {"type": "custom", "name": "script"},
        {"type": "namespace", "name": "crm", "tools": [{"type": "function", "name": "find"}]},
        {"type": "local_shell"},
        {"type": "shell", "environment": {"type": "local"}},
        {"type": "shell", "environment": {"type": "container_auto"}},
        {"type": "apply_patch"},
        {"type": "computer"},
        {"type": "tool_search", "execution": "client"},
        {"type": "mcp", "server_label": "wiki", "server_description": "Knows."},
        {"type": "web_search"},
        {"type": "novelty"},
    ]
    assert tuple(replace(offer, definition={}) for offer in request(tools=tools).tools) == (
        ToolOffer(name="run", description="Runs.", schema={"type": "object"}),
        ToolOffer(name="script"),
        ToolOffer(name="crm.find"),
        ToolOffer(name="local_shell"),
        ToolOffer(name="shell"),
        ToolOffer(name="shell", runs_at="provider"),
        ToolOffer(name="apply_patch"),
        ToolOffer(name="computer"),
        ToolOffer(name="tool_search"),
        ToolOffer(name="wiki", description="Knows.", runs_at="provider"),
        ToolOffer(name="web_search", runs_at="provider"),
        ToolOffer(name="novelty", runs_at="provider"),
    )


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"\xff", b'{"input":1}', b'{"model":1,"input":""}', b"[" * 50_000])
def test_what_is_no_request_is_refused(raw: bytes) -> None:
    with pytest.raises(BadRequest):
        DIALECT.read(raw)


@pytest.mark.parametrize(("own", "cap", "asked"), [(None, 100, 100), (50, 100, 50), (500, 100, 100), (500, 3, 16)])
def test_a_cap_lowers_and_never_raises_what_the_client_asked(own: int | None, cap: int, asked: int) -> None:
    assert changed(request(max_output_tokens=own), output_tokens_max=cap)["max_output_tokens"] == asked


def test_an_operators_words_are_the_last_item() -> None:
    said = {"role": "user", "content": [{"type": "input_text", "text": "Stop."}]}
    assert changed(request(input=TALK), injected=["Stop."])["input"] == [*TALK, said]
    assert changed(request(input="Hi"), injected=["Stop."])["input"] == [{"role": "user", "content": "Hi"}, said]
    trigger = {"type": "compaction_trigger"}
    assert changed(request(input=[*TALK, trigger]), injected=["Stop."])["input"] == [*TALK, said, trigger]


def test_a_note_stands_before_the_result_of_an_edited_call() -> None:
    given = changed(request(input=TALK), edited={"call_A": "Edited.", "call_B": "Also."})["input"]
    assert given[-2] == {**OUTPUT, "output": "Edited.\n\na.txt"}
    assert given[-1]["output"] == [{"type": "input_text", "text": "Also."}, {"type": "input_text", "text": "/"}]


def test_a_note_to_a_screenshot_stands_behind_it() -> None:
    output = {"type": "computer_call_output", "call_id": "c", "output": {"type": "computer_screenshot"}}
    note = {"role": "user", "content": [{"type": "input_text", "text": "Edited."}]}
    assert changed(request(input=[output]), edited={"c": "Edited."})["input"] == [output, note]


def test_a_dropped_tool_takes_what_names_it_along() -> None:
    inner = [{"type": "function", "name": "find"}, {"type": "function", "name": "erase"}]
    tools = [
        {"type": "mcp", "server_label": "wiki"},
        {"type": "web_search"},
        {"type": "namespace", "name": "crm", "tools": inner},
    ]
    asked = request(tools=tools, tool_choice={"type": "web_search"})
    body = changed(asked, drop_tools=frozenset({"wiki", "crm.erase"}))
    assert (body["tools"], body["tool_choice"]) == (
        [tools[1], {**tools[2], "tools": inner[:1]}],
        {"type": "web_search"},
    )
    body = changed(asked, drop_tools=frozenset({"web_search"}))
    assert "tool_choice" not in body
    body = changed(asked, drop_tools=frozenset({"wiki", "web_search", "crm"}))
    assert {"tools", "tool_choice"} & set(body) == set()


def test_values_of_a_wrong_shape_are_read_as_nothing() -> None:
    odd = [1, None, {"role": ["x"], "content": {"a": 1}}, {"type": {"a": 1}, "call_id": [1]}]
    asked = request(input=odd, tools=[1, {"type": ["x"]}], instructions={"a": 1})
    assert asked.conversation == ()
    changes = {"edited": {"x": "y"}, "injected": ["z"], "drop_tools": frozenset({"q"})}
    assert changed(asked, **changes)["input"][:4] == odd
