"""The tools that the small agents offer, in the words of each API; one is read-only by the default policy."""

from __future__ import annotations

from typing import Any

TOOLS = (
    ("shell", "Runs a command.", "command"),
    ("deploy", "Deploys a service.", "service"),
    ("read_file", "Reads a file.", "path"),
)
"""name, description, the one argument."""


def schema(argument: str) -> dict[str, Any]:
    """JSON Schema of an object with one text, as strict as the helpers demand."""
    properties = {argument: {"type": "string"}}
    return {"type": "object", "properties": properties, "required": [argument], "additionalProperties": False}


CHAT = [
    {
        "type": "function",
        "function": {"name": name, "description": about, "parameters": schema(argument), "strict": True},
    }
    for name, about, argument in TOOLS
]
RESPONSES: list[dict[str, Any]] = [
    {"type": "function", "name": name, "description": about, "parameters": schema(argument), "strict": False}
    for name, about, argument in TOOLS
] + [{"type": "custom", "name": "patch", "description": "Applies a patch."}]
MESSAGES = [{"name": name, "description": about, "input_schema": schema(argument)} for name, about, argument in TOOLS]
