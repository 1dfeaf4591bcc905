"""A scripted turn in Anthropic Messages, and what that API refuses of a history; it sends nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from tests.support.model_script import Call, Play, Refused, Turn, pieces

PREFIX = "toolu_"
SIGNATURE = "signed-by-the-scripted-model"
TIERS = {"default": "standard"}


def check(body: Mapping[str, Any], *, counting: bool = False) -> None:
    """Raises: Refused, as the API does, when calls and results do not match."""
    for name in ("model", "messages") if counting else ("model", "max_tokens", "messages"):
        if name not in body:
            raise Refused(400, f"{name}: Field required")
    messages = body["messages"]
    if not messages:
        raise Refused(400, "messages: at least one message is required")
    if messages[0].get("role") != "user":
        raise Refused(400, 'messages: first message must use the "user" role')
    waiting: set[str] = set()
    for place, message in enumerate(messages):
        blocks = _blocks(message)
        _check_blocks(place, message["role"], blocks)
        _check_results(place, blocks, waiting)
        waiting = {block["id"] for block in blocks if block["type"] == "tool_use"}
    _none_waits(len(messages), waiting)


def _blocks(message: Mapping[str, Any]) -> list[dict[str, Any]]:
    content = message.get("content")
    return [{"type": "text", "text": content}] if isinstance(content, str) else list(content or ())


def _check_blocks(place: int, role: str, blocks: list[dict[str, Any]]) -> None:
    if not blocks:
        raise Refused(400, f"messages.{place}: all messages must have non-empty content")
    for number, block in enumerate(blocks):
        where = f"messages.{place}.content.{number}"
        if block["type"] == "text" and not block["text"].strip():
            raise Refused(400, "messages: text content blocks must be non-empty")
        if block["type"] == "thinking" and block.get("signature") != SIGNATURE:
            raise Refused(400, f"{where}: Invalid `signature` in `thinking` block")
        if block["type"] == "tool_use" and (role != "assistant" or not isinstance(block.get("input"), dict)):
            raise Refused(400, f"{where}.tool_use.input: Input should be a valid dictionary")


def _check_results(place: int, blocks: list[dict[str, Any]], waiting: set[str]) -> None:
    results = [block["tool_use_id"] for block in blocks if block["type"] == "tool_result"]
    for number, call in enumerate(results):
        if call not in waiting:
            raise Refused(
                400,
                f"messages.{place}.content.{number}: unexpected `tool_use_id` found in `tool_result` blocks: {call}. "
                "Each `tool_result` block must have a corresponding `tool_use` block in the previous message.",
            )
    if len(results) != len(set(results)):
        raise Refused(
            400, f"messages.{place}: each tool_use must have a single result. Found multiple `tool_result` blocks"
        )
    _none_waits(place, waiting - set(results))


def _none_waits(place: int, waiting: set[str]) -> None:
    if waiting:
        raise Refused(
            400,
            f"messages.{place}: `tool_use` ids were found without `tool_result` blocks immediately after: "
            f"{', '.join(sorted(waiting))}. Each `tool_use` block must have a corresponding `tool_result` block in the "
            "next message.",
        )


def finish(turn: Turn) -> str:
    """The word an answer ends with."""
    return turn.finish or ("tool_use" if turn.calls else "end_turn")


def _usage(turn: Turn, output_tokens: int) -> dict[str, Any]:
    used = turn.usage
    return {
        "input_tokens": used.input_tokens - used.cache_read_tokens - used.cache_write_tokens,
        "cache_creation_input_tokens": used.cache_write_tokens,
        "cache_read_input_tokens": used.cache_read_tokens,
        "cache_creation": {"ephemeral_5m_input_tokens": used.cache_write_tokens, "ephemeral_1h_input_tokens": 0},
        "output_tokens": output_tokens,
        "service_tier": TIERS.get(turn.service_tier, turn.service_tier),
    }


def answer(play: Play, body: Mapping[str, Any]) -> dict[str, Any]:
    """The whole answer."""
    turn = play.turn
    ending = {"stop_reason": finish(turn), "stop_sequence": None}
    return _message(play) | ending | {"content": _content(play), "usage": _usage(turn, turn.usage.output_tokens)}


def _message(play: Play) -> dict[str, Any]:
    return {"id": f"msg_{play.key}", "type": "message", "role": "assistant", "model": play.model}


def _content(play: Play) -> list[dict[str, Any]]:
    turn = play.turn
    blocks: list[dict[str, Any]] = []
    if turn.thinking:
        blocks.append({"type": "thinking", "thinking": turn.thinking, "signature": SIGNATURE})
    if turn.text:
        blocks.append({"type": "text", "text": turn.text})
    return blocks + [_call(play, number, call, _input(call)) for number, call in enumerate(turn.calls)]


def _input(call: Call) -> Any:
    try:
        return json.loads(call.text or "{}")
    except ValueError:
        return {"INVALID_JSON": call.text}


def _call(play: Play, number: int, call: Call, arguments: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": play.call_id(number, PREFIX), "name": call.name, "input": arguments}


def frames(play: Play, body: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(event name, data) of a stream."""
    for event in _events(play):
        yield event["type"], json.dumps(event, ensure_ascii=False, separators=(",", ":"))


def _events(play: Play) -> Iterator[dict[str, Any]]:
    turn = play.turn
    head = {"content": [], "stop_reason": None, "stop_sequence": None, "usage": _usage(turn, 1)}
    yield {"type": "message_start", "message": _message(play) | head}
    for index, (opening, deltas) in enumerate(_streamed(play)):
        yield {"type": "content_block_start", "index": index, "content_block": opening}
        if index == 0:
            yield {"type": "ping"}
        for delta in deltas:
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    ending = {"stop_reason": finish(turn), "stop_sequence": None}
    yield {"type": "message_delta", "delta": ending, "usage": {"output_tokens": turn.usage.output_tokens}}
    yield {"type": "message_stop"}


def _streamed(play: Play) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
    turn = play.turn
    if turn.thinking:
        thoughts = pieces(turn.thinking, turn.piece_characters)
        deltas = [{"type": "thinking_delta", "thinking": piece} for piece in thoughts]
        signed = {"type": "signature_delta", "signature": SIGNATURE}
        yield {"type": "thinking", "thinking": "", "signature": ""}, [*deltas, signed]
    if turn.text:
        words = pieces(turn.text, turn.piece_characters)
        yield {"type": "text", "text": ""}, [{"type": "text_delta", "text": piece} for piece in words]
    for number, call in enumerate(turn.calls):
        parts = ["", *pieces(call.text, turn.piece_characters)]
        deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in parts]
        yield _call(play, number, call, {}), deltas


def failure(refused: Refused) -> dict[str, Any]:
    """The error body."""
    error = {"type": ERRORS.get(refused.status, "api_error"), "message": refused.message}
    return {"type": "error", "error": error, "request_id": "req_scripted"}


ERRORS = {
    400: "invalid_request_error",
    401: "authentication_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    529: "overloaded_error",
}
"""status -> type."""


def failing_frame(refused: Refused) -> tuple[str, str]:
    """The error in the middle of a stream."""
    return "error", json.dumps({"type": "error", "error": failure(refused)["error"]})
