"""What a proposed call's arguments and facts tell the detectors, live and when a case is played; it judges nothing."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any, TypedDict

NAMES_MAX = 20
"""Of unknown names or identifiers of one call that a detector is told."""
ARGS_LOOKED_AT_MAX = 200
"""Whose lengths are added up."""


class Wrong(TypedDict):
    """What the facts found wrong in a call, as `CallProposed` takes it."""

    schema_errors: tuple[str, ...]
    unknown_names: tuple[str, ...]
    ungrounded: tuple[str, ...]


NOTHING_WRONG = Wrong(schema_errors=(), unknown_names=(), ungrounded=())


def wrong_in(facts: object) -> Wrong:
    """What the facts of a call, whatever their shape, say is wrong in it."""
    if not facts or not isinstance(facts, Mapping):
        return NOTHING_WRONG
    checked = {name: fact for name, fact in facts.items() if isinstance(fact, Mapping) and not fact.get("unclear")}
    return Wrong(
        schema_errors=_texts(checked, "errors"),  # of an unclear one they say why nothing was checked
        unknown_names=_texts(facts, "unknown_tables", "unknown_columns"),
        ungrounded=_texts(facts, "ungrounded"),
    )


def chars_of(args: Mapping[str, Any]) -> int:
    """How much text arguments hold, roughly."""
    chars = 0
    for value in itertools.islice(args.values(), ARGS_LOOKED_AT_MAX):
        chars += len(value) if isinstance(value, str) else len(repr(value))
    return chars


def _texts(facts: Mapping[str, Any], *names: str) -> tuple[str, ...]:
    """What any fact of the call holds under these names."""
    held = (one.get(name) for one in facts.values() if isinstance(one, Mapping) for name in names)
    return tuple(str(text) for texts in held if isinstance(texts, list) for text in texts)[:NAMES_MAX]
