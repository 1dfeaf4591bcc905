"""A scripted turn in OpenAI Responses, and what that API refuses of a history; it sends nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tests.support.model_chat import failure
from tests.support.model_script import Call, Play, Refused, Turn, in_turns, pieces

PREFIX = "call_"
CALLS = {
    "function_call": "function call",
    "custom_tool_call": "custom tool call",
    "local_shell_call": "local shell call",
    "shell_call": "shell call",
    "apply_patch_call": "apply patch call",
    "computer_call": "computer call",
}
"""Item types whose result the next request must bring."""

ECHOED = (
    "instructions",
    "max_output_tokens",
    "max_tool_calls",
    "metadata",
    "parallel_tool_calls",
    "previous_response_id",
    "prompt_cache_key",
    "reasoning",
    "safety_identifier",
    "store",
    "temperature",
    "text",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "truncation",
    "user",
)
"""Parameters that an answer repeats."""

DEFAULTS: Mapping[str, Any] = {
    "metadata": {},
    "parallel_tool_calls": True,
    "reasoning": {"effort": None, "summary": None},
    "store": True,
    "temperature": 1.0,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_logprobs": 0,
    "top_p": 1.0,
    "truncation": "disabled",
}


def items_of(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The input as items."""
    given = body.get("input")
    if isinstance(given, str):
        return [{"type": "message", "role": "user", "content": given}]
    return list(given or ())


def check(body: Mapping[str, Any], memory: Mapping[str, Sequence[dict[str, Any]]]) -> list[dict[str, Any]]:
    """The whole conversation with what upstream remembers. Raises: Refused, as the API does."""
    if not body.get("model"):
        raise Refused(400, "Missing required parameter: 'model'.", param="model", code="missing_required_parameter")
    previous = body.get("previous_response_id")
    if previous is not None and previous not in memory:
        text = f"Previous response with id '{previous}' not found."
        raise Refused(400, text, param="previous_response_id", code="previous_response_not_found")
    items = [*memory.get(previous or "", ()), *items_of(body)]
    _check_results(items)
    _check_reasoning(items)
    return items


def _check_results(items: Sequence[Mapping[str, Any]]) -> None:
    waiting: dict[str, str] = {}
    for item in items:
        kind = str(item.get("type", "message"))
        if kind in CALLS:
            waiting[str(item["call_id"])] = kind
        elif kind.endswith("_call_output") and waiting.pop(str(item.get("call_id")), None) is None:
            words = CALLS.get(kind.removesuffix("_output"), "function call")
            text = f"No tool call found for {words} output with call_id {item.get('call_id')}."
            raise Refused(400, text, param="input")
    for call, kind in waiting.items():
        raise Refused(400, f"No tool output found for {CALLS[kind]} {call}.", param="input")


def _check_reasoning(items: Sequence[Mapping[str, Any]]) -> None:
    for item, after in zip(items, [*items[1:], None], strict=True):
        if item.get("type") != "reasoning":
            continue
        follows = after is not None and (after.get("type") in CALLS or after.get("role") == "assistant")
        if not follows and not (after is not None and after.get("type") == "reasoning"):
            text = f"Item '{item.get('id')}' of type 'reasoning' was provided without its required following item."
            raise Refused(400, text, param="input")


def usage(turn: Turn) -> dict[str, Any]:
    """The usage object."""
    used = turn.usage
    return {
        "input_tokens": used.input_tokens,
        "input_tokens_details": {
            "cached_tokens": used.cache_read_tokens,
            "cache_write_tokens": used.cache_write_tokens,
        },
        "output_tokens": used.output_tokens,
        "output_tokens_details": {"reasoning_tokens": used.reasoning_tokens},
        "total_tokens": used.input_tokens + used.output_tokens,
    }


def answer(play: Play, body: Mapping[str, Any]) -> dict[str, Any]:
    """The whole answer."""
    return _response(play, body, [item for item, _ in _items(play)], done=True)


def _response(play: Play, body: Mapping[str, Any], output: list[dict[str, Any]], *, done: bool) -> dict[str, Any]:
    echoed = {name: body.get(name, DEFAULTS.get(name)) for name in ECHOED}
    return {
        "id": f"resp_{play.key}",
        "object": "response",
        "created_at": play.at,
        "status": "completed" if done else "in_progress",
        "background": False,
        "error": None,
        "incomplete_details": None,
        "model": play.model,
        "output": output,
        "service_tier": play.turn.service_tier if done else "auto",
        "usage": usage(play.turn) if done else None,
    } | echoed


