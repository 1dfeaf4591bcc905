"""Cuts what an agent says to what the wire carries and says how much was cut; it judges nothing and shows nothing."""

from __future__ import annotations

import json
import reprlib
from collections.abc import Iterator
from typing import Any

from opsconsole.protocol.limits import TEXT_BYTES_MAX

COUNTED_CHARS_MAX = 262_144
"""How far the size of a large result is counted before it is called "more than"."""
_MARK_BYTES = 80
"""Room for the words that tell what was left out."""
_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 2_000


def clean(text: str) -> str:
    """`text` as valid Unicode: lone surrogates become visible escapes."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "backslashreplace").decode()
    return text


def bounded_text(text: str, limit_bytes: int = TEXT_BYTES_MAX) -> str:
    """Valid text of at most `limit_bytes` in UTF-8; a longer one is cut and ends with the number of bytes left out."""
    text = clean(text)
    if len(text) * 4 <= limit_bytes:
        return text
    data = text.encode()
    if len(data) <= limit_bytes:
        return text
    kept = data[: max(0, limit_bytes - _MARK_BYTES)].decode("utf-8", "ignore")
    return f"{kept}… {len(data) - len(kept.encode())} more bytes left out"


def result_text(value: Any, limit_bytes: int = TEXT_BYTES_MAX) -> str:
    """A call's result as bounded text: strings and bytes as they are, JSON values as JSON, all else by its repr."""
    if isinstance(value, str):
        return bounded_text(value, limit_bytes)
    if isinstance(value, bytes | bytearray | memoryview):
        return _bytes_text(bytes(value[: limit_bytes * 2]), len(value), limit_bytes)
    try:
        return _json_text(json.JSONEncoder(ensure_ascii=False, default=_repr).iterencode(value), limit_bytes)
    except (ValueError, TypeError, RecursionError):
        return bounded_text(_repr(value), limit_bytes)


def _bytes_text(head: bytes, size: int, limit_bytes: int) -> str:
    text = head.decode("utf-8", "backslashreplace")
    if len(head) == size and len(text.encode()) <= limit_bytes:
        return text
    kept = head[: max(0, (limit_bytes - _MARK_BYTES) // 4)]
    return f"{kept.decode('utf-8', 'backslashreplace')}… {size - len(kept)} more bytes left out"


def _json_text(chunks: Iterator[str], limit_bytes: int) -> str:
    kept: list[str] = []
    chars = 0
    for chunk in chunks:
        if chars <= limit_bytes:
            kept.append(chunk)
        chars += len(chunk)
        if chars > COUNTED_CHARS_MAX:
            break
    text = clean("".join(kept))
    if chars <= limit_bytes and len(text.encode()) <= limit_bytes:
        return text
    cut = text.encode()[: max(0, limit_bytes - _MARK_BYTES)].decode("utf-8", "ignore")
    more = "more than " if chars > COUNTED_CHARS_MAX else ""
    return f"{cut}… {more}{max(1, min(chars, COUNTED_CHARS_MAX) - len(cut))} more characters left out"


def _repr(value: Any) -> str:
    try:
        return clean(_SHORT.repr(value))
    except Exception as error:  # a foreign object's repr may raise anything, and must not undo a call that succeeded
        return f"<{type(value).__name__} whose repr raised {type(error).__name__}>"
