"""Rate saturation: how near a provider's limit the fleet is, by its headers or, without any, by its own count."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from opsconsole.policy.detectors.bounded import kept
from opsconsole.policy.detectors.finding import NOTHING, Finding, SettingsOf, Severity
from opsconsole.policy.detectors.observation import RateReading, RequestEnded, Seen
from opsconsole.policy.file.settings import RateLimitSettings

LIMITS_MAX = 500
"""Providers times the limits that each has."""
SLOPE_SECONDS = 10.0
"""Over which use is measured before it is carried on to the reset."""
SLOPE_KEPT_SECONDS = 30.0
READINGS_MAX = 200
READINGS_MIN = 5
PROJECTED_SHARE_MIN = 0.5
"""A limit that is hardly used is not about to be full, whatever the last seconds were like."""
CALM_SHARE = 0.1
"""So far below the warning an episode is over: a share that swings around the threshold is one episode."""
SIZE_MAX = 1e15
"""Of a limit; what is beyond it limits nothing."""
COUNTED_SECONDS = 60.0
COUNTED_MAX = 10_000
HEADERS_SECONDS = 120.0
"""How long headers are believed to come; only after that do our own counts speak."""
TOO_MANY = 429


@dataclass(slots=True)
class _Limit:
    """One limit of one provider."""

    began: float | None = None
    """Of the episode, while there is one."""
    readings: deque[tuple[float, float]] = field(default_factory=lambda: deque(maxlen=READINGS_MAX))
    """When, and how much remained."""


@dataclass(slots=True)
class _Counted:
    """One provider's requests of the last minute."""

    requests: deque[float] = field(default_factory=lambda: deque(maxlen=COUNTED_MAX))
    heard: float | None = None
    """When it last sent headers about a limit."""
    full: int = 0
    """Requests of the minute in which it began to refuse more of them; 0 until it has."""
    refused: bool = False
    """Whether it refused the last one."""


class RateLimit:
    """The fleet's."""

    watches: ClassVar[tuple[type[Seen], ...]] = (RateReading, RequestEnded)

    def __init__(self, settings_of: SettingsOf[RateLimitSettings]) -> None:
        self.settings_of = settings_of
        self._limits: dict[tuple[str, str], _Limit] = {}
        self._counted: dict[str, _Counted] = {}

    def observe(self, seen: Seen) -> Sequence[Finding]:
        """Looks at headers, and counts requests."""
        if isinstance(seen, RateReading):
            return self._reading(seen)
        return self._request(seen) if isinstance(seen, RequestEnded) else NOTHING

    def _reading(self, seen: RateReading) -> Sequence[Finding]:
        kept(self._counted, seen.provider, _Counted, LIMITS_MAX).heard = seen.at
        if not (0 < seen.size <= SIZE_MAX and 0 <= seen.remaining <= SIZE_MAX):
            return NOTHING
        limit = kept(self._limits, (seen.provider, seen.limit), _Limit, LIMITS_MAX)
        share = min(1.0, max(0.0, 1 - seen.remaining / seen.size))
        if limit.readings and seen.remaining > limit.readings[-1][1]:
            limit.readings.clear()  # it was filled up
        limit.readings.append((seen.at, seen.remaining))
        while seen.at - limit.readings[0][0] > SLOPE_KEPT_SECONDS:
            limit.readings.popleft()
        full_in = _full_in(limit)
        is_early = (
            full_in is not None
            and share >= PROJECTED_SHARE_MIN
            and seen.resets_at is not None
            and seen.at + full_in < seen.resets_at
        )
        soon = f", full in {full_in:.0f} s, before it is filled up" if is_early else ""
        return self._share(seen, limit, seen.limit, share, is_early, soon)

    def _request(self, seen: RequestEnded) -> Sequence[Finding]:
        counted = kept(self._counted, seen.provider, _Counted, LIMITS_MAX)
        counted.requests.append(seen.at)
        while seen.at - counted.requests[0] > COUNTED_SECONDS:
            counted.requests.popleft()
        count = len(counted.requests)
        if counted.heard is not None and seen.at - counted.heard <= HEADERS_SECONDS:
            return NOTHING
        is_refused = seen.status == TOO_MANY
        if is_refused and not counted.refused:
            counted.full = min(counted.full or count, count)
        counted.refused = is_refused
        if not is_refused and count >= counted.full:
            counted.full = count if counted.full else 0  # it takes more than it seemed to
            return NOTHING
        limit = kept(self._limits, (seen.provider, "counted"), _Limit, LIMITS_MAX)
        return self._share(seen, limit, "requests a minute, by our count", count / counted.full, False, "")

    def _share(
        self, seen: RateReading | RequestEnded, limit: _Limit, name: str, share: float, is_early: bool, soon: str
    ) -> Sequence[Finding]:
        settings = self.settings_of("")
        if share < settings.warn_at and not is_early:
            if share < settings.warn_at - CALM_SHARE:
                limit.began = None
            return NOTHING
        limit.began = seen.at if limit.began is None else limit.began
        return (
            Finding(
                detector="rate_limit",
                severity=Severity.TRIP if share >= settings.trip_at else Severity.WARN,
                text=f"{seen.provider}: {share:.0%} of {name} used{soon}",
                key=f"rate_limit:{seen.provider}:{name}:{limit.began:.0f}",
                runs=(seen.run,) if seen.run else (),
                evidence={"provider": seen.provider, "limit": name, "share": round(share, 3), "early": is_early},
            ),
        )

    def dump(self) -> Any:
        """Names, counts and times."""
        limits = [[*key, one.began, [list(each) for each in one.readings]] for key, one in self._limits.items()]
        return [
            limits,
            {name: [list(one.requests), one.heard, one.full, one.refused] for name, one in self._counted.items()},
        ]

    def load(self, state: Any) -> None:
        """See `Detector`."""
        limits, counted = state
        for provider, name, began, readings in limits:
            limit = self._limits[provider, name] = _Limit(None if began is None else float(began))
            limit.readings.extend((float(at), float(remaining)) for at, remaining in readings)
        for name, (requests, heard, full, refused) in counted.items():
            one = self._counted[name] = _Counted(
                heard=None if heard is None else float(heard), full=int(full), refused=bool(refused)
            )
            one.requests.extend(map(float, requests))


def _full_in(limit: _Limit) -> float | None:
    """Seconds until nothing remains, at the pace of the last readings; None where they do not tell."""
    (first, most), (last, least) = limit.readings[0], limit.readings[-1]
    if len(limit.readings) < READINGS_MIN or last - first < SLOPE_SECONDS or least >= most:
        return None
    return least * (last - first) / (most - least)
