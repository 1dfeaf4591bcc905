"""Replays what people say ahead of a decision and beyond it: votes, reminders, standing grants; it tells nobody."""

from __future__ import annotations

from typing import Any

from opsconsole.domain.approval import OPEN, Answer
from opsconsole.domain.command import CommandStatus
from opsconsole.hub.desk import decisions, grants, reminders, votes
from opsconsole.hub.desk.replayed import remember, run_of, who_of
from opsconsole.hub.desk.state import Approval, Vote
from opsconsole.hub.desk.world import World


def count_last(approval: Approval, entry: dict[str, Any], answer: Answer, at: float) -> None:
    """The yes that decided is the last one; of an edit that decided, the only one."""
    if answer is Answer.REJECT:
        return
    by = who_of(entry).name
    earlier = approval.votes if len(entry.get("votes", ())) > 1 else []
    approval.votes = [*earlier, Vote(by=by, at=at, command=entry["command"])]


def voted(world: World, entry: dict[str, Any], seq: int, at: float) -> None:
    """One yes of several."""
    run, approval = run_of(world, entry), world.approvals.get(entry["approval"])
    if run is None or approval is None:
        return
    receipt = world.receipts.get(entry["command"]) or remember(world, entry, at, [run.id])
    if seq <= approval.entry_seq:
        return
    approval.entry_seq = seq
    if approval.status not in OPEN:
        receipt.res = decisions.too_late(receipt.command, approval).model_dump(mode="json", exclude_none=True)
        world.progress(run, receipt.command, CommandStatus.VOID)
        return
    votes.count(approval, Vote(by=who_of(entry).name, at=at, command=entry["command"]), entry["anew"])
    receipt.res = decisions.res_of(receipt.command, approval).model_dump(mode="json", exclude_none=True)
    world.progress(run, receipt.command, CommandStatus.APPLIED)


def reminded(world: World, entry: dict[str, Any], _seq: int, _at: float) -> None:
    """A reminder that was sent."""
    approval = world.approvals.get(entry["approval"])
    if approval:
        approval.remind_at = None


def escalated(world: World, entry: dict[str, Any], _seq: int, _at: float) -> None:
    """The next group that was asked."""
    approval = world.approvals.get(entry["approval"])
    if approval:
        reminders.widen(approval, entry["to"])


def given(world: World, entry: dict[str, Any], _seq: int, at: float) -> None:
    """A standing grant."""
    if entry["command"] not in world.receipts:
        remember(world, entry, at, [])
    if entry["grant"] not in world.grants:
        grants.put(world, grants.read(entry))


def used(world: World, entry: dict[str, Any], _seq: int, _at: float) -> None:
    """A use of one."""
    grant = world.grants.get(entry["grant"])
    if grant:
        grant.used = max(grant.used, entry["used"])
        world.dirty["grant", grant.id] = None


def revoked(world: World, entry: dict[str, Any], _seq: int, at: float) -> None:
    """Its end."""
    if entry.get("command") and entry["command"] not in world.receipts:
        remember(world, entry, at, [])
    grant = world.grants.get(entry["grant"])
    if grant:
        grant.revoked, grant.untold = entry["why"], False
        world.dirty["grant", grant.id] = None


def refused(world: World, entry: dict[str, Any], _seq: int, at: float) -> None:
    """A command that was refused when it was on record: whoever gives it again hears the refusal."""
    if entry.get("was_recorded") is not True or "command_digest" not in entry:
        return
    run = run_of(world, entry)
    receipt = world.receipts.get(entry["command"]) or remember(world, entry, at, [run.id] if run else [])
    answer = {"ok": False, "code": entry["code"], "message": entry["why"], "current": entry["current"]}
    receipt.res = {"cmd": receipt.command, **answer}
    world.dirty["receipt", receipt.command] = None
    if run:
        world.progress(run, receipt.command, CommandStatus.VOID)
