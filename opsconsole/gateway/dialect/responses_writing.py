"""Writes what OpenAI Responses puts on the wire: items as events, an operator's answers, errors; reads no answer."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from opsconsole.gateway.dialect.framing import written_frame
from opsconsole.gateway.dialect.interface import ComposedCall, Counts, Failure, Request
from opsconsole.gateway.dialect.json_text import count, listed, mapping, read_object, text, written
from opsconsole.gateway.dialect.responses_items import (
    HELD_IN,
    OWN_NAMES,
    Item,
    note_item,
    with_arguments,
)
from opsconsole.gateway.dialect.responses_request import tool_name

NUMBER = re.compile(rb'"sequence_number":\s*(\d+)')
ERROR_TYPES: Mapping[int, str] = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
}
"""The API's own word for a status; any other is a `server_error`."""
COMPUTERS = ("computer", "computer_use_preview", "computer-preview")
"""The types of tools that a `computer_call` goes to."""
LEAST_USAGE = {
    "input_tokens": 1,
    "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
    "output_tokens": 1,
    "output_tokens_details": {"reasoning_tokens": 0},
    "total_tokens": 2,
}
"""What a client is shown of an operator's answer: some refuse one that cost nothing. The hub counts none of it."""

Event = dict[str, Any]


def event(body: Mapping[str, Any]) -> bytes:
    """One server-sent event."""
    return written_frame(written(body), text(body.get("type")))


def numbered(raw: bytes, number: int) -> bytes:
    """The frame under another sequence number, nothing else of it changed where the number can be told apart."""
    found = NUMBER.findall(raw)
    if not found or (len(found) == 1 and int(found[0]) == number):
        return raw
    if len(found) == 1:
        return NUMBER.sub(b'"sequence_number":%d' % number, raw)
    data = b"\n".join(line[5:].strip() for line in raw.splitlines() if line.startswith(b"data:"))
    return event({**read_object(data, "an event"), "sequence_number": number})


def item_events(index: int, item: Item) -> Iterator[Event]:
    """A whole item as the events of a stream, yet without numbers."""
    yield {"type": "response.output_item.added", "output_index": index, "item": _begun(item)}
    place = {"item_id": item.get("id"), "output_index": index}
    yield from _message_events(place, item) if item["type"] == "message" else _argument_events(place, item)
    yield {"type": "response.output_item.done", "output_index": index, "item": dict(item)}


def _begun(item: Item) -> dict[str, Any]:
    """The item as it begins: what its events bring is not there yet."""
    empty: Mapping[str, dict[str, Any]] = {
        "message": {"content": []},
        "function_call": {"arguments": ""},
        "custom_tool_call": {"input": ""},
    }
    status = {"status": "in_progress"} if "status" in item else {}
    return {**item, **status, **empty.get(item["type"], {})}


def _message_events(place: Event, item: Item) -> Iterator[Event]:
    for at, part in enumerate(item["content"]):
        there = {**place, "content_index": at}
        yield {"type": "response.content_part.added", **there, "part": {**part, "text": ""}}
        yield {"type": "response.output_text.delta", **there, "delta": part["text"], "logprobs": []}
        yield {"type": "response.output_text.done", **there, "text": part["text"], "logprobs": []}
        yield {"type": "response.content_part.done", **there, "part": part}


def _argument_events(place: Event, item: Item) -> Iterator[Event]:
    if item["type"] == "function_call":
        yield {"type": "response.function_call_arguments.delta", **place, "delta": item["arguments"]}
        named = {"name": item.get("name")}
        yield {"type": "response.function_call_arguments.done", **place, **named, "arguments": item["arguments"]}
    elif item["type"] == "custom_tool_call":
        yield {"type": "response.custom_tool_call_input.delta", **place, "delta": item["input"]}
        yield {"type": "response.custom_tool_call_input.done", **place, "input": item["input"]}


