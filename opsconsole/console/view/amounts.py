"""Money, counts, ages and times of day in a few cells; it reads no clock (times and zone are given)."""

from __future__ import annotations

from datetime import datetime, tzinfo
from math import isfinite

_MINUTE = 60
_HOUR = 3_600
_DAY = 86_400
_DAYS_MAX = 999
_LATEST = 253_370_764_800.0
"""The year 9999 begins: no calendar has much more, in any zone."""


def money(usd: float, *, known: bool = True) -> str:
    """Dollars; `≥` where some usage had no price, so that the true cost is higher."""
    digits = 4 if usd < 10 else 2
    return f"{'' if known else '≥'}${usd:,.{digits}f}"


def rate(usd_per_minute: float) -> str:
    """Dollars a minute, without the unit."""
    return "-" if usd_per_minute <= 0 else f"{usd_per_minute:.2f}"


def count(number: int) -> str:
    """A count in at most five cells: 999, 12.3k, 4.5M."""
    if number < 1_000:
        return str(number)
    if number < 999_950:
        return f"{number / 1_000:.1f}k"
    if number < 999_950_000:
        return f"{number / 1_000_000:.1f}M"
    return f"{number / 1_000_000_000:.1f}G"


def age(seconds: float) -> str:
    """How long, in at most five cells: 41s, 3m50, 2h05, 3d04, 999d+, `?` for no number; never negative."""
    if not isfinite(seconds):
        return "?"
    whole = max(0, int(seconds))
    if whole < _MINUTE:
        return f"{whole}s"
    if whole < 10 * _MINUTE:
        return f"{whole // _MINUTE}m{whole % _MINUTE:02d}"
    if whole < _HOUR:
        return f"{whole // _MINUTE}m"
    if whole < _DAY:
        return f"{whole // _HOUR}h{whole % _HOUR // _MINUTE:02d}"
    days = whole // _DAY
    if days < 100:
        return f"{days}d{whole % _DAY // _HOUR:02d}"
    return f"{days}d" if days <= _DAYS_MAX else f"{_DAYS_MAX}d+"


def time_of_day(at: float, zone: tzinfo) -> str:
    """HH:MM:SS in the operator's zone."""
    return _moment(at, zone).strftime("%H:%M:%S")


def hour_and_minute(at: float, zone: tzinfo) -> str:
    """HH:MM in the operator's zone."""
    return _moment(at, zone).strftime("%H:%M")


def day_and_time(at: float, zone: tzinfo) -> str:
    """The date and time of day in the operator's zone."""
    return _moment(at, zone).strftime("%Y-%m-%d %H:%M:%S")


def _moment(at: float, zone: tzinfo) -> datetime:
    """The nearest moment that a calendar has, whatever number was reported."""
    return datetime.fromtimestamp(min(_LATEST, max(0.0, at)), zone)


def milliseconds(ms: float) -> str:
    """A duration measured in milliseconds."""
    if ms < 10:
        return f"{ms:.1f} ms"
    if ms < 10_000:
        return f"{ms:,.0f} ms"
    return f"{ms / 1_000:,.1f} s"


def of_cap(used: float, cap: float | None) -> float | None:
    """The share of a cap that is used, 0 to 1 and beyond; None without a cap."""
    return None if not cap else used / cap


def bar(share: float, width: int) -> str:
    """A bar of `width` cells; full means the cap is reached."""
    eighths = int(min(1.0, max(0.0, share)) * width * 8)
    full, rest = divmod(eighths, 8)
    partial = " ▏▎▍▌▋▊▉"[rest] if rest else ""
    return ("█" * full + partial).ljust(width, "░")[:width]
