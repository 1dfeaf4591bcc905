"""What would be asked, by the policy in force, about a call that nobody proposed: for decoys; nothing of it is kept."""

from __future__ import annotations

from typing import Any

from opsconsole.domain.digest import call_digest
from opsconsole.domain.tool_call import CallKind, CallStatus
from opsconsole.hub.desk import asking, gate, people, rows
from opsconsole.hub.desk.state import Approval, Call, Run
from opsconsole.hub.desk.world import World
from opsconsole.policy.interface import Decision
from opsconsole.protocol.rows import ApprovalRow


def question(
    world: World, new_id: str, agent: str, tool: str, args: dict[str, Any], agent_reason: str, now: float
) -> ApprovalRow | None:
    """The row as one operator would be asked, or None where such a call runs, is refused, or is asked of a group."""
    run = Run(id=f"run_{new_id}", agent=agent, started_at=now)
    call = Call(
        id=f"call_{new_id}",
        kind=CallKind.TOOL_CALL,
        tool=tool,
        status=CallStatus.PROPOSED,
        since=now,
        gate=True,
        args=args,
        call_digest=call_digest(tool, args),
    )
    verdict = gate.judge_edit(world, run, call, args, now)
    if verdict.decision is not Decision.ASK or people.wanted(verdict.quorums) > 1 or people.groups(verdict.quorums):
        return None
    approval = Approval(
        id=f"apr_{new_id}",
        run=run.id,
        agent=agent,
        call=call.id,
        kind=call.kind,
        tool=tool,
        agent_reason=agent_reason,
        requested_at=now,
        expires_at=now + (verdict.ttl_seconds or world.settings.approval_ttl_seconds),
        visible=True,
        **asking.of(world, run, call, args, call.call_digest, verdict),
    )
    return rows.approval_row(approval)
