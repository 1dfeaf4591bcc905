"""What a client is told that gets no answer: status, code, words, whether to ask again; a dialect writes the bytes."""

from __future__ import annotations

from opsconsole.errors import CallDenied
from opsconsole.gateway.coverage import Uncovered
from opsconsole.gateway.dialect.interface import Failure
from opsconsole.gateway.held_bytes import FULL, TooMuchHeld
from opsconsole.gateway.output import Headers
from opsconsole.gateway.upstream import NoShare, UpstreamFailed, UpstreamSaid

HUB_RETRY_SECONDS = 5.0
"""A hub that restarts is back by then."""
FULL_RETRY_SECONDS = 5.0
"""Some of what is held is decided by then."""


def killed_failure(reason: str) -> Failure:
    """The run was stopped; whoever asks again is told the same."""
    return Failure(status=403, code="run_stopped", message=f"opsconsole: {reason or 'the run was stopped'}")


def denied_failure(denied: CallDenied) -> Failure:
    """The turn was refused; 503 where the gateway itself could not ask."""
    if denied.rule == "journal":
        return Failure(status=503, code="gateway_unable", message=f"opsconsole: {denied.reason}", retry=True)
    return Failure(status=403, code=f"denied:{denied.rule}"[:200], message=f"opsconsole: {denied.reason}")


def lost_failure(why: str) -> Failure:
    """Nobody could allow the turn now."""
    return Failure(
        status=503, code="hub_lost", message=f"opsconsole: {why}", retry=True, retry_after_seconds=HUB_RETRY_SECONDS
    )


def full_failure(full: TooMuchHeld) -> Failure:
    """There is no memory left for it."""
    return Failure(
        status=503,
        code=FULL,
        message=f"opsconsole: {full}",
        retry=True,
        retry_after_seconds=FULL_RETRY_SECONDS,
    )


def upstream_failure(failed: UpstreamFailed) -> Failure:
    """Upstream gave no whole answer, or was not asked for one."""
    if isinstance(failed, NoShare):
        return Failure(
            status=503 if failed.is_down else 429,
            code="upstream_down" if failed.is_down else "rate_limited",
            message=f"opsconsole: {failed}",
            retry=True,
            retry_after_seconds=failed.retry_after_seconds,
        )
    return Failure(
        status=504 if failed.timed_out else 502, code="upstream_failed", message=f"opsconsole: {failed}", retry=True
    )


def said_failure(said: UpstreamSaid) -> Failure:
    """Upstream's own error, where it can't be given as it is any more."""
    told = said.body[:500].decode("utf-8", "replace")
    status = said.status if said.status >= 400 else 502
    return Failure(status=status, code="upstream_error", message=f"{said}: {told}", retry=status >= 429)


def uncovered_failure(uncovered: Uncovered) -> Failure:
    """The endpoint does not pass."""
    return Failure(status=uncovered.status, code=uncovered.code, message=f"opsconsole: {uncovered.message}")


def error_headers(failure: Failure) -> Headers:
    """What official clients read to know whether to ask again."""
    headers: Headers = [
        (b"content-type", b"application/json"),
        (b"x-should-retry", b"true" if failure.retry else b"false"),
    ]
    if failure.retry_after_seconds is not None:
        headers.append((b"retry-after", b"%d" % max(1, round(failure.retry_after_seconds))))
    return headers
