"""The commands of this console from key press to answer: same id, same bytes, until a `res`; it sends none itself.

    QUEUED ─link open─▶ SENT ─res─▶ ACCEPTED | REFUSED
      └─too late─▶ EXPIRED   └─no answer for long─▶ UNKNOWN

Only a kill is queued while the link is down. A command that was sent and not answered is sent again after every
reconnect: the hub knows its id and does it once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from opsconsole.console.view.line import Tone
from opsconsole.domain.command import Do
from opsconsole.domain.text import safe_line
from opsconsole.protocol.frames import Command, Res

KILL_QUEUE_SECONDS = 120.0
"""How long a kill waits for the link; later, the operator has to look again before stopping anything."""
ANSWER_SECONDS_MAX = 120.0
"""How long an unanswered command is sent again after reconnects; later, only the rows tell what became of it."""
KEPT_MAX = 200
"""Settled commands that are remembered for receipts."""


DECOY = "decoy"
"""What the hub calls an answer to a held call that was made up."""


class Sent(StrEnum):
    """How far a command of this console has come."""

    QUEUED = "queued"
    SENT = "sent"
    ACCEPTED = "accepted"
    REFUSED = "refused"
    EXPIRED = "expired"
    UNKNOWN = "unknown"


UNSETTLED = frozenset({Sent.QUEUED, Sent.SENT})


@dataclass(slots=True, kw_only=True)
class Entry:
    """One command; times are monotonic seconds."""

    command: Command
    status: Sent
    at: float
    until: float
    about: str = ""
    """The call, agent and run that it was meant for; by the answer something else may be under the cursor."""
    answered_at: float | None = None
    code: str = ""
    message: str = ""
    hub_status: str = ""
    is_over_limit: bool = False
    """Refused, as a limit that holds the run is still reached."""

    @property
    def id(self) -> str:
        """The command's id."""
        return self.command.cmd


def answer_words(entry: Entry) -> tuple[str, Tone] | None:
    """What to say of the hub's answer, and how loud; None of a kill, which has a receipt."""
    command = entry.command
    what = f"{command.answer.value if command.answer else command.do.value} {entry.about}".rstrip()
    if entry.status is Sent.REFUSED:
        way_on = ", b raises it" if entry.is_over_limit else ""
        return f"{what} refused{way_on}: {entry.message or entry.code}", "bad"
    if command.do is Do.KILL:
        return None
    if entry.hub_status == DECOY:
        return f"{what}: {entry.message}", "ask"
    took = (entry.answered_at or entry.at) - entry.at
    return f"✔ {what}: {entry.hub_status or 'taken'} in {took * 1000:.0f} ms", "good"


@dataclass(slots=True)
class CommandOutbox:
    """The commands of one console, by id, oldest first."""

    entries: dict[str, Entry] = field(default_factory=dict)

    def give(self, command: Command, *, online: bool, now: float, about: str = "") -> Entry | None:
        """Take a command; None when it is refused because the link is down and it is no kill."""
        if not online and command.do is not Do.KILL:
            return None
        entry = Entry(
            command=command,
            status=Sent.SENT if online else Sent.QUEUED,
            at=now,
            until=now + (ANSWER_SECONDS_MAX if online else KILL_QUEUE_SECONDS),
            about=about,
        )
        self.entries[command.cmd] = entry
        self._forget_old()
        return entry

    def opened(self, *, now: float) -> list[Command]:
        """The link is open: what has to be sent (again), oldest first."""
        self.expire(now=now)
        due = [entry for entry in self.entries.values() if entry.status in UNSETTLED]
        for entry in due:
            if entry.status is Sent.QUEUED:
                entry.status, entry.until = Sent.SENT, now + ANSWER_SECONDS_MAX
        return [entry.command for entry in due]

    def answered(self, res: Res, *, now: float) -> Entry | None:
        """The hub's answer; None when it is to no command of ours, or to one that was answered before."""
        entry = self.entries.get(res.cmd)
        if entry is None or entry.status in (Sent.ACCEPTED, Sent.REFUSED):
            return None
        entry.status = Sent.ACCEPTED if res.ok else Sent.REFUSED
        entry.answered_at = now
        entry.code, entry.message, entry.hub_status = safe_line(res.code), safe_line(res.message), safe_line(res.status)
        entry.is_over_limit = "tripped" in res.current
        return entry

    def expire(self, *, now: float) -> list[Entry]:
        """What has waited too long, now EXPIRED (never sent) or UNKNOWN (sent, never answered)."""
        late = [entry for entry in self.entries.values() if entry.status in UNSETTLED and now >= entry.until]
        for entry in late:
            entry.status = Sent.EXPIRED if entry.status is Sent.QUEUED else Sent.UNKNOWN
        return late

    def withdraw(self, command_id: str) -> bool:
        """Take back a queued command that was never sent."""
        entry = self.entries.get(command_id)
        if entry is None or entry.status is not Sent.QUEUED:
            return False
        del self.entries[command_id]
        return True

    def queued(self) -> list[Entry]:
        """What waits for the link."""
        return [entry for entry in self.entries.values() if entry.status is Sent.QUEUED]

    def unanswered(self, *, before: float) -> list[Entry]:
        """What was sent before a time and has no answer yet."""
        return [entry for entry in self.entries.values() if entry.status is Sent.SENT and entry.at < before]

    def give_up_queued(self, *, now: float) -> None:
        """The link will not come back by itself: what waits for it has waited long enough."""
        for entry in self.queued():
            entry.until = now

    def _forget_old(self) -> None:
        settled = [entry.id for entry in self.entries.values() if entry.status not in UNSETTLED]
        for command_id in settled[: max(0, len(settled) - KEPT_MAX)]:
            del self.entries[command_id]
