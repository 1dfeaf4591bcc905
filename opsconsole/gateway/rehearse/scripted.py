"""A provider as the rehearsal imagines it: buckets that refill steadily, refusals with the headers of a real one."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a provider allows a minute; None for no limit."""

    tokens: float | None = None
    requests: float | None = None


@dataclass(slots=True)
class _Bucket:
    limit: float
    level: float
    at: float = 0.0

    def filled(self, now: float) -> float:
        self.level = min(self.limit, self.level + (now - self.at) * self.limit / 60.0)
        self.at = now
        return self.level


class ScriptedProvider:
    """One (provider, model). Times are simulated seconds."""

    def __init__(self, limits: Limits) -> None:
        given = {"requests": limits.requests, "tokens": limits.tokens}
        self._buckets = {kind: _Bucket(limit, limit) for kind, limit in given.items() if limit}
        self.refused = 0

    def ask(self, tokens: float, now: float) -> tuple[int, dict[str, str]]:
        """The status of a request of so many tokens, and its headers."""
        wanted = {"requests": 1.0, "tokens": tokens}
        lacking = [
            (min(wanted[kind], bucket.limit) - bucket.filled(now)) * 60.0 / bucket.limit
            for kind, bucket in self._buckets.items()
        ]
        wait = max(lacking, default=0.0)
        if wait > 1e-9:
            self.refused += 1
            return 429, {"retry-after-ms": f"{1_000 * wait:.0f}", **self._headers()}
        for kind, bucket in self._buckets.items():
            bucket.level = max(0.0, bucket.level - wanted[kind])
        return 200, self._headers()

    def _headers(self) -> dict[str, str]:
        headers: dict[str, str] = {}
        for kind, bucket in self._buckets.items():
            back = (bucket.limit - bucket.level) * 60.0 / bucket.limit
            headers[f"x-ratelimit-limit-{kind}"] = f"{bucket.limit:.0f}"
            headers[f"x-ratelimit-remaining-{kind}"] = f"{bucket.level:.0f}"
            headers[f"x-ratelimit-reset-{kind}"] = f"{back:.3f}s"
        return headers
