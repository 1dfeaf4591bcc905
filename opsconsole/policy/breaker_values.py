"""What breakers are told and what they tell, as values, and their words for people; nothing is counted here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from opsconsole.policy.breaker_runway import shown_amount
from opsconsole.policy.budget_ledger import Cap, Short
from opsconsole.policy.file.settings import BreakerRule

COUNTED = ("cost_usd", "turns", "tokens", "tool_calls")
IN_A_ROW = 3
"""Slow calls, where a rule does not say."""


class Note(StrEnum):
    """What became of a breaker."""

    WARN = "warn"
    TRIP = "trip"
    RESUME = "resume"
    UNPRICED = "unpriced"
    """A model without a price was used under a cap on cost: an alarm, as it would else count as nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Whose use is counted."""

    run: str
    agent: str
    labels: Mapping[str, str] = field(default_factory=dict)
    started_at: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount:
    """What a call takes."""

    cost_usd: float | None = 0.0
    """None: nobody knows its price."""
    turns: int = 0
    tokens: int = 0
    tool_calls: int = 0

    def to_map(self) -> dict[str, float]:
        """By the names of limits; what has no price is left out."""
        return {name: float(value) for name in COUNTED if (value := getattr(self, name)) is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Something to tell, and of a trip to act on."""

    note: Note
    breaker: str
    account: str
    limit: str
    """The limit's name in the file."""
    text: str
    at: float
    until: float | None = None
    """When a trip ends by itself; None: when a person resumes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """Whether a call may go now."""

    admitted: bool
    waits: bool = False
    """It is not admitted yet: it fits once others are over."""
    notices: tuple[Notice, ...] = ()


class StillReached(ValueError):
    """A breaker cannot be resumed: the limit that the message names is still reached."""


def name_of(rule: BreakerRule, subject: Subject) -> str:
    if rule.scope == "run":
        return subject.run
    if rule.scope == "agent":
        return subject.agent
    return subject.labels.get((rule.label or "").partition("=")[0], "") if rule.scope == "label" else "all"


def is_labelled(label: str | None, labels: Mapping[str, str]) -> bool:
    name, has_value, value = (label or "").partition("=")
    return not name or (name in labels and (not has_value or labels[name] == value))


def make_notice(
    note: Note, breaker: str, account: str, limit: str, text: str, at: float, until: float | None = None
) -> Notice:
    return Notice(note=note, breaker=breaker, account=account, limit=limit, text=text, at=at, until=until)


def told_reached(cap: Cap, used: float) -> str:
    within = "" if cap.window == "total" else f" in {'an' if cap.window == 'hour' else 'a'} {cap.window}"
    return f"{shown_amount(cap.what, used)} of {shown_amount(cap.what, cap.limit)}{within}"


def told_short(short: Short) -> str:
    what = short.cap.what
    return f"a turn reserves {shown_amount(what, short.asked)}, {shown_amount(what, short.left)} is left"
