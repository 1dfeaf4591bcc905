"""A line of the screen as spans of text with a tone, cut and padded to exact widths in cells; it knows no colours."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from rich.cells import cell_len, chop_cells

Tone = Literal[
    "plain", "dim", "strong", "good", "warn", "bad", "ask", "hold", "alarm", "title", "quote", "key", "add", "past"
]
"""What a span means; the theme gives it a colour, and every meaning is also carried by a word or a glyph."""
Span = tuple[str, Tone]
Line = tuple[Span, ...]
Align = Literal["left", "right"]

ELLIPSIS = "…"
TAB = "␉ "
"""A tab has no fixed width: it is shown as what it is."""
WRAPPED_LINES_MAX = 2_000
"""Lines that one text may fill in a pane; more is not read, and wrapping it would hold up the keys."""


def width_of(line: Iterable[Span]) -> int:
    """Cells that a line takes."""
    return sum(cell_len(text) for text, _ in line)


def cut(text: str, width: int) -> str:
    """`text` in at most `width` cells, with an ellipsis where something was left out."""
    if cell_len(text) <= width:
        return text
    if width <= 1:
        return ELLIPSIS[: max(0, width)]
    room = width - 1
    taken = text[:room] if text.isascii() else _take(text, room)
    return taken + ELLIPSIS


def cut_front(text: str, width: int) -> str:
    """The end of `text` in at most `width` cells, with an ellipsis where its beginning was left out."""
    if cell_len(text) <= width:
        return text
    kept = text[-max(0, width - 1) :] if width > 1 else ""
    while cell_len(kept) > width - 1 and kept:
        kept = kept[1:]
    return f"{ELLIPSIS}{kept}" if width > 0 else ""


def fit(text: str, width: int, align: Align = "left") -> str:
    """`text` in exactly `width` cells."""
    shown = cut(text, width)
    gap = " " * (width - cell_len(shown))
    return gap + shown if align == "right" else shown + gap


def fit_line(line: Line, width: int) -> Line:
    """`line` in exactly `width` cells."""
    spans: list[Span] = []
    left = width
    for text, tone in line:
        if left <= 0:
            break
        shown = cut(text, left)
        left -= cell_len(shown)
        spans.append((shown, tone))
    if left > 0:
        spans.append((" " * left, "plain"))
    return tuple(spans)


def two_ends(left: Line, right: Line, width: int) -> Line:
    """`left` at the left edge and `right` at the right one; the right end gives way when there is no room for both."""
    gap = width - width_of(left) - width_of(right)
    if gap < 1:
        return fit_line(left, width)
    return (*left, (" " * gap, "plain"), *right)


def first_that_fits(candidates: Iterable[Line], width: int) -> Line:
    """The first of `candidates` (longest first) that fits in `width` cells, else the last one cut."""
    line: Line = ()
    for line in candidates:
        if width_of(line) <= width:
            return line
    return fit_line(line, width)


def wrap(text: str, width: int) -> list[str]:
    """Already safe text as lines of at most `width` cells, broken anywhere; never more than WRAPPED_LINES_MAX lines."""
    width = max(1, width)
    lines: list[str] = []
    for part in text.replace("\t", TAB).split("\n"):
        lines.extend(chop_cells(part, width) if cell_len(part) > width else [part])
        if len(lines) > WRAPPED_LINES_MAX:
            return [*lines[:WRAPPED_LINES_MAX], cut(f"{ELLIPSIS} further lines are not shown", width)]
    return lines


def wrap_words(text: str, width: int) -> list[str]:
    """Our own prose broken between words where possible."""
    lines: list[str] = []
    for part in wrap(text, 10_000):
        current = ""
        for word in part.split(" "):
            if current and cell_len(current) + 1 + cell_len(word) > width:
                lines.append(current)
                current = word
            else:
                current = f"{current} {word}" if current else word
        lines.extend(wrap(current, width))
    return lines


def _take(text: str, width: int) -> str:
    return next(iter(chop_cells(text, width)), "")
