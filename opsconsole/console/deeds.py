"""What each act does where the view shown has no own way: moving, switching, commands on runs; it paints nothing."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING

from opsconsole.console.context import Context
from opsconsole.console.controls import NotDone
from opsconsole.console.view.alerts import paused_for
from opsconsole.console.view.caps_text import ACCEPTED, NoCaps, asked_caps
from opsconsole.console.view.dwell import DWELL_SECONDS, Dwell
from opsconsole.console.view.filter import parse_filter
from opsconsole.console.view.outbox import Entry
from opsconsole.console.view.place import Place, place_of
from opsconsole.console.view.status import is_dead
from opsconsole.domain.ids import short_id
from opsconsole.domain.run import HELD
from opsconsole.protocol.rows import RunRow

if TYPE_CHECKING:
    from opsconsole.console.app import ConsoleApp

AGAIN_SECONDS = 5.0
"""With kill_key "twice", the second press counts for this long."""
GO_ON = "go"
"""What is typed to let a run go on that an alert paused."""
NOT_LIVE = "this is a replay, nothing can be decided here: esc goes back to what is live"
ESCALATE_SECONDS = 1.0
"""A second kill of the same run sooner than this is a key that repeats, not a wish to leave out the ladder."""


class Deeds:
    """Performs acts by id."""

    def __init__(self, app: ConsoleApp, context: Context) -> None:
        self._app = app
        self._context = context
        self._target = Dwell()
        """The run under the cursor, whatever view shows it: a kill means the same whatever the run does meanwhile."""
        self._effect = Dwell()
        """What the other keys would do to it: they mean what was on screen, not what has just come in."""
        self._armed: tuple[str, float] | None = None
        self._killed: dict[str, float] = {}
        self._table: dict[str, Callable[[], None]] = {
            "show_runs": lambda: app.show_view("runs"),
            "show_approvals": self._show_approvals,
            "show_run": self._show_run,
            "show_audit": self._show_audit,
            "show_graph": self._show_graph,
            "show_fleet": lambda: app.show_view("fleet"),
            "show_alerts": lambda: app.show_view("alerts"),
            "raise_cap": self._raise_cap,
            "show_help": lambda: app.show_view("help"),
            "back": app.go_back,
            "down": lambda: self._move(1),
            "up": lambda: self._move(-1),
            "page_down": lambda: self._page(1),
            "page_up": lambda: self._page(-1),
            "first": lambda: self._to_end(False),
            "last": lambda: self._to_end(True),
            "scroll_down": lambda: self._scroll(1),
            "scroll_up": lambda: self._scroll(-1),
            "filter": self._filter_audit,
            "kill": self._kill,
            "kill_many": self._kill_many,
            "pause": self._pause_or_resume,
            "freeze": lambda: self._on_run(context.controls.freeze_or_thaw),
            "thaw": lambda: self._on_run(context.controls.thaw),
            "inject": self._inject,
            "takeover": self._take_over,
            "release": self._release,
            "older": self._older,
            "place": self._place,
            "replay": self._replay,
            "verify": lambda: app.pages.verify(),
            "copy": self._copy,
            "record": self._record,
            "palette": app.commands.open,
            "reconnect": app.link.retry,
            "quit": lambda: app.exit(0),
            **app.shift.table,
        }

    def do(self, action: str) -> None:
        """Perform an act in the view shown. Raises: NotDone."""
        self.look()
        if self._app.panels[self._app.view].do(action):
            return
        perform = self._table.get(action)
        if perform is not None:
            perform()

    def look(self) -> None:
        """Note which run is under the cursor now, and what the keys would do to it."""
        run, now = self._app.panels[self._app.view].current_run(), self._context.clock.monotonic()
        self._target.show(run, now=now)
        self._effect.show(self._effect_on(self._context.session.board.get(run)), now=now)

    # movement

    def _move(self, by: int) -> None:
        panel = self._app.panels[self._app.view]
        if panel.rows is not None:
            panel.rows.move(by)
            self._moved()
        elif panel.text is not None:
            panel.text.scroll_lines(by)

    def _page(self, direction: int) -> None:
        panel = self._app.panels[self._app.view]
        if panel.rows is not None:
            panel.rows.page(direction)
            self._moved()
        elif panel.text is not None:
            panel.text.scroll_lines(direction * max(1, panel.text.size.height - 1))

    def _to_end(self, end: bool) -> None:
        panel = self._app.panels[self._app.view]
        if panel.rows is not None:
            panel.rows.to_end(end)
            self._moved()
        elif panel.text is not None:
            panel.text.to_end(end)

    def _scroll(self, direction: int) -> None:
        """What was opened last is moved first: a receipt to its end, then the text of the view."""
        if self._app.receipt.scroll(direction):
            return
        pane = self._app.panels[self._app.view].text
        if pane is None:
            raise NotDone("there is no text here to move")
        pane.scroll_lines(direction * max(1, pane.size.height // 2))

    def _moved(self) -> None:
        panel = self._app.panels[self._app.view]
        if panel.rows is not None:
            panel.rows.moved_at = self._context.clock.monotonic()
        if panel.view == "run":
            self._app.run_panel.moved()

    # views

    def _show_approvals(self) -> None:
        """The queue; from elsewhere, at what waits of the run under the cursor."""
        run = self._app.panels[self._app.view].current_run()
        if run is not None and self._app.view != "approvals":
            self._app.approvals_panel.go_to_run(run)
        self._app.show_view("approvals")

    def _show_run(self) -> None:
        run = self._app.panels[self._app.view].current_run() or self._app.run_panel.run
        if run is None:
            raise NotDone("there is no run under the cursor")
        self._app.open_run(run)

    def _show_graph(self) -> None:
        run = self._app.panels[self._app.view].current_run() or self._app.graph_panel.run
        if run is None:
            raise NotDone("there is no run under the cursor")
        self._app.show_view("graph")
        self._app.graph_panel.show_run(run)

    def _show_audit(self) -> None:
        self._app.show_view("audit")
        self._app.pages.audit()
        self._app.pages.compare()

    def _filter_audit(self) -> None:
        def done(text: str) -> None:
            self._app.audit_panel.text_filter = text.strip()
            self._app.pages.audit()

        self._app.ask("audit filter", done, value=self._app.audit_panel.text_filter, typed=done)

    def _copy(self) -> None:
        identifier = self._app.panels[self._app.view].current_id()
        if identifier is None:
            raise NotDone("there is nothing under the cursor to copy")
        self._app.copy_to_clipboard(identifier)
        self._app.say(f"copied {identifier}")

    def _older(self) -> None:
        self._app.pages.older(self._app.view)

    def _place(self) -> None:
        entry = self._app.audit_panel.current_entry()
        place = None if entry is None else place_of(entry.body, at=entry.at)
        if place is None:
            raise NotDone("this entry is about no run: it has no place in a timeline")
        if self._context.session.board.get(place.run) is None:
            self.replay_run(place.run, place)
            return
        self._app.open_run(place.run)
        self._app.run_panel.seek(place)

    def _replay(self) -> None:
        run = self._app.panels[self._app.view].current_run()
        if run is None:
            raise NotDone("there is no run under the cursor to replay; : replay ID takes any")
        entry = self._app.audit_panel.current_entry() if self._app.view == "audit" else None
        self.replay_run(run, None if entry is None else place_of(entry.body, at=entry.at))

    def replay_run(self, run: str, place: Place | None = None) -> None:
        """Open the replay of a run, which need not be on the board any more."""
        self._app.show_view("replay")
        self._app.replay_panel.show_run(run, place)

    def _record(self) -> None:
        if self._app.is_web:
            raise NotDone("in a browser nothing is written on the server's disk: use opsconsole record")
        run = self._app.panels[self._app.view].current_run()
        if run is None:
            raise NotDone("there is no run under the cursor to record")
        row = self._context.session.board.get(run)
        if not self._app.pages.record(run, agent="" if row is None else row.agent):
            raise NotDone("a case is being recorded already: wait until its file is said")

    # the run under the cursor

    def _row(self) -> RunRow:
        row = self._context.session.board.get(self._app.panels[self._app.view].current_run())
        if row is None:
            raise NotDone("there is no run under the cursor")
        return row

    def _raise_cap(self) -> None:
        row = self._steady_row()

        def done(text: str) -> None:
            try:
                caps, why = asked_caps(text)
            except NoCaps as problem:
                raise NotDone(str(problem)) from None
            self._context.controls.raise_caps(row, caps, why)
            self._app.say(f"new caps for {row.agent} {short_id(row.run)}: {text}")

        held = "raise the cap and go on" if row.state in HELD else "new caps and why"
        self._app.say(ACCEPTED)
        self._app.ask(f"{held} ({row.agent} {short_id(row.run)})", done)

    def _effect_on(self, row: RunRow | None) -> Hashable:
        if row is None:
            return None
        holder = None if row.baton is None else row.baton.by
        return row.run, row.state in HELD, row.frozen, holder, self._app.view == "takeover"

    def _steady_row(self) -> RunRow:
        """The run under the cursor, once what a key would do to it has been on screen for a moment. Raises: NotDone."""
        row = self._row()
        if not self._effect.long_enough(self._effect_on(row), now=self._context.clock.monotonic()):
            raise NotDone(f"ignored: the run under the cursor changed less than {DWELL_SECONDS:g} s ago; press again")
        return row

    def _kill(self) -> None:
        row, now = self._row(), self._context.clock.monotonic()
        if not self._target.long_enough(row.run, now=now):
            raise NotDone(
                f"x ignored: another run came under the cursor less than {DWELL_SECONDS:g} s ago; press again"
            )
        if self._context.kill_key == "twice" and not self._is_armed(row, now):
            return
        self.kill_named(row)

    def kill_named(self, row: RunRow) -> None:
        """Kill the run that was meant; again after a second, without the ladder's waits. Raises: NotDone."""
        if self._app.view == "replay":
            raise NotDone(NOT_LIVE)
        now = self._context.clock.monotonic()
        before = self._killed.get(row.run)
        if before is not None and now - before < ESCALATE_SECONDS:
            raise NotDone("the kill is on its way; x once more in a second leaves out the ladder's waits")
        again = before is not None and row.kill is not None and not is_dead(row)
        entry = self._context.controls.kill(row.run, now=again)
        self._killed[row.run] = now
        self._app.show_receipt([entry])
        self._app.say(f"kill {row.agent} {short_id(row.run)}: {entry.status.value}", "warn")

    def _is_armed(self, row: RunRow, now: float) -> bool:
        armed, self._armed = self._armed, None
        if armed is not None and armed[0] == row.run and now - armed[1] <= AGAIN_SECONDS:
            return True
        self._armed = (row.run, now)
        self._app.say(f"x again within {AGAIN_SECONDS:.0f} s kills {row.agent} {short_id(row.run)}", "warn")
        return False

    def _kill_many(self) -> None:
        runs = self._app.runs_panel.shown_live()
        if not runs:
            raise NotDone("no live run is shown")
        self._kill_these(runs, self._app.runs_panel.filter.text)

    def kill_selected(self, wanted: str) -> None:
        """Kill every live run that a filter's words select, after what they are was shown. Raises: NotDone."""
        if self._app.view == "replay":
            raise NotDone(NOT_LIVE)
        board, selector = self._context.session.board, parse_filter(wanted)
        runs = board.live(board.order(selector, self._context.hub_now()))
        if not runs:
            raise NotDone(f"no live run matches “{selector.text}”" if selector.text else "no run is live")
        self._kill_these(runs, selector.text)

    def _kill_these(self, runs: list[str], wanted: str) -> None:
        """Show what would be stopped, and stop it once its number is typed."""
        which = (
            f"the {len(runs):,} live runs that match “{wanted}”" if wanted else f"EVERY live run ({len(runs):,} now)"
        )

        def done(text: str) -> None:
            self._app.receipt.unplan()
            if text.strip().replace(",", "") != str(len(runs)):
                raise NotDone("nothing was killed: that is not the number")
            self._app.show_receipt(self._context.controls.kill_many(runs, every=not wanted))

        self._app.receipt.plan(runs, wanted)
        self._app.ask(f"type {len(runs)} to kill {which}", done)

    def _pause_or_resume(self) -> None:
        row, act = self._steady_row(), self._context.controls.pause_or_resume
        why = paused_for(row)
        if not why:
            self._say_sent(act(row))
            return

        def done(text: str) -> None:
            if text.strip() != GO_ON:
                raise NotDone(f"{row.agent} stays paused: that is not “{GO_ON}”")
            current = self._context.session.board.get(row.run)
            if current is None or paused_for(current) != why:
                raise NotDone(f"not resumed: what holds {row.agent} has changed meanwhile; press again")
            self._say_sent(act(current))

        self._app.say(f"{row.agent} {short_id(row.run)} was paused: {why}", "warn")
        self._app.ask(f"type {GO_ON} to resume {row.agent} {short_id(row.run)}", done)

    def _on_run(self, act: Callable[[RunRow], Entry]) -> None:
        self._say_sent(act(self._steady_row()))

    def _say_sent(self, entry: Entry) -> None:
        self._app.say(f"{entry.command.do.value} {entry.about}: sent")

    def _inject(self) -> None:
        row = self._steady_row()

        def done(text: str) -> None:
            if not text.strip():
                raise NotDone("nothing was sent: there is no text")
            self._say_sent(self._context.controls.inject(row, text))

        self._app.ask(f"message to {row.agent}", done)

    def _take_over(self) -> None:
        row, controls = self._steady_row(), self._context.controls
        if controls.holds(row) and self._app.view == "takeover":
            self._say_sent(controls.release(row, ""))
            return
        if row.baton is None:
            self._say_sent(controls.take_over(row))
        self._app.takeover_panel.show_run(row.run)
        self._app.show_view("takeover")
        if row.baton is not None and not controls.holds(row):
            self._take_from(row, row.baton.by)

    def _take_from(self, row: RunRow, holder: str) -> None:
        """Ask why a run should be taken from the operator who holds it; who gives no reason looks on."""

        def done(text: str) -> None:
            current = self._context.session.board.get(row.run)
            if current is not None and current.baton is not None and current.baton.by != holder:
                raise NotDone(f"not taken over: {current.baton.by} holds it now, not {holder}; press again")
            if not text.strip():
                raise NotDone(f"not taken over: to take it from {holder} needs a reason")
            self._say_sent(self._context.controls.take_over(row, text.strip()))

        self._app.ask(f"{holder} holds {row.agent}: why take it from them", done)

    def _release(self) -> None:
        row = self._steady_row()
        if not self._context.controls.holds(row):
            raise NotDone("you do not hold this run")
        self._app.ask(
            f"hand {row.agent} back; summary for it",
            lambda text: self._say_sent(self._context.controls.release(row, text.strip())),
        )
