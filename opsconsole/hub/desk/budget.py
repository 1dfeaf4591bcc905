"""What turns of the model may still use: a turn goes only where its reservation fits what is left of the run's limits.

Usage is known when a turn is over, and turns run side by side: without a reservation each of fifty would find the
money that one of them will spend. A reservation ends with its turn, after the frame that told so: readings of usage in
it count first, so a point reports what a turn used no later than its end.

turn ─▶ admitted     spent + reserved + its own is within the limits
     ─▶ waits        it would fit were the others over; in order, nobody overtakes
     ─▶ run paused   it does not fit what is left: it waits for an operator to raise the limits
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from opsconsole.domain.run import FENCED, HELD
from opsconsole.domain.tool_call import CALL_ENDED, CallKind, CallStatus
from opsconsole.hub.desk import breaker_acts, budgets, costs, leases, limits, verdicts
from opsconsole.hub.desk.effects import Effect, Effects, Send
from opsconsole.hub.desk.state import GATEWAY, LEASE, Call, Reserve, Run
from opsconsole.hub.desk.world import World
from opsconsole.policy.interface import Limits, tripped
from opsconsole.protocol.frames import TurnLease

USD_MAX = 1e6
"""More than any turn costs; what is beyond it is no amount."""
TOKENS_MAX = 1_000_000_000
WAITS = "budget"
"""Why a turn is held that waits for others to be over."""


def reserve_of(kind: CallKind, args: dict[str, Any] | None) -> Reserve | None:
    """The reservation that a proposal carries, or None. Raises: ValueError when it carries something else."""
    given = (args or {}).get("reserve") if kind is CallKind.MODEL_CALL else None
    if given is None:
        return None
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
    if call.reserve is not None:
        if over := _beyond(run, call.reserve, run.limits):
            return limits.stop_at(world, run, over, now) + verdicts.hold(world, run, call, now)
        if _is_queued(run, call) or _beyond(run, call.reserve, run.limits, run.reserved.values()):
            call.held = WAITS
            return world.changed_run(run)
    room = budgets.reserve(world, run, call, now)
    if room.waits:
        call.held = WAITS
        return world.changed_run(run)
    if not room.admitted:
        return breaker_acts.stop(world, run, room, now) + verdicts.hold(world, run, call, now)
    if call.reserve is not None:
        run.reserved[call.id] = call.reserve
    count_turn(run, call)
    admitted = verdicts.allow(world, run, call, rule, "policy", now)
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


def follow(run: Run, call: Call) -> None:
    """A turn goes on, or is over: one that began unseen has its reservation too, one that is over soon has none."""
    if call.reserve is None:
        return
    if call.status is CallStatus.RUNNING:
        run.reserved.setdefault(call.id, call.reserve)
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
    return _beyond(run, first.reserve, caps) if first and first.reserve else None


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
