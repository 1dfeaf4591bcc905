"""Replays the logs over the records: stored events are folded, audit entries applied; nothing is judged or told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydantic import ValidationError
from pydantic_core import from_json

from opsconsole.domain.approval import ANSWERED, OPEN, Answer, ApprovalStatus, Delivery, advance_delivery
from opsconsole.domain.command import CommandStatus, Do
from opsconsole.domain.digest import call_digest
from opsconsole.domain.ids import verdict_id
from opsconsole.domain.proof import Proof
from opsconsole.domain.run import FENCED, HELD, Author, RunState
from opsconsole.domain.tool_call import CallKind, CallStatus, Outcome
from opsconsole.hub.desk import (
    asking,
    breaker_acts,
    budget,
    control,
    decisions,
    fold,
    gate,
    kill,
    limits,
    outcomes,
    people,
    questions,
    replay_alerts,
    replay_people,
    verdicts,
)
from opsconsole.hub.desk.effects import HUB_GEN
from opsconsole.hub.desk.principal import HUB
from opsconsole.hub.desk.records import is_open, refusal_of
from opsconsole.hub.desk.replayed import remember, run_of, who_of
from opsconsole.hub.desk.state import GATEWAY, Approval, Call, Point, Run
from opsconsole.hub.desk.supervision import point_of_gen
from opsconsole.hub.desk.world import World, debt_of
from opsconsole.protocol.events import parse_timeline
from opsconsole.protocol.frames import Command, PointCommand, ProposedCall


def batch(world: World, run_id: str, gen: str, first_seq: int, count: int, at: float, body: bytes) -> None:
    """Fold stored events again, without judging or telling anything."""
    name, generation, trusted = point_of_gen(gen)
    run = world.runs.get(run_id)
    if name == HUB_GEN:
        if run:
            run.hub_seq = max(run.hub_seq, first_seq + count - 1)
        return
    if run_id in world.forgotten:
        return
    if run is None:
        run = _unknown_run(world, run_id, at)
        run.unclaimed = name == GATEWAY
    point = run.points.setdefault(name, Point(name=name, gen=generation, link_since=at, heard_at=at))
    if point.gen != generation:
        if generation in point.retired:
            return
        budget.leave(run, name)
        point.retire(point.gen)
        point.gen, point.cseq = generation, 0
        point.inbox.received = point.inbox.stored = 0
    point.trusted = trusted
    run.supervised = run.supervised or trusted
    last = first_seq + count - 1
    if last <= point.inbox.stored:
        return
    world.replaying = True
    stored = point.inbox.stored
    fold.fold(world, run, point, [event for event in _events(world, run, body, at) if event.seq > stored], at)
    breaker_acts.count(world, run, at)
    gate.settle(world, run, at)
    world.replaying = False
    point.inbox.take(last)
    point.inbox.commit(last)
    point.heard_at = at
    world.dirty["run", run.id] = None


def foresee(world: World, body: bytes) -> None:
    """Note a command that was refused when it was already on record: its entry will change nothing."""
    if b'"was_recorded"' not in body:
        return
    entry = from_json(body)
    if entry.get("kind") == "command.refused" and entry.get("was_recorded") is True:
        world.void.add((who_of(entry).name, str(entry.get("command"))))


def entry(world: World, seq: int, _key: str, at: float, body: bytes) -> None:
    """Apply what an audit entry says was done, without recording or telling it again."""
    entry = from_json(body)
    kind = str(entry.get("kind", ""))
    run = run_of(world, entry)
    if run:
        run.owed.pop(debt_of(kind, entry), None)
    replay = _REPLAYS.get(kind)
    if replay is None:
        return
    world.replaying = True
    replay(world, entry, seq, at)
    world.replaying = False
    run = run_of(world, entry)
    if run:
        run.audit_seq = max(run.audit_seq, seq)
    for kind in ("run", "approval"):  # the next records must hold what was replayed, for their marks will be past it
        if entry.get(kind):
            world.dirty[kind, str(entry[kind])] = None


def _unknown_run(world: World, run_id: str, at: float) -> Run:
    run = fold.new_run(world, run_id, HUB, at)
    run.owner = ""
    return run


def _events(world: World, run: Run, body: bytes, at: float) -> list[Any]:
    try:
        return parse_timeline(body)
    except ValidationError:
        world.alert(run, "unreadable", "stored events of this run cannot be read", "critical", at)
        return []


def _replay_started(world: World, entry: dict[str, Any], _seq: int, at: float) -> None:
    if entry["run"] in world.forgotten:
        return
    run = run_of(world, entry) or _unknown_run(world, str(entry["run"]), at)
    if not run.owner:  # else its record has it, or a claim that was recorded before its start
        run.owner, run.unclaimed = str(entry.get("owner", "")), entry.get("point") == GATEWAY


def _replay_claimed(world: World, entry: dict[str, Any], _seq: int, _at: float) -> None:
    run = run_of(world, entry)
    if run:
        run.owner, run.unclaimed = str(entry["owner"]), False


def _replay_requested(world: World, entry: dict[str, Any], seq: int, at: float) -> None:
    run = run_of(world, entry)
    if run is None:
        return
    call = _call_of(run, entry, at)
    call.approval, call.held = entry["approval"], None
    known = world.approvals.get(entry["approval"])
    if known is not None and seq <= known.entry_seq:
        return
    approval = Approval(
        id=entry["approval"],
        run=run.id,
        agent=entry["agent"],
        call=entry["call"],
        kind=CallKind(entry["call_kind"]),
        tool=entry["tool"],
        agent_reason=entry["agent_reason"],
        requested_at=at,
        expires_at=entry["expires_at"],
        remind_at=entry.get("remind_at"),
        escalations=people.read_escalations(entry.get("escalations", [])),
        **asking.read(entry),
        visible=True,
        entry_seq=seq,
    )
    world.approvals[approval.id] = approval
    run.pending.add(approval.id)


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
    """The approval's record and its run's are saved apart: either may already hold the decision."""
    run, approval = run_of(world, entry), world.approvals.get(entry["approval"])
    if run is None or approval is None:
        return
    answer = Answer(entry["answer"])
    if seq > approval.entry_seq:
        approval.entry_seq = seq
        if approval.status in OPEN:
            approval.command, approval.edited_args = entry["command"], entry["edited_args"]
            approval.response = entry["text"] if answer is Answer.RESPOND else None
            replay_people.count_last(approval, entry, answer, at)
            questions.settle(world, approval, ANSWERED[answer], who_of(entry).name, entry["note"], at)
    receipt = world.receipts.get(entry["command"]) or remember(world, entry, at, [run.id])
    if approval.command != entry["command"]:
        receipt.res = decisions.too_late(receipt.command, approval).model_dump(mode="json", exclude_none=True)
        return
    _tell_decided(world, run, approval, entry, at)


def _tell_decided(world: World, run: Run, approval: Approval, entry: dict[str, Any], at: float) -> None:
    call, answer = _call_of(run, entry, at), Answer(entry["answer"])
    frame = _verdict_of(run, call, approval, entry, answer)
    is_answered = call.verdict is not None or not is_open(call)
    if run.state in FENCED and frame.outcome is not Outcome.DENY and not (is_answered and call.permitted):
        approval.delivery = advance_delivery(approval.delivery, Delivery.VOID)  # no point ever had this permit
        return
    if run.state not in HELD:
        call.permitted = call.permitted or frame.outcome is not Outcome.DENY
    if is_answered:
        return
    for composed in frame.calls or ():
        run.composed[call_digest(composed.name, composed.args)] = frame.by
    lost_edit = answer is Answer.EDIT and entry["edited_masked"]
    verdicts.pronounce(world, run, call, refusal_of(frame) if lost_edit else frame, at)


def _verdict_of(run: Run, call: Call, approval: Approval, entry: dict[str, Any], answer: Answer) -> PointCommand:
    is_edit = answer is Answer.EDIT
    return PointCommand(
        cmd=verdict_id(run.id, call.id),
        run=run.id,
        cseq=0,
        do=Do.VERDICT,
        call=call.id,
        outcome=decisions.OUTCOMES[answer],
        digest=call_digest(call.tool, entry["edited_args"]) if is_edit else call.call_digest,
        args=entry["edited_args"] if is_edit else None,
        text=entry["note"] or None if answer is Answer.REJECT else entry["text"],
        calls=[ProposedCall.model_validate(one) for one in entry["calls"]] or None,
        rule=approval.rule,
        by=who_of(entry).name,
    )


def _replay_closed(world: World, entry: dict[str, Any], seq: int, at: float) -> None:
    run, approval = run_of(world, entry), world.approvals.get(entry["approval"])
    if run is None or approval is None:
        return
    if seq > approval.entry_seq:
        approval.entry_seq = seq
        if approval.status in OPEN:
            questions.settle(world, approval, ApprovalStatus(entry["status"]), "hub", entry["why"], at)
        elif approval.status in ANSWERED.values():
            _overrule(world, run, approval, entry, at)
    call = run.calls.get(approval.call)
    if call and call.verdict is None and is_open(call) and approval.status is ApprovalStatus(entry["status"]):
        verdicts.deliver(world, run, call, Outcome.DENY, "hub", "gate:restart", at, text=entry["why"])


def _overrule(world: World, run: Run, approval: Approval, entry: dict[str, Any], at: float) -> None:
    """It was decided, but the run was fenced before that was on record."""
    questions.settle(world, approval, ApprovalStatus(entry["status"]), "hub", entry["why"], at)
    approval.delivery = Delivery.VOID
    world.progress(run, approval.command, CommandStatus.VOID)
    receipt = world.receipts.get(approval.command)
    if receipt:
        receipt.res = decisions.too_late(receipt.command, approval).model_dump(mode="json", exclude_none=True)


def _replay_handed_back(world: World, entry: dict[str, Any], seq: int, at: float) -> None:
    approval = world.approvals.get(entry["approval"])
    if approval is None or seq <= approval.entry_seq or approval.status not in OPEN:
        return
    questions.hand_back(world, approval, entry["by"], entry["why"], at)
    approval.entry_seq = seq


def _replay_outcome(world: World, entry: dict[str, Any], _seq: int, _at: float) -> None:
    run, approval = run_of(world, entry), world.approvals.get(entry["approval"])
    if run and approval:
        outcomes.note_result(world, run, approval, CallStatus(entry["status"]), entry["result"])


def _replay_verdict(world: World, entry: dict[str, Any], _seq: int, at: float) -> None:
    run = run_of(world, entry)
    if run is None:
        return
    call = _call_of(run, entry, at)
    is_allow = entry["outcome"] == "allow"
    if is_allow:
        run.composed.pop(call.call_digest, None)
        call.permitted = call.permitted or run.state not in HELD
    if call.verdict is not None or not is_open(call) or (is_allow and run.state in FENCED):
        return
    text, outcome = (None, Outcome.ALLOW) if is_allow else (entry.get("why"), Outcome.DENY)
    verdicts.deliver(world, run, call, outcome, entry["by"], entry["rule"], at, text=text)


def _replay_control(world: World, entry: dict[str, Any], seq: int, at: float) -> None:
    run = run_of(world, entry)
    if run is None:
        return
    if entry["command"] not in world.receipts:
        remember(world, entry, at, [run.id])
    if (who_of(entry).name, entry["command"]) in world.void:
        return
    replay_alerts.lifted(world, entry, seq, at)
    if run.ended or seq <= run.audit_seq:
        return
    command = Command(
        cmd=entry["command"],
        do=Do(entry["do"]),
        run=run.id,
        text=entry["text"],
        note=entry["note"],
        when=entry["when"],
        caps=entry.get("own_caps") if "lifted" in entry else entry["caps"],
    )
    control.RULES[command.do].apply(world, run, command, who_of(entry).name, at)
    if command.do is Do.RESUME:
        budget.count_waiting(run)


def _replay_limit(world: World, entry: dict[str, Any], seq: int, at: float) -> None:
    run = run_of(world, entry)
    if run and run.state not in FENCED and seq > run.audit_seq:
        limits.pause_at_limit(world, run, entry["command"], entry["reached"], at)


def _replay_lease(world: World, entry: dict[str, Any], seq: int, at: float) -> None:
    run = run_of(world, entry)
    if run and run.state not in FENCED and seq > run.audit_seq:
        why = f"the takeover by {entry['holder']} ran out"
        limits.pause_by_hub(world, run, entry["command"], why, at, end_takeover=True)


def _replay_kill(world: World, entry: dict[str, Any], _seq: int, at: float) -> None:
    command = entry["command"]
    receipt = world.receipts.get(command) or remember(world, entry | {"do": str(Do.KILL)}, at, [])
    for run_id in entry["runs"]:  # the family as it was then: who was born since was not killed by this
        run = world.runs.get(run_id)
        if run:
            kill.begin_one(world, run, command, receipt.by, entry["mode"], entry["reason"], receipt, at)


def _replay_kill_child(world: World, entry: dict[str, Any], _seq: int, at: float) -> None:
    run, parent = run_of(world, entry), world.runs.get(str(entry.get("parent", "")))
    if run and parent:
        kill.begin_child(world, run, parent, at, entry["command"])


def _replay_kill_outcome(world: World, entry: dict[str, Any], seq: int, at: float) -> None:
    run = run_of(world, entry)
    if run is None or run.kill is None or run.kill.status == "dead" or seq <= run.audit_seq:
        return
    run.kill.lines = [(one["name"], one["ms"], one["outcome"]) for one in entry["points"]]
    run.kill.total_ms = entry["total_ms"]
    if entry["status"] == "dead":
        kill.note_dead(world, run, run.kill, Proof(entry["proof"]), at)
    else:
        run.kill.proof = Proof(entry["proof"])
        kill.note_unconfirmed(world, run, run.kill, kill.UNPROVEN, at)
    receipt = world.receipts.get(entry["command"])
    if receipt:
        receipt.runs[run.id] = {one: entry[one] for one in ("run", "status", "proof", "points", "total_ms")}


def _replay_ended(world: World, entry: dict[str, Any], _seq: int, at: float) -> None:
    """The end is on record even where the event that told it was not stored in time."""
    run = run_of(world, entry)
    if run and not run.ended:
        world.move(run, RunState(entry["state"]), Author.SUPERVISOR, at)
        run.reason = entry["reason"]


def _replay_given_up(world: World, entry: dict[str, Any], _seq: int, at: float) -> None:
    run = run_of(world, entry)
    if run:
        world.move(run, RunState.FAILED, Author.HUB, at)
        run.reason = "lost"


_REPLAYS: dict[str, Callable[[World, dict[str, Any], int, float], None]] = {
    "run.started": _replay_started,
    "run.claimed": _replay_claimed,
    "approval.requested": _replay_requested,
    "approval.voted": replay_people.voted,
    "alert.raised": replay_alerts.raised,
    "alert.answered": replay_alerts.answered,
    "breaker.tripped": replay_alerts.tripped,
    "breaker.resumed": replay_alerts.resumed,
    "budget.changed": replay_alerts.retuned,
    "grant.given": replay_people.given,
    "grant.used": replay_people.used,
    "grant.revoked": replay_people.revoked,
    "approval.decided": _replay_decided,
    "approval.reminded": replay_people.reminded,
    "approval.escalated": replay_people.escalated,
    "approval.expired": _replay_closed,
    "approval.cancelled": _replay_closed,
    "call.verdict": _replay_verdict,
    "command.refused": replay_people.refused,
    "limit.tripped": _replay_limit,
    "takeover.expired": _replay_lease,
    "approval.handed_back": _replay_handed_back,
    "call.outcome": _replay_outcome,
    "kill": _replay_kill,
    "kill.child": _replay_kill_child,
    "kill.outcome": _replay_kill_outcome,
    "run.ended": _replay_ended,
    "run.given_up": _replay_given_up,
} | {f"run.{do}": _replay_control for do in control.RULES}
"""kind of entry -> how it changes the desk; what is not here only informs."""
