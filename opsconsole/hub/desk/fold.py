"""Folds the events of points into runs: descriptions, states, calls, usage; proposals go on to the gate."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from opsconsole.domain.command import Role
from opsconsole.domain.ids import is_sealed
from opsconsole.domain.proof import Proof, best
from opsconsole.domain.run import FENCED, HELD, TERMINAL, Author, RunState, Step
from opsconsole.domain.text import safe_line
from opsconsole.domain.tool_call import CALL_ENDED, CallKind, CallStatus, advance_call
from opsconsole.domain.usage import Usage, beyond, not_below
from opsconsole.hub.desk import breaker_acts, budget, budgets, costs, gate, history, kill, outcomes, questions, watch
from opsconsole.hub.desk.costs import OTHER_MODELS, Read
from opsconsole.hub.desk.effects import Changed, Effects
from opsconsole.hub.desk.gateway import is_alone, may_name
from opsconsole.hub.desk.limits import check_limits
from opsconsole.hub.desk.principal import Principal
from opsconsole.hub.desk.rows import burn_falls_at, forget_spent
from opsconsole.hub.desk.settings import CALLS_KEPT_MAX, OPEN_CALLS_MAX
from opsconsole.hub.desk.state import GATEWAY, Call, Point, Reserve, Run
from opsconsole.hub.desk.supervision import believed_caps, is_supervised
from opsconsole.hub.desk.tools import told_of
from opsconsole.hub.desk.world import World
from opsconsole.protocol.events import (
    Event,
    MessageEvent,
    NoteEvent,
    OnHubLost,
    RunEvent,
    StateEvent,
    ToolEvent,
    UnknownEvent,
    UsageEvent,
)

MODELS_KEPT_MAX = 32
"""Models of one run whose readings are kept apart; those of all others are added up."""
OTHERS_KEPT_MAX = 256
"""Of those others, so many whose latest reading is known; those of the rest count too high rather than too low."""


LEASE_SECONDS_MAX = 86_400.0
"""A day: no promise to stop by itself is worth waiting longer for."""
NO_USAGE = Usage()
FULL_TABLE = min(OPEN_CALLS_MAX, CALLS_KEPT_MAX)
"""Calls of a run up to which neither of its tables can be full."""
_RAN = frozenset({CallStatus.RUNNING, CallStatus.COMPLETED, CallStatus.FAILED})
"""Reports that say a call has begun, whatever the hub believed of it."""


def fold(world: World, run: Run, point: Point, events: Sequence[Event], now: float) -> Effects:
    """Apply the events of one frame of a point to its run."""
    effects: Effects = []
    for event in _latest_readings(events):
        if run.state in TERMINAL and not _may_follow_end(event):
            effects += _zombie(world, run, event, now)
        elif (fold_one := _FOLDS.get(type(event))) is not None:
            effects += fold_one(world, run, point, event, now)
    return effects


def _latest_readings(events: Sequence[Event]) -> Sequence[Event]:
    """The events of one frame without readings that a later one of the same frame replaces: they are cumulative."""
    readings = [event for event in events if type(event) is UsageEvent]
    if len(readings) < 2:
        return events
    last = {(event.model, event.served_model, event.provider): event.seq for event in readings}
    replaced = {event.seq for event in readings}.difference(last.values())
    return [event for event in events if type(event) is not UsageEvent or event.seq not in replaced]


def new_run(world: World, run_id: str, principal: Principal, now: float) -> Run:
    """A run nobody had spoken of."""
    run = Run(id=run_id, owner=principal.name, started_at=now, progress_at=now, state_since=now)
    run.unclaimed = principal.role is Role.GATEWAY
    run.supervised = is_sealed(run_id)
    world.runs[run_id] = run
    history.begin(world, run)
    run.children |= world.orphans.pop(run_id, set())
    return run


def _fold_run(world: World, run: Run, point: Point, event: RunEvent, now: float) -> Effects:
    knows = may_name(run, point.name)
    if knows:
        _name(run, point, event)
    run.restored_from = event.restored_from or run.restored_from
    if event.caps is not None:
        point.caps = believed_caps(point, event.caps)
    if event.on_hub_lost:
        point.may_run_unseen = event.on_hub_lost.gate == "allow"
        point.lease_seconds = _lease(event.on_hub_lost)
    budgets.started(world, run)
    adopted = bool(event.parent) and (knows or point.name != GATEWAY) and _adopt(world, run, event.parent or "")
    if run.described:
        return kill.fence_newborn(world, run, now) if adopted else []
    run.described = True
    run.limits = world.policy.limits(run.agent, run.labels)
    watch.started(world, run, now)
    effects = _started(world, run, point, now)
    effects += [] if world.replaying else breaker_acts.hold(world, run, now)
    return effects + kill.fence_newborn(world, run, now)


def _lease(promised: OnHubLost) -> float | None:
    """The seconds after which the point stops its run by itself; None where it promises none worth waiting for."""
    seconds = promised.lease_seconds
    return seconds if promised.run == "stop" and seconds is not None and 0 < seconds <= LEASE_SECONDS_MAX else None


def _name(run: Run, point: Point, event: RunEvent) -> None:
    """What the run is called. What a gateway guessed is dropped whole when somebody knows."""
    was_guessed = run.named_by == GATEWAY and point.name != GATEWAY
    run.named_by = point.name
    run.framework = safe_line(event.framework, limit=100) if event.framework else run.framework
    run.agent = safe_line(event.agent, limit=200)
    run.name = safe_line(event.name, limit=500) if event.name is not None else run.name
    if event.labels or was_guessed:
        run.labels = {safe_line(k, limit=100): safe_line(v, limit=200) for k, v in (event.labels or {}).items()}


def _adopt(world: World, run: Run, parent_id: str) -> bool:
    """Note whose child a run says it is; gives whether that is news. It stays: no child leaves a kill."""
    if run.parent is not None or parent_id == run.id:
        return False
    run.parent = parent_id
    parent = world.runs.get(parent_id)
    if parent is None:
        world.orphans.setdefault(parent_id, set()).add(run.id)
    else:
        parent.children.add(run.id)
        world.dirty["run", parent.id] = None
    return True


def _started(world: World, run: Run, point: Point, now: float) -> Effects:
    details = {
        "run": run.id,
        "agent": run.agent,
        "name": run.name,
        "parent": run.parent,
        "owner": run.owner,
        "point": point.name,
        "host": point.host,
        "pid": point.pid,
    }
    parent = world.runs.get(run.parent or "")
    return world.owe(run, "run.started", details, now) + (world.changed_run(parent) if parent else [])


def _fold_state(world: World, run: Run, point: Point, event: StateEvent, now: float) -> Effects:
    author = Author.SUPERVISOR if point.trusted else Author.AGENT
    was_stopping = run.state is RunState.STOPPING
    if event.exit is not None:
        run.exit_code, run.exit_signal = event.exit.code, event.exit.signal
    if point.name == GATEWAY and event.state in TERMINAL and not is_alone(run):
        return []  # it sees no process: others tell when the run ends
    target = _believed(run, author, event.state)
    if author is Author.AGENT and was_stopping and target in TERMINAL and is_supervised(run):
        return world.changed_run(run)  # its body ended; whether its processes did, the supervisor tells
    step = world.move(run, target, author, now)
    if run.ended and (target is run.state or event.exit is not None):
        run.proof = best(run.proof, _proof(author, event))
    if step is not Step.MOVED:
        if event.exit is not None and run.kill and run.kill.status != "dead":
            return kill.after_end(world, run, now)
        revived = step is Step.ZOMBIE and author is Author.AGENT and event.state not in TERMINAL
        return _zombie(world, run, event, now) if revived else []
    run.progress_at = now
    run.reason = world.shown(event.reason or "", 2_000)
    run.stop_reason = world.shown(event.stop_reason or "", 200)
    run.error = world.shown(event.error or "", 2_000)
    if not run.ended:
        return []
    return finish(world, run, now) + (kill.after_end(world, run, now) if was_stopping else [])


def _believed(run: Run, author: Author, claimed: RunState) -> RunState:
    """A process that ends while it is being killed was killed, whatever its exit code says."""
    if author is Author.SUPERVISOR and run.state is RunState.STOPPING and claimed is RunState.FAILED:
        return RunState.KILLED
    return claimed


def _proof(author: Author, event: StateEvent) -> Proof:
    if author is Author.SUPERVISOR:
        return Proof.PROCESS if event.exit is not None and event.exit.survivors == 0 else Proof.NONE
    return Proof.COOPERATIVE


def finish(world: World, run: Run, now: float) -> Effects:
    """A run has ended: nothing of it waits any more, and the end is on record."""
    details: dict[str, Any] = {
        "run": run.id,
        "agent": run.agent,
        "state": str(run.state),
        "reason": run.reason,
        "exit_code": run.exit_code,
        "exit_signal": run.exit_signal,
        "turns": run.turns,
        "cost_usd": round(run.cost_usd, 6),
        "proof": str(run.proof),
    }
    if priced_by := costs.priced_by(run):
        details["priced_by"] = priced_by
    cancelled = [] if world.replaying else questions.cancel_all(world, run, f"the run is {run.state}", now)
    return cancelled + world.owe(run, "run.ended", details, now) + world.changed_run(run)


def _fold_tool(world: World, run: Run, point: Point, event: ToolEvent, now: float) -> Effects:
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
        watch.proposed(world, run, call, {}, now)
        return []
    judged = gate.propose(world, run, call, event, now)
    return judged + (check_limits(world, run, now) if call.kind is CallKind.MODEL_CALL else [])


def _new_call(world: World, run: Run, point: Point, event: ToolEvent, now: float) -> Call:
    told = told_of(run.tools, point.name, event)
    call = Call(
        id=event.id,
        kind=event.kind,
        tool=safe_line(name, limit=200) if (name := event.name) else "",
        status=CallStatus.PROPOSED,
        since=now,
        gate=event.gate,
        args=event.args,
        call_digest=event.digest or "",
        agent_reason=world.shown(reason, 4_000) if (reason := event.reason) else "",
        read_only_claimed=bool(event.read_only),
        risk_claimed=event.risk,
        ttl_seconds=event.ttl_seconds,
        target=safe_line(target, limit=200) if (target := event.target) else "",
        point=point.name,
        reserve=_reserve_of(event) if event.kind is CallKind.MODEL_CALL else None,
        server=told.server,
        annotations=told.annotations,
        input_schema=told.input_schema,
    )
    if call.reserve is not None and point.name == GATEWAY and (event.args or {}).get("embeds") is True:
        call.embeds = call.counted = True
    run.calls[call.id] = call
    run.open_calls[call.id] = call
    if len(run.calls) > FULL_TABLE:
        _drop_oldest(run)
    return call


def _reserve_of(event: ToolEvent) -> Reserve | None:
    try:
        return budget.reserve_of(event.kind, event.args)
    except ValueError:  # the gate refuses it
        return None


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
        watch.proposed(world, run, call, {}, now)
    if call.reserve is not None:
        budget.follow(run, call)
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


def _fold_usage(world: World, run: Run, point: Point, event: UsageEvent, now: float) -> Effects:
    reading = Usage(
        turns=event.turns,
        input_tokens=event.input_tokens,
        output_tokens=event.output_tokens,
        cache_read_tokens=event.cache_read_tokens,
        cache_write_tokens=event.cache_write_tokens,
        reasoning_tokens=event.reasoning_tokens,
    )
    model = safe_line(event.model, limit=200)
    usd_before = 0.0
    if model not in run.usage and len(run.usage) >= MODELS_KEPT_MAX:
        usd_before = _note_other_usd(run, point, model, event.cost_usd)
        model, reading = OTHER_MODELS, run.usage.get(OTHER_MODELS, NO_USAGE) + _new_of_other(run, model, reading)
    before, cost = run.usage.get(model, NO_USAGE), run.cost_usd
    usage = not_below(before, reading)
    run.usage[model] = usage
    run.progress_at = now
    read = Read(model=model, usage=usage, reading=reading, event=event, usd_before=usd_before)
    costs.price(world, run, point, read, now)
    watch.used(world, run, event, before, usage, run.cost_usd - cost, now)
    _check_served(world, run, model, event, now)
    run.spend.append((now, run.cost_usd))
    forget_spent(world, run, now)
    watch_burn(world, run, now)
    return [] if world.replaying else check_limits(world, run, now)


def _new_of_other(run: Run, model: str, reading: Usage) -> Usage:
    """What a reading says that the one before it of its model did not; all of it, where there is no room to know."""
    before = run.others.get(model, NO_USAGE)
    if model in run.others or len(run.others) < OTHERS_KEPT_MAX:
        run.others[model] = not_below(before, reading)
    return beyond(reading, before)


def _note_other_usd(run: Run, point: Point, model: str, usd: float | None) -> float:
    """What the gateway's sum for such a model was before, if it tells one now."""
    before = run.others_usd.get(model, 0.0)
    is_known = model in run.others_usd or len(run.others_usd) < OTHERS_KEPT_MAX
    if point.name == GATEWAY and usd is not None and is_known:
        run.others_usd[model] = max(before, usd)
    return before


