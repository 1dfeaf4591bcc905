"""How full each rate limit of a provider is and when it will be: from headers, else from our own counts; it stops none.

A limit is read as a bucket that refills steadily, as the providers describe theirs: what remains, and the time until
all of it is back, give the refill. Between two answers the level is ours to work out: refill in, what we sent out.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from opsconsole.gateway.flow.limits_read import Kind, Limit
from opsconsole.gateway.flow.windows import Window

Level = Literal["ok", "warning", "critical"]
Source = Literal["headers", "learned", "counted"]

Lane = tuple[str, str, str]
"""(provider, account, model): what a provider counts apart; the account is no key, only different for each."""

WINDOW_SECONDS = 60.0
"""Limits are so many a minute."""
TREND_SECONDS = 90.0
"""Over which the level's way down is judged."""
TREND_SPAN_SECONDS = 20.0
"""A trend over less is noise."""
TREND_READINGS = 4
WARN_SHARE, TRIP_SHARE = 0.8, 0.95
SOON_SHARE, SOON_SECONDS = 0.5, 120.0
"""Half of it used, and full within so long: a warning before the share alone would give one."""
LEARNED_GROWTH_SHARE = 0.1
"""A limit that a refusal taught is tried again by so much more each minute without another."""
LEARNED_SHARE = 0.9
"""Of what we sent in the minute before a refusal, what is taken for the limit."""
LEARNED_REQUESTS_MIN = 10.0
"""A refusal after fewer requests in a minute is not about a rate of ours."""
LEARNED_REFUSALS_MIN = 5.0
"""So many refusals in a minute, none with a time to come back, teach a limit; a single one may be anything."""
STALE_SECONDS = 900.0
"""A gauge that nothing was heard of for so long is not shown."""
METERS_MAX = 400
"""Lanes; the longest unused is forgotten."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gauge:
    """One limit as of now."""

    lane: Lane
    kind: Kind
    source: Source
    limit: float | None
    """None where nobody has told one."""
    per_minute: float
    """What we sent in the last minute."""
    used_share: float | None
    full_in_seconds: float | None
    """None where it is not filling."""
    resets_in_seconds: float | None
    level: Level
    at: float


class Meter:
    """One limit. Times are any steady clock's seconds."""

    def __init__(self, kind: Kind) -> None:
        self.kind: Kind = kind
        self.at = -math.inf
        """When it was last heard of."""
        self.limit: float | None = None
        self.source: Source = "counted"
        self._sent = Window(WINDOW_SECONDS)
        self._remaining = 0.0
        self._refill = 0.0
        self._read_at = 0.0
        self._since_read = 0.0
        self._learned_at = 0.0
        self._low: OrderedDict[int, tuple[float, float]] = OrderedDict()
        """Ten seconds -> (time, least remaining) for the trend."""

    def sent(self, amount: float, now: float) -> None:
        """We have sent a request of so much."""
        self.at = now
        self._sent.add(amount, now)
        self._since_read += amount

    def corrected(self, by: float, now: float) -> None:
        """A request took so much more (or less) than was thought."""
        self._sent.add(by, now)
        self._since_read = max(0.0, self._since_read + by)

    def read(self, told: Limit, now: float) -> None:
        """An answer has told."""
        self.at = self._read_at = now
        self.limit, self.source, self._remaining = told.limit, "headers", told.remaining
        self._since_read = 0.0
        used, resets_in = told.limit - told.remaining, told.resets_in_seconds
        self._refill = used / resets_in if resets_in and used > 0 else told.limit / WINDOW_SECONDS
        self._note(told.remaining, now)

    def refused(self, now: float) -> None:
        """The provider would not have more: without its headers, what we sent in the minute before is the limit."""
        sent = self._sent.total(now)
        if self.source == "headers" or not sent:
            return
        self.at = self._learned_at = now
        limit = LEARNED_SHARE * sent
        self.limit = limit if self.limit is None else min(self.limit, limit)
        self.source = "learned"

    def unlearn(self) -> None:
        """The provider tells its limits after all, and this is none of them."""
        if self.source == "learned":
            self.source, self.limit = "counted", None

    def per_minute(self, now: float) -> float:
        """What we sent in the last minute."""
        return self._sent.total(now)

    def remaining(self, now: float) -> float | None:
        """What may be sent now; None where no limit is known."""
        if self.source == "headers" and self.limit is not None:
            back = self._refill * (now - self._read_at)
            return min(self.limit, max(0.0, self._remaining + back - self._since_read))
        limit = self._learned(now)
        return None if limit is None else max(0.0, limit - self._sent.total(now))

    def wait_seconds(self, amount: float, now: float) -> float:
        """Until so much may be sent; 0.0 for now. What is more than the whole limit waits for all of it."""
        if self.limit is None:
            return 0.0
        remaining = self.remaining(now)
        limit = self.limit if self.source == "headers" else self._learned(now)
        if remaining is None or limit is None:
            return 0.0
        lacking = min(amount, limit) - remaining
        refill = self._refill if self.source == "headers" else limit / WINDOW_SECONDS
        return 0.0 if lacking <= 0 else math.inf if refill <= 0 else lacking / refill

    def gauge(self, lane: Lane, now: float) -> Gauge:
        """As it stands."""
        limit = self.limit if self.source == "headers" else self._learned(now)
        remaining = self.remaining(now)
        share = None if limit is None or remaining is None else 1.0 - remaining / limit
        full_in = self._full_in(remaining, now)
        resets_in = None
        if limit is not None and remaining is not None and self._refill > 0 and self.source == "headers":
            resets_in = (limit - remaining) / self._refill
        return Gauge(
            lane=lane,
            kind=self.kind,
            source=self.source,
            limit=limit,
            per_minute=self._sent.total(now),
            used_share=share,
            full_in_seconds=full_in,
            resets_in_seconds=resets_in,
            level=level(share, full_in),
            at=self.at,
        )

    def _learned(self, now: float) -> float | None:
        if self.source != "learned" or self.limit is None:
            return None
        return self.limit * (1.0 + LEARNED_GROWTH_SHARE * max(0.0, now - self._learned_at) / WINDOW_SECONDS)

    def _note(self, remaining: float, now: float) -> None:
        tenth = int(now // 10)
        known = self._low.get(tenth)
        if known is None or remaining < known[1]:
            self._low[tenth] = (now, remaining)
        while self._low and next(iter(self._low)) < tenth - TREND_SECONDS / 10:
            self._low.popitem(last=False)

    def _full_in(self, remaining: float | None, now: float) -> float | None:
        """Where the level is falling, when it is at nothing."""
        if remaining is None:
            return None
        if self.source != "headers":
            self._note(remaining, now)
        readings = [one for one in self._low.values() if one[0] > now - TREND_SECONDS]
        slope = _slope(readings)
        if remaining <= 0:
            return 0.0
        return None if slope is None or slope >= 0 else remaining / -slope


class Gauges:
    """All limits seen."""

    def __init__(self) -> None:
        self._meters: OrderedDict[Lane, dict[Kind, Meter]] = OrderedDict()
        self._last: tuple[Lane, dict[Kind, Meter]] = (("", "", ""), {})
        """The lane that was asked about last: mostly it is the next one, too."""
        self._refusals: OrderedDict[Lane, Window] = OrderedDict()

    def sent(self, lane: Lane, tokens: float, now: float) -> None:
        """A request has gone out."""
        for kind, meter in self._of(lane).items():
            meter.sent(_share(kind, tokens), now)

    def corrected(self, lane: Lane, by: float, now: float) -> None:
        """A request took so many tokens more (or fewer) than were thought."""
        self._of(lane)["tokens"].corrected(by, now)

    def read(self, lane: Lane, limits: Iterable[Limit], now: float) -> None:
        """An answer has told its limits."""
        meters = self._of(lane)
        for told in limits:
            if told.kind not in meters:
                meters[told.kind] = Meter(told.kind)
            meters[told.kind].read(told, now)
        for meter in meters.values():
            meter.unlearn()

    def refused(self, lane: Lane, now: float) -> None:
        """It said that there were too many, and not until when; where it tells limits, those say which."""
        meters = self._of(lane)
        refusals = self._refusals.setdefault(lane, Window(WINDOW_SECONDS))
        refusals.add(1.0, now)
        while len(self._refusals) > METERS_MAX:
            self._refusals.popitem(last=False)
        if refusals.total(now) < LEARNED_REFUSALS_MIN:
            return
        told = any(meter.source == "headers" for meter in meters.values())
        if not told and meters["requests"].per_minute(now) >= LEARNED_REQUESTS_MIN:
            for meter in meters.values():
                meter.refused(now)

    def wait_seconds(self, lane: Lane, tokens: float, now: float) -> float:
        """Until a request of so many tokens fits under every known limit; 0.0 for now."""
        wait = 0.0
        for kind, meter in self._of(lane).items():
            if meter.limit is not None:
                wait = max(wait, meter.wait_seconds(_share(kind, tokens), now))
        return wait

    def all(self, now: float) -> list[Gauge]:
        """Every gauge that was heard of lately."""
        return [
            meter.gauge(lane, now)
            for lane, meters in self._meters.items()
            for meter in meters.values()
            if now - meter.at < STALE_SECONDS
        ]

    def _of(self, lane: Lane) -> dict[Kind, Meter]:
        if self._last[0] is lane:
            return self._last[1]
        known = self._meters.get(lane)
        if known is None:
            known = self._meters[lane] = {"requests": Meter("requests"), "tokens": Meter("tokens")}
            if len(self._meters) > METERS_MAX:
                self._meters.popitem(last=False)
        self._meters.move_to_end(lane)
        self._last = (lane, known)
        return known


def level(share: float | None, full_in: float | None) -> Level:
    """How much a limit needs a person."""
    if share is None:
        return "ok"
    if share >= TRIP_SHARE:
        return "critical"
    soon = full_in is not None and full_in <= SOON_SECONDS and share >= SOON_SHARE
    return "warning" if share >= WARN_SHARE or soon else "ok"


def first_to_fill(gauges: Iterable[Gauge]) -> Gauge | None:
    """The limit that saturates first; where none is filling, the fullest."""
    known = [gauge for gauge in gauges if gauge.used_share is not None]
    return min(known, key=_urgency, default=None)


def _urgency(gauge: Gauge) -> tuple[float, float]:
    is_worth_it = gauge.full_in_seconds is not None and (gauge.used_share or 0.0) >= 0.05
    full_in = gauge.full_in_seconds if is_worth_it and gauge.full_in_seconds is not None else math.inf
    return (full_in, -(gauge.used_share or 0.0))


def _share(kind: Kind, tokens: float) -> float:
    """What a request takes of a limit; of input and output apart only the provider knows, so a little of both."""
    return tokens if kind == "tokens" else 1.0


def _slope(readings: list[tuple[float, float]]) -> float | None:
    """Least squares; None for too few, or over too short a time."""
    if len(readings) < TREND_READINGS or readings[-1][0] - readings[0][0] < TREND_SPAN_SECONDS:
        return None
    count = len(readings)
    mean_at = sum(at for at, _ in readings) / count
    mean = sum(value for _, value in readings) / count
    spread = sum((at - mean_at) ** 2 for at, _ in readings)
    return sum((at - mean_at) * (value - mean) for at, value in readings) / spread if spread else None
