"""The rules of one run at its enforcement point: holding, pausing, steering, fencing; it sends and cancels nothing.

Every input gives the effects to carry out, in order. Two rules stand above all:

1. From the fence on, no call is let run, whatever was decided before.
2. What was answered once is answered the same again and never done again.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from opsconsole.domain.command import Do
from opsconsole.domain.run import RunState
from opsconsole.domain.tool_call import CallKind
from opsconsole.sdk.gate import Admission, Decision, Gate, LinkView, Proposal
from opsconsole.sdk.on_hub_lost import OnHubLost
from opsconsole.sdk.order import Order

SETTLED_KEPT_MAX = 10_000
"""Decided calls remembered, to tell a late verdict from an early one."""
EARLY_VERDICTS_MAX = 1_000
"""Verdicts kept for calls that a restarted agent has not made again yet."""
INJECTED_MAX = 1_000
"""Operator messages that wait for the agent's next step; further ones are answered void."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Propose:
    """Put this call before the hub."""

    proposal: Proposal


@dataclass(frozen=True, slots=True, kw_only=True)
class Settle:
    """Tell the waiting call."""

    call: str
    decision: Decision


@dataclass(frozen=True, slots=True, kw_only=True)
class Say:
    """State what the run is doing now."""

    state: RunState
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Tell the hub what became of its command."""

    cmd: str
    status: str
    code: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancel:
    """End the run's body now, and again if it goes on."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Remember:
    """Keep `Session.memory()` where a restarted process finds it."""


Effect = Propose | Settle | Say | Answer | Cancel | Remember
Effects = list[Effect]


