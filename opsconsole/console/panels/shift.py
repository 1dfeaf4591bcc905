"""The shift: what happened since a time, who looks at what now, how people decided, notes; it changes nothing."""

from __future__ import annotations

from collections.abc import Callable

from textual.app import ComposeResult

from opsconsole.console.actions import ViewName
from opsconsole.console.context import Context
from opsconsole.console.controls import NotDone
from opsconsole.console.panels.panel import Panel
from opsconsole.console.view.digest import Standing
from opsconsole.console.view.line import Line, fit_line
from opsconsole.console.view.shift_lines import Count, present, shift_lines, standing
from opsconsole.console.view.since import since_of
from opsconsole.console.widgets.lines import Lines
from opsconsole.console.widgets.text_pane import TextPane

SHIFT_SECONDS = 8 * 3_600.0
"""What is summed up where nobody said since when."""


class ShiftPanel(Panel):
    """A heading and a text."""

    view: ViewName = "shift"

    def __init__(self, context: Context) -> None:
        super().__init__(context, id="shift")
        self.heading = Lines(context.painter, id="shift-heading", classes="one-line")
        self.pane = TextPane(context.painter, id="shift-text")
        self.since: float | None = None
        """Hub clock; None: SHIFT_SECONDS ago."""
        self.load: Callable[[], None] = lambda: None
        """Reads it anew; given by who can."""
        self.problem = ""
        self.loading = False
        self._count: Count | None = None
        self._worded: tuple[Count, Standing, list[str], int] | None = None
        """What the lines on the pane were made of: only what differs is worded anew."""

    def compose(self) -> ComposeResult:
        """Heading, text."""
        yield self.heading
        yield self.pane

    @property
    def text(self) -> TextPane:
        """All of it."""
        return self.pane

    @property
    def begin(self) -> float:
        """Since when, hub clock."""
        return self.context.hub_now() - SHIFT_SECONDS if self.since is None else self.since

    def take(self, count: Count) -> None:
        """What the entries since `begin` come to."""
        self._count = count
        self.refresh_rows()

    def refresh_rows(self) -> None:
        """The words for this width."""
        state = self.problem or ("loading" if self.loading else "T since another time   ^r reads it again")
        head: Line = ((" shift  ", "title"), (state, "bad" if self.problem else "dim"))
        self.heading.show([fit_line(head, max(1, self.heading.size.width))])
        if self._count is not None:
            self._word(self._count)

    def _word(self, count: Count) -> None:
        session, width = self.context.session, max(10, self.pane.size.width - 1)
        runs, calls = session.board.rows.by_key, session.queue.rows.by_key.values()
        now, here = standing(runs.values(), calls), present(runs, calls, session.others)
        if self._worded != (made := (count, now, here, width)):
            self._worded = made
            self.pane.show(shift_lines(count, now, here, width=width, zone=self.context.zone))

    def do(self, action: str) -> bool:
        """Another time."""
        if action != "since":
            return False
        self.context.app.ask("since (02:00, 8h, 2026-03-01 22:00)", self._from)
        return True

    def _from(self, text: str) -> None:
        try:
            self.since = since_of(text, now=self.context.hub_now(), zone=self.context.zone) if text.strip() else None
        except ValueError as error:
            raise NotDone(str(error)) from None
        self.load()
