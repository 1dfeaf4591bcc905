"""The scripted upstream refuses what the real APIs refuse, and says so in their words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.support.model_script import Call, Delivery, Fault, Script, Turn, mark, plain, script_from
from tests.support.model_upstream import PATIENCE_SECONDS, RunningUpstream, running_upstream

OPENAI = {"authorization": "Bearer k"}
ANTHROPIC = {"x-api-key": "k", "anthropic-version": "2023-06-01"}
CHAT, RESPONSES, MESSAGES = "/v1/chat/completions", "/v1/responses", "/v1/messages"
USER = {"role": "user", "content": "hi"}
CALLING = {
    "role": "assistant",
    "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "a", "arguments": "{}"}}],
}
USING = {"role": "assistant", "content": [{"type": "tool_use", "id": "c1", "name": "a", "input": {}}]}
RESULT = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c1", "content": "ok"}]}
CALLED = {"type": "function_call", "call_id": "c1", "name": "a", "arguments": "{}"}
OUTPUT = {"type": "function_call_output", "call_id": "c1", "output": "ok"}
THOUGHT = {"type": "reasoning", "id": "rs_1", "summary": []}
TOLD = {"type": "thinking", "thinking": "hm", "signature": "forged"}


@pytest.fixture(scope="module")
def upstream() -> Iterator[RunningUpstream]:
    with running_upstream() as running:
        yield running


def ask(upstream: RunningUpstream, path: str, headers: dict[str, str] | None = None, **body: Any) -> httpx.Response:
    more = {"max_tokens": 10} if path == MESSAGES else {}
    known = ANTHROPIC if path == MESSAGES else OPENAI
    asked = {"model": "m", **more, **body}
    sent = {"json": asked, "headers": headers or known, "timeout": PATIENCE_SECONDS}
    return httpx.post(upstream.url + path, trust_env=False, **sent)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("path", "body", "said"),
    [
        (CHAT, {"messages": [USER, CALLING]}, "did not have response messages: c1"),
        (CHAT, {"messages": [USER, CALLING, USER]}, "must be followed by tool messages"),
        (CHAT, {"messages": [USER, {"role": "tool", "tool_call_id": "c1", "content": ""}]}, "must be a response to a"),
        (CHAT, {"messages": []}, "too short"),
        (RESPONSES, {"input": [USER, CALLED]}, "No tool output found for function call c1."),
        (RESPONSES, {"input": [USER, OUTPUT]}, "No tool call found for function call output with call_id c1."),
        (RESPONSES, {"input": [USER, THOUGHT, USER]}, "without its required following item"),
        (RESPONSES, {"input": "hi", "previous_response_id": "resp_x"}, "'resp_x' not found"),
        (MESSAGES, {"messages": [USER, USING]}, "without `tool_result` blocks immediately after: c1"),
        (MESSAGES, {"messages": [USER, USING, USER]}, "without `tool_result` blocks immediately after: c1"),
        (MESSAGES, {"messages": [USER, RESULT]}, "unexpected `tool_use_id` found in `tool_result` blocks: c1"),
        (MESSAGES, {"messages": [{"role": "user", "content": ""}]}, "text content blocks must be non-empty"),
        (MESSAGES, {"messages": [USER, {"role": "assistant", "content": [TOLD]}]}, "Invalid `signature`"),
    ],
)
def test_a_history_that_the_api_refuses_is_refused(
    upstream: RunningUpstream, path: str, body: dict[str, Any], said: str
) -> None:
    answer = ask(upstream, path, **body)
    assert (answer.status_code, said in answer.json()["error"]["message"]) == (400, True), answer.text


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (CHAT, {"messages": [USER, CALLING, {"role": "tool", "tool_call_id": "c1", "content": "ok"}, USER]}),
        (RESPONSES, {"input": [USER, THOUGHT, CALLED, OUTPUT]}),
        (MESSAGES, {"messages": [USER, USING, RESULT]}),
    ],
)
def test_a_history_whose_calls_have_their_results_is_answered(
    upstream: RunningUpstream, path: str, body: dict[str, Any]
) -> None:
    assert ask(upstream, path, **body).status_code == 200


def test_a_request_without_a_key_is_refused(upstream: RunningUpstream) -> None:
    assert ask(upstream, CHAT, headers={"x": "y"}, messages=[USER]).status_code == 401


def test_a_remembered_answer_can_be_continued_only_with_its_results(upstream: RunningUpstream) -> None:
    upstream.script("stored", Turn(calls=[Call(name="a", id="c9")]), Turn(text="Done."))
    first = ask(upstream, RESPONSES, input=mark("stored")).json()
    refused = ask(upstream, RESPONSES, input=[USER], previous_response_id=first["id"])
    answered = ask(upstream, RESPONSES, input=[OUTPUT | {"call_id": "c9"}], previous_response_id=first["id"])
    assert (refused.status_code, answered.json()["output"][0]["content"][0]["text"]) == (400, "Done.")


def test_faults_come_with_their_headers_and_every_request_is_kept(upstream: RunningUpstream) -> None:
    upstream.script("busy", Turn(fault=Fault(status=529, headers={"retry-after": "3"})), Turn(text="Done."))
    messages = [{"role": "user", "content": mark("busy")}]
    busy, answered = ask(upstream, MESSAGES, messages=messages), ask(upstream, MESSAGES, messages=messages)
    assert (busy.status_code, busy.headers["retry-after"]) == (529, "3")
    assert busy.json()["error"]["type"] == "overloaded_error"
    assert answered.json()["content"] == [{"type": "text", "text": "Done."}]
    assert [seen.status for seen in upstream.calls("busy")] == [529, 200]


def test_a_script_survives_its_way_through_json() -> None:
    turn = Turn(calls=[Call(name="a", args={"b": 1})], fault=Fault(status=429), delivery=Delivery(cut="torn"))
    assert script_from(plain(Script(turns=[turn]))) == Script(turns=[turn])


def test_the_quick_answer_is_the_slow_one() -> None:
    with running_upstream(quick=True) as quick, running_upstream() as slow:
        for more in ({}, {"stream": True}):
            texts = [ask(one, CHAT, messages=[USER], **more).text for one in (quick, slow, quick)]
            assert "世界" in texts[0] or "\\u4e16" in texts[0]
            assert texts[0] == texts[2]
            assert texts[0].count("data:") == texts[1].count("data:")
