"""What an operator does with held calls: decide on one or on several, claim, pass on, grant; it shows no call."""

from __future__ import annotations

from opsconsole.console.context import Context, Draft
from opsconsole.console.controls import NotDone
from opsconsole.console.view.batch import Chosen, calls_of, not_together, wants_number
from opsconsole.console.view.composed import to_words
from opsconsole.console.view.edit_text import to_args, to_text
from opsconsole.console.view.fuse import HOW, BadFuse, to_grant
from opsconsole.console.view.ingest import HeldCall
from opsconsole.console.view.reasons import reason_of, reasons_line
from opsconsole.domain.approval import Answer
from opsconsole.domain.tool_call import CallKind


class Deciding:
    """The hands of the approvals view."""

    def __init__(self, context: Context, chosen: Chosen) -> None:
        self._context = context
        self._chosen = chosen

    def approve(self, held: HeldCall) -> None:
        """Let exactly this call run."""
        self._context.controls.decide(held, Answer.APPROVE)
        self._context.app.say(f"approve {held.row.tool}: sent")

    def reject(self, held: HeldCall) -> None:
        """Refuse it, with a reason."""

        def done(reason: str) -> None:
            self._context.controls.decide(held, Answer.REJECT, note=reason_of(reason))
            self._context.app.say(f"reject {held.row.tool}: sent")

        self._context.app.say(f"reasons by number: {reasons_line()}")
        self._context.app.ask(f"reject {held.row.tool}: reason for the agent", done)

    def edit(self, held: HeldCall) -> None:
        """Let it run with other arguments."""
        if held.row.masked:
            raise NotDone("secrets are masked here, so an edit would send the masks: reject or respond")
        if not held.row.may_edit:
            raise NotDone("this call may not be edited: approve, reject or respond")

        def send(value: object) -> None:
            assert isinstance(value, dict)
            self._context.controls.decide(held, Answer.EDIT, args=value)
            self._context.app.say(f"approve {held.row.tool} with edited arguments: sent")

        title = f"edit the arguments of {held.row.tool}"
        draft = Draft(title=title, text=to_text(held.args), about=held, before=held.args, check=to_args, send=send)
        self._context.app.write(draft)

    def respond(self, held: HeldCall) -> None:
        """Answer in the tool's place."""
        if not held.row.may_respond:
            raise NotDone("this call may not be answered in the tool's place: approve, edit or reject")

        def send(value: object) -> None:
            self._context.controls.decide(held, Answer.RESPOND, text=str(value))
            self._context.app.say(f"answer in place of {held.row.tool}: sent")

        place = "the model" if held.row.kind is CallKind.MODEL_CALL else held.row.tool
        title = f"answer in place of {place}"
        self._context.app.write(Draft(title=title, text="", about=held, before=None, check=to_words, send=send))

    def approve_chosen(self) -> None:
        """Let every marked call run, after their number was typed where they are many or risky. Raises: NotDone."""
        calls = self._calls()
        self._must_be_shown(calls)
        if not wants_number(calls):
            self._decide_all(calls, Answer.APPROVE)
            return

        def done(text: str) -> None:
            if text.strip() != str(len(calls)):
                raise NotDone("nothing was approved: that is not the number")
            self._must_be_shown(calls)  # an effect may have been looked up again meanwhile
            self._decide_all(calls, Answer.APPROVE)

        self._context.app.ask(f"type {len(calls)} to approve {calls_of(len(calls))}", done)

    def reject_chosen(self) -> None:
        """Refuse every marked call with one reason."""
        calls = self._calls()

        def done(reason: str) -> None:
            self._decide_all(calls, Answer.REJECT, note=reason_of(reason))

        self._context.app.say(f"reasons by number: {reasons_line()}")
        self._context.app.ask(f"reject {calls_of(len(calls))}: reason for the agents", done)

    def claim(self, held: HeldCall) -> None:
        """Say that one looks at it, or no longer."""
        self._context.controls.claim(held)
        row, me = held.row, self._context.session.link.principal
        mine = row.claimed_by == me and row.passed_by is None  # what one was passed becomes one's own first
        self._context.app.say(f"{'no longer claimed' if mine else 'claimed'}: {row.tool}")

    def pass_on(self, held: HeldCall) -> None:
        """Say that somebody else should look at it."""

        def done(name: str) -> None:
            if not name.strip():
                raise NotDone("nothing was passed on: no name was given")
            self._context.controls.claim(held, to=name.strip())
            self._context.app.say(f"{held.row.tool}: passing it on to {name.strip()}")

        self._context.app.ask(f"pass {held.row.tool} on to", done)

    def grant(self, held: HeldCall) -> None:
        """Say yes to later calls with exactly these arguments, for a number of them and a time."""
        if held.row.kind is not CallKind.TOOL_CALL:
            raise NotDone("only calls of tools can be granted")

        def done(text: str) -> None:
            try:
                asked = to_grant(text)
            except BadFuse as problem:
                raise NotDone(f"nothing was granted: {problem}") from None
            self._context.controls.grant(held, asked)
            whose = f"this {asked.scope}"
            self._context.app.say(f"granted: {asked.uses} later calls like it, of {whose}; a decides on this one")

        self._context.app.say(HOW)
        self._context.app.ask("grant later calls like it", done, value="5 30m")

    def _must_be_shown(self, calls: list[HeldCall]) -> None:
        """Approved together is only what was shown whole, with an effect that is known. Raises: NotDone."""
        if why_not := not_together(calls):
            raise NotDone(why_not)
        now = self._context.clock.monotonic()
        found = [effect for held in calls if (effect := self._context.app.pages.effect(held, now=now)) is not None]
        if count := sum(effect.rows_are_all for effect in found):
            raise NotDone(f"{calls_of(count)} marked would touch EVERY ROW of a table: approve them alone")
        if count := sum(not effect.is_known for effect in found):
            raise NotDone(f"what {calls_of(count)} marked would do is not known: wait, or approve them alone")

    def _calls(self) -> list[HeldCall]:
        queue = self._context.session.queue
        if gone := self._chosen.drop_changed(queue):
            raise NotDone(f"{len(gone)} of the marked calls changed meanwhile and lost their marks: look again")
        calls = self._chosen.calls(queue)
        if not calls:
            raise NotDone("no marked call waits for a decision any more")
        return calls

    def _decide_all(self, calls: list[HeldCall], answer: Answer, *, note: str | None = None) -> None:
        """One command for each, each with the digest that was shown; what changed meanwhile is left out."""
        sent, left_out = 0, ""
        for held in calls:
            try:
                self._context.controls.decide(held, answer, note=note)
            except NotDone as reason:
                left_out = str(reason)
            else:
                sent += 1
        self._chosen.clear()
        missed = f"; {len(calls) - sent} left out: {left_out}" if left_out else ""
        if not sent:
            raise NotDone(f"nothing was sent: {left_out}")
        self._context.app.say(f"{answer.value} {calls_of(sent)}: sent{missed}", "warn" if missed else "plain")
