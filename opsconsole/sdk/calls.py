"""One call through the gate, from its exact arguments to its recorded end; who waits and what runs is the twins'."""

from __future__ import annotations

import json
import sqlite3
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Any

from opsconsole.domain.digest import NotCanonical, canonical
from opsconsole.domain.ids import is_id
from opsconsole.domain.tool_call import CallKind, CallStatus, Risk
from opsconsole.errors import CallDenied, CallInterrupted, RunStopped
from opsconsole.protocol.limits import APPROVAL_TTL_SECONDS
from opsconsole.sdk.arguments import ArgumentsRefused, ExactArgs, exact, preview
from opsconsole.sdk.bounded import bounded_text, result_text
from opsconsole.sdk.gate import OFFLINE, TTL_SECONDS_MAX, Admission, Decision, Proposal
from opsconsole.sdk.journal import CallRecord
from opsconsole.sdk.live import LiveRun
from opsconsole.sdk.tool_about import ToolAbout

RESULT_KEPT_BYTES_MAX = 262_144
"""A larger result is not given again after a restart."""
ERROR_BYTES_MAX = 8_000
"""Of a failure's text."""
TOOLS_TOLD_MAX = 128
"""Of one run; of more nothing is told."""
TRIM_EVERY_CALLS = 1_000
"""How often the oldest ended calls are forgotten."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What the agent's author says about a call."""

    kind: CallKind
    name: str
    args: Any
    call: str | None = None
    """The call's id, where it has one of its own (that of the model's tool call); it never runs twice."""
    risk: Risk | None = None
    read_only: bool | None = None
    reason: str | None = None
    target: str | None = None
    ttl_seconds: float | None = None
    about: ToolAbout | None = None
    """What is said of the tool; told with its first call only."""


@dataclass(slots=True)
class Call:
    """A call on its way."""

    id: str
    ask: Ask
    args: ExactArgs
    decided: Future[Decision]
    digest: str
    verdict: str | None = None
    started_at: float = 0.0
    keep_result: bool = True


@dataclass(frozen=True, slots=True)
class Recorded:
    """The call ran in an earlier life of this run; this is its result."""

    result: Any


@dataclass(frozen=True, slots=True)
class Answered:
    """An operator's words stand as the result."""

    decision: Decision


def checked(decision: Decision, fits: Callable[[dict[str, Any]], str]) -> Decision:
    """The decision, turned into a refusal where an operator's edit does not fit what would run."""
    if decision.admission is not Admission.RUN or not decision.edited or decision.args is None:
        return decision
    problem = fits(decision.args.value())
    if not problem:
        return decision
    text = f"The edited arguments do not fit: {problem}"
    return replace(decision, admission=Admission.REFUSE, text=text, by="sdk", rule="arguments", args=None)


