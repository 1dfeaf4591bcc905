"""What a provider's answer says of its rate limits, read from headers into values; it keeps none of them."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Literal

Kind = Literal["requests", "tokens", "input_tokens", "output_tokens"]

AMOUNT_MAX = 1e12
"""A larger limit is a mistake of somebody's, and no limit."""
RESET_SECONDS_MAX = 86_400.0 * 40
"""Some limits are a month's; nothing is reset later."""
HEADER_CHARS_MAX = 100
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}
_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)")
_DURATION = re.compile(r"(?:[0-9]+(?:\.[0-9]+)?(?:ms|s|m|h|d))+")
_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """One limit as one answer told it."""

    kind: Kind
    limit: float
    remaining: float
    resets_in_seconds: float | None = None
    """Until all of it may be used again; None where the answer does not say."""


def read_limits(headers: Mapping[str, str], now: float) -> tuple[Limit, ...]:
    """Every limit that an answer names whole; names are lower case, `now` is unix seconds."""
    found: list[Limit] = []
    for kind, limit_name, remaining_name, reset_name, reset in _FORMS if headers else ():
        told = headers.get(limit_name)
        if told is None:
            continue
        limit, remaining = _number(told), _number(headers.get(remaining_name))
        if limit and remaining is not None:
            resets_in = reset(headers.get(reset_name), now)
            found.append(Limit(kind=kind, limit=limit, remaining=min(remaining, limit), resets_in_seconds=resets_in))
    return tuple(found)


def retry_after_seconds(headers: Mapping[str, str], now: float) -> float | None:
    """How long the answer asks to wait; None where it does not, or not so that anybody could tell."""
    exact = _number(headers.get("retry-after-ms"))
    if exact is not None:
        return exact / 1_000
    told = headers.get("retry-after")
    seconds = _number(told)
    return seconds if seconds is not None else _until_date(told, now)


def may_retry(headers: Mapping[str, str]) -> bool | None:
    """The provider's own word on whether asking again has a point; None where it says nothing."""
    return {"true": True, "false": False}.get(headers.get("x-should-retry", "").strip().lower())


def _duration(text: str | None, _now: float) -> float | None:
    """`6m0s`, `1h2m3.5s`, `20ms`; bare numbers are seconds."""
    word = (text or "").strip()[:HEADER_CHARS_MAX]
    if _DURATION.fullmatch(word):
        return min(RESET_SECONDS_MAX, sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(word)))
    return _number(word)


def _moment(text: str | None, now: float) -> float | None:
    """RFC 3339."""
    try:
        moment = datetime.fromisoformat((text or "").strip()[:HEADER_CHARS_MAX])
    except ValueError:
        return None
    return _between(_aware(moment).timestamp() - now)


def _until_date(text: str | None, now: float) -> float | None:
    """An HTTP date (RFC 9110, 10.2.3)."""
    try:
        return _between(_aware(parsedate_to_datetime((text or "")[:HEADER_CHARS_MAX])).timestamp() - now)
    except (ValueError, OverflowError):
        return None


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _between(seconds: float) -> float:
    return min(RESET_SECONDS_MAX, max(0.0, seconds))


def _number(text: str | None) -> float | None:
    word = (text or "").strip()[:HEADER_CHARS_MAX]
    number = float(word) if _NUMBER.fullmatch(word) else math.inf
    return number if number <= AMOUNT_MAX else None


_Reset = Callable[[str | None, float], float | None]
_PATTERNS: tuple[tuple[Kind, str, _Reset], ...] = (
    ("requests", "x-ratelimit-{}-requests", _duration),
    ("tokens", "x-ratelimit-{}-tokens", _duration),
    ("requests", "anthropic-ratelimit-requests-{}", _moment),
    ("tokens", "anthropic-ratelimit-tokens-{}", _moment),
    ("input_tokens", "anthropic-ratelimit-input-tokens-{}", _moment),
    ("output_tokens", "anthropic-ratelimit-output-tokens-{}", _moment),
)
_FORMS = tuple(
    (kind, pattern.format("limit"), pattern.format("remaining"), pattern.format("reset"), reset)
    for kind, pattern, reset in _PATTERNS
)
"""kind, the names of its three headers, how the reset is written."""
HEADERS = frozenset(
    {"retry-after", "retry-after-ms", "x-should-retry", *(name for form in _FORMS for name in form[1:4])}
)
"""The names of all headers that are read here."""
