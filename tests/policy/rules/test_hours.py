"""Office hours by the wall clock of their zone: the beginning belongs to them, the end does not."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from opsconsole.policy.rules.hours import Hours

BERLIN = ZoneInfo("Europe/Berlin")


def is_within(text: str | tuple[str, ...], at: str) -> bool:
    moment = datetime.fromisoformat(at).replace(tzinfo=BERLIN)
    return Hours.parse((text,) if isinstance(text, str) else text).include(moment.timestamp(), BERLIN)


@pytest.mark.parametrize(
    ("text", "at", "expected"),
    [
        ("Mon-Fri 09:00-17:00", "2026-11-20T09:00", True),
        ("Mon-Fri 09:00-17:00", "2026-11-20T16:59", True),
        ("Mon-Fri 09:00-17:00", "2026-11-20T17:00", False),
        ("Mon-Fri 09:00-17:00", "2026-11-20T08:59", False),
        ("Mon-Fri 09:00-17:00", "2026-11-22T10:00", False),
        ("Mon-Fri 09:00-17:00", "2026-07-17T09:00", True),
        ("sat,sun 00:00-24:00", "2026-11-22T23:59", True),
        ("Fri-Mon 08:00-09:00", "2026-11-22T08:30", True),
        ("Fri-Mon 08:00-09:00", "2026-11-24T08:30", False),
        ("Fri 22:00-06:00", "2026-11-20T23:00", True),
        ("Fri 22:00-06:00", "2026-11-21T05:59", True),
        ("Fri 22:00-06:00", "2026-11-20T05:00", False),
        (("Mon-Thu 09:00-17:00", "Fri 09:00-15:00"), "2026-11-20T16:00", False),
        (("Mon-Thu 09:00-17:00", "Fri 09:00-15:00"), "2026-11-19T16:00", True),
    ],
)
def test_a_moment_lies_in_hours(text: str | tuple[str, ...], at: str, expected: bool) -> None:
    assert is_within(text, at) is expected


def test_hours_follow_the_zone_and_not_the_machine() -> None:
    noon = datetime(2026, 11, 20, 12, tzinfo=ZoneInfo("Asia/Tokyo")).timestamp()
    hours = Hours.parse(("Fri 11:00-13:00",))
    assert (hours.include(noon, ZoneInfo("Asia/Tokyo")), hours.include(noon, BERLIN)) == (True, False)


@pytest.mark.parametrize(
    "text",
    [
        *("", "always", "Mon", "Mon 9:00-17:00", "Mon 09:00", "Mon 09:60-17:00", "Mon 24:00-25:00", "Mon 09:00-24:01"),
        *("Mox 09:00-17:00", "Mon-Tue-Wed 09:00-17:00", "Mon 09:00-09:00", "Mon 09:00-17:00 ever", "Mon ٠٩:00-17:00"),
    ],
)
def test_hours_that_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="give days and times"):
        Hours.parse((text,))


def test_no_hours_are_refused() -> None:
    with pytest.raises(ValueError, match="give days and times"):
        Hours.parse(())
