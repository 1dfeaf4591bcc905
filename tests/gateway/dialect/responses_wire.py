"""Recorded-style streams of OpenAI Responses, the official client fed from bytes, and requests to answer."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import httpx2
import openai

from opsconsole.gateway.dialect.interface import Request
from opsconsole.gateway.dialect.responses import Responses

DIALECT = Responses()
TOOLS = [
    {"type": "function", "name": "run", "description": "Runs it.", "parameters": {"type": "object"}},
    {"type": "custom", "name": "script"},
    {"type": "shell", "environment": {"type": "local"}},
]
ASKED = {"model": "gpt-5.5", "input": "Wipe the disk ü"}


def request(*, streams: bool = True, **changed: Any) -> Request:
    return DIALECT.read(json.dumps({**ASKED, "tools": TOOLS, "stream": streams, **changed}).encode())


def response(*output: Mapping[str, Any], status: str = "completed", id: str = "resp_1", **more: Any) -> dict[str, Any]:
    usage = {
        "input_tokens": 30,
        "input_tokens_details": {"cached_tokens": 8, "cache_write_tokens": 2},
        "output_tokens": 12,
        "output_tokens_details": {"reasoning_tokens": 5},
        "total_tokens": 42,
    }
    return {
        "id": id,
        "object": "response",
        "created_at": 1795363200,
        "status": status,
        "error": None,
        "incomplete_details": None,
        "model": "gpt-5.5-2026-10-01",
        "output": list(output),
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "service_tier": "default",
        "usage": usage if status in ("completed", "incomplete") else None,
        **more,
    }


REASONING = {"id": "rs_1", "type": "reasoning", "summary": [], "encrypted_content": "sealed"}


def message(words: str, id: str = "msg_1") -> dict[str, Any]:
    content = [{"type": "output_text", "text": words, "annotations": [], "logprobs": []}]
    return {"id": id, "type": "message", "status": "completed", "role": "assistant", "content": content}


def function(call_id: str, arguments: str, name: str = "run") -> dict[str, Any]:
    item = {"id": f"fc_{call_id}", "type": "function_call", "status": "completed", "call_id": call_id}
    return {**item, "name": name, "arguments": arguments}


def custom(call_id: str, given: str) -> dict[str, Any]:
    item = {"id": f"ctc_{call_id}", "type": "custom_tool_call", "status": "completed", "call_id": call_id}
    return {**item, "name": "script", "input": given}


def shell(call_id: str, *commands: str, **more: Any) -> dict[str, Any]:
    item = {"id": f"sh_{call_id}", "type": "shell_call", "status": "completed", "call_id": call_id}
    return {**item, "action": {"commands": list(commands), "timeout_ms": None, "max_output_length": None}, **more}


def events_of(index: int, item: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    place = {"item_id": item.get("id"), "output_index": index}
    kind = item["type"]
    begun = {"message": {"content": []}, "function_call": {"arguments": ""}, "custom_tool_call": {"input": ""}}
    status = {"status": "in_progress"} if "status" in item else {}
    yield {
        "type": "response.output_item.added",
        "output_index": index,
        "item": {**item, **status, **begun.get(kind, {})},
    }
    if kind == "message":
        part = item["content"][0]
        yield {"type": "response.content_part.added", **place, "content_index": 0, "part": {**part, "text": ""}}
        for words in (part["text"][:3], part["text"][3:]):
            delta = {"delta": words, "logprobs": [], "obfuscation": "x"}
            yield {"type": "response.output_text.delta", **place, "content_index": 0, **delta}
        yield {"type": "response.output_text.done", **place, "content_index": 0, "text": part["text"], "logprobs": []}
        yield {"type": "response.content_part.done", **place, "content_index": 0, "part": part}
    if kind == "function_call":
        for piece in (item["arguments"][:4], item["arguments"][4:]):
            yield {"type": "response.function_call_arguments.delta", **place, "delta": piece}
        done = {"name": item["name"], "arguments": item["arguments"]}
        yield {"type": "response.function_call_arguments.done", **place, **done}
    if kind == "custom_tool_call":
        yield {"type": "response.custom_tool_call_input.delta", **place, "delta": item["input"]}
        yield {"type": "response.custom_tool_call_input.done", **place, "input": item["input"]}
    yield {"type": "response.output_item.done", "output_index": index, "item": dict(item)}


def frames(events: Iterable[Mapping[str, Any]]) -> bytes:
    numbered = [{**event, "sequence_number": number} for number, event in enumerate(events)]
    told = (f"event: {event['type']}\ndata: {json.dumps(event, ensure_ascii=False)}\n\n" for event in numbered)
    return "".join(told).encode()


def events(*items: Mapping[str, Any], id: str = "resp_1", ends: str = "completed", **more: Any) -> list[dict[str, Any]]:
    """The events of a whole answer."""
    opening = response(status="in_progress", id=id)
    told: list[dict[str, Any]] = [
        {"type": f"response.{kind}", "response": opening} for kind in ("created", "in_progress")
    ]
    for index, item in enumerate(items):
        told += events_of(index, item)
    return [*told, {"type": f"response.{ends}", "response": response(*items, status=ends, id=id, **more)}]


def stream(*items: Mapping[str, Any], **more: Any) -> bytes:
    return frames(events(*items, **more))


SPOKEN = stream(REASONING, message("Hello wörld"))
CALLED = (REASONING, message("Running ü."), function("call_A", '{"cmd": "rm -rf ü"}'))
ONE_CALL = stream(*CALLED)
TWO_CALLS = stream(message("Both."), function("call_A", '{"cmd":"ls"}'), function("call_B", '{"cmd":"rm"}'))


# -- the official client -----------------------------------------------------------------------------------------------


def client(body: bytes, *, streams: bool, status: int = 200) -> openai.OpenAI:
    kind = "text/event-stream" if streams else "application/json"

    def answered(_: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(status, headers={"content-type": kind}, content=body)

    http = httpx2.Client(transport=httpx2.MockTransport(answered))
    return openai.OpenAI(api_key="none", base_url="http://127.0.0.1:1", http_client=http, max_retries=0)


def read_by_helper(body: bytes) -> dict[str, Any]:
    """What the client's strict accumulator makes of a stream; what it adds up must be what the end says."""
    with client(body, streams=True).responses.stream(**ASKED) as given:  # type: ignore[arg-type]
        told = [event.to_dict(warnings=False) for event in given]
        final = shown(given.get_final_response().to_dict(warnings=False))
    ends = {event["output_index"]: event["item"] for event in told if event["type"] == "response.output_item.done"}
    assert [shown_item(ends[index]) for index in sorted(ends)] == final["output"]
    for index, added in _added_up(told).items():
        assert shown_item(ends[index]) in ({"says": added}, {"runs": added, "id": ends[index].get("call_id")})
    numbers = [event["sequence_number"] for event in told]
    assert numbers == list(range(len(numbers)))
    return final