def made_response(request: Request, id: str) -> dict[str, Any]:
    """A response that has begun, as far as a client looks at it."""
    body = request.body
    return {
        "id": id,
        "object": "response",
        "created_at": 0,
        "status": "in_progress",
        "error": None,
        "incomplete_details": None,
        "instructions": body.get("instructions"),
        "metadata": body.get("metadata") or {},
        "model": request.model,
        "output": [],
        "parallel_tool_calls": body.get("parallel_tool_calls", True),
        "previous_response_id": body.get("previous_response_id"),
        "temperature": body.get("temperature", 1.0),
        "tool_choice": body.get("tool_choice") or "auto",
        "tools": body.get("tools") or [],
        "top_p": body.get("top_p", 1.0),
        "usage": None,
    }


def composed(request: Request, *, id: str, words: str, calls: Sequence[ComposedCall]) -> bytes:
    """A whole answer that an operator wrote, streamed or plain as the client asked."""
    items = composed_items(request, id=id, words=words, calls=calls)
    opening = made_response(request, id)
    whole = {**opening, "status": "completed", "output": items, "usage": LEAST_USAGE}
    if not request.streams:
        return written(whole)
    events = [{"type": f"response.{state}", "response": opening} for state in ("created", "in_progress")]
    events += [told for index, item in enumerate(items) for told in item_events(index, item)]
    events.append({"type": "response.completed", "response": whole})
    return b"".join(event({**told, "sequence_number": number}) for number, told in enumerate(events))


def composed_items(request: Request, *, id: str, words: str, calls: Sequence[ComposedCall]) -> list[dict[str, Any]]:
    """What it says."""
    items: list[dict[str, Any]] = [note_item(id, words)] if words.strip() else []
    return items + [composed_item(request, call) for call in calls]


def composed_item(request: Request, call: ComposedCall) -> dict[str, Any]:
    """The call as an item of the type that the offered tool wants; a function's where none is offered."""
    for tool in map(mapping, listed(request.body.get("tools"))):
        within = tool_name(tool) if tool.get("type") == "namespace" else ""
        for inner in map(mapping, listed(tool.get("tools")) if within else [tool]):
            name = tool_name(inner)
            if call.name == (f"{within}.{name}" if within else name):
                return _composed_item(text(inner.get("type")), name, within, call)
    return _composed_item("function", call.name, "", call)


def _composed_item(kind: str, name: str, within: str, call: ComposedCall) -> dict[str, Any]:
    kind = "computer" if kind in COMPUTERS else kind
    own = next((own for own, offered in OWN_NAMES.items() if offered == kind), "")
    item: dict[str, Any] = {"id": f"fc_{call.id}", "call_id": call.id, "status": "completed"}
    if own:
        more: dict[str, Any] = {"pending_safety_checks": []} if own not in HELD_IN else {}
        return with_arguments({**item, "type": own}, {**more, **call.args})
    item |= {"type": "custom_tool_call" if kind == "custom" else "function_call", "name": name}
    return with_arguments({**item, "namespace": within} if within else item, call.args)


def error(failure: Failure) -> bytes:
    """An error body."""
    return written({"error": _error(failure)})


def error_event(failure: Failure, number: int) -> bytes:
    """The event that makes the official clients raise in the middle of a stream: they look for `error` in it."""
    told = _error(failure)
    flat = {"code": failure.code, "message": failure.message, "param": None}
    return event({"type": "error", "sequence_number": number, **flat, "error": told})


def _error(failure: Failure) -> dict[str, Any]:
    kind = ERROR_TYPES.get(failure.status, "server_error")
    return {"message": failure.message, "type": kind, "param": None, "code": failure.code}


def counts_of(response: Mapping[str, Any]) -> Counts:
    """Tokens; the API's `input_tokens` are all of them, with the cache."""
    usage = mapping(response.get("usage"))
    cached = mapping(usage.get("input_tokens_details"))
    return Counts(
        input_tokens=count(usage.get("input_tokens")),
        output_tokens=count(usage.get("output_tokens")),
        cache_read_tokens=count(cached.get("cached_tokens")),
        cache_write_tokens=count(cached.get("cache_write_tokens")),
        reasoning_tokens=count(mapping(usage.get("output_tokens_details")).get("reasoning_tokens")),
        service_tier=text(response.get("service_tier")),
    )
