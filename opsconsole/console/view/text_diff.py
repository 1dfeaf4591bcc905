"""What differs between two texts, line by line, at a bounded cost whatever they are; it knows nothing of calls."""

from __future__ import annotations

import difflib
from collections.abc import Iterator

from opsconsole.console.view.line import Line, Span, Tone

LINES_COMPARED_MAX = 120
"""Differing lines of each side that are matched: it costs up to the cube of them, and agents write the text."""
CONTEXT_LINES = 2


def diff_lines(before: str, after: str) -> list[Line]:
    """Lines with `-`, `+` or blank in front, with what is common around a change left pale; empty when equal."""
    if before == after:
        return []
    old, new = before.split("\n"), after.split("\n")
    head = _common(old, new)
    tail = _common(old[head:][::-1], new[head:][::-1])
    old_end, new_end = len(old) - tail, len(new) - tail
    lines = _context(old, max(0, head - CONTEXT_LINES), head)
    if old_end - head > LINES_COMPARED_MAX or new_end - head > LINES_COMPARED_MAX:
        lines += [(("- " + line, "bad"),) for line in old[head:old_end]]
        lines += [(("+ " + line, "add"),) for line in new[head:new_end]]
    else:
        lines += _changes(old[head:old_end], new[head:new_end])
    return lines + _context(old, old_end, min(len(old), old_end + CONTEXT_LINES))


def _common(one: list[str], other: list[str]) -> int:
    """How many lines are the same from the beginning."""
    count = 0
    for mine, theirs in zip(one, other, strict=False):
        if mine != theirs:
            break
        count += 1
    return count


def _context(lines: list[str], start: int, end: int) -> list[Line]:
    return [(("  " + line, "dim"),) for line in lines[start:end]]


def _changes(old: list[str], new: list[str]) -> list[Line]:
    lines: list[Line] = []
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    for kind, old_start, old_end, new_start, new_end in matcher.get_opcodes():
        gone, come = old[old_start:old_end], new[new_start:new_end]
        if kind == "equal":
            lines += _context(old, old_start, old_end)
        elif len(gone) == len(come):
            for mine, theirs in zip(gone, come, strict=True):
                lines += _pair(mine, theirs)
        else:
            lines += [(("- " + line, "bad"),) for line in gone]
            lines += [(("+ " + line, "add"),) for line in come]
    return lines


def _pair(old: str, new: str) -> Iterator[Line]:
    """One line that became another: what both begin and end with is pale."""
    head = next((i for i, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new)))
    room = min(len(old), len(new)) - head
    tail = next((i for i in range(room) if old[-1 - i] != new[-1 - i]), room)
    yield _marked("- ", old, head, len(old) - tail, "bad")
    yield _marked("+ ", new, head, len(new) - tail, "add")


def _marked(mark: str, text: str, start: int, end: int, tone: Tone) -> Line:
    spans: tuple[Span, ...] = ((mark, tone), (text[:start], "dim"), (text[start:end], tone), (text[end:], "dim"))
    return tuple(span for span in spans if span[0])
