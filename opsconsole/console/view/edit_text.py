"""Arguments as text to edit and back again, and the difference before it is sent; nothing here sends it."""

from __future__ import annotations

import difflib
import json
from typing import Any

from opsconsole.console.view.line import Line, Tone, wrap
from opsconsole.domain.digest import NotCanonical, canonical
from opsconsole.domain.text import safe
from opsconsole.protocol.limits import ARGS_BYTES_MAX


class BadDraft(ValueError):
    """What was typed is not what the command needs; the message says where and why."""


def to_text(value: Any) -> str:
    """JSON to edit: exact, and with every character that could drive or deceive a terminal as a JSON escape."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    if safe(text, limit=len(text)) == text:
        return text
    return "".join(_escaped(mark) for mark in text)


def to_args(text: str) -> dict[str, Any]:
    """The arguments that were typed. Raises: BadDraft."""
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise BadDraft(f"line {error.lineno}, column {error.colno}: {error.msg}") from None
    except RecursionError:
        raise BadDraft("nested too deeply") from None
    if not isinstance(value, dict):
        raise BadDraft("arguments are one JSON object: { … }")
    try:
        size = len(canonical(value))
    except (NotCanonical, RecursionError) as error:
        raise BadDraft(str(error)) from None
    if size > ARGS_BYTES_MAX:
        raise BadDraft(f"{size:,} bytes of arguments; at most {ARGS_BYTES_MAX:,}")
    return value


def difference(before: Any, after: Any, *, width: int) -> list[Line]:
    """What changes, line by line; empty when nothing does."""
    old, new = to_text(before).split("\n"), to_text(after).split("\n")
    lines: list[Line] = []
    tones: dict[str, Tone] = {"-": "bad", "+": "add", " ": "dim"}
    if old == new:
        return lines
    for entry in difflib.ndiff(old, new) if len(old) + len(new) < 400 else difflib.unified_diff(old, new, n=3):
        mark, text = entry[0], entry[2:] if len(old) + len(new) < 400 else entry[1:]
        if mark in tones:
            lines += [
                ((f"{mark} " if index == 0 else "  ", tones[mark]), (piece, tones[mark]))
                for index, piece in enumerate(wrap(safe(text), width - 2))
            ]
    return lines


def changed_names(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """Names of the arguments that differ, sorted."""
    return sorted(
        name
        for name in before.keys() | after.keys()
        if before.get(name) != after.get(name) or (name in before) != (name in after)
    )


def _escaped(mark: str) -> str:
    if mark in "\n" or safe(mark) == mark:
        return mark
    point = ord(mark)
    if point < 0x10000:
        return f"\\u{point:04x}"
    point -= 0x10000
    return f"\\u{0xD800 + (point >> 10):04x}\\u{0xDC00 + (point & 0x3FF):04x}"
