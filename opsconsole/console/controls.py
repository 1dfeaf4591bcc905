"""What an operator may have done: builds each command, or says why it cannot be meant; it knows no keys.

It owns no screen. Every refusal is a sentence for the operator.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

from opsconsole.console.clock import Clock
from opsconsole.console.link import Link
from opsconsole.console.view.ingest import HeldCall
from opsconsole.console.view.link_lines import why_refused
from opsconsole.console.view.outbox import Entry
from opsconsole.console.view.session import LinkPhase, Session
from opsconsole.domain.approval import Answer, ApprovalStatus
from opsconsole.domain.command import Do, Role
from opsconsole.domain.run import HELD, TERMINAL
from opsconsole.protocol.asked import AskedGrant, NewCaps
from opsconsole.protocol.events import Capability
from opsconsole.protocol.frames import Command, ProposedCall
from opsconsole.protocol.limits import RUNS_PER_CONNECTION_MAX
from opsconsole.protocol.rows import Alert, RunRow


class NotDone(Exception):
    """Nothing was sent; the message says why and what would help."""


class Controls:
    """The operator's hands."""

    def __init__(self, session: Session, link: Link, *, clock: Clock, new_id: Callable[[], str]) -> None:
        self._session = session
        self._link = link
        self._clock = clock
        self._new_id = new_id

    def kill(self, run: str, *, now: bool = False) -> Entry:
        """Stop one run, at once; `now` leaves out the ladder's waits. Without a link the command is queued."""
        return self._give(Command(cmd=self._new_id(), do=Do.KILL, run=run, mode="now" if now else "ladder"))

    def kill_many(self, runs: list[str], *, every: bool) -> list[Entry]:
        """Stop several runs; `every` means every live run of the hub, also those this console has not seen."""
        if every:
            return [self._give(Command(cmd=self._new_id(), do=Do.KILL, all=True))]
        parts = [
            runs[start : start + RUNS_PER_CONNECTION_MAX] for start in range(0, len(runs), RUNS_PER_CONNECTION_MAX)
        ]
        return [self._give(Command(cmd=self._new_id(), do=Do.KILL, runs=part)) for part in parts]

    def pause_or_resume(self, row: RunRow) -> Entry:
        """Hold a run at its next gate, or let a held one go on."""
        self._must_live(row)
        if row.state in HELD:
            return self._give(Command(cmd=self._new_id(), do=Do.RESUME, run=row.run))
        self._must_offer(row, "pause", "hold")
        return self._give(Command(cmd=self._new_id(), do=Do.PAUSE, run=row.run))

    def raise_caps(self, row: RunRow, caps: Mapping[str, float], why: str) -> Entry:
        """Let a held run go on under other caps, in one decision; of a run at work, set other caps for a reason."""
        self._must_live(row)
        wanted = NewCaps.model_validate(dict(caps))
        if row.state in HELD:
            return self._give(Command(cmd=self._new_id(), do=Do.RESUME, run=row.run, caps=wanted, note=why or None))
        if not why.strip():
            raise NotDone("other caps of a run at work need a reason: write it after the caps, as in: $20 launch day")
        return self._give(Command(cmd=self._new_id(), do=Do.BUDGET, run=row.run, caps=wanted, note=why))

    def answer_alert(self, alert: Alert, run: str, verdict: Literal["real", "fine"]) -> Entry:
        """Say whether what a detector found is trouble."""
        if alert.verdict == verdict:
            raise NotDone(f"{alert.verdict_by} has said so: {verdict}")
        return self._give(
            Command(cmd=self._new_id(), do=Do.ANSWER_ALERT, run=run or None, alert=alert.id, verdict=verdict)
        )

    def freeze_or_thaw(self, row: RunRow) -> Entry:
        """Stop the processes of a run where they are, or let frozen ones go on."""
        if row.frozen:
            return self.thaw(row)
        self._must_live(row)
        self._must_offer(row, "freeze")
        return self._give(Command(cmd=self._new_id(), do=Do.FREEZE, run=row.run))

    def thaw(self, row: RunRow) -> Entry:
        """Let frozen processes go on."""
        self._must_live(row)
        self._must_offer(row, "freeze")
        return self._give(Command(cmd=self._new_id(), do=Do.THAW, run=row.run))

    def inject(self, row: RunRow, text: str) -> Entry:
        """Send the agent a message for its next step."""
        self._must_live(row)
        self._must_offer(row, "inject")
        return self._give(Command(cmd=self._new_id(), do=Do.INJECT, run=row.run, text=text))

    def note(self, run: str, text: str) -> Entry:
        """Leave words on a run, for people."""
        return self._give(Command(cmd=self._new_id(), do=Do.ANNOTATE, run=run, text=text))

    def take_over(self, row: RunRow, why: str = "") -> Entry:
        """Ask for the baton of a run; from another operator it is taken for a reason only."""
        self._must_live(row)
        self._must_offer(row, "takeover")
        return self._give(Command(cmd=self._new_id(), do=Do.TAKEOVER, run=row.run, note=why or None))

    def release(self, row: RunRow, summary: str) -> Entry:
        """Give the baton back, with words that the agent reads."""
        if not self.holds(row):
            raise NotDone("you do not hold this run")
        return self._give(Command(cmd=self._new_id(), do=Do.RELEASE, run=row.run, text=summary or None))

    def holds(self, row: RunRow) -> bool:
        """Whether this console's principal has taken the run over."""
        return row.baton is not None and row.baton.by == self._session.link.principal

    def decide(
        self,
        held: HeldCall,
        answer: Answer,
        *,
        args: dict[str, Any] | None = None,
        text: str | None = None,
        calls: list[ProposedCall] | None = None,
        note: str | None = None,
    ) -> Entry:
        """Answer a held call, bound to the digest that was on screen."""
        row = self.still_open(held).row
        if answer is Answer.EDIT and not row.may_edit:
            raise NotDone("this call may not be edited: approve, reject or respond")
        if answer is Answer.EDIT and row.masked:
            raise NotDone("secrets are masked here, so an edit would send the masks: reject or respond")
        if answer is Answer.RESPOND and not row.may_respond:
            raise NotDone("this call may not be answered in the tool's place: approve, edit or reject")
        return self._give(
            Command(
                cmd=self._new_id(),
                do=Do.DECIDE,
                run=row.run,
                approval=row.approval,
                answer=answer,
                digest=row.digest,
                args=args,
                text=text,
                calls=calls,
                note=note or None,
            )
        )

    def claim(self, held: HeldCall, *, to: str = "") -> Entry:
        """Say that this operator looks at it, or no longer does; with `to`, that somebody else should."""
        row = self.still_open(held).row
        return self._give(Command(cmd=self._new_id(), do=Do.CLAIM, run=row.run, approval=row.approval, text=to or None))

    def grant(self, held: HeldCall, asked: AskedGrant) -> Entry:
        """Say yes to later calls like this one, for as many and as long as asked; it does not decide on this one."""
        row = self.still_open(held).row
        if row.masked:
            raise NotDone("its arguments hold a secret: such calls are asked about each time")
        return self._give(
            Command(cmd=self._new_id(), do=Do.GRANT, approval=row.approval, digest=row.digest, grant=asked)
        )

    def still_open(self, held: HeldCall) -> HeldCall:
        """The call as it stands, if it is the one that was shown and can be decided on from here. Raises: NotDone."""
        self.must_be_heard("a decision")
        self._must_be_allowed("a decision")
        current = self._session.queue.get(held.key)
        if current is None or current.row.status is not ApprovalStatus.PENDING:
            raise NotDone("this call no longer waits for a decision")
        if current.row.digest != held.row.digest:
            raise NotDone("this call changed while you looked at it: read it again")
        return current

    def new_call_id(self) -> str:
        """An id for a call that the operator composes."""
        return "call_" + self._new_id().removeprefix("cmd_")

    def _give(self, command: Command) -> Entry:
        if command.do is not Do.KILL:
            self.must_be_heard(command.do.value)
        self._must_be_allowed(command.do.value)
        entry, frames = self._session.give(command, now=self._clock.monotonic())
        if entry is None:
            raise NotDone(f"{command.do.value} cannot be sent: {why_refused(self._session)}; ^r tries the hub again")
        self._link.send(frames)
        return entry

    def _must_be_allowed(self, what: str) -> None:
        if not self._session.may_act:
            link = self._session.link
            raise NotDone(f"{what} needs the role {Role.OPERATOR.value}: {link.principal} is {link.role}, who may look")

    def must_be_heard(self, what: str) -> None:
        """The hub has spoken a moment ago: what is on screen is what it knows. Raises: NotDone."""
        session, now = self._session, self._clock.monotonic()
        if session.link.phase is LinkPhase.REFUSED:
            raise NotDone(f"{what} cannot be sent: {why_refused(session)}; ^r tries the hub again")
        if not session.online:
            raise NotDone(f"not sent: the link to the hub is down ({what} is not queued, only a kill is)")
        if session.is_silent(now=now):
            silent = now - session.link.heard_at
            raise NotDone(f"not sent: the hub has said nothing for {silent:.0f} s, and only a kill is sent then")

    def _must_live(self, row: RunRow) -> None:
        if row.state in TERMINAL:
            raise NotDone(f"this run has ended: {row.state.value}")

    def _must_offer(self, row: RunRow, *any_of: Capability) -> None:
        if not any(capability in point.caps for point in row.points for capability in any_of):
            raise NotDone(f"no point of this run can {any_of[0]}")
