"""What a console and a hub say to each other, without the wire: frames in, frames out, stores kept; it moves no bytes.

OFFLINE ─opened(welcome)─▶ ONLINE ─closed─▶ OFFLINE
                              └─closed for good (45xx)─▶ REFUSED ─retry by hand─▶ OFFLINE
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import tzinfo
from enum import StrEnum

from opsconsole.console.view.board import Board
from opsconsole.console.view.hub_clock import HubClock
from opsconsole.console.view.limits import HubShown
from opsconsole.console.view.line import cut
from opsconsole.console.view.outbox import CommandOutbox, Entry
from opsconsole.console.view.presence import Others, others
from opsconsole.console.view.queue import Queue
from opsconsole.console.view.rows import Applied, Rows, Steps, at_once
from opsconsole.console.view.timeline import Timeline
from opsconsole.domain.command import Do, Role, may
from opsconsole.domain.ids import short_id
from opsconsole.domain.text import safe_line
from opsconsole.protocol.frames import (
    Ack,
    Beat,
    Bye,
    Command,
    Delta,
    Err,
    Frame,
    Look,
    Res,
    Snap,
    Sub,
    Welcome,
)
from opsconsole.protocol.limits import BEAT_SECONDS

SIGNS_MISSED_MAX = 3
"""Signs of life that may be missed; then what is shown is called old and nothing is decided on it."""
SIGN_LATE_SECONDS = 1.0
"""How much later than it was due a sign may come: a busy machine or line is no silence."""
SILENT_SECONDS = 15.0
"""Silence is said after this long at the latest, however seldom a hub shows that it is alive."""
NAME_CELLS_MAX = 16
"""Of a name in the words about a command: on 80 columns, what became of it stands beside two of them."""
BOARD_SUB = "board"
APPROVALS_SUB = "approvals"
HUB_SUB = "hub"


class LinkPhase(StrEnum):
    """Where this console's own link stands."""

    OFFLINE = "offline"
    ONLINE = "online"
    REFUSED = "refused"


@dataclass(slots=True, kw_only=True)
class LinkState:
    """What the banner says of the link; times are monotonic seconds."""

    phase: LinkPhase = LinkPhase.OFFLINE
    ever: bool = False
    """Whether it was ever open: before that there is no data that could be old."""
    changed_at: float = 0.0
    heard_at: float = 0.0
    """When a frame was heard last: what is shown is as old as that."""
    bytes_at: float = 0.0
    """When anything came from the hub last, also a part of a frame: a slow line is not a silent one."""
    sign_seconds: float = BEAT_SECONDS
    """How often the hub says something at least."""
    code: int = 0
    reason: str = ""
    retry_at: float | None = None
    trying: bool = False
    """Whether it is being opened just now."""
    attempts: int = 0
    principal: str = ""
    role: str = ""
    epoch: str = ""
    token_ends: float | None = None
    """Hub clock: when this console's token expires."""


@dataclass(slots=True, kw_only=True)
class Notice:
    """Something the operator should read once."""

    text: str
    loud: bool = False


@dataclass(slots=True)
class Outcome:
    """What follows from a frame: frames to send, answers to commands, words for the operator."""

    send: list[Frame] = field(default_factory=list)
    answered: list[Entry] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)


