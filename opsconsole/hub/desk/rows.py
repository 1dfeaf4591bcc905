"""Renders the desk's records as the rows operators see; it changes nothing."""

from __future__ import annotations

from typing import Any

from opsconsole.domain.approval import ApprovalStatus
from opsconsole.domain.proof import Proof
from opsconsole.domain.run import HELD, RunState
from opsconsole.domain.text import safe_line
from opsconsole.domain.tool_call import RISK_RANK, CallKind
from opsconsole.hub.desk import budgets, kill, people
from opsconsole.hub.desk.state import Approval, Call, Kill, Point, Run
from opsconsole.hub.desk.world import World
from opsconsole.policy.redaction import Masker, redact_item
from opsconsole.protocol.rows import (
    ApprovalRow,
    Caps,
    KillRow,
    LinkStatus,
    PointRow,
    ReceiptLine,
    RunRow,
    Waiting,
)

DOING_CHARS_MAX = 160
"""More of what a run does cannot be read at a glance."""
_LINK_RANK: dict[LinkStatus, int] = {"detached": 0, "live": 1, "stale": 2, "lost": 3}
_WAIT_KIND = {CallKind.TOOL_CALL: "tool", CallKind.MODEL_CALL: "model", CallKind.HANDOFF: "handoff"}


def link_of(run: Run) -> tuple[LinkStatus, float]:
    """The worst link among the points that have not left, and since when; `detached` when all have."""
    worst: Point | None = None
    for point in run.points.values():
        if worst is None or _LINK_RANK[point.link] > _LINK_RANK[worst.link]:
            worst = point
    if worst is None:
        return "lost", run.started_at
    return worst.link, worst.link_since


def burn(world: World, run: Run, now: float) -> float:
    """US dollars spent in the last minute."""
    since = forget_spent(world, run, now)
    if not run.spend:
        return 0.0
    base = run.spend[0][1] if run.spend[0][0] <= since else 0.0
    return max(0.0, run.cost_usd - base)


def burn_falls_at(world: World, run: Run, now: float) -> float | None:
    """When the next reading leaves the window, which lowers the rate; None when the rate is zero and stays so."""
    since = now - world.settings.burn_window_seconds
    left = next((at for at, _ in run.spend if at > since), None)
    return None if left is None else left + world.settings.burn_window_seconds


def forget_spent(world: World, run: Run, now: float) -> float:
    """Drop readings from before the window, but for the last of them; gives where the window begins."""
    since = now - world.settings.burn_window_seconds
    while len(run.spend) > 1 and run.spend[1][0] <= since:
        run.spend.popleft()
    return since


def _worst_asked(world: World, run: Run) -> Approval | None:
    asked = [one for key in run.pending if (one := world.approvals[key]).visible]
    return min(asked, key=lambda one: (-RISK_RANK[one.risk], one.requested_at, one.id), default=None)


def waiting(world: World, run: Run) -> Waiting | None:
    """What the run waits for: a person first, for the worst call, then whatever call has been open longest."""
    asked = _worst_asked(world, run)
    if asked is not None:
        return Waiting(kind="approval", what=asked.tool, since=asked.requested_at, id=asked.id)
    if run.baton:
        return Waiting(kind="takeover", what=run.baton.by, since=run.baton.since)
    if run.state in HELD:
        return Waiting(kind="pause", what=run.paused_by, since=run.state_since)
    if run.ended:
        return None
    call = next(iter(run.open_calls.values()), None)
    if call is not None:
        return Waiting(kind=_WAIT_KIND[call.kind], what=call.target or call.tool, since=call.since, id=call.id)  # type: ignore[arg-type]
    if run.state in (RunState.INPUT_REQUIRED, RunState.AUTH_REQUIRED):
        return Waiting(kind="input", what=run.reason, since=run.state_since)
    return None