class Calls:
    """The calls of one run."""

    def __init__(self, live: LiveRun) -> None:
        self._live = live
        self._seen: Counter[str] = Counter()
        self._made = 0
        self._told: dict[str, ToolAbout] = {}
        """What this process has said of tools."""
        self._checkpoint = live.journal.checkpoints
        self._lineage = live.journal.get("lineage") or live.journal.gen[:6]

    def checkpoint(self, state: Any) -> str:
        """As `LiveRun.checkpoint`. Calls from here on are told apart from those before, which are not made again."""
        with self._live.lock:
            checkpoint = self._live.checkpoint(state)
            if checkpoint:
                self._checkpoint = self._live.journal.checkpoints
                self._seen.clear()
                self._live.journal.trim_calls()
        return checkpoint

    # -- before ----------------------------------------------------------------------------------------------------

    def propose(self, ask: Ask) -> Call | Recorded:
        """Puts a call before the gate.

        Raises: CallDenied if its arguments cannot be shown or it was refused before, CallInterrupted if it ran before
        and its result is gone, RunStopped.
        """
        live = self._live
        if live.session.fenced or live.session.ended:
            raise RunStopped(live.session.fenced or "the run has ended", run=live.run)
        name = bounded_text(ask.name, 200) or "unnamed"
        try:
            args = exact(name, ask.args)
        except ArgumentsRefused as error:
            raise self._refused_here(ask, name, str(error)) from None
        with live.lock:
            call = self._call_id(ask, args)
            recorded = self._recorded(call, args)
            if recorded is not None:
                return recorded
            proposal = _proposal(call, name, ask, args)
            decided = live.propose(proposal, _proposed_event(call, name, ask, args) | self._about(name, ask.about))
        return Call(call, ask, args, decided, args.digest)

    def _about(self, name: str, about: ToolAbout | None) -> dict[str, Any]:
        """What the hub has not heard yet of the tool."""
        known = self._told.get(name)
        if about is None or known == about or (known is None and len(self._told) >= TOOLS_TOLD_MAX):
            return {}
        self._told[name] = about
        return about.told()

    def _call_id(self, ask: Ask, args: ExactArgs) -> str:
        """The caller's id, or one a restarted agent finds again: the nth such call since the checkpoint."""
        self._made += 1
        if self._made % TRIM_EVERY_CALLS == 0:
            self._live.journal.trim_calls()
        if ask.call is not None:
            if not is_id(ask.call):
                raise ValueError(f"a call id is 1 to 128 of letters, digits and _.:-, not {ask.call[:200]!r}")
            return ask.call
        short = args.digest[7:23]
        self._seen[short] += 1
        return f"call_{self._lineage}.{self._checkpoint}.{short}.{self._seen[short]}"

    def _recorded(self, call: str, args: ExactArgs) -> Recorded | None:
        """What an earlier life knows of the call. Raises as `propose`."""
        record = self._live.journal.call(call)
        if record is None:
            return None
        if record.digest != args.digest:
            raise CallDenied(f"The call id {call} was used for other arguments.", call=call, by="sdk", rule="call_id")
        if record.status == "proposed":
            if self._live.is_waiting(call):
                raise CallDenied(f"The call {call} is already under way.", call=call, by="sdk", rule="call_id")
            return None
        if record.status in ("completed", "answered") and record.result is not None:
            return Recorded(json.loads(record.result))
        if record.status == "denied":
            raise CallDenied(record.error or "The call was refused.", call=call, by="journal", rule="recorded")
        raise _interrupted(record)

    def _refused_here(self, ask: Ask, name: str, problem: str) -> CallDenied:
        with self._live.lock:
            self._seen["refused"] += 1
            call = f"call_{self._lineage}.{self._checkpoint}.refused.{time.time_ns()}.{self._seen['refused']}"
            event = _event(call, ask, CallStatus.DENIED) | {"name": name, "args": preview(ask.args)}
            self._live.say(event | {"error": bounded_text(problem, ERROR_BYTES_MAX)})
        return CallDenied(problem, call=call, by="sdk", rule="arguments")

    def withdraw(self, call: Call) -> None:
        """The agent gave the call up while it waited."""
        with self._live.lock:
            waited = self._live.withdraw(call.id)
            too_late = call.decided.result() if call.decided.done() and not call.decided.exception() else None
            if (waited or too_late) and not self._live.session.ended:
                self._end(call, CallStatus.DENIED, "denied", error="The agent gave the call up.")
            if too_late:
                self._tell_void(too_late, "the agent gave the call up")

    # -- at the gate -----------------------------------------------------------------------------------------------

    def begin(self, call: Call, decision: Decision, *, told: dict[str, Any] | None = None) -> ExactArgs | Answered:
        """Records the decision and, if the call may run, that it runs now: these arguments and no others.

        told: further fields of the event that says so. Raises: CallDenied, RunStopped.
        """
        call.verdict = decision.verdict
        match decision.admission:
            case Admission.RUN:
                return self._start(call, decision, told or {})
            case Admission.ANSWER:
                self._answered(call, decision)
                return Answered(decision)
            case Admission.STOP:
                self._end(call, CallStatus.KILLED, "denied", error=decision.text)
                raise RunStopped(decision.text, run=self._live.run)
            case Admission.REFUSE:
                self._end(call, CallStatus.DENIED, "denied", error=decision.text)
                self._tell_verdict(decision)
                raise CallDenied(decision.text, call=call.id, by=decision.by, rule=decision.rule)

    def _start(self, call: Call, decision: Decision, told: dict[str, Any]) -> ExactArgs:
        args = decision.args
        if args is None or decision.verdict is None:
            raise CallDenied("No verdict names what may run.", call=call.id, by="sdk", rule="digest")
        live = self._live
        with live.lock:
            if not live.session.started(call.id):
                self._end(call, CallStatus.KILLED, "denied", error=live.session.fenced)
                self._tell_void(decision, live.session.fenced)
                raise RunStopped(live.session.fenced, run=live.run)
            event = _event(call.id, call.ask, CallStatus.RUNNING) | {"verdict": decision.verdict} | told
            record = CallRecord(call=call.id, status="running", digest=call.digest, verdict=decision.verdict)
            try:
                live.flush_growing()
                live.point.emit(event, call=record)
            except sqlite3.Error as error:
                live.call_ended(call.id)
                reason = f"The call could not be journalled: {error}"
                raise CallDenied(reason, call=call.id, by="sdk", rule="journal") from error
            self._tell_verdict(decision)
        if decision.verdict == OFFLINE:
            text = f"{call.ask.name} ran by the on_hub_lost policy: the hub could not be reached"
            live.say({"type": "note", "level": "warning", "kind": "override", "text": text, "data": {"call": call.id}})
        call.started_at = time.perf_counter()
        return args

    def _answered(self, call: Call, decision: Decision) -> None:
        kept = canonical({"text": decision.text, "calls": list(decision.calls), "by": decision.by})
        result = kept if call.ask.kind is CallKind.MODEL_CALL else canonical(decision.text)
        self._end(call, CallStatus.COMPLETED, "answered", result=decision.text, kept=result)
        self._tell_verdict(decision)

    def _tell_verdict(self, decision: Decision) -> None:
        """Verdicts that the gate turned down itself are void, and say why."""
        if decision.verdict in (None, OFFLINE):
            return
        if decision.admission is Admission.REFUSE and decision.by == "sdk":
            code = "digest_mismatch" if decision.rule == "digest" else decision.rule
            self._live.answer(decision.verdict or "", "void", code, decision.text)
        else:
            self._live.answer(decision.verdict or "", "applied")

    def _tell_void(self, decision: Decision, why: str) -> None:
        if decision.verdict not in (None, OFFLINE):
            self._live.answer(decision.verdict or "", "void", "fenced", why)

    # -- afterwards ------------------------------------------------------------------------------------------------

    def completed(self, call: Call, result: Any, *, text: str | None = None) -> None:
        """The call's function returned."""
        kept = _kept(result) if call.keep_result else None
        shown = result_text(result) if text is None else bounded_text(text)
        self._finish(call, CallStatus.COMPLETED, "completed", result=shown, kept=kept)

    def failed(self, call: Call, error: BaseException) -> None:
        """The call's function raised, or was cancelled."""
        stopped = bool(self._live.session.fenced) and not isinstance(error, Exception)
        status = CallStatus.KILLED if stopped else CallStatus.FAILED
        text = f"{type(error).__name__}: {result_text(str(error), ERROR_BYTES_MAX - 200)}"
        self._finish(call, status, "failed", error=text)

    def _finish(self, call: Call, status: CallStatus, record: str, **ended: Any) -> None:
        with self._live.lock:
            duration_ms = round((time.perf_counter() - call.started_at) * 1_000, 3)
            try:
                self._end(call, status, record, duration_ms=duration_ms, **ended)
            finally:
                self._live.call_ended(call.id)

    def _end(
        self,
        call: Call,
        status: CallStatus,
        record: str,
        *,
        result: str | None = None,
        error: str | None = None,
        kept: bytes | None = None,
        duration_ms: float | None = None,
    ) -> None:
        event = _event(call.id, call.ask, status)
        told = {"result": result, "error": error and bounded_text(error, ERROR_BYTES_MAX), "duration_ms": duration_ms}
        if call.verdict:
            told["verdict"] = call.verdict
        event |= {name: value for name, value in told.items() if value is not None}
        known = CallRecord(
            call=call.id, status=record, digest=call.digest, verdict=call.verdict, result=kept, error=error
        )
        with self._live.lock:
            if not (self._live.declared or self._live.closed):
                self._live.flush_growing()
                self._live.point.tell(event, call=known)


