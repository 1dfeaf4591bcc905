"""The kill: fence, tell every point at once, collect proof, and never call a run dead without it.

kill ─▶ sent ─▶ stopping ─proof─▶ dead
                    └─ 15 s without ─▶ unconfirmed ─proof─▶ dead
"""

from __future__ import annotations

from typing import Any, Literal, cast

from opsconsole.domain.command import Do
from opsconsole.domain.ids import joined_id
from opsconsole.domain.proof import Proof, best
from opsconsole.domain.run import Author, RunState
from opsconsole.hub.desk import questions
from opsconsole.hub.desk.effects import Effects
from opsconsole.hub.desk.gateway import is_alone
from opsconsole.hub.desk.principal import HUB
from opsconsole.hub.desk.state import GATEWAY, Kill, Point, Receipt, Run
from opsconsole.hub.desk.supervision import is_supervised
from opsconsole.hub.desk.world import World
from opsconsole.protocol.frames import Command, PointCommand, Res

Mode = Literal["ladder", "now"]
LINES_MAX = 200
"""Lines of one receipt: points may answer many times, a person reads one page."""
MS_MAX = 86_400_000.0
"""A day: no step of a kill takes longer, and what claims to, or is no number, counts as 0."""
LEASE_MARGIN = 1.1
"""Clocks run apart: a lease counts as proof only after it, and a beat, have run out by a tenth more."""
UNPROVEN = "KILL UNCONFIRMED: nothing proves that it is dead"


def targets(world: World, command: Command) -> tuple[list[Run], list[str]]:
    """The runs a kill names, each before its descendants, and the ids it names that are not known."""
    if command.all:
        named = [run.id for run in world.runs.values() if not run.ended or outlived(run)]
    else:
        named = list(dict.fromkeys([*(command.runs or []), *([command.run] if command.run else [])]))
    runs = [world.runs[one] for one in named if one in world.runs]
    return runs, [one for one in named if one not in world.runs]


def begin(
    world: World, run: Run, command: str, who: str, mode: str, reason: str, receipt: Receipt, now: float
) -> Effects:
    """Fence one run and its descendants and tell their points; the caller records it afterwards."""
    effects = begin_one(world, run, command, who, mode, reason, receipt, now)
    for child in world.descendants(run):
        if not child.ended or outlived(child):
            effects += begin_one(world, child, command, who, mode, f"its parent {run.id} is killed", receipt, now)
    return effects


def begin_one(
    world: World, run: Run, command: str, who: str, mode: str, reason: str, receipt: Receipt, now: float
) -> Effects:
    """Fence one run and tell its points; one that is dead gets a line that says so."""
    if run.ended and not outlived(run):
        receipt.runs.setdefault(run.id, _line_of_dead(run))
        return []
    if run.kill and command in run.kill.commands:
        return []
    world.move(run, RunState.STOPPING, Author.OPERATOR, now)
    earlier = run.kill if run.kill and run.kill.status != "dead" else None
    run.kill = Kill(
        command=command,
        commands=[*(earlier.commands if earlier else []), command],
        by=who,
        mode="now" if mode == "now" or (earlier and earlier.mode == "now") else "ladder",
        reason=reason,
        sent_at=earlier.sent_at if earlier else now,
        lines=[*(earlier.lines if earlier else [("hub.fence", 0.0, "no permission from this instant")])],
        proof=earlier.proof if earlier else Proof.NONE,
    )
    receipt.runs[run.id] = _line(run)
    world.at(now + world.settings.kill_unconfirmed_seconds, "kill", run.id)
    told = remind(world, run, now)
    if any(point.conn for point in run.points.values()):
        run.kill.status = "stopping"
    return (
        told
        + questions.cancel_all(world, run, "the run is killed", now)
        + world.note_command(run, command, Do.KILL, who, mode, now, reason)
        + world.changed_run(run)
    )


def remind(world: World, run: Run, now: float) -> Effects:
    """Tell the points of a run that it is to die; a new process that speaks for a killed run hears it too."""
    kill = run.kill
    if kill is None:
        return []
    frame = PointCommand(
        cmd=command_for(kill.command, run),
        run=run.id,
        cseq=0,
        do=Do.KILL,
        by=kill.by,
        mode=cast(Mode, kill.mode),
        text=kill.reason,
    )
    return world.tell(run, frame, now)


def fence_newborn(world: World, run: Run, now: float) -> Effects:
    """A child that appears under a run being killed, or already killed, is killed too."""
    parent = world.runs.get(run.parent or "")
    if parent is None or parent.kill is None or run.ended or world.replaying:
        return []
    if run.kill and parent.kill.command in run.kill.commands:
        return []
    body = world.entry("kill.child", HUB, now, {"run": run.id, "parent": parent.id, "command": parent.kill.command})
    return begin_child(world, run, parent, now) + world.record_act(f"run/{run.id}", body)


