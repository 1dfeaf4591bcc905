"""Describes functions to a model: names, docstrings and signatures as Chat Completions tools; it runs none."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import TypeAdapter

Tool = Callable[..., Any]
Tools = Mapping[str, Tool]


def toolbox(*functions: Callable[..., Any]) -> Tools:
    """The tools by name."""
    return {function.__name__: function for function in functions}


def specifications(tools: Tools) -> list[dict[str, Any]]:
    """The `tools` of a request; parameters follow from the annotations."""
    return [
        {
            "type": "function",
            "function": {
                "name": name,
                "description": (tool.__doc__ or "").strip(),
                "parameters": _parameters(tool),
            },
        }
        for name, tool in tools.items()
    ]


def _parameters(tool: Any) -> dict[str, Any]:
    return TypeAdapter(tool).json_schema()
