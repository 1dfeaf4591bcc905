"""Folds what points say of calls into a run: proposals go on to the gate, reports move them on; it judges nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opsconsole.domain.run import FENCED, HELD
from opsconsole.domain.text import safe_line
from opsconsole.domain.tool_call import CALL_ENDED, CallKind, CallStatus, advance_call
from opsconsole.hub.desk import breaker_acts, budget, gate, history, outcomes, watch
from opsconsole.hub.desk.effects import Effects
from opsconsole.hub.desk.limits import check_limits
from opsconsole.hub.desk.settings import CALLS_KEPT_MAX, OPEN_CALLS_MAX
from opsconsole.hub.desk.state import GATEWAY, Call, Point, Reserve, Run
from opsconsole.hub.desk.tools import NOTHING_TOLD, told_of
from opsconsole.hub.desk.world import World
from opsconsole.protocol.events import ToolEvent

FULL_TABLE = min(OPEN_CALLS_MAX, CALLS_KEPT_MAX)
"""Calls of a run up to which neither of its tables can be full."""
NO_FACTS: Mapping[str, Any] = {}
_RAN = frozenset({CallStatus.RUNNING, CallStatus.COMPLETED, CallStatus.FAILED})
"""Reports that say a call has begun, whatever the hub believed of it."""


def report(world: World, run: Run, point: Point, event: ToolEvent, now: float) -> Effects:
    """A point proposes a call, or says how one goes."""
    run.progress_at = now
    call = run.calls.get(event.id)
    if call is None:
        call = _new_call(world, run, point, event, now)
        is_proposal = event.gate and event.status is CallStatus.PROPOSED
        told = _proposed(world, run, call, event, now) if is_proposal else _follow(world, run, point, call, event, now)
        return told + _count_tool(world, run, call, now)
    if event.gate and event.status is CallStatus.PROPOSED:
        return [] if world.replaying else gate.propose_again(world, run, call, event, now)
    return _follow(world, run, point, call, event, now)


def _count_tool(world: World, run: Run, call: Call, now: float) -> Effects:
    if call.kind is not CallKind.TOOL_CALL:
        return []
    run.tool_calls += 1
    return breaker_acts.count(world, run, now, call.tool)


def _proposed(world: World, run: Run, call: Call, event: ToolEvent, now: float) -> Effects:
    run.latest = (call, call.args)
    if run.state not in HELD and run.state not in FENCED:
        budget.count_turn(run, call)
    if world.replaying:
        watch.proposed(world, run, call, NO_FACTS, now)
        return []
    judged = gate.propose(world, run, call, event, now)
    return judged + (check_limits(world, run, now) if call.kind is CallKind.MODEL_CALL else [])


def _new_call(world: World, run: Run, point: Point, event: ToolEvent, now: float) -> Call:
    call = Call(
        id=event.id,
        kind=event.kind,
        tool=safe_line(name, limit=200) if (name := event.name) else "",
        status=CallStatus.PROPOSED,
        since=now,
        gate=event.gate,
        args=event.args,
        read_only_claimed=bool(event.read_only),
        point=point.name,
    )
    _add_what_few_tell(world, call, event)
    if (told := told_of(run.tools, point.name, event)) is not NOTHING_TOLD:
        call.server, call.annotations, call.input_schema = told.server, told.annotations, told.input_schema
        call.is_offered = told.offered
    if call.kind is CallKind.MODEL_CALL:
        call.reserve, call.least = _reserve_of(call, event)
        if call.reserve is not None and point.name == GATEWAY and (event.args or {}).get("embeds") is True:
            call.embeds = call.counted = True
    run.calls[call.id] = call
    run.open_calls[call.id] = call
    if len(run.calls) > FULL_TABLE:
        _drop_oldest(run)
    return call


def _add_what_few_tell(world: World, call: Call, event: ToolEvent) -> None:
    """What calls that nobody gates seldom have: to leave it as it is costs least."""
    call.risk_claimed, call.ttl_seconds = event.risk, event.ttl_seconds
    if digest := event.digest:
        call.call_digest = digest
    if reason := event.reason:
        call.agent_reason = world.shown(reason, 4_000)
    if target := event.target:
        call.target = safe_line(target, limit=200)


def _reserve_of(call: Call, event: ToolEvent) -> tuple[Reserve | None, Reserve | None]:
    try:
        return budget.reserve_of(call.kind, event.args)
    except ValueError:  # the gate refuses it
        return None, None


def _drop_oldest(run: Run) -> None:
    """Keep both tables bounded; what waits for its verdict is never dropped (the gate refuses more of that)."""
    if len(run.open_calls) > OPEN_CALLS_MAX:
        open_calls = run.open_calls.values()
        oldest = next((call.id for call in open_calls if call.verdict or not call.gate), None)
        run.open_calls.pop(oldest or "", None)
    if len(run.calls) - len(run.open_calls) > CALLS_KEPT_MAX:
        del run.calls[next(call_id for call_id in run.calls if call_id not in run.open_calls)]


def _follow(world: World, run: Run, point: Point, call: Call, event: ToolEvent, now: float) -> Effects:
    had_ended = call.status in CALL_ENDED
    call.status = status = advance_call(call.status, event.status)
    has_ended = status in CALL_ENDED
    if status is CallStatus.RUNNING:
        call.since = now
        run.latest = (call, call.args)
        watch.proposed(world, run, call, NO_FACTS, now)
    if call.reserve is not None:
        budget.follow(run, call, _reserve_of(call, event)[0])
    if has_ended:
        run.open_calls.pop(call.id, None)
    alarm: Effects = []
    if event.verdict == "offline" and call.verdict is None and point.may_run_unseen:
        alarm = outcomes.note_offline(world, run, call, now)
    elif call.gate and event.status in _RAN:
        budget.count_turn(run, call)
        alarm = outcomes.check_unpermitted(world, run, call, now)
    if not has_ended or had_ended:
        return alarm
    call.args = call.input_schema = None
    watch.ended(world, run, call, event, now)
    history.shown(world, run, event)
    if call.schema_change is not None:
        history.ended(world, run, call)
    return alarm + outcomes.after_call(world, run, call, event, now) if call.approval else alarm
