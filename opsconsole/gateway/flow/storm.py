"""Whether agents hammer a provider that fails: the same requests again, from several runs; it stops nobody."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from opsconsole.gateway.flow.throttle import REFUSED
from opsconsole.gateway.flow.windows import Window

WINDOW_SECONDS = 60.0
RETRIES_MIN = 3
RETRIED_SHARE = 0.2
"""More of the requests than this are retries, and there are at least so many: the runs retry too much."""
RUNS_MIN = 3
"""So many runs at once: a storm."""
REMEMBERED_MAX = 5_000
"""Failed requests, by run and what was asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Storm:
    """Runs that ask again together."""

    provider: str
    runs: tuple[str, ...]
    retries: int
    share: float
    """Of the requests of the last minute."""


class StormWatch:
    """One provider's."""

    def __init__(self, provider: str) -> None:
        self._provider = provider
        self._requests = Window(WINDOW_SECONDS)
        self._retries = Window(WINDOW_SECONDS)
        self._failed: OrderedDict[tuple[str, int], float] = OrderedDict()
        self._retrying: OrderedDict[str, float] = OrderedDict()

    def asked(self, run: str, request: int, now: float) -> bool:
        """A request by its hash; whether it is one that failed within the last minute."""
        self._requests.add(1.0, now)
        failed_at = self._failed.get((run, request)) if self._failed else None
        if failed_at is None or now - failed_at > WINDOW_SECONDS:
            return False
        self._retries.add(1.0, now)
        self._retrying[run] = now
        self._retrying.move_to_end(run)
        return True

    def answered(self, run: str, request: int, status: int, now: float) -> None:
        """What came of it."""
        if status and status not in REFUSED and not self._failed:
            return
        key = (run, request)
        if status and status not in REFUSED:
            self._failed.pop(key, None)
            return
        self._failed[key] = now
        self._failed.move_to_end(key)
        while len(self._failed) > REMEMBERED_MAX:
            self._failed.popitem(last=False)

    def storm(self, now: float) -> Storm | None:
        """The storm that goes on, or None."""
        while self._retrying and now - next(iter(self._retrying.values())) > WINDOW_SECONDS:
            self._retrying.popitem(last=False)
        retries, requests = self._retries.total(now), self._requests.total(now)
        share = retries / requests if requests else 0.0
        if retries < RETRIES_MIN or share <= RETRIED_SHARE or len(self._retrying) < RUNS_MIN:
            return None
        return Storm(provider=self._provider, runs=tuple(self._retrying), retries=round(retries), share=share)
