"""An enforcement point's WebSocket: its frames go to the desk, and the desk's come back; it judges nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Protocol

from opsconsole.hub.desk.principal import Principal
from opsconsole.hub.gathering import Gathering, may_wait
from opsconsole.hub.session import Session
from opsconsole.protocol.connection import Phase
from opsconsole.protocol.frames import Frame, Hello


class AgentInputs(Protocol):
    """What an agent's session needs of the hub."""

    gathering: Gathering

    @property
    def is_congested(self) -> bool: ...
    def agent_hello(self, conn: str, principal: Principal, hello: Hello) -> None: ...
    def agent_frame(self, conn: str, frame: Frame, data: bytes) -> None: ...
    def agent_gone(self, conn: str, why: str, clean: bool) -> None: ...
    async def room(self) -> None:
        """Return when storage can take more."""
        ...


class AgentSession(Session):
    """One point's connection."""

    side = "hub_agent"

    def __init__(self, *, hub: AgentInputs, left: Callable[[str], None], **session: Any) -> None:
        super().__init__(**session)
        self._hub = hub
        self._left = left
        self._is_known = False

    def _rates(self) -> tuple[float, float]:
        return self.limits.agent_frames_per_second, self.limits.agent_bytes_per_second

    async def _calm(self, early: float, frame: Frame) -> bool:
        """An agent over its rate is read slower, as one is while the disk is behind: its journal can wait."""
        if early > 0:
            await asyncio.sleep(early)
        await self._hub.room()
        return True

    def _put_off(self, data: bytes, now: float) -> bool:
        """What nobody waits for is handled together with what others send meanwhile."""
        gathering = self._hub.gathering
        if not gathering.is_on(now) or self.connection.phase is not Phase.OPEN or self._hub.is_congested:
            return False
        return may_wait(data) and gathering.put(self._settle, len(data), now)

    def _handle(self, frame: Frame, data: bytes) -> None:
        if type(frame) is Hello:
            self.principal = replace(self.principal, client=frame.client or self.principal.client)
            self._is_known = True
            self._hub.agent_hello(self.conn, self.principal, frame)
        else:
            self._hub.agent_frame(self.conn, frame, data)

    def _gone(self, why: str, clean: bool) -> None:
        self._left(self.conn)
        if self._is_known:
            self._hub.agent_gone(self.conn, why, clean)
