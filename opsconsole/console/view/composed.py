"""A model's answer composed by an operator: a tool call as text to edit, and back; it sends nothing."""

from __future__ import annotations

import json
from typing import Any

from opsconsole.console.view.edit_text import BadDraft, to_args, to_text
from opsconsole.protocol.frames import ProposedCall
from opsconsole.protocol.limits import TEXT_BYTES_MAX

_SCHEMAS = ("parameters", "input_schema", "inputSchema")
"""What the schema of a tool's arguments is called: by Chat Completions and Responses, by Messages, by MCP."""
_STARTS: dict[str, Any] = {"integer": 0, "number": 0, "boolean": False, "array": [], "object": {}, "null": None}


def template(args: dict[str, Any]) -> str:
    """A draft of a call of the first tool that a model call offers, with one key for each of its parameters.

    A tool that is offered by its bare name is drafted without any: nothing is known of them.
    """
    tools = args.get("tools")
    first = tools[0] if isinstance(tools, list) and tools else ""
    tool = _object(first.get("function", first)) if isinstance(first, dict) else {"name": first or ""}
    schema = next((_object(tool[name]) for name in _SCHEMAS if name in tool), {})
    starts = {name: _start(_object(parameter)) for name, parameter in _object(schema.get("properties")).items()}
    return to_text({"name": str(tool.get("name", "")), "args": starts})


def _start(parameter: dict[str, Any]) -> Any:
    """What a parameter is drafted with: its default, or the plainest value of its type."""
    kind = parameter.get("type")
    return parameter.get("default", _STARTS.get(kind, "") if isinstance(kind, str) else "")


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def to_call(text: str, *, call_id: str) -> ProposedCall:
    """The call that was typed as {"name": …, "args": {…}}. Raises: BadDraft."""
    value = to_args(text)
    name, args = value.get("name"), value.get("args", {})
    if not isinstance(name, str) or not name or len(name) > 200:
        raise BadDraft('"name" is the name of a tool')
    if not isinstance(args, dict):
        raise BadDraft('"args" is one JSON object: { … }')
    if unknown := sorted(value.keys() - {"name", "args"}):
        raise BadDraft(f"only name and args are meant here, not {json.dumps(unknown[0])}")
    return ProposedCall(id=call_id, name=name, args=args)


def to_words(text: str) -> str:
    """The text that was typed. Raises: BadDraft when it is empty or too long."""
    if not text.strip():
        raise BadDraft("there is no text yet")
    if len(text) > TEXT_BYTES_MAX:
        raise BadDraft(f"{len(text):,} characters; at most {TEXT_BYTES_MAX:,}")
    return text
