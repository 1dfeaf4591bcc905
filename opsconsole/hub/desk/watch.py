"""Shows the detectors what the desk sees, a while after: whoever reports waits for no detector; it acts on no finding.

an event ─▶ noted: a few values, in a bounded queue of its run
a look, every `LOOK_SECONDS` while there is something: in turn over the runs, a bounded number ─▶ findings
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from opsconsole.domain.approval import OPEN
from opsconsole.domain.tool_call import CallKind
from opsconsole.domain.usage import Usage
from opsconsole.hub.desk import budgets, watch_seen
from opsconsole.hub.desk.state import GATEWAY, Call, Point, Run
from opsconsole.hub.desk.watch_state import (
    FOUND_MAX,
    LOOK_SECONDS,
    LOOKED_AT_MAX,
    TURN_OF_A_RUN,
    UNSEEN_CHARS_MAX,
    UNSEEN_MAX,
    Ended,
    Noted,
    Proposed,
    Retried,
    Said,
    Started,
    Used,
    Watched,
)
from opsconsole.hub.desk.world import World
from opsconsole.policy.detectors.finding import Finding
from opsconsole.policy.detectors.observation import Closed, RateReading, Seen, Tick
from opsconsole.policy.detectors.proposal import chars_of
from opsconsole.policy.detectors.tuning import Tuning
from opsconsole.policy.detectors.watch import Detectors
from opsconsole.policy.file.settings import DetectorSettings
from opsconsole.policy.interface import Policy
from opsconsole.protocol.events import MessageEvent, NoteEvent, ToolEvent, UsageEvent
from opsconsole.protocol.rates import Rate

TICK_SECONDS = 10.0
"""How often open waits are looked at."""
ARMED = "armed"
"""The one look that is under way to what was noted; others come at the end of a run."""
_OF_AGENT = frozenset({"assistant", "thought"})


def settings_of(policy: Policy) -> DetectorSettings:
    """The detectors' settings in a policy; their defaults where it says nothing."""
    found = getattr(policy, "detectors", None)
    return found if isinstance(found, DetectorSettings) else DetectorSettings()


def begin(world: World) -> None:
    """A desk begins: nothing was seen."""
    world.watch.detectors = Detectors(settings_of(world.policy))


def policy_changed(world: World) -> None:
    """Other thresholds from now on, over the same memory."""
    agents = {run.id: run.agent for run in world.runs.values() if not run.ended}
    world.watch.detectors.retune(settings_of(world.policy), agents)


# -- what is noted: a few values each, as this is in the way of every event ----------------------------------------


def started(world: World, run: Run, now: float) -> None:
    """A run begins."""
    _note(world, run, Started(now, 0))


def proposed(world: World, run: Run, call: Call, facts: Mapping[str, Any], now: float) -> None:
    """A call is judged, or runs unasked; once a call. What the facts found goes with it."""
    if call.is_seen:
        return
    call.is_seen = True
    if call.kind is CallKind.MODEL_CALL:
        watched = world.watch.runs.get(run.id)
        if watched is not None:
            watched.tells_turns = True
        return
    _note(world, run, Proposed(now, chars_of(args) if (args := call.args) else 0, call, args, facts))


def ended(world: World, run: Run, call: Call, event: ToolEvent, now: float) -> None:
    """A call is over."""
    text = event.result or event.error or ""
    _note(world, run, Ended(now, len(text), call, text, event.duration_ms))


def used(world: World, run: Run, event: UsageEvent, before: Usage, after: Usage, cost_usd: float, now: float) -> None:
    """Usage was read; `cost_usd` is what the run's cost grew by."""
    known = None if run.unpriced else cost_usd
    _note(world, run, Used(now, 0, event, before, after, known))


def said(world: World, run: Run, event: MessageEvent, now: float) -> None:
    """Somebody said something, or a part of it."""
    text = event.text
    if text:
        speaker = event.author or ("" if event.role in _OF_AGENT else event.role)
        _note(world, run, Said(now, len(text), speaker, text))
    watched = world.watch.runs.get(run.id)
    if watched is not None:
        watched.is_heard = True


def noted(world: World, run: Run, point: Point, event: NoteEvent, now: float) -> None:
    """A gateway says that it asks a provider again; nobody else is believed about that."""
    told = event.data.get("retry") if event.data and point.name == GATEWAY else None
    if isinstance(told, dict):
        _note(world, run, Retried(now, 0, told))


