"""Lines that may be longer than their pane: it scrolls by lines and never by itself."""

from __future__ import annotations

from collections.abc import Callable

from textual import events
from textual.strip import Strip

from opsconsole.console.theme import Look, Painter
from opsconsole.console.view.line import Line
from opsconsole.console.widgets.painted import Painted

WHEEL_LINES = 3


class TextPane(Painted, can_focus=True, inherit_bindings=False):
    """Shows a part of its lines and says how many are below."""

    def __init__(self, painter: Painter, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes, markup=False)
        self.painter = painter
        self.look: Look = "plain"
        self.top = 0
        self._lines: list[Line] = []
        self.painted: Callable[[int], None] | None = None
        """Is told the place of each line that is painted."""

    def show(self, lines: list[Line], *, from_top: bool = False) -> None:
        """Replace the lines; the place stays unless `from_top`."""
        if lines == self._lines and not (from_top and self.top):
            return
        self._lines = lines
        self.top = 0 if from_top else min(self.top, self._last_top)
        self.refresh()

    @property
    def lines(self) -> list[Line]:
        """All lines."""
        return self._lines

    @property
    def _last_top(self) -> int:
        return max(0, len(self._lines) - self.room)

    def scroll_lines(self, by: int) -> None:
        """Move the text; it stops at its ends."""
        top = max(0, min(self._last_top, self.top + by))
        if top != self.top:
            self.top = top
            self.refresh()

    def to_end(self, end: bool) -> None:
        """Go to the first line or to the last."""
        self.scroll_lines(len(self._lines) if end else -len(self._lines))

    def render_line(self, y: int) -> Strip:
        """One line of the pane."""
        width, height = self.size
        index = self.top + y
        below = len(self._lines) - self.top - height
        if below > 0 and y == height - 1:
            return self.painter.strip(((f" ↓ {below + 1} more lines", "key"),), width, self.look, self.ground)
        line = self._lines[index] if index < len(self._lines) else ()
        if self.painted is not None and index < len(self._lines):
            self.painted(index)
        return self.painter.strip(line, width, self.look, self.ground)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """The wheel moves the text."""
        event.stop()
        self.scroll_lines(WHEEL_LINES)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """The wheel moves the text."""
        event.stop()
        self.scroll_lines(-WHEEL_LINES)

    def resized(self) -> None:
        """Keep the place inside the text."""
        self.top = min(self.top, self._last_top)
        self.refresh()
