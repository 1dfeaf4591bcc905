"""How full the providers' limits are, told to the hub every few seconds, to Prometheus when asked; it limits none."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily, Metric

from opsconsole.exposition import levels, totals
from opsconsole.gateway.flow.gauges import Gauge
from opsconsole.gateway.flow.traffic import Traffic
from opsconsole.gateway.metrics import PREFIX
from opsconsole.protocol.frames import Beat
from opsconsole.protocol.rates import RATES_MAX, Rate
from opsconsole.sdk.link import Link

TELL_SECONDS = 2.0
"""At most one frame in so long."""
AGAIN_SECONDS = 10.0
"""What has not changed is told again after this long: the hub may have been away."""
SHARE_DIGITS = 3


class RatesTold:
    """Tells the hub. `start` and `stop` on the gateway's loop."""

    def __init__(self, traffic: Traffic, link: Link) -> None:
        self._traffic, self._link = traffic, link
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begins."""
        self._task = asyncio.create_task(self._tell())

    async def stop(self) -> None:
        """Ends."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _tell(self) -> None:
        last: list[Rate] = []
        told_at = 0.0
        while True:
            await asyncio.sleep(TELL_SECONDS)
            now = time.monotonic()
            rates = rates_of(self._traffic, now)
            is_due = bool(rates or last) and now - told_at >= AGAIN_SECONDS
            if (rates != last or is_due) and self._link.view.up:
                self._link.tell(Beat(now=time.time(), busy=self._link.busy(), rates=rates))
                last, told_at = rates, now


def rates_of(traffic: Traffic, now: float) -> list[Rate]:
    """The most urgent limits, and the use of models without one; rounded, so that what stands still is told once."""
    shown = [gauge for gauge in traffic.shown(now) if gauge.lane[2] and (gauge.limit is not None or gauge.per_minute)]
    shown.sort(key=lambda gauge: (-(gauge.used_share or 0.0), gauge.lane, gauge.kind))
    return [_rate(gauge) for gauge in shown[:RATES_MAX]]


def traffic_families(traffic: Traffic, now: float) -> Iterator[Metric]:
    """The gauges and counts of the traffic, for Prometheus."""
    labels = ["provider", "account", "model", "kind"]
    used = GaugeMetricFamily(f"{PREFIX}limit_used_share", "Used share of a rate limit", labels=labels)
    rate = GaugeMetricFamily(f"{PREFIX}rate_per_minute", "Sent in the last minute", labels=labels)
    for gauge in traffic.shown(now)[:RATES_MAX]:
        if gauge.used_share is not None:
            used.add_metric([*gauge.lane, gauge.kind], gauge.used_share)
        rate.add_metric([*gauge.lane, gauge.kind], gauge.per_minute)
    yield used
    yield rate
    so_far = traffic.totals
    yield from totals(
        PREFIX,
        (
            ("waited", "Requests that waited for their share of a limit", so_far.waited),
            ("throttled", "Requests refused because the provider refuses most", so_far.throttled),
            ("not_sent", "Requests refused because a limit was reached or an upstream fails", so_far.refused),
            ("retries", "Requests tried again", so_far.retried),
            ("breakers_opened", "Times an upstream was given up for a while", so_far.opened),
        ),
    )
    yield from levels(PREFIX, [("waiting", "Requests that wait for their share now", traffic.waiting)])


def _rate(gauge: Gauge) -> Rate:
    provider, account, model = gauge.lane
    full_in = gauge.full_in_seconds
    return Rate(
        provider=provider,
        model=model,
        account=account,
        kind=gauge.kind,
        source=gauge.source,
        limit=gauge.limit if gauge.limit is None else round(gauge.limit),
        per_minute=round(gauge.per_minute),
        used_share=None if gauge.used_share is None else round(max(0.0, gauge.used_share), SHARE_DIGITS),
        full_in_seconds=None if full_in is None or full_in > _FAR_SECONDS else _rounded(full_in),
        level=gauge.level,
    )


_FAR_SECONDS = 86_400.0


def _rounded(seconds: float) -> float:
    """To a tenth of itself: a projection is no better."""
    return round(seconds) if seconds < 60 else round(seconds / 30) * 30.0
