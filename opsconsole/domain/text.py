"""Makes text from agents safe to show: control, bidi and invisible characters become visible, nothing is lost."""

from __future__ import annotations

import re
import unicodedata

_UNSAFE = re.compile(
    "["
    "\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 (less tab and newline) and C1
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f"  # soft hyphen, joiners, fillers, Mongolian selectors
    "\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164"  # zero width, separators, bidi controls, filler
    "\ud800-\udfff"  # lone surrogates
    "\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb"  # variation selectors, BOM, filler, annotations
    "\U0001f1e6-\U0001f1ff\U0001f3fb-\U0001f3ff"  # letters of flags, skin tones: terminals differ on how wide they are
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"  # shorthand and musical format controls
    "\U000e0000-\U000e0fff"  # tags and variation selectors supplement
    "]"
)
_LINE_BREAKS = re.compile(r"[\t\n]+")
_MAY_PILE_UP = re.compile("[^\x00-\u02ff]{5,}")
"""Marks of every script begin beyond these."""
MARKS_MAX = 4
"""Marks on one letter; more climb over the lines above."""
CELL_CHARS_MAX = 400
"""Characters of one field in a row or cell; more cannot be read at a glance."""
PANE_CHARS_MAX = 65_536
"""Characters of one text in a pane; the rest is paged from the hub."""


def _visible(match: re.Match[str]) -> str:
    point = ord(match.group())
    if point < 0x20:
        return chr(0x2400 + point)
    if point == 0x7F:
        return "\u2421"
    return f"<U+{point:04X}>"


def _unpiled(match: re.Match[str]) -> str:
    """The text without marks that pile up; how many were left out stands in their place."""
    shown: list[str] = []
    marks = 0
    for character in match.group():
        if unicodedata.category(character) in ("Mn", "Me"):
            marks += 1
            if marks > MARKS_MAX:
                continue
        else:
            _tell_left_out(shown, marks)
            marks = 0
        shown.append(character)
    _tell_left_out(shown, marks)
    return "".join(shown)


def _tell_left_out(shown: list[str], marks: int) -> None:
    if marks > MARKS_MAX:
        shown.append(f"<{marks - MARKS_MAX} marks>")


def safe(text: str, *, limit: int = PANE_CHARS_MAX) -> str:
    """`text` with every character that could drive or deceive a terminal made visible; tab and newline stay.

    Longer text is cut at `limit` characters and says how many were left out.
    """
    left_out = len(text) - limit
    if left_out > 0:
        text = text[:limit]
    if not (text.isascii() and text.isprintable()):
        text = _MAY_PILE_UP.sub(_unpiled, _UNSAFE.sub(_visible, text))
    return f"{text}… {left_out} more" if left_out > 0 else text


def safe_line(text: str, *, limit: int = CELL_CHARS_MAX) -> str:
    """`safe` on one line: runs of tabs and newlines become one visible mark."""
    if len(text) <= limit and text.isascii() and text.isprintable():
        return text
    line = safe(text, limit=limit)
    return _LINE_BREAKS.sub("⏎", line) if "\n" in line or "\t" in line else line
