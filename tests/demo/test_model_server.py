"""The scripted model speaks the real Chat Completions API, as that API's own client package and ours both find."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from threading import Thread
from typing import Any

import httpx
import openai
import pytest

from opsconsole.demo.model_client import ModelClient
from opsconsole.demo.model_server import BODY_BYTES_MAX, REQUESTS_PER_MINUTE, ModelServer

MESSAGES: list[Any] = [{"role": "user", "content": "Stock question 1"}]


@pytest.fixture
def server() -> Iterator[ModelServer]:
    server = ModelServer(pace=0)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def client(server: ModelServer) -> Iterator[openai.OpenAI]:
    http = httpx.Client(trust_env=False)
    with openai.OpenAI(base_url=server.url, api_key="demo", max_retries=0, http_client=http) as client:
        yield client


def ask(client: openai.OpenAI, agent: str, messages: list[Any] | None = None, **more: Any) -> Any:
    return client.chat.completions.create(
        model="gpt-4o-mini", messages=messages or MESSAGES, metadata={"agent": agent}, **more
    )


def turns(count: int) -> list[Any]:
    """A conversation in which the model has spoken so often."""
    said = [{"role": "assistant", "content": "…"}, {"role": "user", "content": "and?"}]
    return MESSAGES + said * count


def test_a_completion_carries_words_a_call_usage_and_a_fingerprint(client: openai.OpenAI) -> None:
    completion = ask(client, "looper")
    message = completion.choices[0].message
    (call,) = message.tool_calls
    assert message.content == "I look up the stock."
    assert (call.function.name, json.loads(call.function.arguments)) == (
        "http_get_status",
        {"path": "/inventory/sku-4711"},
    )
    assert completion.choices[0].finish_reason == "tool_calls"
    assert (completion.model, completion.system_fingerprint[:3]) == ("gpt-4o-mini", "fp_")
    assert completion.usage.total_tokens == completion.usage.prompt_tokens + completion.usage.completion_tokens > 0


def test_a_stream_spells_the_same_answer(client: openai.OpenAI) -> None:
    whole = ask(client, "looper")
    chunks = list(ask(client, "looper", stream=True))
    deltas = [chunk.choices[0].delta for chunk in chunks]
    calls = [call for delta in deltas for call in delta.tool_calls or ()]
    assert "".join(delta.content or "" for delta in deltas) == whole.choices[0].message.content
    assert calls[0].function.name == "http_get_status"
    assert "".join(call.function.arguments for call in calls) == (
        whole.choices[0].message.tool_calls[0].function.arguments
    )
    assert chunks[-1].choices[0].finish_reason == "tool_calls"


def test_a_stream_ends_with_usage_where_it_is_asked_for(client: openai.OpenAI) -> None:
    *others, last = ask(client, "looper", stream=True, stream_options={"include_usage": True})
    assert ([chunk.usage for chunk in others], last.choices) == ([None] * len(others), [])
    assert last.usage.completion_tokens > 0


def test_hidden_thoughts_are_counted_and_not_sent(client: openai.OpenAI) -> None:
    usage = ask(client, "spender").usage
    assert usage.completion_tokens_details.reasoning_tokens == 6_000
    assert usage.completion_tokens > 6_000


def test_a_scripted_fault_is_a_rate_limit_once(client: openai.OpenAI) -> None:
    with pytest.raises(openai.RateLimitError) as caught:
        ask(client, "looper", turns(5))
    assert caught.value.response.headers["Retry-After"] == "1"
    assert ask(client, "looper", turns(5)).choices[0].message.tool_calls


def test_an_answer_says_how_many_requests_are_left_whether_refused_or_given(server: ModelServer) -> None:
    headers, left = {"Authorization": "Bearer demo"}, []
    for stream in (False, True):
        body = {"model": "m", "messages": [{"role": "user", "content": "hello"}], "stream": stream}
        answer = httpx.post(f"{server.url}/chat/completions", json=body, headers=headers, trust_env=False)
        left.append(int(answer.headers["x-ratelimit-remaining-requests"]))
    assert left == [REQUESTS_PER_MINUTE - 1, REQUESTS_PER_MINUTE - 2]


def test_a_scripted_fault_may_be_the_servers(client: openai.OpenAI) -> None:
    with pytest.raises(openai.InternalServerError, match="on purpose"):
        ask(client, "planner", turns(1))


def test_a_request_without_a_key_is_refused(server: ModelServer) -> None:
    answer = httpx.post(f"{server.url}/chat/completions", json={"model": "m", "messages": []}, trust_env=False)
    assert (answer.status_code, answer.json()["error"]["type"]) == (401, "invalid_request_error")


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"model": "m"}', b'{"model": "m", "messages": ["x"]}', b"\xff"])
def test_a_malformed_request_is_refused(server: ModelServer, body: bytes) -> None:
    headers = {"Authorization": "Bearer demo"}
    answer = httpx.post(f"{server.url}/chat/completions", content=body, headers=headers, trust_env=False)
    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "invalid_request_error")


def test_an_oversized_request_is_refused_unread(server: ModelServer) -> None:
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: {BODY_BYTES_MAX + 1}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.server_port), timeout=10) as raw:
        raw.sendall(head.encode())
        answer = raw.makefile("rb").read()
    assert answer.startswith(b"HTTP/1.1 413 ")


def test_an_unknown_endpoint_is_told_so(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError):
        client.embeddings.create(model="m", input="x")


async def test_our_client_gathers_what_the_other_client_reads(server: ModelServer, client: openai.OpenAI) -> None:
    heard: list[str] = []
    async with ModelClient(agent="looper", base_url=server.url, api_key="demo") as ours:
        completion = await ours.complete({"model": "gpt-4o-mini", "messages": MESSAGES}, heard.append)
    theirs = ask(client, "looper")
    message = completion["choices"][0]["message"]
    assert message["content"] == "".join(heard) == theirs.choices[0].message.content
    assert [call["function"]["name"] for call in message["tool_calls"]] == ["http_get_status"]
    assert completion["choices"][0]["finish_reason"] == "tool_calls"
    assert completion["usage"]["completion_tokens"] == theirs.usage.completion_tokens


async def test_our_client_tries_again_after_a_rate_limit(server: ModelServer) -> None:
    async with ModelClient(agent="looper", base_url=server.url, api_key="demo") as ours:
        completion = await ours.complete({"model": "gpt-4o-mini", "messages": turns(5)})
    assert completion["choices"][0]["message"]["tool_calls"]
