"""How long what is left will last at the present pace, in numbers and words; and whom to pause when it will not."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo

from opsconsole.policy.breaker_windows import WINDOW_SECONDS

NAMES = {"cost_usd": "cost", "tokens": "tokens", "turns": "turns", "tool_calls": "tool calls"}
DAY_SECONDS = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Runway:
    """What is left of one cap."""

    what: str
    window: str
    used: float
    limit: float
    per_minute: float
    now: float

    @property
    def share(self) -> float:
        """Of the limit that is used."""
        return self.used / self.limit if self.limit > 0 else 1.0

    @property
    def seconds(self) -> float | None:
        """Until the cap is reached at this pace; 0 when it is; None when it never is.

        In a sliding window what is used leaves again: a pace that the window holds for ever reaches no cap.
        """
        if self.used >= self.limit:
            return 0.0
        window = WINDOW_SECONDS[self.window]
        if self.per_minute <= 0 or (window < math.inf and self.per_minute * window / 60 <= self.limit):
            return None
        return (self.limit - self.used) / self.per_minute * 60

    @property
    def cap_text(self) -> str:
        """The cap in words."""
        within = "" if self.window == "total" else f" {'an' if self.window == 'hour' else 'a'} {self.window}"
        return f"{shown_amount(self.what, self.limit)} cap{within}"

    def text(self, zone: tzinfo = UTC) -> str:
        """Such as `$0.42/min, reaches its $10 cap at 14:32`; of a rate `38 % of 30 turns a minute, full in 6 s`."""
        cap = f"{shown_amount(self.what, self.limit)} cap"
        if self.window == "minute":
            return f"{self.share * 100:.0f} % of {shown_amount(self.what, self.limit)} a minute{self._full()}"
        if self.seconds == 0.0:
            return f"{shown_amount(self.what, self.used)} used, its {cap} is reached"
        pace = f"{shown_amount(self.what, self.per_minute, is_pace=True)}/min"
        if self.seconds is None:
            return (
                f"{pace}, stays below its {cap}"
                if self.per_minute > 0
                else f"idle, {self.share * 100:.0f} % of its {cap}"
            )
        return f"{pace}, reaches its {cap} {self._at(zone)}"

    def _full(self) -> str:
        if self.seconds is None:
            return ""
        return f", full in {lasting(self.seconds)}" if self.seconds else ", full"

    def _at(self, zone: tzinfo) -> str:
        seconds = self.seconds or 0.0
        if seconds > 7 * DAY_SECONDS:
            return "in more than a week"
        when = datetime.fromtimestamp(self.now + seconds, zone)
        return f"at {when:%H:%M}" if seconds < DAY_SECONDS else f"on {when:%a %d %b at %H:%M}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A run that could be paused to make room."""

    run: str
    priority: int = 0
    """Higher ones go on longer."""
    sunk_usd: float = 0.0
    """What is lost if it never goes on."""
    progress: float = 0.0
    """From 0 to 1, as far as anybody knows."""


def pause_first(candidates: Iterable[Candidate]) -> list[Candidate]:
    """In the order in which to pause them: the least important, then what has cost least, then what is least far."""
    return sorted(candidates, key=lambda one: (one.priority, one.sunk_usd, one.progress, one.run))


def shown_amount(what: str, amount: float, *, is_pace: bool = False) -> str:
    """An amount with its unit."""
    if what == "cost_usd":
        return f"${amount:,.0f}" if amount == round(amount) and not is_pace else f"${amount:,.2f}"
    return f"{amount:,.{1 if is_pace and amount < 10 else 0}f} {NAMES.get(what, what)}"


def lasting(seconds: float) -> str:
    """A length of time, in seconds while they matter."""
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:,.0f} min"
