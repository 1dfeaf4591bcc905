"""What waits to be sent on one connection, by urgency, and the task that sends it; it decides nothing about frames.

Order: what people wait for (bye, res, cmd, welcome), acks (only the newest of each run), approvals, board, run tails.
The last three are pulled when the socket takes them, so nothing of them waits here.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable
from itertools import islice
from typing import Any, Protocol

from opsconsole.errors import LocalProtocolError
from opsconsole.protocol.coding import encode
from opsconsole.protocol.connection import Connection, Phase
from opsconsole.protocol.frames import Ack, Bye, Frame
from opsconsole.protocol.limits import Close, is_final

REASON_BYTES_MAX = 120
"""A WebSocket close frame carries no longer reason."""
SENT_AT_ONCE_MAX = 64
"""Frames given to the socket together: each time costs as much as several frames."""

log = logging.getLogger(__name__)
Send = Callable[[dict[str, Any]], Awaitable[None]]
"""An ASGI send; a `websocket.send` of the hub's own has `texts`, the bytes of several text frames."""


class Source(Protocol):
    """Something that has a frame's text ready when the socket takes one."""

    def next_text(self) -> str | None:
        """The next frame, or None for nothing now."""
        ...


class Outgoing:
    """One connection's way out. Everything but `run` is called on the loop and never waits."""

    def __init__(self, connection: Connection, send: Send, frames_max: int) -> None:
        self.connection = connection
        self.sources: list[Source] = []
        """In order of urgency."""
        self.frames_sent = 0
        self._send = send
        self._frames_max = frames_max
        self._urgent: deque[Frame | bytes] = deque()
        self._acks: dict[str, Ack] = {}
        self._closing: tuple[int, str] | None = None
        self._waiting: asyncio.Future[None] | None = None

    def put(self, frame: Frame) -> None:
        """Send a frame soon; an ack replaces the run's earlier one that still waits."""
        if self._closing is not None:
            return
        if isinstance(frame, Ack) and frame.run is not None and frame.want is None:
            self._acks[frame.run] = frame
        else:
            self._urgent.append(frame)
            if len(self._urgent) > self._frames_max:
                self._urgent.clear()
                self.close(Close.FLOOD, "too much waits for a peer that does not read")
        self.wake()

    def beat_due(self, now: float, wall: float) -> None:
        """Send a beat if it is time for one. `wall` is unix seconds."""
        data = self.connection.beat(now=now, wall=wall)
        if data is not None:
            self._urgent.append(data)
            self.wake()

    def close(self, code: int, reason: str, after_ms: int = 0) -> None:
        """Say bye after what is already waiting, then close; the first close wins."""
        if self._closing is None:
            self._urgent.append(Bye(code=code, reason=reason[:500], reconnect=not is_final(code), after_ms=after_ms))
            self._closing = (code, reason)
            self.wake()

    @property
    def is_closing(self) -> bool:
        """Whether a close has been asked for."""
        return self._closing is not None

    def wake(self) -> None:
        """Something may have to be sent."""
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    async def run(self) -> None:
        """Send until closed. Raises: OSError when the peer is gone."""
        loop = asyncio.get_running_loop()
        while True:
            texts = self._due()
            if texts:
                await self._send({"type": "websocket.send", "texts": texts})
                self.frames_sent += len(texts)
            elif self._closing is not None:
                code, reason = self._closing
                self.connection.close()
                await self._send({"type": "websocket.close", "code": code, "reason": _cut(reason)})
                return
            else:
                self._waiting = loop.create_future()
                await self._waiting
                self._waiting = None

    def _due(self) -> list[bytes]:
        """What is to be sent now: all that people or points wait for, up to a bound, or else one frame of rows."""
        texts: list[bytes] = []
        try:
            while self._urgent and len(texts) < SENT_AT_ONCE_MAX:
                self._encode(self._urgent.popleft(), texts)
            if self._acks and self.connection.phase is Phase.OPEN:
                for run in list(islice(self._acks, SENT_AT_ONCE_MAX - len(texts))):
                    self._encode(self._acks.pop(run), texts)
            if not texts and self._closing is None:
                self._pull(texts)
        except LocalProtocolError:
            log.exception("a frame could not be sent; the connection is closed")
            self._urgent.clear()
            self._acks.clear()
            self._closing = (Close.INTERNAL, "the hub made a frame that may not be sent")
        return texts

    def _encode(self, frame: Frame | bytes, texts: list[bytes]) -> None:
        """Add the frame's text, but of what a peer that broke the protocol is not told any more."""
        if isinstance(frame, bytes):
            texts.append(frame)
        elif isinstance(frame, Bye):
            texts.append(encode(frame))
        elif self.connection.phase is not Phase.CLOSED:
            texts.append(self.connection.send(frame, now=time.monotonic()))

    def _pull(self, texts: list[bytes]) -> None:
        for source in self.sources:
            text = source.next_text()
            if text is not None:
                self.connection.sent_raw(now=time.monotonic())
                texts.append(text.encode())
                return


def _cut(reason: str) -> str:
    return reason.encode()[:REASON_BYTES_MAX].decode(errors="ignore")
