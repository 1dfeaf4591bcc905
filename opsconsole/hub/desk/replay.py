"""Replays the logs over the records: stored events are folded, audit entries applied; nothing is judged or told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydantic import ValidationError
from pydantic_core import from_json

from opsconsole.domain.approval import ANSWERED, OPEN, Answer, ApprovalStatus, Delivery
from opsconsole.domain.command import Do, Role
from opsconsole.domain.digest import call_digest
from opsconsole.domain.ids import verdict_id
from opsconsole.domain.proof import Proof
from opsconsole.domain.run import FENCED, Author, RunState
from opsconsole.domain.tool_call import CallKind, CallStatus, Outcome, Risk
from opsconsole.hub.desk import control, fold, kill, questions, verdicts
from opsconsole.hub.desk.principal import HUB, Principal
from opsconsole.hub.desk.records import is_open, refusal_of
from opsconsole.hub.desk.state import Approval, Call, Point, Receipt, Run
from opsconsole.hub.desk.world import World
from opsconsole.protocol.events import parse_timeline
from opsconsole.protocol.frames import Command, PointCommand, ProposedCall


def batch(world: World, run_id: str, gen: str, first_seq: int, count: int, at: float, body: bytes) -> None:
    """Fold stored events again, without judging or telling anything."""
    name, _, generation = gen.partition("/")
    run = world.runs.get(run_id)
    if name == "hub":
        if run:
            run.hub_seq = max(run.hub_seq, first_seq + count - 1)
        return
    if run is None:
        run = fold.new_run(world, run_id, HUB, at)
        run.owner = ""
    point = run.points.setdefault(name, Point(name=name, gen=generation, link_since=at, heard_at=at))
    if point.gen != generation:
        if generation in point.retired:
            return
        point.retired.add(point.gen)
        point.gen, point.cseq = generation, 0
        point.inbox.received = point.inbox.stored = 0
    last = first_seq + count - 1
    if last <= point.inbox.stored:
        return
    world.replaying = True
    for event in _events(world, run, body, at):
        if event.seq > point.inbox.stored:
            fold.fold(world, run, point, event, at)
    world.replaying = False
    point.inbox.take(last)
    point.inbox.commit(last)
    point.heard_at = at


def entry(world: World, seq: int, _key: str, at: float, body: bytes) -> None:
    """Apply what an audit entry says was done, without recording or telling it again."""
    entry = from_json(body)
    replay = _REPLAYS.get(str(entry.get("kind", "")))
    if replay is None:
        return
    world.replaying = True
    replay(world, entry, seq, at)
    world.replaying = False
    for run in world.runs.values():
        for command in run.commands[-1:]:
            command.recovered = True


def _events(world: World, run: Run, body: bytes, at: float) -> list[Any]:
    try:
        return parse_timeline(body)
    except ValidationError:
        world.alert(run, "unreadable", "stored events of this run cannot be read", "critical", at)
        return []


def _run_of(world: World, entry: dict[str, Any]) -> Run | None:
    return world.runs.get(str(entry.get("run", "")))


def _who(entry: dict[str, Any]) -> Principal:
    who = entry.get("who", {})
    return Principal(name=str(who.get("principal", "hub")), role=Role(who.get("role", "operator")))


def _replay_started(world: World, entry: dict[str, Any], _seq: int, at: float) -> None:
    run = _run_of(world, entry) or fold.new_run(world, str(entry["run"]), HUB, at)
    run.owner = str(entry.get("owner", ""))


def _replay_requested(world: World, entry: dict[str, Any], seq: int, at: float) -> None:
    run = _run_of(world, entry)
    if run is None or entry["approval"] in world.approvals:
        return
    approval = Approval(
        id=entry["approval"],
        run=run.id,
        agent=entry["agent"],
        call=entry["call"],
        kind=CallKind(entry["call_kind"]),
        tool=entry["tool"],
        args=entry["args"],
        masked=entry["masked"],
        digest=entry["digest"],
        call_digest=entry["call_digest"],
        policy_hash=entry["policy"],
        risk=Risk(entry["risk"]),
        rule=entry["rule"],
        why=entry["why"],
        agent_reason=entry["agent_reason"],
        may_edit=entry["may_edit"],
        requested_at=at,
        expires_at=entry["expires_at"],
        visible=True,
        entry_seq=seq,
    )
    world.approvals[approval.id] = approval
    run.pending.add(approval.id)
    call = _call_of(run, entry, at)
    call.approval = approval.id


def _call_of(run: Run, entry: dict[str, Any], at: float) -> Call:
    """The call an entry is about; made from the entry when the events that proposed it were not stored in time."""
    call = run.calls.get(entry["call"])
    if call is None:
        call = Call(
            id=entry["call"],
            kind=CallKind(entry.get("call_kind", "tool_call")),
            tool=entry["tool"],
            status=CallStatus.PROPOSED,
            since=at,
            gate=True,
            call_digest=entry.get("call_digest", ""),
        )
        run.calls[call.id] = run.open_calls[call.id] = call
    return call


def _replay_decided(world: World, entry: dict[str, Any], seq: int, at: float) -> None:
    run, approval = _run_of(world, entry), world.approvals.get(entry["approval"])
    if run is None or approval is None or seq <= approval.entry_seq:
        return
    approval.entry_seq = seq
    if approval.status not in OPEN:
        return
    answer = Answer(entry["answer"])
    by = _who(entry).name
    approval.edited_args, approval.response = entry["edited_args"], entry["text"] if answer is Answer.RESPOND else None
    questions.settle(world, approval, ANSWERED[answer], by, entry["note"], at)
    call = _call_of(run, entry, at)
    lost_edit = answer is Answer.EDIT and entry["edited_masked"]
    outcome = {Answer.REJECT: Outcome.DENY, Answer.RESPOND: Outcome.ANSWER}.get(answer, Outcome.ALLOW)
    if run.state in FENCED and outcome is not Outcome.DENY:
        approval.delivery = Delivery.VOID
        return
    frame = PointCommand(
        cmd=verdict_id(run.id, call.id),
        run=run.id,
        cseq=0,
        do=Do.VERDICT,
        call=call.id,
        outcome=outcome,
        digest=call.call_digest if answer is not Answer.EDIT else call_digest(call.tool, entry["edited_args"]),
        args=entry["edited_args"] if answer is Answer.EDIT else None,
        text=entry["note"] or None if answer is Answer.REJECT else entry["text"],
        calls=[ProposedCall.model_validate(one) for one in entry["calls"]] or None,
        rule=approval.rule,
        by=by,
    )
    call.verdict = frame.cmd
    world.tell(run, refusal_of(frame) if lost_edit else frame, at)


def _replay_closed(world: World, entry: dict[str, Any], seq: int, at: float) -> None:
    run, approval = _run_of(world, entry), world.approvals.get(entry["approval"])
    if run is None or approval is None or seq <= approval.entry_seq or approval.status not in OPEN:
        return
    approval.entry_seq = seq
    questions.settle(world, approval, ApprovalStatus(entry["status"]), "hub", entry["why"], at)
    call = run.calls.get(approval.call)
    if call and call.verdict is None:
        verdicts.deliver(world, run, call, Outcome.DENY, "hub", "gate:restart", at, text=entry["why"])


def _replay_verdict(world: World, entry: dict[str, Any], _seq: int, at: float) -> None:
    run = _run_of(world, entry)
    if run is None:
        return
    call = _call_of(run, entry, at)
    if call.verdict is not None or not is_open(call):
        return
    allowed = entry["outcome"] == "allow"
    if allowed and run.state in FENCED:
        return
    text = None if allowed else entry.get("why")
    outcome = Outcome.ALLOW if allowed else Outcome.DENY
    verdicts.deliver(world, run, call, outcome, entry["by"], entry["rule"], at, text=text)


def _replay_control(world: World, entry: dict[str, Any], seq: int, at: float) -> None:
    run = _run_of(world, entry)
    if run is None or run.ended or entry["command"] in world.receipts:
        return
    command = Command(
        cmd=entry["command"],
        do=Do(entry["do"]),
        run=run.id,
        text=entry["text"],
        note=entry["note"],
        when=entry["when"],
        caps=entry["caps"],
    )
    control.RULES[command.do].apply(world, run, command, _who(entry).name, at)
    _remember(world, entry, at, [run.id])


def _replay_limit(world: World, entry: dict[str, Any], _seq: int, at: float) -> None:
    run = _run_of(world, entry)
    if run and not run.ended:
        world.move(run, RunState.PAUSING, Author.HUB, at)
        run.tripped = entry.get("reached") or run.tripped
        run.paused_by = f"limit: {entry['reached']}" if entry.get("reached") else "the takeover ran out"
        run.baton = None


def _replay_kill(world: World, entry: dict[str, Any], _seq: int, at: float) -> None:
    if entry["command"] in world.receipts:
        return
    receipt = Receipt(command=entry["command"], do=str(Do.KILL), by=_who(entry).name, at=at, body_hash="")
    receipt.res = {"cmd": entry["command"], "ok": True, "status": "recorded"}
    world.remember(receipt)
    for run_id in entry["runs"]:
        run = world.runs.get(run_id)
        if run:
            kill.begin(world, run, entry["command"], receipt.by, entry["mode"], entry["reason"], receipt, at)


def _replay_kill_outcome(world: World, entry: dict[str, Any], _seq: int, at: float) -> None:
    run = _run_of(world, entry)
    if run is None or run.kill is None or run.kill.status == "dead":
        return
    run.kill.lines = [(one["name"], one["ms"], one["outcome"]) for one in entry["points"]]
    run.kill.status, run.kill.proof, run.kill.total_ms = entry["status"], Proof(entry["proof"]), entry["total_ms"]
    receipt = world.receipts.get(entry["command"])
    if receipt:
        receipt.runs[run.id] = {one: entry[one] for one in ("run", "status", "proof", "points", "total_ms")}
    if entry["status"] == "dead" and not run.ended:
        world.move(run, RunState.KILLED, Author.HUB, at)
        run.proof = run.kill.proof
        run.reason = f"killed by {run.kill.by}"


def _replay_given_up(world: World, entry: dict[str, Any], _seq: int, at: float) -> None:
    run = _run_of(world, entry)
    if run:
        world.move(run, RunState.FAILED, Author.HUB, at)
        run.reason = "lost"


def _remember(world: World, entry: dict[str, Any], at: float, runs: list[str]) -> None:
    receipt = Receipt(command=entry["command"], do=entry["do"], by=_who(entry).name, at=at, body_hash="")
    receipt.res = {"cmd": entry["command"], "ok": True, "status": "recorded"}
    receipt.runs = {
        one: {"run": one, "status": "recorded", "proof": "none", "points": [], "total_ms": None} for one in runs
    }
    world.remember(receipt)


_REPLAYS: dict[str, Callable[[World, dict[str, Any], int, float], None]] = {
    "run.started": _replay_started,
    "approval.requested": _replay_requested,
    "approval.decided": _replay_decided,
    "approval.expired": _replay_closed,
    "approval.cancelled": _replay_closed,
    "call.verdict": _replay_verdict,
    "limit.tripped": _replay_limit,
    "takeover.expired": _replay_limit,
    "kill": _replay_kill,
    "kill.outcome": _replay_kill_outcome,
    "run.given_up": _replay_given_up,
} | {f"run.{do}": _replay_control for do in control.RULES}
"""kind of entry -> how it changes the desk; what is not here only informs."""
