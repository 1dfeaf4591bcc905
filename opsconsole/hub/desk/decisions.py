"""An operator decides: the checks that bind one decision to one exact call, and what follows once it is on record."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from opsconsole.domain.approval import ANSWERED, RECORDED, Answer, ApprovalStatus, Delivery
from opsconsole.domain.command import CommandStatus
from opsconsole.domain.digest import NotCanonical, call_digest, canonical
from opsconsole.domain.run import FENCED
from opsconsole.domain.tool_call import CallKind, Outcome
from opsconsole.hub.desk import gate, history, people, questions, verdicts, votes
from opsconsole.hub.desk.effects import Effects
from opsconsole.hub.desk.principal import Principal
from opsconsole.hub.desk.refusal import Refusal
from opsconsole.hub.desk.state import Approval, Call, Run, Vote
from opsconsole.hub.desk.world import World
from opsconsole.policy.facts.interface import NO_HISTORY
from opsconsole.policy.facts.schema import SchemaFact
from opsconsole.policy.interface import Decision, Verdict
from opsconsole.policy.redaction import redact
from opsconsole.protocol.frames import Command, Res
from opsconsole.protocol.limits import ARGS_BYTES_MAX

CLAIM_CHARS_MAX = 64
"""Of the name of whom a call is passed on to."""
MASK_MARK = "[secret:"
"""What a masked value looks like; it may not come back inside edited arguments: the agent would send the mask."""

_OFFERED = SchemaFact(validator=None)
"""Checks against the schema that comes with the call."""
OUTCOMES = {
    Answer.APPROVE: Outcome.ALLOW,
    Answer.EDIT: Outcome.ALLOW,
    Answer.REJECT: Outcome.DENY,
    Answer.RESPOND: Outcome.ANSWER,
}


@dataclass(frozen=True, slots=True)
class Subject:
    """What a decision is about."""

    approval: Approval
    run: Run
    call: Call
    verdict: Verdict | None = None
    """The policy's word on edited arguments."""


def check(world: World, command: Command, who: Principal, now: float) -> Subject:
    """The approval a decision is about. Raises: Refusal when it may not stand."""
    subject = _find(world, command)
    approval, run = subject.approval, subject.run
    if approval.status is not ApprovalStatus.PENDING:
        deciding = approval.status is ApprovalStatus.DECIDING
        raise Refusal(
            "already_settled",
            "another decision is being recorded" if deciding else f"already {approval.status} by {approval.decided_by}",
            {"status": str(approval.status), "by": approval.decided_by, "at": approval.decided_at},
        )
    if command.digest != approval.digest:
        raise Refusal("digest_mismatch", "this is not what was shown", {"digest": approval.digest})
    if run.state in FENCED:
        raise Refusal("precondition_failed", f"the run is {run.state}", {"state": str(run.state)})
    if now >= approval.expires_at:
        raise Refusal("already_settled", "it has expired", {"status": "expired"})
    if approval.rule == "takeover" and run.baton and run.baton.by != who.name:
        raise Refusal("forbidden", f"{run.baton.by} has taken this run over", {"by": run.baton.by})
    return replace(subject, verdict=_check_answer(world, command, subject, who, now))


def _find(world: World, command: Command) -> Subject:
    approval = world.approvals.get(command.approval or "")
    if approval is None or not approval.visible:
        raise Refusal("not_found", f"no approval {command.approval!r}", {})
    run = world.runs.get(approval.run)
    call = run.calls.get(approval.call) if run else None
    if run is None or call is None:
        raise Refusal("not_found", "its run or call is gone", {})
    return Subject(approval, run, call)


def _check_answer(world: World, command: Command, subject: Subject, who: Principal, now: float) -> Verdict | None:
    approval = subject.approval
    if command.answer is None:
        raise Refusal("bad_request", "a decision needs an answer: approve, edit, reject or respond", {})
    if command.answer is Answer.APPROVE and approval.rule == "takeover":
        raise Refusal("bad_request", "answer as the model, or hand the run back", {})
    if command.answer is Answer.RESPOND and command.text is None and not command.calls:
        raise Refusal("bad_request", "a response needs a text", {})
    if command.calls and approval.kind is not CallKind.MODEL_CALL:
        raise Refusal("bad_request", "calls can be composed only in answer to a model call", {})
    votes.check(approval, command.answer, who.name)
    if command.answer is Answer.APPROVE and votes.is_lost(subject.call, approval):
        raise Refusal("precondition_failed", votes.LOST_EDIT, {})
    return _check_edit(world, command, subject, now) if command.answer is Answer.EDIT else None


