"""What became of calls: results of decided ones, and calls that ran without permission; all on record."""

from __future__ import annotations

from opsconsole.domain.approval import ALLOWS, ApprovalStatus, Delivery, advance_delivery
from opsconsole.domain.command import Do
from opsconsole.domain.ids import verdict_id
from opsconsole.domain.text import safe_line
from opsconsole.domain.tool_call import CallStatus, Outcome
from opsconsole.hub.desk.effects import Effects
from opsconsole.hub.desk.principal import HUB
from opsconsole.hub.desk.questions import withdrawn
from opsconsole.hub.desk.state import Call, Run
from opsconsole.hub.desk.verdicts import call_details
from opsconsole.hub.desk.world import World
from opsconsole.policy.redaction import redact
from opsconsole.protocol.events import Event, ToolEvent
from opsconsole.protocol.frames import PointCommand

RESULT_CHARS_MAX = 2_000
"""Of a call's result, in the audit and on the approval's row."""


def after_call(world: World, run: Run, call: Call, event: ToolEvent, now: float) -> Effects:
    """A call ended: what became of a decided one is on record; one given up before its verdict is withdrawn."""
    if world.replaying:
        return []
    approval = world.approvals.get(call.approval or "")
    if approval is None:
        return []
    if approval.status is ApprovalStatus.PENDING:
        return withdrawn(world, run, call, now)
    result = safe_line(event.error or event.result or "", limit=RESULT_CHARS_MAX)
    approval.result = f"{call.status}: {redact(result, world.mask)[0]}" if result else str(call.status)
    if approval.status in ALLOWS:
        approval.delivery = advance_delivery(approval.delivery, Delivery.APPLIED)
    details = call_details(run, call) | {
        "approval": approval.id,
        "status": str(call.status),
        "result": result,
        "duration_ms": event.duration_ms,
    }
    body = world.entry("call.outcome", HUB, now, details)
    return world.record_act(f"run/{run.id}", body) + world.changed_approval(approval)


def check_unpermitted(world: World, run: Run, call: Call, now: float) -> Effects:
    """A gated call runs without an allow: its enforcement point is broken, and everybody should know."""
    if world.replaying or call.verdict is not None:
        return []
    text = f"{call.tool} runs without permission: this agent's enforcement point cannot be trusted"
    world.alert(run, "unpermitted", text, "critical", now)
    body = world.entry("call.unpermitted", HUB, now, call_details(run, call))
    return world.record_act(f"run/{run.id}", body) + world.changed_run(run)


def note_offline(world: World, run: Run, call: Call, now: float) -> Effects:
    """The point let a call run by itself while the hub was lost, as its run's policy allows: an override."""
    if world.replaying:
        return []
    call.verdict = "offline"
    world.alert(run, "offline", f"{call.tool} ran under the offline policy, unseen", "warning", now)
    details = call_details(run, call) | {"rule": "on_hub_lost:allow", "args": call.args}
    return world.record_act(f"run/{run.id}", world.entry("override.offline", HUB, now, details)) + world.changed_run(
        run
    )


def refuse_dead(world: World, run: Run, event: Event, now: float) -> Effects:
    """A proposal of a run that has ended."""
    if not isinstance(event, ToolEvent) or not event.gate or event.status is not CallStatus.PROPOSED:
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
