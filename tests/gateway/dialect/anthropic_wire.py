"""Recorded-style streams of Anthropic Messages, the official client fed from bytes, and a driver of one answer."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Any

import anthropic
import httpx2

from opsconsole.gateway.dialect.anthropic import AnthropicMessages
from opsconsole.gateway.dialect.interface import Answer, Held, Pass, Piece, Request

DIALECT = AnthropicMessages()
TOOLS = [{"name": "run", "description": "Runs it.", "input_schema": {"type": "object"}}]
ASKED = {"model": "claude-opus-5", "max_tokens": 4096, "messages": [{"role": "user", "content": "Wipe the disk ü"}]}


def request(*, streams: bool = True, **changed: Any) -> Request:
    return DIALECT.read(json.dumps({**ASKED, "tools": TOOLS, "stream": streams, **changed}).encode())


def event(body: Mapping[str, Any]) -> bytes:
    return f"event: {body['type']}\ndata: {json.dumps(body, ensure_ascii=False)}\n\n".encode()


def start(id: str = "msg_1", **usage: int) -> bytes:
    counts = {"input_tokens": 10, "cache_creation_input_tokens": 3, "cache_read_input_tokens": 4, "output_tokens": 1}
    message = {
        "id": id,
        "type": "message",
        "role": "assistant",
        "model": "claude-opus-5-20260801",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {**counts, "service_tier": "standard", **usage},
    }
    return event({"type": "message_start", "message": message})


def block(index: int, content: Mapping[str, Any], *deltas: Mapping[str, Any]) -> bytes:
    body = event({"type": "content_block_start", "index": index, "content_block": content})
    for delta in deltas:
        body += event({"type": "content_block_delta", "index": index, "delta": delta})
    return body + event({"type": "content_block_stop", "index": index})


def text(index: int, *words: str) -> bytes:
    return block(index, {"type": "text", "text": ""}, *({"type": "text_delta", "text": word} for word in words))


def thinking(index: int, words: str, signature: str = "sig-1") -> bytes:
    deltas = ({"type": "thinking_delta", "thinking": words}, {"type": "signature_delta", "signature": signature})
    return block(index, {"type": "thinking", "thinking": "", "signature": ""}, *deltas)


def call(index: int, id: str, *pieces: str, name: str = "run") -> bytes:
    content = {"type": "tool_use", "id": id, "name": name, "input": {}}
    return block(index, content, *({"type": "input_json_delta", "partial_json": piece} for piece in pieces))


def stop(reason: str = "tool_use", output_tokens: int = 20) -> bytes:
    delta = {"stop_reason": reason, "stop_sequence": None}
    return event({"type": "message_delta", "delta": delta, "usage": {"output_tokens": output_tokens}}) + event(
        {"type": "message_stop"}
    )


SPOKEN = start() + event({"type": "ping"}) + text(0, "Hello ", "wörld") + stop("end_turn")
ONE_CALL = (
    start() + thinking(0, "I must.") + text(1, "Running ü.") + call(2, "toolu_A", '{"cmd": "rm', ' -rf ü"}') + stop()
)
TWO_CALLS = (
    start() + text(0, "Both.") + call(1, "toolu_A", '{"cmd":"ls"}') + call(2, "toolu_B", '{"cmd":"rm"}') + stop()
)


def plain(*content: Mapping[str, Any], reason: str = "tool_use", id: str = "msg_1") -> bytes:
    body = {
        "id": id,
        "type": "message",
        "role": "assistant",
        "model": "claude-opus-5-20260801",
        "content": list(content),
        "stop_reason": reason,
        "stop_sequence": None,
        "usage": {"input_tokens": 10, "output_tokens": 20},
    }
    return json.dumps(body, indent=1).encode()


WORDS = {"type": "text", "text": "Both."}
CALL_A = {"type": "tool_use", "id": "toolu_A", "name": "run", "input": {"cmd": "ls"}}
CALL_B = {"type": "tool_use", "id": "toolu_B", "name": "run", "input": {"cmd": "rm"}}


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


def client(body: bytes, *, streams: bool, status: int = 200) -> anthropic.Anthropic:
    kind = "text/event-stream" if streams else "application/json"

    def answered(_: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(status, headers={"content-type": kind}, content=body)

    transport = httpx2.MockTransport(answered)
    http = httpx2.Client(transport=transport)
    return anthropic.Anthropic(api_key="none", base_url="http://127.0.0.1:1", http_client=http, max_retries=0)


def read_by_helper(body: bytes) -> dict[str, Any]:
    """What the client's accumulator makes of a stream."""
    with client(body, streams=True).messages.stream(**ASKED) as stream:  # type: ignore[arg-type]
        return shown(stream.get_final_message().to_dict())


def read_raw(body: bytes) -> list[dict[str, Any]]:
    """The events of a stream as the client gives them."""
    stream = client(body, streams=True).messages.create(**ASKED, stream=True)  # type: ignore[call-overload]
    return [event.to_dict() for event in stream]


def read_plain(body: bytes) -> dict[str, Any]:
    return shown(client(body, streams=False).messages.create(**ASKED).to_dict())  # type: ignore[call-overload]


def shown(message: dict[str, Any]) -> dict[str, Any]:
    """What tests compare: the id, the content, why it stopped, and the tokens."""
    usage = message["usage"]
    return {
        "id": message["id"],
        "content": [
            {key: value for key, value in block.items() if value is not None and key != "parsed_output"}
            for block in message["content"]
        ],
        "stop": message["stop_reason"],
        "tokens": (usage["input_tokens"], usage["output_tokens"]),
    }