def _note(world: World, run: Run, noted: Noted) -> None:
    watch, chars = world.watch, noted.chars
    watched = watch.runs.get(run.id)
    if watched is None:
        if run.ended:
            return
        watched = watch.runs[run.id] = Watched()
    if world.replaying and len(watched.unseen) >= UNSEEN_MAX:
        _catch_up(world, run, watched)
    if len(watched.unseen) >= UNSEEN_MAX or watch.chars + chars > UNSEEN_CHARS_MAX:
        watched.lost += 1
        watch.lost += 1
        return
    watched.unseen.append(noted)
    watch.chars += chars
    watch.due[run.id] = None
    if not watch.is_armed:
        _arm(world, noted.at)


def _catch_up(world: World, run: Run, watched: Watched) -> None:
    """Look where nobody may act yet on what comes to light."""
    found = _look_at(world, run, watched, UNSEEN_MAX)
    world.watch.found += found[: max(0, FOUND_MAX - len(world.watch.found))]


def _arm(world: World, now: float) -> None:
    world.watch.is_armed = True
    world.at(now + LOOK_SECONDS, "watch", ARMED)


def told_rates(world: World, rates: Sequence[Rate], now: float) -> list[Finding]:
    """A gateway tells how full the providers' limits are."""
    found: list[Finding] = []
    for rate in rates:
        if rate.limit and rate.used_share is not None:
            kind = f"{rate.kind.replace('_', ' ')} of {rate.model}"
            left = rate.limit * max(0.0, 1.0 - rate.used_share)
            reading = RateReading(
                run="", at=now, provider=rate.provider, limit=kind, size=rate.limit, remaining=left, resets_at=None
            )
            found += world.watch.detectors.observe(reading)
    return found


# -- looking ---------------------------------------------------------------------------------------------------------


def look(world: World, key: str, now: float) -> list[Finding]:
    """Look at a bounded part of what was noted, in turn over the runs; `key` tells the look that was armed."""
    watch = world.watch
    if key == ARMED:
        watch.is_armed = False
    found, watch.found = watch.found, []
    left = LOOKED_AT_MAX
    has_waits = False
    runs_of = LiveRuns(world)
    while watch.due and left > 0:
        run_id = next(iter(watch.due))
        del watch.due[run_id]
        run, watched = world.runs.get(run_id), watch.runs.get(run_id)
        if run is None or watched is None:
            continue
        left -= max(1, min(TURN_OF_A_RUN, len(watched.unseen)))
        found += _look_at(world, run, watched, TURN_OF_A_RUN)
        if watched.unseen:
            watch.due[run_id] = None
        else:
            found += _observe(world, watch_seen.waits(run, watched, now, runs_of))
            has_waits = has_waits or bool(watched.waits)
    found += _forget_over(world)
    if watch.due and not watch.is_armed:
        _arm(world, now)
    if has_waits:  # to ask all runs at each look would cost more than the look
        _keep_ticking(world, now)
    world.dirty["watch", "fleet"] = None
    return found


class LiveRuns:
    """Agent -> its live runs; worked out when somebody first asks."""

    __slots__ = ("_found", "_world")

    def __init__(self, world: World) -> None:
        self._world = world
        self._found: dict[str, list[str]] | None = None

    def __call__(self) -> dict[str, list[str]]:
        """All of them."""
        if self._found is None:
            self._found = {}
            for run in self._world.runs.values():
                if not run.ended:
                    self._found.setdefault(run.agent, []).append(run.id)
        return self._found


def _look_at(world: World, run: Run, watched: Watched, most: int) -> list[Finding]:
    found: list[Finding] = []
    watch, unseen = world.watch, watched.unseen
    observe, has_latency = watch.detectors.observe, world.budgets.has_latency
    for _ in range(min(most, len(unseen))):
        noted = unseen.popleft()
        watch.chars -= noted.chars
        for one in watch_seen.seen(world, run, watched, noted):
            if has_latency:
                watch.notices += budgets.took(world, one)
            if told := observe(one):
                found += told
    return found


