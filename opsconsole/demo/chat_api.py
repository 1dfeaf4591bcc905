"""The shapes of the OpenAI Chat Completions API: completions, streamed chunks, usage, errors; it decides no words."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from opsconsole.demo.conversation import Reply

CHARACTERS_PER_TOKEN = 4
"""The usual rule of thumb for English; the scripted model counts tokens with it."""

CHUNK_WORDS = 6
"""Words in one streamed chunk of text: a chunk every few hundredths of a second looks alive without flooding."""

ERROR_TYPES = {
    400: "invalid_request_error",
    401: "invalid_request_error",
    404: "invalid_request_error",
    413: "invalid_request_error",
    429: "rate_limit_exceeded",
    500: "server_error",
}


def completion(reply: Reply, request: Mapping[str, Any], *, created: int) -> dict[str, Any]:
    """A whole `chat.completion`."""
    message: dict[str, Any] = {"role": "assistant", "content": reply.text or None, "refusal": None}
    if reply.calls:
        message["tool_calls"] = tool_calls(reply, request)
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": _finish_reason(reply)}
    return {
        **_envelope(request, "chat.completion", created),
        "choices": [choice],
        "usage": usage(reply, request),
    }


def chunks(reply: Reply, request: Mapping[str, Any], *, created: int) -> Iterator[dict[str, Any]]:
    """The same answer as `chat.completion.chunk`s; the last carries usage where the request asks for it."""
    envelope = _envelope(request, "chat.completion.chunk", created)
    wants_usage = bool((request.get("stream_options") or {}).get("include_usage"))

    def chunk(delta: Mapping[str, Any], finish_reason: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        return {**envelope, "choices": [choice], **({"usage": None} if wants_usage else {})}

    yield chunk({"role": "assistant", "content": "", "refusal": None})
    for piece in _pieces(reply.text):
        yield chunk({"content": piece})
    for index, call in enumerate(tool_calls(reply, request)):
        function = call["function"]
        yield chunk({"tool_calls": [{**call, "index": index, "function": {**function, "arguments": ""}}]})
        yield chunk({"tool_calls": [{"index": index, "function": {"arguments": function["arguments"]}}]})
    yield chunk({}, _finish_reason(reply))
    if wants_usage:
        yield {**envelope, "choices": [], "usage": usage(reply, request)}


def tool_calls(reply: Reply, request: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The reply's calls; their ids follow from the request, so that the same request gets the same answer."""
    return [
        {
            "id": f"call_{fingerprint(request, str(index))[:24]}",
            "type": "function",
            "function": {"name": call.name, "arguments": json.dumps(call.args, ensure_ascii=False)},
        }
        for index, call in enumerate(reply.calls)
    ]


def usage(reply: Reply, request: Mapping[str, Any]) -> dict[str, Any]:
    """Token counts of one exchange."""
    prompt = _tokens(json.dumps([request.get("messages"), request.get("tools")], ensure_ascii=False))
    said = _tokens(reply.text + "".join(json.dumps(dict(call.args)) for call in reply.calls)) + reply.reasoning_tokens
    return {
        "prompt_tokens": prompt,
        "completion_tokens": said,
        "total_tokens": prompt + said,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": reply.reasoning_tokens, "audio_tokens": 0},
    }


def problem(status: int, message: str) -> dict[str, Any]:
    """An error body."""
    return {"error": {"message": message, "type": ERROR_TYPES[status], "param": None, "code": None}}


def fingerprint(request: Mapping[str, Any], salt: str = "") -> str:
    """A stable name of a request, in hex; the source of everything that looks random in an answer."""
    text = json.dumps(request, sort_keys=True, ensure_ascii=False) + salt
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _envelope(request: Mapping[str, Any], kind: str, created: int) -> dict[str, Any]:
    model = str(request.get("model"))
    return {
        "id": f"chatcmpl-{fingerprint(request)[:24]}",
        "object": kind,
        "created": created,
        "model": model,
        "service_tier": "default",
        "system_fingerprint": f"fp_{hashlib.sha256(model.encode()).hexdigest()[:10]}",
    }


def _finish_reason(reply: Reply) -> str:
    return "tool_calls" if reply.calls else "stop"


def _pieces(text: str) -> Iterator[str]:
    words = text.split(" ")
    for start in range(0, len(words) if text else 0, CHUNK_WORDS):
        yield (" " if start else "") + " ".join(words[start : start + CHUNK_WORDS])


def _tokens(text: str) -> int:
    return len(text) // CHARACTERS_PER_TOKEN + 1
