"""A request of Chat Completions: what is read of it, and what of it is changed on its way upstream."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from opsconsole.gateway.dialect.interface import (
    BadRequest,
    Changes,
    ModelCall,
    Said,
    ToolOffer,
    ToolResult,
)
from tests.gateway.dialect.chat_wire import ASKED, DIALECT, TOOLS, function_entry, request

HISTORY = [
    {"role": "developer", "content": "Be brief."},
    {"role": "user", "content": [{"type": "text", "text": "Look"}, {"type": "image_url", "image_url": {"url": "x"}}]},
    {"role": "assistant", "content": None, "tool_calls": [function_entry("call_A", '{"cmd":"ls"}')]},
    {"role": "tool", "tool_call_id": "call_A", "content": "a b"},
]


def forwarded(changes: Changes, **asked: Any) -> dict[str, Any]:
    return json.loads(DIALECT.forwarded(request(**asked), changes))


def test_a_request_is_read_as_a_conversation() -> None:
    read = request(messages=HISTORY)
    call = ModelCall(id="call_A", name="run", args={"cmd": "ls"}, raw='{"cmd":"ls"}')
    assert read.conversation == (
        Said(role="system", text="Be brief."),
        Said(role="user", text="Look\n[image_url]"),
        Said(role="assistant", text="", calls=(call,)),
        Said(role="tool", text="a b", call="call_A"),
    )
    assert read.results == (ToolResult(call="call_A", text="a b"),)


def test_only_the_results_after_the_last_answer_are_new() -> None:
    later = [*HISTORY, {"role": "assistant", "content": "Done"}, {"role": "user", "content": "Thanks"}]
    assert request(messages=later).results == ()


def test_tools_of_every_kind_are_offered() -> None:
    tools = [*TOOLS, {"type": "custom", "custom": {"name": "sh", "description": "Shell."}}]
    read = request(tools=tools, functions=[{"name": "old"}], web_search_options={})
    assert tuple(replace(offer, definition={}) for offer in read.tools) == (
        ToolOffer(name="run", description="Runs it.", schema={"type": "object"}),
        ToolOffer(name="sh", description="Shell."),
        ToolOffer(name="old"),
        ToolOffer(name="web_search", runs_at="provider"),
    )


@pytest.mark.parametrize(
    ("fields", "cap"),
    [
        ({}, None),
        ({"max_tokens": 9}, 9),
        ({"max_completion_tokens": 5, "max_tokens": 9}, 9),
        ({"max_tokens": "x"}, None),
    ],
)
def test_the_higher_cap_counts_since_a_server_may_know_that_one_only(fields: dict[str, Any], cap: int | None) -> None:
    assert request(**fields).output_tokens_max == cap


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[]",
        b"{",
        b"\xff",
        b'{"messages": []}',
        b'{"model": "m"}',
        b'{"model": "m", "messages": [1]}',
        b'{"model": "m", "messages": [], "stream": false, "stream": true}',
        b"[" * 100_000,
    ],
)
def test_what_cannot_be_read_is_refused(raw: bytes) -> None:
    with pytest.raises(BadRequest):
        DIALECT.read(raw)


def test_a_request_that_changes_nothing_goes_out_byte_for_byte() -> None:
    raw = json.dumps(ASKED, indent=3).encode()
    assert DIALECT.forwarded(DIALECT.read(raw), Changes()) == raw


def test_a_stream_is_asked_for_its_usage_although_the_client_does_not() -> None:
    assert forwarded(Changes(), usage=False, stream_options={"x": 1})["stream_options"] == {
        "x": 1,
        "include_usage": True,
    }


@pytest.mark.parametrize(
    ("fields", "sent"),
    [
        ({}, {"max_completion_tokens": 50}),
        ({"max_tokens": 99}, {"max_tokens": 50}),
        ({"max_completion_tokens": 99, "max_tokens": 80}, {"max_completion_tokens": 50, "max_tokens": 50}),
        ({"max_tokens": 7}, {"max_tokens": 7}),
    ],
)
def test_a_cap_lowers_what_the_client_asked_for_and_never_raises_it(
    fields: dict[str, int], sent: dict[str, int]
) -> None:
    body = forwarded(Changes(output_tokens_max=50), **fields)
    assert {key: value for key, value in body.items() if key.startswith("max_")} == sent


def test_an_operators_words_are_appended_as_the_users() -> None:
    body = forwarded(Changes(injected=["Stop deleting."]), messages=HISTORY)
    assert body["messages"] == [*HISTORY, {"role": "user", "content": "Stop deleting."}]


@pytest.mark.parametrize(
    ("content", "noted"),
    [
        ("a b", "Edited.\n\na b"),
        ([{"type": "text", "text": "a"}], [{"type": "text", "text": t} for t in ("Edited.", "a")]),
    ],
)
def test_the_result_of_an_edited_call_says_so(content: Any, noted: Any) -> None:
    messages = [*HISTORY[:3], {"role": "tool", "tool_call_id": "call_A", "content": content}]
    body = forwarded(Changes(edited={"call_A": "Edited.", "other": "x"}), messages=messages)
    assert body["messages"][3]["content"] == noted


def test_a_dropped_tool_is_neither_offered_nor_asked_for() -> None:
    choice = {"type": "function", "function": {"name": "run"}}
    body = forwarded(Changes(drop_tools=frozenset({"run", "web_search"})), tool_choice=choice, web_search_options={})
    assert {"tools", "tool_choice", "web_search_options"} & body.keys() == set()


def test_the_other_tools_stay() -> None:
    tools = [*TOOLS, {"type": "custom", "custom": {"name": "sh"}}]
    body = forwarded(Changes(drop_tools=frozenset({"sh"})), tools=tools, tool_choice="auto")
    assert (body["tools"], body["tool_choice"]) == (TOOLS, "auto")


def test_a_fallback_has_its_own_model() -> None:
    assert forwarded(Changes(model="other"))["model"] == "other"
