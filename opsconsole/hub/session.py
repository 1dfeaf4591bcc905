"""One WebSocket from upgrade to close: text through a protocol Connection, time and rates; frames are others'."""

from __future__ import annotations

import asyncio
import logging
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from opsconsole.errors import RemoteProtocolError
from opsconsole.hub.desk.principal import Principal
from opsconsole.hub.outgoing import Outgoing, Send
from opsconsole.hub.rates import Bucket
from opsconsole.hub.settings import ShellLimits
from opsconsole.protocol.connection import Connection, Phase, Side
from opsconsole.protocol.frames import Bye, Frame
from opsconsole.protocol.limits import SUBPROTOCOL, Close
from opsconsole.protocol.quick import read

FRAMES_A_TURN = 32
"""Frames handled before the loop may serve others: one chunk of the socket can hold thousands."""
GRACE_SECONDS = 5.0
"""How long a close may take before the socket is cut."""

log = logging.getLogger(__name__)
Receive = Callable[[], Awaitable[dict[str, Any]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wire:
    """The two halves of one upgraded socket, and how to cut it when its peer takes nothing any more."""

    receive: Receive
    send: Send
    abort: Callable[[], None]


class Session(ABC):
    """One peer. `run` returns when the socket is closed; whatever the peer does, it raises nothing."""

    side: Side

    def __init__(
        self,
        *,
        conn: str,
        principal: Principal,
        wire: Wire,
        limits: ShellLimits,
        is_valid: Callable[[], bool],
        wall: Callable[[], float],
    ) -> None:
        now = time.monotonic()
        self.conn = conn
        self.principal = principal
        self.limits = limits
        self.connection = Connection(
            self.side, now=now, beat_seconds=limits.beat_seconds, sign_seconds=self._sign_seconds(), read=read
        )
        self.outgoing = Outgoing(self.connection, wire.send, limits.outgoing_frames_max)
        self.said_bye = False
        self.frames_received = 0
        self.bytes_received = 0
        self._wire = wire
        self._is_valid = is_valid
        self._wall = wall
        self._opened_at = now
        self._timer: asyncio.TimerHandle | None = None
        self._why = ""
        self._later: deque[bytes] = deque()
        """Frames that are put off, in order; whoever has them put off bounds them."""
        frames, volume = self._rates()
        self._frames = Bucket(frames, limits.burst_seconds)
        self._volume = Bucket(volume, limits.burst_seconds)

    def _sign_seconds(self) -> float | None:
        """How often this kind of peer is shown at least that the hub is alive; None: with every beat."""
        return None

    @abstractmethod
    def _rates(self) -> tuple[float, float]:
        """Frames and bytes a second that this kind of peer may send."""

    @abstractmethod
    def _handle(self, frame: Frame, data: bytes) -> None:
        """Act on one valid frame."""

    @abstractmethod
    async def _calm(self, early: float, frame: Frame) -> bool:
        """The peer is `early` seconds over its rate (or at 0.0 not): wait or close; False drops the frame."""

    @abstractmethod
    def _gone(self, why: str, clean: bool) -> None:
        """The connection is over."""

    def close(self, code: int, reason: str) -> None:
        """Say bye and close; the socket is cut if that takes too long."""
        if not self.outgoing.is_closing:
            self._why = self._why or reason
            after_ms = 1_000 if code == Close.FLOOD else 0
            self.outgoing.close(code, reason, after_ms)
            self._cut_later()

    def _cut_later(self) -> None:
        asyncio.get_running_loop().call_later(GRACE_SECONDS, self._wire.abort)

    async def run(self) -> None:
        """Accept the upgrade and serve the peer to its end."""
        await self._wire.receive()
        await self._wire.send({"type": "websocket.accept", "subprotocol": SUBPROTOCOL, "headers": []})
        writer = asyncio.get_running_loop().create_task(self._write())
        self._tick()
        try:
            await self._read()
            self._settle()
        finally:
            if self._timer is not None:
                self._timer.cancel()
            self.connection.close()
            self._gone(self._why or "the connection was lost", self.said_bye)
            await self._finish(writer)

    async def _write(self) -> None:
        try:
            await self.outgoing.run()
        except (OSError, RuntimeError):  # uvicorn raises RuntimeError when it has closed by itself a moment before
            self._why = self._why or "the connection was lost"

    async def _finish(self, writer: asyncio.Task[None]) -> None:
        """Give a close that is under way its moment; then the writer ends."""
        if not self.outgoing.is_closing:
            writer.cancel()
        await asyncio.wait([writer], timeout=GRACE_SECONDS)
        writer.cancel()

    async def _read(self) -> None:
        handled = 0
        while True:
            message = await self._wire.receive()
            if message["type"] == "websocket.disconnect":
                code = message.get("code", 0)
                self._why = self._why or f"closed with {code}"
                self.said_bye = self.said_bye or code == 1000
                return
            text = message.get("text")
            if text is None:
                self.close(Close.PROTOCOL_ERROR, "frames are text")
                continue
            await self._take(text.encode())
            handled += 1
            if handled % FRAMES_A_TURN == 0:
                await asyncio.sleep(0)

    async def _take(self, data: bytes) -> None:
        if self.connection.phase is Phase.CLOSED or self.outgoing.is_closing:
            return
        now = time.monotonic()
        self.frames_received += 1
        self.bytes_received += len(data)
        early = max(self._frames.take(1.0, now), self._volume.take(len(data), now))
        if early <= 0 and self._put_off(data, now):
            self._later.append(data)
            return
        self._settle()
        frame = self._read_frame(data, now)
        if frame is not None and await self._calm(early, frame):
            self._act(frame, data)

    def _put_off(self, data: bytes, now: float) -> bool:
        """Whether this frame is kept until `_settle`; none, where a peer's frames are all waited for."""
        return False

    def _settle(self) -> None:
        """Handle what was put off: now, before what follows it."""
        if not self._later:
            return
        now, is_done = time.monotonic(), False
        try:
            while self._later:
                data = self._later.popleft()
                if self.connection.phase is Phase.CLOSED or self.outgoing.is_closing:
                    continue
                frame = self._read_frame(data, now)
                if frame is not None:
                    self._act(frame, data)
            is_done = True
        finally:
            if not is_done:  # nobody else would end a connection of which a frame could not be handled
                self._wire.abort()

    def _read_frame(self, data: bytes, now: float) -> Frame | None:
        """The frame, or None where there is none to act on; a peer that breaks the protocol is closed."""
        try:
            return self.connection.receive(data, now=now)
        except RemoteProtocolError as error:
            self.close(error.code, str(error))
            return None

    def _act(self, frame: Frame, data: bytes) -> None:
        if type(frame) is Bye:
            self.said_bye = True
            self._why = frame.reason or "said bye"
        self._handle(frame, data)

    def _tick(self) -> None:
        """Beat when it is time, and give up on a peer that is silent or whose token has ended."""
        if self.outgoing.is_closing:
            self._cut_later()
            return
        now = time.monotonic()
        is_late = self.connection.phase is not Phase.OPEN and now - self._opened_at >= self.limits.hello_seconds
        overdue = Close.HELLO_TIMEOUT if is_late else self.connection.overdue(now=now)
        if not self._is_valid():
            self.close(Close.TOKEN_EXPIRED, "the token has expired")
        elif overdue is not None:
            self._why = self._why or "silent for too long"
            self._drop(overdue)
        if self.outgoing.is_closing or self.connection.phase is Phase.CLOSED:
            return
        self.outgoing.beat_due(now, self._wall())
        wait = self.connection.next_wake(now=now)
        if self.connection.phase is not Phase.OPEN:
            wait = min(wait, self._opened_at + self.limits.hello_seconds - now, self.limits.beat_seconds)
        self._timer = asyncio.get_running_loop().call_later(max(wait, 0.01), self._tick)

    def _drop(self, code: int) -> None:
        self.close(code, "no hello in time" if code == Close.HELLO_TIMEOUT else "silent for too long")
