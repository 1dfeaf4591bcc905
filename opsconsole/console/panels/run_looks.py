"""The looks at one run's timeline: steps, conversation, curves, raw events, checkpoints; a heading names them all."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Literal

from textual.app import ComposeResult

from opsconsole.console.context import Context
from opsconsole.console.view.axis import Axis, in_parts, marks
from opsconsole.console.view.conversation import Conversation
from opsconsole.console.view.curves import curve_lines
from opsconsole.console.view.ingest import HeldCall
from opsconsole.console.view.line import Line, Span, fit_line, width_of
from opsconsole.console.view.raw_lines import raw_detail, raw_line
from opsconsole.console.view.ruling import in_full, in_short
from opsconsole.console.view.timeline import Raw, Timeline
from opsconsole.console.view.timeline_lines import step_detail, step_line
from opsconsole.console.widgets.fixed import Box
from opsconsole.console.widgets.lines import Lines
from opsconsole.console.widgets.row_list import RowList
from opsconsole.console.widgets.text_pane import TextPane
from opsconsole.domain.run import TERMINAL

Look = Literal["timeline", "conversation", "curves", "events", "checkpoints"]
LOOKS: tuple[Look, ...] = ("timeline", "conversation", "curves", "events", "checkpoints")
_TEXTS: frozenset[Look] = frozenset({"conversation", "curves"})
TALL_LINES = 32
"""From this height of the screen on, the axis stands above the timeline."""
CHART_LINES_MAX = 8
REDRAWN_SECONDS = 1.0
"""The axis and the curves look at every step of a run; there are thousands."""


class RunLooks(Box):
    """One look at a time; the list's cursor keeps its place in each."""

    def __init__(self, context: Context) -> None:
        super().__init__(id="run-looks")
        self.context = context
        self.run: str | None = None
        self.look: Look = "timeline"
        self.following = True
        self.height_of_screen = 24
        self.axis = Lines(context.painter, id="run-axis")
        self.heading = Lines(context.painter, id="timeline-heading", classes="one-line")
        self.list = RowList(context.painter, self._line, id="timeline", empty="No events yet.")
        self.reader = TextPane(context.painter, id="run-reader")
        self._conversation = Conversation()
        self._raw: dict[str, Raw] = {}
        self._cursors: dict[Look, str] = {}
        self._drawn: dict[str, tuple[tuple[object, ...], float, list[Line]]] = {}
        self._drawing: Generator[None, None, list[Line]] | None = None
        """The axis as far as it is drawn: its parts come one by one, with keys between them."""
        self._axis_of: tuple[object, ...] = ()
        self._axis_at = float("-inf")

    def compose(self) -> ComposeResult:
        """Axis, heading, then the list or the text."""
        yield self.axis
        yield self.heading
        yield self.list
        yield self.reader

    @property
    def is_text(self) -> bool:
        """Whether the look is a text, not a list."""
        return self.look in _TEXTS

    @property
    def timeline(self) -> Timeline | None:
        """The timeline of the run shown, if it is followed."""
        timeline = self.context.session.timeline
        return timeline if timeline is not None and timeline.run == self.run else None

    def show_run(self, run: str) -> None:
        """Another run, from its newest step."""
        self.run, self.following = run, True
        self._cursors.clear()
        self._raw.clear()
        self._drawn.clear()
        self._drawing, self._axis_of = None, ()
        self.take_look("timeline")
        self.list.set_keys([])
        self.reader.show([], from_top=True)

    def turn(self, by: int) -> None:
        """The next look, or the one before."""
        self.take_look(LOOKS[(LOOKS.index(self.look) + by) % len(LOOKS)])

    def take_look(self, look: Look) -> None:
        """Look at the run in this way."""
        if look == self.look:
            return
        if self.list.cursor is not None and not self.is_text:
            self._cursors[self.look] = self.list.cursor
        self.look = look
        self.set_class(self.is_text, "-reading")
        if not self.is_text:
            self.list.set_keys(self._keys())
            if look in self._cursors:
                self.list.go(self._cursors[look])

    def moved(self) -> None:
        """The cursor was moved by hand: follow only from the last row."""
        self.following = bool(self.list.keys) and self.list.cursor == self.list.keys[-1]

    def refresh_look(self) -> None:
        """What the look shows now."""
        width = max(10, self.size.width)
        self._show_axis(width)
        if self.is_text:
            self._show_text(width)
        else:
            keys = self._keys()
            self.list.empty = "No checkpoints." if self.look == "checkpoints" else "No events yet."
            self.list.set_keys(keys)
            if self.following and keys and self.list.cursor != keys[-1]:
                self.list.go(keys[-1])
        self.heading.show([fit_line(self._heading(width), width)])

    def detail(self, key: str, *, width: int) -> list[Line]:
        """What is under the cursor, opened."""
        timeline, zone, now = self.timeline, self.context.zone, self.context.hub_now()
        if self.look == "events":
            return raw_detail(self._raw[key], width=width, zone=zone) if key in self._raw else []
        step = None if timeline is None else timeline.steps.get(key)
        if step is None:
            return []
        held = self.held(key)
        ruled = in_full(held, now=now, width=width) if held else []
        return step_detail(step, width=width, zone=zone, ruling=ruled)

    def held(self, key: str) -> HeldCall | None:
        """The question that was asked about the call which a step is."""
        if self.run is None or not key.startswith("tool:"):
            return None
        return self.context.session.queue.of_call(self.run, key.removeprefix("tool:"))

    def is_speaking(self, key: str) -> bool:
        """Whether the model is saying this message now."""
        return self._speaking() == key

    def _speaking(self) -> str | None:
        row, timeline = self.context.session.board.get(self.run), self.timeline
        live = row is not None and row.state not in TERMINAL
        return timeline.speaking() if live and timeline is not None else None

    def _keys(self) -> list[str]:
        timeline = self.timeline
        if timeline is None:
            return []
        if self.look == "events":
            self._raw = {raw.key: raw for raw in timeline.raw_events()}
            return list(self._raw)
        keys = timeline.order()
        return [key for key in keys if timeline.steps[key].what == "checkpoint"] if self.look == "checkpoints" else keys

    def _line(self, key: str, width: int) -> Line:
        zone, timeline = self.context.zone, self.timeline
        if self.look == "events":
            return raw_line(self._raw[key], width=width, zone=zone) if key in self._raw else ()
        step = None if timeline is None else timeline.steps.get(key)
        if step is None:
            return ()
        held = self.held(key)
        ruling = in_short(held, now=self.context.hub_now()) if held else None
        return step_line(step, width=width, zone=zone, ruling=ruling, speaking=self.is_speaking(key))

    def _show_text(self, width: int) -> None:
        timeline, zone = self.timeline, self.context.zone
        if timeline is None:
            self.reader.show([((" No events yet.", "dim"),)], from_top=True)
            return
        if self.look == "conversation":
            lines = self._conversation.lines(timeline, width=width - 1, zone=zone, speaking=self._speaking())
            self.reader.show(lines or [((" Nothing was said yet.", "dim"),)])
            if self.following:
                self.reader.to_end(True)
            return
        self.reader.show(
            self._seldom("curves", (width, self.reader.size.height), lambda: self._curves(timeline, width - 1))
        )

    def _curves(self, timeline: Timeline, width: int) -> list[Line]:
        row = self.context.session.board.get(self.run)
        start, end = self._span(timeline)
        height = max(1, min(CHART_LINES_MAX, (self.reader.size.height - 11) // 2))
        total = 0.0 if row is None else row.cost_usd
        lanes = [] if self._has_axis else _whole(self._axis(timeline, width))
        readings = timeline.readings()
        if not readings:
            return [*lanes, ((" No turn has told what it used yet.", "dim"),)]
        return [
            *lanes,
            *curve_lines(readings, total_usd=total, start=start, end=end, width=width, height=height),
        ]

    def _seldom(self, name: str, shape: tuple[object, ...], draw: Callable[[], list[Line]]) -> list[Line]:
        """What looks at every step is drawn once a second, or when another run or another size is to be shown."""
        now = self.context.clock.monotonic()
        state = self._state(*shape)
        known = self._drawn.get(name)
        if known is None or known[0] != state or now - known[1] >= REDRAWN_SECONDS:
            known = self._drawn[name] = (state, now, draw())
        return known[2]

    def _state(self, *shape: object) -> tuple[object, ...]:
        timeline = self.timeline
        return self.run, timeline is not None and timeline.rev is not None, *shape

    @property
    def _has_axis(self) -> bool:
        return self.height_of_screen >= TALL_LINES

    def _show_axis(self, width: int) -> None:
        timeline, now = self.timeline, self.context.clock.monotonic()
        if not self._has_axis or timeline is None:
            self._drawing, self._axis_of = None, ()
            self._axis_drawn([])
            return
        state = self._state(width)
        if state == self._axis_of and (self._drawing is not None or now - self._axis_at < REDRAWN_SECONDS):
            return
        if state[:1] != self._axis_of[:1]:
            self.axis.show([])  # of another run; its height is kept, so that the steps do not jump twice
        self._axis_of, self._axis_at = state, now
        self._drawing = self._axis(timeline, width)
        self._draw_on(self._drawing)

    def _draw_on(self, drawing: Generator[None, None, list[Line]]) -> None:
        """Draw a further part, unless something else is to be drawn by now."""
        if drawing is not self._drawing:
            return
        try:
            next(drawing)
        except StopIteration as end:
            self._drawing = None
            self._axis_drawn(end.value)
        else:
            self.call_later(self._draw_on, drawing)

    def _axis_drawn(self, lines: list[Line]) -> None:
        self.axis.show(lines)
        if self.axis.styles.height is None or self.axis.styles.height.value != len(lines):
            self.axis.styles.height = len(lines)

    def _axis(self, timeline: Timeline, width: int) -> Generator[None, None, list[Line]]:
        if not timeline.steps:
            return []
        start, end = self._span(timeline)
        row = self.context.session.board.get(self.run)
        steps = [timeline.steps[key] for key in timeline.order()]
        found = marks(steps, asked=lambda key: self.held(key) is not None, alerts=[] if row is None else row.alerts)
        axis = Axis(start=start, end=end, width=width, zone=self.context.zone)
        return (yield from in_parts(axis, found))

    def _span(self, timeline: Timeline) -> tuple[float, float]:
        """From the first step that is here to now, or to the end of the run."""
        keys, row = timeline.order(), self.context.session.board.get(self.run)
        start = timeline.steps[keys[0]].at if keys else 0.0
        last = max((timeline.steps[key].until for key in keys[-50:]), default=start)
        live = row is not None and row.state not in TERMINAL
        return start, max(last, self.context.hub_now() if live else last)

    def _heading(self, width: int) -> Line:
        timeline = self.timeline
        names = LOOKS if width >= 60 else (self.look,)
        named: list[Span] = [(f"{look} ", "strong" if look == self.look else "dim") for look in names]
        spans: list[Span] = [("─ ", "dim"), *named]
        if timeline is None:
            return tuple(spans)
        spans.append((" v other look  " if width < 60 else " v  ", "dim"))
        if not self.is_text:
            spans.append((f"{len(self.list.keys):,} rows ", "dim"))
        spans.append(("● following", "good") if self.following else ("○ not following (f)", "hold"))
        back = "" if timeline.complete_back else "  o loads older"
        skipped = f"  {timeline.skipped:,} events skipped: this console was behind" if timeline.skipped else ""
        spans.append((f"{back}{skipped} ", "dim"))
        line = tuple(spans)
        return (*line, ("─" * max(0, width - width_of(line)), "dim"))


def _whole(drawing: Generator[None, None, list[Line]]) -> list[Line]:
    """What is drawn in parts, drawn at once."""
    while True:
        try:
            next(drawing)
        except StopIteration as end:
            lines: list[Line] = end.value
            return lines
