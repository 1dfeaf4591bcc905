"""A time in the past as people write it: `02:00`, `8h`, `2026-03-01 22:00`; pure, the present time is given."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, tzinfo

_AGO = re.compile(r"(\d+(?:\.\d+)?)\s*([smhdw])\Z")
_SECONDS = {"s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0, "w": 604_800.0}
_CLOCK = re.compile(r"(\d{1,2}):(\d\d)\Z")
ACCEPTED = "a time of day such as 02:00 (the latest one), 8h or 30m ago, or a date such as 2026-03-01 22:00"


def since_of(text: str, *, now: float, zone: tzinfo) -> float:
    """Unix seconds, from 1970 on. Raises: ValueError that says what is accepted."""
    text = text.strip()
    if ago := _AGO.match(text):
        return max(0.0, now - float(ago[1]) * _SECONDS[ago[2]])
    here = datetime.fromtimestamp(now, zone)
    try:
        if clock := _CLOCK.match(text):
            then = here.replace(hour=int(clock[1]), minute=int(clock[2]), second=0, microsecond=0)
            return (then if then <= here else then - timedelta(days=1)).timestamp()
        then = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is no time; accepted: {ACCEPTED}") from None
    then = then if then.tzinfo else then.replace(tzinfo=zone)
    if then.timestamp() > now:
        raise ValueError(f"{text!r} is yet to come; accepted: {ACCEPTED}")
    return max(0.0, then.timestamp())
