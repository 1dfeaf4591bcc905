"""The receipt of the latest kill, or what a kill of many would stop: it opens below the view until it is closed."""

from __future__ import annotations

from textual.app import ComposeResult

from opsconsole.console.aftermath import RUNS_MAX as LOOKED_AT_MAX
from opsconsole.console.aftermath import Aftermath
from opsconsole.console.context import Context
from opsconsole.console.view.kill_plan import LINES, plan_head, plan_lines
from opsconsole.console.view.line import Line, fit_line
from opsconsole.console.view.open_effects import OpenEffects, effects_lines, open_effects, together
from opsconsole.console.view.outbox import Entry, Sent
from opsconsole.console.view.receipt import receipt, resume_line
from opsconsole.console.view.unread import as_came, read
from opsconsole.console.widgets.fixed import Box
from opsconsole.console.widgets.text_pane import TextPane
from opsconsole.protocol.rows import RunRow

LINES_MAX = 14
PLAN_SECONDS = 1.0
"""What a kill of many would stop, or has stopped, is worked out at most this often: every run of it is looked at."""
MANY_RUNS = 200
"""Below this many that is done at every change, and before the first picture."""
ASKED_SECONDS = 0.03
"""Until the question of a kill of many is on screen: a terminal takes a picture in several bites."""
NEVER = float("-inf")
SHARE = 0.4
"""The most of the screen's height that it takes."""


class ReceiptPanel(Box):
    """Below the view, never over it."""

    def __init__(self, context: Context) -> None:
        super().__init__(id="receipt")
        self.display = False
        self.context = context
        self.entries: list[Entry] = []
        self.runs: list[str] = []
        self.pane = TextPane(context.painter, id="receipt-text")
        self._effects: OpenEffects | None = None
        self._aftermath = Aftermath()
        self._plan: tuple[list[str], str] | None = None
        self._plan_lines: list[Line] = []
        self._planned_at, self._is_asked = NEVER, False
        self._received_lines: list[Line] = []
        self._received_as: list[Sent] = []
        self._received_at = NEVER

    def compose(self) -> ComposeResult:
        """One text in a border."""
        yield self.pane

    def open(self, entries: list[Entry], runs: list[str]) -> None:
        """Show the receipt of these commands for these runs."""
        self.entries, self.runs, self._effects, self._plan = entries, runs, None, None
        self._aftermath, self._received_at = Aftermath(), NEVER
        self.pane.to_end(False)
        if len(runs) == 1:
            self.context.app.follow(runs[0])
        self.display = True
        self.update_lines()

    def plan(self, runs: list[str], wanted: str) -> None:
        """Show what would be stopped; `unplan` takes it away."""
        self._plan, self._planned_at, self._is_asked = (runs, wanted), NEVER, len(runs) < MANY_RUNS
        self.display = True
        self.update_lines()
        if not self._is_asked:
            self.set_timer(ASKED_SECONDS, self._asked)

    def _asked(self) -> None:
        """The question is on screen: what it is about follows."""
        self._is_asked = True
        self.update_lines()

    def unplan(self) -> None:
        """Nothing of the kind is meant any more."""
        if self._plan is not None:
            self._plan = None
            self.display = bool(self.entries) and self.display
            self.update_lines()

    def scroll(self, direction: int) -> bool:
        """Move its text by half of what is shown; False when there is no more of it, or it is not open."""
        was = self.pane.top
        if self.display:
            self.pane.scroll_lines(direction * max(1, self.pane.size.height // 2))
        return self.pane.top != was

    def close(self) -> bool:
        """Close it; False when it was not open."""
        was_open = self.display
        self.display = False
        self.entries, self._plan = [], None
        return was_open

    def update_lines(self) -> None:
        """What is known now."""
        if not self.display:
            return
        lines = self._planned() if self._plan is not None else self._seldom_received()
        if not lines:
            return
        width = max(10, self.context_width())
        self.pane.show([fit_line(line, width) for line in lines])
        height = min(LINES_MAX, len(lines), max(1, int(self.app.size.height * SHARE))) + 2
        if self.styles.height is None or self.styles.height.value != height:
            self.styles.height = height

    def context_width(self) -> int:
        """Cells of the text."""
        return self.pane.size.width or self.app.size.width - 4

    def _planned(self) -> list[Line]:
        assert self._plan is not None
        (runs, wanted), now = self._plan, self.context.clock.monotonic()
        if not self._is_asked:  # the question is drawn first
            return [plan_head(len(runs), wanted=wanted), *[()] * (LINES - 1)]
        if now - self._planned_at >= PLAN_SECONDS:
            board, self._planned_at = self.context.session.board, now
            below = len(board.below(runs))
            self._plan_lines = plan_lines(board.told(runs), wanted=wanted, below=below, now=self.context.hub_now())
        return self._plan_lines

    def _seldom_received(self) -> list[Line]:
        now, asked = self.context.clock.monotonic(), [entry.status for entry in self.entries]
        is_due = asked != self._received_as or now - self._received_at >= PLAN_SECONDS
        if is_due or len(self.runs) < MANY_RUNS:
            self._received_lines, self._received_as, self._received_at = self._received(), asked, now
        return self._received_lines

    def _received(self) -> list[Line]:
        rows = self._rows(self.runs)
        total = max(len(self.runs), len(rows))
        now, monotonic = self.context.hub_now(), self.context.clock.monotonic()
        lines: list[Line] = []
        killed = _killed(rows)
        left = effects_lines(self._left(killed)) if killed else []
        for entry in self.entries:
            lines += receipt(entry, rows, kin=self._kin(), remains=left, total=total, now=now, monotonic=monotonic)
            left = []
        if len(self.runs) == 1 and rows:
            lines += resume_line(rows[0])
        return lines

    def _left(self, killed: list[RunRow]) -> OpenEffects:
        """What these runs and those below them left; the only one of a kill by its timeline, which is followed."""
        board = self.context.session.board
        first = self._open_effects(killed[0]) if len(self.runs) == 1 else None
        others = ([] if first is not None else killed) + _killed(board.told(board.descendants_of(self.runs)))
        looked_at = list(map(read, others[:LOOKED_AT_MAX]))
        self.context.app.pages.aftermath(self._aftermath, looked_at, self.context.clock.monotonic)
        found, unread = self._aftermath.of(looked_at)
        return together(found if first is None else [first, *found], unread + len(others) - len(looked_at))

    def _open_effects(self, row: RunRow) -> OpenEffects | None:
        """By the timeline as long as it is followed, then as it was last seen."""
        timeline = self.context.session.timeline
        if row.kill is not None and timeline is not None and timeline.run == row.run and timeline.rev is not None:
            self._effects = open_effects(timeline, sent_at=row.kill.sent_at)
        return self._effects

    def _rows(self, runs: list[str]) -> list[RunRow]:
        """Those of a kill of many as they came: they are too many to be read as often as they change."""
        board = self.context.session.board
        rows = board.told(runs)
        return rows if len(rows) > 1 else list(map(read, rows))

    def _kin(self) -> list[RunRow]:
        """The runs below the named one: a kill takes them along."""
        board = self.context.session.board
        return [row for row in map(board.get, board.descendants(self.runs[0])) if row] if len(self.runs) == 1 else []


def _killed(rows: list[RunRow]) -> list[RunRow]:
    return [row for row, came in zip(rows, as_came(rows), strict=True) if came.kill is not None]
