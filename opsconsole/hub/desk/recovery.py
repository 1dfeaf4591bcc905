"""The last step of a restart: links are stale until heard, timers run again, open calls are judged or refused."""

from __future__ import annotations

from opsconsole.domain.approval import ANSWERED, OPEN, Answer, ApprovalStatus, Delivery
from opsconsole.domain.digest import NotCanonical, call_digest
from opsconsole.domain.run import FENCED
from opsconsole.domain.tool_call import CallKind, CallStatus
from opsconsole.hub.desk import (
    breaker_acts,
    budgets,
    control,
    gate,
    grants,
    history,
    kill,
    limits,
    outcomes,
    questions,
    readings,
    reminders,
    verdicts,
    votes,
    watch,
)
from opsconsole.hub.desk.effects import Changed, Effects
from opsconsole.hub.desk.principal import HUB
from opsconsole.hub.desk.records import is_open
from opsconsole.hub.desk.state import Call, Run
from opsconsole.hub.desk.world import World

_PERMITS = frozenset(ANSWERED.values()) - {ANSWERED[Answer.REJECT]}


def finish(world: World, now: float) -> Effects:
    """Links are stale until heard, timers run again, and what was left open is taken up where it stood."""
    world.after_record.clear()
    world.after_store.clear()
    world.histories.clear()
    world.void.clear()
    history.resume(world)
    _restore_questions(world)
    _void_permits(world)
    effects = _tell_unreadable(world, now) + grants.revoke_stale(world, now) + grants.tell_revoked(world, "", now)
    for run in world.runs.values():
        for debt, owed in list(run.owed.items()):
            effects += world.pay(run, debt, owed) + outcomes.show_owed(world, run, owed)
        _restore_family(world, run)
    effects += _restore_breakers(world, now)
    for run in world.runs.values():
        effects += _finish_run(world, run, now)
        effects += world.changed_run(run) if not run.ended else [Changed(view="board", key=run.id)]
    watch.resume(world, now)
    effects += [Changed(view="approvals", key=approval) for approval in world.approvals]
    return effects


def _restore_breakers(world: World, now: float) -> Effects:
    """What runs used beyond the breakers' record is counted; a run that a trip holds does not go on.

    A trip that no entry tells of is acted on now, before any call is judged.
    """
    notices = budgets.resume(world, now)
    effects: Effects = []
    for run_id, trip in budgets.untold(world):
        effects += breaker_acts.act(world, world.runs.get(run_id), [trip], now)
    effects += breaker_acts.act(world, None, notices, now)
    return effects + [effect for run in world.runs.values() for effect in breaker_acts.hold(world, run, now)]


def _tell_unreadable(world: World, now: float) -> Effects:
    """Records that could not be read are on record, and the runs among them on every screen."""
    effects: Effects = []
    for kind, key in world.unreadable:
        run = world.runs.get(key) if kind == "run" else None
        if run:
            run.started_at = run.progress_at = run.state_since = now
            world.alert(run, "unreadable", "the hub lost its record of this run: it is stopped", "critical", now)
        details = {"of": kind, "id": key} | ({"run": key} if run else {})
        effects += world.record_act(f"{kind}/{key}", world.entry("record.unreadable", HUB, now, details))
    world.unreadable.clear()
    return effects


def _restore_questions(world: World) -> None:
    """What waited for a person waits again; a decision, or a question, that never was on record never was."""
    for run in world.runs.values():
        run.pending.clear()
        for call in run.calls.values():
            call.asked = False
            asked_about = world.approvals.get(call.approval or "")
            if asked_about is None or (asked_about.status not in OPEN and call.verdict is None):
                call.approval = None
    for approval in world.approvals.values():
        if approval.status in OPEN:
            approval.status = ApprovalStatus.PENDING
            reminders.arm(world, approval)
            asked = world.runs.get(approval.run)
            if asked:
                asked.pending.add(approval.id)


def _void_permits(world: World) -> None:
    """A permit that a stopped run's points never had reached nobody, whichever of the two records is the older."""
    for approval in world.approvals.values():
        run = world.runs.get(approval.run)
        call = run.calls.get(approval.call) if run else None
        if run and call and run.state in FENCED and approval.status in _PERMITS and not call.permitted:
            questions.on_delivery(world, run, call.id, Delivery.VOID)


def _restore_family(world: World, run: Run) -> None:
    parent = world.runs.get(run.parent or "")
    if parent:
        parent.children.add(run.id)
    elif run.parent:
        world.orphans.setdefault(run.parent, set()).add(run.id)


def _finish_run(world: World, run: Run, now: float) -> Effects:
    _restore_links(world, run, now)
    run.burning = False
    readings.watch_burn(world, run, now)
    if run.baton:
        world.at(run.baton.until, "baton", run.id)
    if run.kill and run.kill.status != "dead":
        world.at(now, "kill", run.id)
    for command in run.commands:
        if command.expires_at is not None:
            world.at(command.expires_at, "command", run.id)
    if run.state in FENCED:
        return questions.cancel_all(world, run, f"the run is {run.state}", now)
    given_back = control.hand_back(world, run, "hub", now) if run.baton is None else []
    return limits.check_limits(world, run, now) + given_back + _take_up(world, run, now)


def _restore_links(world: World, run: Run, now: float) -> None:
    for point in run.points.values():
        point.conn, point.met, point.gone_at = None, False, now
        point.inbox.received = point.inbox.stored
        if point.link == "live":
            point.link, point.link_since = ("detached" if run.ended and not kill.outlived(run) else "stale"), now
        if point.link == "stale":
            world.at(now + world.settings.lost_seconds, "lost", f"{run.id} {point.name}")
        if point.link == "lost":
            world.at(now + world.settings.forget_lost_seconds, "give_up", run.id)


def _take_up(world: World, run: Run, now: float) -> Effects:
    """Judge calls that were neither asked about nor answered, where their arguments are still known; refuse the rest.

    A proposal that was not acknowledged is sent again by its point and judged then; this is for those that were.
    """
    effects: Effects = []
    for approval_key in sorted(run.pending):
        asked = run.calls.get(world.approvals[approval_key].call)
        if asked and not is_open(asked):
            effects += questions.withdrawn(world, run, asked, now)
        elif asked and votes.is_lost(asked, world.approvals[approval_key]):
            lost = world.approvals[approval_key]
            effects += questions.close(world, lost, ApprovalStatus.CANCELLED, votes.LOST_EDIT, "gate:restart", now)
    for call in list(run.open_calls.values()):
        if not call.gate or call.verdict or call.approval or call.status is not CallStatus.PROPOSED:
            continue
        is_turn = call.kind is CallKind.MODEL_CALL and gate.misnamed(call.kind, call.tool, call.args) is None
        if is_turn or _is_intact(call):
            effects += gate.judge(world, run, call, now)
        else:
            why = "The hub restarted before this call was judged. Propose it again."
            effects += verdicts.refuse(world, run, call, why, "gate:restart", now)
    return effects


def _is_intact(call: Call) -> bool:
    """Whether the arguments are those that were proposed: the log holds them masked, the records not at all."""
    try:
        return (
            call.args is not None
            and gate.misnamed(call.kind, call.tool, call.args) is None
            and call_digest(call.tool, call.args) == call.call_digest
        )
    except NotCanonical:
        return False
