"""Turns that the hub let go ahead of time: counted down here, and void once anything stops or holds the run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

RENEW_SHARE = 0.5
"""With less than this left of the time, or a quarter of the rest, one turn asks, and brings the next lease."""
LEFT_SHARE = 0.25


@dataclass(slots=True, kw_only=True)
class Lease:
    """One lease. Times are monotonic seconds."""

    verdict: str
    until: float
    renew_at: float
    turns: int
    usd: float | None
    tokens: int | None
    turns_low: float
    usd_low: float
    tokens_low: float
    is_renewing: bool = False
    """Whether a turn has gone to ask for the next."""

    @classmethod
    def of(cls, verdict: str, told: Mapping[str, Any], now: float) -> Lease:
        """As the hub told it, heard now."""
        seconds, usd, tokens = float(told["seconds"]), told.get("usd"), told.get("tokens")
        return cls(
            verdict=verdict,
            until=now + seconds,
            renew_at=now + seconds * RENEW_SHARE,
            turns=int(told["turns"]),
            usd=usd,
            tokens=tokens,
            turns_low=told["turns"] * LEFT_SHARE,
            usd_low=(usd or 0.0) * LEFT_SHARE,
            tokens_low=(tokens or 0) * LEFT_SHARE,
        )

    def take(self, usd: float | None, tokens: int, now: float) -> bool:
        """Whether a turn that takes so much at most may begin; it is taken off. False also for one that asks."""
        if now >= self.until or self.turns < 1 or not self._has(usd, tokens):
            return False
        if not self.is_renewing and self._is_low(now):
            self.is_renewing = True
            return False
        self.turns -= 1
        self.usd = None if self.usd is None else self.usd - (usd or 0.0)
        self.tokens = None if self.tokens is None else self.tokens - tokens
        return True

    def settle(self, usd: float | None, tokens: int, used_usd: float, used_tokens: int) -> None:
        """A turn that had taken so much is over and has used this: what it did not use others may take."""
        if self.usd is not None:
            self.usd += (usd or 0.0) - used_usd
        if self.tokens is not None:
            self.tokens += tokens - used_tokens

    def _has(self, usd: float | None, tokens: int) -> bool:
        if self.usd is not None and (usd is None or usd > self.usd):
            return False
        return self.tokens is None or tokens <= self.tokens

    def _is_low(self, now: float) -> bool:
        return (
            now >= self.renew_at
            or self.turns <= self.turns_low
            or (self.usd is not None and self.usd <= self.usd_low)
            or (self.tokens is not None and self.tokens <= self.tokens_low)
        )
