"""What points say, taken in: hello, batches, acknowledgements, results; the rules on calls stand elsewhere."""

from __future__ import annotations

from collections.abc import Sequence

from opsconsole.domain.approval import Delivery
from opsconsole.domain.command import CommandStatus, Do, Role, may
from opsconsole.errors import RemoteProtocolError
from opsconsole.hub.desk import (
    breaker_acts,
    control,
    fold,
    gate,
    gateway,
    kill,
    links,
    questions,
    rates,
    records,
    supervision,
)
from opsconsole.hub.desk.effects import Changed, Effects, Send, Store
from opsconsole.hub.desk.effects import Close as CloseConnection
from opsconsole.hub.desk.principal import Principal
from opsconsole.hub.desk.state import Point, Run
from opsconsole.hub.desk.world import Session, World, merged
from opsconsole.policy.redaction import may_hold_secret
from opsconsole.protocol.coding import spliced_events
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
)
from opsconsole.protocol.limits import Close
from opsconsole.protocol.quick import EVENT_FRAMES


def hello(world: World, conn: str, principal: Principal, hello: Hello, now: float) -> Effects:
    """A point introduces itself and its runs."""
    point = hello.point or "sdk"
    turned_away = gateway.turn_away(conn, principal, point)
    if turned_away is not None:
        return turned_away
    session = Session(
        conn=conn,
        principal=principal,
        point=point,
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
    if isinstance(frame, EVENT_FRAMES):
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
    if frame.run in session.waiting:
        return []  # it is asked for them when it is let in
    if session.runs.get(frame.run) != frame.gen:
        message = "attach this run first, under the generation it is sent with"
        return [Send(conn=session.conn, frame=Err(code="not_attached", message=message, ref=frame.run))]
    if not frame.events and frame.skip is None:
        return []
    first, last = _span(frame)
    refusal = _may_say(session, frame)
    if refusal:
        return [Send(conn=session.conn, frame=Err(code="forbidden", message=refusal, ref=frame.run))]
    run = world.runs.get(frame.run)
    if run is None:
        refusal = _may_start(world, session, frame)
        if refusal:
            return [Send(conn=session.conn, frame=Err(code="forbidden", message=refusal, ref=frame.run))]
        run = fold.new_run(world, frame.run, session.principal, now)
    point = run.points.get(session.point)
    seated: Effects = []
    if point is None or point.conn != session.conn or point.gen != frame.gen:
        seated = links.attach(world, session, HelloRun(run=frame.run, gen=frame.gen), now)
        point = run.points.get(session.point)
        if point is None or point.conn != session.conn or point.gen != frame.gen:
            return seated
    point.heard_at = now
    return seated + _accept(world, session, run, point, frame, first, last, data, now)


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
    fresh = [event for event in frame.events if event.seq > before] if known else frame.events
    body = _body(world, frame, fresh, data)
    point.inbox.take(last)
    effects = _store(world, run, point, before + 1, last, body)
    effects += fold.fold(world, run, point, fresh, now)
    effects += breaker_acts.count(world, run, now) + gate.settle(world, run, now)
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
    world.after_store[token] = (run.id, point.name, point.gen, first, last)
    return [
        Store(
            token=token,
            run=run.id,
            gen=supervision.stored_gen(point),
            first_seq=first,
            count=last - first + 1,
            body=body,
        )
    ]


def _body(world: World, frame: EventFrame, fresh: Sequence[Event], data: bytes) -> bytes:
    body = spliced_events(data, frame, left_out=len(frame.events) - len(fresh))
    return records.masked_body(body, world.mask) if may_hold_secret(body) else body


def _may_start(world: World, session: Session, frame: EventFrame) -> str | None:
    if frame.run in world.forgotten:
        return f"this run has ended: {world.forgotten[frame.run]}"
    if not frame.events or not isinstance(frame.events[0], RunEvent):
        return "the first event of a run is `run`"
    if not may(session.principal.role, Role.AGENT):
        return "only an agent's token may start a run"
    return None


def _may_say(session: Session, frame: EventFrame) -> str | None:
    """A token bound to some agents may call its runs by no other's name, at the start or later."""
    prefix = session.principal.agent_prefix
    named = [event.agent for event in frame.events if isinstance(event, RunEvent)] if prefix is not None else []
    if all(agent.startswith(prefix or "") for agent in named):
        return None
    return f"this token starts only agents that begin with {prefix!r}"


def _journalled(world: World, session: Session, frame: Ack) -> Effects:
    run, point = _seat_of(world, session, frame.run)
    if run is None or point is None or frame.cseq is None:
        return []
    effects: Effects = []
    for command in run.commands:
        is_heard = command.frame.cseq <= frame.cseq and command.is_for(point.name)
        if is_heard and command.frame.do is Do.VERDICT and command.frame.call:
            effects += questions.on_delivery(world, run, command.frame.call, Delivery.DELIVERED)
    links.acknowledge(world, run, point, frame.cseq)
    return effects


def _result(world: World, session: Session, frame: Res, now: float) -> Effects:
    run, point = _seat_of(world, session, frame.run)
    if run is None or point is None:
        return []
    if run.kill and any(frame.cmd == kill.command_for(one, run) for one in run.kill.commands):
        return kill.on_result(world, run, point, frame, now)
    applied = frame.ok and frame.status != "void"
    if not applied and not _asked(world, point, frame.cmd):
        return []
    call = next((one for one in run.calls.values() if one.verdict == frame.cmd), None)
    if call:
        return questions.on_delivery(world, run, call.id, Delivery.APPLIED if applied else Delivery.VOID)
    world.progress(run, frame.cmd, CommandStatus.APPLIED if applied else CommandStatus.VOID)
    if applied and point.trusted:
        supervision.note_done(world, run, frame.cmd)
    return world.changed_run(run)


def _asked(world: World, point: Point, cmd: str) -> bool:
    """Whether a command is this point's to carry out: all points get all of them, and one that cannot says so."""
    receipt = world.receipts.get(cmd)
    rule = control.RULES.get(Do(receipt.do)) if receipt else None
    return rule is None or not rule.needs or bool(rule.needs & set(point.caps))


def _beat(world: World, session: Session, frame: Beat, now: float) -> Effects:
    """Alive; operators are told when what the point is busy with changes, or a beat would hide a hang."""
    effects: Effects = []
    busy = world.shown(frame.busy or "", 200)
    for run_id in session.runs:
        run, point = _seat_of(world, session, run_id)
        if run and point:
            point.heard_at = now
            if point.busy != busy:
                point.busy = busy
                effects += world.changed_run(run)
    return effects if frame.rates is None else effects + rates.told(world, session, frame.rates, now)


def _seat_of(world: World, session: Session, run_id: str | None) -> tuple[Run | None, Point | None]:
    run = world.runs.get(run_id or "")
    point = run.points.get(session.point) if run else None
    return (run, point) if point and point.conn == session.conn else (run, None)


def stored(world: World, token: int, position: int, now: float) -> Effects:
    """A batch is on disk: the point may forget it."""
    batch = world.after_store.pop(token, None)
    run, point = _journal_of(world, batch)
    if batch is None or run is None or point is None:
        return []
    _, _, _, first, last = batch
    if first > point.inbox.stored + 1:  # an earlier batch failed: an acknowledgement would cover what is lost
        return []
    point.inbox.commit(last)
    world.dirty["run", run.id] = None  # a record from before the commit would forget what was acknowledged
    return [Send(conn=point.conn, frame=links.ack_of(run.id, point.inbox))] if point.conn else []


def store_failed(world: World, batch: tuple[str, str, str, int, int], now: float) -> Effects:
    """A batch could not be stored: its point is asked for it again in a while."""
    run, point = _journal_of(world, batch)
    if run is None or point is None:
        return []
    point.inbox.received = point.inbox.stored
    world.at(now + world.settings.retry_record_seconds, "resend", f"{run.id} {point.name}")
    return []


def ask_again(world: World, key: str) -> Effects:
    """Ask a point for the events after the last stored."""
    run_id, _, name = key.partition(" ")
    run = world.runs.get(run_id)
    point = run.points.get(name) if run else None
    if run is None or point is None or point.conn is None:
        return []
    return [Send(conn=point.conn, frame=links.ack_of(run.id, point.inbox, want=True))]


def _journal_of(world: World, batch: tuple[str, str, str, int, int] | None) -> tuple[Run | None, Point | None]:
    if batch is None:
        return None, None
    run = world.runs.get(batch[0])
    point = run.points.get(batch[1]) if run else None
    return (run, point) if point and point.gen == batch[2] else (run, None)


def _span(frame: EventFrame) -> tuple[int, int]:
    """First and last sequence number of a frame. Raises: RemoteProtocolError when they are not contiguous."""
    first = frame.skip.first if frame.skip else frame.events[0].seq
    expected = frame.skip.last + 1 if frame.skip else first
    if frame.skip and frame.skip.last < frame.skip.first:
        raise RemoteProtocolError("a skip runs backwards")
    numbers = [event.seq for event in frame.events]
    due = range(expected, expected + len(numbers))
    if numbers != list(due):
        told, expected = next((seq, want) for seq, want in zip(numbers, due, strict=True) if seq != want)
        raise RemoteProtocolError(f"seq {told} where {expected} was due", code=Close.PROTOCOL_ERROR)
    return first, due.stop - 1