def begin_child(world: World, run: Run, parent: Run, now: float, command: str | None = None) -> Effects:
    """Kill a run with its parent, by the command that killed it."""
    kill = parent.kill
    if kill is None or run.ended:
        return []
    command = command or kill.command
    receipt = world.receipts.get(command)
    if receipt is None:  # so old that it was forgotten; the fence stands all the same
        receipt = Receipt(command=command, do=str(Do.KILL), by=kill.by, at=now, body_hash="")
    reason = f"its parent {parent.id} is killed"
    return begin_one(world, run, command, kill.by, kill.mode, reason, receipt, now)


def on_result(world: World, run: Run, point: Point, res: Res, now: float) -> Effects:
    """A point reports what it did about a kill."""
    kill = run.kill
    if kill is None:
        return []
    lines = [_receipt_line(world, point, line) for line in res.points]
    kill.lines += lines or [(point.name, (now - kill.sent_at) * 1000, res.status)]
    del kill.lines[LINES_MAX:]
    kill.answered.add(point.name)
    proof = _claimed(run, point, res)
    kill.proof = best(kill.proof, proof)
    effects = _died_with(world, run, point, res, now) if proof is Proof.PROCESS else []
    if proof is Proof.NONE and res.proof is not None and "kill_process" in point.caps and kill.status != "dead":
        effects += _say_unconfirmed(world, run, "the supervisor could not prove the process tree empty", now)
    return effects + settle_if_dead(world, run, now)


def _claimed(run: Run, point: Point, res: Res) -> Proof:
    """The proof a point may give: only one that holds the process can have seen it gone."""
    proof = Proof(res.proof or "none")
    if point.name == GATEWAY and not is_alone(run):
        return Proof.NONE
    return Proof.COOPERATIVE if proof is Proof.PROCESS and not point.trusted else proof


def _receipt_line(world: World, point: Point, line: dict[str, Any]) -> tuple[str, float, str]:
    name, ms, outcome = line.get("name"), line.get("ms"), line.get("outcome")
    is_time = isinstance(ms, int | float) and 0 <= ms <= MS_MAX
    return (
        world.shown(name if isinstance(name, str) else point.name, 64),
        float(ms or 0.0) if is_time else 0.0,
        world.shown(outcome if isinstance(outcome, str) else "", 200),
    )


def _died_with(world: World, run: Run, point: Point, res: Res, now: float) -> Effects:
    """Runs below, whose process is among the proven dead, died with it."""
    dead = set(res.killed)
    effects: Effects = []
    for child in world.descendants(run):
        inside = [one for one in child.points.values() if one.pid and one.host == point.host and one.pid in dead]
        if not inside or child.kill is None or child.proof is Proof.PROCESS:
            continue
        child.kill.proof = Proof.PROCESS
        child.kill.lines.append((f"{point.name}@{run.id}", (now - child.kill.sent_at) * 1000, "died with its parent"))
        effects += settle_if_dead(world, child, now)
    return effects


def proven(run: Run) -> Proof:
    """The proof that counts: where a supervisor is heard, only its own; else the best there is."""
    if run.kill is None:
        return run.proof
    proof = best(run.kill.proof, run.proof)
    if is_supervised(run) and proof is not Proof.PROCESS:
        return Proof.NONE
    return proof


def counted(run: Run) -> Proof:
    """The proof that may be told of a kill: what has closed it; until then what would, whatever an agent claims."""
    return run.kill.proof if run.kill is not None and run.kill.status == "dead" else proven(run)


def outlived(run: Run) -> bool:
    """Whether processes of an ended run may live on: the agent said that it ended, their supervisor did not."""
    return (
        run.ended
        and is_supervised(run)
        and best(run.kill.proof if run.kill else Proof.NONE, run.proof) is not Proof.PROCESS
    )


def settle_if_dead(world: World, run: Run, now: float) -> Effects:
    """Close the kill when there is proof."""
    kill = run.kill
    proof = proven(run)
    if kill is None or proof is Proof.NONE or kill.status == "dead":
        return world.changed_run(run) if kill else []
    kill.total_ms = round((now - kill.sent_at) * 1000, 3)
    note_dead(world, run, kill, proof, now)
    return _settle_receipts(world, run, now)


def note_dead(world: World, run: Run, kill: Kill, proof: Proof, now: float) -> None:
    """The kill is done: what the row says of it."""
    kill.proof, kill.status = proof, "dead"
    run.alerts = [alert for alert in run.alerts if alert.kind != "kill"]
    run.proof = best(run.proof, proof)
    if not run.ended:
        world.move(run, RunState.KILLED, Author.HUB, now)
        run.reason = f"killed by {kill.by}" + (f": {kill.reason}" if kill.reason else "")


