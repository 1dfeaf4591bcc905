"""How a trip ends: a person resumes a run or retunes a budget, raised caps and all in one decision; or by its time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from opsconsole.domain.command import Do
from opsconsole.domain.ids import joined_id
from opsconsole.domain.run import HELD
from opsconsole.hub.desk import breaker_acts, budgets, control, leases, limits
from opsconsole.hub.desk.effects import Effects
from opsconsole.hub.desk.principal import HUB
from opsconsole.hub.desk.refusal import Refusal
from opsconsole.hub.desk.state import Run
from opsconsole.hub.desk.world import World
from opsconsole.policy.breakers import Note, Notice
from opsconsole.policy.interface import tripped
from opsconsole.protocol.asked import NewCaps
from opsconsole.protocol.frames import Command

Lifted = dict[str, Any]
"""One trip that a decision ends: breaker, account, and the caps that it raises."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a resume does: to the run's own limits, and to the trips that hold it."""

    own: Command
    lifted: list[Lifted]

    @property
    def details(self) -> dict[str, Any]:
        """For the audit, beside the caps as they were given."""
        if not self.lifted:
            return {}
        own = self.own.caps.model_dump(exclude_none=True) if self.own.caps else None
        return {"lifted": self.lifted, "own_caps": own}


def plan(world: World, run: Run, command: Command, now: float) -> Plan:
    """How a command lets the run go on. Raises: Refusal where a breaker would hold it all the same."""
    given = command.caps.model_dump(exclude_none=True) if command.caps else {}
    if command.do is not Do.RESUME:
        return Plan(own=command, lifted=[])
    lifted: list[Lifted] = []
    for trip in budgets.held_by(world, run):
        caps = _caps_for(world, trip, given)
        still = world.budgets.breakers.still_held(trip.breaker, trip.account, now, caps)
        if still:
            message = f"still over its limit: breaker {trip.breaker}: {still}; raise it with the resume"
            raise Refusal("precondition_failed", message, {"tripped": still, "breaker": trip.breaker})
        lifted.append({"breaker": trip.breaker, "account": trip.account, "caps": caps} | _written(world, trip, caps))
    taken = {name for one in lifted for name in one["caps"]}
    own = {name: value for name, value in given.items() if name not in taken or _is_own(run)}
    return Plan(own=command.model_copy(update={"caps": NewCaps(**own) if own else None}), lifted=lifted)


def check_lifted(planned: Plan, now_due: Plan) -> None:
    """Nothing else holds the run now that a resume is on record. Raises: Refusal."""
    known = {(one["breaker"], one["account"]) for one in planned.lifted}
    more = [one["breaker"] for one in now_due.lifted if (one["breaker"], one["account"]) not in known]
    if more:
        raise Refusal("precondition_failed", "another breaker has tripped meanwhile", {"breaker": more[0]})


def _is_own(run: Run) -> bool:
    """Whether the run's own limits hold it as well."""
    return run.tripped is not None or tripped(run.spent, run.limits) is not None


def _written(world: World, trip: Notice, caps: Mapping[str, float]) -> dict[str, Any]:
    """What the policy file says of these limits, which a later one may say otherwise."""
    known = world.budgets.breakers.limits_of(trip.breaker)
    return {"written": {name: known[name] for name in caps}} if caps else {}


def _caps_for(world: World, trip: Notice, given: Mapping[str, float]) -> dict[str, float]:
    known = world.budgets.breakers.limits_of(trip.breaker)
    return {name: float(value) for name, value in given.items() if name in known}


def lift(world: World, lifted: Sequence[Lifted], now: float) -> Effects:
    """End trips, with their caps raised; what they held besides stays paused until somebody resumes it."""
    ended: list[Notice] = []
    breakers = world.budgets.breakers
    for one in lifted:
        trip = next((t for t in breakers.trips if (t.breaker, t.account) == (one["breaker"], one["account"])), None)
        _set_caps(world, one)
        breakers.lift(one["breaker"], one["account"])
        world.budgets.untold.pop((one["breaker"], one["account"]), None)
        ended += [trip] if trip else []
    world.dirty["watch", budgets.RECORD] = None
    budgets.keep_ticking(world, now)
    budgets.wake(world, now)
    return [effect for run in breaker_acts.clear(world, ended) for effect in world.changed_run(run)]