def watch_burn(world: World, run: Run, now: float) -> None:
    """Show the burn rate fall when a reading leaves its window: nobody would look at a quiet run's row again."""
    if run.burning or world.replaying:
        return
    falls_at = burn_falls_at(world, run, now)
    if falls_at is not None:
        run.burning = True
        world.at(max(falls_at, now + world.settings.burn_refresh_seconds), "burn", run.id)


def burn_due(world: World, run_id: str, now: float) -> Effects:
    """The row of a run that has spent lately, once more, until its rate is zero."""
    run = world.runs.get(run_id)
    if run is None:
        return []
    run.burning = False
    if not run.ended:
        watch_burn(world, run, now)
    return [Changed(view="board", key=run.id)]


def _check_served(world: World, run: Run, model: str, event: UsageEvent, now: float) -> None:
    served = event.served_model
    if not served:
        return
    before = run.served.get(model)
    run.served[model] = served
    if before and before != served:
        text = f"{model} was served by {safe_line(served, limit=200)} instead of {safe_line(before, limit=200)}"
        world.alert(run, "model_changed", text, "warning", now)


def _fold_message(world: World, run: Run, _point: Point, event: MessageEvent, now: float) -> Effects:
    run.progress_at = now
    history.shown(world, run, event)
    watch.said(world, run, event, now)
    if event.text and event.role == "assistant":
        run.latest = event.text
    return []


