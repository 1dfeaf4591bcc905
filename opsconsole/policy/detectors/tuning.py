"""What operators answer to findings moves an agent's thresholds: in steps, within bounds, and back again.

Two answers `fine` raise a detector one step for that agent, up to `STEPS_MAX`; one `real` lowers it by one, down to
what the policy file says and never below. An agent's noise is quietened without the file being touched, and what is
quietened never reaches the limit at which the detector would be off.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from opsconsole.policy.detectors.bounded import put
from opsconsole.policy.file.settings import (
    BurnSettings,
    ContextSettings,
    DetectorSettings,
    DriftSettings,
    LatencySettings,
    LoopSettings,
    ParameterSettings,
    PingPongSettings,
    RateLimitSettings,
    RetrySettings,
    StallSettings,
)

FINES_A_STEP = 2
STEPS_MAX = 4
AGENTS_MAX = 5_000


class Answer(StrEnum):
    """An operator's word on a finding."""

    REAL = "real"
    FINE = "fine"


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """How far one detector is tuned for one agent."""

    steps: int = 0
    fines: int = 0
    """Since the last step."""

    def after(self, answer: Answer) -> Level:
        """The level after one more answer."""
        if answer is Answer.REAL:
            return Level(steps=max(0, self.steps - 1))
        if self.fines + 1 < FINES_A_STEP:
            return replace(self, fines=self.fines + 1)
        return Level(steps=min(STEPS_MAX, self.steps + 1))


class Tuning:
    """The levels of all agents."""

    def __init__(self) -> None:
        self._agents: dict[str, dict[str, Level]] = {}
        self._tuned: dict[str, tuple[DetectorSettings, DetectorSettings]] = {}
        """What was asked for before, with its answer: this is asked at every event."""

    def answer(self, agent: str, detector: str, answer: Answer) -> Level:
        """Take an operator's answer about an agent, or about the fleet (`""`); gives the level from now on.

        Raises: KeyError for a detector without thresholds.
        """
        if detector not in _TUNED:
            raise KeyError(detector)
        levels = dict(self._agents.get(agent, {}))
        levels[detector] = levels.get(detector, Level()).after(answer)
        put(self._agents, agent, levels, AGENTS_MAX)
        self._tuned.pop(agent, None)
        return levels[detector]

    def settings_for(self, agent: str, settings: DetectorSettings) -> DetectorSettings:
        """The settings as they hold for this agent."""
        levels = self._agents.get(agent)
        if not levels:
            return settings
        known = self._tuned.get(agent)
        if known is None or known[0] is not settings:
            known = (settings, tuned(settings, levels))
            put(self._tuned, agent, known, AGENTS_MAX)
        return known[1]

    def dump(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            agent: {name: [level.steps, level.fines] for name, level in levels.items()}
            for agent, levels in self._agents.items()
        }

    @classmethod
    def load(cls, state: Mapping[str, Any]) -> Tuning:
        """Put back what `dump` gave. Raises: ValueError, TypeError or AttributeError when it is something else."""
        tuning = cls()
        for agent, levels in state.items():
            tuning._agents[agent] = {
                name: Level(steps=min(STEPS_MAX, max(0, int(steps))), fines=min(FINES_A_STEP - 1, max(0, int(fines))))
                for name, (steps, fines) in levels.items()
                if name in _TUNED
            }
        return tuning


def has_thresholds(detector: str) -> bool:
    """Whether answers can tune this detector."""
    return detector in _TUNED


def tuned(settings: DetectorSettings, levels: Mapping[str, Level]) -> DetectorSettings:
    """The settings with each detector's thresholds moved by its steps; what is off stays off."""
    changed = {
        name: _TUNED[name](getattr(settings, name), level.steps)
        for name, level in levels.items()
        if level.steps and getattr(settings, name) is not None
    }
    return replace(settings, **changed)


def _loop(given: LoopSettings, steps: int) -> LoopSettings:
    trip = max(given.trip, min(given.window, given.trip + steps))
    return replace(given, trip=trip, warn=max(given.warn, min(trip, given.warn + steps)))


def _retries(given: RetrySettings, steps: int) -> RetrySettings:
    share = max(given.share, min(0.9, given.share + 0.1 * steps))
    return replace(given, share=share, minimum=given.minimum + 2 * steps)


def _stall(given: StallSettings, steps: int) -> StallSettings:
    factor = 1 + 0.5 * steps
    return StallSettings(
        model_seconds=given.model_seconds * factor,
        tool_seconds=given.tool_seconds * factor,
        message_seconds=given.message_seconds * factor,
    )


def _context(given: ContextSettings, steps: int) -> ContextSettings:
    return replace(
        given,
        warn_at=max(given.warn_at, min(0.9, given.warn_at + 0.1 * steps)),
        trip_at=max(given.trip_at, min(0.97, given.trip_at + 0.03 * steps)),
        result_share=max(given.result_share, min(0.5, given.result_share + 0.1 * steps)),
    )


def _drift(given: DriftSettings, steps: int) -> DriftSettings:
    return replace(given, p=given.p / 4**steps)


def _rate_limit(given: RateLimitSettings, steps: int) -> RateLimitSettings:
    return RateLimitSettings(
        warn_at=max(given.warn_at, min(0.95, given.warn_at + 0.04 * steps)),
        trip_at=max(given.trip_at, min(0.99, given.trip_at + 0.01 * steps)),
    )


def _parameters(given: ParameterSettings, steps: int) -> ParameterSettings:
    return replace(given, trip=max(given.trip, min(given.window, given.trip + steps)))


def _latency(given: LatencySettings, steps: int) -> LatencySettings:
    return replace(given, ratio=given.ratio * (1 + 0.25 * steps), in_a_row=given.in_a_row + steps // 2)


def _ping_pong(given: PingPongSettings, steps: int) -> PingPongSettings:
    minimum = max(given.minimum, min(given.window, given.minimum + steps))
    return replace(given, minimum=minimum, cycles=given.cycles + steps)


def _burn(given: BurnSettings, steps: int) -> BurnSettings:
    return replace(given, ratio=given.ratio * (1 + 0.25 * steps))


_TUNED: dict[str, Callable[[Any, int], Any]] = {
    "loop": _loop,
    "retries": _retries,
    "stall": _stall,
    "context": _context,
    "drift": _drift,
    "rate_limit": _rate_limit,
    "parameters": _parameters,
    "latency": _latency,
    "ping_pong": _ping_pong,
    "burn": _burn,
}
