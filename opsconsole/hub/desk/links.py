"""Points come, speak and go: attaching runs to connections, generations, and what silence means; it judges no call."""

from __future__ import annotations

from opsconsole.domain.command import CommandStatus, Do, Role
from opsconsole.domain.run import Author, RunState
from opsconsole.hub.desk import budget, gate, gateway, kill, leases, questions, supervision, verdicts
from opsconsole.hub.desk.costs import LOST_TURNS
from opsconsole.hub.desk.effects import Close as CloseConnection
from opsconsole.hub.desk.effects import Effects, Send
from opsconsole.hub.desk.principal import HUB
from opsconsole.hub.desk.settings import POINTS_PER_RUN_MAX
from opsconsole.hub.desk.state import GATEWAY, OpenCommand, Point, Run
from opsconsole.hub.desk.world import Session, World, merged
from opsconsole.protocol.events import LinkEvent
from opsconsole.protocol.frames import Ack, Err, HelloRun
from opsconsole.protocol.limits import Close
from opsconsole.protocol.outbox import Inbox
from opsconsole.protocol.rows import LinkStatus


def attach(world: World, session: Session, item: HelloRun, now: float) -> Effects:
    """A connection says it speaks for a run; gives what the point has missed.

    A run of somebody else's, or a generation that a newer one has replaced, is refused.
    """
    supervision.note_key(session, item)
    run = world.runs.get(item.run)
    if run is None:
        session.runs[item.run] = item.gen
        return []
    point = run.points.get(session.point)
    if not _may_speak(run, point, session, item):
        if not run.owner and point is None:
            session.waiting[run.id] = item
            return []
        return [Send(conn=session.conn, frame=Err(code="forbidden", message="this run is another's", ref=run.id))]
    turned_away = supervision.turn_away(world, run, point, session, item.gen, now)
    if turned_away is not None:
        session.runs.pop(run.id, None)
        return turned_away
    if point and point.conn == session.conn:
        return _again(session, point, item)
    if point is None and len(run.points) >= POINTS_PER_RUN_MAX:
        err = Err(code="bad_request", message=f"a run has at most {POINTS_PER_RUN_MAX} points", ref=run.id)
        return [Send(conn=session.conn, frame=err)]
    if point and item.gen in point.retired:
        return [
            CloseConnection(conn=session.conn, code=Close.SUPERSEDED, reason=f"{run.id}: a newer process speaks for it")
        ]
    claimed = gateway.claim(world, run, session, now)
    session.runs[run.id] = item.gen
    replaced = _replace(world, run, point, session, item, now)
    is_new = point is None or point.gen != item.gen
    lost = run.costs.get(LOST_TURNS)
    point = seat(run, session, item.gen, now)
    if point.name == GATEWAY:
        leases.resume(world, run, now)
    if run.costs.get(LOST_TURNS) != lost:
        text = "its gateway died and left no record of turns under way: they count at the most that they had reserved"
        world.alert(run, "lost_turns", text, "warning", now)
    freed = gate.settle(world, run, now) if is_new else []
    return merged(
        replaced,
        claimed,
        freed,
        _let_in(world, run, now),
        world.changed_run(run),
        catch_up(world, run, point, item.cseq, now),
        gateway.set_right(world, run, point, item.held, now),
        _tell_killed(world, run, point, now) if is_new else [],
    )


def _may_speak(run: Run, point: Point | None, session: Session, item: HelloRun) -> bool:
    """Whether the run is this principal's; one whose start was not recorded is of the process that sent its events.

    A gateway sees the traffic of everybody's runs.
    """
    if session.principal.role is Role.GATEWAY or gateway.may_claim(run, session):
        return True
    if run.owner:
        return run.owner == session.principal.name
    return point is not None and point.gen == item.gen


def _let_in(world: World, run: Run, now: float) -> Effects:
    """The owner of a run is known again: who waited for that speaks for it now, or is turned away."""
    effects: Effects = []
    for other in list(world.sessions.values()) if run.owner else ():
        item = other.waiting.pop(run.id, None)
        if item is None:
            continue
        effects += attach(world, other, item, now)
        seated = run.points.get(other.point)
        if seated is not None and seated.conn == other.conn:
            effects.append(Send(conn=other.conn, frame=ack_of(run.id, seated.inbox, want=True)))
    return effects


def _tell_killed(world: World, run: Run, point: Point, now: float) -> Effects:
    """A process or a point that is new to a killed run hears of the kill, which the others may have had long ago."""
    is_due = any(one.frame.do is Do.KILL and one.is_due(point.name, now) for one in run.commands)
    return [] if is_due else kill.remind(world, run, now)


def seat(run: Run, session: Session, gen: str, now: float) -> Point:
    """The session's point of this run, live from now on; a new generation starts a new count."""
    point = run.points.setdefault(session.point, Point(name=session.point, gen=gen, link_since=now))
    if point.gen != gen:
        budget.leave(run, point.name)
        point.retire(point.gen)
        point.gen, point.inbox, point.cseq = gen, Inbox(), 0
    if point.link != "live":
        point.link, point.link_since = "live", now
    point.conn, point.heard_at = session.conn, now
    point.host, point.pid = session.host, session.pid
    supervision.credit(run, point, session)
    return point


def _again(session: Session, point: Point, item: HelloRun) -> Effects:
    """The same connection names the run again: once is enough, and one connection has one journal of a run."""
    if point.gen == item.gen:
        return []
    err = Err(code="bad_request", message="one connection, one generation of a run", ref=item.run)
    return [Send(conn=session.conn, frame=err)]