def _check_edit(world: World, command: Command, subject: Subject, now: float) -> Verdict:
    if not subject.approval.may_edit:
        raise Refusal("bad_request", "this call may not be edited", {})
    args = edited_arguments(command)
    _check_schema(subject.call, args)
    verdict = gate.judge_edit(world, subject.run, subject.call, args, now)
    if verdict.decision is Decision.DENY:
        raise Refusal("policy_denied", verdict.reason, {"rule": verdict.rule})
    if verdict.decision is Decision.ASK and not verdict.may_edit:
        raise Refusal("policy_denied", f"rule {verdict.rule} lets nobody edit such a call", {"rule": verdict.rule})
    return verdict


def edited_arguments(command: Command) -> dict[str, Any]:
    """The arguments that an edit gives, if a call could be made with them. Raises: Refusal."""
    if command.args is None:
        raise Refusal("bad_request", "an edit needs the whole new arguments", {})
    try:
        text = canonical(command.args)
    except NotCanonical as error:
        raise Refusal("bad_request", f"the arguments have no canonical form: {error}", {}) from None
    if len(text) > ARGS_BYTES_MAX:
        raise Refusal("bad_request", f"the arguments are larger than {ARGS_BYTES_MAX} bytes", {})
    if MASK_MARK.encode() in text:
        raise Refusal(
            "bad_request", "a masked secret stands in the edited arguments: the agent would send the mask", {}
        )
    return command.args


def _check_schema(call: Call, args: dict[str, Any]) -> None:
    """What the tool's own schema has against new arguments and had not against those proposed is a slip of the hand.

    A schema that cannot be read, or that refuses what the agent proposed as well, says nothing.
    """
    if call.input_schema is None:
        return
    before = _problems(call.input_schema, call.args or {})
    found = [one for one in _problems(call.input_schema, args) if one not in before]
    if found:
        raise Refusal("bad_request", f"the tool's schema refuses {'; '.join(found)}", {"errors": found})


def _problems(schema: dict[str, Any], args: dict[str, Any]) -> list[str]:
    fact = _OFFERED(args, replace(NO_HISTORY, tool_schema=schema))
    errors = fact["errors"]
    return [] if fact["unclear"] or not isinstance(errors, list) else [str(one) for one in errors]


def details(world: World, command: Command, subject: Subject) -> dict[str, Any]:
    """What the audit holds of a decision; enough to deliver it again after a restart."""
    approval, call, answer = subject.approval, subject.call, answer_of(command, subject.approval)
    args = _edited(command, subject)
    edited, edited_masked = redact(args, world.mask) if args is not None else (None, False)
    return {
        "approval": approval.id,
        "run": approval.run,
        "agent": approval.agent,
        "call": approval.call,
        "tool": approval.tool,
        "digest": approval.digest,
        "call_digest": call.call_digest,
        "policy": approval.policy_hash,
        "answer": str(answer),
        "args": approval.args,
        "edited_args": edited,
        "edited_masked": edited_masked,
        "text": command.text,
        "calls": [call.model_dump(mode="json") for call in command.calls or []],
        "note": command.note or "",
        "command": command.cmd,
        "seconds_to_decide": None,
    }


def answer_of(command: Command, approval: Approval) -> Answer:
    """What is decided: who says yes to arguments that somebody else has edited decides for the edit."""
    answer = command.answer or Answer.REJECT
    return Answer.EDIT if answer is Answer.APPROVE and approval.edited_by is not None else answer


def _edited(command: Command, subject: Subject) -> dict[str, Any] | None:
    """The whole new arguments that a decision lets run, or None where those that were proposed may."""
    if command.answer is Answer.EDIT:
        return command.args
    if answer_of(command, subject.approval) is Answer.EDIT:
        return votes.edited_args(subject.call, subject.approval)
    return None


def begin(approval: Approval) -> None:
    """A decision is on its way to the disk: no other may start."""
    approval.status = ApprovalStatus.DECIDING


def is_enough(command: Command, who: Principal, subject: Subject) -> bool:
    """Whether this answer decides; else it is one of several that are needed."""
    answer = command.answer or Answer.REJECT
    return answer is Answer.REJECT or votes.is_enough(subject.approval, answer, who.name, subject.verdict)


def vote_details(world: World, command: Command, who: Principal, subject: Subject, is_enough: bool) -> dict[str, Any]:
    """What the audit holds of a yes where several may be needed, beside what it holds of every decision."""
    approval, verdict = subject.approval, subject.verdict
    if command.answer is Answer.REJECT or not (approval.quorums or (verdict and verdict.quorums)):
        return {} if is_enough else {"anew": None}
    anew = None
    if not is_enough and verdict is not None:
        anew = votes.asked_anew(world, subject.run, subject.call, command.args or {}, verdict)
    before = [] if command.answer is Answer.EDIT else votes.voters(approval)
    return {"votes": [*before, who.name], "approvers": people.wanted(approval.quorums)} | (
        {} if is_enough else {"anew": anew}
    )


