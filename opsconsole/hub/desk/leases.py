"""Turns let go ahead of time: a busy gateway need not ask for each, and no limit gives way for it.

A lease is a reservation: a small part of what is left of the run's limits, for a moment. It is given only while nothing
holds the run, and ends at the gateway with whatever stops or holds it or lowers its limits, because that is pushed.
Near a limit there is none, and every turn asks; nor is there one where a takeover would be told to another point than
the gateway, which would then go on under it.
"""

from __future__ import annotations

from opsconsole.domain.command import Do
from opsconsole.domain.ids import joined_id
from opsconsole.domain.run import FENCED, HELD
from opsconsole.domain.tool_call import CallKind
from opsconsole.hub.desk import budgets
from opsconsole.hub.desk.effects import Effects
from opsconsole.hub.desk.gateway import side_of
from opsconsole.hub.desk.state import GATEWAY, LEASE, Call, Reserve, Run
from opsconsole.hub.desk.world import World
from opsconsole.policy.interface import Limits
from opsconsole.protocol.frames import PointCommand, TurnLease

LEASE_SECONDS = 2.0
"""How long a gateway may go on that hears nothing: not longer than a person takes to notice."""
GRACE_SECONDS = 1.0
"""What its last turns used is told by then; the reservation ends after it."""
RETURN_SECONDS = 5.0
"""The same from the return of a gateway that was away: what it has to tell comes first."""
SHARE = 8
"""One part in so many of what is left of each limit."""
TURNS_MIN = 4
"""Fewer are not worth a lease."""
TURNS_MAX = 10_000


def offer(world: World, run: Run, call: Call, now: float) -> TurnLease | None:
    """A lease to go with this turn's allow, its reservation made; None where each turn is to ask."""
    if call.kind is not CallKind.MODEL_CALL or call.point != GATEWAY or call.reserve is None:
        return None
    if budgets.is_bound(world, run) or side_of(run, Do.TAKEOVER) == "others":
        return None
    if run.baton or run.tripped or run.state in HELD or run.state in FENCED or not world.policy.passes_turns:
        return None
    lease = _affordable(run, call.reserve)
    if lease is None:
        return None
    run.leases += 1
    name = f"{LEASE}{run.leases}"
    run.reserved[name] = Reserve(usd=lease.usd, tokens=lease.tokens or 0)
    world.at(now + LEASE_SECONDS + GRACE_SECONDS, "lease", f"{run.id} {name}")
    return lease


def tightened(world: World, run: Run, before: Limits, now: float) -> Effects:
    """The run's limits are others than `before`: where one of them is lower, no turn goes ahead by the old ones."""
    old, new = ((caps.cost_usd, caps.tokens, caps.turns) for caps in (before, run.limits))
    is_lower = any(cap is not None and (was is None or cap < was) for was, cap in zip(old, new, strict=True))
    return _recall(world, run, "its limits are lower", now) if is_lower else []


def rebound(world: World, run: Run, now: float) -> Effects:
    """The policy, or what the run is called, is another: where each turn is to ask now, none goes ahead any more."""
    if not run.reserved or (world.policy.passes_turns and not budgets.is_bound(world, run)):
        return []
    return _recall(world, run, "the policy looks at each of its turns", now)


def _recall(world: World, run: Run, why: str, now: float) -> Effects:
    """What is left of its leases is void at the gateway; reserved it stays, for turns of theirs may be under way."""
    if world.replaying or not any(name.startswith(LEASE) for name in run.reserved):
        return []
    command = joined_id(f"cmd_recall_{run.cseq + 1}", run.id)
    frame = PointCommand(cmd=command, run=run.id, cseq=0, do=Do.BUDGET, by="hub", text=why)
    return world.tell(run, frame, now, LEASE_SECONDS, "gateway")


def is_untold(run: Run) -> bool:
    """Whether what the turns of a lease have used may not have been told: their gateway is away without a word."""
    gateway = run.points.get(GATEWAY)
    return gateway is not None and gateway.link in ("stale", "lost")


def resume(world: World, run: Run, now: float) -> None:
    """A gateway speaks again: once it has told what its turns used, leases from before are over."""
    for name in run.reserved:
        if name.startswith(LEASE):
            world.at(now + RETURN_SECONDS, "lease", f"{run.id} {name}")


def _affordable(run: Run, turn: Reserve) -> TurnLease | None:
    """The part of what is left that the lease takes, if it is several times what this turn takes."""
    spent, reserved, caps = run.spent, run.reserved.values(), run.limits
    usd: float | None = None
    tokens: int | None = None
    turns = TURNS_MAX
    if caps.cost_usd is not None:
        usd = (caps.cost_usd - spent.cost_usd - sum(one.usd or 0.0 for one in reserved)) / SHARE
        if turn.usd is None or usd < TURNS_MIN * turn.usd or usd <= 0:
            return None
    if caps.tokens is not None:
        tokens = (caps.tokens - spent.tokens - sum(one.tokens for one in reserved)) // SHARE
        if tokens < TURNS_MIN * turn.tokens:
            return None
    if caps.turns is not None:
        turns = min(turns, (caps.turns - spent.turns) // SHARE)
    return TurnLease(turns=turns, usd=usd, tokens=tokens, seconds=LEASE_SECONDS) if turns >= TURNS_MIN else None
