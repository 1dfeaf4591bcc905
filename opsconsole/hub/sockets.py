"""The hub's WebSockets: admits upgrades, knows who is connected, cuts whose token has ended; it reads no frame."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Iterable
from typing import Any

from opsconsole.domain.command import Role, may
from opsconsole.hub.accounts import Accounts
from opsconsole.hub.admission import Door, Fact, Refusal, busy, check_subprotocol
from opsconsole.hub.agents import AgentSession
from opsconsole.hub.desk.principal import Principal
from opsconsole.hub.operators import OperatorSession
from opsconsole.hub.outgoing import Send
from opsconsole.hub.server import Hub
from opsconsole.hub.session import Receive, Session, Wire
from opsconsole.protocol.limits import Close

NEEDS = {"/v1/agent": Role.AGENT, "/v1/operator": Role.OBSERVER}
"""Path -> the role that may connect there."""

Scope = dict[str, Any]


class Sockets:
    """Every open WebSocket of one hub."""

    def __init__(self, hub: Hub, accounts: Accounts, door: Door) -> None:
        self.is_closing = False
        self._hub = hub
        self._accounts = accounts
        self._door = door
        self._sessions: dict[str, Session] = {}
        self._numbers = itertools.count(1)
        self._empty = asyncio.Event()
        self._empty.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one WebSocket (ASGI)."""
        try:
            principal = self._admit(scope)
        except Refusal as refusal:
            self._hub.counts.refusals[refusal.code] += 1
            self._tell(refusal.facts)
            await refusal.response()(scope, receive, send)  # type: ignore[arg-type]
            scope["state"]["refused"]()
            return
        await self._serve(scope["path"], principal, Wire(receive=receive, send=send, abort=scope["state"]["abort"]))

    def _admit(self, scope: Scope) -> Principal:
        needed = NEEDS.get(scope["path"])
        if needed is None:
            raise Refusal(status=404, code="not_found", message="WebSockets live at /v1/agent and /v1/operator")
        if self.is_closing:
            raise busy("the hub is going down")
        principal, facts = self._door.admit(scope, needed, self._hub.now())
        check_subprotocol(scope["subprotocols"])
        self._check_room(scope["path"])
        self._tell(facts)
        return principal

    def _check_room(self, path: str) -> None:
        limits = self._hub.limits
        kind, most = (
            (AgentSession, limits.agent_connections_max)
            if path == "/v1/agent"
            else (OperatorSession, limits.operator_connections_max)
        )
        if sum(isinstance(session, kind) for session in self._sessions.values()) >= most:
            raise busy(f"{most} connections of this kind are open")

    def _tell(self, facts: Iterable[Fact]) -> None:
        for fact in facts:
            self._hub.fact(fact)

    async def _serve(self, path: str, principal: Principal, wire: Wire) -> None:
        hub = self._hub
        conn = f"{'a' if path == '/v1/agent' else 'o'}{next(self._numbers)}"
        shared: dict[str, Any] = {
            "conn": conn,
            "principal": principal,
            "wire": wire,
            "limits": hub.limits,
            "is_valid": lambda: self._accounts.is_valid(principal.token_id),
            "wall": hub.now,
            "hub": hub,
            "left": self._left,
        }
        session: Session
        if path == "/v1/agent":
            session = AgentSession(**shared)
            hub.peers[conn] = _AgentPeer(session)
        else:
            session = OperatorSession(token_ends=self._accounts.expires_at(principal.token_id), **shared)
            hub.repliers[conn] = session.outgoing.put
            hub.operators.add(conn)
            if may(principal.role, Role.OPERATOR):
                hub.deciders.add(conn)
        self._sessions[conn] = session
        self._empty.clear()
        await session.run()

    def _left(self, conn: str) -> None:
        self._sessions.pop(conn, None)
        self._hub.left(conn)
        if not self._sessions:
            self._empty.set()

    def cut(self, token_id: str, reason: str) -> int:
        """Close every connection of a token that was revoked; how many."""
        sessions = [session for session in self._sessions.values() if session.principal.token_id == token_id]
        for session in sessions:
            session.close(Close.UNAUTHORISED, reason)
        return len(sessions)

    async def goodbye(self, seconds: float) -> None:
        """Tell everyone to come back soon, and wait until they have left or the time is over."""
        self.is_closing = True
        for session in list(self._sessions.values()):
            session.close(Close.RESTART, "the hub is going down")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._empty.wait()


class _AgentPeer:
    """A session as the desk's effects reach it."""

    def __init__(self, session: Session) -> None:
        self.put = session.outgoing.put
        self.close = session.close