def run_row(world: World, run: Run, now: float) -> RunRow:
    """The row of one run."""
    link, link_since = link_of(run)
    spent = run.spent
    row = RunRow(
        key=run.id,
        run=run.id,
        agent=run.agent,
        name=run.name,
        parent=run.parent,
        children=len(run.children),
        labels=run.labels,
        owner=run.owner,
        framework=run.framework,
        state=run.state,
        reason=run.reason,
        stop_reason=run.stop_reason,
        error=run.error,
        link=link,
        link_since=link_since,
        turns=spent.turns,
        input_tokens=sum(usage.input_tokens for usage in run.usage.values()),
        output_tokens=sum(usage.output_tokens for usage in run.usage.values()),
        cost_usd=round(spent.cost_usd, 6),
        cost_per_minute_usd=0.0 if run.ended else round(burn(world, run, now), 6),
        cost_known=not run.unpriced,
        caps=Caps(cost_usd=run.limits.cost_usd, turns=run.limits.turns, tokens=run.limits.tokens),
        models=list(run.usage),
        waiting=waiting(world, run),
        doing=doing(world, run),
        pending_approvals=sum(world.approvals[one].visible for one in run.pending),
        pending_risk=asked.risk if (asked := _worst_asked(world, run)) else None,
        started_at=run.started_at,
        progress_at=run.progress_at,
        ended_at=run.ended_at,
        points=[_point_row(point) for point in run.points.values()],
        kill=_kill_row(run.kill, kill.counted(run)) if run.kill else None,
        baton=run.baton,
        alerts=run.alerts,
        exit_code=run.exit_code,
        exit_signal=run.exit_signal,
        restored_from=run.restored_from,
        checkpoint=run.checkpoint,
        frozen=run.frozen and not run.ended,
        outlived=kill.outlived(run),
        zombie=run.zombie,
    )
    return budgets.show(world, run, row, now)


def approval_row(approval: Approval) -> ApprovalRow:
    """The row of one approval; while a decision is being recorded it still shows as pending."""
    deciding = approval.status is ApprovalStatus.DECIDING
    return ApprovalRow(
        key=approval.id,
        approval=approval.id,
        run=approval.run,
        agent=approval.agent,
        call=approval.call,
        kind=approval.kind,
        tool=approval.tool,
        args=approval.args,
        masked=approval.masked,
        digest=approval.digest,
        call_digest=approval.call_digest,
        risk=approval.risk,
        rule=approval.rule,
        why=approval.why,
        agent_reason=approval.agent_reason,
        may_edit=approval.may_edit,
        requested_at=approval.requested_at,
        expires_at=approval.expires_at,
        status=ApprovalStatus.PENDING if deciding else approval.status,
        claimed_by=approval.claimed_by,
        passed_by=approval.passed_by,
        decided_by=None if deciding else approval.decided_by,
        decided_at=None if deciding else approval.decided_at,
        note="" if deciding else approval.note,
        edited_args=None if deciding else approval.edited_args,
        response=None if deciding else approval.response,
        delivery=approval.delivery,
        result=approval.result,
        matched=approval.matched,
        failed=approval.failed,
        facts=approval.facts,
        approvers=people.wanted(approval.quorums),
        groups=people.groups(approval.quorums),
        not_by=list(approval.not_by),
        votes=[vote.by for vote in approval.votes],
        edited_by=approval.edited_by,
        may_respond=people.wanted(approval.quorums) == 1 and len(approval.quorums) <= 1,
    )


def doing(world: World, run: Run) -> str:
    """What the run does by the last that it told, secrets masked."""
    latest = run.latest
    if latest is None or run.ended:
        return run.doing
    if isinstance(latest, str):
        return world.shown(latest, DOING_CHARS_MAX)
    return safe_line(_in_words(*latest, world.mask), limit=DOING_CHARS_MAX)


def _in_words(call: Call, args: dict[str, Any] | None, mask: Masker) -> str:
    """A call in few words: its tool and its first argument, secrets masked."""
    if call.kind is not CallKind.TOOL_CALL:
        return f"{call.tool} {call.target}".strip()
    args = args or {}
    first = next(iter(args), None)
    return call.tool if first is None else f"{call.tool} {redact_item(first, args[first], mask)}"


def _point_row(point: Point) -> PointRow:
    return PointRow(
        name=point.name,
        link=point.link,
        caps=point.caps,
        host=point.host,
        pid=point.pid,
        heard_at=point.heard_at,
        busy=point.busy if point.conn else "",
    )


def _kill_row(killing: Kill, proof: Proof) -> KillRow:
    return KillRow(
        command=killing.command,
        by=killing.by,
        mode=killing.mode,  # type: ignore[arg-type]
        reason=killing.reason,
        sent_at=killing.sent_at,
        status=killing.status,  # type: ignore[arg-type]
        proof=proof,
        points=[ReceiptLine(name=name, ms=ms, outcome=outcome) for name, ms, outcome in killing.lines],
        total_ms=killing.total_ms,
    )
