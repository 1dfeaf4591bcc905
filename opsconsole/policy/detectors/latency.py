"""Latency cascade: a model or tool that is slower than usual, and everyone who waits for it, as one incident."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from opsconsole.policy.detectors.baseline import Baseline
from opsconsole.policy.detectors.bounded import put
from opsconsole.policy.detectors.finding import NOTHING, Finding, SettingsOf, Severity
from opsconsole.policy.detectors.observation import LATENCY_MS_MAX, CallEnded, Seen, TurnEnded
from opsconsole.policy.file.settings import LatencySettings

DEPENDENCIES_MAX = 500
"""Models and tools of the fleet."""
STREAKS_MAX = 5_000
"""Runs that are slow at one of them right now."""
GROUP_SECONDS = 60.0
"""Runs that become slow within a minute of one another share an incident."""
RUNS_MAX = 200
"""Named in one incident."""
FLOOR_MS = 100.0
"""Nothing that is over sooner is slow, whatever its ratio."""


@dataclass(slots=True)
class _Dependency:
    """One model or tool."""

    usual: Baseline
    opened: float = -math.inf
    last: float = -math.inf
    """When a run last became slow at it."""
    runs: dict[str, str] = field(default_factory=dict)
    """Run -> agent, of the open incident."""


class Latency:
    """The fleet's. A run is slow at something after so many calls in a row that each took many times the usual."""

    watches: ClassVar[tuple[type[Seen], ...]] = (TurnEnded, CallEnded)

    def __init__(self, settings_of: SettingsOf[LatencySettings]) -> None:
        self.settings_of = settings_of
        self._dependencies: dict[str, _Dependency] = {}
        self._streaks: dict[tuple[str, str], int] = {}

    def observe(self, seen: Seen) -> Sequence[Finding]:
        """Looks at what has a latency."""
        assert isinstance(seen, TurnEnded | CallEnded)
        if not 0 < seen.latency_ms <= LATENCY_MS_MAX:
            return NOTHING
        name = f"model {seen.served_model or seen.model}" if isinstance(seen, TurnEnded) else f"tool {seen.tool}"
        settings = self.settings_of(seen.agent)
        dependency = self._dependencies.get(name) or self._new(name)
        usual = dependency.usual.median(settings.minimum)
        dependency.usual.add(seen.latency_ms)
        streak = (name, seen.run)
        if usual is None or seen.latency_ms <= max(FLOOR_MS, settings.ratio * usual):
            self._streaks.pop(streak, None)
            return NOTHING
        times = self._streaks.get(streak, 0) + 1
        put(self._streaks, streak, times, STREAKS_MAX)
        return self._slow(seen, name, dependency, usual, times) if times >= settings.in_a_row else NOTHING

    def _new(self, name: str) -> _Dependency:
        dependency = _Dependency(Baseline(self.settings_of("").window))
        put(self._dependencies, name, dependency, DEPENDENCIES_MAX)
        return dependency

    def _slow(
        self, seen: TurnEnded | CallEnded, name: str, dependency: _Dependency, usual: float, times: int
    ) -> Sequence[Finding]:
        if seen.at - dependency.last > GROUP_SECONDS:
            dependency.opened = seen.at
            dependency.runs.clear()
        dependency.last = seen.at
        put(dependency.runs, seen.run, seen.agent, RUNS_MAX)
        ratio = seen.latency_ms / usual
        many = f"; {len(dependency.runs)} runs wait for it" if len(dependency.runs) > 1 else ""
        return (
            Finding(
                detector="latency",
                severity=Severity.TRIP,
                text=f"{name} takes {ratio:.1f} times its usual {usual:,.0f} ms, {times} calls in a row{many}",
                key=f"latency:{name}:{dependency.opened:.0f}",
                runs=(seen.run, *(run for run in dependency.runs if run != seen.run)),
                agents=tuple(sorted(set(dependency.runs.values()))),
                evidence={
                    "dependency": name,
                    "usual_ms": round(usual, 1),
                    "latency_ms": round(seen.latency_ms, 1),
                    "in_a_row": times,
                    "since": dependency.opened,
                },
            ),
        )

    def dump(self) -> Any:
        """Latencies and names."""
        dependencies = {
            name: [one.usual.values, _finite(one.opened), _finite(one.last), one.runs]
            for name, one in self._dependencies.items()
        }
        return [dependencies, [[*streak, times] for streak, times in self._streaks.items()]]

    def load(self, state: Any) -> None:
        """See `Detector`."""
        dependencies, streaks = state
        for name, (values, opened, last, runs) in dependencies.items():
            usual = Baseline(self.settings_of("").window, map(float, values))
            since, until = (-math.inf if one is None else float(one) for one in (opened, last))
            self._dependencies[name] = _Dependency(usual, since, until, dict(runs))
        self._streaks = {(str(name), str(run)): int(times) for name, run, times in streaks}


def _finite(at: float) -> float | None:
    return at if math.isfinite(at) else None