def vote(
    world: World, command: Command, who: Principal, subject: Subject, anew: dict[str, Any] | None, now: float
) -> Effects:
    """One yes of several stands: the approval waits for the others."""
    approval, run, call = subject.approval, subject.run, subject.call
    approval.status = RECORDED[command.answer or Answer.REJECT, False]
    votes.count(approval, Vote(by=who.name, at=now, command=command.cmd), anew)
    if anew is not None:
        call.edited = command.args
        history.note_change(world, call, command.args or {}, subject.verdict.facts if subject.verdict else {})
    world.at(approval.expires_at, "expire", approval.id)
    world.progress(run, command.cmd, CommandStatus.APPLIED)
    noted = world.note_command(run, command.cmd, command.do, who.name, "voted", now, approval.tool)
    return noted + world.changed_approval(approval)


def undo(world: World, approval: Approval) -> Effects:
    """It could not be recorded: the approval waits again."""
    if approval.status is ApprovalStatus.DECIDING:
        approval.status = ApprovalStatus.PENDING
        world.at(approval.expires_at, "expire", approval.id)
    return world.changed_approval(approval)


def apply(world: World, command: Command, who: Principal, subject: Subject, now: float) -> Effects:
    """A decision stands: settle the approval and tell the agent."""
    approval, run, call = subject.approval, subject.run, subject.call
    answer, edited = answer_of(command, approval), _edited(command, subject)
    if answer is Answer.EDIT and edited is None:
        return questions.close(world, approval, ApprovalStatus.CANCELLED, votes.LOST_EDIT, "gate:restart", now)
    if answer is not Answer.REJECT:
        earlier = [] if command.answer is Answer.EDIT else approval.votes
        approval.votes = [*earlier, Vote(by=who.name, at=now, command=command.cmd)]
    history.tell(world, run, command.text)
    if answer is Answer.EDIT and subject.verdict is not None:
        history.note_change(world, call, edited or {}, subject.verdict.facts)
    approval.edited_args = redact(edited, world.mask)[0] if answer is Answer.EDIT else None
    approval.response = redact(command.text, world.mask)[0] if answer is Answer.RESPOND else None
    approval.command = command.cmd
    settled = questions.settle(world, approval, ANSWERED[answer], who.name, command.note or "", now)
    for composed in command.calls or ():
        run.composed[call_digest(composed.name, composed.args)] = who.name
    told = verdicts.deliver(
        world,
        run,
        call,
        OUTCOMES[answer],
        who.name,
        approval.rule,
        now,
        text=_words(command, answer, who),
        args=edited if answer is Answer.EDIT else None,
        calls=command.calls if answer is Answer.RESPOND else None,
    )
    noted = world.note_command(run, command.cmd, command.do, who.name, str(approval.status), now, approval.tool)
    call.edited = None
    return told + noted + settled


def _words(command: Command, answer: Answer, who: Principal) -> str | None:
    if answer is Answer.REJECT:
        return command.note or f"{who.name} rejected this call."
    return command.text


def voided(approval: Approval) -> None:
    """A decision was recorded after the run had been fenced: it reaches nobody."""
    if approval.delivery is Delivery.NONE:
        approval.delivery = Delivery.VOID


def res_of(command: str, approval: Approval) -> Res:
    """The answer to a yes that is on record."""
    if approval.status is not ApprovalStatus.PENDING:
        return Res(cmd=command, ok=True, status="recorded")
    current = {"votes": votes.voters(approval), "approvers": people.wanted(approval.quorums)}
    return Res(cmd=command, ok=True, status="voted", current=current)


def too_late(command: str, approval: Approval) -> Res:
    """The answer to a decision whose run was stopped before it was on record."""
    return Res(
        cmd=command,
        ok=False,
        code="precondition_failed",
        message=f"the run was stopped meanwhile: the approval is {approval.status}",
        current={"status": str(approval.status)},
    )


def claim(world: World, approval: Approval, who: Principal, to: str | None = None) -> Effects:
    """Show that an operator is looking, or no longer is; with `to`, that another one should. It binds nobody."""
    approval.claimed_by, approval.passed_by = claimed(approval.claimed_by, approval.passed_by, who, to)
    return world.changed_approval(approval)


def claimed(before: str | None, passed_by: str | None, who: Principal, to: str | None) -> tuple[str | None, str | None]:
    """Who looks after a claim, and who passed it on: nobody named turns one's own on and off, an empty name only off.

    What somebody was passed is theirs by their first claim, without being taken from them.
    """
    own = before == who.name
    if to is None:
        return (None, None) if own and passed_by is None else (who.name, None)
    if to == "":
        return (None, None) if own else (before, passed_by)
    return to[:CLAIM_CHARS_MAX], None if to == who.name else who.name
