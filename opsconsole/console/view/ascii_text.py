"""Every line in plain ASCII, cell for cell, for terminals that know nothing else; it changes no width."""

from __future__ import annotations

from rich.cells import cell_len

_REPLACED = {
    "●": "*", "◆": "!", "◉": "@", "▲": "^", "✖": "x", "✔": "v", "■": "#", "○": "o", "◌": "?", "‖": "=",
    "…": "~", "▌": ">", "│": "|", "┃": "|", "─": "-", "━": "-", "┌": "+", "┐": "+", "└": "+", "┘": "+",
    "├": "+", "┤": "+", "┏": "+", "┓": "+", "┗": "+", "┛": "+", "▶": ">", "←": "<", "→": ">", "↑": "^", "↓": "v",
    "·": "-", "█": "#", "▉": "#", "▊": "#", "▋": "#", "▌ ": "> ", "▍": "=", "▎": "-", "▏": "-", "░": ".",
    "▁": "_", "▂": ".", "▃": "-", "▄": "=", "▅": "+", "▆": "*", "▇": "%",
    "⏎": "/", "↪": "\\", "≥": ">", "≤": "<", "×": "x", "␉": ">", "“": '"', "”": '"', "’": "'", "–": "-", "—": "-",
}  # fmt: skip
_TABLE = str.maketrans({mark: plain for mark, plain in _REPLACED.items() if len(mark) == 1})


def to_ascii(text: str) -> str:
    """`text` with our own marks in their ASCII form and anything else beyond ASCII as `?`, one per cell."""
    if text.isascii():
        return text
    text = text.translate(_TABLE)
    if text.isascii():
        return text
    return "".join(mark if mark.isascii() else "?" * cell_len(mark) for mark in text)
