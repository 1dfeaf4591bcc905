"""One run whole: its numbers, the tree of its agents and its timeline; it holds no timeline itself."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Container, Vertical

from opsconsole.console.actions import ViewName
from opsconsole.console.context import Context
from opsconsole.console.panels.panel import Panel
from opsconsole.console.view.family import family
from opsconsole.console.view.ingest import HeldCall
from opsconsole.console.view.line import Line, Span, fit_line, width_of
from opsconsole.console.view.ruling import in_full, in_short
from opsconsole.console.view.run_summary import summary
from opsconsole.console.view.timeline import Step
from opsconsole.console.view.timeline_lines import step_detail, step_line
from opsconsole.console.widgets.lines import Lines
from opsconsole.console.widgets.row_list import RowList
from opsconsole.console.widgets.text_pane import TextPane
from opsconsole.domain.run import TERMINAL

TREE_LINES_MAX = 8
HEAD_LINES_MAX = 7


class RunPanel(Panel):
    """A run's head and tree above its timeline; a step opens below or beside it."""

    view: ViewName = "run"

    def __init__(self, context: Context) -> None:
        super().__init__(context, id="run")
        self.run: str | None = None
        self.following = True
        self.head = Lines(context.painter, id="run-head")
        self.kin = Lines(context.painter, id="run-tree")
        self.heading = Lines(context.painter, id="timeline-heading", classes="one-line")
        self.list = RowList(context.painter, self._line, id="timeline", empty="No events yet.")
        self.pane = TextPane(context.painter, id="step-text")
        self._shown: tuple[str, int] | None = None

    def compose(self) -> ComposeResult:
        """Head, tree, timeline, step."""
        with Container(classes="split"):
            with Vertical(id="run-left"):
                yield self.head
                yield self.kin
                yield self.heading
                yield self.list
            with Vertical(classes="opened"):
                yield self.pane

    @property
    def rows(self) -> RowList:
        """The timeline."""
        return self.list

    @property
    def text(self) -> TextPane:
        """The opened step."""
        return self.pane

    def show_run(self, run: str) -> None:
        """Show another run, following its newest step."""
        if run == self.run:
            return
        self.run, self.following, self._shown = run, True, None
        self.remove_class("-opened")
        self.list.set_keys([])

    def refresh_rows(self) -> None:
        """Everything but the steps' own changes, which are painted."""
        timeline = self.context.session.timeline
        width = max(10, self.head.size.width)
        self._show_head(width)
        keys = timeline.order() if timeline is not None and timeline.run == self.run else []
        self.list.set_keys(keys)
        if self.following and keys and self.list.cursor != keys[-1]:
            self.list.go(keys[-1])
        self.heading.show([fit_line(self._heading(width), width)])
        self._show_step()

    def do(self, action: str) -> bool:
        """Open a step, follow."""
        if action == "open":
            self.toggle_class("-opened")
        elif action == "follow":
            self.following = not self.following
        else:
            return False
        self.refresh_rows()
        return True

    def moved(self) -> None:
        """The cursor was moved by hand: follow only from the last step."""
        self.following = bool(self.list.keys) and self.list.cursor == self.list.keys[-1]

    def current_run(self) -> str | None:
        """The run shown."""
        return self.run

    def close_inner(self) -> bool:
        """Close the opened step."""
        opened = self.has_class("-opened")
        self.remove_class("-opened")
        return opened

    def _show_head(self, width: int) -> None:
        board, now = self.context.session.board, self.context.hub_now()
        row = board.get(self.run)
        if row is None:
            nothing = "no run is open: choose one in the runs table (1)"
            self.head.show([((f" {nothing if self.run is None else f'{self.run} is not on the board'}", "dim"),)])
            self.kin.show([])
            self._heights(1, 0)
            return
        head: list[Line] = [((f" {row.agent}", "title"), (f" {row.name}  ", "strong"), (row.run, "dim"))]
        about = summary(row, board.status(row, now), now=now, zone=self.context.zone)
        head += [fit_line(((" ", "plain"), *line), width) for line in about]
        tree = [fit_line(((" ", "plain"), *member.line), width) for member in family(board, row.key, now=now)]
        short = self.has_class("-short")
        shown_head = head[: 2 if short else HEAD_LINES_MAX]
        shown_tree = [] if short or len(tree) < 2 else tree[:TREE_LINES_MAX]
        if len(tree) > TREE_LINES_MAX and shown_tree:
            shown_tree[-1] = ((f" … {len(tree) - TREE_LINES_MAX + 1} more runs in this tree", "dim"),)
        self.head.show(shown_head)
        self.kin.show(shown_tree)
        self._heights(len(shown_head), len(shown_tree))

    def _heights(self, head: int, tree: int) -> None:
        for widget, height in ((self.head, head), (self.kin, tree)):
            if widget.styles.height is None or widget.styles.height.value != height:
                widget.styles.height = height

    def _heading(self, width: int) -> Line:
        timeline = self.context.session.timeline
        if timeline is None or timeline.run != self.run:
            return ((" timeline", "dim"),)
        follow: Span = ("● following", "good") if self.following else ("○ not following (f)", "hold")
        skipped = f"  {timeline.skipped:,} events skipped: this console was behind" if timeline.skipped else ""
        back = "" if timeline.complete_back else "  o loads older"
        head: Span = (f"─ timeline  {len(self.list.keys):,} steps ", "dim")
        line: Line = (head, follow, (f"{back}{skipped} ", "dim"))
        return (*line, ("─" * max(0, width - width_of(line)), "dim"))

    def _current_step(self) -> Step | None:
        timeline = self.context.session.timeline
        return None if timeline is None or self.list.cursor is None else timeline.steps.get(self.list.cursor)

    def _show_step(self) -> None:
        step = self._current_step()
        if step is None or not self.has_class("-opened"):
            return
        shown = (step.key, step.version)
        width = max(10, self.pane.size.width - 1)
        fresh = self._shown is None or self._shown[0] != step.key
        held, now = self._held(step), self.context.hub_now()
        ruled = in_full(held, now=now, width=width) if held else []
        self.pane.show(step_detail(step, width=width, zone=self.context.zone, ruling=ruled), from_top=fresh)
        if self.following and self._is_speaking(step.key):
            self.pane.to_end(True)
        self._shown = shown

    def _line(self, key: str, width: int) -> Line:
        timeline = self.context.session.timeline
        step = None if timeline is None else timeline.steps.get(key)
        if step is None:
            return ()
        held = self._held(step)
        ruling = in_short(held, now=self.context.hub_now()) if held else None
        return step_line(step, width=width, zone=self.context.zone, ruling=ruling, speaking=self._is_speaking(key))

    def _held(self, step: Step) -> HeldCall | None:
        """The question that was asked about the call which a step is."""
        if self.run is None or not step.key.startswith("tool:"):
            return None
        return self.context.session.queue.of_call(self.run, step.key.removeprefix("tool:"))

    def _is_speaking(self, key: str) -> bool:
        timeline = self.context.session.timeline
        row = self.context.session.board.get(self.run)
        live = row is not None and row.state not in TERMINAL
        return live and timeline is not None and timeline.speaking() == key
