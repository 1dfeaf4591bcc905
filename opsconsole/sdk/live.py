"""One live run, the part both twins share: says, obeys, ends; how a body waits or is cancelled is the twins'."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from opsconsole.domain.run import RunState
from opsconsole.errors import CallDenied, RunStopped
from opsconsole.sdk.bounded import bounded_text
from opsconsole.sdk.gate import Decision, LinkView, Proposal
from opsconsole.sdk.growing import Growing
from opsconsole.sdk.identity import Identity
from opsconsole.sdk.journal import CallRecord, Journal
from opsconsole.sdk.new_ids import new_id
from opsconsole.sdk.on_hub_lost import OnHubLost
from opsconsole.sdk.order import Order
from opsconsole.sdk.point_run import PointRun
from opsconsole.sdk.said import checkpoint_event, checkpoint_state, message_event, note_event
from opsconsole.sdk.session import Answer, Cancel, Effect, Propose, Remember, Say, Session, Settle
from opsconsole.sdk.usage import TurnUsage, added

if TYPE_CHECKING:
    from opsconsole.sdk.link import Link

CANCEL_EVERY_SECONDS = 0.1
"""A body that swallowed its cancellation is cancelled again."""
CANCEL_SECONDS_MAX = 5.0
"""After this the kill is reported as not obeyed, and the body is left to the supervisor."""


class LiveRun:
    """A run whose body is executing in this process."""

    def __init__(
        self,
        journal: Journal,
        identity: Identity,
        policy: OnHubLost,
        link: Link,
        siblings: Callable[[], Iterable[LiveRun]],
    ) -> None:
        self.journal, self.identity, self.link = journal, identity, link
        self.run = journal.run
        self.fresh = journal.fresh
        self.point = PointRun(journal, on_order=self.order, wake=link.wake)
        self.lock = self.point.lock
        memory = json.loads(journal.get("memory") or "{}")
        ended_calls = [one.call for one in journal.calls() if one.status != "proposed"]
        self.session = Session(policy, memory=memory, settled=ended_calls)
        self.point.held = bool(self.session.holder)
        self.cancel_body: Callable[[], None] = lambda: None
        """Set by the twin: asks the body to end, callable from any thread, as often as needed."""
        self.why_not_ended: Callable[[], str] = lambda: "the body went on"
        """Set by the twin: what is known of that."""
        self.end_told = "ended"
        """What the answer to a kill says of the end."""
        self.stop_state = RunState.KILLED
        self.lease_over = False
        self.idle = threading.Condition(self.lock)
        """Notified when a call's function ends."""
        self.stopped = False
        """Whether the body ended because the run was stopped."""
        self.closed = False
        """Whether the journal is closed: what still comes is lost on purpose."""
        self.leaving = False
        """Whether the link was told to leave this run."""
        self._siblings = siblings
        self._waiting: dict[str, Future[Decision]] = {}
        self._proposed: dict[str, dict[str, Any]] = {}
        self._growing: Growing | None = None
        self._usage = journal.usage()
        self._killed_at: float | None = None
        self._cancelled_at = 0.0
        self._cancels = 0
        self._reported = False
        self._final: tuple[RunState, str, str, str] | None = None

    # -- beginning -------------------------------------------------------------------------------------------------

    def open(self) -> None:
        """States that the run works, and takes up what an earlier process left."""
        checkpoint = self.journal.checkpoint()
        restored = checkpoint[0] if checkpoint else None
        self.point.emit(self.identity.to_json(self.session.policy, restored))
        for name, holds in self.identity.facts().items():
            self.journal.put(name, "1" if holds else "")
        self.point.tell_interrupted()
        self._say(RunState.WORKING, "resumed after a restart" if not self.fresh else "")
        self.link.attach(self.point)
        for order in self.point.open_orders():
            self.order(order)

    # -- saying ----------------------------------------------------------------------------------------------------

    def say(self, event: dict[str, Any], *, urgent: bool = False) -> None:
        """Journals an event of this run. Raises: RunStopped once the run has ended."""
        with self.lock:
            self._demand_life()
            self.flush_growing()
            self.point.tell(event, urgent=urgent)

    def _demand_life(self) -> None:
        if self.session.ended:
            raise RunStopped(self.session.fenced or "the run has ended", run=self.run)

    def message(self, role: str, text: str | None, append: str | None, message: str | None, author: str | None) -> str:
        """A message whole, or a part of a growing one; gives its id."""
        message = message or new_id("msg")
        event = message_event(message, role, author)
        if append is None:
            self.say(event | {"text": bounded_text(text or "")})
        else:
            self._grow(message, role, append)
        return message

    def _grow(self, message: str, role: str, part: str) -> None:
        with self.lock:
            self._demand_life()
            if self._growing and self._growing.id != message:
                self.flush_growing()
            if self._growing is None:
                self._growing = Growing(message, role, time.monotonic())
                self._look()
            if self._growing.add(part):
                self.flush_growing()

    def flush_growing(self) -> None:
        """The gathered parts become one event."""
        growing, self._growing = self._growing, None
        if growing:
            self.point.tell(growing.event())

    def note(self, text: str, level: str, data: dict[str, Any] | None) -> None:
        """A line for the timeline."""
        self.say(note_event(text, level, data))

    def used(self, turn: TurnUsage) -> None:
        """Adds one turn to the cumulative counts of its model; a turn that outlived its run is not counted."""
        with self.lock:
            if self.session.ended:
                return
            model = bounded_text(turn.model or "unknown", 200)
            self._usage[model] = added(self._usage.get(model, {}), turn)
            with contextlib.suppress(sqlite3.Error):
                self.journal.save_usage(model, self._usage[model])
            self.say({"type": "usage", "model": model, **self._usage[model]})

    def checkpoint(self, state: Any) -> str:
        """Keeps the state to resume from; gives an empty id where the disk took none, and the one before stands.

        Raises: ValueError if it is not plain JSON or too large.
        """
        data, checkpoint = checkpoint_state(state), new_id("ckp")
        with self.lock:
            self._demand_life()
            try:
                self.journal.save_checkpoint(checkpoint, data)
            except sqlite3.Error as error:
                self.say(note_event(f"A checkpoint could not be kept: {error}", "warning", None))
                return ""
            self.say(checkpoint_event(checkpoint, len(data)))
        return checkpoint

    def restore(self) -> Any:
        """The last checkpoint's state, or None."""
        found = self.journal.checkpoint()
        return json.loads(found[1]) if found else None

    def injected(self) -> list[str]:
        """The operator messages since last asked."""
        if not self.session.has_injected:
            return []
        with self.lock:
            orders, effects = self.session.take_injected()
            for order in orders:
                event = {"type": "message", "id": new_id("msg"), "role": "operator", "command": order.cmd}
                self.say(event | {"text": bounded_text(order.text or ""), "author": bounded_text(order.by, 200)})
            self.apply(effects)
        return [order.text or "" for order in orders]

    def _say(self, state: RunState, reason: str = "", **more: str) -> None:
        self.point.state = str(state)
        fields = {name: bounded_text(text, 2_000) for name, text in {"reason": reason, **more}.items() if text}
        self.point.tell({"type": "state", "state": str(state), **fields}, urgent=True)

    # -- obeying ---------------------------------------------------------------------------------------------------

    def order(self, order: Order) -> None:
        """A command of the hub."""
        with self.lock:
            now = time.monotonic()
            if order.do == "kill" and self._killed_at is None:
                self._killed_at = now
            self.apply(self.session.order(order, now))
            if self.session.ended:
                self._answer_kills("had already ended")
        self._look()

    def _look(self) -> None:
        """Have `tick` called soon: a deadline may have come nearer."""
        self.link.check()

    def propose(self, proposal: Proposal, event: dict[str, Any]) -> Future[Decision]:
        """Puts a call before the gate; the future gets the decision, or CallDenied where it could not be journalled."""
        decided: Future[Decision] = Future()
        decided.set_running_or_notify_cancel()  # who waits may give up; the decision still arrives
        with self.lock:
            self._waiting[proposal.call] = decided
            self._proposed[proposal.call] = event
            self.apply(self.session.propose(proposal))
            self.apply(self.session.judge(time.monotonic(), self.view()))
        self._look()
        return decided

    def withdraw(self, call: str) -> bool:
        """Nobody waits for this call any more; True if it was undecided."""
        with self.lock:
            self._waiting.pop(call, None)
            self._proposed.pop(call, None)
            return self.session.withdraw(call)

    def is_waiting(self, call: str) -> bool:
        """Whether this process waits for this call's decision."""
        return call in self._waiting

    def _propose(self, call: str) -> None:
        event = self._proposed.pop(call)
        record = CallRecord(call=call, status="proposed", digest=event["digest"])
        try:
            self.flush_growing()
            if self.journal.full:
                raise sqlite3.DataError("the journal is full of what the hub has not got")
            self.point.emit(event, urgent=True, call=record)
        except sqlite3.Error as error:
            self.session.withdraw(call)
            problem = CallDenied(f"The call could not be journalled: {error}", call=call, by="sdk", rule="journal")
            self._waiting.pop(call).set_exception(problem)

    def view(self) -> LinkView:
        """The link as this run has it."""
        if self.point.refused:
            return LinkView(up=False, lost=True, refused=self.point.refused)
        return self.link.view

    def apply(self, effects: Iterable[Effect]) -> None:
        """Carries out what the rules decided; the lock is held."""
        for effect in effects:
            match effect:
                case Settle():
                    waiting = self._waiting.pop(effect.call, None)
                    if waiting:
                        waiting.set_result(effect.decision)
                case Say():
                    self._say(effect.state, effect.reason)
                case Answer():
                    self.answer(effect.cmd, effect.status, effect.code, effect.message)
                case Remember():
                    self.point.held = bool(self.session.holder)
                    self._keep("memory", json.dumps(self.session.memory()))
                case Cancel():
                    self._cancel(effect.reason)
                case Propose():
                    self._propose(effect.proposal.call)

    def _keep(self, name: str, value: str) -> None:
        """A fact for a later process; a full disk must not keep this one from going on."""
        with contextlib.suppress(sqlite3.Error):
            self.journal.put(name, value)

    def answer(self, cmd: str, status: str, code: str = "", message: str = "", **more: Any) -> None:
        """Tells the hub what became of its command."""
        self.point.answer(cmd, ok=status == "applied", status=status, code=code, message=message[:2_000], **more)

    def fence(self, reason: str, state: RunState = RunState.KILLED) -> None:
        """Nothing of this run may run any more."""
        with self.lock:
            if not self.session.ended:
                if not self.session.fenced:
                    self.stop_state = state
                self._killed_at = self._killed_at or time.monotonic()
                self.apply(self.session.fence(reason))

    def _cancel(self, reason: str) -> None:
        self._cancelled_at = time.monotonic()
        self._cancels += 1
        for other in self._siblings():  # before the body, whose end may be theirs
            if other.identity.parent == self.run and not other.session.fenced:
                other.fence(f"its parent {self.run} was stopped: {reason}", self.stop_state)
        self.cancel_body()

    # -- time ------------------------------------------------------------------------------------------------------

    def tick(self, now: float) -> float | None:
        """What time and the link make of this run; gives when to ask again (monotonic) or None."""
        with self.lock:
            if self.session.ended:
                return None
            view = self.view()
            self.apply(self.session.judge(now, view))
            dues = [self.session.next_due(view), self._lease_due(now), self._growing_due(now), self._cancel_due(now)]
        return min((due for due in dues if due is not None), default=None)

    def _lease_due(self, now: float) -> float | None:
        lease = self.session.policy.lease
        if lease is None or self.session.fenced:
            return None
        due = self.link.heard_at + lease
        if now < due:
            return due
        self.lease_over = True
        self.fence(f"nothing was heard from the hub for {lease:g} s", RunState.FAILED)
        return self._cancel_due(now)

    def _growing_due(self, now: float) -> float | None:
        if self._growing is None:
            return None
        if now < self._growing.due:
            return self._growing.due
        self.flush_growing()
        return None

    def _cancel_due(self, now: float) -> float | None:
        if self._killed_at is None or self._reported:
            return None
        if now >= self._killed_at + CANCEL_SECONDS_MAX:
            self._report_disobedience(now)
            return None
        if now >= self._cancelled_at + CANCEL_EVERY_SECONDS:
            self._cancelled_at = now
            self._cancels += 1
            self.cancel_body()
        return self._cancelled_at + CANCEL_EVERY_SECONDS

    def _report_disobedience(self, now: float) -> None:
        self._reported = True
        outcome = f"not ended after {self._cancels} cancellations: {self.why_not_ended()}"
        ms = round((now - (self._killed_at or now)) * 1_000, 1)
        self.point.tell({"type": "note", "level": "error", "text": f"The kill is not obeyed: {outcome}"}, urgent=True)
        for order in self.session.kills:
            line = [{"name": self.journal.point, "ms": ms, "outcome": outcome[:200]}]
            self.answer(order.cmd, "unconfirmed", "not_ended", outcome, proof="none", points=line)

    # -- ending ----------------------------------------------------------------------------------------------------

    def wait_idle(self, timeout_seconds: float) -> bool:
        """Waits until no call's function runs any more; True if none does."""
        with self.idle:
            return self.idle.wait_for(lambda: not self.session.executing, timeout_seconds)

    def end(self, state: RunState, *, reason: str = "", stop_reason: str = "", error: str = "") -> None:
        """The body has ended. A fenced run ends as what stopped it, once nothing of it runs any more.

        What is said afterwards is not sent.
        """
        with self.lock:
            if self.session.ended:
                return
            self.flush_growing()
            self.stopped = bool(self.session.fenced)
            if self.stopped:
                state, reason, stop_reason = (
                    self.stop_state,
                    self.session.fenced,
                    "lease" if self.lease_over else "stopped",
                )
            self.apply(self.session.end())
            self._final = (state, reason, stop_reason, error)
            if not (self.session.fenced and self.session.executing):
                self._declare_end()
            elif not self._reported:
                self._report_disobedience(time.monotonic())

    def call_ended(self, call: str) -> None:
        """A call's function has returned or raised; the last one may have been all that was left of a stopped run."""
        with self.lock:
            if self.closed:
                return
            self.apply(self.session.finished(call))
            self.idle.notify_all()
            if self.session.ended and not self.session.executing:
                self._declare_end()

    @property
    def declared(self) -> bool:
        """Whether the end is journalled: nothing follows it."""
        return self.session.ended and self._final is None

    def _declare_end(self) -> None:
        if self._final is None:
            return
        (state, reason, stop_reason, error), self._final = self._final, None
        self._say(state, reason, stop_reason=stop_reason, error=error)
        self._keep("ended", str(state))
        self._answer_kills(self.end_told)

    def _answer_kills(self, outcome: str) -> None:
        if self._final is not None:
            return
        ms = round((time.monotonic() - (self._killed_at or time.monotonic())) * 1_000, 1)
        for order in self.session.kills:
            line = [{"name": self.journal.point, "ms": ms, "outcome": outcome}]
            self.answer(order.cmd, "applied", proof="cooperative", points=line)
        self.session.kills.clear()
