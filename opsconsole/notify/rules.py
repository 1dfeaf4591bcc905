"""Which entries of the audit become messages, and which of those may go out now; it reads no log and sends nothing."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from opsconsole.domain.text import safe_line
from opsconsole.protocol.audit_words import audit_words, kind_of

BODY_CHARS_MAX = 500
"""Of a message: what a telephone shows; the console has the rest."""
ASKED_CHARS_MAX = 120
"""Of whom a held call asks."""
SUBJECT_CHARS_MAX = 400
REPEAT_SECONDS = 600.0
"""The same thing about the same subject is said once in this long."""
CRITICAL_FACTOR = 3
"""How many times the rate critical messages may reach, which no other bound and no quiet hours keep back."""
REMEMBERED_MAX = 5_000
"""Subjects remembered for that."""


class Urgency(IntEnum):
    """How much a message matters; only CRITICAL ones pass the quiet hours, and have a higher rate of their own."""

    NOTICE = 0
    WARNING = 1
    CRITICAL = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What a person is told; everything in it has passed the audit's mask and is safe text."""

    title: str
    body: str
    urgency: Urgency
    about: str
    """Kind and subject: equal ones are repetitions."""


@dataclass(frozen=True, slots=True)
class Rule:
    """How entries of one kind are told."""

    urgency: Urgency
    title: str
    subject: tuple[str, ...] = ("run",)
    """The entry's fields that tell its subject: where they are equal it is said once for a while."""
    applies: Callable[[Mapping[str, Any]], bool] = lambda entry: True


def _is_unconfirmed(entry: Mapping[str, Any]) -> bool:
    return entry.get("status") == "unconfirmed"


def _is_trip(entry: Mapping[str, Any]) -> bool:
    return entry.get("severity") == "trip"


RULES: dict[str, Rule] = {
    "approval.requested": Rule(Urgency.NOTICE, "A call waits for a decision", ("approval",)),
    "approval.reminded": Rule(Urgency.WARNING, "A call still waits for a decision", ("approval",)),
    "approval.escalated": Rule(Urgency.CRITICAL, "A call waits, and nobody has answered", ("approval", "to")),
    "policy.rejected": Rule(Urgency.CRITICAL, "The policy file cannot be used", ("problems",)),
    "alert.raised": Rule(Urgency.WARNING, "A detector has tripped", ("alert",), _is_trip),
    "breaker.tripped": Rule(Urgency.WARNING, "A breaker has tripped", ("account", "reached")),
    "limit.tripped": Rule(Urgency.WARNING, "A run is paused at a limit", ("run", "reached")),
    "kill.outcome": Rule(Urgency.CRITICAL, "A kill is not confirmed", applies=_is_unconfirmed),
    "call.unpermitted": Rule(Urgency.CRITICAL, "A call ran without permission"),
    "run.zombie": Rule(Urgency.CRITICAL, "A dead run went on"),
    "run.given_up": Rule(Urgency.WARNING, "A run is lost"),
    "supervisor.refused": Rule(Urgency.CRITICAL, "A process posed as a supervisor"),
    "storage.failed": Rule(Urgency.CRITICAL, "The hub's storage fails", ()),
    "audit.gap": Rule(Urgency.CRITICAL, "Entries of the audit were dropped", ()),
}
"""kind of an audit entry -> how it is told; every other kind is not."""
WARNINGS: dict[str, Rule] = {
    "alert.raised": Rule(Urgency.NOTICE, "A detector warns", ("alert",)),
}
"""What is told as well where somebody wants to hear of warnings too."""


def message_of(entry: Mapping[str, Any], *, warnings: bool = False) -> Message | None:
    """The message for one entry as `GET /v1/audit` gives it, or None. `warnings`: also of alerts that trip nothing."""
    kind = kind_of(entry)
    rule = RULES.get(kind)
    if warnings and rule is not None and not rule.applies(entry):
        rule = WARNINGS.get(kind)
    if rule is None or not rule.applies(entry):
        return None
    subject = " ".join(safe_line(str(entry.get(name, "")), limit=SUBJECT_CHARS_MAX) for name in rule.subject)
    agent, run = (safe_line(str(entry.get(name) or ""), limit=100) for name in ("agent", "run"))
    where = " · ".join(part for part in (agent, run) if part)
    words = audit_words(entry, limit=BODY_CHARS_MAX) + _asked(entry)
    return Message(
        title=f"opsconsole: {rule.title}",
        body=f"{where}: {words}" if where else words,
        urgency=rule.urgency,
        about=f"{kind} {subject}".rstrip(),
    )


