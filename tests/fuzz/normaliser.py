"""Fuzzes the normaliser: what passes it reaches the engine whole, and everything else is refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from opsconsole.policy.normalise import NotNormal, normalise
from opsconsole.policy.rules.engine import Bindings, compiled

VARIABLES = (("args", "json"),)
SAME_SIZE = compiled("size(args.text) == args.size", VARIABLES)
SAME_NUMBER = compiled("args.number == args.number && double(args.number) == args.double", VARIABLES)

SEEDS = [
    b'{"a": [1, -2.5, null, true, "text"], "b": {"c": "\\u0000"}}',
    b'"\\ud800"',
    b"[9223372036854775807, -9223372036854775809, 1e308, 1e309]",
    b"NaN",
    "e\u0301 \u202e \U0001f600".encode(),
]


def fuzz_one(data: bytes) -> None:
    """Takes `data` for JSON, or else for a string, as an argument."""
    try:
        value: Any = json.loads(data)
    except (ValueError, RecursionError):
        value = data.decode("utf-8", "surrogateescape")
    try:
        found = normalise({"value": value})
    except NotNormal:
        return
    for leaf in _leaves(found):
        _check(leaf)


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        yield from value
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _leaves(item)
    else:
        yield value


def _check(leaf: Any) -> None:
    if isinstance(leaf, str):
        values = {"text": leaf, "size": len(leaf)}
        assert SAME_SIZE.evaluate(Bindings(VARIABLES, {"args": values})) is True, "the engine read another string"
    elif isinstance(leaf, int | float) and not isinstance(leaf, bool):
        values = {"number": leaf, "double": float(leaf)}
        assert SAME_NUMBER.evaluate(Bindings(VARIABLES, {"args": values})) is True, "the engine read another number"
