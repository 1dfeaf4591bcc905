"""Recorded-style answers of Chat Completions, the official client fed from bytes, and a driver of one answer."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Any

import httpx2
import openai
from openai.lib.streaming.chat import ChatCompletionStreamState

from opsconsole.gateway.dialect.chat import Chat
from opsconsole.gateway.dialect.interface import Answer, Held, Pass, Piece, Request

DIALECT = Chat()
TOOLS = [{"type": "function", "function": {"name": "run", "description": "Runs it.", "parameters": {"type": "object"}}}]
ASKED = {"model": "gpt-5", "messages": [{"role": "user", "content": "Wipe the disk ü"}]}
OPENING = {
    "id": "chatcmpl-A",
    "object": "chat.completion.chunk",
    "created": 1_760_000_000,
    "model": "gpt-5-2026-08-01",
    "service_tier": "default",
    "system_fingerprint": "fp_1",
}
USAGE = {
    "prompt_tokens": 10,
    "completion_tokens": 20,
    "total_tokens": 30,
    "prompt_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 3},
    "completion_tokens_details": {"reasoning_tokens": 5},
}
DONE = b"data: [DONE]\n\n"


def request(*, streams: bool = True, usage: bool = True, **changed: Any) -> Request:
    options = {"stream_options": {"include_usage": True}} if usage and streams else {}
    return DIALECT.read(json.dumps({**ASKED, "tools": TOOLS, "stream": streams, **options, **changed}).encode())


def frame(body: Mapping[str, Any]) -> bytes:
    return f"data: {json.dumps(body, ensure_ascii=False)}\n\n".encode()


def chunk(delta: Mapping[str, Any], finish: str | None = None, *, index: int = 0, **opening: Any) -> bytes:
    choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish}
    return frame({**OPENING, **opening, "choices": [choice], "usage": None})


def role(**opening: Any) -> bytes:
    return chunk({"role": "assistant", "content": "", "refusal": None}, **opening)


def words(*texts: str, **opening: Any) -> bytes:
    return b"".join(chunk({"content": text}, **opening) for text in texts)


def call(place: int, id: str, *pieces: str, name: str = "run", index: int = 0) -> bytes:
    opening = {"index": place, "id": id, "type": "function", "function": {"name": name, "arguments": ""}}
    deltas = [{"index": place, "function": {"arguments": piece}} for piece in pieces]
    return b"".join(chunk({"tool_calls": [each]}, index=index) for each in (opening, *deltas))


def stop(reason: str = "tool_calls", **opening: Any) -> bytes:
    return chunk({}, reason, **opening) + frame({**OPENING, **opening, "choices": [], "usage": USAGE}) + DONE


SPOKEN = role() + words("Hello ", "wörld", " 🙂") + stop("stop")
ONE_CALL = role() + words("Running ü.") + call(0, "call_A", '{"cmd": "rm', ' -rf ü"}') + stop()
TWO_CALLS = role() + words("Both.") + call(0, "call_A", '{"cmd":"ls"}') + call(1, "call_B", '{"cmd":"rm"}') + stop()
OPENED_BY_A_CALL = (
    chunk(
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"index": 0, "id": "call_A", "type": "function", "function": {"name": "run", "arguments": ""}}
            ],
        }
    )
    + chunk({"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]})
    + stop()
)
SECOND = (
    role(id="chatcmpl-B", created=1_760_000_009)
    + words("I ", "will not.", id="chatcmpl-B", created=1_760_000_009)
    + stop("stop", id="chatcmpl-B", created=1_760_000_009)
)


def function_entry(id: str, arguments: str, name: str = "run") -> dict[str, Any]:
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}


def plain(message: Mapping[str, Any], reason: str = "tool_calls", **changed: Any) -> bytes:
    choice = {"index": 0, "message": {"role": "assistant", "content": None, **message}, "finish_reason": reason}
    body = {**OPENING, "object": "chat.completion", "choices": [choice], "usage": USAGE, **changed}
    return json.dumps(body, indent=1).encode()


PLAIN_SPOKEN = plain({"content": "Hello wörld"}, "stop")
PLAIN_TWO_CALLS = plain(
    {"content": "Both.", "tool_calls": [function_entry("call_A", '{"cmd": "ls"}'), function_entry("call_B", "{}")]}
)


# -- one answer, driven ------------------------------------------------------------------------------------------------


def fed(answer: Answer, data: bytes, cuts: Iterable[int] = ()) -> list[Piece]:
    """Everything the answer gives, fed in pieces that end at `cuts`, and ended."""
    places = [0, *sorted(cuts), len(data)]
    pieces = [piece for a, b in pairwise(places) for piece in answer.feed(data[a:b])]
    return pieces + answer.end()


def passed(pieces: Iterable[Piece]) -> bytes:
    return b"".join(piece.data for piece in pieces if isinstance(piece, Pass))


def held(pieces: Iterable[Piece]) -> Held:
    return next(piece for piece in pieces if isinstance(piece, Held))


# -- the official client -----------------------------------------------------------------------------------------------


def client(body: bytes, *, streams: bool, status: int = 200) -> openai.OpenAI:
    kind = "text/event-stream" if streams else "application/json"

    def answered(_: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(status, headers={"content-type": kind}, content=body)

    http = httpx2.Client(transport=httpx2.MockTransport(answered))
    return openai.OpenAI(api_key="none", base_url="http://127.0.0.1:1/v1", http_client=http, max_retries=0)


def read_by_helper(body: bytes, tools: Any = TOOLS) -> dict[str, Any]:
    """What the client's `.stream()` makes of a stream."""
    with client(body, streams=True).chat.completions.stream(**ASKED, tools=tools) as stream:  # type: ignore[arg-type]
        return shown(stream.get_final_completion().to_dict())


def read_raw(body: bytes) -> dict[str, Any]:
    """What the client's accumulator makes of the chunks of `create(stream=True)`."""
    state: ChatCompletionStreamState[Any] = ChatCompletionStreamState()
    for each in client(body, streams=True).chat.completions.create(**ASKED, stream=True):  # type: ignore[call-overload]
        state.handle_chunk(each)
    return shown(state.get_final_completion().to_dict())


def read_plain(body: bytes) -> dict[str, Any]:
    return shown(client(body, streams=False).chat.completions.create(**ASKED).to_dict())  # type: ignore[call-overload]


def shown(completion: dict[str, Any]) -> dict[str, Any]:
    """What tests compare: the id, and of the first choice its role, words, calls and why it stopped; and the tokens."""
    message = completion["choices"][0]["message"]
    usage = completion.get("usage") or {}
    return {
        "id": completion["id"],
        "role": message.get("role"),
        "content": message.get("content"),
        "calls": [
            (
                entry["id"],
                entry[entry["type"]]["name"],
                entry[entry["type"]].get("arguments", entry[entry["type"]].get("input")),
            )
            for entry in message.get("tool_calls") or []
        ],
        "stop": completion["choices"][0]["finish_reason"],
        "tokens": (usage.get("prompt_tokens"), usage.get("completion_tokens")),
    }
