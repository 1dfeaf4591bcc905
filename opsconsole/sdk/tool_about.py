"""What is told of a tool beside its name: who offers it, its hints, the schema of its arguments; it judges nothing."""

from __future__ import annotations

import collections.abc
import contextlib
import inspect
import json
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Union

from opsconsole.sdk.bounded import bounded_text

SCHEMA_BYTES_MAX = 8_192
"""Of one tool's schema as JSON; a larger one is not told."""
LEVELS_MAX = 8
"""Of a type that is written out: `list[list[…`."""
HINTS = ("readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint")
"""MCP's; each is true or false."""

_RECEIVERS = frozenset({"self", "cls"})
_PLAIN: Mapping[Any, str] = {
    str: "string",
    bool: "boolean",
    int: "integer",
    float: "number",
    type(None): "null",
    list: "array",
    tuple: "array",
    dict: "object",
}
_LISTS = (list, tuple, collections.abc.Sequence, collections.abc.Iterable)
_OBJECTS = (dict, collections.abc.Mapping)


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolAbout:
    """What an author or a server says of a tool; the hub decides what of it is believed."""

    server: str | None = None
    """The MCP server that offers it, by the name that policies know; None: the agent's own tool."""
    annotations: Mapping[str, bool] | None = None
    input_schema: Mapping[str, Any] | None = None
    offered: bool | None = None
    """False: the model calls it although nothing was offered to it under this name; None: nobody says."""

    def told(self) -> dict[str, Any]:
        """As fields of an event; what there is nothing of, or too much, is left out."""
        hints = {name: value for name in HINTS if isinstance(value := (self.annotations or {}).get(name), bool)}
        found: dict[str, Any] = {"server": bounded_text(self.server, 200)} if self.server else {}
        found |= {"annotations": hints} if hints else {}
        found |= {} if self.offered is None else {"offered": self.offered}
        return found | ({"input_schema": schema} if (schema := _plain(self.input_schema)) else {})


def _plain(schema: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The schema as plain JSON, or None where it is none or too large."""
    with contextlib.suppress(TypeError, ValueError, RecursionError):
        text = json.dumps(schema, allow_nan=False)
        text.encode()
        value = json.loads(text) if len(text) <= SCHEMA_BYTES_MAX else None
        return value if isinstance(value, dict) else None
    return None


def schema_of(function: Callable[..., Any]) -> dict[str, Any] | None:
    """The JSON Schema of a function's arguments by name, from its signature; None where it has none that is readable.

    A type that JSON Schema has no word for allows anything.
    """
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return None
    hints: dict[str, Any] = {}
    with contextlib.suppress(NameError, TypeError, AttributeError, SyntaxError):
        hints = typing.get_type_hints(function)
    if parameters and parameters[0].name in _RECEIVERS:
        del parameters[0]
    properties = {one.name: _of_parameter(one, hints.get(one.name, Any)) for one in parameters}
    required = [one.name for one in parameters if one.default is one.empty and one.kind not in _GATHERS]
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


_GATHERS = frozenset({inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD})


def _of_parameter(parameter: inspect.Parameter, hint: Any) -> dict[str, Any]:
    """`*args` and `**kwargs` are shown as one list and one object under their names."""
    inner = _of_type(hint, LEVELS_MAX)
    if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
        return {"type": "array", "items": inner}
    if parameter.kind is inspect.Parameter.VAR_KEYWORD:
        return {"type": "object", "additionalProperties": inner}
    return inner


def _of_type(hint: Any, levels: int) -> dict[str, Any]:
    if hint is None or (isinstance(hint, type) and hint in _PLAIN):
        return {"type": _PLAIN[type(None) if hint is None else hint]}
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if levels <= 0 or origin is None:
        return {}
    if origin is typing.Annotated:
        return _of_type(inner[0], levels - 1)
    if origin is Literal:
        return {"enum": list(inner)}
    if origin in (Union, types.UnionType):
        return {"anyOf": [_of_type(one, levels - 1) for one in inner]}
    if origin in _LISTS:
        is_alike = origin is not tuple or (len(inner) == 2 and inner[1] is Ellipsis)
        return {"type": "array"} | ({"items": _of_type(inner[0], levels - 1)} if is_alike else {})
    if origin in _OBJECTS:
        return {"type": "object", "additionalProperties": _of_type(inner[1], levels - 1)}
    return {}