def _items(play: Play) -> list[tuple[dict[str, Any], Call | None]]:
    """The finished items in their order; with its call where one is a call."""
    turn = play.turn
    items: list[tuple[dict[str, Any], Call | None]] = []
    if turn.thinking:
        summary = [{"type": "summary_text", "text": turn.thinking}]
        reasoning = {"id": f"rs_{play.key}", "type": "reasoning", "summary": summary, "encrypted_content": "sealed"}
        items.append((reasoning, None))
    if turn.text:
        part = {"type": "output_text", "annotations": [], "logprobs": [], "text": turn.text}
        message = {"id": f"msg_{play.key}", "type": "message", "status": "completed", "role": "assistant"}
        items.append((message | {"content": [part]}, None))
    items += [(_call(play, number, call), call) for number, call in enumerate(turn.calls)]
    return items


def _call(play: Play, number: int, call: Call) -> dict[str, Any]:
    head = {"status": "completed", "call_id": play.call_id(number, PREFIX), "name": call.name}
    if call.kind == "custom":
        return {"id": f"ctc_{play.key}n{number}", "type": "custom_tool_call"} | head | {"input": call.text}
    return {"id": f"fc_{play.key}n{number}", "type": "function_call"} | head | {"arguments": call.text}


def frames(play: Play, body: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(event name, data) of a stream."""
    for number, event in enumerate(_events(play, body)):
        numbered = {"type": event.pop("type"), "sequence_number": number} | event
        yield numbered["type"], _json(numbered)


def _events(play: Play, body: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    begun = _response(play, body, [], done=False)
    yield {"type": "response.created", "response": begun}
    yield {"type": "response.in_progress", "response": begun}
    items = _items(play)
    plain = [list(_item_events(play, index, item)) for index, (item, call) in enumerate(items) if call is None]
    first = len(plain)
    calls = [list(_item_events(play, first + n, item)) for n, (item, _) in enumerate(items[first:])]
    yield from in_turns(*plain, interleaved=False)
    yield from in_turns(*calls, interleaved=play.turn.interleaved)
    yield {"type": "response.completed", "response": _response(play, body, [item for item, _ in items], done=True)}


def _item_events(play: Play, index: int, item: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    where = {"item_id": item["id"], "output_index": index}
    writer = {
        "reasoning": _reasoning_events,
        "message": _message_events,
        "function_call": _call_events,
        "custom_tool_call": _call_events,
    }[item["type"]]
    empty: dict[str, Any] = {
        "reasoning": {"summary": []},
        "message": {"content": [], "status": "in_progress"},
        "function_call": {"arguments": "", "status": "in_progress"},
        "custom_tool_call": {"input": "", "status": "in_progress"},
    }[item["type"]]
    yield {"type": "response.output_item.added", "output_index": index, "item": dict(item) | empty}
    yield from writer(play, where, item)
    yield {"type": "response.output_item.done", "output_index": index, "item": dict(item)}


def _reasoning_events(play: Play, where: dict[str, Any], item: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    where = where | {"summary_index": 0}
    text = item["summary"][0]["text"]
    part = {"type": "summary_text", "text": ""}
    yield {"type": "response.reasoning_summary_part.added", **where, "part": part}
    for piece in pieces(text, play.turn.piece_characters):
        yield {"type": "response.reasoning_summary_text.delta", **where, "delta": piece}
    yield {"type": "response.reasoning_summary_text.done", **where, "text": text}
    yield {"type": "response.reasoning_summary_part.done", **where, "part": part | {"text": text}}


def _message_events(play: Play, where: dict[str, Any], item: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    where = where | {"content_index": 0}
    part = item["content"][0]
    yield {"type": "response.content_part.added", **where, "part": part | {"text": ""}}
    for piece in pieces(part["text"], play.turn.piece_characters):
        yield {"type": "response.output_text.delta", **where, "delta": piece, "logprobs": []}
    yield {"type": "response.output_text.done", **where, "text": part["text"], "logprobs": []}
    yield {"type": "response.content_part.done", **where, "part": part}


def _call_events(play: Play, where: dict[str, Any], item: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    custom = item["type"] == "custom_tool_call"
    kind, word = ("custom_tool_call_input", "input") if custom else ("function_call_arguments", "arguments")
    for piece in pieces(item[word], play.turn.piece_characters):
        yield {"type": f"response.{kind}.delta", **where, "delta": piece}
    name = {} if custom else {"name": item["name"]}
    yield {"type": f"response.{kind}.done", **where, word: item[word], **name}


def failing_frame(refused: Refused) -> tuple[str, str]:
    """The error in the middle of a stream."""
    error = failure(refused)["error"]
    flat = {"code": error["code"], "message": error["message"], "param": error["param"]}
    return "error", _json({"type": "error", "sequence_number": 99, **flat, "error": error})


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
