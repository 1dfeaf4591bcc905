"""The gate: every proposal gets exactly one verdict, an allow only after it is on record, and never after the fence.

propose ─▶ refuse at once      fenced, digest wrong, arguments unreadable, policy says no or fails
        ─▶ hold                paused: judged when the run resumes
        ─▶ allow, once recorded
        ─▶ ask, once recorded ─▶ decide (decisions.py) | expire | cancel (questions.py)
"""

from __future__ import annotations

from typing import Any

from opsconsole.domain.command import Do
from opsconsole.domain.digest import NotCanonical, call_digest, canonical
from opsconsole.domain.ids import verdict_id
from opsconsole.domain.run import FENCED, HELD
from opsconsole.domain.tool_call import CallKind, Outcome, Risk
from opsconsole.hub.desk import budget, budgets, costs, grants, history, leases, people, questions, verdicts, watch
from opsconsole.hub.desk.effects import Effects, Send
from opsconsole.hub.desk.principal import HUB
from opsconsole.hub.desk.settings import OPEN_CALLS_MAX
from opsconsole.hub.desk.state import GATEWAY, Call, Grant, Run
from opsconsole.hub.desk.verdicts import call_details, refuse
from opsconsole.hub.desk.world import World, merged
from opsconsole.policy.interface import UNKNOWN_HISTORY, Decision, Proposal, Verdict
from opsconsole.protocol.events import ToolEvent
from opsconsole.protocol.frames import PointCommand
from opsconsole.protocol.limits import ARGS_BYTES_MAX

HANDOFF = "handoff"
"""What every handoff is named."""


def propose(world: World, run: Run, call: Call, event: ToolEvent, now: float) -> Effects:
    """A call wants to run."""
    problem = _unreadable(call, event)
    if problem:
        return refuse(world, run, call, problem, "gate:arguments", now)
    if len(run.open_calls) > OPEN_CALLS_MAX:
        return refuse(world, run, call, "Too many calls of this run wait.", "gate:flood", now)
    return judge(world, run, call, now)


def propose_again(world: World, run: Run, call: Call, event: ToolEvent, now: float) -> Effects:
    """The same call, from another point or sent twice: the same verdict, never a second question."""
    digest = event.digest or ""
    if digest not in (call.call_digest, call.edited_digest) or event.kind is not call.kind or _unreadable(call, event):
        frame = PointCommand(
            cmd=verdict_id(run.id, f"{call.id}\n{digest}"),
            run=run.id,
            cseq=0,
            do=Do.VERDICT,
            call=call.id,
            outcome=Outcome.DENY,
            digest=digest,
            text="This call changed after it was proposed.",
            rule="gate:changed",
            by="hub",
        )
        details = call_details(run, call) | {"proposed_digest": digest, "rule": "gate:changed"}
        return world.tell(run, frame, now) + world.record_act(
            f"run/{run.id}", world.entry("call.changed", HUB, now, details)
        )
    if call.args is None and call.verdict is None:
        call.args = event.args
    if call.verdict is None:
        return [] if call.asked or call.approval or call.held else judge(world, run, call, now)
    if not any(one.frame.cmd == call.verdict for one in run.commands):
        if call.point == GATEWAY and call.permitted:
            return []  # the gateway let it go, the agent's own point makes it: every point has acknowledged the permit
        return refuse(world, run, call, "This call has had its verdict.", "gate:repeated", now)
    for point in run.points.values():
        verdicts.keep_back(run, point.name, now)
    return [
        Send(conn=point.conn, frame=one.frame)
        for one in run.commands
        for point in run.points.values()
        if one.frame.cmd == call.verdict and point.conn and one.is_due(point.name, now)
    ]


def judge(world: World, run: Run, call: Call, now: float) -> Effects:
    """Fence, pause, takeover, then policy."""
    if run.state in FENCED:
        return refuse(world, run, call, f"The run is {run.state}.", "gate:fenced", now)
    if run.state in HELD:
        return verdicts.hold(world, run, call, now)
    call.held = None
    if call.kind is CallKind.MODEL_CALL and run.baton and not call.embeds:
        budget.count_turn(run, call)  # one that waited while the run was paused was not counted as it came
        why = f"{run.baton.by} has taken over and answers as the model"
        verdict = Verdict(
            decision=Decision.ASK,
            rule="takeover",
            reason=why,
            risk=Risk.LOW,
            may_edit=False,
            ttl_seconds=run.baton.until - now,
        )
        return questions.ask(world, run, call, verdict, now)
    if call.kind is CallKind.MODEL_CALL and costs.is_refused(world, call):
        return refuse(world, run, call, f"No price is known for {call.tool}: {costs.REFUSED}", "gate:unpriced", now)
    return _obey(world, run, call, _ask_policy(world, run, call, now), now)


def _obey(world: World, run: Run, call: Call, verdict: Verdict, now: float) -> Effects:
    watch.proposed(world, run, call, verdict.facts, now)
    if verdict.decision is Decision.DENY:
        return refuse(world, run, call, verdict.reason, verdict.rule, now, verdict=verdict)
    history.note_change(world, call, call.args or {}, verdict.facts)
    composer = run.composed.pop(call.call_digest, None) if call.kind is CallKind.TOOL_CALL else None
    if verdict.decision is Decision.ALLOW and call.kind is CallKind.MODEL_CALL:
        return budget.admit(world, run, call, verdict.rule, now)
    if verdict.decision is Decision.ALLOW:
        return verdicts.allow(world, run, call, verdict.rule, "policy", now, verdict)
    if composer and people.suffices(verdict.quorums, verdict.not_by, composer):
        return verdicts.allow(world, run, call, "takeover:composed", composer, now, verdict)
    grant = grants.fitting(world, run, call, verdict, now)
    if grant is not None:
        return _use(world, run, call, verdict, grant, now)
    return questions.ask(world, run, call, verdict, now)


