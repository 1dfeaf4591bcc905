"""Folds the events of points into runs: descriptions, states, ends, words; calls and usage are folded next door."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

from opsconsole.domain.command import Role
from opsconsole.domain.ids import is_sealed
from opsconsole.domain.proof import Proof, best
from opsconsole.domain.run import TERMINAL, Author, RunState, Step
from opsconsole.domain.text import safe_line
from opsconsole.domain.tool_call import CALL_ENDED
from opsconsole.hub.desk import (
    breaker_acts,
    budgets,
    calls,
    costs,
    history,
    kill,
    leases,
    outcomes,
    questions,
    readings,
    watch,
)
from opsconsole.hub.desk.effects import Effects
from opsconsole.hub.desk.gateway import is_alone, may_name
from opsconsole.hub.desk.principal import Principal
from opsconsole.hub.desk.state import GATEWAY, Point, Run
from opsconsole.hub.desk.supervision import believed_caps, is_supervised
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
from opsconsole.protocol.quick import TOOL_EVENTS, either

LEASE_SECONDS_MAX = 86_400.0
"""A day: no promise to stop by itself is worth waiting longer for."""


def fold(world: World, run: Run, point: Point, events: Sequence[Event], now: float) -> Effects:
    """Apply the events of one frame of a point to its run."""
    effects: Effects = []
    replaced = _replaced_readings(events)
    for event in events:
        if replaced and event.seq in replaced:
            continue
        if run.state in TERMINAL and not _may_follow_end(event):
            effects += _zombie(world, run, event, now)
        elif (fold_one := _FOLDS.get(type(event))) is not None:
            effects += fold_one(world, run, point, event, now)
    return effects


def _replaced_readings(events: Sequence[Event]) -> Collection[int]:
    """The numbers of readings that a later one of the same frame replaces: they are cumulative."""
    told: list[Any] = [event for event in events if type(event) in _READINGS]
    if len(told) < 2:
        return ()
    last = {(event.model, event.served_model, event.provider): event.seq for event in told}
    return {event.seq for event in told}.difference(last.values())


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
        _name(world, run, point, event)
    run.restored_from = event.restored_from or run.restored_from
    if event.caps is not None:
        point.caps = believed_caps(point, event.caps)
    if event.on_hub_lost:
        point.may_run_unseen = event.on_hub_lost.gate == "allow"
        point.lease_seconds = _lease(event.on_hub_lost)
    budgets.started(world, run)
    recalled = leases.rebound(world, run, now)
    adopted = bool(event.parent) and (knows or point.name != GATEWAY) and _adopt(world, run, event.parent or "")
    if run.described:
        return recalled + (kill.fence_newborn(world, run, now) if adopted else [])
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


def _name(world: World, run: Run, point: Point, event: RunEvent) -> None:
    """What the run is called. What a gateway guessed is dropped whole when somebody knows."""
    was_guessed = run.named_by == GATEWAY and point.name != GATEWAY
    run.named_by = point.name
    run.framework = safe_line(event.framework, limit=100) if event.framework else run.framework
    run.agent = safe_line(event.agent, limit=200)
    run.name = world.shown(event.name, 500) if event.name is not None else run.name
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


_FOLD_OF_MODEL: dict[type[Any], Callable[[World, Run, Point, Any, float], Effects]] = {
    RunEvent: _fold_run,
    StateEvent: _fold_state,
    ToolEvent: calls.report,
    UsageEvent: readings.read,
    MessageEvent: _fold_message,
    NoteEvent: _fold_note,
}
"""An event of a type that is not known, or that did not validate, is kept and nothing follows."""
_FOLDS = {kind: fold_one for model, fold_one in _FOLD_OF_MODEL.items() for kind in either(model)}
_READINGS = frozenset(either(UsageEvent))
_AFTER_END = tuple(
    kind for model in (StateEvent, RunEvent, MessageEvent, UsageEvent, NoteEvent) for kind in either(model)
)


def _may_follow_end(event: Event) -> bool:
    """What may truthfully arrive after the end: exit reports, last readings and words, the ends of calls."""
    if isinstance(event, TOOL_EVENTS):
        return event.status in CALL_ENDED
    return isinstance(event, (*_AFTER_END, UnknownEvent))


def _zombie(world: World, run: Run, event: Event, now: float) -> Effects:
    """A dead run spoke: kept on its timeline, alarmed, never believed; a proposal of it is refused.

    Where an empty process tree was seen there is nobody left to speak: then it is the backlog of its journal.
    """
    first = not run.zombie and run.proof is not Proof.PROCESS
    run.zombie = run.zombie or first
    refusal = (
        outcomes.refuse_dead(world, run, event, now) if isinstance(event, TOOL_EVENTS) and not world.replaying else []
    )
    if not first:
        return refusal
    world.alert(run, "zombie", f"it went on after it was {run.state}", "critical", now)
    details = {"run": run.id, "state": str(run.state), "event": event.type}
    return refusal + world.owe(run, "run.zombie", details, now) + world.changed_run(run)
