"""How each tone looks, in colour and without; the only place that knows colours."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from opsconsole.console.view.ascii_text import to_ascii
from opsconsole.console.view.line import Line, Tone

ThemeName = Literal["dark", "light", "ansi", "colour-blind", "mono"]
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
    "past": "bold #121212 on #b48ead",
}
_SAFE: dict[Tone, str] = _COLOUR | {
    "good": "#56b4e9",
    "warn": "#e69f00",
    "bad": "bold #f0803c",
    "ask": "bold #f0e442",
    "hold": "#b8c4d8",
    "title": "bold #f4f4f4",
    "key": "bold #f4f4f4",
    "add": "#56b4e9",
}
"""Blue against orange and yellow, which every usual kind of colour blindness tells apart; no red against green."""
_LIGHT: dict[Tone, str] = {
    "plain": "#1c1c1c",
    "dim": "#5a5a5a",
    "strong": "bold #000000",
    "good": "#00694a",
    "warn": "#8a5600",
    "bad": "bold #a83200",
    "ask": "bold #5c4b00",
    "hold": "#8a3b73",
    "alarm": "bold #ffffff on #a83200",
    "title": "bold #00558a",
    "quote": "#34445c",
    "key": "bold #00558a",
    "add": "#00694a",
    "past": "bold #ffffff on #7a3e8f",
}
_ANSI: dict[Tone, str] = {
    "plain": "",
    "dim": "",
    "strong": "bold",
    "good": "green",
    "warn": "yellow",
    "bad": "bold red",
    "ask": "bold yellow",
    "hold": "magenta",
    "alarm": "bold reverse red",
    "title": "bold cyan",
    "quote": "",
    "key": "bold cyan",
    "add": "green",
    "past": "bold reverse magenta",
}
"""The terminal's own sixteen colours: how light they are is for its owner to say."""
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
    "past": "bold reverse",
}


_THEMES: dict[str, tuple[dict[Tone, str], str, str]] = {
    "dark": (_COLOUR, "on #2a3f54", "#7a7a7a"),
    "light": (_LIGHT, "on #cfe3f5", "#7a7a7a"),
    "ansi": (_ANSI, "reverse", "none"),
    "colour-blind": (_SAFE, "on #2a3f54", "#7a7a7a"),
    "mono": (_MONO, "reverse", "none"),
}
"""Name -> its tones, the row under the cursor, and rows that are old."""


NO_GROUND = Style()


class Painter:
    """Turns lines into strips of terminal cells."""

    def __init__(self, *, mono: bool = False, plain_ascii: bool = False, theme: ThemeName = "dark") -> None:
        self.mono = mono
        self.plain_ascii = plain_ascii
        tones, on_cursor, old = _THEMES["mono" if mono else theme]
        normal = {tone: Style.parse(look or "none") for tone, look in tones.items()}
        cursor, dimmed = Style.parse(on_cursor), Style.parse(old)
        self._styles: dict[Look, dict[Tone, Style]] = {
            "plain": normal,
            "cursor": {tone: style if tone in ("alarm", "past") else style + cursor for tone, style in normal.items()},
            "dimmed": dict.fromkeys(normal, dimmed),
            "dimmed cursor": dict.fromkeys(normal, dimmed + cursor),
        }
        self._grounded: dict[tuple[Look, Style], dict[Tone, Style]] = {}

    def strip(
        self, line: Iterable[tuple[str, Tone]], width: int, look: Look = "plain", ground: Style = NO_GROUND
    ) -> Strip:
        """`line` on `ground` in exactly `width` cells; spans of one look become one segment."""
        styles = self._grounded.get((look, ground))
        if styles is None:
            styles = {tone: ground + style for tone, style in self._styles[look].items()}
            self._grounded[look, ground] = styles  # as many as widgets have looks: some dozens
        segments: list[Segment] = []
        for text, tone in line:
            shown = to_ascii(text) if self.plain_ascii else text
            style = styles[tone]
            if segments and segments[-1].style is style:
                segments[-1] = Segment(segments[-1].text + shown, style)
            else:
                segments.append(Segment(shown, style))
        cells = sum(cell_len(segment.text) for segment in segments)
        made = Strip(segments, cells)
        return made if cells == width else made.adjust_cell_length(width, styles["plain"])


CURSOR_MARK: Line = (("▌", "key"),)
NO_MARK: Line = ((" ", "plain"),)
