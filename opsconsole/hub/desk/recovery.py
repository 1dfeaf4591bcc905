"""The last step of a restart: links are stale until heard, timers run again, open calls are judged or refused."""

from __future__ import annotations

from opsconsole.domain.approval import OPEN, ApprovalStatus
from opsconsole.domain.tool_call import CallKind, CallStatus
from opsconsole.hub.desk import control, gate, questions, verdicts
from opsconsole.hub.desk.effects import Changed, Effects
from opsconsole.hub.desk.state import Run
from opsconsole.hub.desk.world import World


def finish(world: World, now: float) -> Effects:
    """Links are stale until heard, timers run again, and what was left open is taken up where it stood."""
    effects: Effects = []
    for run in world.runs.values():
        for command in run.commands:
            command.recovered = True
        _restore_family(world, run)
        effects += _finish_run(world, run, now)
        effects.append(Changed(view="board", key=run.id))
    for approval in world.approvals.values():
        if approval.status in OPEN:
            approval.status = ApprovalStatus.PENDING
            world.at(approval.expires_at, "expire", approval.id)
        effects.append(Changed(view="approvals", key=approval.id))
    return effects


def _restore_family(world: World, run: Run) -> None:
    parent = world.runs.get(run.parent or "")
    if parent:
        parent.children.add(run.id)


def _finish_run(world: World, run: Run, now: float) -> Effects:
    for point in run.points.values():
        point.conn = None
        point.inbox.received = point.inbox.stored
        if point.link == "live":
            point.link, point.link_since = ("detached" if run.ended else "stale"), now
        if point.link == "stale":
            world.at(now + world.settings.lost_seconds, "lost", f"{run.id} {point.name}")
        if point.link == "lost":
            world.at(now + world.settings.forget_lost_seconds, "give_up", run.id)
    if run.baton:
        world.at(run.baton.until, "baton", run.id)
    if run.kill and run.kill.status != "dead":
        world.at(now, "kill", run.id)
    if run.ended:
        return questions.cancel_all(world, run, f"the run is {run.state}", now)
    return control.check_limits(world, run, now) + _refuse_forgotten(world, run, now)


def _refuse_forgotten(world: World, run: Run, now: float) -> Effects:
    """A call proposed but neither asked about nor answered: its arguments were only in memory, so it is refused.

    A proposal that was not acknowledged is sent again by its point and judged then; this is for those that were.
    """
    effects: Effects = []
    for call in list(run.open_calls.values()):
        waiting = call.gate and call.verdict is None and not call.approval and call.status is CallStatus.PROPOSED
        if not waiting:
            continue
        call.asked = False
        if call.kind is CallKind.TOOL_CALL and call.args is None:
            effects += verdicts.refuse(
                world,
                run,
                call,
                "The hub restarted before this call was judged. Propose it again.",
                "gate:restart",
                now,
            )
        else:
            effects += gate.judge(world, run, call, now)
    return effects
