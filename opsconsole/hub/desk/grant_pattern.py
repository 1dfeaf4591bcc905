"""Which arguments a standing grant is for: exact values, and texts in which `*` stands for one plain word."""

from __future__ import annotations

import re
from typing import Any

from opsconsole.domain.digest import NotCanonical, canonical

ARGS_MAX = 32
PATTERN_BYTES_MAX = 16_384
STARS_MAX = 4
"""Of one text."""
_WORD = re.compile(r"[A-Za-z0-9_-]++(?:\.[A-Za-z0-9_-]++)*+", re.ASCII)
"""What a `*` stands for: no space, slash, quote or sign that could begin something else, and no `..`."""
LIKE = "like"
"""`{"like": "ord_*"}` in place of a value."""


def problem_of(pattern: dict[str, Any]) -> str | None:
    """Why this can be no pattern, or None."""
    if len(pattern) > ARGS_MAX:
        return f"more than {ARGS_MAX} arguments"
    try:
        if len(canonical(pattern)) > PATTERN_BYTES_MAX:
            return f"the pattern is larger than {PATTERN_BYTES_MAX} bytes"
    except NotCanonical as error:
        return f"the pattern has no canonical form: {error}"
    for name, wanted in pattern.items():
        like = _like(wanted)
        if like is not None and (not like.replace("*", "") or like.count("*") > STARS_MAX or "**" in like):
            return f"{name}: give a text with at most {STARS_MAX} single `*`, and more than those"
    return None


def matches(pattern: dict[str, Any], args: dict[str, Any]) -> bool:
    """Whether a call with these arguments is meant: every one of them is named, and none other."""
    if pattern.keys() != args.keys():
        return False
    return all(_matches(pattern[name], value) for name, value in args.items())


def _matches(wanted: Any, value: Any) -> bool:
    like = _like(wanted)
    if like is not None:
        return isinstance(value, str) and _is_like(like, value)
    try:
        return canonical({"": wanted}) == canonical({"": value})
    except NotCanonical:
        return False


def _like(wanted: Any) -> str | None:
    if isinstance(wanted, dict) and wanted.keys() == {LIKE} and isinstance(wanted[LIKE], str):
        return str(wanted[LIKE])
    return None


def _is_like(like: str, text: str) -> bool:
    """From left to right, each fixed part at its next place: what only another division would fit is not meant."""
    first, *rest = like.split("*")
    if not text.startswith(first):
        return False
    place = len(first)
    for number, part in enumerate(rest):
        is_last = number == len(rest) - 1
        at = len(text) - len(part) if is_last else text.find(part, place + 1)
        if at <= place or not text.startswith(part, at) or not _WORD.fullmatch(text, place, at):
            return False
        place = at + len(part)
    return place == len(text)