def _asked(entry: Mapping[str, Any]) -> str:
    """Whose decision an approval waits for, such as ` (asks 2 of finance, not dee)`; empty where anyone's will do."""
    quorums = [one for one in entry.get("quorums") or () if isinstance(one, Mapping)]
    told = [f"{one.get('approvers')} of {one.get('group') or 'operators'}" for one in quorums]
    left_out = [f"not {name}" for name in entry.get("not_by") or ()]
    return safe_line(f" (asks {', '.join(told + left_out)})", limit=ASKED_CHARS_MAX) if told or left_out else ""


@dataclass(frozen=True, slots=True)
class QuietHours:
    """From a minute of the day to another, past midnight if the first is later; equal ones are no quiet hours."""

    start: int
    end: int

    def hold(self, minute_of_day: int) -> bool:
        """Whether that minute is quiet."""
        if self.start <= self.end:
            return self.start <= minute_of_day < self.end
        return minute_of_day >= self.start or minute_of_day < self.end

    @classmethod
    def parse(cls, text: str) -> QuietHours:
        """`22:00-07:00`. Raises: ValueError."""
        start, _, end = text.partition("-")
        return cls(_minute(start), _minute(end))


def _minute(text: str) -> int:
    hours, _, minutes = text.strip().partition(":")
    if not (hours.isdigit() and minutes.isdigit() and int(hours) < 24 and int(minutes) < 60):
        raise ValueError(f"{text!r} is not a time of day such as 22:00")
    return int(hours) * 60 + int(minutes)


class Throttle:
    """Lets through what is new, in the rate and outside the quiet hours; tells later how many it kept back."""

    def __init__(self, *, per_minute: int, quiet: QuietHours | None = None) -> None:
        self._per_minute = per_minute
        self._quiet = quiet
        self._sent: deque[float] = deque()
        self._sent_critical: deque[float] = deque()
        self._said: OrderedDict[str, float] = OrderedDict()
        self._kept_back = 0
        self._kept_back_critical = 0

    def admit(self, messages: Iterable[Message], *, now: float, minute_of_day: int) -> list[Message]:
        """Those to send now, in order. `now` in seconds of any clock that does not run backwards."""
        admitted: list[Message] = []
        for message in messages:
            if self._is_repeated(message, now):
                continue
            if message.urgency is Urgency.CRITICAL and not self._has_critical_room(now):
                self._kept_back_critical += 1
            elif message.urgency < Urgency.CRITICAL and not self._has_room(now, minute_of_day):
                self._kept_back += 1
            else:
                (self._sent_critical if message.urgency is Urgency.CRITICAL else self._sent).append(now)
                admitted.append(message)
        return admitted + self._confession(now, minute_of_day)

    def _is_repeated(self, message: Message, now: float) -> bool:
        last = self._said.get(message.about)
        if last is not None and now - last < REPEAT_SECONDS:
            return True
        self._said[message.about] = now
        self._said.move_to_end(message.about)
        while len(self._said) > REMEMBERED_MAX:
            self._said.popitem(last=False)
        return False

    def _has_room(self, now: float, minute_of_day: int) -> bool:
        is_quiet = self._quiet is not None and self._quiet.hold(minute_of_day)
        return not is_quiet and _sent_lately(self._sent, now) < self._per_minute

    def _has_critical_room(self, now: float) -> bool:
        return _sent_lately(self._sent_critical, now) < CRITICAL_FACTOR * self._per_minute

    def _confession(self, now: float, minute_of_day: int) -> list[Message]:
        """Nothing is left out in silence: once there is room again, how much was."""
        told: list[Message] = []
        if self._kept_back_critical and self._has_critical_room(now):
            count, self._kept_back_critical = self._kept_back_critical, 0
            self._sent_critical.append(now)
            told.append(_kept_back(count, "critical message", "the rate", Urgency.CRITICAL))
        if self._kept_back and self._has_room(now, minute_of_day):
            count, self._kept_back = self._kept_back, 0
            self._sent.append(now)
            told.append(_kept_back(count, "message", "the rate or the quiet hours", Urgency.NOTICE))
        return told


def _sent_lately(sent: deque[float], now: float) -> int:
    """How many of these were in the last minute; older ones are forgotten."""
    while sent and now - sent[0] >= 60.0:
        sent.popleft()
    return len(sent)


def _kept_back(count: int, what: str, why: str, urgency: Urgency) -> Message:
    words = f"1 {what} was" if count == 1 else f"{count} {what}s were"
    body = f"{words} kept back by {why}; the console has them all."
    return Message(title="opsconsole: messages kept back", body=body, urgency=urgency, about="kept back")
