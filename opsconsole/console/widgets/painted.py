"""A widget that renders lines by itself; what they have in common is asked of the style sheet once a picture."""

from __future__ import annotations

from collections.abc import Sequence

from rich.style import Style
from textual.filter import ANSIToTruecolor, LineFilter
from textual.geometry import Region
from textual.strip import Strip

from opsconsole.console.widgets.fixed import Fixed


class Painted(Fixed):
    """Lines over the colours of the style sheet: to ask for those, all ancestors are asked, for longer than a line."""

    _ground: Style | None = None

    @property
    def ground(self) -> Style:
        """What every line of the present picture is drawn on."""
        if self._ground is None:
            self._ground = self.rich_style
        return self._ground

    @property
    def room(self) -> int:
        """Lines that it has room for; while it is hidden, had: it is shown again as large without being told."""
        return max(1, self.outer_size.height)

    def get_line_filters(self) -> Sequence[LineFilter]:
        """Without the one that gives the terminal's own colours fixed ones: where it is on, none of them is used."""
        return [one for one in super().get_line_filters() if type(one) is not ANSIToTruecolor]

    def render_lines(self, crop: Region) -> list[Strip]:
        """The lines of one picture."""
        self._ground = None
        return super().render_lines(crop)
