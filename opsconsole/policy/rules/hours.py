"""Office hours, as in `Mon-Fri 09:00-17:00`: whether a moment lies in them; the time zone is given."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, tzinfo

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MINUTES_A_DAY = 1_440
SPANS_MAX = 28
ACCEPTED = "give days and times, such as 'Mon-Fri 09:00-17:00' or ['Mon-Thu 09:00-17:00', 'Fri 09:00-15:00']"
_SPAN = re.compile(r"\s*([A-Za-z]{3}(?:\s*[-,]\s*[A-Za-z]{3})*)\s+(\d\d):(\d\d)\s*-\s*(\d\d):(\d\d)\s*", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """On these days (0 is Monday) from one minute of the day up to before another."""

    days: frozenset[int]
    begin: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Hours:
    """Spans of a week; one that ends no later than it begins goes on into the next day."""

    spans: tuple[Span, ...]

    @classmethod
    def parse(cls, texts: tuple[str, ...]) -> Hours:
        """Raises: ValueError, with what is accepted."""
        if not 0 < len(texts) <= SPANS_MAX:
            raise ValueError(ACCEPTED)
        return cls(spans=tuple(_span(text) for text in texts))

    def include(self, now: float, zone: tzinfo) -> bool:
        """Whether the moment (unix seconds) lies in these hours, by the wall clock of the zone."""
        local = datetime.fromtimestamp(now, zone)
        minute, day = 60 * local.hour + local.minute, local.weekday()
        return any(_lies_in(span, day, minute) for span in self.spans)


def _lies_in(span: Span, day: int, minute: int) -> bool:
    if span.begin < span.end:
        return day in span.days and span.begin <= minute < span.end
    return (day in span.days and minute >= span.begin) or ((day - 1) % 7 in span.days and minute < span.end)


def _span(text: str) -> Span:
    found = _SPAN.fullmatch(text)
    if found is None:
        raise ValueError(ACCEPTED)
    begin, end = (60 * int(hour) + int(minute) for hour, minute in ((found[2], found[3]), (found[4], found[5])))
    if int(found[3]) > 59 or int(found[5]) > 59 or begin >= MINUTES_A_DAY or end > MINUTES_A_DAY or begin == end:
        raise ValueError(f"{text!r} holds a time that does not exist; {ACCEPTED}")
    return Span(days=_days(found[1]), begin=begin, end=end)


def _days(text: str) -> frozenset[int]:
    days: set[int] = set()
    for part in text.split(","):
        names = [name.strip().lower() for name in part.split("-")]
        if len(names) > 2 or any(name not in DAYS for name in names):
            raise ValueError(f"{part.strip()!r} names no days; {ACCEPTED}")
        first, last = DAYS.index(names[0]), DAYS.index(names[-1])
        days.update((first + step) % 7 for step in range((last - first) % 7 + 1))
    return frozenset(days)
