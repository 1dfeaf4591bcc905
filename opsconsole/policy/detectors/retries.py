"""Retry storm: requests to a provider that are tried again, too many of all, and by several agents at a time."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from opsconsole.policy.detectors.bounded import kept, put
from opsconsole.policy.detectors.finding import NOTHING, Finding, SettingsOf, Severity
from opsconsole.policy.detectors.observation import RequestEnded, Seen
from opsconsole.policy.file.settings import RetrySettings

STORM_RUNS = 3
"""Runs that try again at the same time: from here on they keep the provider down together."""
PROVIDERS_MAX = 100
REQUESTS_MAX = 5_000
"""Of one provider within the window."""
FAILED_MAX = 2_000
"""Failed requests that may be tried again."""
AGAIN = frozenset({408, 409, 425, 429, 529})


@dataclass(slots=True)
class _Provider:
    """One provider's requests within the window."""

    requests: deque[tuple[float, str, bool, bool]] = field(default_factory=deque)
    """When, whose, whether it was tried before, whether it was accepted."""
    accepted: int = 0
    retrying: Counter[str] = field(default_factory=Counter)
    """Run -> its retries."""
    failed: dict[str, float] = field(default_factory=dict)
    """Run and request -> when it failed."""
    began: float | None = None


class Retries:
    """The fleet's. The limits are those of Envoy's retry budget, the throttling offered is Google SRE's."""

    watches: ClassVar[tuple[type[Seen], ...]] = (RequestEnded,)

    def __init__(self, settings_of: SettingsOf[RetrySettings]) -> None:
        self.settings_of = settings_of
        self._providers: dict[str, _Provider] = {}

    def observe(self, seen: Seen) -> Sequence[Finding]:
        """Looks at requests."""
        assert isinstance(seen, RequestEnded)
        settings = self.settings_of("")
        provider = kept(self._providers, seen.provider, _Provider, PROVIDERS_MAX)
        request = f"{seen.run}\0{seen.request_digest}"
        failed_at = provider.failed.pop(request, None)
        is_again = failed_at is not None and seen.at - failed_at <= settings.per_seconds
        is_failed = seen.status is None or seen.status >= 500 or seen.status in AGAIN
        if is_failed:
            put(provider.failed, request, seen.at, FAILED_MAX)
        _count(provider, (seen.at, seen.run, is_again, not is_failed))
        while len(provider.requests) > REQUESTS_MAX or provider.requests[0][0] <= seen.at - settings.per_seconds:
            _forget(provider)
        return self._judge(seen, provider) if is_again else NOTHING

    def _judge(self, seen: RequestEnded, provider: _Provider) -> Sequence[Finding]:
        settings = self.settings_of("")
        requests, retries = len(provider.requests), provider.retrying.total()
        if retries < settings.minimum or retries <= settings.share * requests:
            if retries < settings.minimum:
                provider.began = None
            return NOTHING
        provider.began = seen.at if provider.began is None else provider.began
        runs = [seen.run, *(run for run in provider.retrying if run != seen.run)]
        is_storm = len(runs) >= STORM_RUNS
        reject = max(0.0, (requests - 2 * provider.accepted) / (requests + 1))
        together = f" by {len(runs)} runs at a time" if is_storm else ""
        evidence = {
            "provider": seen.provider,
            "requests": requests,
            "retries": retries,
            "accepted": provider.accepted,
            "reject_share": round(reject, 3),
            "storm": is_storm,
        }
        return (
            Finding(
                detector="retries",
                severity=Severity.TRIP if is_storm else Severity.WARN,
                text=f"{seen.provider}: {retries} of {requests} requests are retries{together}; "
                f"hold back {reject:.0%} of new ones",
                key=f"retries:{seen.provider}:{provider.began:.0f}",
                runs=tuple(runs),
                evidence=evidence,
            ),
        )

    def dump(self) -> Any:
        """Names, times and counts."""
        return {
            name: [[list(each) for each in one.requests], one.failed, one.began]
            for name, one in self._providers.items()
        }

    def load(self, state: Any) -> None:
        """See `Detector`."""
        for name, (requests, failed, began) in state.items():
            provider = self._providers[name] = _Provider()
            provider.failed = {request: float(at) for request, at in failed.items()}
            provider.began = None if began is None else float(began)
            for at, run, is_again, is_accepted in requests:
                _count(provider, (float(at), str(run), bool(is_again), bool(is_accepted)))


def _count(provider: _Provider, request: tuple[float, str, bool, bool]) -> None:
    provider.requests.append(request)
    _, run, is_again, is_accepted = request
    provider.accepted += is_accepted
    if is_again:
        provider.retrying[run] += 1


def _forget(provider: _Provider) -> None:
    _, run, is_again, is_accepted = provider.requests.popleft()
    provider.accepted -= is_accepted
    if is_again:
        provider.retrying[run] -= 1
        if not provider.retrying[run]:
            del provider.retrying[run]
