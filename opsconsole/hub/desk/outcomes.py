"""What became of calls: results of decided ones, and calls that ran without permission; all on record."""

from __future__ import annotations

from opsconsole.domain.approval import ALLOWS, ApprovalStatus, Delivery
from opsconsole.domain.command import Do
from opsconsole.domain.ids import verdict_id
from opsconsole.domain.tool_call import CallKind, CallStatus, Outcome
from opsconsole.hub.desk.effects import Effects
from opsconsole.hub.desk.questions import on_delivery, withdrawn
from opsconsole.hub.desk.state import Approval, Call, Owed, Run
from opsconsole.hub.desk.verdicts import call_details
from opsconsole.hub.desk.world import World
from opsconsole.protocol.events import Event, ToolEvent
from opsconsole.protocol.frames import PointCommand
from opsconsole.protocol.quick import TOOL_EVENTS

RESULT_CHARS_MAX = 2_000
"""Of a call's result, in the audit and on the approval's row."""


def after_call(world: World, run: Run, call: Call, event: ToolEvent, now: float) -> Effects:
    """A call ended: what became of a decided one is on record; one given up before its verdict is withdrawn."""
    approval = world.approvals.get(call.approval or "")
    if approval is None:
        return []
    if approval.status is ApprovalStatus.PENDING:
        return [] if world.replaying else withdrawn(world, run, call, now)
    result = world.shown(event.error or event.result or "", RESULT_CHARS_MAX)
    noted = note_result(world, run, approval, call.status, result)
    details = call_details(run, call) | {
        "approval": approval.id,
        "status": str(call.status),
        "result": result,
        "duration_ms": event.duration_ms,
    }
    return noted + world.owe(run, "call.outcome", details, now)


def note_result(world: World, run: Run, approval: Approval, status: CallStatus, result: str) -> Effects:
    """Show on an approval what became of its call."""
    approval.result = f"{status}: {result}" if result else str(status)
    effects = world.changed_approval(approval)
    if approval.status in ALLOWS:
        reached = Delivery.VOID if status is CallStatus.DENIED else Delivery.APPLIED
        effects += on_delivery(world, run, approval.call, reached)
    return effects


def show_owed(world: World, run: Run, owed: Owed) -> Effects:
    """Show on its approval what became of a call, where a restart has that from the run alone."""
    approval = world.approvals.get(str(owed.details.get("approval", "")))
    if owed.kind != "call.outcome" or approval is None or approval.result:
        return []
    return note_result(world, run, approval, CallStatus(owed.details["status"]), str(owed.details["result"]))


def check_unpermitted(world: World, run: Run, call: Call, now: float) -> Effects:
    """A gated call runs without an allow: its enforcement point is broken, and everybody should know."""
    unknown = call.kind is CallKind.MODEL_CALL and call.verdict is None  # admitted before a restart, off the record
    if call.permitted or call.unpermitted or unknown:
        return []
    call.unpermitted = True
    text = f"{call.tool} runs without permission: this agent's enforcement point cannot be trusted"
    world.alert(run, "unpermitted", text, "critical", now)
    return world.owe(run, "call.unpermitted", call_details(run, call), now) + world.changed_run(run)


def note_offline(world: World, run: Run, call: Call, now: float) -> Effects:
    """The point let a call run by itself while the hub was lost, as its run's policy allows: an override."""
    call.verdict, call.permitted = "offline", True
    world.alert(run, "offline", f"{call.tool} ran under the offline policy, unseen", "warning", now)
    details = call_details(run, call) | {"rule": "on_hub_lost:allow", "args": call.args}
    return world.owe(run, "override.offline", details, now) + world.changed_run(run)


def refuse_dead(world: World, run: Run, event: Event, now: float) -> Effects:
    """A proposal of a run that has ended."""
    if not isinstance(event, TOOL_EVENTS) or not event.gate or event.status is not CallStatus.PROPOSED:
        return []
    frame = PointCommand(
        cmd=verdict_id(run.id, event.id),
        run=run.id,
        cseq=0,
        do=Do.VERDICT,
        call=event.id,
        outcome=Outcome.DENY,
        digest=event.digest,
        text=f"The run is {run.state}.",
        rule="gate:ended",
        by="hub",
    )
    return world.tell(run, frame, now)
