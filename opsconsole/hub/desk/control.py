"""Pause, resume, freeze, thaw, inject, takeover, release, annotate, and the limits that pause by themselves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from opsconsole.domain.command import CommandStatus, Do
from opsconsole.domain.ids import joined_id
from opsconsole.domain.run import FENCED, HELD, Author, RunState
from opsconsole.domain.tool_call import CallKind
from opsconsole.hub.desk import budget, gate, gateway, history, questions, verdicts
from opsconsole.hub.desk.effects import Effects
from opsconsole.hub.desk.limits import pause_by_hub
from opsconsole.hub.desk.principal import HUB, Principal
from opsconsole.hub.desk.refusal import Refusal
from opsconsole.hub.desk.state import Run
from opsconsole.hub.desk.world import World
from opsconsole.policy.interface import Limits, tripped
from opsconsole.protocol.frames import Command, PointCommand
from opsconsole.protocol.rows import Baton

Apply = Callable[[World, Run, Command, str, float], Effects]


@dataclass(frozen=True, slots=True)
class Rule:
    """How a command is checked and carried out."""

    apply: Apply
    stops: bool
    """Acts first and is recorded after; what permits is recorded first."""
    needs: frozenset[str] = frozenset()
    """Capabilities of which some point must have one."""
    expires: bool = True
    """Not worth delivering when it comes too late."""


def check(run: Run, command: Command, who: Principal) -> None:
    """Raises: Refusal when the command may not stand now."""
    rule = RULES[command.do]
    if run.ended and command.do is not Do.ANNOTATE:
        raise Refusal("precondition_failed", f"the run is {run.state}", {"state": str(run.state)})
    if run.state in FENCED and command.do not in (Do.ANNOTATE, Do.FREEZE):
        raise Refusal("precondition_failed", f"the run is {run.state}", {"state": str(run.state)})
    if rule.needs and not any(rule.needs & set(point.caps) for point in run.points.values()):
        names = " or ".join(sorted(rule.needs))
        raise Refusal("no_point", f"no enforcement point of this run can do that (needs {names})", {})
    _CHECKS.get(command.do, _no_check)(run, command, who)


def _no_check(_run: Run, _command: Command, _who: Principal) -> None:
    return


def _check_resume(run: Run, command: Command, _who: Principal) -> None:
    if run.state not in HELD:
        raise Refusal("precondition_failed", f"the run is {run.state}, not paused", {"state": str(run.state)})
    limits = raised(run.limits, command)
    still = tripped(run.spent, limits) or budget.too_large(run, limits)
    if still:
        raise Refusal(
            "precondition_failed", f"still over its limit: {still}; raise it with the resume", {"tripped": still}
        )


def _check_pause(run: Run, _command: Command, _who: Principal) -> None:
    if run.state in HELD:
        raise Refusal("precondition_failed", f"the run is {run.state}", {"state": str(run.state)})


def _check_words(_run: Run, command: Command, _who: Principal) -> None:
    if not (command.text or "").strip():
        raise Refusal("bad_request", f"{command.do} needs a text", {})


def _check_takeover(run: Run, command: Command, who: Principal) -> None:
    if run.baton and run.baton.by != who.name and not command.note:
        current = {"by": run.baton.by, "until": run.baton.until}
        raise Refusal("precondition_failed", f"{run.baton.by} holds it; give a reason to take it from them", current)


def _check_release(run: Run, _command: Command, who: Principal) -> None:
    if run.baton is None:
        raise Refusal("precondition_failed", "nobody has taken this run over", {})
    if run.baton.by != who.name:
        raise Refusal("forbidden", f"{run.baton.by} holds it", {"by": run.baton.by})


_CHECKS: dict[Do, Callable[[Run, Command, Principal], None]] = {
    Do.RESUME: _check_resume,
    Do.PAUSE: _check_pause,
    Do.INJECT: _check_words,
    Do.ANNOTATE: _check_words,
    Do.TAKEOVER: _check_takeover,
    Do.RELEASE: _check_release,
}


def raised(limits: Limits, command: Command) -> Limits:
    """The limits after a resume that names new ones."""
    new = command.caps
    if new is None:
        return limits
    return Limits(
        cost_usd=limits.cost_usd if new.cost_usd is None else new.cost_usd,
        turns=limits.turns if new.turns is None else new.turns,
        tokens=limits.tokens if new.tokens is None else new.tokens,
    )


def details(run: Run, command: Command) -> dict[str, Any]:
    """What the audit holds of a command; enough to deliver it again after a restart."""
    return {
        "run": run.id,
        "agent": run.agent,
        "command": command.cmd,
        "do": str(command.do),
        "text": command.text,
        "note": command.note or "",
        "when": command.when,
        "caps": command.caps.model_dump() if command.caps else None,
        "state": str(run.state),
    }


def _frame(run: Run, command: Command, by: str, text: str | None = None) -> PointCommand:
    return PointCommand(
        cmd=command.cmd,
        run=run.id,
        cseq=0,
        do=command.do,
        by=by,
        text=text if text is not None else command.text,
        when=command.when,
        epoch=run.epoch,
    )


def _tell(world: World, run: Run, command: Command, by: str, now: float, text: str | None = None) -> Effects:
    ttl = (command.ttl_seconds or world.settings.command_ttl_seconds) if RULES[command.do].expires else None
    receipt = world.receipts.get(command.cmd)
    side = receipt.side if receipt else ""
    return world.tell(run, _frame(run, command, by, text), now, ttl, side) + world.changed_run(run)


def _pause(world: World, run: Run, command: Command, by: str, now: float) -> Effects:
    world.move(run, RunState.PAUSING, Author.OPERATOR, now)
    run.paused_by = by
    return _tell(world, run, command, by, now)


def _resume(world: World, run: Run, command: Command, by: str, now: float) -> Effects:
    run.limits = raised(run.limits, command)
    run.tripped, run.paused_by = None, ""
    run.alerts = [alert for alert in run.alerts if alert.kind != "limit"]
    world.move(run, RunState.RESUMING, Author.OPERATOR, now)
    told = _tell(world, run, command, by, now) + verdicts.release(world, run, now)
    return told + ([] if world.replaying else gate.release_held(world, run, now))


def _plain(world: World, run: Run, command: Command, by: str, now: float) -> Effects:
    history.tell(world, run, command.text)
    return _tell(world, run, command, by, now)


def _annotate(world: World, run: Run, command: Command, _by: str, _now: float) -> Effects:
    world.progress(run, command.cmd, CommandStatus.APPLIED)
    return world.changed_run(run)


def _takeover(world: World, run: Run, command: Command, by: str, now: float) -> Effects:
    run.epoch += 1
    before = run.steered_by if run.baton else ""
    until = now + world.settings.takeover_lease_seconds
    _prolong(world, run, until)
    run.baton = Baton(by=by, since=now, until=until, epoch=run.epoch)
    world.at(until, "baton", run.id)
    receipt = world.receipts.get(command.cmd)
    run.steered_by = receipt.side if receipt else ""
    told = _tell(world, run, command, by, now)
    if not before or before == run.steered_by:
        return told
    return told + gateway.let_go(world, run, before, f"cmd_let_go_{run.epoch}", now)


def _prolong(world: World, run: Run, until: float) -> None:
    """Turns that wait for the operator wait as long as the takeover lasts, unless their agent is less patient."""
    for approval_key in run.pending:
        approval = world.approvals[approval_key]
        if approval.rule == "takeover" and run.baton and approval.expires_at >= run.baton.until - 1.0:
            approval.expires_at = until
            world.dirty["approval", approval.id] = None


def _release(world: World, run: Run, command: Command, by: str, now: float) -> Effects:
    run.epoch += 1
    run.baton = None
    run.composed.clear()
    told = _tell(world, run, command, by, now)
    return told + ([] if world.replaying else hand_back(world, run, by, now))


def hand_back(world: World, run: Run, by: str, now: float) -> Effects:
    """Turns of the model that waited for the operator's answer go to the real model again."""
    effects: Effects = []
    for approval_key in sorted(run.pending):
        approval = world.approvals[approval_key]
        call = run.calls.get(approval.call)
        if approval.rule != "takeover" or call is None or call.kind is not CallKind.MODEL_CALL:
            continue
        effects += questions.hand_back(world, approval, by, "handed back", now)
        effects += gate.judge(world, run, call, now)
    return effects


