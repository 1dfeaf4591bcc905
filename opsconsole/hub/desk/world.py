"""The desk's state and its few primitives: record, tell, touch, remember; the rules stand in the modules beside it."""

from __future__ import annotations

import heapq
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pydantic_core import to_json

from opsconsole.domain.command import CommandStatus, Do, advance_command
from opsconsole.domain.run import Author, RunState, Step, advance
from opsconsole.domain.text import safe_line
from opsconsole.domain.usage import Usage
from opsconsole.hub.desk.effects import HUB_GEN, Changed, Effects, Record, Send, Store, View
from opsconsole.hub.desk.heard import RunHistory
from opsconsole.hub.desk.principal import HUB, Principal
from opsconsole.hub.desk.settings import (
    ALERTS_KEPT_MAX,
    COMMANDS_KEPT_MAX,
    OWED_KEPT_MAX,
    RECEIPTS_KEPT_MAX,
    REFUSAL_KEYS_MAX,
    REFUSALS_WINDOW_SECONDS,
    UNRECORDED_MAX,
    DeskSettings,
)
from opsconsole.hub.desk.state import Approval, Grant, OpenCommand, Owed, Receipt, Run, Side
from opsconsole.hub.desk.watch_state import Budgets, Watching
from opsconsole.hub.rates import Collapsed
from opsconsole.policy.interface import Policy
from opsconsole.policy.redaction import Masker, redact, redact_text
from opsconsole.protocol.events import CommandEvent, LinkEvent, NoteEvent
from opsconsole.protocol.frames import HelloRun, PointCommand
from opsconsole.protocol.rates import LimitRow
from opsconsole.protocol.rows import Alert

Price = Callable[[str, str, Usage], float | None]
"""(provider or "", model, cumulative usage) -> US dollars, or None where no price is known."""
Done = Callable[[int, float], Effects]
"""What to do once an entry is durable: (seq, now) -> effects."""
Failed = Callable[[str, float], Effects]
"""What to do when an entry could not be made durable: (problem, now) -> effects."""
ENTRY_VERSION = 1
ADDRESSES = frozenset(
    {
        *("run", "runs", "named", "parent", "owner", "call", "approval", "command", "digest", "call_digest", "grant"),
        *("alert", "breaker", "account"),
    }
)
"""Ids, by which an entry is found and replayed: never masked, whatever they look like."""
SECRET_CHARS_MAX = 512
"""Looked at past the end of a shown text, so that a secret cut in two is still known for one."""


@dataclass(slots=True)
class Session:
    """One agent connection: its point and the generation it speaks for, per run."""

    conn: str
    principal: Principal
    point: str
    host: str
    pid: int
    runs: dict[str, str] = field(default_factory=dict)
    waiting: dict[str, HelloRun] = field(default_factory=dict)
    """Runs it speaks for whose owner a crash has lost: let in, or turned away, when that is known again."""
    proved: set[str] = field(default_factory=set)
    """Runs that this connection has proved to supervise."""


@dataclass(slots=True)
class Unrecorded:
    """An act that stopped something and whose entry storage has not taken yet."""

    key: str
    body: bytes
    done: Done
    is_act: bool


@dataclass(slots=True)
class Gap:
    """Entries of the hub's own that were dropped because storage took none."""

    dropped: int
    first_at: float
    last_at: float