def _use(world: World, run: Run, call: Call, verdict: Verdict, grant: Grant, now: float) -> Effects:
    """A standing grant answers: its use is counted at once and on record before the allow is."""
    grant.used += 1
    world.dirty["grant", grant.id] = None
    call.asked = True

    def done(_seq: int, then: float) -> Effects:
        call.asked = False
        if call.verdict is not None:
            return []
        if run.state in HELD or run.state in FENCED:
            return judge(world, run, call, then)
        if grant.revoked is not None:
            return questions.ask(world, run, call, verdict, then)
        return verdicts.allow(world, run, call, f"grant:{grant.id}", grant.by, then, verdict)

    def failed(_problem: str, then: float) -> Effects:
        call.asked = False
        return [] if call.verdict is not None else questions.ask(world, run, call, verdict, then)

    body = world.entry("grant.used", HUB, now, grants.use_details(run, call, grant))
    return world.record(f"grant/{grant.id}", body, done=done, failed=failed)


def _ask_policy(world: World, run: Run, call: Call, now: float, args: dict[str, Any] | None = None) -> Verdict:
    proposal = Proposal(
        run=run.id,
        agent=run.agent,
        call=call.id,
        kind=call.kind,
        tool=call.tool,
        args=(call.args or {}) if args is None else args,
        read_only_claimed=call.read_only_claimed,
        risk_claimed=call.risk_claimed,
        labels=run.labels,
        now=now,
        server=call.server,
        annotations=call.annotations,
        schema=call.input_schema,
        starter=starter_of(run),
        history=history.of(world, run) if call.kind is CallKind.TOOL_CALL else UNKNOWN_HISTORY,
    )
    try:
        return world.policy.judge(proposal)
    except Exception as error:  # a policy that fails refuses: it must never let a call through or take the hub down
        reason = f"The policy failed: {type(error).__name__}"
        return Verdict(decision=Decision.DENY, rule="policy:error", reason=reason, risk=Risk.CRITICAL)


def starter_of(run: Run) -> str | None:
    """The principal who started the run; a gateway starts runs of others, who are not known yet."""
    return None if run.unclaimed else run.owner or None


def judge_edit(world: World, run: Run, call: Call, args: dict[str, Any], now: float) -> Verdict:
    """The policy's word on a call with other arguments."""
    return _ask_policy(world, run, call, now, args)


def _unreadable(call: Call, event: ToolEvent) -> str | None:
    """Why nobody could see or check what is proposed, or None."""
    if not call.tool or event.args is None or event.digest is None:
        return "A gated call needs a name, arguments and a digest."
    try:
        if len(canonical(event.args)) > ARGS_BYTES_MAX:
            return f"The arguments are larger than {ARGS_BYTES_MAX} bytes: nobody could read what is asked."
        if len(canonical({"of": event.annotations, "schema": event.input_schema})) > ARGS_BYTES_MAX:
            return f"What is told of the tool is larger than {ARGS_BYTES_MAX} bytes."
        computed = call_digest(event.name or "", event.args)
    except NotCanonical as error:
        return f"The arguments have no canonical form: {error}."
    if computed != event.digest:
        return "The digest does not match the arguments."
    try:
        budget.reserve_of(event.kind, event.args)
    except ValueError as error:
        return f"The reservation cannot be read: {error}."
    return misnamed(event.kind, event.name or "", event.args)


def settle(world: World, run: Run, now: float) -> Effects:
    """Turns are over: those that waited for them are judged again, in order."""
    if not run.settled:
        return []
    for call_id in run.settled:
        budgets.release(world, run, call_id, now)
    return merged(*(judge(world, run, call, now) for call in budget.settle(world, run)))


def room_elsewhere(world: World, _key: str, now: float) -> Effects:
    """Turns of other runs are over: those that waited for them in a common budget are judged again, in order."""
    waiting, world.budgets.waiting, world.budgets.is_due = world.budgets.waiting, {}, False
    effects: Effects = []
    for run_id, call_id in waiting:
        run = world.runs.get(run_id)
        call = run.open_calls.get(call_id) if run else None
        if run is None or call is None or call.held != budget.WAITS or call.verdict is not None:
            continue
        if run.state not in HELD and budget.must_wait(world, run, call, now):
            world.budgets.waiting[run_id, call_id] = None
        else:
            effects += judge(world, run, call, now)
    return effects


def lease_over(world: World, key: str, now: float) -> Effects:
    """Turns that a gateway was let begin ahead are over: those that waited for them are judged again."""
    run_id, _, name = key.partition(" ")
    run = world.runs.get(run_id)
    if run is None or name not in run.reserved or leases.is_untold(run):
        return []
    run.settled.append(name)
    return settle(world, run, now)


def misnamed(kind: CallKind, name: str, args: dict[str, Any] | None) -> str | None:
    """Why a call is not of the kind it claims, or None.

    Turns and handoffs pass where a tool is asked about: under a tool's name they would be its permission elsewhere.
    `args` of None are not known any more and were looked at before.
    """
    if kind is CallKind.HANDOFF and name != HANDOFF:
        return f"A handoff is named {HANDOFF!r}."
    if kind is CallKind.MODEL_CALL and args is not None and args.get("model") != name:
        return "A turn of the model bears the name of the model in its arguments."
    return None


def release_held(world: World, run: Run, now: float) -> Effects:
    """The run goes on: what was held is judged now."""
    unjudged = [call for call in run.open_calls.values() if call.gate and not (call.verdict or call.approval)]
    held = [call for call in unjudged if call.held and not call.asked]
    return merged(*(judge(world, run, call, now) for call in held))
