"""What detectors and breakers cost an event, and how well they tell trouble, on recorded runs and simulated fleets."""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Sequence
from typing import Any

from bench.result import Row
from opsconsole.policy.breakers import Amount, Breakers, Subject
from opsconsole.policy.detectors.finding import Severity
from opsconsole.policy.detectors.observation import Seen
from opsconsole.policy.detectors.watch import Detectors
from opsconsole.policy.file.settings import BreakerRule, DetectorSettings, LoopSettings, Per
from tests.policy.detectors import simulated_providers, simulated_waits
from tests.policy.detectors.recorded import all_runs, intercode, is_success
from tests.policy.detectors.seeing import ONLY
from tests.policy.detectors.simulator import Injected
from tests.policy.detectors.simulator import run as simulate
from tests.policy.facts.recorded_runs import ABSENT, half_of, is_present, lines

EVENT_US_MAX = 30.0
FAILED_MIN = 0.62
SUCCESSFUL_MAX = 0.005
BREAKER_CALLS = 20_000
SEEDS = 3
INJECTIONS = {
    "in time": Injected(),
    "2 s late": Injected(late_seconds=2.0),
    "2 s late, 2 % lost": Injected(lost=0.02, late_seconds=2.0),
}


def run(*, is_quick: bool) -> list[Row]:
    """The rows of this benchmark; those on recorded runs only where there are some."""
    rows = [_breakers(BREAKER_CALLS // 10 if is_quick else BREAKER_CALLS), *_simulated(range(1 if is_quick else SEEDS))]
    if not is_present():
        print(ABSENT, file=sys.stderr)
        return rows
    return [_event(20 if is_quick else 4), *_loop("sql", "run_sql"), *_loop("bash", "shell"), *rows]


def _event(every: int) -> Row:
    """The mean over every so many recorded runs, with all detectors on, the one that is off by default too."""
    detectors = Detectors(DetectorSettings(agreement=True))
    spent, events = 0.0, 0
    for number, seen in enumerate(all_runs()):
        if number % every == 0:
            spent += _timed(detectors, seen)
            events += len(seen)
            detectors.forget(seen[0].run)
    return _row("all detectors, an event, mean", spent / events * 1e6, "us", EVENT_US_MAX, more={"events": events})


def _timed(detectors: Detectors, seen: Sequence[Seen]) -> float:
    gc.disable()
    before = time.thread_time()
    for one in seen:
        detectors.observe(one)
    elapsed = time.thread_time() - before
    gc.enable()
    return elapsed


def _loop(name: str, tool: str) -> list[Row]:
    """Shares of failed and of successful runs that trip, and that at least warn, on all runs and on each half."""
    settings = DetectorSettings(**(ONLY | {"loop": LoopSettings()}))  # type: ignore[arg-type]
    flags: dict[tuple[str, bool], list[tuple[bool, bool]]] = {}
    for one in lines(f"{name}_agent_runs.jsonl.gz"):
        detectors = Detectors(settings)
        found = [finding for seen in intercode(one, tool) for finding in detectors.observe(seen)]
        flag = (any(finding.severity is Severity.TRIP for finding in found), bool(found))
        for half in ("all", half_of(one["id"])):
            flags.setdefault((half, is_success(one)), []).append(flag)
    rows: list[Row] = []
    for half in ("all", "tuning", "frozen"):
        for success, word, limit, sense in (
            (False, "failed", FAILED_MIN, "at least"),
            (True, "successful", SUCCESSFUL_MAX, "at most"),
        ):
            each = flags[half, success]
            share = sum(trips for trips, _ in each) / len(each)
            more = {"runs": len(each), "warned": round(sum(warned for _, warned in each) / len(each), 4)}
            limited: dict[str, Any] = {"limit": limit, "sense": sense} if name == "sql" else {}
            rows.append(_row(f"loops, {word} {name} runs, {half}", share, "of 1", more=more, **limited))
    return rows


def _simulated(seeds: Sequence[int]) -> list[Row]:
    rows: list[Row] = []
    for scenario in (*simulated_waits.SCENARIOS, *simulated_providers.SCENARIOS):
        for how, injected in INJECTIONS.items():
            score = simulate(scenario, seeds, injected)
            delays = sorted(score.delays)
            more = {
                "right": score.right,
                "wrong": score.wrong,
                "found": score.found,
                "missed": score.missed,
                "delay_p50_seconds": round(delays[len(delays) // 2], 1) if delays else None,
            }
            rows.append(_row(f"simulated {scenario.name}, {how}, precision", score.precision, "of 1", more=more))
            rows.append(_row(f"simulated {scenario.name}, {how}, recall", score.recall, "of 1"))
    return rows


def _breakers(calls: int) -> Row:
    """One turn, reserved and settled, under ten rules."""
    trips = {"cost_usd": 1e9, "tokens": 1e12, "tool_calls_per_minute": 1e9}
    scopes = (Per.RUN, Per.AGENT, Per.FLEET, Per.HOUR, Per.DAY)
    breakers = Breakers([BreakerRule(id=f"b{number}", per=scopes[number % 5], trip=trips) for number in range(10)])
    breakers.started(Subject(run="r", agent="bot"))
    amount = Amount(cost_usd=0.01, turns=1, tokens=1_000)
    before = time.thread_time()
    for number in range(calls):
        breakers.reserve(f"c{number}", "r", amount, number * 0.1)
        breakers.settle(f"c{number}", amount, number * 0.1)
    return _row("ten breakers, a turn reserved and settled", (time.thread_time() - before) / calls * 1e6, "us")


def _row(what: str, measured: float, unit: str, limit: float | None = None, **more: Any) -> Row:
    return Row(bench="detectors", what=what, measured=measured, unit=unit, limit=limit, **more)
