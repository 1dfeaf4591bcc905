"""How a turn is let go, and how its end is told: by a verdict of its own, or under a lease; it sends no request."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any, Protocol

from opsconsole.domain.tool_call import CallKind, CallStatus, Risk
from opsconsole.errors import CallDenied
from opsconsole.gateway.holding import Wait
from opsconsole.gateway.ledger import Begun
from opsconsole.gateway.live import GatewayRun
from opsconsole.gateway.narrowing import Narrowed, Narrowing
from opsconsole.gateway.told import Most
from opsconsole.sdk.bounded import bounded_text
from opsconsole.sdk.calls import Answered as OperatorAnswered
from opsconsole.sdk.calls import Ask, Call
from opsconsole.sdk.gate import Decision
from opsconsole.sdk.new_ids import new_id
from opsconsole.sdk.usage import TurnUsage

ERROR_BYTES_MAX = 2_000
"""Of why a turn failed."""
MODEL_CHARS_MAX = 200
_KIND = str(CallKind.MODEL_CALL)


class Using(Protocol):
    """What an answer uses."""

    spent: TurnUsage | None

    def used(self, *, cut: bool) -> None:
        """Adds it to the run's counts, once."""
        ...


class Admitted(Protocol):
    """A turn that may go."""

    @property
    def answer_tokens(self) -> int | None:
        """The longest answer that its budget has left; None: as long as it has reserved."""
        ...

    def whole(self, reading: Using) -> None:
        """Its answer has been read."""
        ...

    def failed(self, reading: Using, error: BaseException) -> None:
        """It has not, or was cut."""
        ...


class ByVerdict:
    """A turn that asks: proposed, then begun with the verdict's leave, or given up."""

    def __init__(self, run: GatewayRun, call: Call, begun: Begun) -> None:
        """Raises: CallDenied, where the disk takes no record of it."""
        self._run, self._call, self._begun = run, call, replace(begun, asked=False)
        self.answer_tokens: int | None = None
        _enter(run, self._begun)

    def narrow(self, to: Narrowed) -> None:
        """It takes less than it was proposed with."""
        self.answer_tokens = to.answer_tokens
        self._begun = replace(self._begun, output_tokens=to.most.output_tokens, usd=to.most.usd)
        self._run.note(
            f"This answer of {self._begun.model} ends at {to.answer_tokens:,} tokens: more is not left of its budget",
            data={"call": self._call.id, "answer_tokens_max": to.answer_tokens},
        )

    def begin(self) -> None:
        """It goes to its provider now. Raises: CallDenied, as above."""
        try:
            _enter(self._run, replace(self._begun, asked=True, verdict=self._call.verdict or ""))
        except CallDenied as denied:
            self.given_up()
            self._run.calls.failed(self._call, denied)
            raise

    def given_up(self) -> None:
        """It was refused, withdrawn, or answered by a person."""
        self._run.live.ledger.over(self._begun.turn)

    def whole(self, reading: Using) -> None:
        with self._run.at_once():
            reading.used(cut=False)
            self._run.live.ledger.over(self._begun.turn)
            self._run.calls.completed(self._call, None, text="")

    def failed(self, reading: Using, error: BaseException) -> None:
        reading.used(cut=True)
        self._run.live.ledger.over(self._begun.turn)
        self._run.calls.failed(self._call, error)


