"""The tools' own JSON Schemas as the file gives them: which arguments there are, so that a misspelt one is found."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from opsconsole.policy.rules.engine import nearest

DEPTH_MAX = 16
"""Of `$ref`, `allOf` and their like inside one another."""
CHOICES_MAX = 64
"""Schemas that one argument may have to be looked up in."""

KINDS: Mapping[str, str] = {
    "string": "str",
    "boolean": "bool",
    "array": "items",
    "object": "json",
    "number": "int",
    "integer": "int",
}
"""JSON Schema's types as the engine's; whether a number is a whole one tells nothing, for they are compared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolSchema:
    """The schema of one tool's arguments."""

    tool: str
    schema: Mapping[str, Any]

    def kind(self, path: tuple[str, ...]) -> str:
        """What an expression finds along this path, as the engine's `Variables` say it; `any` where that is open."""
        schemas: list[Any] = [self.schema]
        for name in path:
            readings = [one for schema in schemas for one in _readings(schema, self.schema, DEPTH_MAX)][:CHOICES_MAX]
            schemas = [one["properties"][name] for one in readings if name in one.get("properties", {})]
        declared = {_declared(schema, self.schema) for schema in schemas}
        return KINDS.get(declared.pop(), "any") if len(declared) == 1 else "any"

    def unknown(self, path: tuple[str, ...]) -> str | None:
        """What is wrong with reading `args` along this path (without `args` itself), in words; None: nothing."""
        schemas = [self.schema]
        for depth, name in enumerate(path):
            properties = [one for schema in schemas for one in _readings(schema, self.schema, DEPTH_MAX)][:CHOICES_MAX]
            if any(_is_open(one) for one in properties) or not properties:
                return None
            known: dict[str, list[Any]] = {}
            for one in properties:
                for key, value in one.get("properties", {}).items():
                    known.setdefault(key, []).append(value)
            if name not in known:
                return self._words(path[:depth], name, sorted(known))
            schemas = [value for value in known[name] if isinstance(value, Mapping)]
        return None

    def _words(self, before: tuple[str, ...], name: str, known: list[str]) -> str:
        place = ".".join(("args", *before))
        hint = nearest(name, known)
        found = hint.removeprefix("did you mean ").removesuffix("?")
        has = f"{place}.{found}" if found != hint else ", ".join(f"{place}.{key}" for key in known) or "none there"
        return f"unknown field {place}.{name}; the schema of {self.tool} has {has}"


def _readings(schema: Any, root: Mapping[str, Any], depth: int) -> Iterator[Mapping[str, Any]]:
    """Every object schema that may describe the value: through `$ref` within the file, and through combinations."""
    if not isinstance(schema, Mapping) or depth == 0:
        return
    if isinstance(reference := schema.get("$ref"), str):
        yield from _readings(_resolved(reference, root), root, depth - 1)
    for word in ("allOf", "anyOf", "oneOf"):
        for one in schema[word] if isinstance(schema.get(word), list) else ():
            yield from _readings(one, root, depth - 1)
    if isinstance(schema.get("properties"), Mapping) or _is_open(schema):
        yield schema


def _declared(schema: Any, root: Mapping[str, Any]) -> str:
    if isinstance(schema, Mapping) and isinstance(schema.get("$ref"), str):
        schema = _resolved(schema["$ref"], root)
    return str(schema.get("type")) if isinstance(schema, Mapping) else ""


def _is_open(schema: Mapping[str, Any]) -> bool:
    """Whether it says itself that there may be other properties than those it names."""
    return schema.get("additionalProperties", False) is not False or bool(schema.get("patternProperties"))


def _resolved(reference: str, root: Mapping[str, Any]) -> Any:
    if not reference.startswith("#"):
        return None
    value: Any = root
    for step in reference.removeprefix("#").split("/")[1:]:
        value = value.get(step.replace("~1", "/").replace("~0", "~")) if isinstance(value, Mapping) else None
    return value
