"""What operators ask for, checked and carried out: each command once, each refusal on record, stops before records."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from opsconsole.domain.approval import Answer, ApprovalStatus
from opsconsole.domain.command import NEEDS, CommandStatus, Do, may
from opsconsole.domain.digest import NotCanonical, digest
from opsconsole.hub.desk import breaker_ends, control, decisions, gateway, grants, kill, refusals, watch_answers
from opsconsole.hub.desk.effects import Effects, Reply
from opsconsole.hub.desk.policies import changed_hub
from opsconsole.hub.desk.principal import Principal
from opsconsole.hub.desk.refusal import Refusal
from opsconsole.hub.desk.state import Receipt, Run
from opsconsole.hub.desk.world import World
from opsconsole.protocol.frames import (
    Command,
    Res,
)


def command(world: World, command: Command, principal: Principal, reply_to: str, now: float) -> Effects:
    """An operator asks for something; answered by a Reply, at once or once it is on record."""
    body_hash = ""
    try:
        body_hash = digest(command.model_dump(mode="json", exclude_none=True))
        known = world.receipts.get(command.cmd) or refusals.known(world, command.cmd, principal)
        if known:
            return _again(world, known, body_hash, reply_to)
        _check_role(world, command, principal)
        return _dispatch(world, command, principal, body_hash, reply_to, now)
    except NotCanonical as error:
        refusal = Refusal("bad_request", f"the command has no canonical form: {error}", {})
        return refusals.refuse(world, command, principal, reply_to, refusal, body_hash, now)
    except Refusal as refusal:
        return refusals.refuse(world, command, principal, reply_to, refusal, body_hash, now)


def _check_role(world: World, command: Command, who: Principal) -> None:
    needed = NEEDS.get(command.do)
    if needed is None or not may(who.role, needed):
        raise Refusal("forbidden", f"{command.do} needs the role {needed or 'hub'}; {who.name} is {who.role}", {})


def _dispatch(world: World, command: Command, who: Principal, body_hash: str, reply_to: str, now: float) -> Effects:
    receipt = Receipt(command=command.cmd, do=str(command.do), by=who.name, at=now, body_hash=body_hash)
    return ACTS[command.do](world, command, who, receipt, reply_to, now)


def _grant(world: World, command: Command, who: Principal, receipt: Receipt, reply_to: str, now: float) -> Effects:
    """A grant stands once it is on record; it ends at once."""
    is_new = command.do is Do.GRANT
    grant = grants.check(world, command, who, now) if is_new else grants.find(world, command, now)
    receipt.waiting.append(reply_to)
    world.remember(receipt)
    more = grants.command_details(command, grant) | {"command_digest": receipt.body_hash}
    body = world.entry("grant.given" if is_new else "grant.revoked", who, now, more)
    ok = Res(cmd=command.cmd, ok=True, status="recorded", current={"grant": grant.id})
    if not is_new:
        grant.revoked = str(more["why"])
        world.dirty["grant", grant.id] = None
        return _acted(world, receipt, f"grant/{grant.id}", body, ok, now)

    def done(_seq: int, then: float) -> Effects:
        grants.put(world, grant)
        return grants.revoke_stale(world, then) + _answer(world, receipt, ok)

    def failed(problem: str, then: float) -> Effects:
        return _unrecorded(world, command, who, receipt, problem, then)

    return world.record(f"grant/{grant.id}", body, done=done, failed=failed)


def _answer_alert(
    world: World, command: Command, who: Principal, receipt: Receipt, reply_to: str, now: float
) -> Effects:
    """What an operator says of an alert counts once it is on record."""
    found = watch_answers.check(world, command)
    receipt.waiting.append(reply_to)
    world.remember(receipt)
    details = watch_answers.details(world, command, found) | {"command_digest": receipt.body_hash}
    body = world.entry("alert.answered", who, now, details)
    key = f"run/{details['run']}" if details["run"] else "hub/alert.answered"

    def done(seq: int, _then: float) -> Effects:
        keys = watch_answers.key_of(world, found, details["alert"])
        changed = watch_answers.apply(world, found, details["alert"], details["verdict"], who.name)
        watch_answers.tune(world, details["detector"], details["agents"], details["verdict"], keys)
        world.watch.tuned_seq = max(world.watch.tuned_seq, seq)
        told = [effect for run in changed for effect in world.changed_run(run)]
        return told + changed_hub() + _answer(world, receipt, Res(cmd=command.cmd, ok=True, status="applied"))

    def failed(problem: str, then: float) -> Effects:
        return _unrecorded(world, command, who, receipt, problem, then)

    return world.record(key, body, done=done, failed=failed)


def _budget(world: World, command: Command, who: Principal, receipt: Receipt, reply_to: str, now: float) -> Effects:
    """Other caps hold once they are on record."""
    details = breaker_ends.check_budget(world, command, now) | {"command_digest": receipt.body_hash}
    receipt.waiting.append(reply_to)
    world.remember(receipt)
    key = f"run/{details['run']}" if details["run"] else "hub/budget.changed"

    def done(seq: int, then: float) -> Effects:
        world.budgets.seq = max(world.budgets.seq, seq)
        changed = breaker_ends.change_budget(world, details, who.name, then)
        current = {"going_on": breaker_ends.count_going(world, details["runs"])} if details["go_on"] else {}
        return changed + _answer(world, receipt, Res(cmd=command.cmd, ok=True, status="applied", current=current))

    def failed(problem: str, then: float) -> Effects:
        return _unrecorded(world, command, who, receipt, problem, then)

    return world.record(key, world.entry("budget.changed", who, now, details), done=done, failed=failed)


def _unrecorded(world: World, command: Command, who: Principal, receipt: Receipt, problem: str, now: float) -> Effects:
    """What storage did not take was not done."""
    world.receipts.pop(command.cmd, None)
    refusal = Refusal("storage_failed", problem, {})
    told = _answer(world, receipt, refusals.res_of(command, refusal))
    return told + refusals.record(world, command, who, refusal, now)


def _again(world: World, known: Receipt, body_hash: str, reply_to: str) -> Effects:
    if known.body_hash != body_hash:
        res = Res(
            cmd=known.command, ok=False, code="idempotency_conflict", message="this id was used for another command"
        )
        return [Reply(to=reply_to, res=res)]
    if known.res is None:
        known.waiting.append(reply_to)
        return []
    return [Reply(to=reply_to, res=Res.model_validate(known.res | {"replayed": True}))]


def _answer(world: World, receipt: Receipt, res: Res) -> Effects:
    receipt.res = res.model_dump(mode="json", exclude_none=True)
    waiting, receipt.waiting = receipt.waiting, []
    world.dirty["receipt", receipt.command] = None
    return [Reply(to=one, res=res) for one in waiting]


def _acted(world: World, receipt: Receipt, key: str, body: bytes, res: Res, now: float) -> Effects:
    """Something has been done: its giver hears so when it is on record, or soon in any case."""
    receipt.pending = res.model_copy(update={"status": "unrecorded"}).model_dump(mode="json", exclude_none=True)
    world.at(now + world.settings.answer_seconds, "answer", receipt.command)
    return world.record_act(
        key,
        body,
        lambda _seq, _now: _answer(world, receipt, res),
        lambda problem, _now: answer_unrecorded(world, receipt.command, f"its entry waits for storage: {problem}"),
        is_act=True,
    )


def _void(world: World, receipt: Receipt, command: Command, who: Principal, refusal: Refusal, now: float) -> Effects:
    """A command is refused although it is on record: its giver hears so when that is on record too, or soon."""
    res = refusals.res_of(command, refusal)
    receipt.pending = res.model_copy(update={"status": "unrecorded"}).model_dump(mode="json", exclude_none=True)
    waits = f"{refusal.message}; the entry that says so waits for storage"
    world.at(now + world.settings.answer_seconds, "answer", receipt.command)
    return refusals.record_late(
        world,
        command,
        receipt.body_hash,
        who,
        refusal,
        now,
        lambda _seq, _now: _answer(world, receipt, res),
        lambda problem, _now: answer_unrecorded(world, receipt.command, f"{waits}: {problem}"),
    )


def answer_unrecorded(world: World, command: str, why: str = "its entry waits for storage") -> Effects:
    """What stops was done at once; its giver need not wait for a slow disk to know that."""
    receipt = world.receipts.get(command)
    if receipt is None or receipt.res is not None or receipt.pending is None:
        return []
    return _answer(world, receipt, Res.model_validate(receipt.pending | {"message": why}))


def _decide(world: World, command: Command, who: Principal, receipt: Receipt, reply_to: str, now: float) -> Effects:
    if command.do is Do.CLAIM:
        approval = world.approvals.get(command.approval or "")
        if approval is None or not approval.visible:
            raise Refusal("not_found", f"no approval {command.approval!r}", {})
        receipt.waiting.append(reply_to)
        world.remember(receipt)
        answered = _answer(world, receipt, Res(cmd=command.cmd, ok=True, status="applied"))
        return answered + decisions.claim(world, approval, who, command.text)
    subject = decisions.check(world, command, who, now)
    approval = subject.approval
    details = decisions.details(world, command, subject) | {
        "seconds_to_decide": round(now - approval.requested_at, 3),
        "command_digest": receipt.body_hash,
    }
    is_enough = decisions.is_enough(command, who, subject)
    details |= decisions.vote_details(world, command, who, subject, is_enough)
    body = world.entry("approval.decided" if is_enough else "approval.voted", who, now, details)
    receipt.runs[approval.run] = line_of(approval.run)
    receipt.waiting.append(reply_to)
    world.remember(receipt)
    key = f"approval/{approval.id}"
    if command.answer is Answer.REJECT:
        told = decisions.apply(world, command, who, subject, now)
        return told + _acted(world, receipt, key, body, Res(cmd=command.cmd, ok=True, status="recorded"), now)
    decisions.begin(approval)
    if is_enough:
        apply = functools.partial(decisions.apply, world, command, who, subject)
    else:
        apply = functools.partial(decisions.vote, world, command, who, subject, details["anew"])
    done, failed = _decided(world, command, who, receipt, subject, apply)
    return world.record(key, body, done=done, failed=failed, expect=approval.entry_seq)


def _decided(
    world: World,
    command: Command,
    who: Principal,
    receipt: Receipt,
    subject: decisions.Subject,
    apply: Callable[[float], Effects],
) -> tuple[Callable[[int, float], Effects], Callable[[str, float], Effects]]:
    approval = subject.approval

    def done(seq: int, now: float) -> Effects:
        approval.entry_seq = seq
        if approval.status is not ApprovalStatus.DECIDING:
            decisions.voided(approval)
            world.progress(subject.run, command.cmd, CommandStatus.VOID)
            return _answer(world, receipt, decisions.too_late(command.cmd, approval)) + world.changed_approval(approval)
        told = apply(now)
        return told + _answer(world, receipt, decisions.res_of(command.cmd, approval))

    def failed(problem: str, now: float) -> Effects:
        world.receipts.pop(command.cmd, None)
        refusal = Refusal("storage_failed", f"not decided: {problem}", {})
        told = _answer(world, receipt, refusals.res_of(command, refusal))
        return told + decisions.undo(world, approval) + refusals.record(world, command, who, refusal, now)

    return done, failed


def _control(world: World, command: Command, who: Principal, receipt: Receipt, reply_to: str, now: float) -> Effects:
    run = world.runs.get(command.run or "")
    if run is None:
        raise Refusal("not_found", f"no run {command.run!r}", {})
    _check_precondition(command, run)
    plan = breaker_ends.plan(world, run, command, now)
    control.check(run, plan.own, who)
    rule = control.RULES[command.do]
    receipt.side = gateway.side_of(run, command.do)
    about = {"command_digest": receipt.body_hash, "side": receipt.side}
    details = control.details(run, command) | about | plan.details
    body = world.entry(f"run.{command.do}", who, now, details)
    receipt.runs[run.id] = line_of(run.id)
    receipt.waiting.append(reply_to)
    world.remember(receipt)
    ok = Res(cmd=command.cmd, ok=True, status="recorded")
    epoch = run.epoch

    def act(then: float) -> Effects:
        noted = world.note_command(run, command.cmd, command.do, who.name, "recorded", then, command.text)
        lifted = breaker_ends.lift(world, plan.lifted, then) if plan.lifted else []
        return lifted + rule.apply(world, run, plan.own, who.name, then) + noted

    if rule.stops:
        return act(now) + _acted(world, receipt, f"run/{run.id}", body, ok, now)

    def done(seq: int, then: float) -> Effects:
        run.audit_seq = seq
        try:
            _check_precondition(command, run)
            _check_meant(command, run, epoch)
            breaker_ends.check_lifted(plan, breaker_ends.plan(world, run, command, then))
            control.check(run, plan.own, who)
        except Refusal as refusal:
            world.progress(run, command.cmd, CommandStatus.VOID)
            return _void(world, receipt, command, who, refusal, then)
        world.budgets.seq = max(world.budgets.seq, seq)
        return act(then) + _answer(world, receipt, ok)

    def failed(problem: str, then: float) -> Effects:
        return _unrecorded(world, command, who, receipt, problem, then)

    return world.record(f"run/{run.id}", body, done=done, failed=failed)


def _check_precondition(command: Command, run: Run) -> None:
    wanted = command.if_
    if wanted is None:
        return
    if wanted.state is not None and run.state not in wanted.state:
        raise Refusal("precondition_failed", f"the run is {run.state}", {"state": str(run.state)})
    if wanted.epoch is not None and wanted.epoch != run.epoch:
        raise Refusal("precondition_failed", "the control epoch has moved on", {"epoch": run.epoch})


def _check_meant(command: Command, run: Run, epoch: int) -> None:
    """A takeover that began while the end of another was being recorded goes on: it may be another side's to end."""
    if command.do is Do.RELEASE and run.epoch != epoch:
        raise Refusal("precondition_failed", "that takeover has ended meanwhile", {"epoch": run.epoch})


