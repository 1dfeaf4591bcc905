"""The verdict on a call: a refusal at once, an allow only once it is on record, and never past the fence."""

from __future__ import annotations

from typing import Any

from opsconsole.domain.command import Do
from opsconsole.domain.digest import call_digest
from opsconsole.domain.ids import verdict_id
from opsconsole.domain.run import FENCED, HELD, Author, RunState
from opsconsole.domain.tool_call import CallKind, Outcome
from opsconsole.hub.desk.effects import Effects
from opsconsole.hub.desk.principal import HUB
from opsconsole.hub.desk.state import Call, Run
from opsconsole.hub.desk.world import World
from opsconsole.protocol.frames import PointCommand, ProposedCall


def refuse(world: World, run: Run, call: Call, reason: str, rule: str, now: float, by: str = "hub") -> Effects:
    """Deny at once; the entry follows (what stops need not wait for the disk)."""
    details = call_details(run, call) | {"outcome": "deny", "rule": rule, "why": reason, "by": by}
    told = deliver(world, run, call, Outcome.DENY, by, rule, now, text=reason)
    return (
        told
        + world.record_act(f"run/{run.id}", world.entry("call.verdict", HUB, now, details))
        + world.changed_run(run)
    )


def allow(world: World, run: Run, call: Call, rule: str, by: str, now: float) -> Effects:
    """Allow once the entry is durable; a turn of the model is admitted at once (it is on the timeline)."""
    if call.kind is CallKind.MODEL_CALL:
        return deliver(world, run, call, Outcome.ALLOW, by, rule, now)
    details = call_details(run, call) | {
        "outcome": "allow",
        "rule": rule,
        "by": by,
        "args": call.args,
        "policy": world.policy.hash,
    }
    call.asked = True

    def done(seq: int, then: float) -> Effects:
        call.asked = False
        run.audit_seq = seq
        if call.verdict is not None:
            return []
        if run.state in HELD:
            return hold(world, run, call, then)
        return deliver(world, run, call, Outcome.ALLOW, by, rule, then)

    def failed(problem: str, then: float) -> Effects:
        call.asked = False
        if call.verdict is not None:
            return []
        return refuse(world, run, call, f"The decision could not be recorded: {problem}", "gate:storage", then)

    return world.record(f"run/{run.id}", world.entry("call.verdict", HUB, now, details), done=done, failed=failed)


def hold(world: World, run: Run, call: Call, now: float) -> Effects:
    """No verdict yet: the run is paused, and the call is judged when it goes on."""
    call.held = "pause"
    if run.state is RunState.PAUSING:
        world.move(run, RunState.PAUSED, Author.HUB, now)
    return world.changed_run(run)


def deliver(
    world: World,
    run: Run,
    call: Call,
    outcome: Outcome,
    by: str,
    rule: str,
    now: float,
    *,
    text: str | None = None,
    args: dict[str, Any] | None = None,
    calls: list[ProposedCall] | None = None,
) -> Effects:
    """Send the one verdict on a call to the run's points."""
    if outcome is not Outcome.DENY and run.state in FENCED:
        return refuse(world, run, call, f"The run is {run.state}.", "gate:fenced", now)
    frame = PointCommand(
        cmd=verdict_id(run.id, call.id),
        run=run.id,
        cseq=0,
        do=Do.VERDICT,
        call=call.id,
        outcome=outcome,
        digest=call.call_digest if args is None else call_digest(call.tool, args),
        args=args,
        text=text,
        calls=calls,
        rule=rule,
        by=by,
    )
    call.verdict = frame.cmd
    call.permitted = call.permitted or outcome is not Outcome.DENY
    call.held = None
    if outcome is Outcome.DENY:
        run.open_calls.pop(call.id, None)
    return world.tell(run, frame, now)


def withdraw_permits(run: Run) -> None:
    """Turn permits that some point has not acknowledged into refusals: the run is fenced.

    Under an id of their own: a point that has taken the permit after all finds the call decided, and tells
    what became of it.
    """
    for command in run.commands:
        frame = command.frame
        if frame.do is Do.VERDICT and frame.outcome is not Outcome.DENY:
            refusal = {"outcome": Outcome.DENY, "args": None, "calls": None, "rule": "gate:fenced"}
            named = {"cmd": verdict_id(run.id, f"{frame.call}\nwithdrawn"), "text": f"The run is {run.state}."}
            command.frame = frame.model_copy(update=refusal | named)


def call_details(run: Run, call: Call) -> dict[str, Any]:
    return {
        "run": run.id,
        "agent": run.agent,
        "call": call.id,
        "call_kind": str(call.kind),
        "tool": call.tool,
        "call_digest": call.call_digest,
    }
