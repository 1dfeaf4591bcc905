"""How well saturation and retry storms are told from seeds, and what fair shares and budgets are worth: simulated."""

from __future__ import annotations

import heapq
import random
import statistics
from dataclasses import dataclass

from bench.result import Row, percentile
from opsconsole.domain.usage import Usage
from opsconsole.gateway.flow.gauges import Gauges, Lane
from opsconsole.gateway.flow.limits_read import read_limits
from opsconsole.gateway.flow.retries import RETRIED
from opsconsole.gateway.flow.storm import StormWatch
from opsconsole.gateway.flow.traffic import Ask, Go, Traffic
from opsconsole.gateway.rehearse.recorded import Turn
from opsconsole.gateway.rehearse.replay import Replay
from opsconsole.gateway.rehearse.scripted import Limits, ScriptedProvider

LANE: Lane = ("openai", "", "gpt-4o")
SEEDS, SEEDS_QUICK = 300, 60
LOOK_SECONDS = 5.0
SATURATED_SHARE = 0.95
SCENARIO_SECONDS = 900


def run(*, is_quick: bool) -> list[Row]:
    """The rows of this benchmark."""
    seeds = SEEDS_QUICK if is_quick else SEEDS
    return [*_saturation_rows(seeds), *_storm_rows(seeds), *_outage_rows(seeds // 10), *_fair_rows(seeds // 10)]


# -- saturation --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """What one seed came to: when the limit was really full, and when it was said to become so."""

    saturated_at: float | None
    warned_at: float | None
    projected_seconds: float | None
    """What was projected a minute before it was full."""


def saturation(seed: int) -> Scenario:
    """A quarter of an hour of one model: load that stands, swings or grows, a part of it another client's, unseen."""
    dice = random.Random(seed)
    limit = dice.choice([30_000.0, 200_000.0, 2_000_000.0])
    provider, gauges = ScriptedProvider(Limits(tokens=limit)), Gauges()
    base, growth = dice.uniform(0.1, 0.9), dice.choice([0.0, 0.0, dice.uniform(0.2, 1.5)])
    unseen, mean = dice.uniform(0.0, 0.4), limit / dice.uniform(60, 400)
    now = looked_at = 0.0
    saturated: float | None = None
    warned: float | None = None
    projected: list[tuple[float, float]] = []
    while now < SCENARIO_SECONDS and saturated is None:
        rate = limit / 60 * (base + growth * now / SCENARIO_SECONDS) / mean
        now += dice.expovariate(rate)
        tokens = mean * dice.uniform(0.3, 1.7)
        status, headers = provider.ask(tokens, now)
        if dice.random() >= unseen:
            gauges.sent(LANE, tokens, now)
            gauges.read(LANE, read_limits(headers, now), now)
        if status == 429 or float(headers["x-ratelimit-remaining-tokens"]) <= limit * (1 - SATURATED_SHARE):
            saturated = now
        elif now - looked_at >= LOOK_SECONDS:
            looked_at = now
            for gauge in gauges.all(now):
                if gauge.kind == "tokens" and gauge.level != "ok" and warned is None:
                    warned = now
                if gauge.kind == "tokens" and gauge.full_in_seconds is not None:
                    projected.append((now, gauge.full_in_seconds))
    early = [seconds for at, seconds in projected if saturated is not None and 50 <= saturated - at <= 70]
    return Scenario(
        saturated_at=saturated, warned_at=warned, projected_seconds=statistics.median(early) if early else None
    )


def _saturation_rows(seeds: int) -> list[Row]:
    found = [saturation(seed) for seed in range(seeds)]
    true = [one for one in found if one.saturated_at is not None]
    told = [one for one in true if one.warned_at is not None]
    false = [one for one in found if one.saturated_at is None and one.warned_at is not None]
    leads = [one.saturated_at - one.warned_at for one in told if one.saturated_at and one.warned_at is not None]
    errors = [abs(one.projected_seconds - 60.0) for one in true if one.projected_seconds is not None]
    more = {"seeds": seeds, "saturated": len(true), "told": len(told), "false_alarms": len(false)}
    return [
        _share("rate saturation told before it is there (recall)", len(told), len(true), 0.95, more),
        _share("warnings of saturation that were right (precision)", len(told), len(told) + len(false), 0.8, more),
        Row(bench="flow", what="warning before saturation, median", measured=statistics.median(leads), unit="s"),
        Row(
            bench="flow",
            what="error of `full in`, a minute before, median",
            measured=statistics.median(errors),
            unit="s",
            more={"p90": percentile(errors, 0.9), "count": len(errors)},
        ),
    ]


# -- retry storms ------------------------------------------------------------------------------------------------------


def storm(seed: int) -> tuple[bool, bool]:
    """(is a storm, is told as one): agents before a provider that fails now and then, or altogether."""
    dice = random.Random(seed)
    outage = dice.random() < 0.5
    agents = dice.randint(4, 30)
    flaky = dice.choice([0.0, 0.01, 0.03])
    watch, told = StormWatch("openai"), False
    heap = [(dice.uniform(0, 20), run, 0, 0) for run in range(agents)]
    heapq.heapify(heap)
    retrying: dict[int, float] = {}
    most = 0
    while heap:
        now, run, request, attempt = heapq.heappop(heap)
        if now > 240:
            break
        watch.asked(f"run{run}", request, now)
        if attempt:
            retrying[run] = now
        most = max(most, sum(1 for at in retrying.values() if now - at <= 60))
        fails = (outage and 60 <= now <= 180) or dice.random() < flaky
        watch.answered(f"run{run}", request, 503 if fails else 200, now)
        told = told or watch.storm(now) is not None
        if fails and attempt < 4:
            heapq.heappush(heap, (now + 0.5 * 2.0**attempt * dice.uniform(0.75, 1.0), run, request, attempt + 1))
        else:
            heapq.heappush(heap, (now + dice.expovariate(1 / 12), run, request + 1, 0))
    return outage and most >= 3, told


def _storm_rows(seeds: int) -> list[Row]:
    found = [storm(seed) for seed in range(seeds)]
    right = sum(true and told for true, told in found)
    more = {"seeds": seeds, "storms": sum(true for true, _ in found), "told": sum(told for _, told in found)}
    return [
        _share("retry storms told (recall)", right, more["storms"], 0.95, more),
        _share("storms told that were ones (precision)", right, more["told"], 0.95, more),
    ]


# -- what it is worth --------------------------------------------------------------------------------------------------


def outage(seed: int, *, paced: bool) -> float:
    """Requests that reach a provider in two minutes of outage, for each that agents wanted."""
    dice = random.Random(seed)
    traffic = Traffic(dice=dice.random)
    wanted = sent = number = 0
    heap = [(dice.uniform(0, 10), run, 0, 0) for run in range(40)]
    heapq.heapify(heap)
    while heap:
        now, run, attempt, client = heapq.heappop(heap)
        if now > 120:
            break
        wanted += attempt == 0 and client == 0
        number += 1
        ask = Ask(id=number, lane=LANE, run=f"run{run}", tokens=100, request=number)
        wait: float | None = None
        if not paced or isinstance(traffic.arrive(ask, now, attempt=attempt), Go):
            sent += 1
            if paced:
                traffic.answered(ask, 503, {}, now, now)
                wait = traffic.again_seconds(ask, attempt, 503, {}, now, now)
            elif attempt < 2 and 503 in RETRIED:
                wait = 0.5 * 2.0**attempt
        if wait is not None:
            heapq.heappush(heap, (now + wait, run, attempt + 1, client))
        elif client < 2:  # an official client tries twice more by itself
            heapq.heappush(heap, (now + 0.5 * 2.0**client * dice.uniform(0.75, 1.0), run, 0, client + 1))
        else:
            heapq.heappush(heap, (now + dice.expovariate(1 / 5), run, 0, 0))
    return sent / wanted


def _outage_rows(seeds: int) -> list[Row]:
    paced = statistics.mean(outage(seed, paced=True) for seed in range(seeds))
    bare = statistics.mean(outage(seed, paced=False) for seed in range(seeds))
    what = f"requests a failing provider gets for each that agents want ({bare:.1f} with retries alone)"
    return [Row(bench="flow", what=what, measured=paced, unit="", limit=1.0, more={"seeds": seeds, "bare": bare})]


def fairness(seed: int) -> tuple[float, float]:
    """(median wait of nine small runs, of one that wants five times the limit) beside one another, in seconds."""
    dice = random.Random(seed)
    small = {f"small{run}": _turns(f"small{run}", 20, 1_000, 12.0, dice) for run in range(9)}
    hogs = {f"hog{part}": _turns("hog", 60, 10_000, 2.0, dice) for part in range(1)}
    replay = Replay({**small, **hogs}, {LANE: Limits(tokens=100_000)}, seed=seed, began_at=0.0)
    by_run = replay.run()[LANE].by_run
    return (
        statistics.median(wait for run, waits in by_run.items() if run.startswith("small") for wait in waits),
        statistics.median(wait for run, waits in by_run.items() if run.startswith("hog") for wait in waits),
    )


def _turns(run: str, count: int, tokens: int, apart: float, dice: random.Random) -> list[Turn]:
    usage = Usage(turns=1, input_tokens=tokens)
    at, turns = dice.uniform(0, 5), list[Turn]()
    for _ in range(count):
        turns.append(Turn(run=run, at=at, seconds=1.0, provider=LANE[0], model=LANE[2], usage=usage))
        at += 1.0 + dice.expovariate(1 / apart)
    return turns


def _fair_rows(seeds: int) -> list[Row]:
    found = [fairness(seed) for seed in range(seeds)]
    small, hog = (statistics.median(one[place] for one in found) for place in (0, 1))
    what = f"wait of small runs beside one that takes all it can (it waits {hog:.1f} s), median"
    return [Row(bench="flow", what=what, measured=small, unit="s", limit=2.0, more={"seeds": seeds, "hog": hog})]


def _share(what: str, part: int, whole: int, limit: float, more: dict[str, int]) -> Row:
    share = part / whole if whole else 0.0
    return Row(bench="flow", what=what, measured=share, unit="", limit=limit, sense="at least", more=dict(more))