def _set_caps(world: World, details: Mapping[str, Any]) -> None:
    """The caps of an account, as an entry of the audit has them."""
    breaker, account, written = details["breaker"], details["account"], details.get("written") or {}
    known = world.budgets.breakers.limits_of(breaker)
    for name, value in details["caps"].items():
        if name in known:
            world.budgets.breakers.set_cap(breaker, account, name, float(value), written.get(name))


# -- retuning ----------------------------------------------------------------------------------------------------------


def check_budget(world: World, command: Command, now: float) -> dict[str, Any]:
    """What retuning a budget does, for the audit. Raises: Refusal."""
    caps = command.caps.model_dump(exclude_none=True) if command.caps else {}
    if not caps or not (command.note or "").strip():
        raise Refusal("bad_request", "a budget is changed to new caps, for a reason", {})
    base = {"command": command.cmd, "do": str(Do.BUDGET), "caps": caps, "note": command.note, "go_on": command.go_on}
    if command.run is not None:
        return base | _of_run(world, command)
    breaker, _, rest = (command.account or "").partition("/")
    known = world.budgets.breakers.limits_of(breaker)
    if not known or not rest:
        raise Refusal("not_found", f"no account {command.account!r} of a breaker", {})
    unknown = sorted(caps.keys() - known.keys())
    if unknown:
        message = f"the breaker {breaker} has no limit on {', '.join(unknown)}; it has {', '.join(known)}"
        raise Refusal("bad_request", message, {"limits": sorted(known)})
    runs = _going_on(world, breaker, command.account or "", caps, now) if command.go_on else []
    before = world.budgets.breakers.caps_of(breaker, command.account or "")
    about = {
        "breaker": breaker,
        "account": command.account,
        "before": {name: before[name] for name in caps},
        "written": {name: known[name] for name in caps},
    }
    return base | about | {"runs": [run.id for run in runs], "run": None}


def _of_run(world: World, command: Command) -> dict[str, Any]:
    run = world.runs.get(command.run or "")
    if run is None:
        raise Refusal("not_found", f"no run {command.run!r}", {})
    if run.ended:
        raise Refusal("precondition_failed", f"the run is {run.state}", {"state": str(run.state)})
    if command.go_on:
        raise Refusal("bad_request", "a paused run goes on with a resume, which takes new caps too", {})
    before = {"cost_usd": run.limits.cost_usd, "turns": run.limits.turns, "tokens": run.limits.tokens}
    return {"run": run.id, "agent": run.agent, "before": before, "runs": []}


def _going_on(world: World, breaker: str, account: str, caps: Mapping[str, float], now: float) -> list[Run]:
    trip = next((one for one in world.budgets.breakers.trips if one.account == account), None)
    if trip is None:
        return [run for run in world.runs.values() if _waits_still(world, run, breaker, account)]
    still = world.budgets.breakers.still_held(breaker, account, now, caps)
    if still:
        raise Refusal("precondition_failed", f"it would trip again at once: {still}", {"tripped": still})
    return [run for run in budgets.held_runs(world, [trip]) if _waits_for(world, run, trip)]


def _waits_still(world: World, run: Run, breaker: str, account: str) -> bool:
    """Whether a run stands still for a trip that is over: it was ended with the resume of another run."""
    breakers = world.budgets.breakers
    is_for_it = run.state in HELD and run.paused_by.startswith(f"breaker {breaker}: ")
    return is_for_it and breakers.knows(run.id) and breakers.counts_in(run.id, account) and not breakers.holding(run.id)


def _waits_for(world: World, run: Run, trip: Notice) -> bool:
    """Whether this trip alone holds the run."""
    return run.state in HELD and run.paused_by == budgets.words(trip) and len(budgets.held_by(world, run)) == 1


