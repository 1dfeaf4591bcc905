"""A run that an operator holds, and the model call it waits with; drafts are written elsewhere."""

from __future__ import annotations

from textual.app import ComposeResult

from opsconsole.console.actions import ViewName
from opsconsole.console.context import Context, Draft
from opsconsole.console.controls import NotDone
from opsconsole.console.panels.panel import Panel
from opsconsole.console.view.amounts import age
from opsconsole.console.view.composed import chosen, template, to_call, to_words
from opsconsole.console.view.dwell import DWELL_SECONDS
from opsconsole.console.view.held_call import conversation, standing
from opsconsole.console.view.ingest import HeldCall
from opsconsole.console.view.line import Line, Tone, fit_line
from opsconsole.console.view.offers import Checker, offers
from opsconsole.console.view.status import status_of
from opsconsole.console.view.timeline_lines import step_line
from opsconsole.console.widgets.lines import Lines
from opsconsole.console.widgets.text_pane import TextPane
from opsconsole.domain.approval import Answer
from opsconsole.domain.run import TERMINAL
from opsconsole.domain.text import safe_line
from opsconsole.domain.tool_call import CallKind
from opsconsole.protocol.frames import ProposedCall

STEPS_SHOWN_MAX = 200
"""Newest steps of the run that are shown while nothing waits for an answer."""


class TakeoverPanel(Panel):
    """Who holds the run, and what the agent asks its model."""

    view: ViewName = "takeover"

    def __init__(self, context: Context) -> None:
        super().__init__(context, id="takeover")
        self.run: str | None = None
        self.head = Lines(context.painter, id="takeover-head")
        self.pane = TextPane(context.painter, id="takeover-text")
        self._shown: str | None = None

    def compose(self) -> ComposeResult:
        """Head and conversation."""
        yield self.head
        yield self.pane

    @property
    def text(self) -> TextPane:
        """The conversation."""
        return self.pane

    def show_run(self, run: str) -> None:
        """Show another run."""
        self.run, self._shown = run, None

    def current_run(self) -> str | None:
        """The run shown."""
        return self.run

    def looks_at(self) -> tuple[str | None, str | None]:
        """The run shown."""
        return self.run, None

    def waiting(self) -> HeldCall | None:
        """The model call that waits for the operator's answer."""
        if self.run is None:
            return None
        held = self.context.session.queue.pending_of(self.run)
        return next((one for one in held if one.row.kind is CallKind.MODEL_CALL), None)

    def refresh_rows(self) -> None:
        """Who holds it, and the call that waits."""
        held = self.waiting()
        width = max(10, self.head.size.width)
        self.head.show([fit_line(line, width) for line in self._head(held)])
        self.context.dwell.show(_identity(self.run, held), now=self.context.clock.monotonic())
        inner = max(10, self.pane.size.width - 1)
        lines = self._meanwhile(inner) if held is None else conversation(held.row.args, width=inner)
        key = None if held is None else held.key
        self.pane.show(lines, from_top=False)
        if held is None:
            self.pane.to_end(True)
        if key != self._shown:
            self.pane.to_end(True)
        self._shown = key

    def _meanwhile(self, width: int) -> list[Line]:
        """While nothing waits for an answer: what the run does, as it does it."""
        timeline = self.context.session.timeline
        if timeline is None or timeline.run != self.run:
            return []
        speaking = timeline.speaking()
        return [
            step_line(timeline.steps[key], width=width, zone=self.context.zone, speaking=key == speaking)
            for key in timeline.order()[-STEPS_SHOWN_MAX:]
        ]

    def do(self, action: str) -> bool:
        """Answer as the model."""
        if action == "reply":
            self._reply(self._answerable())
        elif action == "compose":
            self._compose_call(self._answerable())
        else:
            return False
        return True

    def _answerable(self) -> HeldCall:
        held, row = self.waiting(), self.context.session.board.get(self.run)
        if row is not None and row.state in TERMINAL:
            raise NotDone(f"this run has ended: {row.state.value}")
        if row is not None and row.baton is not None and not self.context.controls.holds(row):
            raise NotDone(f"{row.baton.by} holds this run: t takes it from them, for a reason")
        if held is None:
            raise NotDone("the agent does not wait for its model now: i sends it a message instead")
        if not self.context.dwell.long_enough(_identity(self.run, held), now=self.context.clock.monotonic()):
            raise NotDone(f"ignored: this call has been on screen for less than {DWELL_SECONDS:g} s; press again")
        return held

    def _reply(self, held: HeldCall) -> None:
        def send(value: object) -> None:
            self.context.controls.decide(held, Answer.RESPOND, text=str(value))
            self.context.app.say("answered as the model: sent")

        draft = Draft(title="answer as the model", text="", about=held, before=None, check=to_words, send=send)
        self.context.app.write(draft)

    def _compose_call(self, held: HeldCall) -> None:
        """Draft a call of the tool offered; where there are several, ask which."""
        offered = offers(held.args)
        if len(offered) < 2:
            self._draft_call(held, None)
            return

        def choose(typed: str) -> None:
            offer = chosen(offered, typed)
            if offer is None:
                raise NotDone(f"which of the {len(offered)} tools? a name, the beginning of one, or its number")
            self._draft_call(held, offer.name)

        names = ", ".join(f"{number} {offer.name}" for number, offer in enumerate(offered, 1))
        self.context.app.ask(f"call which tool ({safe_line(names)})", choose, value=offered[0].name)

    def _draft_call(self, held: HeldCall, name: str | None) -> None:
        call_id, checker = self.context.controls.new_call_id(), Checker(offers(held.args))

        def send(value: object) -> None:
            assert isinstance(value, ProposedCall)
            self.context.controls.decide(held, Answer.RESPOND, calls=[value])
            self.context.app.say(f"call of {value.name}, as the model: sent")

        self.context.app.write(
            Draft(
                title="compose a call as the model",
                text=template(held.args, name),
                about=held,
                before=None,
                check=lambda text: to_call(text, call_id=call_id, checker=checker),
                send=send,
            )
        )

    def _head(self, held: HeldCall | None) -> list[Line]:
        session, now = self.context.session, self.context.hub_now()
        row = session.board.get(self.run)
        if row is None:
            return [((" no run is taken over here", "dim"),)]
        who: Line = ((f" ◉ {row.agent}", "title"), (f" {row.name}  ", "strong"), (row.run, "dim"))
        if row.state in TERMINAL:
            status = status_of(row, now=now, zone=self.context.zone)
            ended = f" this run has ended: {status.word}" + (f", {status.now}" if status.now else "")
            return [who, ((ended, status.tone),), ((" nothing is left to answer: esc goes back", "dim"),)]
        if row.baton is None:
            holding: Line = ((" nobody holds this run yet: the takeover is on its way, or was handed back", "warn"),)
        else:
            by = "you hold" if self.context.controls.holds(row) else f"{row.baton.by} holds"
            left = age(row.baton.until - now)
            holding = ((f" {by} this run for {left} more; then it stays paused", "hold"),)
        words, tone = standing(held, now=now) if held else self._not_waiting()
        return [who, holding, ((f" {words}", tone),)]

    def _not_waiting(self) -> tuple[str, Tone]:
        timeline = self.context.session.timeline
        if timeline is not None and timeline.run == self.run and timeline.speaking():
            return "the model is speaking: what it has begun it ends; the next turn is yours", "dim"
        return "the agent is not waiting for its model now: its next turn is yours", "dim"


def _identity(run: str | None, held: HeldCall | None) -> object:
    return ("takeover", run, None if held is None else (held.key, held.row.digest))
