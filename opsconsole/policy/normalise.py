"""Checks values before a rule or a fact sees them, and refuses what an engine would cut, round or choke on.

Google's CEL cuts strings at NUL, `NaN > 100` is false, a lone surrogate crashes it, an integer beyond 64 bits is an
error: each would be a way around a rule or a way to slow the hub. Nothing is repaired: a repaired value is not what
would run.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

STRING_BYTES_MAX = 65_536
"""UTF-8 bytes of one string; a person could not read a longer one, and patterns take time for each byte."""
ITEMS_MAX = 1_000
"""Items of one list or object: expressions walk through them."""
DEPTH_MAX = 32
"""Levels of nesting, as in digests."""
VALUES_MAX = 10_000
"""Values in all: what is checked here is checked before every call."""
INTEGER_MIN, INTEGER_MAX = -(2**63), 2**63 - 1
"""What the engine's integers hold."""
PATH_CHARS_MAX = 80
"""Of the place that a refusal names."""


class NotNormal(ValueError):
    """A value that no rule may be asked about; the text says where and why, never what."""

    def __init__(self, why: str, place: str = "") -> None:
        super().__init__(f"{place if len(place) <= PATH_CHARS_MAX else f'{place[: PATH_CHARS_MAX - 1]}…'} {why}")
        self.why = why
        self.place = place

    def within(self, outer: str) -> NotNormal:
        """The same, told from further outside."""
        return NotNormal(self.why, outer + self.place)


def normalise(args: Mapping[str, Any], name: str = "args") -> dict[str, Any]:
    """The arguments as plain JSON values, unchanged but for tuples, which become lists. Raises: NotNormal."""
    try:
        return _Check().items(args, DEPTH_MAX)
    except NotNormal as error:
        raise error.within(name) from None


def normal_text(text: str, name: str) -> str:
    """One string, unchanged. Raises: NotNormal."""
    try:
        return _text(text)
    except NotNormal as error:
        raise error.within(name) from None


class _Check:
    """One walk; it counts what it has seen. Places are put together only when something is refused.

    What most calls hold is looked at where it stands: a call into `value` for each costs more than the look.
    """

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = VALUES_MAX

    def value(self, value: Any, depth: int) -> Any:
        kind = type(value)
        if kind is str:
            return value if _is_plain(value) else _text(value)
        if kind is bool or value is None:
            return value
        if kind is int:
            if INTEGER_MIN <= value <= INTEGER_MAX:
                return value
            raise NotNormal("is an integer beyond 64 bits")
        if kind is float:
            if math.isfinite(value):
                return value
            raise NotNormal("is NaN or infinite")
        if kind is dict:
            return self.items(value, depth)
        if kind is list or kind is tuple:
            return self.sequence(value, depth)
        raise NotNormal("is no JSON value")

    def items(self, items: Mapping[str, Any], depth: int) -> dict[str, Any]:
        self._container(len(items), depth)
        found = {}
        for key, value in items.items():
            if type(key) is not str:
                raise NotNormal("has a key that is no string")
            if not _is_plain(key):
                _check_key(key)
            if type(value) is bool or (type(value) is str and _is_plain(value)):
                found[key] = value
                continue
            try:
                found[key] = self.value(value, depth - 1)
            except NotNormal as error:
                raise error.within(f".{key}") from None
        return found

    def sequence(self, values: list[Any] | tuple[Any, ...], depth: int) -> list[Any]:
        self._container(len(values), depth)
        try:
            return [
                value if type(value) is int and INTEGER_MIN <= value <= INTEGER_MAX else self.value(value, depth - 1)
                for value in values
            ]
        except NotNormal as error:
            raise error.within("[]") from None

    def _container(self, size: int, depth: int) -> None:
        if depth <= 0:
            raise NotNormal(f"is nested deeper than {DEPTH_MAX} levels")
        if size > ITEMS_MAX:
            raise NotNormal(f"has more than {ITEMS_MAX:,} items")
        self.left -= size
        if self.left < 0:
            raise NotNormal(f"passes {VALUES_MAX:,} values in all")


def _is_plain(text: str) -> bool:
    return text.isascii() and len(text) <= STRING_BYTES_MAX and "\0" not in text


def _check_key(key: str) -> None:
    """Raises: NotNormal."""
    try:
        _text(key)
    except NotNormal as error:
        raise NotNormal(f"has a key that {error.why}") from None


def _text(text: str) -> str:
    if "\0" in text:
        raise NotNormal("holds a NUL character")
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise NotNormal("holds a lone surrogate") from None
    if size > STRING_BYTES_MAX:
        raise NotNormal(f"is longer than {STRING_BYTES_MAX:,} bytes")
    return text