def change_budget(world: World, details: Mapping[str, Any], by: str, now: float) -> Effects:
    """Do what `check_budget` said, now that it is on record."""
    run = world.runs.get(details.get("run") or "")
    if run is not None:
        command = Command(cmd=details["command"], do=Do.BUDGET, caps=NewCaps(**details["caps"]))
        before, run.limits = run.limits, control.raised(run.limits, command)
        checked = [] if world.replaying else limits.check_limits(world, run, now)
        return checked + leases.tightened(world, run, before, now) + world.changed_run(run)
    if not details["go_on"]:
        _set_caps(world, details)
        world.dirty["watch", budgets.RECORD] = None
        budgets.wake(world, now)
        return recheck(world, now, details["account"])
    effects = lift(world, [dict(details)], now)
    return effects + go_on(world, details["runs"], details["command"], by, now)


def recheck(world: World, now: float, account: str | None = None) -> Effects:
    """Lower caps hold at once: what was used already may be beyond them."""
    if world.replaying or not budgets.is_on(world):
        return []
    return breaker_acts.act(world, None, world.budgets.breakers.recheck(now, account), now)


def go_on(world: World, runs: Sequence[str], command: str, by: str, now: float) -> Effects:
    """Let runs go on that a trip alone held, unless something else holds them by now."""
    effects: Effects = []
    for number, name in enumerate(runs):
        run = world.runs.get(name)
        if run is None or run.ended or run.state not in HELD or tripped(run.spent, run.limits):
            continue
        if budgets.held_by(world, run):
            continue
        resume = Command(cmd=joined_id(f"{command}.{number}", run.id), do=Do.RESUME, run=run.id)
        effects += control.RULES[Do.RESUME].apply(world, run, resume, by, now)
        effects += world.note_command(run, resume.cmd, Do.RESUME, by, "recorded", now)
    return effects


def count_going(world: World, runs: Sequence[str]) -> int:
    """How many of these stand still no longer."""
    return sum(1 for name in runs if (run := world.runs.get(name)) and not run.ended and run.state not in HELD)


# -- time --------------------------------------------------------------------------------------------------------------


def tick(world: World, _key: str, now: float) -> Effects:
    """Wall clocks trip; what ends by itself, as its rule says, ends once that is on record."""
    world.budgets.is_ticking = False
    if not budgets.is_on(world):
        return []
    before = {(one.breaker, one.account): one for one in world.budgets.breakers.trips}
    notices = world.budgets.breakers.tick(now)
    effects = breaker_acts.act(world, None, [one for one in notices if one.note is Note.TRIP], now)
    for notice in notices:
        trip = before.get((notice.breaker, notice.account))
        if notice.note is Note.RESUME and trip is not None:
            world.budgets.breakers.put_trip(trip)  # until it is on record
            if (trip.breaker, trip.account) not in world.budgets.ending:
                effects += _end(world, trip, notice.text, now)
    budgets.keep_ticking(world, now)
    world.dirty["watch", budgets.RECORD] = None
    return effects


def _end(world: World, trip: Notice, text: str, now: float) -> Effects:
    runs = [run.id for run in budgets.held_runs(world, [trip]) if _waits_for(world, run, trip)]
    details = breaker_acts.details_of(trip) | {"why": text, "runs": runs}
    lifted = [{"breaker": trip.breaker, "account": trip.account, "caps": {}}]
    key = (trip.breaker, trip.account)
    world.budgets.ending.add(key)

    def done(seq: int, then: float) -> Effects:
        world.budgets.ending.discard(key)
        world.budgets.seq = max(world.budgets.seq, seq)
        if trip not in world.budgets.breakers.trips:
            return []  # it was ended otherwise, or has tripped anew
        effects = lift(world, lifted, then)
        return effects + go_on(world, runs, joined_id(f"cmd_ends_{seq}", trip.breaker), "hub", then)

    def failed(_problem: str, _then: float) -> Effects:
        world.budgets.ending.discard(key)
        return []  # it holds on, and its time is over at the next look

    body = world.entry("breaker.resumed", HUB, now, details)
    return world.record("hub/breaker.resumed", body, done=done, failed=failed)
