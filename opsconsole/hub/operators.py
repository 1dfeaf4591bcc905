"""An operator's WebSocket: subscriptions to rows and timelines, and commands to the desk; it judges nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Protocol

from opsconsole.domain.command import Do
from opsconsole.hub.desk.principal import Principal
from opsconsole.hub.feeds import Follow, RowSource
from opsconsole.hub.metrics import Counts
from opsconsole.hub.session import Session
from opsconsole.hub.tails import Tail, Tails
from opsconsole.protocol.frames import Ack, Command, Err, Frame, Hello, Look, Sub, Welcome
from opsconsole.protocol.limits import MINOR, Close
from opsconsole_storage import Events

URGENCY = {"hub": 0, "approvals": 1, "board": 2, "run": 3}
"""view -> whose frame goes first."""


class OperatorInputs(Protocol):
    """What an operator's session needs of the hub."""

    epoch: str
    follows: dict[str, Follow]
    tails: Tails
    events: Events
    counts: Counts

    @property
    def policy_hash(self) -> str: ...
    @property
    def policy_name(self) -> str: ...
    def now(self) -> float: ...
    def command(self, command: Command, principal: Principal, reply_to: str) -> None: ...
    def look(self, conn: str, by: str, run: str | None, approval: str | None) -> None: ...


class OperatorSession(Session):
    """One console's connection."""

    side = "hub_operator"

    def __init__(
        self,
        *,
        hub: OperatorInputs,
        left: Callable[[str], None],
        token_ends: float | None = None,
        **session: Any,
    ) -> None:
        super().__init__(**session)
        self._hub = hub
        self._token_ends = token_ends
        self._left = left
        self._subs: dict[str, tuple[str, RowSource | Tail]] = {}

    def _sign_seconds(self) -> float | None:
        return self.limits.sign_seconds

    def _rates(self) -> tuple[float, float]:
        return self.limits.operator_frames_per_second, self.limits.operator_bytes_per_second

    async def _calm(self, early: float, frame: Frame) -> bool:
        """A console over its rate is closed; when what was too much is a kill, it is done all the same."""
        if early > 0:
            self.close(Close.FLOOD, "too many frames")
        return early <= 0 or (isinstance(frame, Command) and frame.do is Do.KILL)

    def _handle(self, frame: Frame, data: bytes) -> None:
        if isinstance(frame, Command):
            self._hub.command(frame, self.principal, self.conn)
            return
        self._hub.counts.frames[frame.t] += 1
        if isinstance(frame, Ack):
            self._ack(frame)
        elif isinstance(frame, Sub):
            self._subscribe(frame)
        elif isinstance(frame, Look):
            self._hub.look(self.conn, self.principal.name, frame.run, frame.approval)
        elif isinstance(frame, Hello):
            self._welcome(frame)
            self._hub.look(self.conn, self.principal.name, None, None)

    def _welcome(self, hello: Hello) -> None:
        self.principal = replace(self.principal, client=hello.client or self.principal.client)
        self.outgoing.put(
            Welcome(
                epoch=self._hub.epoch,
                minor=MINOR,
                conn=self.conn,
                principal=self.principal.name,
                role=str(self.principal.role),
                beat_seconds=self.limits.beat_seconds,
                sign_seconds=min(self.limits.beat_seconds, self.limits.sign_seconds),
                time=self._hub.now(),
                policy_hash=self._hub.policy_hash,
                policy=self._hub.policy_name,
                token_ends=self._token_ends,
            )
        )

    def _ack(self, ack: Ack) -> None:
        known = self._subs.get(ack.sub or "")
        if known is not None and ack.rev is not None:
            known[1].ack(ack.rev)

    def _subscribe(self, sub: Sub) -> None:
        known = self._subs.get(sub.sub)
        if sub.off:
            self._unsubscribe(sub.sub)
        elif known is not None and known[0] == _what(sub):
            known[1].start(sub.epoch, sub.rev)
        else:
            self._unsubscribe(sub.sub)
            problem = self._problem(sub)
            if problem:
                self.outgoing.put(Err(code="bad_request", message=problem, ref=sub.sub))
            else:
                self._open(sub).start(sub.epoch, sub.rev)
                self._order()

    def _problem(self, sub: Sub) -> str:
        if len(self._subs) >= self.limits.subscriptions_max:
            return f"at most {self.limits.subscriptions_max} subscriptions"
        return "" if sub.view != "run" or sub.run else "the run view needs a run"

    def _open(self, sub: Sub) -> RowSource | Tail:
        source: RowSource | Tail
        if sub.view == "run":
            source = Tail(
                sub=sub.sub,
                run=sub.run or "",
                epoch=self._hub.epoch,
                events=self._hub.events,
                wake=self.outgoing.wake,
            )
            self._hub.tails.add(source)
        else:
            source = self._hub.follows[sub.view].open(sub.sub, self.outgoing.wake)
        self._subs[sub.sub] = (_what(sub), source)
        return source

    def _unsubscribe(self, name: str) -> None:
        known = self._subs.pop(name, None)
        if known is None:
            return
        what, source = known
        if isinstance(source, Tail):
            self._hub.tails.remove(source)
        else:
            self._hub.follows[what].drop(source)
        self._order()

    def _order(self) -> None:
        by_urgency = sorted(self._subs.values(), key=lambda known: URGENCY[known[0].partition(" ")[0]])
        self.outgoing.sources = [source for _, source in by_urgency]

    def _gone(self, why: str, clean: bool) -> None:
        for name in list(self._subs):
            self._unsubscribe(name)
        self._left(self.conn)


def _what(sub: Sub) -> str:
    """What a subscription follows: its view, and of a run's view the run."""
    return f"run {sub.run}" if sub.view == "run" else sub.view
