"""Simulated providers of models: they get slow, fill up, and go down, under agents that go on asking."""

from __future__ import annotations

import random
from collections.abc import Callable

from opsconsole.policy.detectors.finding import Finding, Severity
from opsconsole.policy.detectors.observation import RateReading, RequestEnded, TurnEnded
from tests.policy.detectors.simulator import START, Fault, Scenario, Simulated

AGENTS = 12
HOURS = 3.0
END = START + HOURS * 3_600


def _turn(run: str, at: float, model: str, latency_ms: float) -> TurnEnded:
    return TurnEnded(run=run, agent=run, at=at, model=model, provider="p", latency_ms=latency_ms)


def slow_models(dice: random.Random) -> Simulated:
    """Six models whose latencies have long tails; now and then one takes many times its usual for some minutes."""
    simulated = Simulated(end=END)
    tails = {f"m{number}": dice.uniform(0.3, 0.8) for number in range(6)}
    bases = {model: dice.uniform(6.0, 8.5) for model in tails}
    incidents: dict[str, list[tuple[float, float, float]]] = {model: [] for model in tails}
    for model, each in incidents.items():
        for _ in range(dice.randint(1, 3)):
            at = dice.uniform(START + 2_000, END - 1_500)
            each.append((at, at + dice.uniform(180, 600), dice.uniform(5, 12)))
        for at, until, _ in each:
            simulated.faults.append(Fault(kind="slow", who=frozenset({model}), at=at, until=until))
    for number in range(AGENTS):
        model, at = f"m{number % 6}", START + dice.random() * 10
        while at < END:
            factor = max((f for a, u, f in incidents[model] if a <= at <= u), default=1.0)
            latency = dice.lognormvariate(bases[model], tails[model]) * factor
            at += latency / 1_000
            simulated.seen.append(_turn(f"agent{number}", at, model, latency))
            at += dice.expovariate(1 / 5)
    return simulated


def full_providers(dice: random.Random) -> Simulated:
    """Four providers with a limit a minute, two that say so in headers: load swings, and now and then is too much."""
    simulated = Simulated(end=END)
    for number in range(4):
        _fill(dice, simulated, f"p{number}", has_headers=number < 2)
    return simulated


def _fill(dice: random.Random, simulated: Simulated, provider: str, *, has_headers: bool) -> None:
    size, minute, full_since = 120, START, 0.0
    while minute < END:
        load = dice.uniform(1.05, 1.3) if dice.random() < 0.04 else dice.uniform(0.1, 0.7)
        full_at: float | None = None
        for used, at in enumerate(sorted(minute + dice.random() * 59 for _ in range(int(load * size))), 1):
            status = 200 if used <= size else 429
            full_at = at if full_at is None and used >= 0.95 * size else full_at
            run = f"agent{dice.randrange(AGENTS)}"
            simulated.seen.append(
                RequestEnded(run=run, at=at, provider=provider, request_digest=f"{at}", status=status)
            )
            if has_headers:
                remaining = max(0, size - used)
                simulated.seen.append(
                    RateReading(
                        run=run,
                        at=at,
                        provider=provider,
                        limit="requests",
                        size=size,
                        remaining=remaining,
                        resets_at=minute + 60,
                    )
                )
        if full_at is not None and minute - full_since > 180 and (has_headers or full_since):
            simulated.faults.append(Fault(kind="full", who=frozenset({provider}), at=full_at, until=minute + 60))
        full_since = minute if full_at is not None else full_since
        minute += 60


def failing_providers(dice: random.Random) -> Simulated:
    """Three providers with a few failures at all times, and outages in which every request fails and is tried again."""
    simulated = Simulated(end=END)
    for number in range(3):
        provider = f"p{number}"
        outages = []
        for _ in range(3):
            at = dice.uniform(START + 300, END - 600)
            outages.append((at, at + dice.uniform(45, 180)))
        for at, until in outages:
            simulated.faults.append(Fault(kind="storm", who=frozenset({provider}), at=at, until=until))
        for agent in range(AGENTS):
            _ask(dice, simulated, provider, f"agent{agent}", outages)
    return simulated


def _ask(
    dice: random.Random, simulated: Simulated, provider: str, run: str, outages: list[tuple[float, float]]
) -> None:
    at, number = START + dice.random() * 20, 0
    while at < END:
        number += 1
        for attempt in range(6):
            is_down = any(begin <= at <= end for begin, end in outages)
            is_failed = is_down or dice.random() < 0.01
            status = dice.choice([429, 500, 503, None]) if is_failed else 200
            simulated.seen.append(
                RequestEnded(run=run, agent=run, at=at, provider=provider, request_digest=f"{number}", status=status)
            )
            if not is_failed:
                break
            at += min(20.0, 2.0**attempt) * dice.uniform(0.5, 1.5)
        at += dice.expovariate(1 / 15)


def _named(detector: str, what: str) -> Callable[[Finding], frozenset[str] | None]:
    def claims(finding: Finding) -> frozenset[str] | None:
        return frozenset({str(finding.evidence[what])}) if finding.detector == detector else None

    return claims


def _slow(finding: Finding) -> frozenset[str] | None:
    if finding.detector != "latency":
        return None
    return frozenset({str(finding.evidence["dependency"]).removeprefix("model ")})


def _storm(finding: Finding) -> frozenset[str] | None:
    is_storm = finding.detector == "retries" and finding.severity is Severity.TRIP
    return frozenset({str(finding.evidence["provider"])}) if is_storm else None


CASCADE = Scenario(name="cascade", simulate=slow_models, kind="slow", claims=_slow)
SATURATION = Scenario(
    name="saturation",
    simulate=full_providers,
    kind="full",
    claims=_named("rate_limit", "provider"),
    before_seconds=45.0,
)
STORM = Scenario(name="retry storm", simulate=failing_providers, kind="storm", claims=_storm)

SCENARIOS = (CASCADE, SATURATION, STORM)
