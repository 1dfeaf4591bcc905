"""Who is believed about a run's processes: only a point that holds the key its run id commits to; it kills nothing.

The agent has the same token as its supervisor, and may call itself one. It does not have the key.
"""

from __future__ import annotations

from collections.abc import Sequence

from opsconsole.domain.command import Do
from opsconsole.domain.ids import is_sealed_by
from opsconsole.hub.desk.effects import Effects, Send
from opsconsole.hub.desk.state import Point, Run
from opsconsole.hub.desk.world import Session, World
from opsconsole.protocol.frames import Err, HelloRun

SUPERVISOR = "supervisor"
"""The point that speaks for the process."""
OVER_PROCESSES = frozenset({"kill_process", "freeze"})
"""Capabilities that only a supervisor with the key has."""
UNTRUSTED_PREFIX = "~"
"""Before the generation, in the log, of a supervisor without the key: a restart must not believe it either."""


def note_key(session: Session, item: HelloRun) -> None:
    """Remember that this connection has proved to supervise the run, if it has."""
    if session.point == SUPERVISOR and is_sealed_by(item.run, item.key):
        session.proved.add(item.run)


def turn_away(world: World, run: Run, point: Point | None, session: Session, gen: str, now: float) -> Effects | None:
    """A point that calls itself the supervisor of a supervised run, without the key, while the true one is heard.

    Nor may it replace one that is not heard now: that one would be taken for outdated when it comes back, and no kill
    would reach it. What a dead one had journalled is delivered under its own generation.
    """
    if session.point != SUPERVISOR or run.id in session.proved or point is None or point.conn == session.conn:
        return None
    is_heard = point.trusted and point.conn is not None
    if not (is_heard or (run.supervised and point.gen != gen)):
        return None
    text = f"a process (pid {session.pid}) claimed to be its supervisor and is not"
    world.alert(run, "forged", text, "critical", now)
    details = {"run": run.id, "agent": run.agent, "host": session.host, "pid": session.pid}
    body = world.entry("supervisor.refused", session.principal, now, details)
    err = Err(code="forbidden", message="not this run's supervisor: the key is missing", ref=run.id)
    return [Send(conn=session.conn, frame=err), *world.record_act(f"run/{run.id}", body), *world.changed_run(run)]


def credit(run: Run, point: Point, session: Session) -> None:
    """Set what the point that has just been seated is worth."""
    point.trusted = run.id in session.proved
    run.supervised = run.supervised or point.trusted


def believed_caps(point: Point, claimed: Sequence[str]) -> list[str]:
    """The capabilities a point may have; nobody without the key can do anything to processes."""
    return list(claimed) if point.trusted else [cap for cap in claimed if cap not in OVER_PROCESSES]


def is_supervised(run: Run) -> bool:
    """Whether a supervisor holds the run's processes and has not left: then only it can tell that they are gone."""
    point = run.points.get(SUPERVISOR)
    return run.supervised and not (point is not None and point.trusted and point.link == "detached")


def note_done(world: World, run: Run, command: str) -> None:
    """A supervisor did what it was told: whether the run's processes stand still."""
    receipt = world.receipts.get(command)
    if receipt and receipt.do in (Do.FREEZE, Do.THAW):
        run.frozen = receipt.do == Do.FREEZE


def stored_gen(point: Point) -> str:
    """The generation of a batch in the events log, with the point's name and whether it is to be believed."""
    doubt = UNTRUSTED_PREFIX if point.name == SUPERVISOR and not point.trusted else ""
    return f"{doubt}{point.name}/{point.gen}"


def point_of_gen(gen: str) -> tuple[str, str, bool]:
    """(point, generation, trusted) of a stored batch."""
    name, _, generation = gen.partition("/")
    bare = name.removeprefix(UNTRUSTED_PREFIX)
    return bare, generation, bare == SUPERVISOR and bare == name
