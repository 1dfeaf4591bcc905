"""Approvals from the question to its end: asked once on record, settled once, and refused when nobody answers."""

from __future__ import annotations

from typing import Any

from opsconsole.domain.approval import ALLOWS, OPEN, ApprovalStatus, Delivery, advance_delivery
from opsconsole.domain.command import CommandStatus
from opsconsole.domain.ids import approval_id
from opsconsole.domain.tool_call import Outcome
from opsconsole.hub.desk import asking, people, reminders
from opsconsole.hub.desk.effects import Effects
from opsconsole.hub.desk.principal import HUB
from opsconsole.hub.desk.settings import ENDED_APPROVALS_KEPT_MAX
from opsconsole.hub.desk.state import Approval, Call, Run
from opsconsole.hub.desk.verdicts import deliver, grounds, refuse, withdraw_held, withdraw_permits
from opsconsole.hub.desk.world import World
from opsconsole.policy.interface import Verdict


def ask(world: World, run: Run, call: Call, verdict: Verdict, now: float) -> Effects:
    """Open an approval; operators see it once its request is on record."""
    ttl = min(verdict.ttl_seconds or world.settings.approval_ttl_seconds, call.ttl_seconds or float("inf"))
    asked = asking.of(world, run, call, call.args or {}, call.call_digest, verdict)
    approval = Approval(
        id=approval_id(run.id, call.id),
        run=run.id,
        agent=run.agent,
        call=call.id,
        kind=call.kind,
        tool=call.tool,
        agent_reason=call.agent_reason,
        requested_at=now,
        expires_at=now + ttl,
        remind_at=now + _remind_after(verdict, ttl) if verdict.quorums else None,
        escalations=[one for one in verdict.escalations if one.after_seconds < ttl],
        **asked,
    )
    is_first = approval.id not in world.approvals
    world.approvals[approval.id] = approval
    call.approval = approval.id
    call.asked = True
    run.pending.add(approval.id)
    reminders.arm(world, approval)

    def done(seq: int, then: float) -> Effects:
        call.asked = False
        approval.entry_seq, approval.visible = seq, True
        return world.changed_approval(approval)

    def failed(problem: str, then: float) -> Effects:
        call.asked = False
        forget(world, approval)
        if call.verdict:
            return []
        return refuse(world, run, call, f"The question could not be recorded: {problem}", "gate:storage", then)

    body = world.entry("approval.requested", HUB, now, request_details(approval) | grounds(run, call, verdict))
    return world.record(f"approval/{approval.id}", body, done=done, failed=failed, expect=0 if is_first else None)


def _remind_after(verdict: Verdict, ttl: float) -> float:
    """At the policy's time, else when half of the time is over."""
    return min(verdict.remind_seconds or ttl / 2, ttl)


def request_details(approval: Approval) -> dict[str, Any]:
    """What the audit holds of a question; enough to ask it again after a restart."""
    return {
        "approval": approval.id,
        "run": approval.run,
        "agent": approval.agent,
        "call": approval.call,
        "call_kind": str(approval.kind),
        "tool": approval.tool,
        "agent_reason": approval.agent_reason,
        "expires_at": approval.expires_at,
        "remind_at": approval.remind_at,
        "escalations": people.written_escalations(approval.escalations),
    } | asking.written({name: getattr(approval, name) for name in asking.FIELDS})


def settle(world: World, approval: Approval, status: ApprovalStatus, by: str, note: str, now: float) -> Effects:
    """An approval is over; the oldest settled ones leave the queue's view."""
    approval.status = status
    approval.decided_by, approval.decided_at, approval.note = by, now, note
    if status in ALLOWS or status in (ApprovalStatus.REJECTED, ApprovalStatus.RESPONDED):
        approval.delivery = Delivery.RECORDED
    run = world.runs.get(approval.run)
    if run:
        run.pending.discard(approval.id)
    world.settled.append(approval.id)
    return world.changed_approval(approval) + _trim(world)


def forget(world: World, approval: Approval) -> None:
    """An approval that never was on record."""
    world.approvals.pop(approval.id, None)
    run = world.runs.get(approval.run)
    if run:
        run.pending.discard(approval.id)
        call = run.calls.get(approval.call)
        if call:
            call.approval = None


