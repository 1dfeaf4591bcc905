"""Rate-limit headers of both providers, as their documentation writes them, and as nobody should."""

from datetime import UTC, datetime

import pytest

from opsconsole.gateway.flow.limits_read import Limit, may_retry, read_limits, retry_after_seconds

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC).timestamp()


def test_openais_headers_are_read() -> None:
    headers = {
        "x-ratelimit-limit-requests": "60",
        "x-ratelimit-limit-tokens": "150000",
        "x-ratelimit-remaining-requests": "59",
        "x-ratelimit-remaining-tokens": "149984",
        "x-ratelimit-reset-requests": "1s",
        "x-ratelimit-reset-tokens": "6m0s",
    }
    assert read_limits(headers, NOW) == (
        Limit(kind="requests", limit=60, remaining=59, resets_in_seconds=1),
        Limit(kind="tokens", limit=150_000, remaining=149_984, resets_in_seconds=360),
    )


def test_anthropics_headers_are_read() -> None:
    headers = {
        "anthropic-ratelimit-requests-limit": "50",
        "anthropic-ratelimit-requests-remaining": "49",
        "anthropic-ratelimit-requests-reset": "2026-01-02T03:04:06Z",
        "anthropic-ratelimit-input-tokens-limit": "40000",
        "anthropic-ratelimit-input-tokens-remaining": "30000",
        "anthropic-ratelimit-input-tokens-reset": "2026-01-02T04:04:20+01:00",
        "anthropic-ratelimit-output-tokens-limit": "8000",
        "anthropic-ratelimit-output-tokens-remaining": "8000",
    }
    assert read_limits(headers, NOW) == (
        Limit(kind="requests", limit=50, remaining=49, resets_in_seconds=1),
        Limit(kind="input_tokens", limit=40_000, remaining=30_000, resets_in_seconds=15),
        Limit(kind="output_tokens", limit=8_000, remaining=8_000, resets_in_seconds=None),
    )


@pytest.mark.parametrize(
    ("written", "seconds"), [("6m0s", 360), ("1h2m3.5s", 3_723.5), ("20ms", 0.02), ("8.64s", 8.64), ("1d", 86_400)]
)
def test_a_reset_is_a_duration(written: str, seconds: float) -> None:
    assert read_limits(_requests(reset=written), NOW)[0].resets_in_seconds == pytest.approx(seconds)


@pytest.mark.parametrize("written", ["", "soon", "-5s", "5 s", "nan", "1e400", "٣s", "9" * 200 + "s"])
def test_a_reset_that_nobody_can_read_is_none(written: str) -> None:
    assert read_limits(_requests(reset=written), NOW)[0].resets_in_seconds is None


@pytest.mark.parametrize("limit", ["", "0", "-1", "inf", "nan", "1e9", "many", "9" * 30])
def test_a_limit_that_is_none_is_not_believed(limit: str) -> None:
    assert read_limits(_requests(limit=limit), NOW) == ()


def test_more_cannot_remain_than_the_limit() -> None:
    assert read_limits(_requests(remaining="99999"), NOW)[0].remaining == 60


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after-ms": "250", "retry-after": "7"}, 0.25),
        ({"retry-after": "Fri, 02 Jan 2026 03:04:15 GMT"}, 10),
        ({"retry-after": "Fri, 02 Jan 2026 03:04:00 GMT"}, 0),
        ({"retry-after": "later"}, None),
        ({"retry-after": "-3"}, None),
        ({}, None),
    ],
)
def test_how_long_to_wait_is_read(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after_seconds(headers, NOW) == seconds


def test_the_providers_own_word_on_retries_is_read() -> None:
    words = [may_retry({"x-should-retry": word}) for word in ("true", "False", "perhaps")]
    assert (words, may_retry({})) == ([True, False, None], None)


def _requests(limit: str = "60", remaining: str = "59", reset: str = "1s") -> dict[str, str]:
    return {
        "x-ratelimit-limit-requests": limit,
        "x-ratelimit-remaining-requests": remaining,
        "x-ratelimit-reset-requests": reset,
    }