def baton_due(world: World, run_id: str, now: float) -> Effects:
    """A takeover nobody renewed: the run is paused, never set going."""
    run = world.runs.get(run_id)
    if run is None or run.baton is None or run.ended:
        return []
    if now < run.baton.until:
        world.at(run.baton.until, "baton", run.id)
        return []
    if run.state in FENCED:
        run.baton = None
        return world.changed_run(run)
    holder, command = run.baton.by, joined_id(f"cmd_lease_{run.epoch + 1}", run.id)
    details = {"run": run.id, "agent": run.agent, "holder": holder, "command": command}
    return (
        pause_by_hub(world, run, command, f"the takeover by {holder} ran out", now, end_takeover=True)
        + world.record_act(f"run/{run.id}", world.entry("takeover.expired", HUB, now, details))
        + _hold_model_calls(world, run, now)
        + world.changed_run(run)
    )


def _hold_model_calls(world: World, run: Run, now: float) -> Effects:
    effects: Effects = []
    for approval_key in sorted(run.pending):
        approval = world.approvals[approval_key]
        call = run.calls.get(approval.call)
        if approval.rule == "takeover" and call:
            effects += questions.hand_back(world, approval, "hub", "the takeover ran out", now)
            call.held = "pause"
    return effects


def expire_commands(world: World, run_id: str, now: float) -> Effects:
    """Drop what came too late to be worth delivering."""
    run = world.runs.get(run_id)
    if run is None:
        return []
    for command in run.commands:
        if command.expires_at is not None and command.expires_at <= now and not command.done:
            world.progress(run, command.frame.cmd, CommandStatus.EXPIRED)
    run.commands = [command for command in run.commands if command.expires_at is None or command.expires_at > now]
    world.dirty["run", run_id] = None
    return []


RULES: dict[Do, Rule] = {
    Do.PAUSE: Rule(_pause, stops=True, needs=frozenset({"hold", "pause"})),
    Do.RESUME: Rule(_resume, stops=False, expires=False),
    Do.FREEZE: Rule(_plain, stops=True, needs=frozenset({"freeze"})),
    Do.THAW: Rule(_plain, stops=False, needs=frozenset({"freeze"}), expires=False),
    Do.INJECT: Rule(_plain, stops=False, needs=frozenset({"inject"})),
    Do.TAKEOVER: Rule(_takeover, stops=True, needs=frozenset({"takeover"}), expires=False),
    Do.RELEASE: Rule(_release, stops=False, expires=False),
    Do.ANNOTATE: Rule(_annotate, stops=False),
}
"""What an operator may do to one run, besides deciding and killing."""
