"""What the gate shows of a model request: the same request, bounded, saying what it left out; it is not what runs."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from opsconsole.sdk.arguments import ArgumentsRefused, exact
from opsconsole.sdk.bounded import bounded_text, result_text

REQUEST_BYTES_MAX = 65_536
"""Of one request; a conversation grows with every turn and is on the timeline already."""
MESSAGE_BYTES_MAX = 8_000
"""Of one message."""
TOOLS_MAX = 128
"""Tools shown."""
SCHEMA_BYTES_MAX = 2_000
"""Of one tool's parameters; beyond it an operator gets the name alone."""
SCHEMAS_BYTES_MAX = 16_384
"""Of all of them."""
FIRST_KEPT = 1
"""The first message (the instructions) is always shown, then the newest that fit."""


def shown_request(request: Mapping[str, Any]) -> dict[str, Any]:
    """`{"model", "messages", "tools"}`, at most about REQUEST_BYTES_MAX, always plain JSON."""
    messages = request.get("messages")
    listed = list(messages) if isinstance(messages, list | tuple) else ([messages] if messages is not None else [])
    tools = request.get("tools")
    offered = _tools(tools[:TOOLS_MAX]) if isinstance(tools, list | tuple) else []
    model = bounded_text(str(request.get("model") or "unknown"), 200)
    return {"model": model, "messages": _newest(listed), "tools": offered}


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


def _tools(tools: Sequence[Any]) -> list[Any]:
    """Each tool as `{"name", "parameters"}`, for whoever composes a call; as its name alone where there is no room."""
    shown: list[Any] = []
    room = SCHEMAS_BYTES_MAX
    for tool in tools:
        inner = tool.get("function") if isinstance(tool, Mapping) else None
        about = inner if isinstance(inner, Mapping) else tool
        name = bounded_text(str(about.get("name") if isinstance(about, Mapping) else about), 200)
        schema = _schema(about) if isinstance(about, Mapping) else None
        room -= len(schema) if schema else 0
        shown.append({"name": name, "parameters": json.loads(schema)} if schema and room >= 0 else name)
    return shown


def _schema(about: Mapping[str, Any]) -> str | None:
    """The JSON text of a tool's parameters, in whichever of the usual places they stand; None beyond the limit."""
    schema = next((about[key] for key in ("parameters", "input_schema", "inputSchema") if about.get(key)), None)
    with contextlib.suppress(ArgumentsRefused):
        text = exact("schema", {"schema": schema}).value()["schema"]
        encoded = json.dumps(text)
        return encoded if schema and len(encoded) <= SCHEMA_BYTES_MAX else None
    return None
