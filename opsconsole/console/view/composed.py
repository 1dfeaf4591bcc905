"""A model's answer composed by an operator: a tool call as text to edit, and back; it sends nothing."""

from __future__ import annotations

import json
from typing import Any

from opsconsole.console.view.edit_text import BadDraft, to_args, to_text
from opsconsole.protocol.frames import ProposedCall
from opsconsole.protocol.limits import TEXT_BYTES_MAX


def template(args: dict[str, Any]) -> str:
    """A draft of a call of the first tool that a model call offers, with its parameters by name."""
    tools = args.get("tools")
    first = tools[0] if isinstance(tools, list) and tools else {}
    described = first.get("function", first) if isinstance(first, dict) else {"name": str(first)}
    name = described.get("name", "") if isinstance(described, dict) else ""
    schema = described.get("parameters", described.get("input_schema", {})) if isinstance(described, dict) else {}
    properties = schema.get("properties", {}) if isinstance(schema, dict) else {}
    names = properties if isinstance(properties, dict) else {}
    return to_text({"name": str(name), "args": {str(parameter): "" for parameter in names}})


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