def note_unconfirmed(world: World, run: Run, kill: Kill, why: str, now: float) -> None:
    """The kill has no proof: what the row says of it, until there is some."""
    kill.status = "unconfirmed"
    world.alert(run, "kill", why, "critical", now)


def _say_unconfirmed(world: World, run: Run, why: str, now: float) -> Effects:
    """Loudly, and once on record."""
    kill = run.kill
    if kill is None or kill.status == "unconfirmed":
        return []
    note_unconfirmed(world, run, kill, why, now)
    return _settle_receipts(world, run, now)


def after_end(world: World, run: Run, now: float) -> Effects:
    """A run ended while it was being killed: wait a moment for the receipt, then settle with what there is."""
    world.at(now + world.settings.kill_settle_seconds, "kill", run.id)
    answered = run.kill is not None and any(
        point.name in run.kill.answered for point in run.points.values() if point.trusted
    )
    return settle_if_dead(world, run, now) if answered or not is_supervised(run) else world.changed_run(run)


def due(world: World, run_id: str, now: float) -> Effects:
    """Some time has passed since a kill: settle what has ended, use a lease, or say loudly that nothing is proven."""
    run = world.runs.get(run_id)
    if run is None or run.kill is None or run.kill.status == "dead":
        return []
    if run.ended and proven(run) is not Proof.NONE:
        return settle_if_dead(world, run, now)
    lease = _lease_over_at(world, run)
    if lease is not None and now >= lease:
        run.kill.proof = Proof.LEASE
        run.kill.lines.append(("lease", (now - run.kill.sent_at) * 1000, "its lease ran out unrenewed"))
        return settle_if_dead(world, run, now)
    if now - run.kill.sent_at < world.settings.kill_unconfirmed_seconds:
        world.at(run.kill.sent_at + world.settings.kill_unconfirmed_seconds, "kill", run.id)
        return []
    if lease is not None:
        world.at(lease, "kill", run.id)
    return _say_unconfirmed(world, run, UNPROVEN, now)


def _lease_over_at(world: World, run: Run) -> float | None:
    """When every point's own lease has surely run out; None where a point is heard or promised none.

    A lease counts from what the point heard last, and until its connection ended it may have heard the hub.
    """
    over = 0.0
    for point in run.points.values():
        if point.link == "detached" or (point.name == GATEWAY and not is_alone(run)):
            continue
        if point.conn is not None or point.lease_seconds is None or "kill_process" in point.caps:
            return None
        parted_at = max(point.heard_at, point.gone_at)
        over = max(over, parted_at + (point.lease_seconds + world.settings.beat_seconds) * LEASE_MARGIN)
    return over or None


def _settle_receipts(world: World, run: Run, now: float) -> Effects:
    kill = run.kill
    if kill is None:
        return []
    for command in kill.commands:
        receipt = world.receipts.get(command)
        if receipt and run.id in receipt.runs:
            receipt.runs[run.id] = _line(run)
            world.dirty["receipt", command] = None
    details = {
        "run": run.id,
        "agent": run.agent,
        "command": kill.command,
        "status": kill.status,
        "state": str(run.state),
        "proof": str(counted(run)),
        "points": [{"name": name, "ms": round(ms, 3), "outcome": outcome} for name, ms, outcome in kill.lines],
        "total_ms": kill.total_ms,
    }
    body = world.entry("kill.outcome", HUB, now, details)
    noted = world.note_command(run, kill.command, Do.KILL, kill.by, f"{kill.status} ({counted(run)})", now)
    return world.record_act(f"run/{run.id}", body) + noted + world.changed_run(run)


def _line(run: Run) -> dict[str, Any]:
    kill = run.kill
    if kill is None:
        return _line_of_dead(run)
    return {
        "run": run.id,
        "status": kill.status,
        "proof": str(counted(run)),
        "points": [{"name": name, "ms": round(ms, 3), "outcome": outcome} for name, ms, outcome in kill.lines],
        "total_ms": kill.total_ms,
    }


def _line_of_dead(run: Run) -> dict[str, Any]:
    return {
        "run": run.id,
        "status": "already_dead",
        "proof": str(run.proof),
        "points": [{"name": "hub", "ms": 0.0, "outcome": f"already {run.state}"}],
        "total_ms": 0.0,
    }


def command_for(command: str, run: Run) -> str:
    """Points remember commands by id, and one kill may name several runs of one point."""
    return joined_id(command, run.id)
