"""What a policy file says about breakers and detectors, as values; it stops nothing and looks at no run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from opsconsole.policy.rules.pattern import EVERY, Pattern

Scope = Literal["run", "agent", "label", "fleet"]
Window = Literal["hour", "day", "total"]


class Per(StrEnum):
    """What a breaker counts over, as written: something that spends, or a length of time."""

    RUN = "run"
    AGENT = "agent"
    LABEL = "label"
    FLEET = "fleet"
    HOUR = "hour"
    DAY = "day"
    TOTAL = "total"


class Action(StrEnum):
    """What follows when the response's model is not the one that was asked for."""

    OFF = "off"
    WARN = "warn"
    TRIP = "trip"


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerRule:
    """A tripped breaker pauses until a person resumes, or for `resume_seconds`.

    A breaker per hour, day or total counts each matching agent by itself when it names agents, each value of the label
    when it names one, else everything together.
    """

    id: str
    per: Per
    trip: Mapping[str, float]
    """Limit by name (`TRIPS`): reached by any one of them; `in_a_row` qualifies `latency_ratio`."""
    agent: Pattern = EVERY
    label: str | None = None
    """`name`, or `name=value`: only runs that carry it."""
    within: Window | None = None
    """`hour` or `day` for a breaker per run, agent, label or fleet; None: since the beginning."""
    warn_at: float | None = None
    """Share of a limit at which an alert is raised."""
    resume_seconds: float | None = None
    kills: bool = False
    """What it holds when it trips is killed, where else it would be paused."""

    @property
    def scope(self) -> Scope:
        """Whose use is added up."""
        if self.per in ("run", "agent", "label", "fleet"):
            return self.per.value  # type: ignore[return-value]
        if self.agent is not EVERY:
            return "agent"
        return "label" if self.label else "fleet"

    @property
    def window(self) -> Window:
        """Over which time."""
        if self.per in ("hour", "day", "total"):
            return self.per.value  # type: ignore[return-value]
        return self.within or "total"


TRIPS: Mapping[str, type] = {
    "cost_usd": float,
    "turns": int,
    "tokens": int,
    "tool_calls": int,
    "wall_clock": str,
    "tool_calls_per_minute": int,
    "same_tool_per_minute": int,
    "turns_per_minute": int,
    "tokens_per_minute": int,
    "cost_usd_per_minute": float,
    "latency_ratio": float,
    "in_a_row": int,
}
"""What a breaker can trip on; `wall_clock` is written as a time and read as seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopSettings:
    """The same call with the same outcome, so many times among the last `window`."""

    warn: int = 3
    trip: int = 4
    window: int = 12
    poll: Pattern | None = None
    """Tools that are meant to be repeated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrySettings:
    """Repeated model requests: a share of all, and at least so many, within `per_seconds`."""

    share: float = 0.2
    minimum: int = 3
    per_seconds: float = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class StallSettings:
    """How long a wait may last without a sign of life."""

    model_seconds: float = 120.0
    tool_seconds: float = 300.0
    message_seconds: float = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextSettings:
    """Shares of the model's window, and of it that one result may take."""

    warn_at: float = 0.5
    trip_at: float = 0.85
    result_share: float = 0.2
    turns_left: int = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftSettings:
    """Latest against reference calls, compared at level `p`."""

    window: int = 50
    p: float = 0.01
    model_change: Action = Action.WARN


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimitSettings:
    """Shares of a provider's rate limit that are used."""

    warn_at: float = 0.8
    trip_at: float = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class ParameterSettings:
    """Calls with hallucinated parameters among the last `window`."""

    trip: int = 3
    window: int = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencySettings:
    """Calls slower than `ratio` times the median of the last `window`, so many in a row."""

    ratio: float = 3.0
    in_a_row: int = 3
    window: int = 100
    minimum: int = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class PingPongSettings:
    """Messages of one speaker that resemble one another, and handoffs back and forth."""

    similarity: float = 0.8
    minimum: int = 3
    window: int = 8
    cycles: int = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class BurnSettings:
    """Whole hours in a row in which an agent spends more than `ratio` times its usual hour, and at least so much."""

    ratio: float = 1.5
    hours: int = 3
    minimum_usd: float = 0.10


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorSettings:
    """The settings of each detector; None: switched off."""

    loop: LoopSettings | None = field(default_factory=LoopSettings)
    retries: RetrySettings | None = field(default_factory=RetrySettings)
    stall: StallSettings | None = field(default_factory=StallSettings)
    context: ContextSettings | None = field(default_factory=ContextSettings)
    drift: DriftSettings | None = field(default_factory=DriftSettings)
    rate_limit: RateLimitSettings | None = field(default_factory=RateLimitSettings)
    parameters: ParameterSettings | None = field(default_factory=ParameterSettings)
    latency: LatencySettings | None = field(default_factory=LatencySettings)
    ping_pong: PingPongSettings | None = field(default_factory=PingPongSettings)
    burn: BurnSettings | None = field(default_factory=BurnSettings)
    pause: bool = True
    """Whether a run is paused for trouble of its own that trips."""
    agreement: bool = False
    """The marker for claims that no tool result supports: weak evidence, so off until asked for."""
