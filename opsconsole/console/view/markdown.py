"""Markdown drawn simply: headings, code, lists, quotations, emphasis; it follows no link and trusts no text.

What is not understood is shown as it was written. The text is safe already; the fence around it is the caller's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from rich.cells import cell_len

from opsconsole.console.view.line import TAB, WRAPPED_LINES_MAX, Line, Span, Tone, wrap

_HEADING = re.compile(r"(#{1,6})\s+(.*)\Z")
_ITEM = re.compile(r"(\s{0,40})([-*+]|\d{1,9}[.)])\s+(.*)\Z")
_QUOTED = re.compile(r"\s{0,3}>\s?(.*)\Z")
_CODE = re.compile(r"\s{0,3}(`{3,}|~{3,})\s*([^`]*)\Z")
_RULE = re.compile(r"\s{0,3}([-*_])(?:\s*\1){2,}\s*\Z")
_INLINE = re.compile(r"(`[^`\n]+`|\*\*[^*\n]+\*\*|__[^_\n]+__)")
_CODE_MARK: Span = ("┃ ", "dim")
ITEM_INDENT_MAX = 12


def markdown(text: str, *, width: int, tone: Tone = "quote") -> list[Line]:
    """Already safe `text` as lines of at most `width` cells; a code block that was not closed yet goes to the end."""
    width = max(4, width)
    lines: list[Line] = []
    for line in _blocks(text, width, tone):
        lines.append(line)
        if len(lines) >= WRAPPED_LINES_MAX:
            lines.append((("… further lines are not shown", "warn"),))
            break
    return lines


def _blocks(text: str, width: int, tone: Tone) -> Iterator[Line]:
    fence = ""
    for part in text.split("\n"):
        opening = _CODE.match(part)
        if fence:
            if opening and opening[1].startswith(fence) and not opening[2].strip():
                fence = ""
            else:
                yield from _code(part, width)
        elif opening:
            fence = opening[1]
            for piece in wrap(" ".join(opening[2].split()), width - 2):
                yield (_CODE_MARK, (piece, "dim"))
        else:
            yield from _prose(part, width, tone)


def _code(part: str, width: int) -> Iterator[Line]:
    for piece in wrap(part, width - 2):
        yield (_CODE_MARK, (piece, "plain"))


def _prose(part: str, width: int, tone: Tone) -> Iterator[Line]:
    if _RULE.match(part):
        yield (("─" * min(width, 24), "dim"),)
        return
    if found := _HEADING.match(part):
        yield from _wrapped(((found[2], "strong"),), width, first=((f"{'▌' * min(3, len(found[1]))} ", "dim"),))
        return
    if found := _QUOTED.match(part):
        yield from _wrapped(_inline(found[1], "dim"), width, first=(("▏ ", "dim"),), rest=(("▏ ", "dim"),))
        return
    if found := _ITEM.match(part):
        indent = " " * min(len(found[1]), ITEM_INDENT_MAX, max(0, width - 8))
        mark = "•" if found[2] in "-*+" else found[2]
        yield from _wrapped(_inline(found[3], tone), width, first=((f"{indent}{mark} ", "key"),))
        return
    yield from _wrapped(_inline(part, tone), width)


def _inline(text: str, tone: Tone) -> Line:
    """Code and strong words in a look of their own, without their marks."""
    spans: list[Span] = []
    for piece in _INLINE.split(text):
        if len(piece) > 2 and piece[0] == piece[-1] == "`":
            spans.append((piece[1:-1], "plain"))
        elif len(piece) > 4 and piece[:2] == piece[-2:] and piece[:2] in ("**", "__"):
            spans.append((piece[2:-2], "strong"))
        elif piece:
            spans.append((piece, tone))
    return tuple(spans)


def _wrapped(spans: Line, width: int, *, first: Line = (), rest: Line | None = None) -> Iterator[Line]:
    """Spans broken between words, under `first`; `rest` (or as many blanks) stands before the further lines."""
    taken = sum(cell_len(text) for text, _ in first)
    if taken >= width - 2:
        first, rest, taken = (), (), 0
    before = rest if rest is not None else ((" " * taken, "plain"),) if taken else ()
    room = width - taken
    line: list[Span] = list(first)
    left = room
    for word, tone in _words(spans, room):
        size = cell_len(word)
        if size > left and left < room:
            yield tuple(line)
            line, left = list(before), room
            word, size = word.lstrip(" "), cell_len(word.lstrip(" "))
        line.append((word, tone))
        left -= size
    yield tuple(line)


def _words(spans: Line, room: int) -> Iterator[Span]:
    """Words, each with the blanks before it; none is wider than `room`."""
    for text, tone in spans:
        for word in re.findall(r" *[^ ]+| +", text.replace("\t", TAB)):
            for piece in wrap(word, room):
                yield piece, tone
