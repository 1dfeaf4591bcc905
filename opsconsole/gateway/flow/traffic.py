"""All of a gateway's requests on their way to providers: who goes, who waits, who is told to come back, what is tried
again; it is given the time and the dice, and sends nothing.

arrive ─▶ Go ───────────────▶ answered ─▶ again ─▶ (seconds) arrive, or None
       ├▶ Wait ─ due ─▶ Go
       │              └▶ Refuse
       └▶ Refuse
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from opsconsole.domain.light import light_dataclass
from opsconsole.gateway.flow.breaker import Breaker
from opsconsole.gateway.flow.fair import FairQueue, QueueFull, Ticket
from opsconsole.gateway.flow.gauges import Gauge, Gauges, Lane
from opsconsole.gateway.flow.limits_read import may_retry, read_limits, retry_after_seconds
from opsconsole.gateway.flow.retries import RetryBudget, backoff_seconds, is_retried
from opsconsole.gateway.flow.storm import Storm, StormWatch
from opsconsole.gateway.flow.throttle import Throttle

DELAY_SECONDS_MAX = 30.0
"""How long a request waits for its share; then its client is told when to come back."""
BLOCKED_SECONDS_MAX = 120.0
"""How long one refusal of a provider may keep a lane shut."""
AGAIN_SECONDS = 5.0
"""What a client that is thrown back is told to wait, where nothing says better."""
NAP_SECONDS = 0.02
"""The least wait between two looks at a queue."""
LANES_MAX = 2_000
"""Lanes, and upstreams, remembered; the longest unused that nobody waits for is forgotten."""


@light_dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One request that wants to go out."""

    id: int
    lane: Lane
    run: str
    tokens: float = 0.0
    """What it is thought to take, input and output."""
    request: int = 0
    """A hash of what is asked."""
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Go:
    """Now."""


_GO = Go()


@dataclass(frozen=True, slots=True)
class Wait:
    """Until `due` says more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refuse:
    """Not now, and not from here."""

    why: str
    retry_after_seconds: float
    is_down: bool = False
    """Whether the upstream fails, rather than having no room."""


@dataclass(slots=True, kw_only=True)
class Totals:
    """What has been counted since the start."""

    waited: int = 0
    throttled: int = 0
    refused: int = 0
    retried: int = 0
    opened: int = 0
    """Breakers."""


@dataclass(slots=True)
class _LaneState:
    queue: FairQueue = field(default_factory=FairQueue)
    asks: dict[int, Ask] = field(default_factory=dict)
    blocked_until: float = 0.0
    breaker: Breaker = field(default_factory=Breaker)


@dataclass(slots=True)
class _House:
    """One provider's account."""

    watch: StormWatch
    throttle: Throttle = field(default_factory=Throttle)
    budget: RetryBudget = field(default_factory=RetryBudget)


