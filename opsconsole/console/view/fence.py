"""A fence around words that are not ours: bordered, named, every line prefixed; it makes no text safe by itself."""

from __future__ import annotations

from opsconsole.console.view.line import Line, Tone, cut, fit_line, wrap

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
