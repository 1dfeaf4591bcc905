"""Calls of an answer before the gate: proposed together, decided one by one, and ruled on together; passes no bytes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from opsconsole.domain.tool_call import CallKind
from opsconsole.errors import CallDenied, CallInterrupted
from opsconsole.gateway.dialect.interface import Answered, ComposedCall, Edited, ModelCall, Ruling, Stands
from opsconsole.gateway.live import GatewayRun
from opsconsole.gateway.offers import about_tool
from opsconsole.gateway.settings import Deny
from opsconsole.sdk import calls as gate_calls
from opsconsole.sdk.calls import Ask, Call, checked
from opsconsole.sdk.gate import Admission, Decision

Wait = Callable[[Future[Decision]], Awaitable[Decision]]
"""Waits for a decision, while the client is kept waiting."""
STOPPED_WITH = "Not made: another call of the same answer was refused."
CUSTOM_FIELD = "input"
"""The one argument of a call whose text is free."""


@dataclass(slots=True)
class _Waiting:
    made: ModelCall
    call: Call
    decision: Decision | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruled:
    """What becomes of every call of an answer."""

    rulings: Mapping[str, Ruling]
    released: Mapping[str, Call]
    """The calls that go to the client, by the API's id."""

    @property
    def none_stand(self) -> bool:
        """Whether no call reaches the client."""
        return not self.released


class Holding:
    """The calls of one answer."""

    def __init__(self, run: GatewayRun, calls: Sequence[ModelCall], *, deny: Deny, reason: str = "") -> None:
        """`reason`: what the model said beside them."""
        self._run, self._deny, self._reason = run, deny, reason
        self._rulings: dict[str, Ruling] = {}
        self._waiting: list[_Waiting] = []
        self._order = [call.id for call in calls]
        for made in calls:
            self._propose(made)

    def _propose(self, made: ModelCall) -> None:
        """Raises: RunStopped."""
        args: Any = made.args if made.args is not None else made.raw
        try:
            call = self._run.calls.propose(
                Ask(
                    kind=CallKind.TOOL_CALL,
                    name=made.name,
                    args=args,
                    call=self._run.call_id(made.id),
                    reason=self._reason or None,
                    about=about_tool(self._run, made.name),
                )
            )
        except (CallDenied, CallInterrupted) as denied:
            unreadable = "The arguments are not a JSON object." if made.args is None else denied.reason
            self._rulings[made.id] = Answered(text=unreadable)
            return
        assert isinstance(call, Call)  # its id is new, so there is no result of an earlier life
        call.keep_result = False
        self._waiting.append(_Waiting(made, call))

    async def ruled(self, wait: Wait) -> Ruled:
        """The rulings, once all calls are decided. Raises: RunStopped, and what `wait` raises."""
        try:
            for one in list(self._waiting):
                await self._decide(one, wait)
        except BaseException:
            self.withdraw()
            raise
        if self._deny == "stop" and (self._rulings or not all(_runs(one) for one in self._waiting)):
            self._stop_all()
        return self._begun()

    async def _decide(self, one: _Waiting, wait: Wait) -> None:
        try:
            one.decision = checked(await wait(one.call.decided), _fits(one.made))
        except CallDenied as denied:  # it could not be journalled
            self._waiting.remove(one)
            self._rulings[one.made.id] = Answered(text=denied.reason)

    def withdraw(self) -> None:
        """Nobody waits for these calls any more."""
        for one in self._waiting:
            self._run.calls.withdraw(one.call)

    def _stop_all(self) -> None:
        """One was refused, and the setting says that then none is made."""
        for one in list(self._waiting):
            if _runs(one):
                self._waiting.remove(one)
                self._run.calls.withdraw(one.call)
                self._rulings[one.made.id] = Answered(text=STOPPED_WITH)

    def _begun(self) -> Ruled:
        released: dict[str, Call] = {}
        for one in self._waiting:
            assert one.decision is not None
            ruling = self._begin(one, one.decision)
            self._rulings[one.made.id] = ruling
            if not isinstance(ruling, Answered):
                released[one.made.id] = one.call
        return Ruled(rulings={call: self._rulings[call] for call in self._order}, released=released)

    def _begin(self, one: _Waiting, decision: Decision) -> Ruling:
        """Raises: RunStopped."""
        try:
            begun = self._run.calls.begin(one.call, decision)
        except CallDenied as denied:
            return Answered(text=f"Denied by {denied.by}: {denied.reason}")
        if isinstance(begun, gate_calls.Answered):
            return Answered(text=decision.text, is_error=False)
        return Edited(args=begun.value()) if decision.edited else Stands()


async def composed_calls(
    run: GatewayRun, decision: Decision, wait: Wait
) -> tuple[list[ComposedCall], dict[str, Call], list[str]]:
    """The calls that an operator composes, each past the gate like any other: those that stand, and what became of the
    others. Raises: RunStopped."""
    made = [
        ModelCall(
            id=run.call_id(f"{one['id']}.{place}" if place else str(one["id"])),
            name=str(one["name"]),
            args=dict(one["args"]),
            raw="",
        )
        for place, one in enumerate(decision.calls)
    ]
    if not made:
        return [], {}, []
    ruled = await Holding(run, made, deny="strip").ruled(wait)
    stand: list[ComposedCall] = []
    refused: list[str] = []
    for call in made:
        ruling = ruled.rulings[call.id]
        if isinstance(ruling, Answered):
            refused.append(f"{call.name}: {ruling.text}")
        else:
            args = ruling.args if isinstance(ruling, Edited) else call.args or {}
            stand.append(ComposedCall(id=call.id, name=call.name, args=args))
    return stand, dict(ruled.released), refused


def _runs(one: _Waiting) -> bool:
    return one.decision is not None and one.decision.admission is Admission.RUN


def _fits(made: ModelCall) -> Callable[[dict[str, Any]], str]:
    """Why an edit can't take the place of the call's arguments."""

    def fits(edited: dict[str, Any]) -> str:
        if made.kind != "custom":
            return ""
        text = edited.get(CUSTOM_FIELD)
        return "" if set(edited) == {CUSTOM_FIELD} and isinstance(text, str) else f"they are one text, {CUSTOM_FIELD!r}"

    return fits