@dataclass(slots=True)
class World:
    """Everything the desk knows, and what it was given to judge with."""

    epoch: str
    policy: Policy
    price: Price
    mask: Masker
    settings: DeskSettings
    runs: OrderedDict[str, Run] = field(default_factory=OrderedDict)
    approvals: OrderedDict[str, Approval] = field(default_factory=OrderedDict)
    grants: OrderedDict[str, Grant] = field(default_factory=OrderedDict)
    receipts: OrderedDict[str, Receipt] = field(default_factory=OrderedDict)
    refusals: OrderedDict[tuple[str, str], Receipt] = field(default_factory=OrderedDict)
    void: set[tuple[str, str]] = field(default_factory=set)
    """(who, command) that replay meets on record and that were refused all the same once they were."""
    """(who, command) -> the answer; in memory only."""
    refusals_told: Collapsed = field(default_factory=lambda: Collapsed(REFUSALS_WINDOW_SECONDS, REFUSAL_KEYS_MAX))
    orphans: dict[str, set[str]] = field(default_factory=dict)
    """parent -> children that named it before it was known."""
    forgotten: OrderedDict[str, str] = field(default_factory=OrderedDict)
    """run that has left the board -> the state it ended in."""
    settled: deque[str] = field(default_factory=deque)
    """Approvals that are over, oldest first."""
    unreadable: list[tuple[str, str]] = field(default_factory=list)
    """(kind, id) of records that could not be read at this start."""
    sessions: dict[str, Session] = field(default_factory=dict)
    timers: list[tuple[float, int, str, str]] = field(default_factory=list)
    after_store: dict[int, tuple[str, str, str, int, int]] = field(default_factory=dict)
    """token -> (run, point, gen, first seq, last seq) of a batch on its way to disk."""
    after_record: dict[int, tuple[Done, Failed]] = field(default_factory=dict)
    histories: dict[str, RunHistory] = field(default_factory=dict)
    """What runs have been shown; in memory only."""
    watch: Watching = field(default_factory=Watching)
    """What the detectors have seen, and have not yet."""
    budgets: Budgets = field(default_factory=Budgets)
    """The policy's breakers, and what they have counted of each run."""
    hub_alerts: list[Alert] = field(default_factory=list)
    """What is about no single run."""
    policy_since: float = 0.0
    rates: dict[str, list[LimitRow]] = field(default_factory=dict)
    """gateway's connection -> what it last told of the providers' rate limits."""
    unrecorded: list[Unrecorded] = field(default_factory=list)
    is_retrying: bool = False
    """Whether a timer will offer them to storage again."""
    gap: Gap | None = None
    dirty: dict[tuple[str, str], None] = field(default_factory=dict)
    tokens: int = 0
    replaying: bool = False

    def next_token(self) -> int:
        """A number for one store or record."""
        self.tokens += 1
        return self.tokens

    # -- the record ------------------------------------------------------------------------------------------------

    def entry(self, kind: str, who: Principal, now: float, details: dict[str, Any]) -> bytes:
        """The bytes of an audit entry: kind, who, and the details with secrets masked."""
        head = {"v": ENTRY_VERSION, "kind": kind, "who": who.as_who(), "at": now}
        return to_json(head | self._masked(details), inf_nan_mode="null")

    def _masked(self, details: dict[str, Any]) -> dict[str, Any]:
        masked, _ = redact(details, self.mask)
        return {**masked, **{key: details[key] for key in ADDRESSES & details.keys()}}

    def record(self, key: str, body: bytes, *, done: Done, failed: Failed, expect: int | None = None) -> Effects:
        """Make an entry durable, then `done`; used by everything that permits."""
        token = self.next_token()
        self.after_record[token] = (self._noting(key, done), failed)
        return [Record(token=token, key=key, body=body, expect=expect)]

    def _noting(self, key: str, done: Done) -> Done:
        """`done`, once the run knows how far the audit holds it: a restart replays nothing over what its record has."""
        kind, _, name = key.partition("/")

        def noted(seq: int, now: float) -> Effects:
            run = self.runs.get(name) if kind == "run" else None
            if run:
                run.audit_seq = max(run.audit_seq, seq)
            return done(seq, now)

        return noted

    def record_act(
        self, key: str, body: bytes, done: Done | None = None, refused: Failed | None = None, *, is_act: bool = False
    ) -> Effects:
        """Record something that has already been done; offered to storage again until it is taken.

        `refused` follows when storage first refuses it. `is_act`: an operator did it, and no flood pushes it out.
        """
        follow = done or _nothing

        def failed(problem: str, now: float) -> Effects:
            if is_act or len(self.unrecorded) < UNRECORDED_MAX:
                self.unrecorded.append(Unrecorded(key, body, follow, is_act))
                self._retry_later(now)
            else:
                self.gap = Gap(self.gap.dropped + 1 if self.gap else 1, self.gap.first_at if self.gap else now, now)
            return refused(problem, now) if refused else []

        return self.record(key, body, done=follow, failed=failed)

    def _retry_later(self, now: float) -> None:
        """Wake once for all that waits: a timer for each would offer each of them again to a disk that refuses."""
        if not self.is_retrying:
            self.is_retrying = True
            self.at(now + self.settings.retry_record_seconds, "retry", "")

    def own_up(self, now: float) -> Effects:
        """Storage takes entries again: how many were dropped is on record."""
        gap, self.gap = self.gap, None
        if gap is None:
            return []
        details = {"dropped": gap.dropped, "first_at": gap.first_at, "last_at": gap.last_at}
        return self.record_act("hub/audit.gap", self.entry("audit.gap", HUB, now, details), is_act=True)

    def owe(self, run: Run, kind: str, details: dict[str, Any], now: float) -> Effects:
        """Record what an event of a run calls for.

        The event is acknowledged and will not come again: should the hub stop before the entry is on record, its next
        start makes it.
        """
        debt, owed = debt_of(kind, details), Owed(kind=kind, at=now, details=self._masked(details))
        if len(run.owed) < OWED_KEPT_MAX:
            run.owed[debt] = owed
        return [] if self.replaying else self.pay(run, debt, owed)

    def pay(self, run: Run, debt: str, owed: Owed) -> Effects:
        """Record what is owed."""

        def done(_seq: int, _now: float) -> Effects:
            run.owed.pop(debt, None)
            self.dirty["run", run.id] = None
            return []

        return self.record_act(f"run/{run.id}", self.entry(owed.kind, HUB, owed.at, owed.details), done)

    def shown(self, text: str, limit: int) -> str:
        """Text of an agent as a row shows it: secrets masked, on one line, nothing in it that drives a terminal."""
        return safe_line(redact_text(text[: limit + SECRET_CHARS_MAX], self.mask), limit=limit)

    def retry_records(self) -> Effects:
        """Offer to storage again what it has not taken."""
        self.is_retrying = False
        waiting, self.unrecorded = self.unrecorded, []
        return merged(*(self.record_act(one.key, one.body, one.done, is_act=one.is_act) for one in waiting))

    # -- rows, timers ----------------------------------------------------------------------------------------------

    def changed_run(self, run: Run) -> Effects:
        """The run's row is not what it was."""
        self.dirty["run", run.id] = None
        return [Changed(view="board", key=run.id)]

    def changed_approval(self, approval: Approval) -> Effects:
        """The approval's row, and its run's, are not what they were."""
        self.dirty["approval", approval.id] = None
        effects: Effects = [Changed(view="approvals", key=approval.id)] if approval.visible else []
        run = self.runs.get(approval.run)
        return effects + (self.changed_run(run) if run else [])

    def removed(self, view: View, kind: str, key: str) -> Effects:
        """A row is gone from its view."""
        self.dirty[kind, key] = None
        return [Changed(view=view, key=key)]

    def at(self, when: float, kind: str, key: str) -> None:
        """Wake the desk at a time of the hub's clock; what to do is looked up by kind when it comes."""
        self.tokens += 1
        heapq.heappush(self.timers, (when, self.tokens, kind, key))

    # -- runs ------------------------------------------------------------------------------------------------------

    def move(self, run: Run, target: RunState, author: Author, now: float) -> Step:
        """Move a run by the table; marks its end."""
        run.state, step = advance(run.state, target, author)
        if step is Step.MOVED:
            run.state_since = now
            if run.ended:
                run.ended_at, run.baton, run.doing, run.latest = now, None, "", None
                self.histories.pop(run.id, None)
                self.end_grants(run, f"its run is {run.state}", now, of_run_only=True)
                self.watch.over[run.id] = now
                self.at(now, "watch", "")
        return step

    def alert(self, run: Run, kind: str, text: str, level: str, now: float) -> None:
        """Add an alert to a run's row; one of each kind. An alarm ends the grants that the run could use."""
        if level != "info":
            self.end_grants(run, f"alert {kind}", now)
        run.alerts = [alert for alert in run.alerts if alert.kind != kind][-(ALERTS_KEPT_MAX - 1) :]
        text = self.shown(text, 400)
        run.alerts.append(Alert(id=f"{run.id}:{kind}", kind=kind, text=text, level=level, at=now))  # type: ignore[arg-type]

    def end_grants(self, run: Run, why: str, now: float, *, of_run_only: bool = False) -> None:
        """End the grants that stand and that a run could use; `of_run_only`: that no other could."""
        for grant in self.grants.values():
            stands = grant.revoked is None and grant.used < grant.uses and now < grant.expires_at
            its = grant.run == run.id or (grant.run is None and not of_run_only)
            if stands and its and grant.agent == run.agent:
                grant.revoked, grant.untold = why, True
                self.dirty["grant", grant.id] = None
                self.at(now, "grants", "")

    def tell(
        self, run: Run, frame: PointCommand, now: float, ttl_seconds: float | None = None, side: Side = ""
    ) -> Effects:
        """Put a command on its way to the points of a run whom it is for; `frame.cseq` is set here."""
        run.cseq += 1
        frame = frame.model_copy(update={"cseq": run.cseq})
        expires_at = None if ttl_seconds is None else now + ttl_seconds
        self.dirty["run", run.id] = None
        command = OpenCommand(frame=frame, created_at=now, expires_at=expires_at, side=side)
        run.commands.append(command)
        if len(run.commands) > COMMANDS_KEPT_MAX:
            run.commands.remove(next((one for one in run.commands if one.frame.do is not Do.KILL), run.commands[0]))
        if expires_at is not None:
            self.at(expires_at, "command", run.id)
        return [
            Send(conn=point.conn, frame=frame)
            for point in run.points.values()
            if point.conn and command.is_for(point.name)
        ]

    def keep_back(self, run: Run, frame: PointCommand, now: float) -> None:
        """Keep a permit for when the run goes on."""
        self.dirty["run", run.id] = None
        run.commands.append(OpenCommand(frame=frame, created_at=now, is_held=True))

    def descendants(self, run: Run) -> list[Run]:
        """Runs below this one, nearest first; a cycle in the claims of agents ends the walk."""
        found: dict[str, Run] = {}
        queue = sorted(run.children)
        while queue:
            child = self.runs.get(queue.pop(0))
            if child and child.id not in found and child.id != run.id:
                found[child.id] = child
                queue.extend(sorted(child.children))
        return list(found.values())

    # -- the timeline ----------------------------------------------------------------------------------------------

    def timeline(self, run: Run, event: LinkEvent | CommandEvent | NoteEvent) -> Effects:
        """Append one of the hub's own events to a run's timeline."""
        if self.replaying:
            return []
        token = self.next_token()
        body = to_json([event.model_dump(mode="json", exclude_none=True)])
        return [Store(token=token, run=run.id, gen=HUB_GEN, first_seq=event.seq, count=1, body=body)]

    def note_command(
        self, run: Run, command: str, do: Do, by: str, status: str, now: float, text: str | None = None
    ) -> Effects:
        """Show an operator's or the hub's act on the run's timeline."""
        run.hub_seq += 1
        event = CommandEvent(
            seq=run.hub_seq, ts=now, type="command", command=command, do=str(do), by=by, status=status, text=text
        )
        return self.timeline(run, event)

    def note_alert(self, run: Run, alert: Alert) -> Effects:
        """Show on the run's timeline what a detector found."""
        run.hub_seq += 1
        data = {"alert": alert.id, "detector": alert.detector, "severity": alert.severity}
        event = NoteEvent(
            seq=run.hub_seq,
            ts=alert.at,
            type="note",
            level="error" if alert.level == "critical" else "warning",
            text=alert.text,
            kind="alert",
            data=data,
        )
        return self.timeline(run, event)

    # -- receipts --------------------------------------------------------------------------------------------------

    def progress(self, run: Run, command: str, status: CommandStatus) -> None:
        """How far an operator's command has come at one run; a kill's receipt tells more and is kept by the kill."""
        receipt = self.receipts.get(command)
        line = receipt.runs.get(run.id) if receipt and receipt.do != Do.KILL else None
        if line is not None:
            line["status"] = str(advance_command(CommandStatus(line["status"]), status))
            self.dirty["receipt", command] = None

    def remember(self, receipt: Receipt) -> None:
        """Keep a command for idempotency and its receipt; the oldest leave when there are too many."""
        self.receipts[receipt.command] = receipt
        self.dirty["receipt", receipt.command] = None
        while len(self.receipts) > RECEIPTS_KEPT_MAX:
            old, _ = self.receipts.popitem(last=False)
            self.dirty["receipt", old] = None


def _nothing(_seq: int, _now: float) -> Effects:
    return []


def debt_of(kind: str, details: dict[str, Any]) -> str:
    """What an owed entry is known by: its kind, and the call it is about."""
    return f"{kind} {details.get('call', '')}"


def merged(*parts: Effects) -> Effects:
    """Effects one after another."""
    return [effect for part in parts for effect in part]
