"""The desk's memory as bytes: records taken now and then, put back after a restart; it reads no file."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json, to_json

from opsconsole.domain.approval import OPEN
from opsconsole.domain.run import RunState
from opsconsole.domain.tool_call import CallStatus, Outcome
from opsconsole.hub.desk import rows, run_record, watch
from opsconsole.hub.desk.state import Approval, Call, Grant, OpenCommand, Receipt, Run
from opsconsole.hub.desk.world import World
from opsconsole.policy.redaction import Masker, redact
from opsconsole.protocol.frames import PointCommand


@dataclass(frozen=True, slots=True, kw_only=True)
class DeskRecord:
    """One run, approval, receipt or forgotten run's id as bytes; a `body` of None says: forget it."""

    kind: str
    id: str
    body: bytes | None


_ADAPTERS: dict[str, TypeAdapter[Any]] = {
    "run": TypeAdapter(Run),
    "approval": TypeAdapter(Approval),
    "receipt": TypeAdapter(Receipt),
    "grant": TypeAdapter(Grant),
    "forgotten": TypeAdapter(str),
    "watch": TypeAdapter(dict[str, Any]),
}
_LEFT_OUT: dict[str, Any] = {"receipt": {"waiting"}}
"""Not kept: what is worked out from the rest."""
ADDRESSES = frozenset({"id", "parent", "verdict", "digest", "command", "restored_from"})
"""Ids of an event, by which it is folded again: never masked, whatever they look like."""


def masked_body(body: bytes, mask: Masker) -> bytes:
    """The events with secrets masked, for the log."""
    return to_json(
        [redact(event, mask)[0] | {key: event[key] for key in ADDRESSES & event.keys()} for event in from_json(body)]
    )


def take_dirty(world: World, limit: int) -> list[DeskRecord]:
    """Up to `limit` records changed since they were last taken, as bytes."""
    taken: list[DeskRecord] = []
    while world.dirty and len(taken) < limit:
        kind, key = next(iter(world.dirty))
        del world.dirty[kind, key]
        taken.append(DeskRecord(kind=kind, id=key, body=_body(world, kind, key)))
    return taken


def load(world: World, saved: Iterable[DeskRecord]) -> None:
    """Put records back; of what cannot be read, a run is fenced, and the rest left out for the logs to tell of."""
    tables = _tables(world)
    for record in saved:
        if record.body is None:
            continue
        try:
            value = _ADAPTERS[record.kind].validate_json(record.body)
        except ValidationError:
            world.unreadable.append((record.kind, record.id))
            if record.kind != "run":
                continue
            value = _fenced(record.id, record.body)
        tables[record.kind][record.id] = value
    waiting = {key for key, approval in world.approvals.items() if approval.status in OPEN}
    for run in world.runs.values():
        run.pending &= waiting  # an approval is saved only once it is on record
        run.open_calls = {call.id: call for call in run.calls.values() if is_open(call)}
        for point in run.points.values():
            point.conn, point.met = None, False
    watch.load(world)
    over = (approval for approval in world.approvals.values() if approval.status not in OPEN)
    world.settled.extend(one.id for one in sorted(over, key=lambda one: one.decided_at or 0.0))


def _fenced(run: str, body: bytes) -> Run:
    """A run of which only its id is certain: nobody may start it anew, and operators may kill it."""
    try:
        known = from_json(body)
    except ValueError:
        known = None
    about = known if isinstance(known, dict) else {}
    told = {key: about[key] for key in ("agent", "owner", "parent") if isinstance(about.get(key), str)}
    return Run(id=run, described=True, state=RunState.STOPPING, reason="its record could not be read", **told)


def _tables(world: World) -> dict[str, OrderedDict[str, Any]]:
    return {
        "run": world.runs,
        "approval": world.approvals,
        "receipt": world.receipts,
        "grant": world.grants,
        "forgotten": world.forgotten,
        "watch": world.watch.kept,
    }


def _body(world: World, kind: str, key: str) -> bytes | None:
    record: Any = watch.kept(world, key) if kind == "watch" else _tables(world)[kind].get(key)
    if record is None or (kind == "approval" and not record.visible) or (kind == "receipt" and record.res is None):
        return None
    if kind == "run":
        return _body_of_run(world, record)
    # what is as it began is left out: a changed default would change what old records say
    return _ADAPTERS[kind].dump_json(record, exclude=_LEFT_OUT.get(kind), exclude_defaults=True)


def _body_of_run(world: World, run: Run) -> bytes:
    run.doing = rows.doing(world, run)
    watch.remember(world, run)
    held_args = any(command.frame.args for command in run.commands)
    kept = replace(run, commands=[_masked(command, world.mask) for command in run.commands]) if held_args else run
    body = run_record.written(kept)
    run.watched = None
    return body


def _masked(command: OpenCommand, mask: Masker) -> OpenCommand:
    """An edit whose arguments hold a secret cannot be delivered from the record: it comes back as a refusal."""
    _, masked = redact(command.frame.args, mask)
    return replace(command, frame=refusal_of(command.frame)) if masked else command


def refusal_of(frame: PointCommand) -> PointCommand:
    text = "The hub restarted before the edited arguments, which hold a secret, were delivered. Propose the call again."
    return frame.model_copy(update={"outcome": Outcome.DENY, "args": None, "text": text, "rule": "gate:restart"})


def is_open(call: Call) -> bool:
    return call.status in (CallStatus.PROPOSED, CallStatus.HELD, CallStatus.RUNNING)
