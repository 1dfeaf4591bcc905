"""What the gate shows of a model request: the same request, bounded, saying what it left out; it is not what runs."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from typing import Any

from opsconsole.sdk.arguments import ArgumentsRefused, exact
from opsconsole.sdk.bounded import bounded_text, result_text

REQUEST_BYTES_MAX = 65_536
"""Of one request; a conversation grows with every turn and is on the timeline already."""
MESSAGE_BYTES_MAX = 8_000
"""Of one message."""
TOOLS_MAX = 128
"""Tools named; their schemas stay with the agent."""
FIRST_KEPT = 1
"""The first message (the instructions) is always shown, then the newest that fit."""


def shown_request(request: Mapping[str, Any]) -> dict[str, Any]:
    """`{"model", "messages", "tools"}`, at most about REQUEST_BYTES_MAX, always plain JSON."""
    messages = request.get("messages")
    listed = list(messages) if isinstance(messages, list | tuple) else ([messages] if messages is not None else [])
    tools = request.get("tools")
    names = [_tool_name(tool) for tool in tools[:TOOLS_MAX]] if isinstance(tools, list | tuple) else []
    model = bounded_text(str(request.get("model") or "unknown"), 200)
    return {"model": model, "messages": _newest(listed), "tools": names}


def _newest(messages: list[Any]) -> list[Any]:
    first = [_shown(message) for message in messages[:FIRST_KEPT]]
    room = REQUEST_BYTES_MAX - sum(len(json.dumps(message)) for message in first)
    newest: list[Any] = []
    for message in reversed(messages[FIRST_KEPT:]):
        shown = _shown(message)
        room -= len(json.dumps(shown))
        if room < 0:
            break
        newest.append(shown)
    left_out = len(messages) - len(first) - len(newest)
    told = [{"role": "system", "content": f"… {left_out} older messages left out"}] if left_out else []
    return first + told + newest[::-1]


def _shown(message: Any) -> Any:
    """The message as it is where it is small plain JSON, else its role and the beginning of its text."""
    dump = getattr(message, "model_dump", None)
    value = dump(exclude_none=True) if callable(dump) else message
    with contextlib.suppress(ArgumentsRefused):
        frozen = exact("message", {"message": value})
        if len(frozen.json) <= MESSAGE_BYTES_MAX:
            return frozen.value()["message"]
    role = value.get("role") if isinstance(value, Mapping) else None
    content = value.get("content") if isinstance(value, Mapping) else value
    return {"role": bounded_text(str(role or "unknown"), 40), "content": result_text(content, MESSAGE_BYTES_MAX)}


def _tool_name(tool: Any) -> str:
    function = tool.get("function") if isinstance(tool, Mapping) else None
    name = (function or tool).get("name") if isinstance(function or tool, Mapping) else tool
    return bounded_text(str(name), 200)