class ByLease:
    """A turn that did not have to ask: it is told when it is over, and before if it takes long."""

    def __init__(self, run: GatewayRun, begun: Begun, most: Most) -> None:
        """Raises: CallDenied, where the disk takes no record of it."""
        self._run, self._begun, self._most = run, begun, most
        self._lease = run.live.lease
        self.answer_tokens: int | None = None
        _enter(run, begun)
        self.began = time.monotonic()
        run.outlasting.begun(self)

    def outlasts(self) -> None:
        """It takes its own reservation: the lease's may be over before this turn is."""
        self._tell(CallStatus.RUNNING, args={"model": self._begun.model, "reserve": self._most.to_json()})

    def whole(self, reading: Using) -> None:
        self._over(reading, cut=False)
        self._tell(CallStatus.COMPLETED)

    def failed(self, reading: Using, error: BaseException) -> None:
        self._over(reading, cut=True)
        stopped = bool(self._run.fenced) and not isinstance(error, Exception)
        self._tell(
            CallStatus.KILLED if stopped else CallStatus.FAILED,
            error=bounded_text(f"{type(error).__name__}: {error}", ERROR_BYTES_MAX),
        )

    def _over(self, reading: Using, *, cut: bool) -> None:
        reading.used(cut=cut)
        self._run.live.ledger.over(self._begun.turn)
        spent = reading.spent or TurnUsage()
        if self._lease is not None:
            tokens = spent.input_tokens + spent.output_tokens
            self._lease.settle(self._most.usd, self._most.tokens, spent.cost_usd or 0.0, tokens)

    def _tell(self, status: CallStatus, **more: Any) -> None:
        self._run.outlasting.over(self)
        event = {
            "type": "tool",
            "id": self._begun.turn,
            "name": self._begun.model,
            "kind": _KIND,
            "status": str(status),
            "verdict": self._begun.verdict,
            "duration_ms": round((time.monotonic() - self.began) * 1_000, 3),
            **more,
        }
        self._run.tell_soon(event)


def ahead(run: GatewayRun, most: Most, *, priced_by: str, turns: int = 1) -> Admitted | None:
    """Under a lease, if the run has one that covers the turn. Raises: CallDenied."""
    verdict = run.live.may_go_ahead(most.usd, most.tokens)
    if not verdict:
        return None
    return ByLease(run, _begun(run, most, priced_by=priced_by, verdict=verdict, turns=turns), most)


async def asked(
    run: GatewayRun,
    most: Most,
    args: dict[str, Any],
    wait: Wait,
    *,
    priced_by: str,
    turns: int = 1,
    narrowing: Narrowing | None = None,
) -> Admitted | Decision:
    """By a verdict of its own; the decision itself where an operator answers as the model. Where less is granted than
    it reserves, it takes no more, by `narrowing`. Raises: CallDenied, RunStopped, and what `wait` raises."""
    begun = _begun(run, most, priced_by=priced_by, turns=turns)
    ask = Ask(kind=CallKind.MODEL_CALL, name=args["model"], args=args, call=begun.turn, risk=Risk.LOW)
    call = run.calls.propose(ask)
    assert isinstance(call, Call)  # its id is new
    call.keep_result = False
    turn = None
    try:
        turn = ByVerdict(run, call, begun)
        decision = await wait(call.decided)
        narrowed = _narrowed(decision, narrowing)
    except BaseException:
        run.calls.withdraw(call)
        if turn is not None:
            turn.given_up()
        raise
    try:
        told = {} if narrowed is None else {"args": args | narrowed.told()}
        started = run.calls.begin(call, decision, told=told)
    except BaseException:
        turn.given_up()
        raise
    if isinstance(started, OperatorAnswered):
        turn.given_up()
        return decision
    if narrowed is not None:
        turn.narrow(narrowed)
    turn.begin()
    return turn


def _narrowed(decision: Decision, narrowing: Narrowing | None) -> Narrowed | None:
    """What the turn takes where that is less than it reserved. Raises: CallDenied where it cannot take so little."""
    if decision.granted is None:
        return None
    if narrowing is None:
        reason = "Less was granted than this turn can go with."
        raise CallDenied(reason, call="", by="gateway", rule="budget")
    return narrowing.within(decision.granted)


def _begun(run: GatewayRun, most: Most, *, priced_by: str, verdict: str = "", turns: int = 1) -> Begun:
    """A turn as the ledger keeps it."""
    return Begun(
        turn=new_id("turn"),
        run=run.id,
        model=most.model[:MODEL_CHARS_MAX],
        provider=most.provider,
        input_tokens=most.input_tokens,
        output_tokens=most.output_tokens,
        usd=most.usd,
        priced_by=priced_by,
        verdict=verdict,
        turns=turns,
    )


def _enter(run: GatewayRun, begun: Begun) -> None:
    try:
        run.live.ledger.begun(begun)
    except OSError as error:
        raise CallDenied(
            f"The turn could not be put on record: {error}", call=begun.turn, by="gateway", rule="journal"
        ) from None