class Session:
    """One console's knowledge of one hub; the only writer of its stores."""

    def __init__(self, *, wall: float, now: float, zone: tzinfo) -> None:
        self.board = Board(zone=zone)
        self.queue = Queue()
        self.hub = HubShown()
        self.timeline: Timeline | None = None
        self.outbox = CommandOutbox()
        self.clock = HubClock(wall=wall, now=now)
        self.link = LinkState(changed_at=now)
        self.version = 0
        """Grows with everything that may change a pixel."""
        self.keys_first_until = 0.0
        """Monotonic time until which a key waits for its paint: rows are taken in after it."""
        self.looks_at: tuple[str | None, str | None] = (None, None)
        """The run and the approval that are open here, as the hub was told."""
        self.audit_broken = False
        """The hub's audit was found not to hold what this console saw of it."""
        self._tail_sub = ""
        self._tails = 0

    @property
    def online(self) -> bool:
        """Whether the hub's welcome has come and the connection still stands."""
        return self.link.phase is LinkPhase.ONLINE

    def behind_seconds(self, *, now: float) -> float | None:
        """How old what is shown is, once the hub should have said something and has not; None while it is in time."""
        old = now - self.link.heard_at
        return old if self.online and old > self.link.sign_seconds + SIGN_LATE_SECONDS else None

    def is_silent(self, *, now: float) -> bool:
        """Whether the connection stands and nothing has come over it for too long."""
        limit = min(SIGNS_MISSED_MAX * self.link.sign_seconds + SIGN_LATE_SECONDS, SILENT_SECONDS)
        return self.online and now - max(self.link.heard_at, self.link.bytes_at) >= limit

    def is_fresh(self, *, now: float) -> bool:
        """Whether what is shown can be decided on: the connection stands, and the hub is heard."""
        return self.online and not self.is_silent(now=now)

    @property
    def may_act(self) -> bool:
        """Whether this console's role allows commands; of a role that this version does not know, the hub judges."""
        return self.link.role not in _LOOKING

    @property
    def others(self) -> Others:
        """Who else is here, and what they have open."""
        return others(self.hub.present, self.link.principal, self.looks_at)

    def opened(self, welcome: Welcome, *, now: float) -> list[Frame]:
        """The hub greeted: subscribe (or resume), and send what is owed."""
        self.version += 1
        self.clock.reading(welcome.time, now=now)
        self.link = LinkState(
            phase=LinkPhase.ONLINE,
            ever=True,
            changed_at=now,
            heard_at=now,
            sign_seconds=welcome.sign_seconds or welcome.beat_seconds,
            token_ends=welcome.token_ends,
            principal=safe_line(welcome.principal),
            role=safe_line(welcome.role),
            epoch=welcome.epoch,
        )
        frames: list[Frame] = [*self.outbox.opened(now=now)]
        frames.append(self._resume(BOARD_SUB, self.board.rows, welcome.epoch))
        frames.append(self._resume(APPROVALS_SUB, self.queue.rows, welcome.epoch))
        if welcome.policy:  # a hub that names its policy shows a row of its own
            frames.append(self._resume(HUB_SUB, self.hub.rows, welcome.epoch))
        if self.timeline is not None:
            frames.append(self._tail(self.timeline, welcome.epoch))
        self.looks_at = (None, None)  # a new connection is told anew
        return frames

    def trying(self) -> None:
        """The connection is about to be opened."""
        self.link.retry_at, self.link.trying = None, True

    def received(self, frame: Frame, *, now: float, plain: bool = False) -> Outcome:
        """Apply one frame of an open connection; `plain` says that every text in it is printable ASCII."""
        return at_once(self.receiving(frame, now=now, plain=plain))

    def receiving(self, frame: Frame, *, now: float, plain: bool = False) -> Steps[Outcome]:
        """As `received`, in steps: keys are read and painted between them."""
        self.version += 1
        self.link.heard_at = now
        self.board.now = self.clock.at(now)
        outcome = Outcome()
        if isinstance(frame, Snap | Delta):
            outcome.send = yield from self._rows(frame, plain)
            self.version += 1
        elif isinstance(frame, Res):
            entry = self.outbox.answered(frame, now=now)
            outcome.answered = [] if entry is None else [entry]
        elif isinstance(frame, Beat):
            self.clock.reading(frame.now, now=now)
        elif isinstance(frame, Err):
            text = f"the hub reports: {safe_line(frame.code)} {safe_line(frame.message)}"
            outcome.notices.append(Notice(text=text, loud=True))
        elif isinstance(frame, Bye):
            self.link.code, self.link.reason = frame.code, safe_line(frame.reason)
        return outcome

    def closed(self, *, now: float, code: int, reason: str, final: bool, retry_at: float | None) -> None:
        """The connection is gone (or could not be made); `final` means that trying again is pointless."""
        self.version += 1
        for rows in (self.board.rows, self.queue.rows, self.hub.rows):
            rows.abandon_parts()
        link = self.link
        was_online = link.phase is LinkPhase.ONLINE
        link.phase = LinkPhase.REFUSED if final else LinkPhase.OFFLINE
        link.attempts = 0 if was_online else link.attempts + 1
        link.changed_at = now if was_online or not link.changed_at else link.changed_at
        link.code, link.reason, link.retry_at, link.trying = code, safe_line(reason), retry_at, False
        if final:
            self.outbox.give_up_queued(now=now)

    def give(self, command: Command, *, now: float) -> tuple[Entry | None, list[Frame]]:
        """A command of the operator: its entry (None = refused, as the link is) and what to send now."""
        self.version += 1
        if self.link.phase is LinkPhase.REFUSED:
            return None, []
        entry = self.outbox.give(command, online=self.online, now=now, about=self._about(command))
        return entry, [command] if entry is not None and self.online else []

    def _about(self, command: Command) -> str:
        """What a command is meant for: `shell of sre KASREX02`; empty where that is no one call or run."""
        held = self.queue.get(command.approval)
        if held is not None:
            tool, agent = (cut(name, NAME_CELLS_MAX) for name in (held.row.tool, held.row.agent))
            return f"{tool} of {agent} {short_id(held.row.run)}"
        row = self.board.get(command.run)
        return "" if row is None else f"{cut(row.agent, NAME_CELLS_MAX)} {short_id(row.run)}"

    def watch(self, run: str | None) -> list[Frame]:
        """Follow the timeline of one run, or of none."""
        self.version += 1
        frames: list[Frame] = []
        if self._tail_sub and self.online:
            frames.append(Sub(sub=self._tail_sub, view="run", off=True))
        self._tail_sub = ""
        self.timeline = None if run is None else Timeline(run)
        if self.timeline is not None:
            self._tails += 1
            self._tail_sub = f"run-{self._tails}"
            if self.online:
                frames.append(self._tail(self.timeline, self.link.epoch))
        return frames

    def look(self, run: str | None, approval: str | None) -> list[Frame]:
        """This run, or this approval of it, is open here now: the other operators may know."""
        if not self.online or self.looks_at == (run, approval):
            return []
        self.looks_at = (run, approval)
        return [Look(run=run, approval=approval)]

    def tick(self, *, now: float) -> list[Notice]:
        """Once a second: what has waited too long."""
        for rows in (self.board.rows, self.queue.rows, self.hub.rows):
            rows.settle()
        refused = self.link.phase is LinkPhase.REFUSED
        late = self.outbox.expire(now=now)
        return [Notice(text=_late(entry, refused), loud=entry.command.do is Do.KILL) for entry in late]

    def _rows(self, frame: Snap | Delta, plain: bool) -> Steps[list[Frame]]:
        if frame.sub == BOARD_SUB:
            return (yield from self._apply(frame, self.board.rows, Sub(sub=BOARD_SUB, view="board"), plain))
        if frame.sub == APPROVALS_SUB:
            return (yield from self._apply(frame, self.queue.rows, Sub(sub=APPROVALS_SUB, view="approvals"), plain))
        if frame.sub == HUB_SUB:
            return (yield from self._apply(frame, self.hub.rows, Sub(sub=HUB_SUB, view="hub"), plain))
        if self.timeline is not None and frame.sub == self._tail_sub:
            timeline = self.timeline
            again = Sub(sub=frame.sub, view="run", run=timeline.run)
            applied = timeline.snap(frame) if isinstance(frame, Snap) else timeline.delta(frame)
            return [again] if applied is Applied.GAP else [Ack(sub=frame.sub, rev=frame.rev)]
        return []

    def _apply(self, frame: Snap | Delta, rows: Rows, again: Sub, plain: bool) -> Steps[list[Frame]]:  # type: ignore[type-arg]
        steps = rows.snapping(frame, plain=plain) if isinstance(frame, Snap) else rows.following(frame, plain=plain)
        applied = yield from steps
        if applied is Applied.GAP:
            rows.forget_position()
            return [again]
        return [Ack(sub=frame.sub, rev=frame.rev)]

    def _resume(self, sub: str, rows: Rows, epoch: str) -> Sub:  # type: ignore[type-arg]
        if rows.rev is None or rows.epoch != epoch:
            rows.forget_position()
            return Sub(sub=sub, view=sub)  # type: ignore[arg-type]
        return Sub(sub=sub, view=sub, epoch=rows.epoch, rev=rows.rev)  # type: ignore[arg-type]

    def _tail(self, timeline: Timeline, epoch: str) -> Sub:
        if timeline.rev is None or timeline.epoch != epoch:
            timeline.forget_position()
            return Sub(sub=self._tail_sub, view="run", run=timeline.run)
        return Sub(sub=self._tail_sub, view="run", run=timeline.run, epoch=epoch, rev=timeline.rev)


_LOOKING = frozenset(str(role) for role in Role if not may(role, Role.OPERATOR))


def _late(entry: Entry, refused: bool) -> str:
    what = f"{entry.command.do.value} {entry.command.run or entry.command.approval or ''}".strip()
    if entry.status.value == "expired":
        why = "cannot be sent, the hub refuses this console" if refused else "waited too long for the link"
        return f"NOT SENT: {what} {why}. Nothing was stopped; look again and press the key again."
    return f"UNKNOWN: the hub never answered {what}; only the row tells whether it happened."