def _event(call: str, ask: Ask, status: CallStatus) -> dict[str, Any]:
    return {"type": "tool", "id": call, "kind": str(ask.kind), "status": str(status)}


def _proposed_event(call: str, name: str, ask: Ask, args: ExactArgs) -> dict[str, Any]:
    told = {
        "risk": str(ask.risk) if ask.risk else None,
        "read_only": ask.read_only,
        "reason": bounded_text(ask.reason, 4_000) if ask.reason else None,
        "target": bounded_text(ask.target, 200) if ask.target else None,
        "ttl_seconds": ask.ttl_seconds,
    }
    event = _event(call, ask, CallStatus.PROPOSED) | {
        "name": name,
        "gate": True,
        "args": args.value(),
        "digest": args.digest,
    }
    return event | {name: value for name, value in told.items() if value is not None}


def _proposal(call: str, name: str, ask: Ask, args: ExactArgs) -> Proposal:
    ttl = ask.ttl_seconds
    if ttl is not None and not 0 < ttl <= TTL_SECONDS_MAX:
        raise ValueError(f"ttl_seconds is above 0 and at most {TTL_SECONDS_MAX:g}, not {ttl}")
    return Proposal(
        call=call,
        kind=ask.kind,
        name=name,
        args=args,
        risk=ask.risk,
        ttl_seconds=APPROVAL_TTL_SECONDS if ttl is None else ttl,
        ttl_given=ttl is not None,
        proposed_at=time.monotonic(),
    )


def _kept(result: Any) -> bytes | None:
    try:
        exact("result", {"result": result})
        data = canonical(result)
    except (ArgumentsRefused, NotCanonical):
        return None
    return data if len(data) <= RESULT_KEPT_BYTES_MAX else None


def _interrupted(record: CallRecord) -> CallInterrupted:
    told = {
        "completed": ("it completed before the restart, but its result could not be kept", "completed"),
        "failed": (f"it failed before the restart: {record.error}", "failed"),
    }
    reason, outcome = told.get(record.status, ("the process ended while it ran: unknown outcome", "unknown"))
    return CallInterrupted(f"The call {record.call} is not run again: {reason}.", call=record.call, outcome=outcome)
