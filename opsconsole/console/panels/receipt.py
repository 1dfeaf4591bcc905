"""The receipt of the latest kill: opens with it and stays until it is closed."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Vertical

from opsconsole.console.context import Context
from opsconsole.console.view.line import Line, fit_line
from opsconsole.console.view.outbox import Entry
from opsconsole.console.view.receipt import receipt
from opsconsole.console.widgets.text_pane import TextPane
from opsconsole.protocol.rows import RunRow

LINES_MAX = 10


class ReceiptPanel(Vertical):
    """Below the view, never over it."""

    def __init__(self, context: Context) -> None:
        super().__init__(id="receipt")
        self.context = context
        self.entries: list[Entry] = []
        self.runs: list[str] = []
        self.pane = TextPane(context.painter, id="receipt-text")

    def compose(self) -> ComposeResult:
        """One text in a border."""
        yield self.pane

    def open(self, entries: list[Entry], runs: list[str]) -> None:
        """Show the receipt of these commands for these runs."""
        self.entries, self.runs = entries, runs
        self.add_class("-open")
        self.update_lines()

    def close(self) -> bool:
        """Close it; False when it was not open."""
        was_open = self.has_class("-open")
        self.remove_class("-open")
        return was_open

    def update_lines(self) -> None:
        """What is known now."""
        if not self.has_class("-open") or not self.entries:
            return
        rows = self._rows()
        total = max(len(self.runs), len(rows))
        now = self.context.clock.monotonic()
        width = max(10, self.context_width())
        lines: list[Line] = []
        for entry in self.entries:
            lines += receipt(entry, rows, kin=self._kin(), total=total, now=self.context.hub_now(), monotonic=now)
        self.pane.show([fit_line(line, width) for line in lines])
        height = min(LINES_MAX, len(lines), max(1, self.app.size.height // 3)) + 2
        if self.styles.height is None or self.styles.height.value != height:
            self.styles.height = height

    def context_width(self) -> int:
        """Cells of the text."""
        return self.pane.size.width or self.app.size.width - 4

    def _rows(self) -> list[RunRow]:
        board = self.context.session.board
        return [row for row in map(board.get, self.runs) if row is not None]

    def _kin(self) -> list[RunRow]:
        """The runs below the named one: a kill takes them along."""
        board = self.context.session.board
        return [row for row in map(board.get, board.descendants(self.runs[0])) if row] if len(self.runs) == 1 else []
