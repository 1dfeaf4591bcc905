"""What points say, taken in: hello, batches, acknowledgements, results; the rules on calls stand elsewhere."""

from __future__ import annotations

from collections.abc import Sequence

from opsconsole.domain.approval import Delivery
from opsconsole.domain.command import CommandStatus, Do, Role, advance_command, may
from opsconsole.errors import RemoteProtocolError
from opsconsole.hub.desk import fold, kill, links, questions, records
from opsconsole.hub.desk.effects import Changed, Effects, Send, Store
from opsconsole.hub.desk.effects import Close as CloseConnection
from opsconsole.hub.desk.principal import Principal
from opsconsole.hub.desk.state import Point, Run
from opsconsole.hub.desk.world import Session, World, merged
from opsconsole.policy.redaction import may_hold_secret
from opsconsole.protocol.events import Event, RunEvent
from opsconsole.protocol.frames import (
    Ack,
    Attach,
    Beat,
    Bye,
    Detach,
    Err,
    EventFrame,
    Frame,
    Hello,
    HelloRun,
    Res,
    Welcome,
    encoded_events,
    spliced_events,
)
from opsconsole.protocol.limits import Close


def hello(world: World, conn: str, principal: Principal, hello: Hello, now: float) -> Effects:
    """A point introduces itself and its runs."""
    session = Session(
        conn=conn,
        principal=principal,
        point=hello.point or "sdk",
        host=hello.proc.host,
        pid=hello.proc.pid,
    )
    world.sessions[conn] = session
    attached = merged(*(links.attach(world, session, item, now) for item in hello.runs))
    welcome = Welcome(
        epoch=world.epoch,
        conn=conn,
        principal=principal.name,
        role=str(principal.role),
        beat_seconds=world.settings.beat_seconds,
        time=now,
        acked={item.run: _acked(world, session, item.run, item.gen) for item in hello.runs},
        policy_hash=world.policy.hash,
    )
    return [Send(conn=conn, frame=welcome), *attached]


def frame(world: World, conn: str, frame: Frame, data: bytes, now: float) -> Effects:
    """Anything a point says after its hello; `data` is the frame as received, stored byte for byte."""
    session = world.sessions.get(conn)
    if session is None:
        return []
    try:
        return _on_frame(world, session, frame, data, now)
    except RemoteProtocolError as error:
        return [CloseConnection(conn=conn, code=error.code, reason=str(error))]


def _on_frame(world: World, session: Session, frame: Frame, data: bytes, now: float) -> Effects:
    if isinstance(frame, EventFrame):
        return _events(world, session, frame, data, now)
    if isinstance(frame, Ack):
        return _journalled(world, session, frame)
    if isinstance(frame, Res):
        return _result(world, session, frame, now)
    if isinstance(frame, Beat):
        return _beat(world, session, frame, now)
    if isinstance(frame, Attach):
        return merged(*(_attach_later(world, session, item, now) for item in frame.runs))
    if isinstance(frame, Detach):
        return links.detach(world, session, frame.run, now)
    if isinstance(frame, Bye):
        return links.gone(world, session.conn, frame.reason or "bye", True, now)
    raise RemoteProtocolError(f"an agent does not send {frame.t}")


def _attach_later(world: World, session: Session, item: HelloRun, now: float) -> Effects:
    effects = links.attach(world, session, item, now)
    ack = Ack(run=item.run, seq=_acked(world, session, item.run, item.gen))
    return [Send(conn=session.conn, frame=ack), *effects]


def _acked(world: World, session: Session, run_id: str, gen: str) -> int:
    run = world.runs.get(run_id)
    point = run.points.get(session.point) if run else None
    return point.inbox.stored if point and point.gen == gen else 0


def _events(world: World, session: Session, frame: EventFrame, data: bytes, now: float) -> Effects:
    if session.runs.get(frame.run) != frame.gen:
        message = "attach this run first, under the generation it is sent with"
        return [Send(conn=session.conn, frame=Err(code="not_attached", message=message, ref=frame.run))]
    if not frame.events and frame.skip is None:
        return []
    first, last = _span(frame)
    run = world.runs.get(frame.run)
    if run is None:
        refusal = _may_start(world, session, frame)
        if refusal:
            return [Send(conn=session.conn, frame=Err(code="forbidden", message=refusal, ref=frame.run))]
        run = fold.new_run(world, frame.run, session.principal, now)
    if run.owner and run.owner != session.principal.name:
        return [Send(conn=session.conn, frame=Err(code="forbidden", message="this run is another's", ref=frame.run))]
    point = run.points.get(session.point)
    if point is None or point.conn != session.conn or point.gen != frame.gen:
        point = links.seat(world, run, session, frame.gen, now)
    point.heard_at = now
    return _accept(world, session, run, point, frame, first, last, data, now)


