"""The verdict on a call: a refusal at once, an allow only once it is on record, and never past the fence."""

from __future__ import annotations

from typing import Any

from pydantic_core import to_json

from opsconsole.domain.command import Do
from opsconsole.domain.digest import call_digest
from opsconsole.domain.ids import verdict_id
from opsconsole.domain.run import FENCED, HELD, Author, RunState
from opsconsole.domain.tool_call import CALL_ENDED, CallKind, Outcome
from opsconsole.hub.desk.effects import Effects
from opsconsole.hub.desk.principal import HUB
from opsconsole.hub.desk.state import Call, OpenCommand, Run
from opsconsole.hub.desk.world import World
from opsconsole.policy.interface import Verdict
from opsconsole.protocol.frames import PointCommand, ProposedCall, TurnGrant

FACTS_BYTES_MAX = 32_768
"""Of what was worked out about one call, in its entry and on its row."""


def refuse(
    world: World,
    run: Run,
    call: Call,
    reason: str,
    rule: str,
    now: float,
    by: str = "hub",
    verdict: Verdict | None = None,
) -> Effects:
    """Deny at once; the entry follows (what stops need not wait for the disk)."""
    details = call_details(run, call) | {"outcome": "deny", "rule": rule, "why": reason, "by": by}
    if verdict is not None:
        judged = {"args": call.args, "policy": world.policy.hash} | grounds(run, call, verdict)
        details |= judged if verdict.facts else {}
    told = deliver(world, run, call, Outcome.DENY, by, rule, now, text=reason)
    return (
        told
        + world.record_act(f"run/{run.id}", world.entry("call.verdict", HUB, now, details))
        + world.changed_run(run)
    )


def allow(
    world: World,
    run: Run,
    call: Call,
    rule: str,
    by: str,
    now: float,
    verdict: Verdict | None = None,
    granted: TurnGrant | None = None,
) -> Effects:
    """Allow once the entry is durable; a turn of the model is admitted at once (it is on the timeline)."""
    if call.kind is CallKind.MODEL_CALL:
        return deliver(world, run, call, Outcome.ALLOW, by, rule, now, granted=granted)
    details = (
        call_details(run, call)
        | {
            "outcome": "allow",
            "rule": rule,
            "by": by,
            "args": call.args,
            "policy": world.policy.hash,
        }
        | (grounds(run, call, verdict) if verdict else {})
    )
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
    granted: TurnGrant | None = None,
) -> Effects:
    """Send the one verdict on a call to the run's points; a permit for a paused run waits until it goes on."""
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
        granted=granted,
    )
    return pronounce(world, run, call, frame, now)


def pronounce(world: World, run: Run, call: Call, frame: PointCommand, now: float) -> Effects:
    """The verdict on a call stands; it is told now, or if it permits and the run is paused, later."""
    call.verdict = frame.cmd
    call.edited_digest = (frame.digest or "") if frame.args is not None else ""
    if frame.outcome is not Outcome.DENY and run.state in HELD:
        world.keep_back(run, frame, now)
        return hold(world, run, call, now)
    call.permitted = call.permitted or frame.outcome is not Outcome.DENY
    call.held = None
    if frame.outcome is Outcome.DENY:
        run.open_calls.pop(call.id, None)
    return world.tell(run, frame, now)


def release(world: World, run: Run, now: float) -> Effects:
    """The run goes on: what was permitted meanwhile is told, unless its call has been given up."""
    effects: Effects = []
    for command in _taken_out(run):
        call = run.calls.get(command.frame.call or "")
        if call is not None and call.status not in CALL_ENDED:
            effects += pronounce(world, run, call, command.frame, now)
    return effects


def keep_back(run: Run, point: str, now: float) -> None:
    """The run is paused: a permit that a point may not have had is not told again before the run goes on."""
    if run.state not in HELD:
        return
    for command in run.commands:
        is_permit = command.frame.do is Do.VERDICT and command.frame.outcome is not Outcome.DENY
        if is_permit and command.is_due(point, now):
            command.is_held = True


def _taken_out(run: Run) -> list[OpenCommand]:
    held = [command for command in run.commands if command.is_held]
    run.commands = [command for command in run.commands if not command.is_held]
    return held


def withdraw_held(world: World, run: Run, now: float) -> tuple[Effects, list[str]]:
    """Refuse what was permitted and kept back: the run is fenced. Gives the calls of which no point had the permit."""
    effects: Effects = []
    withdrawn = []
    for command in _taken_out(run):
        call = run.calls.get(command.frame.call or "")
        if call is None or call.permitted:
            effects += world.tell(run, _refusal_of(run, command.frame), now)
        else:
            withdrawn.append(call.id)
            effects += refuse(world, run, call, f"The run is {run.state}.", "gate:fenced", now)
    return effects, withdrawn


def withdraw_permits(run: Run) -> None:
    """Turn permits that some point has not acknowledged into refusals: the run is fenced."""
    for command in run.commands:
        if command.frame.do is Do.VERDICT and command.frame.outcome is not Outcome.DENY:
            command.frame = _refusal_of(run, command.frame)


def _refusal_of(run: Run, permit: PointCommand) -> PointCommand:
    """Under an id of its own: a point that has the permit after all finds the call decided, and tells its outcome."""
    refusal = {"outcome": Outcome.DENY, "args": None, "calls": None, "rule": "gate:fenced"}
    named = {"cmd": verdict_id(run.id, f"{permit.call}\nwithdrawn"), "text": f"The run is {run.state}."}
    return permit.model_copy(update=refusal | named)


def grounds(run: Run, call: Call, verdict: Verdict) -> dict[str, Any]:
    """What a policy looked at, so that a verdict can be worked out again; nothing where it looked at no facts."""
    if not (verdict.facts or verdict.matched or verdict.failed):
        return {}
    facts = {"too_large": True} if len(to_json(verdict.facts, fallback=str)) > FACTS_BYTES_MAX else dict(verdict.facts)
    return {
        "matched": list(verdict.matched),
        "failed": list(verdict.failed),
        "facts": facts,
        "server": call.server,
        "annotations": call.annotations,
        "labels": run.labels,
        "starter": None if run.unclaimed else run.owner or None,
    }


def call_details(run: Run, call: Call) -> dict[str, Any]:
    return {
        "run": run.id,
        "agent": run.agent,
        "call": call.id,
        "call_kind": str(call.kind),
        "tool": call.tool,
        "call_digest": call.call_digest,
    }
