"""Writes TOML that `tomllib` reads back as it was; what a reader could not see or TOML cannot hold is told apart."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

INTEGER_MAX = 2**63 - 1
"""Every TOML parser reads integers up to this."""
DEPTH_MAX = 32
"""Of tables and lists inside one value, as in arguments."""
_BARE = re.compile(r"[A-Za-z0-9_-]+\Z")
_SHORT = {"\\": "\\\\", '"': '\\"', "\t": "\\t", "\r": "\\r", "\n": "\\n", "\b": "\\b", "\f": "\\f"}


class NotToml(ValueError):
    """The value has no form in TOML: a null, a number too large, a text that is no Unicode, or nested too deeply."""


def assignment(name: str, value: Any) -> str:
    """One line, or several where a text has several. Raises: NotToml."""
    return f"{key(name)} = {written(value)}"


def key(name: str) -> str:
    """A key, quoted where it has to be."""
    return name if _BARE.match(name) else _line(name)


def written(value: Any) -> str:
    """A value at the top of its line: a text of several lines stands on several. Raises: NotToml."""
    if isinstance(value, str) and "\n" in value:
        return f'"""\n{"".join(_escaped(char, keep_lines=True) for char in value)}"""'
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return _inline(value, DEPTH_MAX)


def json_text(value: Any) -> str:
    """For what TOML cannot hold: JSON in ASCII, to be written as a text."""
    return json.dumps(value)


def _inline(value: Any, left: int) -> str:
    if left < 0:
        raise NotToml(f"nested deeper than {DEPTH_MAX} levels")
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _line(value)
    if isinstance(value, int):
        if abs(value) > INTEGER_MAX:
            raise NotToml("an integer beyond 64 bits")
        return str(value)
    if isinstance(value, float):
        return _float(value)
    if isinstance(value, Mapping):
        items = ", ".join(f"{key(name)} = {_inline(item, left - 1)}" for name, item in value.items())
        return f"{{ {items} }}" if items else "{}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(_inline(item, left - 1) for item in value)}]"
    raise NotToml(f"a {type(value).__name__}")


def _float(value: float) -> str:
    if not math.isfinite(value):
        raise NotToml("a number that is not finite")
    text = repr(value)
    return text if any(char in text for char in ".e") else f"{text}.0"


def _line(text: str) -> str:
    return f'"{"".join(_escaped(char) for char in text)}"'


def _escaped(char: str, *, keep_lines: bool = False) -> str:
    """Characters that nobody would see are spelt out, so that a review shows what a machine reads."""
    if char in _SHORT:
        return char if keep_lines and char == "\n" else _SHORT[char]
    if char.isprintable():
        return char
    point = ord(char)
    if 0xD800 <= point <= 0xDFFF:
        raise NotToml("a text with half a character")
    return f"\\u{point:04X}" if point <= 0xFFFF else f"\\U{point:08X}"
