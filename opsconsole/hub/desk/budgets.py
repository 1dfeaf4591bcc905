"""The policy's breakers over runs, agents, labels and the fleet: counted, reserved, and held where one has tripped.

The caps of one run over all its time are its limits (`limits`, `budget`); everything else stands here. What is counted
is how much a run's totals have grown, so that a restart counts nothing twice and nothing less.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from opsconsole.domain.run import FENCED
from opsconsole.domain.text import safe_line
from opsconsole.hub.desk.state import Call, Reserve, Run
from opsconsole.hub.desk.watch_state import Counted
from opsconsole.hub.desk.world import World
from opsconsole.policy.breakers import Amount, Breakers, Note, Notice, Subject
from opsconsole.policy.budget_ledger import Short
from opsconsole.policy.detectors.observation import CallEnded, Seen, TurnEnded
from opsconsole.policy.file.settings import BreakerRule
from opsconsole.policy.interface import Policy
from opsconsole.protocol.rows import RunRow

COUNTED_KEPT_MAX = 25_000
"""Runs whose counts are remembered: all that may be on the board."""
LIMITS_OF_RUNS = frozenset({"cost_usd", "turns", "tokens"})
"""What the limits of a run hold by themselves, over all its time."""
LATENCY_MS_MAX = 7 * 86_400_000.0
"""A week; what is said to have taken longer is no measure of a call."""
TICK_SECONDS = 10.0
"""How often wall clocks and breakers that end by themselves are looked at."""
RUNWAY_SECONDS_MAX = 366 * 86_400.0
"""A year."""
RECORD = "breakers"


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """Whether a turn may go, as far as breakers say."""

    admitted: bool = True
    waits: bool = False
    notices: tuple[Notice, ...] = ()
    held_by: str = ""
    """The breaker that holds the run already, in words."""


def rules_of(policy: Policy) -> tuple[BreakerRule, ...]:
    """The policy's breakers without what the limits of runs hold."""
    found = (_rest(rule) for rule in getattr(policy, "breakers", ()))
    return tuple(rule for rule in found if rule.trip)


def _rest(rule: BreakerRule) -> BreakerRule:
    if rule.scope != "run" or rule.window != "total" or rule.kills:
        return rule
    return replace(rule, trip={name: value for name, value in rule.trip.items() if name not in LIMITS_OF_RUNS})


def begin(world: World, state: Mapping[str, Any] | None = None) -> None:
    """Begin with the policy's breakers, and with what a record holds of them.

    Where breakers did not count before, they begin to: what runs have used up to now is in no window.

    Raises: KeyError, TypeError, ValueError or AttributeError when the record cannot be read.
    """
    rules, budgets = rules_of(world.policy), world.budgets
    budgets.breakers = Breakers.load(rules, state["state"]) if state else Breakers(rules)
    budgets.counted.clear()
    for run, counted in (state or {}).get("counted", {}).items():
        budgets.counted[run] = _read(counted)
    for run, trip in (state or {}).get("untold", ()):
        notice = Notice(**{**trip, "note": Note(trip["note"])})
        budgets.untold[notice.breaker, notice.account] = (run, notice)
    budgets.seq, budgets.at = int((state or {}).get("seq", 0)), float((state or {}).get("at", 0.0))
    _use_rules(world, rules, was_on=bool((state or {}).get("on")))


def _read(counted: Sequence[Any]) -> Counted:
    cost_usd, turns, tokens, tool_calls = counted
    return Counted(cost_usd=float(cost_usd), turns=int(turns), tokens=int(tokens), tool_calls=int(tool_calls))


def _use_rules(world: World, rules: tuple[BreakerRule, ...], *, was_on: bool) -> None:
    budgets = world.budgets
    budgets.is_on = bool(rules)
    budgets.has_latency = any("latency_ratio" in rule.trip for rule in rules)
    if budgets.is_on != was_on:
        world.dirty["watch", RECORD] = None
    if budgets.is_on and not was_on:
        for run in world.runs.values():
            _keep(world, run.id, _total(run))


def policy_changed(world: World, now: float) -> None:
    """Other rules from now on, over the same counts; what was used while there were none is in no window."""
    budgets = world.budgets
    rules = rules_of(world.policy)
    budgets.breakers.replace_rules(rules)
    _use_rules(world, rules, was_on=budgets.is_on)
    for run in world.runs.values():
        if run.described and not run.ended:
            started(world, run)
    wake(world, now)
    keep_ticking(world, now)


def keep_ticking(world: World, now: float) -> None:
    """Breakers look at the clock while there is something to look at."""
    state = world.budgets
    if not state.is_ticking and is_on(world) and any(not run.ended for run in world.runs.values()):
        state.is_ticking = True
        world.at(now + TICK_SECONDS, "breakers", "")


def started(world: World, run: Run) -> None:
    """A run is described: from now on it is counted."""
    if is_on(world):
        labels = dict(run.labels)
        subject = Subject(run=run.id, agent=run.agent, labels=labels, started_at=run.started_at)
        world.budgets.breakers.started(subject)