def catch_up(world: World, run: Run, point: Point, cseq: int, now: float) -> Effects:
    """Every command this point has not acknowledged, again and in order.

    A cursor means something only to the hub that gave its numbers. A point met for the first time since the start may
    stand beyond them by commands that went unrecorded: then what it has not done is numbered anew, for every point.
    """
    if point.met:
        acknowledge(world, run, point, cseq)
    point.met = True
    gateway.skip_ended(world, run, point, now)
    verdicts.keep_back(run, point.name, now)
    run.cseq = max(run.cseq, cseq)
    due = [command for command in run.commands if command.is_due(point.name, now)]
    renumbered = [command for command in due if command.frame.cseq <= cseq]
    for command in renumbered:
        run.cseq += 1
        command.frame = command.frame.model_copy(update={"cseq": run.cseq})
    run.commands.sort(key=lambda command: command.frame.cseq)
    return [
        Send(conn=one.conn, frame=command.frame)
        for command in run.commands
        for one in run.points.values()
        if one.conn and command.is_due(one.name, now) and (one is point or command in renumbered)
    ]


def acknowledge(world: World, run: Run, point: Point, cseq: int) -> None:
    """The point has journalled every command up to `cseq`; what every present point has is dropped."""
    point.cseq = max(point.cseq, cseq)
    present = {name for name, one in run.points.items() if one.link != "detached"}
    for command in run.commands:
        if command.frame.cseq <= cseq and command.is_for(point.name):
            command.done.add(point.name)
            world.progress(run, command.frame.cmd, CommandStatus.DELIVERED)
    run.commands = [command for command in run.commands if not _is_done(command, present)]
    world.dirty["run", run.id] = None


def _is_done(command: OpenCommand, present: set[str]) -> bool:
    """Whether everyone present whom it is for has acknowledged it; what is for nobody who is there waits."""
    wanted = {name for name in present if command.is_for(name)}
    return bool(wanted) and wanted <= command.done


def gone(world: World, conn: str, why: str, clean: bool, now: float) -> Effects:
    """A connection ended: its points are detached (they said so) or stale (they did not). No run's state changes."""
    session = world.sessions.pop(conn, None)
    effects: Effects = []
    for run_id in session.runs if session else ():
        run = world.runs.get(run_id)
        point = run.points.get(session.point) if run and session else None
        if run is None or point is None or point.conn != conn:
            continue
        point.conn, point.gone_at = None, now
        effects += set_link(
            world, run, point, "detached" if clean or (run.ended and not kill.outlived(run)) else "stale", why, now
        )
        if point.link == "stale":
            world.at(now + world.settings.lost_seconds, "lost", f"{run.id} {point.name}")
    return effects


def detach(world: World, session: Session, run_id: str, now: float) -> Effects:
    """A point leaves one run on purpose."""
    session.runs.pop(run_id, None)
    session.waiting.pop(run_id, None)
    run = world.runs.get(run_id)
    point = run.points.get(session.point) if run else None
    if run is None or point is None or point.conn != session.conn:
        return []
    point.conn = None
    return set_link(world, run, point, "detached", "said goodbye", now)


def set_link(world: World, run: Run, point: Point, status: LinkStatus, why: str, now: float) -> Effects:
    """What the hub observes of a point; shown on the row and kept on the timeline."""
    if point.link == status:
        return []
    point.link, point.link_since = status, now
    run.hub_seq += 1
    event = LinkEvent(seq=run.hub_seq, ts=now, type="link", point=point.name, status=status, why=why[:500])
    return world.timeline(run, event) + world.changed_run(run)


def check_lost(world: World, key: str, now: float) -> Effects:
    """A stale point has been silent for too long: it is lost, and one day its run is given up."""
    run_id, _, name = key.partition(" ")
    run = world.runs.get(run_id)
    point = run.points.get(name) if run else None
    if run is None or point is None or point.link != "stale":
        return []
    if now - point.link_since < world.settings.lost_seconds:
        world.at(point.link_since + world.settings.lost_seconds, "lost", key)
        return []
    world.at(now + world.settings.forget_lost_seconds, "give_up", run.id)
    return set_link(world, run, point, "lost", "silent", now)


def give_up(world: World, run_id: str, now: float) -> Effects:
    """A run that has been lost for a day ends as failed; should it speak again, it is a zombie."""
    run = world.runs.get(run_id)
    if run is None or run.ended:
        return []
    there = [point for point in run.points.values() if point.link != "detached"]
    if not there or any(point.link != "lost" for point in there):
        return []
    if any(now - point.link_since < world.settings.forget_lost_seconds for point in there):
        return []
    world.move(run, RunState.FAILED, Author.HUB, now)
    run.reason = "lost"
    body = world.entry("run.given_up", HUB, now, {"run": run.id, "reason": "lost"})
    cancelled = questions.cancel_all(world, run, "the run is lost", now)
    return cancelled + world.record_act(f"run/{run.id}", body) + world.changed_run(run)


def _replace(world: World, run: Run, point: Point | None, session: Session, item: HelloRun, now: float) -> Effects:
    if point is None or point.conn in (None, session.conn):
        return []
    old = world.sessions.get(point.conn or "")
    if old:
        old.runs.pop(run.id, None)
    if point.gen != item.gen:
        text = f"a second process speaks for this run (pid {point.pid} gives way to {session.pid})"
        world.alert(run, "superseded", text, "warning", now)
    if old and old.runs:
        return [
            Send(conn=old.conn, frame=Err(code="superseded", message="a newer connection speaks for it", ref=run.id))
        ]
    return [
        CloseConnection(
            conn=point.conn or "", code=Close.SUPERSEDED, reason=f"{run.id}: a newer connection speaks for it"
        )
    ]


def ack_of(run: str, inbox: Inbox, *, want: bool = False) -> Ack:
    """The acknowledgement of what is stored, with the first missing number where there is a gap."""
    return Ack(run=run, seq=inbox.stored, want=inbox.received + 1 if want else None)