def _kill(world: World, command: Command, who: Principal, receipt: Receipt, reply_to: str, now: float) -> Effects:
    runs, unknown = kill.targets(world, command)
    if not runs and not command.all:
        raise Refusal("not_found", f"no run {', '.join(unknown) or '(none named)'}", {"unknown": unknown})
    receipt.waiting.append(reply_to)
    world.remember(receipt)
    acted: Effects = []
    for run in runs:
        acted += kill.begin(world, run, command.cmd, who.name, command.mode, command.note or "", receipt, now)
    for one in unknown:
        receipt.runs[one] = line_of(one, "not_found")
    known = [line["status"] for one, line in receipt.runs.items() if one not in unknown]
    dead = bool(known) and set(known) == {"already_dead"}
    res = Res(
        cmd=command.cmd,
        ok=True,
        status="already_dead" if dead else "recorded",
        current={"unknown": unknown} if unknown else {},
    )
    named = {run.id for run in runs}
    body = world.entry(
        "kill",
        who,
        now,
        {
            "command": command.cmd,
            "mode": command.mode,
            "reason": command.note or "",
            "all": command.all,
            "run": runs[0].id if len(runs) == 1 else None,
            "runs": [one for one in receipt.runs if one in world.runs],
            "named": sorted(named),
            "unknown": unknown,
            "command_digest": receipt.body_hash,
        },
    )
    key = f"run/{runs[0].id}" if len(runs) == 1 else "kill"
    return acted + _acted(world, receipt, key, body, res, now)


def line_of(run: str, status: str = "recorded") -> dict[str, Any]:
    """One run of a receipt, before anything is known of how the command goes there."""
    return {"run": run, "status": status, "proof": "none", "points": [], "total_ms": None}


Act = Callable[[World, Command, Principal, Receipt, str, float], Effects]
ACTS: dict[Do, Act] = {
    Do.KILL: _kill,
    Do.DECIDE: _decide,
    Do.CLAIM: _decide,
    Do.GRANT: _grant,
    Do.REVOKE_GRANT: _grant,
    Do.ANSWER_ALERT: _answer_alert,
    Do.BUDGET: _budget,
    **dict.fromkeys(control.RULES, _control),
}
"""What each command does; those of `control.RULES` are about one run and go one way."""
