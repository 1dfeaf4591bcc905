"""Whether an upstream is asked at all: closed, open, half open, as a table; and which models stand in for another."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from opsconsole.gateway.flow.windows import Window

State = Literal["closed", "open", "half_open"]
Event = Literal["failed", "tripped", "worked", "cooled"]

TRANSITIONS: Mapping[tuple[State, Event], State] = {
    ("closed", "failed"): "closed",
    ("closed", "tripped"): "open",
    ("closed", "worked"): "closed",
    ("closed", "cooled"): "closed",
    ("open", "failed"): "open",
    ("open", "tripped"): "open",
    ("open", "worked"): "open",  # asked before it opened
    ("open", "cooled"): "half_open",
    ("half_open", "failed"): "open",
    ("half_open", "tripped"): "open",
    ("half_open", "worked"): "closed",
    ("half_open", "cooled"): "half_open",
}
FAILURES = frozenset({0, 500, 502, 503, 504, 529})
"""Statuses that speak against the upstream itself; too many requests (429) do not."""
WINDOW_SECONDS = 30.0
REQUESTS_MIN = 5.0
"""Fewer tell nothing."""
FAILED_SHARE = 0.5
OPEN_SECONDS, OPEN_SECONDS_MAX = 10.0, 120.0
"""Closed to all for so long; twice that where the probe fails, up to the second."""
PROBE_SECONDS = 60.0
"""A probe that nothing is heard of counts as lost after this long."""
FALLBACKS_MAX = 8


class Breaker:
    """One upstream's."""

    def __init__(self) -> None:
        self.state: State = "closed"
        self._requests = Window(WINDOW_SECONDS)
        self._failures = Window(WINDOW_SECONDS)
        self._opened_at = 0.0
        self._open_seconds = OPEN_SECONDS
        self._probe_at: float | None = None

    def wait_seconds(self, now: float) -> float:
        """0.0 where a request may go (one only, while half open); else how long to stay away."""
        if self.state == "open" and now - self._opened_at >= self._open_seconds:
            self._move("cooled", now)
        if self.state == "open":
            return self._opened_at + self._open_seconds - now
        if self.state == "half_open":
            if self._probe_at is not None and now - self._probe_at < PROBE_SECONDS:
                return 1.0
            self._probe_at = now
        return 0.0

    def answered(self, status: int, now: float) -> State | None:
        """What came of a request; the state where that changed it."""
        before = self.state
        self._requests.add(1.0, now)
        if before == "closed" and status not in FAILURES:
            return None
        if status in FAILURES:
            self._failures.add(1.0, now)
            self._move("tripped" if self._is_too_much(now) else "failed", now)
        else:
            self._move("worked", now)
        return self.state if self.state != before else None

    def _is_too_much(self, now: float) -> bool:
        requests, failures = self._requests.total(now), self._failures.total(now)
        return requests >= REQUESTS_MIN and failures >= FAILED_SHARE * requests

    def _move(self, event: Event, now: float) -> None:
        before, self.state = self.state, TRANSITIONS[self.state, event]
        if self.state == "open" and before != "open":
            again = before == "half_open"
            self._open_seconds = min(OPEN_SECONDS_MAX, self._open_seconds * 2) if again else OPEN_SECONDS
            self._opened_at = now
        if self.state != before:
            self._probe_at = None
        if self.state == "closed" and before != "closed":
            self._requests, self._failures = Window(WINDOW_SECONDS), Window(WINDOW_SECONDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fallback:
    """What stands in for a model while its upstream is not to be asked."""

    provider: str
    model: str
    instead: str


def read_fallbacks(written: Iterable[str]) -> tuple[Fallback, ...]:
    """`provider/model=other, another`, in order of preference. Raises: ValueError."""
    found = [fallback for line in written for fallback in _fallbacks(line)]
    if len(found) > FALLBACKS_MAX * 8:
        raise ValueError("too many fallbacks")
    return tuple(found)


def _fallbacks(line: str) -> list[Fallback]:
    asked, mark, others = line.partition("=")
    provider, slash, model = asked.strip().partition("/")
    names = [name.strip() for name in others.split(",") if name.strip()]
    if not (mark and slash and provider and model.strip()) or not names or len(names) > FALLBACKS_MAX:
        raise ValueError(f"not provider/model=other: {line[:100]!r}")
    return [Fallback(provider=provider, model=model.strip(), instead=name) for name in names]


def fallbacks_of(fallbacks: Iterable[Fallback], provider: str, model: str) -> list[str]:
    """The models to try in a model's place, in order."""
    return [one.instead for one in fallbacks if one.provider == provider and one.model == model]
