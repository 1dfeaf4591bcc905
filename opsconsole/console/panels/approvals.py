"""The queue of held calls and the one under the cursor, opened; it sends a decision only on what was seen."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Container, Vertical

from opsconsole.console.actions import ViewName
from opsconsole.console.context import Context, Draft
from opsconsole.console.controls import NotDone
from opsconsole.console.panels.panel import Panel
from opsconsole.console.view.composed import to_words
from opsconsole.console.view.dwell import DWELL_SECONDS, Dwell
from opsconsole.console.view.edit_text import to_args, to_text
from opsconsole.console.view.held_call import held_call_body, held_call_facts, queue_line, standing
from opsconsole.console.view.ingest import HeldCall
from opsconsole.console.view.line import Line, fit_line
from opsconsole.console.view.previous_call import Previous, compared, previous_call
from opsconsole.console.widgets.lines import Lines
from opsconsole.console.widgets.row_list import RowList
from opsconsole.console.widgets.text_pane import TextPane
from opsconsole.domain.approval import Answer
from opsconsole.domain.tool_call import CallKind


class ApprovalsPanel(Panel):
    """The queue, a line that says whether a decision is possible, and the call in full."""

    view: ViewName = "approvals"

    def __init__(self, context: Context) -> None:
        super().__init__(context, id="approvals")
        self.list = RowList(context.painter, self._line, id="call-list", empty="No held calls.")
        self.standing = Lines(context.painter, id="call-standing", classes="one-line")
        self.pane = TextPane(context.painter, id="call-text")
        self._shown: str | None = None
        self._body: tuple[HeldCall, int, list[Line]] | None = None
        self._before: Previous | None = None
        self._known: object = None
        """What the search for the call before was made in."""
        self._compared: tuple[tuple[HeldCall, Previous | None, int], list[Line]] | None = None
        self._rested = Dwell()

    def compose(self) -> ComposeResult:
        """The queue beside or above the opened call."""
        with Container(classes="split"):
            yield self.list
            with Vertical(classes="opened"):
                yield self.standing
                yield self.pane

    @property
    def rows(self) -> RowList:
        """The queue."""
        return self.list

    @property
    def text(self) -> TextPane:
        """The opened call."""
        return self.pane

    def refresh_rows(self) -> None:
        """The queue's order, then the call under the cursor."""
        self.list.set_keys(self.context.session.queue.order())
        held = self.current()
        now = self.context.hub_now()
        words, tone = standing(held, now=now) if self.list.keys else ("nothing waits for a decision", "dim")
        self.standing.show([fit_line(((f" {words}", tone),), max(1, self.standing.size.width))])
        self.context.dwell.show(_identity(held), now=self.context.clock.monotonic())
        width = max(10, self.pane.size.width - 1)
        lines = [] if held is None else self._opened(held, now, width)
        self.pane.show(lines, from_top=self._shown != self.list.cursor)
        self._shown = self.list.cursor

    def do(self, action: str) -> bool:
        """Decide, or go to the next pending call."""
        if action == "next":
            self._next()
        elif action == "open":
            self._open()
        elif action == "approve":
            held = self._decidable()
            self.context.controls.decide(held, Answer.APPROVE)
            self._sent(f"approve {held.row.tool}: sent", held)
        elif action == "reject":
            self._reject(self._decidable())
        elif action == "edit":
            self._edit(self._decidable())
        elif action == "respond":
            self._respond(self._decidable())
        else:
            return False
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

    def current_id(self) -> str | None:
        """The approval's id."""
        return self.list.cursor

    def close_inner(self) -> bool:
        """On a short screen, go back to the queue."""
        opened = self.has_class("-opened")
        self.remove_class("-opened")
        return opened and self.has_class("-short")

    def _open(self) -> None:
        if self.has_class("-short"):
            self.add_class("-opened")
        elif (run := self.current_run()) is not None:
            self.context.app.open_run(run)

    def _decidable(self) -> HeldCall:
        """The call under the cursor, if the operator can have read it. Raises: NotDone."""
        held = self.current()
        if held is None:
            raise NotDone("there is no held call under the cursor")
        if self.has_class("-short") and not self.has_class("-opened"):
            raise NotDone("open it first: enter shows the arguments")
        if not self.context.dwell.long_enough(_identity(held), now=self.context.clock.monotonic()):
            raise NotDone(f"ignored: this call has been on screen for less than {DWELL_SECONDS:g} s; press again")
        return self.context.controls.still_open(held)

    def _reject(self, held: HeldCall) -> None:
        def done(reason: str) -> None:
            self.context.controls.decide(held, Answer.REJECT, note=reason.strip())
            self._sent(f"reject {held.row.tool}: sent", held)

        self.context.app.ask(f"reject {held.row.tool}: reason for the agent", done)

    def _edit(self, held: HeldCall) -> None:
        if held.row.masked:
            raise NotDone("secrets are masked here, so an edit would send the masks: reject or respond")
        if not held.row.may_edit:
            raise NotDone("this call may not be edited: approve, reject or respond")

        def send(value: object) -> None:
            assert isinstance(value, dict)
            self.context.controls.decide(held, Answer.EDIT, args=value)
            self._sent(f"approve {held.row.tool} with edited arguments: sent", held)

        title = f"edit the arguments of {held.row.tool}"
        text = to_text(held.args)
        self.context.app.write(Draft(title=title, text=text, about=held, before=held.args, check=to_args, send=send))

    def _respond(self, held: HeldCall) -> None:
        if not held.row.may_respond:
            raise NotDone("this call may not be answered in the tool's place: approve, edit or reject")

        def send(value: object) -> None:
            self.context.controls.decide(held, Answer.RESPOND, text=str(value))
            self._sent(f"answer in place of {held.row.tool}: sent", held)

        place = "the model" if held.row.kind is CallKind.MODEL_CALL else held.row.tool
        title = f"answer in place of {place}"
        self.context.app.write(Draft(title=title, text="", about=held, before=None, check=to_words, send=send))

    def _sent(self, words: str, held: HeldCall) -> None:
        """Say so, and go on to the next pending call; what is decided next must have been shown long enough again."""
        self.context.app.say(words)
        pending = self.context.session.queue.pending
        keys = [key for key in self.list.keys if key in pending]
        if held.key in keys and len(keys) > 1:
            self.list.go(keys[(keys.index(held.key) + 1) % len(keys)])

    def _opened(self, held: HeldCall, now: float, width: int) -> list[Line]:
        run = self.context.session.board.get(held.row.run)
        if self._body is None or self._body[:2] != (held, width):
            self._body = (held, width, held_call_body(held, width=width))
        facts = held_call_facts(held, run, now=now, width=width, zone=self.context.zone)
        return facts + self._body[2] + self._against_previous(held, width)

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
        return queue_line(held.row, now=self.context.hub_now(), width=width)

    def _next(self) -> None:
        pending = self.context.session.queue.pending
        keys = [key for key in self.list.keys if key in pending]
        if not keys:
            self.context.app.say("no call waits for a decision")
            return
        after = keys[keys.index(self.list.cursor) + 1 :] if self.list.cursor in keys else keys
        self.list.go((after or keys)[0])


def _identity(held: HeldCall | None) -> object:
    """What a decision is bound to: any change of it voids a key that was meant for what stood there before."""
    return None if held is None else (held.key, held.row.digest, held.row.status)