def _observe(world: World, seen: list[Seen]) -> list[Finding]:
    if world.budgets.has_latency:
        world.watch.notices += [found for one in seen for found in budgets.took(world, one)]
    observe, found = world.watch.detectors.observe, list[Finding]()
    for one in seen:
        found += observe(one)
    return found


def _forget_over(world: World) -> list[Finding]:
    """Runs that have ended: what is left of them is looked at, then their memory goes."""
    watch, found = world.watch, []
    over, watch.over = watch.over, {}
    for run_id, at in over.items():
        run, watched = world.runs.get(run_id), watch.runs.pop(run_id, None)
        agent = run.agent if run else ""
        if run is not None and watched is not None:
            found += _look_at(world, run, watched, UNSEEN_MAX)
            found += _observe(world, watch_seen.flushed(watched, at, 0.0))
            found += _observe(world, watch_seen.waits(run, watched, at, dict))
            run.watched = None
        if run is not None:
            watch.notices += [(run.id, notice) for notice in budgets.ended(world, run, at)]
        found += watch.detectors.observe(Closed(run=run_id, at=at, agent=agent))
        watch.detectors.forget(run_id)
        watch.due.pop(run_id, None)
    return found


def _keep_ticking(world: World, now: float) -> None:
    watch = world.watch
    if not watch.is_ticking and any(watched.waits for watched in watch.runs.values()):
        watch.is_ticking = True
        world.at(now + TICK_SECONDS, "watch_tick", "")


def tick(world: World, now: float) -> list[Finding]:
    """Time has passed: which waits are too old."""
    watch = world.watch
    watch.is_ticking = False
    asked = {one.run for one in world.approvals.values() if one.status in OPEN}
    found: list[Finding] = []
    runs_of = LiveRuns(world)
    for run_id, watched in watch.runs.items():
        run = world.runs.get(run_id)
        if run is not None and not watched.unseen and (watched.waits or run_id in asked):
            found += _observe(world, watch_seen.waits(run, watched, now, runs_of))
    found += watch.detectors.observe(Tick(at=now))
    _keep_ticking(world, now)
    return found


# -- over a restart ----------------------------------------------------------------------------------------------------


def remember(world: World, run: Run) -> None:
    """Put the detectors' memory of a run into its record, after the little that its record already counts."""
    watched = world.watch.runs.get(run.id)
    if watched is None or run.ended:
        run.watched = None
        return
    if len(watched.unseen) <= TURN_OF_A_RUN:  # under a flood, what waits is looked at in turn, and lost in a crash
        _catch_up(world, run, watched)
    run.watched = world.watch.detectors.dump_run(run.id)


def kept(world: World, name: str) -> dict[str, Any]:
    """A record of the fleet: its memory, or what operators answered."""
    if name == budgets.RECORD:
        return budgets.record(world)
    if name == "tuning":
        return {"seq": world.watch.tuned_seq, "levels": world.watch.detectors.tuning.dump()}
    return world.watch.detectors.fleet.dump()


def load(world: World) -> None:
    """Put back what the records hold; what cannot be read begins anew."""
    watch = world.watch
    tuning = watch.kept.get("tuning", {})
    try:
        known, watch.tuned_seq = Tuning.load(tuning.get("levels", {})), int(tuning.get("seq", 0))
    except (ValueError, TypeError, AttributeError):
        known, watch.tuned_seq = Tuning(), 0
    watch.detectors = Detectors(settings_of(world.policy), known)
    watch.detectors.load_fleet(watch.kept.get("fleet"))
    try:
        budgets.begin(world, watch.kept.get(budgets.RECORD))
    except (KeyError, ValueError, TypeError, AttributeError):
        world.unreadable.append(("watch", budgets.RECORD))  # what was spent is not to be forgotten in silence
        budgets.begin(world)
    for run in world.runs.values():
        if not run.ended:
            watch.runs[run.id] = Watched()
            if run.watched is not None:
                watch.detectors.load_run(run.id, run.agent, run.watched)
            run.watched = None


def resume(world: World, now: float) -> None:
    """The desk has recovered: what it replayed is looked at, and its open waits."""
    watch = world.watch
    for run in world.runs.values():
        if not run.ended:
            watch.runs.setdefault(run.id, Watched())
            if run.open_calls or run.pending:
                watch.due[run.id] = None
    watch.is_armed = watch.is_ticking = False
    if watch.due or watch.over or watch.found:
        _arm(world, now)
