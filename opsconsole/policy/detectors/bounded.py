"""Keeps tables at their bound: what was put in first goes when there is no room; it knows nothing of what is kept."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


def kept(table: dict[Key, Value], key: Key, make: Callable[[], Value], limit: int) -> Value:
    """The value under `key`, made when there is none."""
    found = table.get(key)
    if found is None:
        found = make()
        put(table, key, found, limit)
    return found


def put(table: dict[Key, Value], key: Key, value: Value, limit: int) -> None:
    """Keep `value`; at `limit` the oldest key makes room."""
    if key not in table and len(table) >= limit:
        del table[next(iter(table))]
    table[key] = value
