"""Reads and writes the JSON of model APIs, and takes values out of it without trusting its shape; knows no fields."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NoReturn

import msgspec

NOTHING: Mapping[str, Any] = MappingProxyType({})
SURROGATE = re.compile("[\ud800-\udfff]")


class Unreadable(ValueError):
    """Bytes that are not what the API's format says; the message is fit for the timeline."""


def read_object(data: bytes, what: str, *, once: bool = False) -> dict[str, Any]:
    """The JSON object in UTF-8 `data`; with `once` nothing in it may be what parsers differ on, such as a name
    that stands twice.
    Raises: Unreadable, naming `what` it should have been."""
    value = _read_quickly(data, once=once)
    if value is None:
        try:
            value = (_STRICT if once else _LENIENT).decode(data.decode())
        except Unreadable as fault:
            raise Unreadable(f"{what}: {fault}") from None
        except (ValueError, RecursionError):
            raise Unreadable(f"{what} is not JSON") from None
    if not isinstance(value, dict):
        raise Unreadable(f"{what} is not a JSON object")
    return value


def may_be_a_call(data: bytes | bytearray) -> bool:
    """Whether a call could stand in JSON `data`, also under a name that is written with escapes or in capitals."""
    lowered = data.lower()
    return b"call" in lowered or b"tool" in lowered or b"\\u00" in lowered


def written(value: Any) -> bytes:
    """Compact UTF-8 on one line; with escapes where a half character stands in it."""
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:
        return json.dumps(value, separators=(",", ":")).encode()


def written_text(value: Any) -> str:
    """The same as text, as argument strings carry it."""
    return written(value).decode()


def arguments_in(raw: str) -> dict[str, Any] | None:
    """What a call's argument text says; nothing written means `{}`. None where two parsers could differ on it: no JSON
    object, a name twice, a number out of range, half a character, too deep."""
    if not raw.strip():
        return {}
    try:
        value = _STRICT.decode(raw)
        json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def mapping(value: Any) -> Mapping[str, Any]:
    """The value where it is a JSON object, else an empty one."""
    return value if isinstance(value, dict) else NOTHING


def listed(value: Any) -> Sequence[Any]:
    """The value where it is a JSON array, else an empty one."""
    return value if isinstance(value, list) else ()


def text(value: Any) -> str:
    """The value where it is a string, else an empty one; halves of characters are put together, and become
    U+FFFD where one is missing: anybody can encode it."""
    if not isinstance(value, str):
        return ""
    if value.isascii() or not SURROGATE.search(value):
        return value
    return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def count(value: Any) -> int:
    """The value where it is a number of something, else 0."""
    return value if type(value) is int and value >= 0 else 0  # a bool is no number


def summed(first: Any, second: Any) -> Any:
    """Two usage objects as one: numbers are added wherever both have them; else the second one's word counts."""
    if isinstance(first, dict) and isinstance(second, dict):
        return {key: summed(first.get(key), second.get(key)) for key in {**second, **first}}
    if _is_number(first) and _is_number(second):
        return first + second
    return first if second is None else second


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _read_quickly(data: bytes, *, once: bool) -> Any:
    """What the careful reader would make of it, in less time; None where that one is to judge.

    The quick one refuses all that parsers differ on, but for a name that stands twice: of that it leaves the second. A
    colon is then missing from what is written again; where no character is escaped by its number nothing else can be.
    """
    if once and b"\\" in data and b"\\u" in data:
        return None
    try:
        value = _DECODE(data)
        if once and _ENCODE(value).count(b":") != data.count(b":"):
            return None
    except (ValueError, RecursionError, OverflowError):
        return None
    return value


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise Unreadable("a name stands twice in an object")
    return value


def _refuse(word: str) -> NoReturn:
    raise Unreadable(f"{word} is no JSON")


def _finite(word: str) -> float:
    value = float(word)
    if not math.isfinite(value):
        raise Unreadable("a number out of range")
    return value


_DECODE, _ENCODE = msgspec.json.Decoder().decode, msgspec.json.Encoder().encode
_LENIENT = json.JSONDecoder()
_STRICT = json.JSONDecoder(object_pairs_hook=_each_once, parse_constant=_refuse, parse_float=_finite)
