"""The gate's rules for one call: only a verdict over exactly this call lets it run; it waits for and runs nothing.

    waiting ─verdict allow, digest equal───▶ RUN
            ├verdict deny, digest unequal──▶ REFUSE
            ├verdict answer────────────────▶ ANSWER
            ├hub lost, by on_hub_lost──────▶ REFUSE, or RUN on record as an override
            ├time is over──────────────────▶ REFUSE
            └fence─────────────────────────▶ STOP

The first decision is final. No path leads from time to RUN.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from opsconsole.domain.tool_call import CallKind, Outcome, Risk
from opsconsole.sdk.arguments import ArgumentsRefused, ExactArgs, exact
from opsconsole.sdk.on_hub_lost import OnHubLost
from opsconsole.sdk.order import Order

LATE_VERDICT_SECONDS = 15.0
"""With the hub in reach its clock judges the time of a call; this much later ours does."""
TTL_SECONDS_MAX = 86_400.0
"""No call waits longer than a day, whatever the hub says."""
OFFLINE = "offline"
"""Stands in place of a verdict's id where the run's own policy let a call run unseen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkView:
    """What the gate may know of the link."""

    up: bool
    lost: bool = False
    """An attempt to reach the hub failed since it was last heard."""
    refused: str = ""
    """Why the hub will not answer this agent, if it said so; it is asked again now and then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """One call that waits."""

    call: str
    kind: CallKind
    name: str
    args: ExactArgs
    risk: Risk | None
    ttl_seconds: float
    ttl_given: bool
    """Whether the caller set the time; else only the hub knows it, while it is in reach."""
    proposed_at: float
    """Monotonic seconds."""


class Admission(StrEnum):
    """What the gate decided."""

    RUN = "run"
    REFUSE = "refuse"
    ANSWER = "answer"
    STOP = "stop"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The gate's one decision on a call."""

    admission: Admission
    args: ExactArgs | None = None
    """What may run, when RUN: exactly this."""
    edited: bool = False
    text: str = ""
    """The reason of a refusal, or an operator's answer."""
    calls: tuple[dict[str, Any], ...] = ()
    """The calls an operator composes who answers as the model."""
    by: str = ""
    rule: str = ""
    verdict: str | None = None
    """The command that brought it, or OFFLINE."""
    granted: dict[str, Any] | None = None
    """Of a turn of the model, when RUN: `usd` and `tokens` that it may take; None: all it has reserved."""


class Gate:
    """One call at the gate."""

    def __init__(self, proposal: Proposal, policy: OnHubLost) -> None:
        self.proposal = proposal
        self.decision: Decision | None = None
        self._policy = policy

    def verdict(self, order: Order) -> Decision | None:
        """The hub's verdict; None when the call is already decided, and then the verdict is void."""
        return self._settle(_read(self.proposal, order))

    def judge(self, now: float, link: LinkView, *, taken_over: bool) -> Decision | None:
        """What time and the state of the link make of a call without verdict; None while it goes on waiting."""
        decision = self._without_verdict(now, link, taken_over)
        return self._settle(decision) if decision else None

    def stop(self, reason: str) -> Decision | None:
        """The run is fenced."""
        return self._settle(Decision(admission=Admission.STOP, text=reason, rule="stopped"))

    def deadline(self, link: LinkView) -> float:
        """When time alone refuses the call, monotonic seconds."""
        ttl = self.proposal.ttl_seconds
        if link.up:
            ttl = ttl + LATE_VERDICT_SECONDS if self.proposal.ttl_given else TTL_SECONDS_MAX
        return self.proposal.proposed_at + ttl

    def _settle(self, decision: Decision) -> Decision | None:
        if self.decision is not None:
            return None
        self.decision = decision
        return decision

    def _without_verdict(self, now: float, link: LinkView, taken_over: bool) -> Decision | None:
        if link.refused:
            return _refusal(f"The hub refused this agent: {link.refused}", "hub_refused")
        if link.lost and not link.up:
            if self._policy.gate == "reject":
                return _refusal("The hub cannot be reached, so nobody could allow this call.", "hub_lost")
            if self._policy.allows(self.proposal.risk) and not taken_over:
                return Decision(
                    admission=Admission.RUN, args=self.proposal.args, by="on_hub_lost", rule=OFFLINE, verdict=OFFLINE
                )
        if now >= self.deadline(link):
            return _refusal(f"Nobody answered within {self.proposal.ttl_seconds:g} s.", "expired")
        return None


def _read(proposal: Proposal, order: Order) -> Decision:
    if order.outcome is Outcome.ANSWER:
        return Decision(
            admission=Admission.ANSWER,
            text=order.text or "",
            calls=tuple(order.calls or ()),
            by=order.by,
            rule=order.rule,
            verdict=order.cmd,
        )
    if order.outcome is not Outcome.ALLOW:
        text = order.text or "The call was refused."
        return Decision(admission=Admission.REFUSE, text=text, by=order.by, rule=order.rule, verdict=order.cmd)
    try:
        args = proposal.args if order.args is None else exact(proposal.name, order.args)
    except ArgumentsRefused as error:
        return _refusal(f"The edited arguments cannot run: {error}", "arguments", order)
    if order.digest != args.digest:
        return _refusal("The verdict is over other arguments than this call has.", "digest", order)
    return Decision(
        admission=Admission.RUN,
        args=args,
        edited=order.args is not None,
        by=order.by,
        rule=order.rule,
        verdict=order.cmd,
        granted=order.granted,
    )


def _refusal(text: str, rule: str, order: Order | None = None) -> Decision:
    return Decision(admission=Admission.REFUSE, text=text, by="sdk", rule=rule, verdict=order.cmd if order else None)
