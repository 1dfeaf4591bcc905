"""A scripted turn in OpenAI Chat Completions, and what that API refuses of a history; it sends nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from tests.support.model_script import Call, Play, Refused, Turn, in_turns, pieces

PREFIX = "call_"


def check(body: Mapping[str, Any]) -> None:
    """Raises: Refused, as the API does, when calls and results do not match."""
    messages = body.get("messages")
    if not body.get("model"):
        raise Refused(400, "you must provide a model parameter")
    if not isinstance(messages, list) or not messages:
        raise Refused(400, "[] is too short - 'messages'", param="messages")
    waiting: list[str] = []
    for place, message in enumerate(messages):
        if message.get("role") == "tool":
            if message.get("tool_call_id") not in waiting:
                raise Refused(
                    400,
                    "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with "
                    "'tool_calls'.",
                    param=f"messages.[{place}].role",
                )
            waiting.remove(message["tool_call_id"])
            continue
        _none_waits(waiting, place)
        waiting = [call["id"] for call in message.get("tool_calls") or ()]
        if message.get("role") == "assistant" and not (message.get("content") or waiting or "function_call" in message):
            text = f"Invalid value for 'content': expected a string, got null. (messages.[{place}])"
            raise Refused(400, text, param=f"messages.[{place}].content")
        if len(waiting) != len(set(waiting)):
            raise Refused(400, "Duplicate value for 'tool_call_id'", param=f"messages.[{place}]")
    _none_waits(waiting, len(messages))


def _none_waits(waiting: list[str], place: int) -> None:
    if waiting:
        raise Refused(
            400,
            "An assistant message with 'tool_calls' must be followed by tool messages responding to each "
            f"'tool_call_id'. The following tool_call_ids did not have response messages: {', '.join(waiting)}",
            param=f"messages.[{place}].role",
        )


def finish(turn: Turn) -> str:
    """The word an answer ends with."""
    return turn.finish or ("tool_calls" if turn.calls else "stop")


def usage(turn: Turn) -> dict[str, Any]:
    """The usage object."""
    used = turn.usage
    return {
        "prompt_tokens": used.input_tokens,
        "completion_tokens": used.output_tokens,
        "total_tokens": used.input_tokens + used.output_tokens,
        "prompt_tokens_details": {
            "cached_tokens": used.cache_read_tokens,
            "cache_write_tokens": used.cache_write_tokens,
            "audio_tokens": 0,
        },
        "completion_tokens_details": {
            "reasoning_tokens": used.reasoning_tokens,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def answer(play: Play, body: Mapping[str, Any]) -> dict[str, Any]:
    """The whole answer."""
    turn = play.turn
    message: dict[str, Any] = {
        "role": "assistant",
        "content": turn.text or None,
        "refusal": None,
        "annotations": [],
    }
    if turn.thinking:
        message["reasoning_content"] = turn.thinking
    if turn.calls:
        message["tool_calls"] = [_call(play, number, call) for number, call in enumerate(turn.calls)]
    choices = [
        {"index": index, "message": message, "logprobs": None, "finish_reason": finish(turn)}
        for index in range(turn.choices)
    ]
    return _head(play, "chat.completion") | {"choices": choices, "usage": usage(turn)}


def _call(play: Play, number: int, call: Call) -> dict[str, Any]:
    inner = {"name": call.name, "input" if call.kind == "custom" else "arguments": call.text}
    return {"id": play.call_id(number, PREFIX), "type": call.kind, call.kind: inner}


def _head(play: Play, kind: str) -> dict[str, Any]:
    turn = play.turn
    return {
        "id": f"chatcmpl-{play.key}",
        "object": kind,
        "created": play.at,
        "model": play.model,
        "service_tier": turn.service_tier,
        "system_fingerprint": turn.fingerprint,
    }


def frames(play: Play, body: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(event name, data) of a stream; the event name is empty here."""
    turn = play.turn
    asks_usage = bool((body.get("stream_options") or {}).get("include_usage"))
    null_usage = {"usage": None} if asks_usage else {}
    for index in range(turn.choices):
        for delta, ending in _deltas(play):
            choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": ending}
            yield "", _json(_head(play, "chat.completion.chunk") | {"choices": [choice]} | null_usage)
    if asks_usage:
        yield "", _json(_head(play, "chat.completion.chunk") | {"choices": [], "usage": usage(turn)})
    yield "", "[DONE]"


def _deltas(play: Play) -> Iterator[tuple[dict[str, Any], str | None]]:
    turn = play.turn
    yield {"role": "assistant", "content": None if turn.calls and not turn.text else "", "refusal": None}, None
    for piece in pieces(turn.thinking, turn.piece_characters):
        yield {"reasoning_content": piece}, None
    for piece in pieces(turn.text, turn.piece_characters):
        yield {"content": piece}, None
    calls = [list(_call_deltas(play, number, call)) for number, call in enumerate(turn.calls)]
    for delta in in_turns(*calls, interleaved=turn.interleaved):
        yield {"tool_calls": [delta]}, None
    yield {}, finish(turn)


def _call_deltas(play: Play, number: int, call: Call) -> Iterator[dict[str, Any]]:
    word = "input" if call.kind == "custom" else "arguments"
    head = {"index": number, "id": play.call_id(number, PREFIX), "type": call.kind}
    yield head | {call.kind: {"name": call.name, word: ""}}
    for piece in pieces(call.text, play.turn.piece_characters):
        yield {"index": number, call.kind: {word: piece}}


def failure(refused: Refused) -> dict[str, Any]:
    """The error body of both OpenAI APIs."""
    kind, code = OPENAI_ERRORS.get(refused.status, ("invalid_request_error", None))
    error = {"message": refused.message, "type": kind, "param": refused.param, "code": refused.code or code}
    return {"error": error}


OPENAI_ERRORS: dict[int, tuple[str, str | None]] = {
    400: ("invalid_request_error", None),
    401: ("invalid_request_error", "invalid_api_key"),
    404: ("invalid_request_error", None),
    429: ("tokens", "rate_limit_exceeded"),
    500: ("server_error", None),
    503: ("service_unavailable_error", "service_unavailable"),
}
"""status -> type and code."""


def failing_frame(refused: Refused) -> tuple[str, str]:
    """The error in the middle of a stream."""
    return "", _json(failure(refused))


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
