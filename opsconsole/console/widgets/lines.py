"""A few lines that say something: header, banner, hints, headings; they neither scroll nor take the focus."""

from __future__ import annotations

from textual.geometry import Region
from textual.strip import Strip

from opsconsole.console.theme import Look, Painter
from opsconsole.console.view.changes import Cells, changed_cells
from opsconsole.console.view.line import Line
from opsconsole.console.widgets.painted import Painted


class Lines(Painted):
    """Shows lines from the top; only those that changed are painted again."""

    def __init__(self, painter: Painter, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes, markup=False)
        self.painter = painter
        self.look: Look = "plain"
        self._lines: list[Line] = []

    def show(self, lines: list[Line]) -> None:
        """Replace what is shown."""
        before = self._lines
        self._lines = list(lines)
        for y in range(max(len(before), len(lines))):
            old, new = _at(before, y), _at(lines, y)
            if old is None or new is None:
                self.refresh(Region(0, y, self.size.width, 1))
            elif old != new:
                self._refresh_changes(y, changed_cells(old, new))

    def _refresh_changes(self, y: int, changes: list[Cells] | None) -> None:
        for start, cells in [(0, self.size.width)] if changes is None else changes:
            self.refresh(Region(start, y, cells, 1))

    @property
    def lines(self) -> list[Line]:
        """What is shown."""
        return self._lines

    def render_line(self, y: int) -> Strip:
        """One line of the widget."""
        line = self._lines[y] if y < len(self._lines) else ()
        return self.painter.strip(line, self.size.width, self.look, self.ground)


def _at(lines: list[Line], y: int) -> Line | None:
    return lines[y] if y < len(lines) else None
