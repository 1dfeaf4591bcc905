"""Fleets that go wrong on purpose, from a seed: what detectors would see, the faults that were put in, and the score.

Whatever is seen may be lost or late on its way to the hub, as `Injected` says. The same seed gives the same fleet.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from opsconsole.policy.detectors.finding import Finding
from opsconsole.policy.detectors.observation import Seen, Tick
from opsconsole.policy.detectors.watch import Detectors
from opsconsole.policy.file.settings import DetectorSettings

TICK_SECONDS = 5.0
START = 1_000_000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Injected:
    """What happens to observations on their way: a share is lost, the others are late by up to some seconds."""

    lost: float = 0.0
    late_seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Something that went wrong on purpose."""

    kind: str
    who: frozenset[str]
    """The runs, or the provider or model."""
    at: float
    until: float
    """When it was over, or the end of the simulation."""


@dataclass(slots=True)
class Simulated:
    """What was seen, and what was true."""

    seen: list[Seen] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    end: float = START


@dataclass(slots=True)
class Score:
    """How often findings were right, and faults found."""

    right: int = 0
    wrong: int = 0
    found: int = 0
    missed: int = 0
    delays: list[float] = field(default_factory=list)
    """Seconds from a fault to its finding."""

    @property
    def precision(self) -> float:
        """Of what was told, the share that was so."""
        return self.right / max(1, self.right + self.wrong)

    @property
    def recall(self) -> float:
        """Of the faults, the share that was told."""
        return self.found / max(1, self.found + self.missed)

    def add(self, other: Score) -> None:
        """Several seeds together."""
        self.right += other.right
        self.wrong += other.wrong
        self.found += other.found
        self.missed += other.missed
        self.delays += other.delays


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One kind of fault: how it is simulated, and which findings claim it."""

    name: str
    simulate: Callable[[random.Random], Simulated]
    kind: str
    claims: Callable[[Finding], frozenset[str] | None]
    """Whom a finding accuses; None: it is not about this kind of fault."""
    before_seconds: float = 0.0
    """How long before the fault a finding may come: a forecast."""
    after_seconds: float = 60.0
    """How long after the fault was over."""


def run(scenario: Scenario, seeds: Iterable[int], injected: Injected = Injected()) -> Score:
    """The score of a scenario over some seeds, with what is injected into every one."""
    total = Score()
    for seed in seeds:
        dice = random.Random(f"{scenario.name}/{seed}")
        simulated = scenario.simulate(dice)
        total.add(_score(scenario, simulated, observe(arriving(simulated.seen, injected, dice))))
    return total


def arriving(seen: Sequence[Seen], injected: Injected, dice: random.Random) -> list[Seen]:
    """What reaches the hub, in the order in which it does, with the hub's time; a run's own order is kept."""
    in_order = sorted(seen, key=lambda one: one.at)
    reached = (one for one in in_order if not dice.random() < injected.lost)
    last: dict[str, float] = {}
    late: list[Seen] = []
    for one in reached:
        last[one.run] = max(last.get(one.run, 0.0), one.at + dice.random() * injected.late_seconds)
        late.append(replace(one, at=last[one.run]))
    return sorted(late, key=lambda one: one.at)


def observe(seen: Sequence[Seen]) -> list[tuple[float, Finding]]:
    """What the detectors say, and when."""
    detectors = Detectors(DetectorSettings())
    told: list[tuple[float, Finding]] = []
    tick = START
    for one in seen:
        while tick < one.at:
            told.extend((tick, finding) for finding in detectors.observe(Tick(at=tick)))
            tick += TICK_SECONDS
        told.extend((one.at, finding) for finding in detectors.observe(one))
    return told


def _score(scenario: Scenario, simulated: Simulated, told: list[tuple[float, Finding]]) -> Score:
    score = Score()
    claims = [(at, who, finding.key) for at, finding in told if (who := scenario.claims(finding)) is not None]
    faults = [fault for fault in simulated.faults if fault.kind == scenario.kind]
    keys: dict[str, bool] = {}
    for at, who, key in claims:
        keys[key] = keys.get(key, False) or any(_is_of(scenario, fault, at, who) for fault in faults)
    score.right = sum(keys.values())
    score.wrong = len(keys) - score.right
    for fault in faults:
        times = [at for at, who, _ in claims if _is_of(scenario, fault, at, who)]
        score.found += bool(times)
        score.missed += not times
        score.delays.extend([min(times) - fault.at] if times else [])
    return score


def _is_of(scenario: Scenario, fault: Fault, at: float, who: frozenset[str]) -> bool:
    return bool(who & fault.who) and fault.at - scenario.before_seconds <= at <= fault.until + scenario.after_seconds


class Timeline:
    """Things to do, in the order of their times."""

    def __init__(self, now: float = START) -> None:
        self.now = now
        self._number = 0
        self._due: list[tuple[float, int, Callable[[], None]]] = []

    def after(self, seconds: float, do: Callable[[], None]) -> None:
        """Do something later."""
        self._number += 1
        heapq.heappush(self._due, (self.now + seconds, self._number, do))

    def run(self, until: float) -> None:
        """Do everything that is due before then."""
        while self._due and self._due[0][0] < until:
            self.now, _, do = heapq.heappop(self._due)
            do()
        self.now = until
