"""A run as it happened, scrubbed through by hand or played: it decides nothing and shows nothing that goes on now."""

from __future__ import annotations

from collections.abc import Callable

from textual.app import ComposeResult

from opsconsole.console.actions import ViewName
from opsconsole.console.context import Context
from opsconsole.console.panels.list_panel import ListPanel
from opsconsole.console.view.axis import Mark, axis_lines, held_long, marks
from opsconsole.console.view.line import Line, fit_line
from opsconsole.console.view.place import Place
from opsconsole.console.view.playhead import Playhead
from opsconsole.console.view.replay_lines import headline, moment_line, when_line
from opsconsole.console.view.tape import Tape
from opsconsole.console.view.timeline_lines import step_detail, step_line
from opsconsole.console.widgets.fixed import Box
from opsconsole.console.widgets.lines import Lines
from opsconsole.domain.text import safe_line

AXIS_FROM_LINES = 20
"""Below this height there is no room for the lanes."""


class ReplayPanel(ListPanel):
    """The moment, the lanes with the place on the tape, the steps that had begun by then, and one of them opened."""

    view: ViewName = "replay"

    def __init__(self, context: Context) -> None:
        super().__init__(context, id="replay", line=self._line, empty="Nothing had happened yet.")
        self.run: str | None = None
        self.head: Playhead | None = None
        self.about = Lines(context.painter, id="replay-head")
        self.axis = Lines(context.painter, id="replay-axis")
        self._words = "no run is replayed: h on a run, or : replay ID"
        self._wanted: Place | None = None
        self._marks: list[Mark] = []
        self._played_at = 0.0
        self._height = AXIS_FROM_LINES
        self._table: dict[str, Callable[[Playhead], None]] = {
            "step_on": lambda head: head.step(1),
            "step_back": lambda head: head.step(-1),
            "play": lambda head: head.play(),
            "faster": lambda head: head.faster(1),
            "slower": lambda head: head.faster(-1),
            "next_stop": lambda head: head.stop(1),
            "last_stop": lambda head: head.stop(-1),
            "page_down": lambda head: head.page(1),
            "page_up": lambda head: head.page(-1),
            "first": lambda head: head.go(0),
            "last": lambda head: head.go(len(head.tape)),
        }

    def compose(self) -> ComposeResult:
        """Moment, lanes, steps, the opened one."""
        with Box(classes="split"):
            with Box(id="replay-left"):
                yield self.about
                yield self.axis
                yield self.list
            with Box(classes="opened"):
                yield self.pane

    def headline(self, width: int) -> Line:
        """That this is a replay."""
        return headline(self.head, width=width)

    def show_run(self, run: str, place: Place | None = None) -> None:
        """Replay a run, from its end or from a moment; `take` brings the tape."""
        self._wanted = place
        if self.head is not None and self.head.tape.run == run:
            self._go_to_wanted()
            return
        self.run, self.head, self._marks = run, None, []
        self._words = f"fetching the events of {safe_line(run)} …"
        self.list.set_keys([])
        if not self.context.app.pages.replay(run):
            self._words = "another run is being fetched: press h again in a moment"

    def fetched(self, run: str, events: int) -> None:
        """So many events are here."""
        if run == self.run:
            self._words = f"fetching the events of {safe_line(run)}: {events:,} so far …"
            self.refresh_rows()

    def failed(self, run: str, words: str) -> None:
        """There is no tape."""
        if run == self.run:
            self._words = words
            self.refresh_rows()

    def take(self, tape: Tape) -> None:
        """The tape is here."""
        if tape.run != self.run:
            return
        if not len(tape):
            self.failed(tape.run, f"the hub holds no events of {safe_line(tape.run)}")
            return
        self.head = Playhead(tape, index=len(tape))
        whole = tape.whole
        held = held_long(whole)
        self._marks = list(marks([whole.steps[key] for key in whole.order()], asked=held.__contains__))
        self._go_to_wanted()
        self.refresh_rows()

    def do(self, action: str) -> bool:
        """Scrub, play, open a step."""
        if action == "open":
            self.toggle_class("-opened")
            self.refresh_rows()
            return True
        act = self._table.get(action)
        if act is None:
            return False
        if self.head is not None:
            act(self.head)
            self._played_at = self.context.clock.monotonic()
            self._follow()
        self.refresh_rows()
        return True

    def paint(self) -> bool:
        """Play on, and paint some of what changed."""
        now = self.context.clock.monotonic()
        if self.head is not None and self.head.playing:
            seconds, self._played_at = now - self._played_at, now
            if self.head.advance(seconds):
                self._follow()
                self.refresh_rows()
        return super().paint()

    def refresh_rows(self) -> None:
        """The moment that is shown."""
        width = max(10, self.about.size.width)
        head = self.head
        if head is None:
            self.about.show([fit_line(((f" {self._words}", "warn"),), width)])
            self.axis.show([])
            self._heights(1, 0)
            self.pane.show([])
            return
        now, zone = self.context.hub_now(), self.context.zone
        about = [when_line(head, now=now, width=width, zone=zone), moment_line(head, width=width)]
        lanes = self._axis(head, width) if self._has_room else []
        self.about.show(about)
        self.axis.show(lanes)
        self._heights(len(about), len(lanes))
        self.list.set_keys(head.tape.order(head.index))
        key = self.list.cursor
        step = None if key is None else head.tape.step(key, head.index)
        if step is not None and self.has_class("-opened"):
            self.pane.show(step_detail(step, width=max(10, self.pane.size.width - 1), zone=zone))

    def current_run(self) -> str | None:
        """The run on the tape."""
        return self.run

    def close_inner(self) -> bool:
        """Close the opened step."""
        opened = self.has_class("-opened")
        self.remove_class("-opened")
        return opened

    def fit(self, width: int, height: int) -> None:
        """The screen has this size now."""
        super().fit(width, height)
        self._height = height

    @property
    def _has_room(self) -> bool:
        """Whether the lanes leave room for the steps, and for the opened one where it stands below them."""
        below = self.has_class("-opened") and not self.has_class("-wide")
        return self._height >= AXIS_FROM_LINES * (2 if below else 1)

    def _axis(self, head: Playhead, width: int) -> list[Line]:
        tape = head.tape
        return axis_lines(
            self._marks,
            start=tape.at(1),
            end=tape.at(len(tape)),
            width=width,
            zone=self.context.zone,
            at=tape.at(head.index),
        )

    def _go_to_wanted(self) -> None:
        place, self._wanted = self._wanted, None
        if self.head is None or place is None:
            self._follow()
            return
        self.head.go(self.head.tape.index_at(place.at))
        self._follow()
        key = next((key for key in place.keys if self.head.tape.step(key, self.head.index)), None)
        if key is not None:
            self.list.go(key)

    def _follow(self) -> None:
        """Put the cursor on the step that the latest event belongs to."""
        if self.head is None:
            return
        tape, index = self.head.tape, self.head.index
        self.list.set_keys(tape.order(index))
        latest = tape.latest(index)
        if latest is not None:
            self.list.go(latest)

    def _heights(self, about: int, lanes: int) -> None:
        for widget, height in ((self.about, about), (self.axis, lanes)):
            if widget.styles.height is None or widget.styles.height.value != height:
                widget.styles.height = height

    def _line(self, key: str, width: int) -> Line:
        step = None if self.head is None else self.head.tape.step(key, self.head.index)
        return () if step is None else step_line(step, width=width, zone=self.context.zone)
