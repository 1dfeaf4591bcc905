"""Held calls that nobody answers: the clock of each, a reminder, the next group; time allows nothing."""

from __future__ import annotations

from typing import Any

from opsconsole.domain.approval import OPEN
from opsconsole.hub.desk import people
from opsconsole.hub.desk.effects import Effects
from opsconsole.hub.desk.principal import HUB
from opsconsole.hub.desk.state import Approval
from opsconsole.hub.desk.world import World


def arm(world: World, approval: Approval) -> None:
    """Set the approval's clock: its end, its reminder, those who are asked later."""
    world.at(approval.expires_at, "expire", approval.id)
    if approval.remind_at is not None:
        world.at(approval.remind_at, "remind", approval.id)
    for escalation in approval.escalations:
        world.at(approval.requested_at + escalation.after_seconds, "escalate", approval.id)


def remind(world: World, approval_key: str, now: float) -> Effects:
    """Those who were asked are asked once more."""
    approval = world.approvals.get(approval_key)
    if approval is None or approval.status not in OPEN or approval.remind_at is None or now < approval.remind_at:
        return []
    approval.remind_at = None
    return _tell(world, approval, "approval.reminded", {}, now)


def escalate(world: World, approval_key: str, now: float) -> Effects:
    """The next group is asked as well."""
    approval = world.approvals.get(approval_key)
    if approval is None or approval.status not in OPEN:
        return []
    due = [one for one in approval.escalations if approval.requested_at + one.after_seconds <= now]
    effects: Effects = []
    for escalation in due:
        widen(approval, escalation.group)
        effects += _tell(world, approval, "approval.escalated", {"to": escalation.group}, now)
    return effects


def widen(approval: Approval, group: str) -> None:
    """One of the groups that are asked later is asked from now on."""
    for escalation in approval.escalations:
        if escalation.group == group:
            approval.quorums = people.widened(approval.quorums, escalation)
    approval.escalations = [one for one in approval.escalations if one.group != group]


def _tell(world: World, approval: Approval, kind: str, more: dict[str, Any], now: float) -> Effects:
    details = {
        "approval": approval.id,
        "run": approval.run,
        "agent": approval.agent,
        "call": approval.call,
        "tool": approval.tool,
        "risk": str(approval.risk),
        "groups": people.groups(approval.quorums),
        "waited_seconds": round(now - approval.requested_at, 3),
        "left_seconds": round(approval.expires_at - now, 3),
    }
    body = world.entry(kind, HUB, now, details | more)
    return world.record_act(f"run/{approval.run}", body) + world.changed_approval(approval)