def expire(world: World, approval_key: str, now: float) -> Effects:
    """Nobody answered in time: that is a refusal. A decision already on its way to disk stands."""
    approval = world.approvals.get(approval_key)
    if approval is None or approval.status is not ApprovalStatus.PENDING:
        return []
    if now < approval.expires_at:
        world.at(approval.expires_at, "expire", approval.id)
        return []
    return close(world, approval, ApprovalStatus.EXPIRED, "Nobody answered in time.", "gate:expired", now)


def cancel_all(world: World, run: Run, why: str, now: float) -> Effects:
    """Nothing of this run waits any more: approvals are cancelled and calls refused."""
    effects, withdrawn = withdraw_held(world, run, now)
    withdraw_permits(run)
    for call_id in withdrawn:
        effects += on_delivery(world, run, call_id, Delivery.VOID)
    for approval_key in sorted(run.pending):
        approval = world.approvals[approval_key]
        effects += close(world, approval, ApprovalStatus.CANCELLED, f"Cancelled: {why}.", "gate:cancelled", now)
    for call in list(run.open_calls.values()):
        if call.gate and call.verdict is None:
            effects += refuse(world, run, call, f"Refused: {why}.", "gate:fenced", now)
    return effects


def close(world: World, approval: Approval, status: ApprovalStatus, why: str, rule: str, now: float) -> Effects:
    """Settle without an operator, which always refuses."""
    settled = settle(world, approval, status, "hub", why, now)
    details = {
        "approval": approval.id,
        "run": approval.run,
        "call": approval.call,
        "tool": approval.tool,
        "digest": approval.digest,
        "status": str(status),
        "why": why,
    }
    effects = world.record_act(f"approval/{approval.id}", world.entry(f"approval.{status}", HUB, now, details))
    run = world.runs.get(approval.run)
    call = run.calls.get(approval.call) if run else None
    if run and call and call.verdict is None:
        effects = deliver(world, run, call, Outcome.DENY, "hub", rule, now, text=why) + effects
    return effects + settled


def hand_back(world: World, approval: Approval, by: str, note: str, now: float) -> Effects:
    """An operator who answered as the model does so no more: the question is void and its call has no verdict yet."""
    run = world.runs.get(approval.run)
    call = run.calls.get(approval.call) if run else None
    if call:
        call.approval = None
    details = {"approval": approval.id, "run": approval.run, "call": approval.call, "by": by, "why": note}
    body = world.entry("approval.handed_back", HUB, now, details)
    return settle(world, approval, ApprovalStatus.CANCELLED, by, note, now) + world.record_act(
        f"approval/{approval.id}", body
    )


def withdrawn(world: World, run: Run, call: Call, now: float) -> Effects:
    """A call ended before its verdict."""
    approval = world.approvals.get(call.approval or "")
    if approval is None or approval.status is not ApprovalStatus.PENDING:
        return []
    why = "The call ran without permission." if call.unpermitted else "The agent withdrew the call."
    return close(world, approval, ApprovalStatus.CANCELLED, why, "gate:withdrawn", now)


def on_delivery(world: World, run: Run, call_id: str, delivery: Delivery) -> Effects:
    """News of a verdict's journey, for the approval's row."""
    call = run.calls.get(call_id)
    approval = world.approvals.get(call.approval or "") if call else None
    if approval is None:
        return []
    moved = advance_delivery(approval.delivery, delivery)
    if moved is approval.delivery:
        return []
    approval.delivery = moved
    world.progress(run, approval.command, CommandStatus(moved))
    return world.changed_approval(approval)


def _trim(world: World) -> Effects:
    effects: Effects = []
    while len(world.settled) > ENDED_APPROVALS_KEPT_MAX:
        key = world.settled.popleft()
        oldest = world.approvals.get(key)
        if oldest and oldest.status not in OPEN:  # a question that was handed back may have been asked again
            del world.approvals[key]
            effects += world.removed("approvals", "approval", key)
    return effects
