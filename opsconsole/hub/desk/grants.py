"""Standing grants: one person's yes to calls still to come, by exact pattern, counted, ending by itself at any alarm.

given ─▶ consumed, on record, when the policy asks what its giver alone may answer ─▶ used up | expired | revoked
A grant never outweighs a refusal, a second person whom the policy wants, or another policy than its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opsconsole.domain.approval import ALLOWS, OPEN
from opsconsole.domain.command import Do
from opsconsole.domain.ids import joined_id
from opsconsole.domain.tool_call import CallKind
from opsconsole.hub.desk import people
from opsconsole.hub.desk.effects import Effects
from opsconsole.hub.desk.grant_pattern import matches, problem_of
from opsconsole.hub.desk.principal import HUB, Principal
from opsconsole.hub.desk.refusal import Refusal
from opsconsole.hub.desk.settings import GRANTS_MAX, GRANTS_OVER_KEPT_MAX
from opsconsole.hub.desk.state import Call, Grant, Run
from opsconsole.hub.desk.world import World
from opsconsole.policy.interface import Verdict
from opsconsole.policy.redaction import redact
from opsconsole.protocol.frames import Command


def check(world: World, command: Command, who: Principal, now: float) -> Grant:
    """The grant that a command asks for. Raises: Refusal when it may not be given."""
    asked, approval = command.grant, world.approvals.get(command.approval or "")
    if asked is None:
        raise Refusal("bad_request", "a grant needs a number of uses and a time", {})
    if approval is None or not approval.visible:
        raise Refusal("not_found", f"no approval {command.approval!r}", {})
    if approval.status not in OPEN | ALLOWS:
        raise Refusal("precondition_failed", f"the call was {approval.status}", {"status": str(approval.status)})
    if approval.kind is not CallKind.TOOL_CALL or approval.rule == "takeover":
        raise Refusal("bad_request", "only calls of tools can be granted", {})
    if command.digest != approval.digest:
        raise Refusal("digest_mismatch", "this is not what was shown", {"digest": approval.digest})
    if approval.policy_hash != world.policy.hash:
        raise Refusal("precondition_failed", "the policy has changed since this was asked", {})
    if not people.suffices(approval.quorums, approval.not_by, who.name):
        raise Refusal("not_in_group", f"{who.name} alone may not decide on such calls", {})
    args = asked.args if asked.args is not None else approval.edited_args or approval.args
    problem = "its arguments hold a secret" if redact(args, world.mask)[1] or _is_masked(args) else problem_of(args)
    if problem:
        raise Refusal("bad_request", f"no grant: {problem}", {})
    if sum(1 for one in world.grants.values() if state_of(one, now) == "standing") >= GRANTS_MAX:
        raise Refusal("precondition_failed", f"{GRANTS_MAX} grants stand already: revoke some", {})
    return Grant(
        id=joined_id("grant", command.cmd),
        tool=approval.tool,
        args=args,
        uses=asked.uses,
        expires_at=now + asked.seconds,
        agent=approval.agent,
        run=approval.run if asked.scope == "run" else None,
        by=who.name,
        given_at=now,
        approval=approval.id,
        policy_hash=world.policy.hash,
    )


def _is_masked(args: dict[str, Any]) -> bool:
    return "[secret:" in repr(args)


def find(world: World, command: Command, now: float) -> Grant:
    """The grant that a command ends. Raises: Refusal."""
    grant = world.grants.get(command.grant_id or "")
    if grant is None:
        raise Refusal("not_found", f"no grant {command.grant_id!r}", {})
    if state_of(grant, now) != "standing":
        raise Refusal("precondition_failed", f"the grant is {state_of(grant, now)}", {"state": state_of(grant, now)})
    return grant


def details(grant: Grant) -> dict[str, Any]:
    """A grant as the audit and its readers have it."""
    return {
        "grant": grant.id,
        "tool": grant.tool,
        "pattern": grant.args,
        "uses": grant.uses,
        "used": grant.used,
        "expires_at": grant.expires_at,
        "agent": grant.agent,
        "run": grant.run,
        "by": grant.by,
        "given_at": grant.given_at,
        "approval": grant.approval,
        "policy": grant.policy_hash,
        "revoked": grant.revoked,
    }


def read(entry: Mapping[str, Any]) -> Grant:
    """A grant from the entry that gave it."""
    return Grant(
        id=entry["grant"],
        tool=entry["tool"],
        args=entry["pattern"],
        uses=entry["uses"],
        expires_at=entry["expires_at"],
        agent=entry["agent"],
        run=entry["run"],
        by=entry["by"],
        given_at=entry["given_at"],
        approval=entry["approval"],
        policy_hash=entry["policy"],
    )


def state_of(grant: Grant, now: float) -> str:
    """`standing`, or how it ended."""
    if grant.revoked is not None:
        return "revoked"
    if grant.used >= grant.uses:
        return "used up"
    return "expired" if now >= grant.expires_at else "standing"


def put(world: World, grant: Grant) -> None:
    """A grant stands from now on; the oldest that are over leave."""
    world.grants[grant.id] = grant
    world.dirty["grant", grant.id] = None
    over = [one.id for one in world.grants.values() if state_of(one, grant.given_at) != "standing"]
    for key in over[: max(0, len(over) - GRANTS_OVER_KEPT_MAX)]:
        del world.grants[key]
        world.dirty["grant", key] = None


def fitting(world: World, run: Run, call: Call, verdict: Verdict, now: float) -> Grant | None:
    """A grant that answers what the policy asks about this call, the one that ends first; None: ask people."""
    if call.kind is not CallKind.TOOL_CALL or call.args is None:
        return None
    found = (
        grant
        for grant in world.grants.values()
        if grant.tool == call.tool
        and grant.agent == run.agent
        and grant.run in (None, run.id)
        and grant.policy_hash == world.policy.hash
        and state_of(grant, now) == "standing"
        and people.suffices(verdict.quorums, verdict.not_by, grant.by)
        and matches(grant.args, call.args)
    )
    return min(found, key=lambda grant: (grant.expires_at, grant.id), default=None)


def use_details(run: Run, call: Call, grant: Grant) -> dict[str, Any]:
    """What the audit holds of one use, which is counted before its entry is on record."""
    return {
        "grant": grant.id,
        "by": grant.by,
        "used": grant.used,
        "uses": grant.uses,
        "run": run.id,
        "agent": run.agent,
        "call": call.id,
        "tool": call.tool,
        "call_digest": call.call_digest,
        "args": call.args,
    }


def revoke(world: World, grant: Grant, why: str, now: float) -> Effects:
    """End a grant; the entry follows, as with everything that stops."""
    grant.revoked, grant.untold = why, False
    world.dirty["grant", grant.id] = None
    body = world.entry("grant.revoked", HUB, now, details(grant) | {"why": why})
    return world.record_act(f"grant/{grant.id}", body, is_act=True)


def revoke_stale(world: World, now: float) -> Effects:
    """End what was given under another policy."""
    stale = [one for one in world.grants.values() if one.policy_hash != world.policy.hash]
    standing = [one for one in stale if state_of(one, now) == "standing"]
    return [effect for one in standing for effect in revoke(world, one, "the policy has changed", now)]


def tell_revoked(world: World, _key: str, now: float) -> Effects:
    """Put on record those that an alarm has ended."""
    ended = [one for one in world.grants.values() if one.untold]
    return [effect for one in ended for effect in revoke(world, one, one.revoked or "", now)]


def command_details(command: Command, grant: Grant) -> dict[str, Any]:
    """What the audit holds of the command that gives or ends a grant."""
    is_end = command.do is Do.REVOKE_GRANT
    why = {"why": command.note or f"revoked by {command.cmd}"} if is_end else {}
    return details(grant) | {"command": command.cmd, "do": str(command.do), "note": command.note or ""} | why
