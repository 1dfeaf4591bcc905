"""Which failure is tried again, when, and how many may be: one budget for each provider; it sends nothing."""

from __future__ import annotations

from opsconsole.gateway.flow.windows import Window

CONNECT = 0
"""The status of a request that reached nobody."""
RETRIED = frozenset({CONNECT, 408, 409, 429, 500, 502, 503, 504, 529})
"""Statuses after which the same request may succeed; the official clients try these again, too."""
ATTEMPTS_MAX = 3
"""Of one request, the first included: its client tries again by itself."""
FIRST_SECONDS, LAST_SECONDS = 0.5, 8.0
"""Bounds of the backoff, doubled by each attempt, jittered downwards over its half."""
PATIENCE_SECONDS = 20.0
"""A provider that wants a longer wait is not asked again from here: its client is told, and may."""
HONOURED_JITTER_SHARE = 0.1
"""Beyond what was asked for, so that those who wait do not come back together."""
BUDGET_SHARE = 0.2
BUDGET_MIN = 3.0
BUDGET_SECONDS = 10.0
"""Retries are at most this share of the requests of these seconds, but always so many (Envoy's defaults)."""


class RetryBudget:
    """One provider's."""

    def __init__(self) -> None:
        self._requests = Window(BUDGET_SECONDS, bins=20)
        self._retries = Window(BUDGET_SECONDS, bins=20)

    def asked(self, now: float) -> None:
        """A first attempt went out."""
        self._requests.add(1.0, now)

    def take(self, now: float) -> bool:
        """Whether one more retry is within the budget; it is then spent."""
        allowed = max(BUDGET_MIN, BUDGET_SHARE * self._requests.total(now))
        if self._retries.total(now) + 1.0 > allowed:
            return False
        self._retries.add(1.0, now)
        return True


def is_retried(status: int, attempt: int, told: bool | None) -> bool:
    """Whether an answer of this status to the attempt of this number (from 0) is worth another; `told` is the
    provider's own word, where it gave one."""
    return attempt + 1 < ATTEMPTS_MAX and (status in RETRIED if told is None else told and status in RETRIED)


def backoff_seconds(attempt: int, retry_after: float | None, dice: float) -> float | None:
    """When to ask again, `dice` from 0 to 1; None where the provider wants a longer wait than anybody keeps."""
    if retry_after is not None:
        if retry_after > PATIENCE_SECONDS:
            return None
        return retry_after * (1.0 + HONOURED_JITTER_SHARE * dice) + 0.05 * dice
    return min(LAST_SECONDS, FIRST_SECONDS * 2.0**attempt) * (0.5 + 0.5 * dice)
