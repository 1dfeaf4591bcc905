"""The queue of held calls and the one under the cursor, opened; it sends a decision only on what was seen."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import NamedTuple

from textual.widget import Widget

from opsconsole.console.actions import ViewName
from opsconsole.console.context import Context
from opsconsole.console.controls import NotDone
from opsconsole.console.panels.deciding import Deciding
from opsconsole.console.panels.list_panel import ListPanel
from opsconsole.console.view.batch import Chosen, batch_lines, calls_of, identity, is_pending, not_together
from opsconsole.console.view.dwell import DWELL_SECONDS, Dwell
from opsconsole.console.view.effect import Effect, effect_details, effect_lines
from opsconsole.console.view.held_call import held_call_facts, held_call_words, queue_line, standing, what_is_asked
from opsconsole.console.view.ingest import HeldCall
from opsconsole.console.view.line import Line, fit_line
from opsconsole.console.view.previous_call import Previous, compared, previous_call
from opsconsole.console.view.reading import Reading
from opsconsole.console.view.timeline_lines import step_line
from opsconsole.console.widgets.lines import Lines

LAST_STEPS = 4
"""Steps of the run before the call that are shown below it."""


class _Body(NamedTuple):
    """A call in lines of some width."""

    held: HeldCall
    width: int
    asked: list[Line]
    """What a yes lets run."""
    is_whole: bool
    """Whether `asked` leaves nothing out."""
    words: list[Line]
    """What the agent says of it, and what became of it."""


def _lines_of(count: int) -> str:
    return f"{count:,} line{'' if count == 1 else 's'}"


class ApprovalsPanel(ListPanel):
    """The queue, a line that says whether a decision is possible, and the call in full."""

    view: ViewName = "approvals"

    def __init__(self, context: Context) -> None:
        super().__init__(context, id="approvals", line=self._line, empty="No held calls.")
        self.standing = Lines(context.painter, id="call-standing", classes="one-line")
        self._shown: str | None = None
        self._body: _Body | None = None
        self._effect_lines: tuple[Effect, int, list[Line], list[Line]] | None = None
        self._batch: tuple[Hashable, list[Line]] | None = None
        self._before: Previous | None = None
        self._known: object = None
        """What the search for the call before was made in."""
        self._compared: tuple[tuple[HeldCall, Previous | None, int], list[Line]] | None = None
        self._rested = Dwell()
        self._reading = Reading()
        self._asked_from = 0
        """Lines of the pane above what a yes lets run."""
        self._standing_due = False
        self.pane.painted = self._painted
        self.chosen = Chosen()
        self._deciding = deciding = Deciding(context, self.chosen)
        self._table: dict[str, Callable[[], None]] = {
            "approve": self._approve_these,
            "reject": lambda: self._decide(deciding.reject, deciding.reject_chosen),
            "edit": lambda: self._alone(deciding.edit, reads=True),
            "respond": lambda: self._alone(deciding.respond),
            "grant": lambda: self._alone(deciding.grant, reads=True),
            "claim": lambda: self._alone(deciding.claim),
            "pass_on": lambda: self._alone(deciding.pass_on),
            "next": self._next,
            "open": self._open,
            "mark": self._mark,
            "mark_alike": self._mark_alike,
        }

    def opened(self) -> Iterable[Widget]:
        """Whether a decision is possible, and the call."""
        return (self.standing, self.pane)

    def refresh_rows(self) -> None:
        """The queue's order, then the call under the cursor."""
        queue, now = self.context.session.queue, self.context.hub_now()
        self.list.set_keys(queue.order())
        if gone := self.chosen.drop_changed(queue):
            self.context.app.say(f"{calls_of(len(gone))} changed or settled: no longer marked", "warn")
        held = self.current()
        self.context.dwell.show(self._on_screen(), now=self.context.clock.monotonic())
        width = max(10, self.pane.size.width - 1)
        shown = f"{self.list.cursor}/{len(self.chosen)}" if not len(self.chosen) else "marked"
        if len(self.chosen):
            lines = self._together(now, width)
            self._asked_from, asked = 0, len(lines)
        else:
            lines, asked = ([], 0) if held is None else self._opened(held, now, width)
        is_new = self._reading.open((self._what(), width), asked, now=self.context.clock.monotonic())
        self.pane.show(lines, from_top=self._shown != shown)
        if is_new:
            self.pane.refresh()  # also where another call reads the same: it has not been seen yet
        self._shown = shown
        self._say_standing()

    def _say_standing(self) -> None:
        """Whether a decision is possible, and what is missing for a yes."""
        self._standing_due = False
        now, held, width = self.context.hub_now(), self.current(), max(1, self.standing.size.width)
        words, tone = standing(held, now=now) if self.list.keys else ("nothing waits for a decision", "dim")
        if len(self.chosen):
            words, tone = f"{calls_of(len(self.chosen))} marked: a approves, d rejects all of them; esc clears", "ask"
        if (unread := self._reading.unread) and (len(self.chosen) or self.is_pending()):
            words, tone = f"READ ON (J): {_lines_of(unread)} not on screen yet · {words}", "warn"
        self.standing.show([fit_line(((f" {words}", tone),), width)])

    def _painted(self, line: int) -> None:
        """A line of the pane is on screen."""
        if not self._reading.painted(line - self._asked_from, now=self.context.clock.monotonic()):
            return
        if not self._standing_due:
            self._standing_due = True
            self.call_later(self._say_standing)

    def do(self, action: str) -> bool:
        """Decide, or go to the next pending call."""
        act = self._table.get(action)
        if act is None:
            return self._read_on(action)
        act()
        return True

    def current(self) -> HeldCall | None:
        """The held call under the cursor."""
        return self.context.session.queue.get(self.list.cursor)

    def is_pending(self) -> bool:
        """Whether the call under the cursor waits for a decision."""
        return self.list.cursor in self.context.session.queue.pending

    def current_run(self) -> str | None:
        """The run of the call under the cursor."""
        held = self.current()
        return None if held is None else held.row.run

    def go_to_run(self, run: str) -> None:
        """Put the cursor on what waits of a run, the most urgent first; where nothing does, it stays."""
        queue = self.context.session.queue
        waiting = [key for key in queue.order(run) if key in queue.pending]
        if waiting:
            self.list.set_keys(queue.order())
            self.list.go(waiting[0])

    def looks_at(self) -> tuple[str | None, str | None]:
        """The opened call, if there is room for it or it was opened."""
        held = None if self.has_class("-short") and not self.has_class("-opened") else self.current()
        return (None, None) if held is None else (held.row.run, held.key)

    def current_id(self) -> str | None:
        """The approval's id."""
        return self.list.cursor

    def close_inner(self) -> bool:
        """Take the marks away; on a short screen, go back to the queue."""
        if self.chosen.clear():
            return True
        if not self.has_class("-opened"):
            return False
        self.remove_class("-opened")
        self.call_after_refresh(self.refresh_rows)
        return True

    def _open(self) -> None:
        """First the call over the whole view, then its run."""
        run = self.current_run()
        if not self.has_class("-opened"):
            self.add_class("-opened")
            self.call_after_refresh(self.refresh_rows)  # it has another width now
        elif run is not None:
            self.context.app.open_run(run)

    def _read_on(self, action: str) -> bool:
        """While the call fills the view, what moves the cursor elsewhere moves its text."""
        page = max(1, self.pane.size.height - 1)
        by = {"down": 1, "up": -1, "page_down": page, "page_up": -page}.get(action)
        if not self.has_class("-opened") or (by is None and action not in ("first", "last")):
            return False
        if by is None:
            self.pane.to_end(action == "last")
        else:
            self.pane.scroll_lines(by)
        return True

    def _decidable(self) -> HeldCall:
        """The call under the cursor, if the operator can have seen it. Raises: NotDone."""
        held = self.current()
        if held is None:
            raise NotDone("there is no held call under the cursor")
        self._must_be_seen()
        return self.context.controls.still_open(held)

    def _must_be_read(self) -> None:
        """All that a yes would let run has been on screen, to its end. Raises: NotDone."""
        if not len(self.chosen) and self._body is not None and not self._body.is_whole:
            raise NotDone("too long to be shown here to its end: reject it, or read and approve it on the command line")
        if unread := self._reading.unread:
            raise NotDone(f"read on first: {_lines_of(unread)} not on screen yet; J goes on, enter shows more at once")
        if not self._reading.long_enough(now=self.context.clock.monotonic()):
            raise NotDone(f"ignored: its end has been on screen for less than {DWELL_SECONDS:g} s; press again")

    def _must_be_seen(self) -> None:
        """What is on screen has been there, unchanged, for long enough to be noticed. Raises: NotDone."""
        if self.has_class("-short") and not self.has_class("-opened"):
            raise NotDone("open it first: enter shows the arguments")
        if not self.context.dwell.long_enough(self._on_screen(), now=self.context.clock.monotonic()):
            raise NotDone(f"ignored: this call has been on screen for less than {DWELL_SECONDS:g} s; press again")

    def _what(self) -> Hashable:
        """What has to be read before a yes: the call under the cursor, or all that is shown of the marked ones."""
        return self._on_screen() if len(self.chosen) else identity(self.current())

    def _on_screen(self) -> Hashable:
        """What a key decides on: the call under the cursor with its effect, or every marked call."""
        queue = self.context.session.queue
        if len(self.chosen):
            return tuple((identity(held), self._effect(held)) for held in self.chosen.calls(queue))
        held = self.current()
        return identity(held), self._effect(held)

    def _effect(self, held: HeldCall | None) -> Effect | None:
        return None if held is None else self.context.app.pages.effect(held, now=self.context.clock.monotonic())

    def _approve(self, held: HeldCall) -> None:
        self._deciding.approve(held)
        self._next_after(held)

    def _next_after(self, held: HeldCall) -> None:
        """Go on to the next pending call; what is decided next must have been shown long enough again."""
        pending = self.context.session.queue.pending
        keys = [key for key in self.list.keys if key in pending]
        if held.key in keys and len(keys) > 1:
            self.list.go(keys[(keys.index(held.key) + 1) % len(keys)])

    def _alone(self, act: Callable[[HeldCall], None], *, reads: bool = False) -> None:
        """What can be done with one call only, not while others are marked; what `reads` lets its arguments run."""
        if len(self.chosen):
            raise NotDone(
                f"{calls_of(len(self.chosen))} marked: a approves, d rejects them together; esc clears the marks"
            )
        held = self._decidable()
        if reads:
            self._must_be_read()
        act(held)

    def _approve_these(self) -> None:
        if len(self.chosen):
            self._must_be_seen()
            if why_not := not_together(self.chosen.calls(self.context.session.queue)):
                raise NotDone(why_not)
            self._must_be_read()
            self._deciding.approve_chosen()
        else:
            self._alone(self._approve, reads=True)

    def _decide(self, one: Callable[[HeldCall], None], many: Callable[[], None]) -> None:
        if len(self.chosen):
            self._must_be_seen()
            many()
        else:
            one(self._decidable())

    def _mark(self) -> None:
        self.chosen.turn(self._decidable())
        self.list.move(1)

    def _mark_alike(self) -> None:
        held = self._decidable()
        count = self.chosen.take_alike(held, self.context.session.queue)
        self.context.app.say(
            f"{calls_of(count)} like it marked, {len(self.chosen)} in all: read them before you decide"
        )

    def _opened(self, held: HeldCall, now: float, width: int) -> tuple[list[Line], int]:
        """The call in full, and how many of its lines are what a yes lets run."""
        run = self.context.session.board.get(held.row.run)
        if self._body is None or self._body[:2] != (held, width):
            words = held_call_words(held, width=width, zone=self.context.zone)
            self._body = _Body(held, width, *what_is_asked(held, width=width), words)
        looking = self.context.session.others.looking_at(approval=held.key)
        facts = held_call_facts(held, run, now=now, width=width, looking=looking)
        effect = self._effect(held) if is_pending(held) else None
        found, details = ([], []) if effect is None else self._looked_up(effect, width)
        before = self._against_previous(held, width)
        self._asked_from = len(facts) + len(found)
        lines = facts + found + self._body.asked + self._body.words + details + before + self._last_steps(held, width)
        return lines, len(self._body.asked)

    def _looked_up(self, effect: Effect, width: int) -> tuple[list[Line], list[Line]]:
        """The effect's lines, made once: the difference of two files costs more than a picture may."""
        if self._effect_lines is None or self._effect_lines[:2] != (effect, width):
            details = effect_details(effect, width=width)
            self._effect_lines = (effect, width, effect_lines(effect, width=width), details)
        return self._effect_lines[2:]

    def _together(self, now: float, width: int) -> list[Line]:
        """The marked calls, made once a second at most, as their ages go on."""
        calls = self.chosen.calls(self.context.session.queue)
        effects = {held.key: effect for held in calls if (effect := self._effect(held)) is not None}
        shown = (tuple(identity(held) for held in calls), tuple(effects.items()), int(now), width)
        if self._batch is None or self._batch[0] != shown:
            self._batch = shown, batch_lines(calls, now=now, width=width, effects=effects)
        return self._batch[1]

    def _last_steps(self, held: HeldCall, width: int) -> list[Line]:
        """What the run did before it asked, where its timeline is here."""
        timeline, zone = self.context.session.timeline, self.context.zone
        if timeline is None or timeline.run != held.row.run:
            return []
        steps = [timeline.steps[key] for key in timeline.order() if key != f"tool:{held.row.call}"]
        shown = [step for step in steps if step.at <= held.row.requested_at][-LAST_STEPS:]
        lines: list[Line] = [(("BEFORE IT ASKED", "dim"),)] if shown else []
        return lines + [step_line(step, width=width, zone=zone) for step in shown]

    def _against_previous(self, held: HeldCall, width: int) -> list[Line]:
        """What is different from the call of this tool before; the run's timeline is followed for it."""
        session, clock = self.context.session, self.context.clock.monotonic()
        self._rested.show(held.row.run, now=clock)
        if session.online and self._rested.long_enough(held.row.run, now=clock):
            self.context.app.follow(held.row.run)
        timeline = session.timeline
        known = (held.key, session.queue.changes, "" if timeline is None else (timeline.run, timeline.changes))
        if known != self._known:
            self._known, self._before = known, previous_call(held.row, session.queue, timeline)
        shown = (held, self._before, width)
        if self._compared is None or self._compared[0] != shown:
            before, zone = self._before, self.context.zone
            lines = [] if before is None else compared(held.row, before, width=width, zone=zone)
            self._compared = shown, lines
        return self._compared[1]

    def _line(self, key: str, width: int) -> Line:
        held = self.context.session.queue.get(key)
        if held is None:
            return (("no longer in the queue", "dim"),)
        now = self.context.hub_now()
        me = self.context.session.link.principal
        if not len(self.chosen):
            return queue_line(held.row, now=now, width=width, me=me)
        mark = "✔ " if key in self.chosen else "  "
        return ((mark, "good"), *queue_line(held.row, now=now, width=max(1, width - 2), me=me))

    def _next(self) -> None:
        pending = self.context.session.queue.pending
        keys = [key for key in self.list.keys if key in pending]
        if not keys:
            self.context.app.say("no call waits for a decision")
            return
        after = keys[keys.index(self.list.cursor) + 1 :] if self.list.cursor in keys else keys
        self.list.go((after or keys)[0])
