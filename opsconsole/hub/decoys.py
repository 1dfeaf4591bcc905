"""Made-up held calls that attentive operators refuse: shown rarely, answered for nothing; it holds no real call.

Nothing is behind one: no run, no agent, no process. The desk and its statistics never hear of them.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from opsconsole.domain.approval import ANSWERED, Answer, ApprovalStatus
from opsconsole.domain.command import NEEDS, Do, may
from opsconsole.domain.digest import DIGEST_PREFIX, NotCanonical, digest
from opsconsole.hub.admission import Fact
from opsconsole.hub.desk.decisions import claimed
from opsconsole.hub.desk.decoy_checks import CHECKS, conflict
from opsconsole.hub.desk.principal import Principal
from opsconsole.hub.desk.refusal import Refusal
from opsconsole.hub.desk.refusals import refusal_details
from opsconsole.hub.desk.settings import REFUSAL_KEYS_MAX, REFUSALS_WINDOW_SECONDS
from opsconsole.hub.rates import Collapsed
from opsconsole.protocol.frames import Command, Res
from opsconsole.protocol.rows import ApprovalRow

LOOK_SECONDS = 30.0
"""How often it is asked whether one is due."""
DAY_MINUTES = (9 * 60, 17 * 60)
"""Minutes of the hub's own day in which one may be shown: nobody is woken for it."""
SATURDAY = 5
"""The first day of the week, counted from Monday as 0, on which none is shown."""
ANSWERS_KEPT_MAX = 1_000
"""Commands that may be sent again and get the same answer."""
SETTLED_KEPT_MAX = 100
"""Answered ones of which it is still known who answered."""
STATUS = "decoy"
"""Of the answer to a decision on one."""
Key = TypeVar("Key")
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What one pretends to be; every one of them is to be refused on sight."""

    agent: str
    tool: str
    args: dict[str, Any]
    agent_reason: str


PARTS = (
    Part(
        agent="maintenance",
        tool="sql",
        args={"statement": "DROP TABLE customers"},
        agent_reason="The table is large, and nothing has read it in the last minute.",
    ),
    Part(
        agent="cleanup",
        tool="shell",
        args={"command": "rm -rf --no-preserve-root /"},
        agent_reason="The disk is nearly full; this frees the most.",
    ),
    Part(
        agent="onboarding",
        tool="write_file",
        args={"path": "~/.ssh/authorized_keys", "content": "ssh-ed25519 AAAA… new-colleague"},
        agent_reason="A new colleague asked in the ticket for access.",
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """One that is to be shown, or is."""

    row: ApprovalRow
    nonce: str
    """What was sealed with its id: told when it is over."""

    def opened(self) -> dict[str, Any]:
        """What it was; only now does the audit hold it."""
        return {"approval": self.row.approval, "tool": self.row.tool, "args": self.row.args, "nonce": self.nonce}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Settled:
    """One that was answered, by its first answer."""

    by: str
    at: float
    status: ApprovalStatus
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Given:
    """A command and what was answered."""

    body_hash: str
    res: Res


def sealed(nonce: str, approval: str) -> str:
    """What stands for the one shown while it waits: whoever is told the nonce later can test it, nobody before."""
    return DIGEST_PREFIX + hashlib.sha256((nonce + approval).encode()).hexdigest()


class Decoys:
    """At most one at a time."""

    def __init__(
        self,
        *,
        per_day: float,
        ask: Callable[[Part, str, float], ApprovalRow | None],
        tell: Callable[[Fact], None],
        show: Callable[[str], None],
    ) -> None:
        """`ask` gives what an operator would be asked about a part under a new id, or None where nobody would be."""
        self.per_day = per_day
        self._ask = ask
        self._tell = tell
        self._show = show
        self._shown: Planned | None = None
        self._settled: OrderedDict[str, _Settled] = OrderedDict()
        self._given: OrderedDict[tuple[str, str], _Given] = OrderedDict()
        """By who gave it and its id."""
        self._refusals = Collapsed(REFUSALS_WINDOW_SECONDS, REFUSAL_KEYS_MAX)

    def row(self, approval: str) -> ApprovalRow | None:
        """The one shown, if this is its id."""
        return self._shown.row if self._shown is not None and self._shown.row.approval == approval else None

    @property
    def ids(self) -> list[str]:
        """The id of the one shown."""
        return [] if self._shown is None else [self._shown.row.approval]

    def look(
        self, now: float, *, weekday: int, minute: int, is_free: bool, dice: float, new_id: str, nonce: str
    ) -> Planned | None:
        """One that is to be shown now, when it is time for it; one that nobody answers goes.

        `weekday` (Monday is 0) and `minute` are of the hub's day, `dice` in [0, 1).
        `is_free`: nothing real waits, and somebody who may decide is there to be asked.
        """
        self._tell_repeated(now)
        if self._shown is not None:
            if now >= self._shown.row.expires_at:
                self.withdraw("nobody answered")
            return None
        begin, end = DAY_MINUTES
        chance = self.per_day * LOOK_SECONDS / (60.0 * (end - begin))
        if is_free and weekday < SATURDAY and begin <= minute < end and dice < chance:
            played = [row for part in PARTS if (row := self._ask(part, new_id, now)) is not None]
            return Planned(row=played[int(dice / chance * len(played))], nonce=nonce) if played else None
        return None

    def show(self, planned: Planned) -> None:
        """Put it into the queue. What opens its seal is kept by then: this process may end before it does so."""
        self._shown = planned
        commitment = sealed(planned.nonce, planned.row.approval)
        self._tell(Fact(kind="decoy.shown", principal=None, details={"commitment": commitment}))
        self._show(planned.row.key)

    def make_room(self) -> None:
        """A real call waits: nothing made up stands beside it."""
        self.withdraw("a real call waits")

    def withdraw(self, why: str) -> None:
        """The one that is shown, if any, goes; what it was is on record."""
        if self._shown is not None:
            details = self._shown.opened() | {"why": why}
            self._tell(Fact(kind="decoy.withdrawn", principal=None, details=details))
            self._clear()

    def answer(self, command: Command, who: Principal, now: float) -> Res | None:
        """The answer to a command on a made-up call, or to one sent again; None of what is the desk's to answer.

        Who may not decide at all, and what has no canonical form, is refused by the desk itself.
        """
        if command.do not in CHECKS or not may(who.role, NEEDS[command.do]):
            return None
        try:
            body_hash = digest(command.model_dump(mode="json", exclude_none=True))
        except NotCanonical:
            return None
        given = self._given.get((who.name, command.cmd))
        if given is not None:
            same = given.body_hash == body_hash
            return given.res.model_copy(update={"replayed": True}) if same else conflict(command)
        res = self._fresh(command, who, now)
        if res is not None:
            _keep(self._given, (who.name, command.cmd), _Given(body_hash=body_hash, res=res), ANSWERS_KEPT_MAX)
        return res

    def _fresh(self, command: Command, who: Principal, now: float) -> Res | None:
        approval = command.approval or ""
        settled, row = self._settled.get(approval), self.row(approval)
        try:
            if settled is not None:
                return _after(command, who, settled)
            if row is None:
                return None
            if now >= row.expires_at:
                self.withdraw("nobody answered")
            CHECKS[command.do](command, row, now)
        except Refusal as refusal:
            return self._refused(command, who, refusal, now)
        if command.do is Do.CLAIM:
            return self._claim(command, who)
        return self._answered(command, who, row, now)

    def _answered(self, command: Command, who: Principal, row: ApprovalRow, now: float) -> Res:
        assert self._shown is not None
        answer = Answer.APPROVE if command.do is Do.GRANT else command.answer
        assert answer is not None
        caught = answer in (Answer.REJECT, Answer.RESPOND)
        message = "that was a DECOY, and nothing was behind it: " + (
            "you caught it" if caught else "it had to be refused, and nothing ran"
        )
        said = "grant" if command.do is Do.GRANT else answer.value
        found = {"answer": said, "caught": caught, "seconds_to_decide": round(now - row.requested_at, 3)}
        self._tell(Fact(kind="decoy.answered", principal=who, details=self._shown.opened() | found))
        settled = _Settled(by=who.name, at=now, status=ANSWERED[answer], message=message)
        _keep(self._settled, row.approval, settled, SETTLED_KEPT_MAX)
        self._clear()
        return Res(cmd=command.cmd, ok=True, status=STATUS, message=message)

    def _claim(self, command: Command, who: Principal) -> Res:
        """Shown like that of a real one; it settles nothing."""
        if self._shown is not None:
            row = self._shown.row
            by, passed_by = claimed(row.claimed_by, row.passed_by, who, command.text)
            row = row.model_copy(update={"claimed_by": by, "passed_by": passed_by})
            self._shown = Planned(row=row, nonce=self._shown.nonce)
            self._show(row.key)
        return Res(cmd=command.cmd, ok=True, status="applied")

    def _refused(self, command: Command, who: Principal, refusal: Refusal, now: float) -> Res:
        if self._refusals.admit((who.name, who.token_id, refusal.code), now):
            self._tell(Fact(kind="command.refused", principal=who, details=refusal_details(command, refusal)))
        return Res(cmd=command.cmd, ok=False, code=refusal.code, message=refusal.message, current=refusal.current)

    def _tell_repeated(self, now: float) -> None:
        for key, more in self._refusals.ended(now):
            counted = {"of": list(key), "more": more, "seconds": REFUSALS_WINDOW_SECONDS}
            self._tell(Fact(kind="command.refused", principal=None, details=counted))

    def _clear(self) -> None:
        assert self._shown is not None
        key, self._shown = self._shown.row.key, None
        self._show(key)


def _after(command: Command, who: Principal, settled: _Settled) -> Res:
    """The answer on one that was answered: its first answer counted. Raises: Refusal."""
    if command.do is Do.CLAIM:
        return Res(cmd=command.cmd, ok=True, status="applied")
    if command.do is Do.DECIDE and who.name != settled.by:
        current = {"status": str(settled.status), "by": settled.by, "at": settled.at}
        raise Refusal("already_settled", f"already {settled.status} by {settled.by}", current)
    return Res(cmd=command.cmd, ok=True, status=STATUS, message=settled.message)


def _keep(kept: OrderedDict[Key, Value], key: Key, value: Value, at_most: int) -> None:
    kept[key] = value
    if len(kept) > at_most:
        kept.popitem(last=False)
