"""What requests to a model show of the conversation so far, in the forms that agents write it; it parses no HTTP."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from opsconsole.scenario.case import CALLS_MAX, AnswerCall, ToolCall

_ROLES = {"user": "user", "system": "system", "developer": "system"}


@dataclass(frozen=True, slots=True)
class Told:
    """One request's messages, as far as a case needs them."""

    said: tuple[tuple[str, str], ...] = ()
    """(role, text) of users and systems, in order."""
    calls: tuple[AnswerCall, ...] = ()
    """Those of the latest answer of the model that the request repeats."""


def told_of(messages: Any) -> Told:
    """Messages as Chat Completions, Messages of Anthropic or the gateway write them; others say nothing."""
    listed = [one for one in messages if isinstance(one, Mapping)] if isinstance(messages, list) else []
    said = tuple(
        (_ROLES[role], text)
        for one in listed
        if (role := str(one.get("role"))) in _ROLES and (text := _text(one.get("content")))
    )
    latest = next((one for one in reversed(listed) if one.get("role") == "assistant"), {})
    return Told(said, tuple(_calls(latest))[:CALLS_MAX])


def answer_calls(gated: Sequence[ToolCall], later: Told) -> tuple[AnswerCall, ...]:
    """The calls of an answer: as the next request repeats them where that holds all that came before the gate.

    An agent may ask the gate about some of its tools only, so the request knows more; and a last answer has no next
    request.
    """
    repeated = Counter(call.tool for call in later.calls)
    if later.calls and not Counter(call.tool for call in gated if call.kind == "tool_call") - repeated:
        return later.calls
    seen = [AnswerCall(id=call.id, tool=call.tool, args=call.args) for call in gated if call.kind == "tool_call"]
    return tuple(seen)[:CALLS_MAX]


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    blocks = content if isinstance(content, list) else []
    texts = [block.get("text") for block in blocks if isinstance(block, Mapping)]
    return "\n".join(text for text in texts if isinstance(text, str))


def _calls(message: Mapping[str, Any]) -> list[AnswerCall]:
    listed = message.get("tool_calls")
    blocks = message.get("content")
    found = [_chat_call(one) for one in listed if isinstance(one, Mapping)] if isinstance(listed, list) else []
    if not found and isinstance(blocks, list):
        used = [one for one in blocks if isinstance(one, Mapping) and one.get("type") == "tool_use"]
        found = [AnswerCall(id=_word(one, "id"), tool=_word(one, "name"), args=_args(one.get("input"))) for one in used]
    return [call for call in found if call.tool]


def _chat_call(one: Mapping[str, Any]) -> AnswerCall:
    inner = one.get("function")
    about = inner if isinstance(inner, Mapping) else one
    args = about.get("arguments") if "arguments" in about else about.get("args")
    return AnswerCall(id=_word(one, "id"), tool=_word(about, "name"), args=_args(args))


def _word(one: Mapping[str, Any], name: str) -> str:
    value = one.get(name)
    return value if isinstance(value, str) else ""


def _args(value: Any) -> Mapping[str, Any]:
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return {}
    return value if isinstance(value, Mapping) else {}
