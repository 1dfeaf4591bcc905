"""Whether a JSON Schema from an untrusted tool may be used at all: its size, references and cost; no validation."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

SCHEMA_CHARS_MAX = 64_000
"""As JSON: the longest schemas of public MCP servers have some 20,000."""
DEPTH_MAX = 64
TARGETS_MAX = 200
"""Places that references lead to."""
COST_MAX = 5_000
"""Subschemas once every reference is followed; a reference met twice counts twice, so that chains of them cannot
multiply. At some 20 ns each this is 0.1 ms a value."""

_REFUSED = ("$dynamicRef", "$recursiveRef", "$dynamicAnchor", "$recursiveAnchor")
_DEFINITIONS = frozenset({"$defs", "definitions"})


def refusal(schema: Any) -> str:
    """Why the schema is not to be used, in words; empty when it may be."""
    if not isinstance(schema, Mapping):
        return "give a JSON Schema, an object"
    if _is_too_deep(schema):
        return f"deeper than {DEPTH_MAX} levels"
    try:
        if len(json.dumps(schema)) > SCHEMA_CHARS_MAX:
            return f"longer than {SCHEMA_CHARS_MAX:,} characters"
    except (TypeError, ValueError):
        return "not a JSON value"
    for node in _nodes(schema, skipped=frozenset()):
        if any(key in node for key in _REFUSED) or ("$id" in node and node is not schema):
            return "dynamic references and names inside of a schema are not followed"
        reference = node.get("$ref", "#")
        if isinstance(reference, str) and reference != "#" and not reference.startswith("#/"):
            return f"the reference {reference[:100]!r} leads out of the schema"
    return _cost_refusal(schema)


def _cost_refusal(schema: Mapping[str, Any]) -> str:
    """Costs are added up from the leaves of the graph of references; what refers to itself must do so once only."""
    targets: dict[str, Mapping[str, Any]] = {"#": schema}
    leads: dict[str, list[str]] = {}
    pending = ["#"]
    while pending:
        name = pending.pop()
        if name in leads:
            continue
        leads[name] = _references(targets[name])
        for reference in leads[name]:
            target = _resolved(schema, reference)
            if not isinstance(target, Mapping):
                return f"the reference {reference[:100]!r} leads nowhere"
            targets[reference] = target
            pending.append(reference)
        if len(targets) > TARGETS_MAX:
            return f"refers to more than {TARGETS_MAX} places"
    reached = {name: _reached(leads, name) for name in leads}
    circular = sum(name in reached[reference] for name in leads for reference in leads[name])
    if circular > 1:
        return "refers to itself in more than one place"
    return "" if _cost("#", targets, leads, {}) <= COST_MAX else f"costs more than {COST_MAX:,} steps a value"


def _cost(name: str, targets: Mapping[str, Any], leads: Mapping[str, list[str]], known: dict[str, int]) -> int:
    """The number of subschemas below a target; recursion is as deep as the chain of references."""
    if name not in known:
        known[name] = 0
        own = sum(1 for _ in _nodes(targets[name], skipped=_DEFINITIONS))
        total = own + sum(_cost(reference, targets, leads, known) for reference in leads[name])
        known[name] = min(total, COST_MAX + 1)
    return known[name]


def _reached(leads: Mapping[str, list[str]], start: str) -> set[str]:
    reached: set[str] = set()
    pending = [start]
    while pending:
        name = pending.pop()
        if name not in reached:
            reached.add(name)
            pending.extend(leads[name])
    return reached


def _references(schema: Mapping[str, Any]) -> list[str]:
    return [node["$ref"] for node in _nodes(schema, skipped=_DEFINITIONS) if isinstance(node.get("$ref"), str)]


def _resolved(schema: Any, reference: str) -> Any:
    for part in reference.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(schema, Mapping):
            schema = schema.get(key)
        elif isinstance(schema, list) and key.isdecimal() and len(key) < 6 and int(key) < len(schema):
            schema = schema[int(key)]
        else:
            return None
    return schema


def _nodes(value: Any, *, skipped: frozenset[str]) -> Iterator[Mapping[str, Any]]:
    """Each object in the schema, its own first."""
    pending = [value]
    while pending:
        each = pending.pop()
        if isinstance(each, Mapping):
            yield each
            pending.extend(inner for key, inner in each.items() if key not in skipped)
        elif isinstance(each, list):
            pending.extend(each)


def _is_too_deep(value: Any) -> bool:
    level = [value]
    for _ in range(DEPTH_MAX):
        level = [
            inner
            for each in level
            if isinstance(each, Mapping | list)
            for inner in (each.values() if isinstance(each, Mapping) else each)
        ]
        if len(level) > SCHEMA_CHARS_MAX:
            return True
    return bool(level)