def ended(world: World, run: Run, now: float) -> list[Notice]:
    """A run is over: its last use is counted, and what it had reserved."""
    notices = count(world, run, now)
    if is_on(world):
        world.budgets.breakers.ended(run.id, now)
        _keep(world, run.id, world.budgets.counted.get(run.id, Counted()))  # a gateway may yet tell of a last turn
        world.budgets.waiting = {key: None for key in world.budgets.waiting if key[0] != run.id}
        wake(world, now)
    return notices


def is_on(world: World) -> bool:
    """Whether the policy has breakers at all."""
    return world.budgets.is_on


def count(world: World, run: Run, now: float, tool: str = "") -> list[Notice]:
    """Count what the run has used since it was last counted; `tool` is the one that it has called.

    What comes to light in a replay is kept, for the desk to act on where no entry says that it did.
    """
    if not is_on(world):
        return []
    budgets = world.budgets
    is_over = not budgets.breakers.knows(run.id)
    if is_over and not (run.ended and run.id in budgets.counted):
        return []
    before, total = budgets.counted.get(run.id, Counted()), _total(run)
    if total == before:
        return []
    used = Amount(
        cost_usd=max(0.0, total.cost_usd - before.cost_usd),
        turns=max(0, total.turns - before.turns),
        tokens=max(0, total.tokens - before.tokens),
        tool_calls=max(0, total.tool_calls - before.tool_calls),
    )
    _keep(world, run.id, total)
    budgets.at = now
    world.dirty["watch", RECORD] = None
    if is_over:
        started(world, run)
    notices = budgets.breakers.use(run.id, used, now, tool)
    if is_over:
        budgets.breakers.ended(run.id, now)
        notices = [one for one in notices if one in budgets.breakers.trips]
    if not world.replaying:
        return notices
    budgets.untold |= {(one.breaker, one.account): (run.id, one) for one in notices if one.note is Note.TRIP}
    return []


def _total(run: Run) -> Counted:
    spent = run.spent
    return Counted(cost_usd=spent.cost_usd, turns=spent.turns, tokens=spent.tokens, tool_calls=run.tool_calls)


def _keep(world: World, run: str, total: Counted) -> None:
    counted = world.budgets.counted
    counted[run] = total
    while len(counted) > COUNTED_KEPT_MAX:
        over = next((one for one in counted if one not in world.runs or world.runs[one].ended), None)
        if over is None:
            return
        del counted[over]


def reserve(world: World, run: Run, call: Call, taken: Reserve | None, now: float) -> Room:
    """Room for a turn that takes so much, in every window that it counts in, before it goes."""
    breakers = world.budgets.breakers
    if not is_on(world) or not breakers.knows(run.id):
        return Room()
    held = breakers.holding(run.id)
    if held:
        return Room(admitted=False, held_by=words(held[0]))
    if taken is None:
        return Room()
    admission = breakers.reserve(_name(run, call.id), run.id, _amount(taken), now)
    if admission.waits:
        world.budgets.waiting[run.id, call.id] = None
    else:
        world.budgets.waiting.pop((run.id, call.id), None)
    world.dirty["watch", RECORD] = None
    return Room(admitted=admission.admitted, waits=admission.waits, notices=admission.notices)


def release(world: World, run: Run, call: str, now: float) -> None:
    """A turn is over: what it used is in the run's totals, so its reservation counts as nothing."""
    if not is_on(world):
        return
    world.budgets.waiting.pop((run.id, call), None)
    world.budgets.breakers.settle(_name(run, call), Amount(), now)
    wake(world, now)


def wake(world: World, now: float) -> None:
    """There may be room: turns that wait for it are looked at again, once for all that gives some now."""
    budgets = world.budgets
    if budgets.waiting and not budgets.is_due and not world.replaying:
        budgets.is_due = True
        world.at(now, "budget", "")


def must_wait(world: World, run: Run, taken: Reserve, now: float) -> bool:
    """Whether there is no room yet for a turn that waits and would take so much."""
    breakers = world.budgets.breakers
    return is_on(world) and breakers.knows(run.id) and breakers.must_wait(run.id, _amount(taken), now)


def too_small(world: World, run: Run, taken: Reserve, now: float) -> list[Short]:
    """The windows that would have no room for a turn that takes so much, were all others over."""
    breakers = world.budgets.breakers
    if not is_on(world) or not breakers.knows(run.id):
        return []
    return [one for one in breakers.short(run.id, _amount(taken), now) if not one.may_wait]


def left(world: World, run: Run, now: float) -> Mapping[str, float]:
    """What every window leaves beside all that is reserved, by what it caps."""
    breakers = world.budgets.breakers
    return breakers.left(run.id, now) if is_on(world) and breakers.knows(run.id) else {}


def _amount(taken: Reserve) -> Amount:
    return Amount(cost_usd=taken.usd, tokens=taken.tokens)


def took(world: World, seen: Seen) -> list[tuple[str, Notice]]:
    """A turn or a call took so long: what breakers on latency say."""
    breakers = world.budgets.breakers
    if not isinstance(seen, TurnEnded | CallEnded) or not breakers.knows(seen.run):
        return []
    if not 0 < seen.latency_ms <= LATENCY_MS_MAX:
        return []
    name = f"model {seen.served_model or seen.model}" if isinstance(seen, TurnEnded) else f"tool {seen.tool}"
    return [(seen.run, notice) for notice in breakers.latency(seen.run, name, seen.latency_ms, seen.at)]


