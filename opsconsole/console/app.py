"""The Textual application: one screen whose views are mounted once; it passes keys to acts and rows to widgets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import tzinfo
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.widgets import Input, TextArea

from opsconsole.console.actions import ViewName
from opsconsole.console.clock import Clock
from opsconsole.console.commands import Commands
from opsconsole.console.context import Context, Draft
from opsconsole.console.controls import Controls
from opsconsole.console.deeds import Deeds
from opsconsole.console.frames import Frames
from opsconsole.console.heap import Heap
from opsconsole.console.keymap import Keymap, keymap
from opsconsole.console.keys import Keys
from opsconsole.console.link import Link
from opsconsole.console.offered import Offered
from opsconsole.console.pages import Pages
from opsconsole.console.panels.alerts import AlertsPanel
from opsconsole.console.panels.approvals import ApprovalsPanel
from opsconsole.console.panels.audit import AuditPanel
from opsconsole.console.panels.draft import DraftPanel
from opsconsole.console.panels.fleet import FleetPanel
from opsconsole.console.panels.graph import GraphPanel
from opsconsole.console.panels.help import HelpPanel
from opsconsole.console.panels.palette import Palette
from opsconsole.console.panels.panel import Panel
from opsconsole.console.panels.receipt import ReceiptPanel
from opsconsole.console.panels.replay import ReplayPanel
from opsconsole.console.panels.run import RunPanel
from opsconsole.console.panels.runs import RunsPanel
from opsconsole.console.panels.shift import ShiftPanel
from opsconsole.console.panels.takeover import TakeoverPanel
from opsconsole.console.shift import Shift
from opsconsole.console.terminal import FramePacer
from opsconsole.console.terminal_app import TerminalApp
from opsconsole.console.theme import Painter, ThemeName
from opsconsole.console.view.dwell import Dwell
from opsconsole.console.view.frame_lines import TYPING, WRITING, header, hint_line
from opsconsole.console.view.line import Line, Tone, fit_line
from opsconsole.console.view.link_lines import banner
from opsconsole.console.view.outbox import Entry, answer_words
from opsconsole.console.view.palette import Choice
from opsconsole.console.view.ringing import Ringer
from opsconsole.console.view.session import Outcome, Session
from opsconsole.console.widgets.fixed import Box
from opsconsole.console.widgets.lines import Lines
from opsconsole.console.widgets.prompt import Prompt
from opsconsole.console.widgets.row_list import RowList
from opsconsole.domain.text import safe_line

PAINTS_PER_SECOND = 30
NOTE_SECONDS = 10.0
LOUD_NOTE_SECONDS = 60.0
HOME: ViewName = "runs"
"""Where everything begins: nothing lies behind it."""
ROOMY_CELLS = 140
"""From this width on, the run under the cursor is described beside the table."""

LinkFactory = Callable[[Session, Callable[[Outcome], None]], Link]


class ConsoleApp(TerminalApp):
    """The console."""

    CSS_PATH = "console.tcss"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = []
    AUTO_FOCUS = None

    def __init__(
        self,
        *,
        make_link: LinkFactory,
        clock: Clock,
        zone: tzinfo,
        new_id: Callable[[], str],
        pages: Pages,
        kill_key: str = "once",
        mono: bool = False,
        plain_ascii: bool = False,
        demo: bool = False,
        theme: ThemeName = "dark",
        keys: Keymap | None = None,
        ringer: Ringer | None = None,
        heap: Heap | None = None,
    ) -> None:
        mono = mono or theme == "mono"
        plain = mono or theme == "ansi"
        super().__init__(ansi_color=True if plain else None)
        self.set_class(plain, "-mono")
        self.set_class(theme == "light" and not plain, "-light")
        self.session = Session(wall=clock.wall(), now=clock.monotonic(), zone=zone)
        self.link = make_link(self.session, self.told)
        self.clock = clock
        self.painter = Painter(mono=mono, plain_ascii=plain_ascii, theme=theme)
        self.demo = demo
        controls = Controls(self.session, self.link, clock=clock, new_id=new_id)
        self.context = Context(
            session=self.session,
            controls=controls,
            clock=clock,
            zone=zone,
            painter=self.painter,
            app=self,
            dwell=Dwell(),
            kill_key=kill_key,
            keymap=keys or keymap(),
        )
        self.panels = self._make_panels()
        self._make_frame()
        self.view: ViewName = HOME
        self.before: list[ViewName] = []
        self.commands: Commands = Commands(self, self.context)
        self.palette = Palette(self.painter, choices=self.commands.choices, choose=self._chosen)
        self.shift = Shift(self, self.context)
        self.deeds = Deeds(self, self.context)
        self.offered = Offered(self, self.context)
        self.keys = Keys(self, self.context)
        self.pages: Pages = pages
        self.ringer = ringer or Ringer("off")
        self.heap = heap or Heap()
        self.frames = Frames(self, self.session, clock)
        self.tail_of_frame = self.frames.tail
        self._note_until = float("inf")
        self._link_task: asyncio.Task[None] | None = None

    def _make_frame(self) -> None:
        """What stands around every view, and above it."""
        self.receipt = ReceiptPanel(self.context)
        self.prompt = Prompt(self.painter)
        self.header, self.banner, self.note, self.hints = (
            Lines(self.painter, id=name) for name in ("header", "banner", "note", "hints")
        )
        self.banner.display = False

    def _make_panels(self) -> dict[ViewName, Panel]:
        """Every view, mounted once; only one is displayed."""
        self.runs_panel = RunsPanel(self.context)
        self.approvals_panel = ApprovalsPanel(self.context)
        self.run_panel = RunPanel(self.context)
        self.takeover_panel = TakeoverPanel(self.context)
        self.audit_panel = AuditPanel(self.context)
        self.draft_panel = DraftPanel(self.context)
        self.shift_panel = ShiftPanel(self.context)
        self.graph_panel = GraphPanel(self.context)
        self.replay_panel = ReplayPanel(self.context)
        panels = (
            self.runs_panel,
            self.approvals_panel,
            self.run_panel,
            self.takeover_panel,
            self.audit_panel,
            self.graph_panel,
            FleetPanel(self.context),
            self.shift_panel,
            AlertsPanel(self.context),
            HelpPanel(self.context),
            self.draft_panel,
            self.replay_panel,
        )
        return {panel.view: panel for panel in panels}

    def compose(self) -> ComposeResult:
        """Everything, once."""
        yield self.header
        yield self.banner
        with Box(id="views"):
            yield from self.panels.values()
        yield self.receipt
        yield self.note
        yield self.palette
        yield self.prompt
        yield self.hints

    def on_mount(self) -> None:
        """Show the runs, start the link and the timers."""
        self.pages.bind(self)
        self._show(HOME)
        self._link_task = asyncio.create_task(self.link.run(), name="console link")
        self._link_task.add_done_callback(self._link_ended)
        self.set_interval(1 / PAINTS_PER_SECOND, self.frames.tick)
        self.set_interval(1.0, self._second)
        if not self.is_headless:
            self.frames.pacer = FramePacer(enabled=not self.is_web)
            self.leave_with_terminal()
            self.heap.start(now=self.clock.monotonic())

    async def on_unmount(self) -> None:
        """Let go of the hub."""
        if self._link_task is not None:
            self._link_task.cancel()
            await asyncio.gather(self._link_task, return_exceptions=True)
        await self.pages.close()
        self.heap.stop()

    # what the link tells

    def told(self, outcome: Outcome) -> None:
        """Something came from the hub, and is in the session already."""
        for entry in outcome.answered:
            self._answered(entry)
        for notice in outcome.notices:
            self.say(notice.text, "bad" if notice.loud else "plain")
        self.frames.told()

    def _answered(self, entry: Entry) -> None:
        if words := answer_words(entry):
            self.say(*words)

    def _link_ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None and isinstance(error, Exception):
            self._handle_exception(error)

    # what panels ask

    def say(self, text: str, tone: Tone = "plain") -> None:
        """Tell the operator something on the line above the hints."""
        self.note.show([fit_line(((" " + safe_line(text), tone),), max(1, self.size.width))])
        lasts = LOUD_NOTE_SECONDS if tone in ("bad", "alarm") else NOTE_SECONDS
        self._note_until = self.clock.monotonic() + lasts

    def ask(
        self,
        label: str,
        done: Callable[[str], None],
        *,
        value: str = "",
        typed: Callable[[str], None] | None = None,
    ) -> None:
        """Ask for one line of text; `typed` gets it as it grows, and what was there before when nothing is given."""

        def given(text: str) -> None:
            self._focus_view()
            self.keys.attempt(lambda: done(text))

        self.prompt.ask(label, given, value=value, typed=typed)
        self.call_after_refresh(self._frame)

    def write(self, draft: Draft) -> None:
        """Open a draft."""
        self.show_view("draft")
        self.draft_panel.open(draft)

    def show_view(self, view: ViewName) -> None:
        """Show a view; `back` returns to the one before."""
        if view == self.view:
            return
        if view == HOME:
            self.before = []
        elif self.view != "draft":
            self.before = [*self.before[-20:], self.view]
        self._show(view)

    def go_back(self) -> None:
        """Close what was opened last."""
        if self.receipt.close() or self.panels[self.view].close_inner():
            self.redraw()
        elif self.before:
            self._show(self.before.pop())
        elif self.view != HOME:
            self._show(HOME)

    def open_run(self, run: str) -> None:
        """Show one run."""
        self.run_panel.show_run(run)
        self.follow(run)
        if self.view == "run":
            self.redraw()
        self.show_view("run")

    def follow(self, run: str) -> None:
        """Have the timeline of this run, instead of any other."""
        if self.session.timeline is None or self.session.timeline.run != run:
            self.link.send(self.session.watch(run))
            self.frames.awaits(self.session.timeline)

    def show_receipt(self, entries: list[Entry]) -> None:
        """Open the receipt of a kill."""
        named = [run for entry in entries for run in entry.command.runs or [entry.command.run or ""] if run]
        every = any(entry.command.all for entry in entries)
        self.receipt.open(entries, self.session.board.live(list(self.session.board.rows.by_key)) if every else named)

    # keys

    def key_read(self) -> None:
        """A key has come: nothing else is begun until it is painted."""
        self.frames.key_read()

    async def on_event(self, event: events.Event) -> None:
        """A key that is not typed is acted on here: on its way through the widgets it would wait behind the load."""
        if isinstance(event, events.Key) and not event.is_forwarded:
            if not self.app_focus:
                self.keys.at_return = event
            elif self.keys.came(event):
                return
        await super().on_event(event)

    async def on_key(self, event: events.Key) -> None:
        """A key that no widget took; the first one after the terminal's window came back is acted on only here."""
        if (event is self.keys.at_return and self.keys.came(event)) or self.keys.left_over(event):
            event.stop()
            event.prevent_default()

    def _chosen(self, choice: Choice, text: str) -> None:
        self.palette.close()
        self._focus_view()
        self.keys.words_given()
        self.keys.attempt(lambda: self.commands.perform(choice, text), asks=True)
        self.redraw()

    def close_questions(self) -> None:
        """Ask nothing any more; nothing was given."""
        self.prompt.close()
        self.palette.close()
        self.receipt.unplan()
        self._focus_view()
        self._frame()

    def on_row_list_opened(self, _event: RowList.Opened) -> None:
        """A double click opens; it never decides."""
        self.keys.attempt(lambda: self.deeds.do("open"))

    def action_help_quit(self) -> None:
        """What ctrl+c does by default: here it says how to leave."""
        self.say("q quits (esc first, if you are typing)")

    # painting

    def _show(self, view: ViewName) -> None:
        self.view = view
        for name, panel in self.panels.items():
            panel.display = name == view
        if view == "run" and self.run_panel.run is not None:
            self.follow(self.run_panel.run)
        if view == "takeover" and self.takeover_panel.run is not None:
            self.follow(self.takeover_panel.run)
        self._focus_view()
        self.with_new_layout(self.redraw)

    def _focus_view(self) -> None:
        widget = self.panels[self.view].focus_widget
        if widget is not None:
            self.set_focus(widget, scroll_visible=False)

    def redraw(self) -> None:
        """Everything about the view shown, after a key or a second."""
        self.panels[self.view].refresh_rows()
        self.deeds.look()
        self.receipt.update_lines()
        self._frame()

    def _frame(self) -> None:
        now, width = self.clock.monotonic(), max(1, self.size.width)
        first = self.panels[self.view].headline(width)
        self.header.show([first or header(self.session, now=now, width=width, demo=self.demo)])
        warning = banner(self.session, now=now, width=width, zone=self.context.zone)
        self.banner.display = warning is not None
        if warning is not None:
            self.banner.show([warning])
        self.hints.show([self._hints(width)])
        for panel in self.panels.values():
            if panel.rows is not None and panel.view != "audit":
                panel.rows.set_dimmed(self.session.link.ever and not self.session.is_fresh(now=now))

    def _hints(self, width: int) -> Line:
        if isinstance(self.focused, Input):
            return fit_line(TYPING, width)
        if isinstance(self.focused, TextArea):
            return fit_line(WRITING, width)
        off, labels, actions = self.offered.off(), self.offered.labels(), self.context.keymap.actions
        return hint_line(self.view, width=width, without=off, labels=labels, actions=actions)

    def post_display_hook(self) -> None:
        """Something was painted."""
        self.frames.painted()

    def on_cursor_position(self, _event: events.CursorPosition) -> None:
        """The terminal has taken everything up to the last question."""
        self.frames.pacer.answered(now=self.clock.monotonic())

    def _second(self) -> None:
        now = self.clock.monotonic()
        if now >= self._note_until:
            self.note.show([])
        for notice in self.session.tick(now=now):
            self.say(notice.text, "bad" if notice.loud else "warn")
        self._ring()
        if self.session.online:
            self.pages.second(self.session.link.epoch)
            self.link.send(self.session.look(*self.panels[self.view].looks_at()))
        self.heap.second(now=now, still_for=now - self.keys.pressed_at)
        self.frames.second()

    def _ring(self) -> None:
        session = self.session
        if not session.online or not session.queue.rows.complete:
            self.ringer.forget()
        elif called := self.ringer.look(
            session.queue.pending,
            session.board.unconfirmed,
            passed=[held.key for held in session.queue.passed_to(session.link.principal)],
            now=self.context.hub_now(),
            zone=self.context.zone,
        ):
            self.write_raw(called)

    def on_resize(self, event: events.Resize) -> None:
        """Another size: what fits changes, what is true does not."""
        for panel in self.panels.values():
            panel.fit(event.size.width, event.size.height)
            panel.set_class(event.size.width >= ROOMY_CELLS, "-roomy")
        self.call_after_refresh(self.redraw)
