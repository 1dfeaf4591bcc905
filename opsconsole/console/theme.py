"""How each tone looks, in colour and without; the only place that knows colours."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from opsconsole.console.view.ascii_text import to_ascii
from opsconsole.console.view.line import Line, Tone

Look = Literal["plain", "cursor", "dimmed", "dimmed cursor"]

_COLOUR: dict[Tone, str] = {
    "plain": "#e4e4e4",
    "dim": "#8f8f8f",
    "strong": "bold #f4f4f4",
    "good": "#2fbf8f",
    "warn": "#e69f00",
    "bad": "bold #f0803c",
    "ask": "bold #f0e442",
    "hold": "#d99cc4",
    "alarm": "bold #121212 on #f0803c",
    "title": "bold #7cc8f0",
    "quote": "#b8c4d8",
    "key": "bold #7cc8f0",
    "add": "#2fbf8f",
}
_MONO: dict[Tone, str] = {
    "plain": "",
    "dim": "",
    "strong": "bold",
    "good": "",
    "warn": "bold",
    "bad": "bold",
    "ask": "bold",
    "hold": "bold",
    "alarm": "bold reverse",
    "title": "bold",
    "quote": "",
    "key": "bold",
    "add": "bold",
}


class Painter:
    """Turns lines into strips of terminal cells."""

    def __init__(self, *, mono: bool = False, plain_ascii: bool = False) -> None:
        self.mono = mono
        self.plain_ascii = plain_ascii
        tones = _MONO if mono else _COLOUR
        normal = {tone: Style.parse(look or "none") for tone, look in tones.items()}
        cursor = Style.parse("reverse") if mono else Style.parse("on #2a3f54")
        dimmed = Style.parse("none") if mono else Style.parse("#7a7a7a")
        self._styles: dict[Look, dict[Tone, Style]] = {
            "plain": normal,
            "cursor": {tone: style if tone == "alarm" else style + cursor for tone, style in normal.items()},
            "dimmed": dict.fromkeys(normal, dimmed),
            "dimmed cursor": dict.fromkeys(normal, dimmed + cursor),
        }

    def strip(self, line: Iterable[tuple[str, Tone]], width: int, look: Look = "plain") -> Strip:
        """`line` in exactly `width` cells; spans of one look become one segment."""
        styles = self._styles[look]
        segments: list[Segment] = []
        for text, tone in line:
            shown = to_ascii(text) if self.plain_ascii else text
            style = styles[tone]
            if segments and segments[-1].style is style:
                segments[-1] = Segment(segments[-1].text + shown, style)
            else:
                segments.append(Segment(shown, style))
        return Strip(segments).adjust_cell_length(width, styles["plain"])


CURSOR_MARK: Line = (("▌", "key"),)
NO_MARK: Line = ((" ", "plain"),)