def _fold_note(world: World, run: Run, point: Point, event: NoteEvent, now: float) -> Effects:
    if event.kind == "checkpoint" and event.data:
        run.checkpoint = str(event.data.get("id", ""))[:128] or run.checkpoint
    watch.noted(world, run, point, event, now)
    if event.level == "error":
        world.alert(run, "error", event.text, "warning", now)
    return []


_FOLDS: dict[type[Any], Callable[[World, Run, Point, Any, float], Effects]] = {
    RunEvent: _fold_run,
    StateEvent: _fold_state,
    ToolEvent: _fold_tool,
    UsageEvent: _fold_usage,
    MessageEvent: _fold_message,
    NoteEvent: _fold_note,
}
"""An event of a type that is not known, or that did not validate, is kept and nothing follows."""


def _may_follow_end(event: Event) -> bool:
    """What may truthfully arrive after the end: exit reports, last readings and words, the ends of calls."""
    if isinstance(event, StateEvent):
        return True
    if isinstance(event, ToolEvent):
        return event.status in CALL_ENDED
    return isinstance(event, RunEvent | MessageEvent | UsageEvent | NoteEvent | UnknownEvent)


def _zombie(world: World, run: Run, event: Event, now: float) -> Effects:
    """A dead run spoke: kept on its timeline, alarmed, never believed; a proposal of it is refused.

    Where an empty process tree was seen there is nobody left to speak: then it is the backlog of its journal.
    """
    first = not run.zombie and run.proof is not Proof.PROCESS
    run.zombie = run.zombie or first
    refusal = (
        outcomes.refuse_dead(world, run, event, now) if isinstance(event, ToolEvent) and not world.replaying else []
    )
    if not first:
        return refusal
    world.alert(run, "zombie", f"it went on after it was {run.state}", "critical", now)
    details = {"run": run.id, "state": str(run.state), "event": event.type}
    return refusal + world.owe(run, "run.zombie", details, now) + world.changed_run(run)