def _added_up(told: Iterable[Mapping[str, Any]]) -> dict[int, str]:
    """What the deltas of each item make."""
    kinds = ("function_call_arguments", "custom_tool_call_input", "output_text")
    made: dict[int, str] = {}
    for event in told:
        if event["type"] in [f"response.{kind}.delta" for kind in kinds]:
            made[event["output_index"]] = made.get(event["output_index"], "") + event["delta"]
    return made


def read_raw(body: bytes) -> list[dict[str, Any]]:
    given = client(body, streams=True).responses.create(**ASKED, stream=True)  # type: ignore[call-overload]
    return [event.to_dict(warnings=False) for event in given]


def read_plain(body: bytes) -> dict[str, Any]:
    return shown(client(body, streams=False).responses.create(**ASKED).to_dict(warnings=False))  # type: ignore[call-overload]


def shown(whole: dict[str, Any]) -> dict[str, Any]:
    """What tests compare: the id, the items, and the tokens."""
    usage = whole["usage"]
    return {
        "id": whole["id"],
        "output": [shown_item(item) for item in whole["output"]],
        "tokens": (usage["input_tokens"], usage["output_tokens"], usage["total_tokens"]),
    }


def shown_item(item: dict[str, Any]) -> dict[str, Any]:
    """A message as its text, a call as its name and what it runs; anything else as its type."""
    if item["type"] == "message":
        return {"says": "".join(part["text"] for part in item["content"])}
    runs = next((item[key] for key in ("arguments", "input", "action", "operation") if key in item), None)
    return {"runs": runs, "id": item["call_id"]} if "call_id" in item else {"is": item["type"]}
