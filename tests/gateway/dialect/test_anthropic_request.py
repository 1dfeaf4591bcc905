"""Requests of Anthropic Messages: what the gateway reads in them, and what it may change."""

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
from tests.gateway.dialect.anthropic_wire import DIALECT, request

USE = {"type": "tool_use", "id": "toolu_A", "name": "run", "input": {"cmd": "ls"}}
RESULT = {"type": "tool_result", "tool_use_id": "toolu_A", "content": "a.txt", "is_error": True}
TALK = [
    {"role": "user", "content": "Look."},
    {"role": "assistant", "content": [{"type": "thinking", "thinking": "…", "signature": "s"}, USE]},
    {"role": "user", "content": [RESULT, {"type": "text", "text": "And?"}, {"type": "image", "source": {}}]},
]


def changed(request: Request, **changes: Any) -> dict[str, Any]:
    return json.loads(DIALECT.forwarded(request, Changes(**changes)))


def test_an_unchanged_request_goes_on_as_it_came() -> None:
    raw = b'{ "model" : "m", "messages" : [] , "max_tokens": 5 }'
    assert DIALECT.forwarded(DIALECT.read(raw), Changes(output_tokens_max=9, drop_tools=frozenset({"x"}))) == raw


def test_a_conversation_reads_in_the_order_in_which_it_was_said() -> None:
    call = ModelCall(id="toolu_A", name="run", args={"cmd": "ls"}, raw='{"cmd":"ls"}')
    assert request(system="Be brief.", messages=TALK).conversation == (
        Said(role="system", text="Be brief."),
        Said(role="user", text="Look."),
        Said(role="assistant", text="", calls=(call,)),
        Said(role="tool", text="a.txt", call="toolu_A"),
        Said(role="user", text="And?\n[image]"),
    )


def test_the_results_are_those_after_the_models_last_word() -> None:
    assert request(messages=TALK).results == (ToolResult(call="toolu_A", text="a.txt", is_error=True),)
    assert request(messages=[*TALK, {"role": "assistant", "content": "Ok."}]).results == ()


def test_each_offer_says_where_it_runs() -> None:
    tools = [
        {"name": "run", "description": "Runs.", "input_schema": {"type": "object"}},
        {"type": "bash_20250124", "name": "bash"},
        {"type": "computer_toolset_20260801"},
        {"type": "web_search_20260318", "name": "web_search"},
        {"type": "mcp_toolset", "mcp_server_name": "wiki"},
        {"type": "novelty_2027", "name": "novelty"},
    ]
    asked = request(tools=tools, mcp_servers=[{"name": "wiki"}, {"name": "old"}])
    assert tuple(replace(offer, definition={}) for offer in asked.tools) == (
        ToolOffer(name="run", description="Runs.", schema={"type": "object"}),
        ToolOffer(name="bash"),
        ToolOffer(name="computer_toolset_20260801"),
        ToolOffer(name="web_search", runs_at="provider"),
        ToolOffer(name="wiki", runs_at="provider"),
        ToolOffer(name="novelty", runs_at="provider"),
        ToolOffer(name="old", runs_at="provider"),
    )


@pytest.mark.parametrize(
    "raw",
    [b"", b"{", b"[]", b"\xff", b'{"model":"m"}', b'{"messages":[]}', b'{"model":1,"messages":[]}', b"[" * 50_000],
)
def test_what_is_no_request_is_refused(raw: bytes) -> None:
    with pytest.raises(BadRequest):
        DIALECT.read(raw)


def test_the_clients_lower_cap_stays_and_a_higher_one_is_lowered() -> None:
    assert changed(request(), output_tokens_max=100)["max_tokens"] == 100
    assert changed(request(max_tokens=50), output_tokens_max=100)["max_tokens"] == 50


@pytest.mark.parametrize(
    ("cap", "thinking"),
    [(2000, {"type": "enabled", "budget_tokens": 1999}), (1000, {"type": "disabled"})],
)
def test_a_budget_for_thinking_stays_below_a_lowered_cap(cap: int, thinking: dict) -> None:
    asked = request(thinking={"type": "enabled", "budget_tokens": 3000})
    assert changed(asked, output_tokens_max=cap)["thinking"] == thinking


def test_an_operators_words_stand_behind_the_results_of_the_last_message() -> None:
    message = changed(request(messages=TALK), injected=["Stop."])["messages"][-1]
    assert message == {**TALK[-1], "content": [*TALK[-1]["content"], {"type": "text", "text": "Stop."}]}


def test_an_operators_words_do_not_take_the_place_of_a_prefilled_answer() -> None:
    prefilled = [{"role": "user", "content": "Say."}, {"role": "assistant", "content": "I"}]
    user = {"role": "user", "content": [{"type": "text", "text": "Say."}, {"type": "text", "text": "Be short."}]}
    assert changed(request(messages=prefilled), injected=["Be short."])["messages"] == [user, prefilled[1]]


def test_a_note_stands_before_the_result_of_an_edited_call() -> None:
    edited = {"toolu_A": "An operator edited the arguments."}
    block = changed(request(messages=TALK), edited=edited)["messages"][2]["content"][0]
    assert block == {**RESULT, "content": "An operator edited the arguments.\n\na.txt"}
    parts = [{"type": "text", "text": "a.txt"}]
    asked = request(messages=[{"role": "user", "content": [{**RESULT, "content": parts}]}])
    told = changed(asked, edited=edited)["messages"][0]["content"][0]["content"]
    assert told == [{"type": "text", "text": "An operator edited the arguments."}, *parts]


def test_a_dropped_tool_takes_what_names_it_along() -> None:
    tools = [{"name": "run", "input_schema": {}}, {"type": "mcp_toolset", "mcp_server_name": "wiki"}]
    asked = request(tools=tools, mcp_servers=[{"name": "wiki"}], tool_choice={"type": "tool", "name": "run"})
    body = changed(asked, drop_tools=frozenset({"wiki"}))
    assert (body["tools"], "mcp_servers" in body, "tool_choice" in body) == (tools[:1], False, True)
    body = changed(asked, drop_tools=frozenset({"wiki", "run"}))
    assert {"tools", "mcp_servers", "tool_choice"} & set(body) == set()


def test_another_model_is_asked_for_where_a_fallback_has_one() -> None:
    assert changed(request(), model="claude-small")["model"] == "claude-small"


def test_values_of_a_wrong_shape_are_read_as_nothing() -> None:
    odd = [1, None, {"role": 3, "content": {"a": 1}}, {"role": "user", "content": [1, {"type": ["x"]}]}]
    asked = request(messages=odd, tools=[1, {"name": 4}], system={"a": 1}, mcp_servers="x")
    assert asked.conversation == ()
    changes = {"edited": {"x": "y"}, "injected": ["z"], "drop_tools": frozenset({"q"})}
    assert changed(asked, **changes)["messages"][:3] == odd[:3]