class Session:
    """One run, as far as its enforcement point decides about it."""

    def __init__(self, policy: OnHubLost, *, memory: dict[str, Any] | None = None, settled: Iterable[str] = ()) -> None:
        memory = memory or {}
        self.policy = policy
        self.paused = bool(memory.get("paused", False))
        self.holder = str(memory.get("holder", ""))
        """Who has taken the run over, or nobody."""
        self.epoch = int(memory.get("epoch", 0))
        self.fenced = ""
        """Why nothing may run any more; empty while it may."""
        self.ended = False
        self.kills: list[Order] = []
        """Kills to be answered once the body has ended."""
        self.executing: set[str] = set()
        self._gates: dict[str, Gate] = {}
        self._held: dict[str, Proposal] = {}
        self._parked: dict[str, Decision] = {}
        self._early: OrderedDict[str, Order] = OrderedDict()
        self._injects: deque[Order] = deque()
        self._settled: OrderedDict[str, None] = OrderedDict.fromkeys(settled)
        self._said_paused = False

    def memory(self) -> dict[str, Any]:
        """What must outlive the process."""
        return {"paused": self.paused, "holder": self.holder, "epoch": self.epoch}

    # -- calls -----------------------------------------------------------------------------------------------------

    def propose(self, proposal: Proposal) -> Effects:
        """A call wants to run. It is decided by a later `Settle`, at once when the run is fenced."""
        if self.fenced:
            return [Settle(call=proposal.call, decision=self._stop())]
        self._held[proposal.call] = proposal
        return self._hold() if self.paused else self._release(proposal.proposed_at)

    def started(self, call: str) -> bool:
        """The call is about to run; False if the fence came first: then it must not."""
        if self.fenced:
            return False
        self.executing.add(call)
        return True

    def finished(self, call: str) -> Effects:
        """The call's function has returned, raised, or was never started."""
        self.executing.discard(call)
        return self._hold()

    def withdraw(self, call: str) -> bool:
        """The agent gave the call up; True if it was waiting undecided."""
        waited = self._held.pop(call, None) is not None
        gate = self._gates.pop(call, None)
        self._parked.pop(call, None)
        self._note_settled(call)
        return waited or (gate is not None and gate.decision is None)

    def judge(self, now: float, link: LinkView) -> Effects:
        """Time went on, or the link changed."""
        effects: Effects = []
        if link.refused:
            effects += self._release(now)
        for call, gate in list(self._gates.items()):
            taken_over = bool(self.holder) and gate.proposal.kind is CallKind.MODEL_CALL
            decision = gate.judge(now, link, taken_over=taken_over)
            if decision:
                effects += self._decided(call, decision)
        return effects

    def next_due(self, link: LinkView) -> float | None:
        """When `judge` may have something new to say, monotonic seconds."""
        return min((gate.deadline(link) for gate in self._gates.values()), default=None)

    # -- the hub's commands ----------------------------------------------------------------------------------------

    def order(self, order: Order, now: float) -> Effects:
        """A command of the hub, seen for the first time."""
        act, effects = _ACTS.get(order.do), self._outlive(order)
        if act is None:
            return [*effects, _void(order, "not_here", f"the SDK does not carry out {order.do}")]
        if self.ended and order.do is not Do.KILL:
            return [*effects, _void(order, "ended", "the run has ended")]
        return effects + act(self, order, now)

    def fence(self, reason: str) -> Effects:
        """Nothing may run from now on; what waits is stopped and the body is cancelled."""
        self.fenced = self.fenced or reason
        effects: Effects = [Settle(call=call, decision=self._stop()) for call in (*self._held, *self._parked)]
        for call, gate in self._gates.items():
            stopped = gate.stop(self.fenced)
            if stopped:
                effects.append(Settle(call=call, decision=stopped))
        for call in (*self._held, *self._parked, *self._gates):
            self._note_settled(call)
        self._held.clear()
        self._parked.clear()
        self._gates.clear()
        return [*effects, Cancel(reason=self.fenced)]

    @property
    def has_injected(self) -> bool:
        """Whether an operator said something since last asked."""
        return bool(self._injects)

    def take_injected(self) -> tuple[list[Order], Effects]:
        """The operator messages since last asked; taking them is what applies them."""
        taken = list(self._injects)
        self._injects.clear()
        return taken, [Answer(cmd=order.cmd, status="applied") for order in taken]

    def end(self) -> Effects:
        """The body has ended: what was never used is void."""
        self.ended = True
        unused = [*self._early.values(), *self._injects]
        self._early.clear()
        self._injects.clear()
        return [_void(order, "ended", "the run ended first") for order in unused]

    # -- acts ------------------------------------------------------------------------------------------------------

    def _verdict(self, order: Order, _now: float) -> Effects:
        call = order.call or ""
        gate = self._gates.get(call)
        decision = gate.verdict(order) if gate else None
        if decision:
            return self._decided(call, decision)
        if gate or call in self._settled or self.fenced:
            return [_void(order, "settled", "the call was already decided here")]
        self._early[call] = order
        if len(self._early) > EARLY_VERDICTS_MAX:
            _, oldest = self._early.popitem(last=False)
            return [_void(oldest, "unknown_call", "this point makes no such call")]
        return []

    def _pause(self, order: Order, _now: float) -> Effects:
        self.paused = True
        return [Remember(), Answer(cmd=order.cmd, status="applied"), *self._hold()]

    def _resume(self, order: Order, now: float) -> Effects:
        if self.fenced:
            return [_void(order, "fenced", self.fenced)]
        self.paused = self._said_paused = False
        parked = list(self._parked.items())
        self._parked.clear()
        effects: Effects = [Remember(), Answer(cmd=order.cmd, status="applied")]
        effects.append(Say(state=RunState.WORKING, reason=f"resumed by {order.by}" if order.by else "resumed"))
        effects += [Settle(call=call, decision=decision) for call, decision in parked]
        return effects + self._release(now)

    def _inject(self, order: Order, _now: float) -> Effects:
        if len(self._injects) >= INJECTED_MAX:
            return [_void(order, "full", f"{INJECTED_MAX} messages already wait for this agent")]
        self._injects.append(order)
        return []

    def _outlive(self, order: Order) -> Effects:
        """A takeover is over when anything of a later epoch is told: one that nobody renewed ends in a pause."""
        if not self.holder or order.do is Do.TAKEOVER or order.epoch is None or order.epoch <= self.epoch:
            return []
        self.holder, self.epoch = "", order.epoch
        return [Remember()]

    def _takeover(self, order: Order, _now: float) -> Effects:
        self.holder = order.by or "an operator"
        self.epoch = order.epoch or 0  # not the greatest so far: a hub that died may have lost some
        return [Remember(), Answer(cmd=order.cmd, status="applied")]

    def _hand_back(self, order: Order, _now: float) -> Effects:
        if order.epoch is None or order.epoch >= self.epoch:  # else a restart takes up words of an earlier hand-back
            self.holder, self.epoch = "", order.epoch or self.epoch
        if order.text:
            self._injects.append(order)
            return [Remember()]
        return [Remember(), Answer(cmd=order.cmd, status="applied")]

    def _ask_again(self, order: Order, _now: float) -> Effects:
        """Limits are lower: a gateway has dropped what was let go ahead; nothing else goes unasked."""
        return [Answer(cmd=order.cmd, status="applied")]

    def _kill(self, order: Order, _now: float) -> Effects:
        self.kills.append(order)
        if self.ended:
            return []
        by = f" by {order.by}" if order.by else ""
        note = f": {order.text}" if order.text else ""
        return self.fence(f"killed{by}{note}")

    # -- inside ----------------------------------------------------------------------------------------------------

    def _release(self, now: float) -> Effects:
        """Everything held back goes before the hub, or meets the verdict that came before it."""
        held = list(self._held.values())
        self._held.clear()
        effects: Effects = []
        for proposal in held:
            gate = Gate(replace(proposal, proposed_at=now), self.policy)
            self._gates[proposal.call] = gate
            early = self._early.pop(proposal.call, None)
            decision = gate.verdict(early) if early else None
            effects.append(Propose(proposal=gate.proposal))
            if decision:
                effects += self._decided(proposal.call, decision)
        return effects

    def _decided(self, call: str, decision: Decision) -> Effects:
        del self._gates[call]
        self._note_settled(call)
        if self.paused and decision.admission is Admission.RUN:
            self._parked[call] = decision
            return self._hold()
        return [Settle(call=call, decision=decision)]

    def _hold(self) -> Effects:
        """`paused` is said once something is held and nothing runs any more."""
        holds = self._held or self._gates or self._parked
        if not (self.paused and holds) or self._said_paused or self.executing or self.fenced:
            return []
        self._said_paused = True
        return [Say(state=RunState.PAUSED, reason="held at the gate")]

    def _stop(self) -> Decision:
        return Decision(admission=Admission.STOP, text=self.fenced, rule="stopped")

    def _note_settled(self, call: str) -> None:
        self._settled[call] = None
        while len(self._settled) > SETTLED_KEPT_MAX:
            self._settled.popitem(last=False)


def _void(order: Order, code: str, message: str) -> Answer:
    return Answer(cmd=order.cmd, status="void", code=code, message=message)


_ACTS = {
    Do.VERDICT: Session._verdict,
    Do.PAUSE: Session._pause,
    Do.RESUME: Session._resume,
    Do.INJECT: Session._inject,
    Do.TAKEOVER: Session._takeover,
    Do.RELEASE: Session._hand_back,
    Do.BUDGET: Session._ask_again,
    Do.KILL: Session._kill,
}
"""What this point carries out; freeze and thaw are the supervisor's."""
