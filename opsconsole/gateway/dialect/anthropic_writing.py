"""Writes what Anthropic Messages puts on the wire: events, whole answers of an operator, errors; reads nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from opsconsole.gateway.dialect.framing import written_frame
from opsconsole.gateway.dialect.interface import ComposedCall, Counts, Failure, Request
from opsconsole.gateway.dialect.json_text import count, mapping, text, written, written_text

PING = b'event: ping\ndata: {"type": "ping"}\n\n'
ERROR_TYPES: Mapping[int, str] = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
"""The API's own word for a status; any other is an `api_error`."""
DELTA_USAGE = (
    "input_tokens",
    "cache_creation_input_tokens",
    "cache_read_input_tokens",
    "output_tokens",
    "output_tokens_details",
    "server_tool_use",
)
"""What the usage of `message_delta` may carry (types/message_delta_usage.py of the official client)."""
LEAST_USAGE = {"input_tokens": 1, "output_tokens": 1}
"""What a client is shown of an operator's answer: some refuse one that cost nothing. The hub counts none of it."""


def event(body: Mapping[str, Any]) -> bytes:
    """One server-sent event."""
    return written_frame(written(body), text(body.get("type")))


def text_block(index: int, words: str) -> bytes:
    """A whole block of text; `words` is not empty, as the API refuses an empty one in a later request."""
    start = {"type": "text", "text": ""}
    return _block(index, start, {"type": "text_delta", "text": words})


def tool_block(index: int, call: Mapping[str, Any], args: Mapping[str, Any]) -> bytes:
    """A whole call: the `tool_use` block `call` with other arguments."""
    return _block(index, {**call, "input": {}}, arguments_delta(args))


def arguments_delta(args: Mapping[str, Any]) -> dict[str, Any]:
    """All arguments of a call as one delta."""
    return {"type": "input_json_delta", "partial_json": written_text(args)}


def _block(index: int, start: Mapping[str, Any], delta: Mapping[str, Any]) -> bytes:
    return b"".join(
        [
            event({"type": "content_block_start", "index": index, "content_block": start}),
            event({"type": "content_block_delta", "index": index, "delta": delta}),
            event({"type": "content_block_stop", "index": index}),
        ]
    )


def composed(request: Request, *, id: str, words: str, calls: Sequence[ComposedCall]) -> bytes:
    """A whole answer that an operator wrote, streamed or plain as the client asked."""
    content: list[dict[str, Any]] = [{"type": "text", "text": words}] if words.strip() else []
    content += [{"type": "tool_use", "id": call.id, "name": call.name, "input": dict(call.args)} for call in calls]
    message = {
        "id": id,
        "type": "message",
        "role": "assistant",
        "model": request.model,
        "content": content,
        "stop_reason": "tool_use" if calls else "end_turn",
        "stop_sequence": None,
        "usage": LEAST_USAGE,
    }
    return streamed(message) if request.streams else written(message)


def streamed(message: Mapping[str, Any]) -> bytes:
    """A whole message of text and calls as the events of a stream."""
    opening = {**message, "content": [], "stop_reason": None, "stop_sequence": None}
    parts = [event({"type": "message_start", "message": opening})]
    for index, block in enumerate(message["content"]):
        words = block["type"] == "text"
        parts.append(text_block(index, block["text"]) if words else tool_block(index, block, block["input"]))
    delta = {"stop_reason": message["stop_reason"], "stop_sequence": message["stop_sequence"]}
    parts.append(event({"type": "message_delta", "delta": delta, "usage": {"output_tokens": 1}}))
    parts.append(event({"type": "message_stop"}))
    return b"".join(parts)


def error(failure: Failure) -> bytes:
    """An error body."""
    return written(_error(failure))


def error_event(failure: Failure) -> bytes:
    """The event that makes the official clients raise in the middle of a stream."""
    return written_frame(written(_error(failure)), "error")


def _error(failure: Failure) -> dict[str, Any]:
    kind = ERROR_TYPES.get(failure.status, "api_error")
    return {"type": "error", "error": {"type": kind, "message": failure.message, "code": failure.code}}


def counts_of(usage: Mapping[str, Any]) -> Counts:
    """Tokens; the API's `input_tokens` are those beside the cache."""
    read, wrote = count(usage.get("cache_read_input_tokens")), count(usage.get("cache_creation_input_tokens"))
    return Counts(
        input_tokens=count(usage.get("input_tokens")) + read + wrote,
        output_tokens=count(usage.get("output_tokens")),
        cache_read_tokens=read,
        cache_write_tokens=wrote,
        cache_write_1h_tokens=count(mapping(usage.get("cache_creation")).get("ephemeral_1h_input_tokens")),
        reasoning_tokens=count(mapping(usage.get("output_tokens_details")).get("thinking_tokens")),
        web_searches=count(mapping(usage.get("server_tool_use")).get("web_search_requests")),
        service_tier=text(usage.get("service_tier")),
        speed=text(usage.get("speed")),
        region=text(usage.get("inference_geo")),
    )
