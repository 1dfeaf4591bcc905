"""One run whole: its numbers, the tree of its agents, and its timeline in five looks; it holds no timeline itself."""

from __future__ import annotations

from textual.app import ComposeResult

from opsconsole.console.actions import ViewName
from opsconsole.console.context import Context
from opsconsole.console.panels.panel import Panel
from opsconsole.console.panels.run_looks import RunLooks
from opsconsole.console.view.family import family
from opsconsole.console.view.line import Line, fit_line
from opsconsole.console.view.place import Place, exact, nearest, reaches_back_to
from opsconsole.console.view.run_summary import summary
from opsconsole.console.view.timeline import Timeline
from opsconsole.console.widgets.fixed import Box
from opsconsole.console.widgets.lines import Lines
from opsconsole.console.widgets.row_list import RowList
from opsconsole.console.widgets.text_pane import TextPane

TREE_LINES_MAX = 8
HEAD_LINES_MAX = 7
PAGES_BACK_MAX = 40
"""Pages that are fetched to reach a place; what lies further back is for a replay."""


class RunPanel(Panel):
    """A run's head and tree above one look at it; what is under the cursor opens below or beside it."""

    view: ViewName = "run"

    def __init__(self, context: Context) -> None:
        super().__init__(context, id="run")
        self.run: str | None = None
        self.head = Lines(context.painter, id="run-head")
        self.kin = Lines(context.painter, id="run-tree")
        self.looks = RunLooks(context)
        self.pane = TextPane(context.painter, id="step-text")
        self._shown: tuple[str, str] | None = None
        self._place: Place | None = None
        self._pages = 0

    def compose(self) -> ComposeResult:
        """Head, tree, look, what is opened."""
        with Box(classes="split"):
            with Box(id="run-left"):
                yield self.head
                yield self.kin
                yield self.looks
            with Box(classes="opened"):
                yield self.pane

    @property
    def list(self) -> RowList:
        """The rows of the looks that have any."""
        return self.looks.list

    @property
    def following(self) -> bool:
        """Whether the newest step is followed."""
        return self.looks.following

    @property
    def rows(self) -> RowList | None:
        """The list, in a look that is one."""
        return None if self.looks.is_text else self.looks.list

    @property
    def text(self) -> TextPane:
        """The opened step, or the look that is a text."""
        return self.looks.reader if self.looks.is_text else self.pane

    def show_run(self, run: str) -> None:
        """Show another run, following its newest step."""
        if run == self.run:
            return
        self.run, self._shown, self._place = run, None, None
        self.remove_class("-opened")
        self.looks.show_run(run)

    def seek(self, place: Place) -> None:
        """Go to a place of the run shown, as soon as it is here."""
        self.looks.take_look("timeline")
        self.looks.following = False
        self._place, self._pages = place, 0

    def refresh_rows(self) -> None:
        """Everything but the steps' own changes, which are painted."""
        timeline = self.context.session.timeline
        self._show_head(max(10, self.head.size.width))
        if timeline is not None and timeline.run == self.run:
            self._seek(timeline)
        self.looks.refresh_look()
        self._show_opened()

    def do(self, action: str) -> bool:
        """Open a step, follow, look otherwise."""
        if action == "open":
            if self.looks.is_text:
                return True
            self.toggle_class("-opened")
        elif action == "follow":
            self.looks.following = not self.looks.following
        elif action in ("next_look", "last_look"):
            self.looks.turn(1 if action == "next_look" else -1)
            self.remove_class("-opened")
            if (widget := self.focus_widget) is not None:
                self.app.set_focus(widget, scroll_visible=False)
        else:
            return False
        self.refresh_rows()
        return True

    def moved(self) -> None:
        """The cursor was moved by hand: follow only from the last step."""
        self._place = None
        self.looks.moved()

    def current_run(self) -> str | None:
        """The run shown."""
        return self.run

    def looks_at(self) -> tuple[str | None, str | None]:
        """The run shown."""
        return self.run, None

    def close_inner(self) -> bool:
        """Close the opened step, then the look."""
        if self.has_class("-opened"):
            self.remove_class("-opened")
            return True
        was_other = self.looks.look != "timeline"
        self.looks.take_look("timeline")
        return was_other

    def fit(self, width: int, height: int) -> None:
        """The screen has this size now."""
        super().fit(width, height)
        self.looks.height_of_screen = height

    def _seek(self, timeline: Timeline) -> None:
        """Go to the place that is wanted; fetch further back until it is here."""
        place = self._place
        if place is None or timeline.rev is None:
            return
        key = exact(timeline, place)
        if key is None and not reaches_back_to(timeline, place.at) and self._pages < PAGES_BACK_MAX:
            self._pages += self.context.app.pages.older("run")
            return
        self._place = None
        if key is None:
            key = nearest(timeline, place.at)
            near = reaches_back_to(timeline, place.at)
            words = "there is no step of its own for it: this is the one before" if near else "it lies further back (h)"
            self.context.app.say(words, "warn")
        if key is not None:
            self.list.set_keys(timeline.order())
            self.list.go(key)
            self.add_class("-opened")

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
        looking = self.context.session.others.looking_at(run=row.run)
        about = summary(row, board.status(row, now), now=now, zone=self.context.zone, looking=looking)
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

    def _show_opened(self) -> None:
        key = self.list.cursor
        if key is None or not self.has_class("-opened"):
            return
        shown = (self.looks.look, key)
        lines = self.looks.detail(key, width=max(10, self.pane.size.width - 1))
        self.pane.show(lines, from_top=self._shown != shown)
        if self.looks.following and self.looks.is_speaking(key):
            self.pane.to_end(True)
        self._shown = shown