def is_bound(world: World, run: Run) -> bool:
    """Whether some cap beyond the run's own limits what its turns use: then none goes unasked."""
    breakers = world.budgets.breakers
    return is_on(world) and breakers.knows(run.id) and breakers.has_caps(run.id)


def _name(run: Run, call: str) -> str:
    return f"{run.id}/{call}"


def held_by(world: World, run: Run) -> list[Notice]:
    """The trips that hold a run."""
    breakers = world.budgets.breakers
    return breakers.holding(run.id) if is_on(world) and breakers.knows(run.id) else []


def held_runs(world: World, trips: Iterable[Notice]) -> list[Run]:
    """The live runs that these trips hold."""
    keys = {(trip.breaker, trip.account) for trip in trips}
    live = (run for run in world.runs.values() if not run.ended and run.state not in FENCED)
    return [run for run in live if any((one.breaker, one.account) in keys for one in held_by(world, run))]


def words(trip: Notice) -> str:
    """A trip in words, as the run's row says why it is paused."""
    return safe_line(f"breaker {trip.breaker}: {trip.text}", limit=200)


def show(world: World, run: Run, row: RunRow, now: float) -> RunRow:
    """The row with what holds the run, and how long its caps will last at the present pace."""
    row.held_by = [trip.breaker for trip in held_by(world, run)]
    if run.ended:
        return row
    soonest = _soonest(world, run, row, now)
    if soonest is not None:
        row.runway_at, row.runway = now + soonest[0], soonest[1]
    return row


def _soonest(world: World, run: Run, row: RunRow, now: float) -> tuple[float, str] | None:
    """(seconds, words) of the cap that is reached first, if that is within a year: further off it says nothing."""
    found = list(_own_caps(run, row))
    breakers = world.budgets.breakers
    if is_on(world) and breakers.knows(run.id):
        ways = breakers.runways(run.id, now)
        if ways and ways[0][1].seconds is not None:
            found.append((ways[0][1].seconds, f"the {ways[0][1].cap_text} of {ways[0][0]}"))
    first = min(found, default=None)
    return first if first is not None and first[0] <= RUNWAY_SECONDS_MAX else None


def _own_caps(run: Run, row: RunRow) -> Iterator[tuple[float, str]]:
    """(seconds, words) of the run's own caps, as long as turns and tokens go on costing what they have so far."""
    caps, tokens = run.limits, row.input_tokens + row.output_tokens
    used = (
        (row.cost_usd, caps.cost_usd, f"its ${caps.cost_usd or 0:,.2f} cap"),
        (row.turns, caps.turns, f"its cap of {caps.turns or 0:,} turns"),
        (tokens, caps.tokens, f"its cap of {caps.tokens or 0:,} tokens"),
    )
    for amount, cap, words_of in used:
        if cap is not None and 0 < amount < cap and row.cost_usd > 0 and row.cost_per_minute_usd > 0:
            per_minute = amount * (row.cost_per_minute_usd / row.cost_usd)
            yield (cap - amount) / per_minute * 60 if per_minute else math.inf, words_of


def record(world: World) -> dict[str, Any]:
    """What a restart needs of the breakers, as JSON values."""
    budgets = world.budgets
    budgets.breakers.forget_idle(budgets.at)
    standing = {(trip.breaker, trip.account) for trip in budgets.breakers.trips}
    budgets.untold = {key: told for key, told in budgets.untold.items() if key in standing}
    return {
        "on": budgets.is_on,
        "state": budgets.breakers.dump(),
        "counted": {run: (one.cost_usd, one.turns, one.tokens, one.tool_calls) for run, one in budgets.counted.items()},
        "untold": [[run, asdict(trip)] for run, trip in budgets.untold.values()],
        "seq": budgets.seq,
        "at": budgets.at,
    }


def resume(world: World, now: float) -> list[Notice]:
    """The desk has recovered: runs are told anew, what they used beyond the record is counted, turns under way kept."""
    if not is_on(world):
        return []
    budgets, notices = world.budgets, []
    since = budgets.at
    budgets.breakers.let_go()
    for run in world.runs.values():
        is_past = run.id not in budgets.counted and run.ended_at is not None and run.ended_at <= since
        if not run.described or is_past:
            continue
        started(world, run)
        notices += count(world, run, now)
        for call, kept in () if run.ended else run.reserved.items():
            budgets.breakers.keep(_name(run, call), run.id, _amount(kept), now)
        if run.ended:
            budgets.breakers.ended(run.id, now)
    wake(world, now)
    return notices


def untold(world: World) -> list[tuple[str, Notice]]:
    """The trips that hold something and are not on record, each with the run that brought it up; asked for once."""
    found, world.budgets.untold = world.budgets.untold, {}
    standing = {(trip.breaker, trip.account) for trip in world.budgets.breakers.trips}
    return [told for key, told in found.items() if key in standing]
