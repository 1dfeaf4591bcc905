"""A list of any length, one line a row, that paints only what is visible and changed; the cursor is bound to a key.

It knows neither what a row means nor where its text comes from: `line(key, width)` gives it.
"""

from __future__ import annotations

from collections.abc import Callable

from textual import events
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip

from opsconsole.console.theme import CURSOR_MARK, NO_MARK, Look, Painter
from opsconsole.console.view.changes import changed_cells
from opsconsole.console.view.line import Line
from opsconsole.console.widgets.painted import Painted

WHEEL_LINES = 3
MARK_CELLS = 1
"""The mark of the cursor stands before the row."""


class RowList(Painted, can_focus=True, inherit_bindings=False):
    """Rows by key, in the order given; nothing moves under the cursor by itself."""

    class Opened(Message):
        """A row was double-clicked."""

    def __init__(self, painter: Painter, line: Callable[[str, int], Line], *, id: str, empty: str = "") -> None:
        super().__init__(id=id, markup=False)
        self.painter = painter
        self.keys: list[str] = []
        self.cursor: str | None = None
        self.moved_at = float("-inf")
        """Monotonic time of the last cursor key; the caller holds the order still for a while after it."""
        self.top = 0
        self.dimmed = False
        self._empty = empty
        self._line = line
        self._index: dict[str, int] = {}
        self._painted: dict[int, tuple[str, Line]] = {}
        self._due: dict[int, tuple[str, Line]] = {}
        """What is to be painted where: what comes in before the paint must not be taken for painted."""
        self.slices = 3
        """Parts of the visible rows that load frames paint in turn: a frame stays small on a slow terminal."""
        self._next = 0

    def set_keys(self, keys: list[str]) -> None:
        """A new order. The cursor stays on its row; if that is gone, on the row that took its place."""
        if keys == self.keys:
            return
        offset = self.position - self.top
        place = self.position
        self.keys = keys
        self._index = {key: index for index, key in enumerate(keys)}
        if self.cursor not in self._index:
            self.cursor = keys[min(place, len(keys) - 1)] if keys else None
            offset = min(place, len(keys) - 1) - self.top if keys else 0
        self.top = max(0, min(self.position - max(0, offset), self._last_top))
        self._repaint()

    @property
    def empty(self) -> str:
        """What is said where no row is."""
        return self._empty

    @empty.setter
    def empty(self, text: str) -> None:
        if text != self._empty:
            self._empty = text
            if not self.keys:
                self._refresh_row(0)

    @property
    def position(self) -> int:
        """The cursor's place in the order, from 0."""
        return self._index.get(self.cursor, 0) if self.cursor is not None else 0

    @property
    def _last_top(self) -> int:
        return max(0, len(self.keys) - self.room)

    def go(self, key: str) -> bool:
        """Put the cursor on a row; False when it is not in the list."""
        if key not in self._index:
            return False
        self._move_to(self._index[key])
        return True

    def move(self, by: int) -> None:
        """Move the cursor by rows; it stops at the ends."""
        if self.keys:
            self._move_to(max(0, min(len(self.keys) - 1, self.position + by)))

    def page(self, direction: int) -> None:
        """Move the cursor by a page."""
        self.move(direction * max(1, self.size.height - 1))

    def to_end(self, end: bool) -> None:
        """Move the cursor to the first row or to the last."""
        self.move(len(self.keys) if end else -len(self.keys))

    def paint_some(self) -> bool:
        """Paint the next slice of visible rows, those that changed; whether there was any."""
        height, width = self.size.height, self.size.width
        room, start = -(-height // self.slices), self._next if self._next < height else 0
        painted = 0
        for y in (*range(start, height), *range(start)):
            painted += self._paint_if_changed(y, width)
            self._next = y + 1
            if painted == room:
                break
        return painted > 0

    def paint_all(self) -> None:
        """Paint every visible row that changed."""
        for y in range(self.size.height):
            self._paint_if_changed(y, self.size.width)

    def set_dimmed(self, dimmed: bool) -> None:
        """Draw the rows as old."""
        if dimmed != self.dimmed:
            self.dimmed = dimmed
            self._repaint()

    def render_line(self, y: int) -> Strip:
        """One row, with the cursor's mark; the text is made anew only when it is painted anew."""
        width = self.size.width
        index = self.top + y
        if index >= len(self.keys):
            text = self.empty if y == 0 and not self.keys else ""
            return self.painter.strip(((f" {text}", "dim"),), width, "plain", self.ground)
        key = self.keys[index]
        due_key, line = self._due.pop(y, (None, ()))
        if due_key != key:
            line = self._line(key, max(1, width - 1))
        self._painted[y] = (key, line)
        selected = key == self.cursor
        look: Look = "dimmed" if self.dimmed else "plain"
        if selected:
            look = "dimmed cursor" if self.dimmed else "cursor"
        mark = CURSOR_MARK if selected else NO_MARK
        return self.painter.strip((*mark, *line), width, look, self.ground)

    def on_click(self, event: events.Click) -> None:
        """A click selects, two open; none decides."""
        index = self.top + event.y
        if index < len(self.keys):
            self._move_to(index)
            if event.chain == 2:
                self.post_message(self.Opened())

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """The wheel moves the list, not the cursor."""
        event.stop()
        self._show_from(self.top + WHEEL_LINES)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """The wheel moves the list, not the cursor."""
        event.stop()
        self._show_from(self.top - WHEEL_LINES)

    def resized(self) -> None:
        """Keep the cursor in sight."""
        self.top = min(self.top, self._last_top)
        self._show_cursor()
        self._repaint()

    def _move_to(self, index: int) -> None:
        before = self.position
        self.cursor = self.keys[index]
        if not self._show_cursor():
            for place in {before, index}:
                self._refresh_row(place - self.top)

    def _show_cursor(self) -> bool:
        position, height = self.position, self.room
        if position < self.top:
            return self._show_from(position)
        if position >= self.top + height:
            return self._show_from(position - height + 1)
        return False

    def _show_from(self, top: int) -> bool:
        top = max(0, min(top, self._last_top))
        if top == self.top:
            return False
        self.top = top
        self._repaint()
        return True

    def _repaint(self) -> None:
        self._painted.clear()
        self._due.clear()
        self.refresh()

    def _paint_if_changed(self, y: int, width: int) -> bool:
        index = self.top + y
        if index >= len(self.keys):
            return False
        key = self.keys[index]
        line = self._line(key, max(1, width - 1))
        painted_key, painted = self._painted.get(y, (None, ()))
        if y in self._due or (painted_key == key and painted == line):
            return False
        changes = changed_cells(painted, line) if painted_key == key else None
        self._due[y] = (key, line)
        if changes is None:
            self._refresh_row(y)
        else:
            self.refresh(*(Region(MARK_CELLS + start, y, cells, 1) for start, cells in changes))
        return True

    def _refresh_row(self, y: int) -> None:
        if 0 <= y < self.size.height:
            self.refresh(Region(0, y, self.size.width, 1))