class Traffic:
    """Every lane of one gateway. Times are any steady clock's seconds; `wall` is unix seconds, for dates in headers."""

    def __init__(self, *, dice: Callable[[], float], delay_seconds_max: float = DELAY_SECONDS_MAX) -> None:
        self.gauges = Gauges()
        self.totals = Totals()
        self._dice, self._delay_max = dice, delay_seconds_max
        self._lanes: OrderedDict[Lane, _LaneState] = OrderedDict()
        self._houses: OrderedDict[tuple[str, str], _House] = OrderedDict()
        self._last: tuple[Lane, _House, _LaneState] | None = None
        """The lane that was asked about last: mostly it is the next one, too."""

    def arrive(self, ask: Ask, now: float, *, attempt: int = 0) -> Go | Wait | Refuse:
        """A request wants out, for the first time (attempt 0) or again."""
        house, lane = self._place(ask.lane)
        if attempt == 0:
            house.budget.asked(now)
            house.watch.asked(ask.run, ask.request, now)
            if self._dice() < house.throttle.refusal_share(now):
                house.throttle.refused(now)
                self.totals.throttled += 1
                return Refuse(
                    why="the provider refuses most requests; this one was not sent", retry_after_seconds=AGAIN_SECONDS
                )
        wait = self._wait(ask.lane, lane, ask.tokens, now)
        if wait <= 0 and not len(lane.queue):
            return self._sent(ask, lane, now)
        if wait > self._delay_max:
            return self._refused("the provider's limit is reached", wait)
        return self._join(ask, lane, now)

    def leave(self, ask: Ask) -> None:
        """Its client waits no more."""
        _drop(self._lane(ask.lane), ask)

    def due(self, now: float) -> list[tuple[Ask, Go | Refuse]]:
        """Those whose waiting is over."""
        return [one for lane in list(self._lanes.values()) if lane.asks for one in self._due(lane, now)]

    def next_due(self, now: float) -> float | None:
        """Seconds until `due` may have something; None while nobody waits."""
        waits: list[float] = []
        for name, lane in self._lanes.items():
            ticket, oldest = lane.queue.next(), lane.queue.oldest()
            if ticket is not None and oldest is not None:
                waits += [self._wait(name, lane, ticket.tokens, now), oldest.arrived_at + self._delay_max - now]
        return max(NAP_SECONDS, min(waits)) if waits else None

    def answered(self, ask: Ask, status: int, headers: Mapping[str, str], now: float, wall: float) -> str | None:
        """What a provider said to a request (0 for nothing); words for people where that changed something."""
        house, lane = self._place(ask.lane)
        house.throttle.answered(status, now)
        house.watch.answered(ask.run, ask.request, status, now)
        limits = read_limits(headers, wall)
        if limits:
            self.gauges.read(ask.lane, limits, now)
        if status == 429:
            asked = retry_after_seconds(headers, wall)
            if asked is None:
                self.gauges.refused(ask.lane, now)
            else:
                lane.blocked_until = max(lane.blocked_until, now + min(BLOCKED_SECONDS_MAX, asked))
        changed = lane.breaker.answered(status, now)
        if changed is None:
            return None
        if changed == "open":
            self.totals.opened += 1
        return _told(changed, ask.lane)

    def used(self, ask: Ask, tokens: float, now: float) -> None:
        """What a request took in truth."""
        self.gauges.corrected(ask.lane, tokens - ask.tokens, now)

    def again_seconds(
        self, ask: Ask, attempt: int, status: int, headers: Mapping[str, str], now: float, wall: float
    ) -> float | None:
        """When to try again what was answered so, nothing of it having been passed on; None for not at all."""
        if not is_retried(status, attempt, may_retry(headers)):
            return None
        seconds = backoff_seconds(attempt, retry_after_seconds(headers, wall), self._dice())
        if seconds is None or not self._house(ask.lane).budget.take(now):
            return None
        self.totals.retried += 1
        return seconds

    def storms(self, now: float) -> list[Storm]:
        """The storms that go on."""
        found = (house.watch.storm(now) for house in self._houses.values())
        return [storm for storm in found if storm is not None]

    def shown(self, now: float) -> list[Gauge]:
        """The gauges."""
        return self.gauges.all(now)

    @property
    def waiting(self) -> int:
        """Requests that wait for their share."""
        return sum(len(lane.queue) for lane in self._lanes.values())

    # -- one lane --------------------------------------------------------------------------------------------------

    def _wait(self, name: Lane, lane: _LaneState, tokens: float, now: float) -> float:
        return max(lane.blocked_until - now, self.gauges.wait_seconds(name, tokens, now))

    def _sent(self, ask: Ask, lane: _LaneState, now: float) -> Go | Refuse:
        closed = lane.breaker.wait_seconds(now)
        if closed > 0:
            self.totals.refused += 1
            why = f"{ask.lane[0]} {ask.lane[2]} has been failing; it is not asked for a moment".replace("  ", " ")
            return Refuse(why=why, retry_after_seconds=closed, is_down=True)
        self.gauges.sent(ask.lane, ask.tokens, now)
        return _GO

    def _refused(self, why: str, wait: float) -> Refuse:
        self.totals.refused += 1
        return Refuse(why=why, retry_after_seconds=wait if math.isfinite(wait) else BLOCKED_SECONDS_MAX)

    def _join(self, ask: Ask, lane: _LaneState, now: float) -> Wait | Refuse:
        try:
            lane.queue.join(Ticket(id=ask.id, run=ask.run, tokens=ask.tokens, weight=ask.weight, arrived_at=now))
        except QueueFull as full:
            return self._refused(str(full), AGAIN_SECONDS)
        lane.asks[ask.id] = ask
        self.totals.waited += 1
        return Wait()

    def _due(self, lane: _LaneState, now: float) -> list[tuple[Ask, Go | Refuse]]:
        over: list[tuple[Ask, Go | Refuse]] = []
        while (ticket := lane.queue.next()) is not None:
            ask = lane.asks[ticket.id]
            if self._wait(ask.lane, lane, ask.tokens, now) > 0:
                break
            lane.queue.take(ticket)
            del lane.asks[ask.id]
            over.append((ask, self._sent(ask, lane, now)))
        while (oldest := lane.queue.oldest()) is not None and now - oldest.arrived_at >= self._delay_max:
            ask = lane.asks[oldest.id]
            _drop(lane, ask)
            wait = self._wait(ask.lane, lane, ask.tokens, now)
            over.append((ask, self._refused("no share of the provider's limit came free", max(AGAIN_SECONDS, wait))))
        return over

    def _place(self, name: Lane) -> tuple[_House, _LaneState]:
        last = self._last
        if last is None or last[0] is not name:
            last = self._last = (name, self._house(name), self._lane(name))
        return last[1], last[2]

    def _lane(self, name: Lane) -> _LaneState:
        lane = self._lanes.get(name)
        if lane is None:
            lane = self._lanes[name] = _LaneState()
            _forget_oldest(self._lanes, lambda one: not one.asks)
        self._lanes.move_to_end(name)
        return lane

    def _house(self, name: Lane) -> _House:
        key = name[:2]
        house = self._houses.get(key)
        if house is None:
            house = self._houses[key] = _House(StormWatch(name[0]))
            _forget_oldest(self._houses, lambda _one: True)
        self._houses.move_to_end(key)
        return house


def _drop(lane: _LaneState, ask: Ask) -> None:
    if lane.asks.pop(ask.id, None) is not None:
        lane.queue.leave(ask.id)


def _forget_oldest(known: OrderedDict[Any, Any], may_go: Callable[[Any], bool]) -> None:
    if len(known) > LANES_MAX:
        oldest = next(iter(known))
        if may_go(known[oldest]):
            del known[oldest]


def _told(changed: str, lane: Lane) -> str | None:
    what = f"{lane[0]} {lane[2]}".strip()
    return {
        "open": f"{what} fails too often: it is not asked for a while",
        "closed": f"{what} works again",
    }.get(changed)
