"""A rehearsal: the replay's results and the other loads against their limits, and which of them breaks first."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from opsconsole.domain.usage import Usage
from opsconsole.gateway.flow.gauges import Lane
from opsconsole.gateway.rehearse.recorded import Recording, Turn
from opsconsole.gateway.rehearse.replay import APART_SECONDS, LaneResult, Replay, copied, lane_of
from opsconsole.gateway.rehearse.scripted import Limits
from opsconsole.gateway.rehearse.shift import service_seconds, worked

MINUTE, HOUR = 60.0, 3_600.0
CPU_SHARE_MAX = 0.8
"""Of one core: above that a hub's answers come late."""
LATE_SECONDS = 300.0
"""A held call that nobody looks at for so long is half way to its expiry."""

Price = Callable[[str, str, Usage], float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to be rehearsed, and against what."""

    times: int = 10
    operators: int = 1
    seed: int = 1
    limits: Mapping[Lane, Limits] = field(default_factory=dict)
    usd_per_hour: float | None = None
    seconds_per_event: float | None = None
    """Of the hub's CPU, measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """One thing that may break."""

    what: str
    """`TPM`, `RPM`, `dollars an hour`, `approvals an hour`, `hub CPU`."""
    where: str
    """Which model, or whose."""
    unit: str
    load: float
    """At its peak, at so many times the recorded traffic."""
    limit: float | None
    breaks_at_times: float | None
    """At how many times the recorded traffic the peak is the limit; None where no limit is known."""
    first_at_seconds: float | None
    """When in the replay it first gave trouble."""
    more: dict[str, Any] = field(default_factory=dict)

    @property
    def share(self) -> float | None:
        """Of the limit."""
        return self.load / self.limit if self.limit else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a rehearsal found."""

    plan: Plan
    recording: Recording
    loads: tuple[Load, ...]
    """What breaks first comes first."""

    @property
    def first(self) -> Load | None:
        """What breaks first, at whatever multiple; None where no limit is known."""
        return next((load for load in self.loads if load.breaks_at_times is not None), None)

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        first = self.first
        return {
            "times": self.plan.times,
            "seed": self.plan.seed,
            "operators": self.plan.operators,
            "recorded": {
                "seconds": round(self.recording.seconds, 3),
                "runs": self.recording.runs,
                "turns": len(self.recording.turns),
                "calls": self.recording.calls,
                "questions": len(self.recording.questions),
                "events": len(self.recording.events),
            },
            "first": None if first is None else _json(first),
            "breaks": bool(first and first.breaks_at_times and first.breaks_at_times <= self.plan.times),
            "loads": [_json(load) for load in self.loads],
            "assumes": list(assumptions(self.plan)),
        }


def rehearse(recording: Recording, plan: Plan, price: Price) -> Report:
    """Replays a period at so many times its traffic; the same seed gives the same report."""
    dice = random.Random(plan.seed)
    copies = copied(list(recording.turns), plan.times, dice)
    began_at = min((turn.at for turn in recording.turns), default=0.0)
    results = Replay(copies, plan.limits, seed=plan.seed, began_at=began_at).run()
    turns = [turn for own in copies.values() for turn in own]
    loads = [
        *_rates(turns, plan, results),
        *_dollars(turns, plan, price),
        *_approvals(recording, plan, dice),
        *_hub(recording, plan),
    ]
    loads.sort(key=lambda load: (math.inf if load.breaks_at_times is None else load.breaks_at_times, load.what))
    return Report(plan=plan, recording=recording, loads=tuple(loads))


def assumptions(plan: Plan) -> Iterable[str]:
    """What a report rests on, in words."""
    yield f"each recorded run is started {plan.times} times, the copies within {APART_SECONDS / 60:.0f} minutes"
    yield "a run's next turn comes as long after its last as it did; models answer as fast as they did"
    yield "a provider's limit is a bucket of a minute's worth that refills steadily"
    yield "a decision takes an operator the quickest quarter of the recorded times; they never rest"
    yield "a peak is the fullest minute (TPM, RPM, hub CPU) or hour (dollars, approvals) of the replay"
    yield "the hub's CPU is its desk and protocol, measured on this machine now; the disk is not in it"


def peak(points: Iterable[tuple[float, float]], seconds: float) -> float:
    """The largest sum of (time, amount) within any window of this length."""
    ordered = sorted(points)
    largest = total = 0.0
    first = 0
    for at, amount in ordered:
        total += amount
        while ordered[first][0] <= at - seconds:
            total -= ordered[first][1]
            first += 1
        largest = max(largest, total)
    return largest


def _rates(turns: Sequence[Turn], plan: Plan, results: Mapping[Lane, LaneResult]) -> Iterable[Load]:
    by_lane: dict[Lane, list[Turn]] = {}
    for turn in turns:
        by_lane.setdefault(lane_of(turn), []).append(turn)
    for lane, own in by_lane.items():
        limits, result = plan.limits.get(lane, Limits()), results.get(lane, LaneResult())
        where = f"{lane[0]} {lane[2]}".strip()
        more = _effects(result)
        tokens = peak(((turn.at, float(turn.tokens)) for turn in own), MINUTE)
        requests = peak(((turn.at, 1.0) for turn in own), MINUTE)
        for what, unit, load, limit in (
            ("TPM", "tokens a minute", tokens, limits.tokens),
            ("RPM", "requests a minute", requests, limits.requests),
        ):
            breaks_at = _breaks_at(load, limit, plan.times)
            trouble = result.first_trouble_at if breaks_at is not None and breaks_at <= plan.times else None
            yield Load(
                what=what,
                where=where,
                unit=unit,
                load=load,
                limit=limit,
                breaks_at_times=breaks_at,
                first_at_seconds=trouble,
                more=more,
            )


def _effects(result: LaneResult) -> dict[str, Any]:
    waits = sorted(result.waits)
    return {
        "turns": len(waits),
        "refused_by_provider": result.refused,
        "given_up": result.given_up,
        "waited_p50_seconds": round(_percentile(waits, 0.5), 2),
        "waited_p95_seconds": round(_percentile(waits, 0.95), 2),
        "waited_max_seconds": round(waits[-1], 2) if waits else 0.0,
    }


def _dollars(turns: Sequence[Turn], plan: Plan, price: Price) -> Iterable[Load]:
    """Spending as the budget counts it: a turn is reserved when it begins; one without a price is said, never $0."""
    spent: list[tuple[float, float]] = []
    unpriced: set[str] = set()
    for turn in turns:
        usd = price(turn.provider, turn.model, turn.usage)
        if usd is None:
            unpriced.add(turn.model)
        else:
            spent.append((turn.at, usd))
    if not turns:
        return
    load = peak(spent, HOUR)
    first = _first_over(spent, HOUR, plan.usd_per_hour)
    yield Load(
        what="dollars an hour",
        where="all runs",
        unit="US dollars",
        load=load,
        limit=plan.usd_per_hour,
        breaks_at_times=_breaks_at(load, plan.usd_per_hour, plan.times),
        first_at_seconds=None if first is None else first - min(turn.at for turn in turns),
        more={"unpriced_models": sorted(unpriced)},
    )


def _approvals(recording: Recording, plan: Plan, dice: random.Random) -> Iterable[Load]:
    if not recording.questions:
        return
    each = service_seconds([one.seconds for one in recording.questions if one.seconds is not None])
    began_at = min(one.at for one in recording.questions)
    asked = [
        one.at - began_at + (0.0 if number == 0 else dice.uniform(0.0, APART_SECONDS))
        for one in recording.questions
        for number in range(plan.times)
    ]
    result = worked(asked, plan.operators, each, LATE_SECONDS)
    load = peak(((at, 1.0) for at in asked), HOUR) / plan.operators
    waits = sorted(result.waits)
    yield Load(
        what="approvals an hour",
        where=f"each of {plan.operators} operators",
        unit="approvals",
        load=load,
        limit=HOUR / each,
        breaks_at_times=_breaks_at(load, HOUR / each, plan.times),
        first_at_seconds=result.first_late_at,
        more={
            "decision_seconds": round(each, 1),
            "waited_p50_seconds": round(_percentile(waits, 0.5), 1),
            "waited_p95_seconds": round(_percentile(waits, 0.95), 1),
        },
    )


def _hub(recording: Recording, plan: Plan) -> Iterable[Load]:
    if plan.seconds_per_event is None or not recording.events:
        return
    events = peak(((at, 1.0) for at in recording.events), MINUTE) * plan.times
    load = events * plan.seconds_per_event / MINUTE
    yield Load(
        what="hub CPU",
        where="the hub",
        unit="cores",
        load=load,
        limit=CPU_SHARE_MAX,
        breaks_at_times=_breaks_at(load, CPU_SHARE_MAX, plan.times),
        first_at_seconds=None,
        more={"events_a_second": round(events / MINUTE, 1), "microseconds_an_event": plan.seconds_per_event * 1e6},
    )


def _breaks_at(load: float, limit: float | None, times: int) -> float | None:
    return None if limit is None or load <= 0 else times * limit / load


def _first_over(points: Sequence[tuple[float, float]], seconds: float, limit: float | None) -> float | None:
    if limit is None:
        return None
    ordered = sorted(points)
    total, first = 0.0, 0
    for at, amount in ordered:
        total += amount
        while ordered[first][0] <= at - seconds:
            total -= ordered[first][1]
            first += 1
        if total > limit:
            return at
    return None


def _percentile(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


def _json(load: Load) -> dict[str, Any]:
    return asdict(load) | {"share": load.share}