def _accept(
    world: World,
    session: Session,
    run: Run,
    point: Point,
    frame: EventFrame,
    first: int,
    last: int,
    data: bytes,
    now: float,
) -> Effects:
    known = point.inbox.accept(first, last)
    if known is None:
        return [Send(conn=session.conn, frame=links.ack_of(run.id, point.inbox, want=True))]
    if known == last - first + 1:
        return [Send(conn=session.conn, frame=links.ack_of(run.id, point.inbox))]
    before = point.inbox.received
    fresh = [event for event in frame.events if event.seq > before]
    body = _body(world, frame, fresh, data)
    point.inbox.take(last)
    effects = _store(world, run, point, before + 1, last, body)
    for event in fresh:
        effects += fold.fold(world, run, point, event, now)
    if frame.skip:
        world.alert(
            run,
            "hole",
            f"events {frame.skip.first} to {frame.skip.last} are missing: {frame.skip.why}",
            "warning",
            now,
        )
    effects.append(Changed(view="board", key=run.id))
    world.dirty["run", run.id] = None
    return effects


def _store(world: World, run: Run, point: Point, first: int, last: int, body: bytes) -> Effects:
    token = world.next_token()
    world.after_store[token] = (run.id, point.name, point.gen, last)
    return [
        Store(
            token=token,
            run=run.id,
            gen=f"{point.name}/{point.gen}",
            first_seq=first,
            count=last - first + 1,
            body=body,
        )
    ]


def _body(world: World, frame: EventFrame, fresh: Sequence[Event], data: bytes) -> bytes:
    body = spliced_events(data, frame) if len(fresh) == len(frame.events) else encoded_events(fresh)
    return records.masked_body(body, world.mask) if may_hold_secret(body) else body


def _may_start(world: World, session: Session, frame: EventFrame) -> str | None:
    described = next((event for event in frame.events if isinstance(event, RunEvent)), None)
    if described is None or frame.events[0] is not described:
        return "the first event of a run is `run`"
    prefix = session.principal.agent_prefix
    if prefix is not None and not described.agent.startswith(prefix):
        return f"this token starts only agents that begin with {prefix!r}"
    if not may(session.principal.role, Role.AGENT):
        return "only an agent's token may start a run"
    return None


def _journalled(world: World, session: Session, frame: Ack) -> Effects:
    run, point = _seat_of(world, session, frame.run)
    if run is None or point is None or frame.cseq is None:
        return []
    effects: Effects = []
    for command in run.commands:
        if command.frame.cseq <= frame.cseq and command.frame.do is Do.VERDICT and command.frame.call:
            effects += questions.on_delivery(world, run, command.frame.call, Delivery.DELIVERED)
        if command.frame.cseq <= frame.cseq:
            progress(world, run, command.frame.cmd, CommandStatus.DELIVERED)
    links.acknowledge(world, run, point, frame.cseq)
    return effects


def _result(world: World, session: Session, frame: Res, now: float) -> Effects:
    run, point = _seat_of(world, session, frame.run)
    if run is None or point is None:
        return []
    if run.kill and any(frame.cmd == kill.command_for(one, run) for one in run.kill.commands):
        return kill.on_result(world, run, point, frame, now)
    call = next((one for one in run.calls.values() if one.verdict == frame.cmd), None)
    if call:
        return questions.on_delivery(world, run, call.id, Delivery.APPLIED if frame.ok else Delivery.VOID)
    status = CommandStatus.APPLIED if frame.ok and frame.status != "void" else CommandStatus.VOID
    progress(world, run, frame.cmd, status)
    return world.changed_run(run)


def progress(world: World, run: Run, command: str, status: CommandStatus) -> None:
    receipt = world.receipts.get(command)
    line = receipt.runs.get(run.id) if receipt and receipt.do != Do.KILL else None
    if line is not None:
        line["status"] = str(advance_command(CommandStatus(line["status"]), status))
        world.dirty["receipt", command] = None


def _beat(world: World, session: Session, frame: Beat, now: float) -> Effects:
    for run_id in session.runs:
        run, point = _seat_of(world, session, run_id)
        if run and point:
            point.heard_at = now
            point.busy = frame.busy or ""
    return []


def _seat_of(world: World, session: Session, run_id: str | None) -> tuple[Run | None, Point | None]:
    run = world.runs.get(run_id or "")
    point = run.points.get(session.point) if run else None
    return (run, point) if point and point.conn == session.conn else (run, None)


def stored(world: World, token: int, position: int, now: float) -> Effects:
    """A batch is on disk: the point may forget it."""
    run_id, point_name, gen, last = world.after_store.pop(token, ("", "", "", 0))
    run = world.runs.get(run_id)
    point = run.points.get(point_name) if run else None
    if run is None or point is None or point.gen != gen:
        return []
    point.inbox.commit(last)
    return [Send(conn=point.conn, frame=links.ack_of(run.id, point.inbox))] if point.conn else []


def store_failed(world: World, batch: tuple[str, str, str, int]) -> Effects:
    run = world.runs.get(batch[0])
    point = run.points.get(batch[1]) if run else None
    if run is None or point is None or point.gen != batch[2]:
        return []
    point.inbox.received = point.inbox.stored
    return []


def _span(frame: EventFrame) -> tuple[int, int]:
    """First and last sequence number of a frame. Raises: RemoteProtocolError when they are not contiguous."""
    first = frame.skip.first if frame.skip else frame.events[0].seq
    expected = frame.skip.last + 1 if frame.skip else first
    if frame.skip and frame.skip.last < frame.skip.first:
        raise RemoteProtocolError("a skip runs backwards")
    for event in frame.events:
        if event.seq != expected:
            raise RemoteProtocolError(f"seq {event.seq} where {expected} was due", code=Close.PROTOCOL_ERROR)
        expected += 1
    return first, expected - 1
