"""What a gateway may say of a run, and whose the runs are that it starts; it knows no dialect of any model.

It sees the traffic of other people's agents, and nothing of their processes: it ends no run that somebody else speaks
for, names none that is named, and what it did about a kill proves nothing where another point is there to prove it.
"""

from __future__ import annotations

from opsconsole.domain.command import CommandStatus, Do, Role
from opsconsole.domain.ids import joined_id
from opsconsole.hub.desk.effects import Close as CloseConnection
from opsconsole.hub.desk.effects import Effects, Send
from opsconsole.hub.desk.principal import Principal
from opsconsole.hub.desk.state import GATEWAY, LEASE, Point, Run, Side
from opsconsole.hub.desk.world import Session, World
from opsconsole.protocol.frames import Err, PointCommand
from opsconsole.protocol.limits import Close

BY_ONE_SIDE = {Do.INJECT: "inject", Do.TAKEOVER: "takeover"}
"""Commands that a gateway and the agent's own point would both carry out -> the capability they need."""
_STEERING = frozenset({Do.TAKEOVER, Do.RELEASE})
_RANKS = {GATEWAY: 0, "supervisor": 1}
"""How well a point knows what its run is called: a supervisor has a command line, a gateway guesses; others know."""
_RANK_OF_OTHERS = 2


def turn_away(conn: str, principal: Principal, point: str) -> Effects | None:
    """The refusal of a connection that is a gateway by its token or by its point's name, but not by both."""
    is_gateway = principal.role is Role.GATEWAY
    if is_gateway == (point == GATEWAY):
        return None
    message = (
        f"a token of the role gateway speaks only as the point {GATEWAY!r}, not {point!r}"
        if is_gateway
        else f"the point {GATEWAY!r} needs a token of the role gateway; {principal.name} is {principal.role}"
    )
    err = Send(conn=conn, frame=Err(code="forbidden", message=message))
    return [err, CloseConnection(conn=conn, code=Close.FORBIDDEN, reason=message)]


def may_claim(run: Run, session: Session) -> bool:
    """Whether a run that a gateway started becomes this principal's."""
    return run.unclaimed and run.agent.startswith(session.principal.agent_prefix or "")


def claim(world: World, run: Run, session: Session, now: float) -> Effects:
    """A run without an owner, or started by a gateway, is its who speaks for it first; a gateway claims none."""
    if session.principal.role is Role.GATEWAY or (run.owner and not run.unclaimed):
        return []
    before, was_unclaimed = run.owner, run.unclaimed
    run.owner, run.unclaimed = session.principal.name, False
    if not was_unclaimed:
        return []
    details = {"run": run.id, "agent": run.agent, "owner": run.owner, "before": before, "point": session.point}
    return world.owe(run, "run.claimed", details, now)


def side_of(run: Run, do: Do) -> Side:
    """Who is to carry a command out: a live point that claims to can do it better than the gateway can.

    The end of a takeover is told to whom its beginning was, and so is its renewal, unless only the other side is there.
    A gateway that was given turns ahead takes over itself: it would not ask, and so not hear of a takeover by another.
    """
    if do is Do.RELEASE:
        return run.steered_by
    if do not in BY_ONE_SIDE:
        return ""
    able = [point for point in run.points.values() if BY_ONE_SIDE[do] in point.caps]
    if do is Do.TAKEOVER and run.baton is not None and run.steered_by:
        there = {_side(point.name) for point in able if point.link == "live"}
        return run.steered_by if run.steered_by in there or not there else there.pop()
    gateways = [point for point in able if point.name == GATEWAY]
    others = [point for point in able if point.name != GATEWAY]
    if do is Do.TAKEOVER and gateways and gateways[0].link == "live" and any(map(_is_lease, run.reserved)):
        return "gateway"
    is_gateways = gateways and not any(point.link == "live" for point in others)
    return "gateway" if is_gateways and (gateways[0].link == "live" or not others) else "others"


def _side(point: str) -> Side:
    return "gateway" if point == GATEWAY else "others"


def let_go(world: World, run: Run, side: Side, command: str, now: float) -> Effects:
    """Tell one side that the run is not taken over as far as it is concerned; `command` is the id of saying so."""
    frame = PointCommand(cmd=joined_id(command, run.id), run=run.id, cseq=0, do=Do.RELEASE, by="hub")
    return world.tell(run, frame, now, side=side)


def skip_ended(world: World, run: Run, point: Point, now: float) -> None:
    """A takeover that is over is told to nobody any more, for the one who missed it may miss its end, too."""
    epoch = run.baton.epoch if run.baton else None
    for command in run.commands:
        if command.frame.do is Do.TAKEOVER and command.frame.epoch != epoch and command.is_due(point.name, now):
            command.done.add(point.name)
            world.progress(run, command.frame.cmd, CommandStatus.EXPIRED)


def set_right(world: World, run: Run, point: Point, held: bool, now: float) -> Effects:
    """A point comes that takes the run for taken over though it is not, or by the other side.

    It missed the end, or a hub that died had told it of a takeover that is on no record.
    """
    side = _side(point.name)
    if not held or run.ended or (run.baton is not None and run.steered_by in ("", side)):
        return []
    due = [one.frame.do for one in run.commands if one.frame.do in _STEERING and one.is_due(point.name, now)]
    if due and due[-1] is Do.RELEASE:
        return []
    return let_go(world, run, side, f"cmd_let_go_{run.epoch}_{run.cseq + 1}", now)


def _is_lease(reservation: str) -> bool:
    return reservation.startswith(LEASE)


def is_alone(run: Run) -> bool:
    """Whether nobody but a gateway knows of the run: no supervisor holds it, no other point is attached."""
    return not run.supervised and all(
        point.link == "detached" for point in run.points.values() if point.name != GATEWAY
    )


def may_name(run: Run, point: str) -> bool:
    """Whether this point's word on the run's name counts: nobody who knows it better has spoken."""
    return not run.named_by or _rank(point) >= _rank(run.named_by)


def _rank(point: str) -> int:
    return _RANKS.get(point, _RANK_OF_OTHERS)
