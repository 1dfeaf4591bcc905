"""What turns of the model may still use: a turn goes only where its reservation fits what is left of the run's limits.

Usage is known when a turn is over, and turns run side by side: without a reservation each of fifty would find the
money that one of them will spend. A reservation ends with its turn, after the frame that told so: readings of usage in
it count first, so a point reports what a turn used no later than its end.

turn ─▶ admitted     spent + reserved + its own is within the limits
     ─▶ waits        it would fit were the others over; in order, nobody overtakes
     ─▶ granted      it would not, but can go with less, and a good part of the limit is left: it takes what is left
     ─▶ run paused   it does not fit what is left: it waits for an operator to raise the limits
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from opsconsole.domain.run import FENCED, HELD
from opsconsole.domain.tool_call import CALL_ENDED, CallKind, CallStatus
from opsconsole.hub.desk import breaker_acts, budgets, costs, leases, limits, verdicts
from opsconsole.hub.desk.effects import Effect, Effects, Send
from opsconsole.hub.desk.state import GATEWAY, LEASE, Call, Reserve, Run
from opsconsole.hub.desk.world import World
from opsconsole.policy.budget_ledger import Short
from opsconsole.policy.interface import Limits, tripped
from opsconsole.protocol.frames import TurnGrant, TurnLease

USD_MAX = 1e6
"""More than any turn costs; what is beyond it is no amount."""
TOKENS_MAX = 1_000_000_000
SHARE = 8
"""A turn goes with less than it reserves only with one part in so many of the limit: with less left of it a person is
asked, lest an agent end its work on cut answers."""
WAITS = "budget"
"""Why a turn is held that waits for others to be over."""


def reserve_of(kind: CallKind, args: dict[str, Any] | None) -> tuple[Reserve | None, Reserve | None]:
    """The reservation that a proposal carries, and the least with which it can go, or None for either.

    Raises: ValueError when it carries something else.
    """
    given = (args or {}).get("reserve") if kind is CallKind.MODEL_CALL else None
    if given is None:
        return None, None
    most = _read(given)
    if given.get("least") is None:
        return most, None
    least = _read(given["least"])
    if (least.usd is None) != (most.usd is None) or not _is_within(least, most):
        raise ValueError("the least of a reservation is not more than all of it, and has a price where that has one")
    return most, least


def _read(given: Any) -> Reserve:
    if not isinstance(given, dict):
        raise ValueError("a reservation is an object")
    usd, tokens = given.get("usd"), given.get("tokens", 0)
    if usd is not None and not (_is_number(usd) and 0 <= usd <= USD_MAX):
        raise ValueError(f"a reservation's usd is null or from 0 to {USD_MAX:,.0f}")
    if not (isinstance(tokens, int) and _is_number(tokens) and 0 <= tokens <= TOKENS_MAX):
        raise ValueError(f"a reservation's tokens are a whole number from 0 to {TOKENS_MAX:,}")
    return Reserve(usd=None if usd is None else float(usd), tokens=tokens)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def count_turn(run: Run, call: Call) -> None:
    """A turn of the model is taken in, or runs. A gateway sees those that the others see."""
    if call.kind is not CallKind.MODEL_CALL or call.counted:
        return
    call.counted = True
    if call.point == GATEWAY:
        run.gateway_turns += 1
    else:
        run.turns_begun += 1


def count_waiting(run: Run) -> None:
    """The run went on, and with it the turns that waited: what the gate said of each is on no record."""
    for call in run.open_calls.values():
        if call.gate and call.verdict is None:
            count_turn(run, call)


def admit(world: World, run: Run, call: Call, rule: str, now: float) -> Effects:
    """Let a turn go that the policy allows, let it wait for others, or pause the run."""
    over = None if call.counted else tripped(run.spent, run.limits)
    if over is not None:
        return limits.stop_at(world, run, over, now) + verdicts.hold(world, run, call, now)
    taken = _taken(world, run, call, now)
    if taken is not None:
        if over := _beyond(run, taken, run.limits):
            return limits.stop_at(world, run, over, now) + verdicts.hold(world, run, call, now)
        if _is_queued(run, call) or _beyond(run, taken, run.limits, run.reserved.values()):
            call.held = WAITS
            return world.changed_run(run)
    room = budgets.reserve(world, run, call, taken, now)
    if room.waits:
        call.held = WAITS
        return world.changed_run(run)
    if not room.admitted:
        return breaker_acts.stop(world, run, room, now) + verdicts.hold(world, run, call, now)
    granted = None
    if taken is not None:
        run.reserved[call.id] = taken
        granted = None if taken == call.reserve else TurnGrant(usd=taken.usd, tokens=taken.tokens)
    count_turn(run, call)
    admitted = verdicts.allow(world, run, call, rule, "policy", now, granted=granted)
    over_now = limits.check_limits(world, run, now) + breaker_acts.act(world, run, room.notices, now)
    lease = leases.offer(world, run, call, now)
    about: dict[str, TurnLease | bool] = {} if lease is None else {"lease": lease}
    is_capped = run.limits.cost_usd is not None or run.limits.tokens is not None or budgets.is_bound(world, run)
    if call.point == GATEWAY and not is_capped:
        about["unlimited"] = True
    return [_with(effect, call, about) for effect in admitted] + over_now


def _with(effect: Effect, call: Call, about: dict[str, TurnLease | bool]) -> Effect:
    """A lease goes with the verdict once: what is sent again later is a verdict on this one turn."""
    if not about or not isinstance(effect, Send) or getattr(effect.frame, "cmd", "") != call.verdict:
        return effect
    return replace(effect, frame=effect.frame.model_copy(update=about))


def must_wait(world: World, run: Run, call: Call, now: float) -> bool:
    """Whether common budgets have no room yet for a turn that waits."""
    taken = _taken(world, run, call, now)
    return taken is not None and budgets.must_wait(world, run, taken, now)


def _taken(world: World, run: Run, call: Call, now: float) -> Reserve | None:
    """What the turn is to take: the most where that fits once others are over, or too little is left of a limit; else
    what is left beside the others, where that is enough; else as much as is enough, which waits for them."""
    most, least = call.reserve, call.least
    if most is None or least is None:
        return most
    too_small = budgets.too_small(world, run, most, now)
    if not too_small and _beyond(run, most, run.limits) is None:
        return most
    enough = _enough(run, most, least, run.limits, too_small)
    if _beyond(run, enough, run.limits) or budgets.too_small(world, run, enough, now):
        return most
    granted = _left_of(world, run, most, now)
    return granted if _is_within(enough, granted) else enough


def _enough(run: Run, most: Reserve, least: Reserve, caps: Limits, too_small: Iterable[Short] = ()) -> Reserve:
    """The least that is granted in place of the most: a good part of every limit that has no room for that."""
    usd, tokens, spent = least.usd, least.tokens, run.spent
    limits_passed = [(one.cap.what, one.cap.limit) for one in too_small]
    if caps.cost_usd is not None and spent.cost_usd + (most.usd or 0.0) > caps.cost_usd:
        limits_passed.append(("cost_usd", caps.cost_usd))
    if caps.tokens is not None and spent.tokens + most.tokens > caps.tokens:
        limits_passed.append(("tokens", caps.tokens))
    for what, limit in limits_passed:
        if what == "tokens":
            tokens = max(tokens, math.ceil(limit / SHARE))
        elif usd is not None:
            usd = max(usd, limit / SHARE)
    return Reserve(usd=usd, tokens=tokens)


def _left_of(world: World, run: Run, most: Reserve, now: float) -> Reserve:
    """The part of a reservation that every limit has left beside the others."""
    caps, others, common = run.limits, run.reserved.values(), budgets.left(world, run, now)
    usd, tokens = most.usd, min(float(most.tokens), common.get("tokens", math.inf))
    if usd is not None:
        usd = min(usd, common.get("cost_usd", math.inf))
        if caps.cost_usd is not None:
            used = run.spent.cost_usd + sum(other.usd or 0.0 for other in others)
            usd = min(usd, math.nextafter(caps.cost_usd - used, -math.inf))  # the sum is not to round up beyond the cap
    if caps.tokens is not None:
        tokens = min(tokens, caps.tokens - run.spent.tokens - sum(other.tokens for other in others))
    return Reserve(usd=usd, tokens=math.floor(tokens))


def _is_within(one: Reserve, other: Reserve) -> bool:
    is_paid = one.usd is None or other.usd is None or one.usd <= other.usd
    return is_paid and one.tokens <= other.tokens


def follow(run: Run, call: Call, told: Reserve | None) -> None:
    """A turn goes on, or is over: one that began unseen has its reservation too, one that is over soon has none.

    told: what it took of its reservation, where it says so.
    """
    if call.reserve is None:
        return
    if call.status is CallStatus.RUNNING:
        run.reserved.setdefault(call.id, told or call.reserve)
    elif call.status in CALL_ENDED:
        run.settled.append(call.id)


def settle(world: World, run: Run) -> list[Call]:
    """Drop the reservations of turns that are over; gives those that wait and may be looked at again, in order."""
    for call_id in run.settled:
        run.reserved.pop(call_id, None)
    run.settled.clear()
    world.dirty["run", run.id] = None
    if world.replaying or run.state in HELD or run.state in FENCED:
        return []
    return [call for call in run.open_calls.values() if call.held == WAITS]


def leave(run: Run, point: str) -> None:
    """A new process speaks for a point: the turns of the one before it are over. Where that was a gateway that left
    nothing behind, nobody will tell what they used: what they had reserved counts."""
    for name, reserve in run.reserved.items():
        call = run.calls.get(name)
        if name.startswith(LEASE) or (call is not None and call.point == GATEWAY):
            if point != GATEWAY:
                continue
            costs.charge_lost(run, reserve)
        elif call is not None and call.point != point:
            continue
        run.settled.append(name)


def too_large(run: Run, caps: Limits) -> str | None:
    """Why the run could not go on under these limits: the first turn that waits would not fit, or None."""
    waiting = (call for call in run.open_calls.values() if call.held and call.reserve and call.verdict is None)
    first = next(waiting, None)
    if first is None or first.reserve is None:
        return None
    over = _beyond(run, first.reserve, caps)
    if over is None or first.least is None:
        return over
    return over if _beyond(run, _enough(run, first.reserve, first.least, caps), caps) else None


def _is_queued(run: Run, call: Call) -> bool:
    """Whether another turn has waited longer."""
    for other in run.open_calls.values():
        if other is call:
            return False
        if other.held == WAITS:
            return True
    return False


def _beyond(run: Run, reserve: Reserve, caps: Limits, others: Iterable[Reserve] = ()) -> str | None:
    """Which limit the turn would pass beside the others, in words, or None."""
    spent, others = run.spent, list(others)
    usd = spent.cost_usd + sum(other.usd or 0.0 for other in others)
    if caps.cost_usd is not None and reserve.usd is not None and usd + reserve.usd > caps.cost_usd:
        left = f"${max(0.0, caps.cost_usd - usd):.4f} of ${caps.cost_usd:.2f}"
        return f"{limits.BUDGET}: a turn reserves ${reserve.usd:.4f}, {left} is left"
    tokens = spent.tokens + sum(other.tokens for other in others)
    if caps.tokens is not None and tokens + reserve.tokens > caps.tokens:
        left = f"{max(0, caps.tokens - tokens):,} of {caps.tokens:,}"
        return f"{limits.BUDGET}: a turn reserves {reserve.tokens:,} tokens, {left} are left"
    return None
