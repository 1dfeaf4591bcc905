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
REPEAT_SECONDS = 600.0
"""The same thing about the same subject is said once in this long."""
REMEMBERED_MAX = 5_000
"""Subjects remembered for that."""


class Urgency(IntEnum):
    """How much a message matters; only CRITICAL ones pass the quiet hours and the rate."""

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
    subject: str = "run"
    """The entry's field that tells its subject."""
    applies: Callable[[Mapping[str, Any]], bool] = lambda entry: True


def _is_unconfirmed(entry: Mapping[str, Any]) -> bool:
    return entry.get("status") == "unconfirmed"


def _is_trip(entry: Mapping[str, Any]) -> bool:
    return entry.get("severity") == "trip"


RULES: dict[str, Rule] = {
    "approval.requested": Rule(Urgency.NOTICE, "A call waits for a decision", "approval"),
    "approval.reminded": Rule(Urgency.WARNING, "A call still waits for a decision", "approval"),
    "approval.escalated": Rule(Urgency.CRITICAL, "A call waits, and nobody has answered", "approval"),
    "policy.rejected": Rule(Urgency.CRITICAL, "The policy file cannot be used", "kind"),
    "alert.raised": Rule(Urgency.WARNING, "A detector has tripped", "alert", _is_trip),
    "breaker.tripped": Rule(Urgency.WARNING, "A breaker has tripped", "account"),
    "limit.tripped": Rule(Urgency.WARNING, "A run is paused at a limit"),
    "kill.outcome": Rule(Urgency.CRITICAL, "A kill is not confirmed", "run", _is_unconfirmed),
    "call.unpermitted": Rule(Urgency.CRITICAL, "A call ran without permission"),
    "run.zombie": Rule(Urgency.CRITICAL, "A dead run went on"),
    "run.given_up": Rule(Urgency.WARNING, "A run is lost"),
    "supervisor.refused": Rule(Urgency.CRITICAL, "A process posed as a supervisor"),
    "storage.failed": Rule(Urgency.CRITICAL, "The hub's storage fails", "kind"),
    "audit.gap": Rule(Urgency.CRITICAL, "Entries of the audit were dropped", "kind"),
}
"""kind of an audit entry -> how it is told; every other kind is not."""


def message_of(entry: Mapping[str, Any]) -> Message | None:
    """The message for one entry as `GET /v1/audit` gives it, or None."""
    kind = kind_of(entry)
    rule = RULES.get(kind)
    if rule is None or not rule.applies(entry):
        return None
    subject = safe_line(str(entry.get(rule.subject, "")), limit=200)
    agent, run = (safe_line(str(entry.get(name) or ""), limit=100) for name in ("agent", "run"))
    where = " · ".join(part for part in (agent, run) if part)
    words = audit_words(entry, limit=BODY_CHARS_MAX)
    return Message(
        title=f"opsconsole: {rule.title}",
        body=f"{where}: {words}" if where else words,
        urgency=rule.urgency,
        about=f"{kind} {subject}",
    )


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
        self._said: OrderedDict[str, float] = OrderedDict()
        self._kept_back = 0

    def admit(self, messages: Iterable[Message], *, now: float, minute_of_day: int) -> list[Message]:
        """Those to send now, in order. `now` in seconds of any clock that does not run backwards."""
        admitted: list[Message] = []
        for message in messages:
            if self._is_repeated(message, now):
                continue
            if message.urgency < Urgency.CRITICAL and not self._has_room(now, minute_of_day):
                self._kept_back += 1
                continue
            self._sent.append(now)
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
        while self._sent and now - self._sent[0] >= 60.0:
            self._sent.popleft()
        is_quiet = self._quiet is not None and self._quiet.hold(minute_of_day)
        return not is_quiet and len(self._sent) < self._per_minute

    def _confession(self, now: float, minute_of_day: int) -> list[Message]:
        """Nothing is left out in silence: once there is room again, how much was."""
        if not self._kept_back or not self._has_room(now, minute_of_day):
            return []
        count, self._kept_back = self._kept_back, 0
        self._sent.append(now)
        words = "1 message was" if count == 1 else f"{count} messages were"
        body = f"{words} kept back by the rate or the quiet hours; the console has them all."
        return [Message(title="opsconsole: messages kept back", body=body, urgency=Urgency.NOTICE, about="kept back")]
