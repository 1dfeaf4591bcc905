"""A fence around words that are not ours: bordered, named, every line prefixed; it makes no text safe by itself."""

from __future__ import annotations

from collections.abc import Iterable

from opsconsole.console.view.line import TAB, Line, Span, Tone, cut, fit_line, wrap

LINES_MAX = 400
"""Lines of one fenced text that are shown; the rest is counted."""


def fenced(title: str, text: str, *, width: int, tone: Tone = "quote", lines_max: int = LINES_MAX) -> list[Line]:
    """Already safe `text` inside a border; `title` is ours and says whose words these are."""
    inner = max(4, width - 2)
    head = f"┌─ {cut(title, max(1, width - 5))} "
    lines: list[Line] = [((head + "─" * max(0, width - len(head)), "dim"),)]
    shown = []
    for part in text.split("\n"):
        wrapped = wrap(part, inner)
        shown += [("│ " if index == 0 else "│↪", piece) for index, piece in enumerate(wrapped)]
        if len(shown) > lines_max:
            break
    lines += [fit_line(((prefix, "dim"), (piece, tone)), width) for prefix, piece in shown[:lines_max]]
    total = text.count("\n") + 1
    if len(shown) > lines_max:
        lines.append(((f"│ … not all is shown here ({total:,} lines, {len(text):,} characters)", "warn"),))
    lines.append((("└" + "─" * max(0, width - 1), "dim"),))
    return lines


def fenced_spans(title: str, spans: Iterable[Span], *, width: int, lines_max: int = LINES_MAX) -> list[Line]:
    """`fenced` for already safe text in several tones, broken and cut at the same places."""
    inner, left_out = max(4, width - 2), False
    head = f"┌─ {cut(title, max(1, width - 5))} "
    lines: list[Line] = [((head + "─" * max(0, width - len(head)), "dim"),)]
    for line in _lines(spans):
        text = "".join(part for part, _ in line)
        for index, piece in enumerate(wrap(text, inner)[: lines_max + 1]):
            prefix: Span = ("│ " if index == 0 else "│↪", "dim")
            taken, line = _taken(line, len(piece))
            lines.append(fit_line((prefix, *taken), width))
        left_out = len(lines) > lines_max + 1
        if left_out:
            break
    lines = lines[: lines_max + 1]
    if left_out:
        lines.append((("│ … not all is shown here", "warn"),))
    lines.append((("└" + "─" * max(0, width - 1), "dim"),))
    return lines


def is_cut(lines: list[Line], *, lines_max: int = LINES_MAX) -> bool:
    """Whether these lines, of one fence, are not all of its text: such a fence has a line more, which says so."""
    return len(lines) > lines_max + 2


def _lines(spans: Iterable[Span]) -> Iterable[Line]:
    """Spans line by line, with tabs as what they are."""
    line: list[Span] = []
    for text, tone in spans:
        first, *others = text.replace("\t", TAB).split("\n")
        line.append((first, tone))
        for other in others:
            yield tuple(line)
            line = [(other, tone)]
    yield tuple(line)


def _taken(line: Line, chars: int) -> tuple[Line, Line]:
    """The first `chars` characters of a line, and the rest of it."""
    taken: list[Span] = []
    for place, (text, tone) in enumerate(line):
        if len(text) > chars:
            taken.append((text[:chars], tone))
            return tuple(taken), ((text[chars:], tone), *line[place + 1 :])
        taken.append((text, tone))
        chars -= len(text)
    return tuple(taken), ()
