"""The connection to the hub: moves frames between a WebSocket and the session, and tries again for ever.

Received frames are applied to the session on the same loop, in steps between which keys and paint have their turn; the
next frame is read when the last one is in.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Protocol
from urllib.parse import urlsplit, urlunsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.protocol import State
from websockets.typing import Subprotocol

from opsconsole.console.clock import Clock
from opsconsole.console.heap import Heap
from opsconsole.console.view.cut_frame import cut, joined
from opsconsole.console.view.ingest import is_plain
from opsconsole.console.view.session import Outcome, Session
from opsconsole.domain.address import is_loopback
from opsconsole.errors import LocalProtocolError, RemoteProtocolError
from opsconsole.protocol.connection import Connection
from opsconsole.protocol.frames import Bye, Frame, Hello, Welcome
from opsconsole.protocol.limits import FRAME_BYTES_MAX, SUBPROTOCOL, Close, is_final

PATH = "/v1/operator"
CONNECT_SECONDS_MAX = 5.0
BACKOFF_SECONDS_MIN = 0.1
BACKOFF_SECONDS_MAX = 10.0
STEADY_SECONDS = 5.0
"""A connection that lived for so long was a good one: only after it do the waits begin anew."""
RESTART_SPREAD_SECONDS = 2.0
"""After a restart, consoles come back spread over this long, so that the hub is not met by all at once."""
RECEIVE_FRAMES_MAX = 8
"""Frames read ahead: below this the sender is held back by TCP."""
UNSENT_BYTES_MAX = 65_536
"""What the hub has not taken yet: above this, frames wait in order."""
KEY_LOOK_SECONDS = 0.002
"""How often it is looked whether a key's paint is done, before further rows are taken in."""
FINAL_STATUSES = frozenset({401, 403, 426})
"""Answers before the upgrade that trying again will not change."""


class Link(Protocol):
    """What the console needs of a connection; the tests have their own."""

    def send(self, frames: Iterable[Frame]) -> None:
        """Send frames now, in order; without a connection they are dropped (the session sends anew what is owed)."""
        ...

    def retry(self) -> None:
        """Try to connect now, even after a refusal."""
        ...

    async def run(self) -> None:
        """Hold the connection until cancelled."""
        ...


class _Heard(ClientConnection):
    """A connection that tells when anything comes: on a slow line a frame may take long, and that is no silence."""

    heard: Callable[[], None] | None = None

    def data_received(self, data: bytes) -> None:
        """Bytes came."""
        if self.heard is not None:
            self.heard()
        super().data_received(data)


class HubLink:
    """A WebSocket to a hub that comes back by itself."""

    def __init__(
        self,
        session: Session,
        *,
        url: str,
        token: str,
        clock: Clock,
        told: Callable[[Outcome], None],
        client: str = "opsconsole console",
        dice: random.Random | None = None,
        heap: Heap | None = None,
    ) -> None:
        self._session = session
        self._url = websocket_url(url)
        self._token = token
        self._clock = clock
        self._told = told
        self._client = client
        self._dice = dice or random.Random()
        self._heap = heap or Heap()
        self._outgoing: deque[Frame] = deque()
        self._line: tuple[ClientConnection, Connection] | None = None
        """What is held, from the hub's welcome on."""
        self._wake = asyncio.Event()
        self._retry = asyncio.Event()
        self._failures = 0
        self._opened_at: float | None = None
        """When the hub welcomed the connection that is held, or was held last."""

    def send(self, frames: Iterable[Frame]) -> None:
        """Write frames to the socket, here and now: a kill waits for no other task's turn."""
        if self._line is None:
            return
        self._outgoing.extend(frames)
        if not self._written(*self._line):
            self._wake.set()

    def retry(self) -> None:
        """End the present wait."""
        self._retry.set()

    async def run(self) -> None:
        """Connect, serve, wait, and again, until cancelled."""
        while True:
            self._opened_at = None
            self._session.trying()
            code, reason = await self._once()
            final = is_final(code) or code in FINAL_STATUSES
            wait = None if final else self._backoff(code)
            now = self._clock.monotonic()
            retry_at = None if wait is None else now + wait
            self._session.closed(now=now, code=code, reason=reason, final=final, retry_at=retry_at)
            self._told(Outcome())
            await self._pause(wait)

    async def _once(self) -> tuple[int, str]:
        host = urlsplit(self._url).hostname or ""
        try:
            async with connect(
                self._url,
                subprotocols=[Subprotocol(SUBPROTOCOL)],
                additional_headers={"Authorization": f"Bearer {self._token}"},
                open_timeout=CONNECT_SECONDS_MAX,
                close_timeout=1.0,
                compression=None,
                max_size=FRAME_BYTES_MAX,
                max_queue=RECEIVE_FRAMES_MAX,
                proxy=None if is_loopback(host) else True,
                create_connection=_Heard,
                user_agent_header=self._client,
            ) as socket:
                if socket.subprotocol != SUBPROTOCOL:
                    return Close.VERSION, "it does not speak " + SUBPROTOCOL
                return await self._serve(socket)
        except InvalidStatus as error:
            return error.response.status_code, f"HTTP {error.response.status_code}"
        except (OSError, TimeoutError, InvalidHandshake) as error:
            return 0, _why(error)
        except ConnectionClosed as error:
            return error.rcvd.code if error.rcvd else 1006, error.rcvd.reason if error.rcvd else "the connection broke"

    async def _serve(self, socket: ClientConnection) -> tuple[int, str]:
        connection = Connection("operator", now=self._clock.monotonic())
        if isinstance(socket, _Heard):
            socket.heard = self._heard
        await self._say(socket, connection, Hello(client=self._client))
        writer = asyncio.create_task(self._write(socket, connection), name="console link writer")
        try:
            return await self._read(socket, connection)
        finally:
            self._line = None
            self._outgoing.clear()
            writer.cancel()
            with suppress(asyncio.CancelledError, ConnectionClosed, LocalProtocolError):
                await writer

    def _heard(self) -> None:
        self._session.link.bytes_at = self._clock.monotonic()

    async def _read(self, socket: ClientConnection, connection: Connection) -> tuple[int, str]:
        while True:
            now = self._clock.monotonic()
            try:
                async with asyncio.timeout(connection.next_wake(now=now)):
                    data = await socket.recv()
            except TimeoutError:
                late = connection.overdue(now=self._clock.monotonic())
                if late is not None:
                    await socket.close(late, "silent")
                    return late, "the hub fell silent"
                self._wake.set()
                continue
            now = self._clock.monotonic()
            try:
                envelope, rows = cut(data)
                frame = joined(connection.receive(envelope, now=now), rows)
                if isinstance(frame, Welcome):
                    self._line = socket, connection
                ended = None if frame is None else await self._handle(frame, now, data)
            except RemoteProtocolError as error:
                await socket.close(error.code, str(error)[:100])
                return error.code, str(error)
            if ended is not None:
                return ended
            await self._keys_first()

    async def _handle(self, frame: Frame, now: float, data: str | bytes) -> tuple[int, str] | None:
        if isinstance(frame, Welcome):
            self._opened_at = now
            self._told_now(Outcome(send=self._session.opened(frame, now=now)))
            return None
        steps = self._session.receiving(frame, now=now, plain=is_plain(data))
        while True:
            try:
                next(steps)
            except StopIteration as end:
                self._told_now(end.value)
                return (frame.code, frame.reason) if isinstance(frame, Bye) else None
            await self._keys_first()

    async def _keys_first(self) -> None:
        """Let everything else on the loop have a turn; a key that was pressed has it until it is painted."""
        self._heap.tidy()
        await asyncio.sleep(0)
        while (left := self._session.keys_first_until - self._clock.monotonic()) > 0:  # noqa: ASYNC110
            await asyncio.sleep(min(left, KEY_LOOK_SECONDS))

    def _told_now(self, outcome: Outcome) -> None:
        self.send(outcome.send)
        self._told(outcome)

    def _written(self, socket: ClientConnection, connection: Connection) -> bool:
        """Whether all that was to be sent is with the socket; the writer waits until it takes more."""
        while self._outgoing:
            if socket.state is not State.OPEN or socket.transport.get_write_buffer_size() > UNSENT_BYTES_MAX:
                return False
            try:
                data = connection.send(self._outgoing[0], now=self._clock.monotonic())
            except LocalProtocolError:
                return False
            self._outgoing.popleft()
            socket.protocol.send_text(data)
            socket.send_data()
        return True

    async def _write(self, socket: ClientConnection, connection: Connection) -> None:
        while True:
            now = self._clock.monotonic()
            while self._outgoing:
                await self._say(socket, connection, self._outgoing.popleft())
            beat = connection.beat(now=now, wall=self._clock.wall())
            if beat is not None:
                await socket.send(beat, text=True)
            await self._wake.wait()
            self._wake.clear()

    async def _say(self, socket: ClientConnection, connection: Connection, frame: Frame) -> None:
        await socket.send(connection.send(frame, now=self._clock.monotonic()), text=True)

    def _backoff(self, code: int) -> float:
        if code == Close.RESTART:
            return self._dice.uniform(0.0, RESTART_SPREAD_SECONDS)
        if self._opened_at is not None and self._clock.monotonic() - self._opened_at >= STEADY_SECONDS:
            self._failures = 0
        ceiling = min(BACKOFF_SECONDS_MAX, BACKOFF_SECONDS_MIN * 2.0 ** min(self._failures + 1, 10))
        self._failures += 1
        return self._dice.uniform(BACKOFF_SECONDS_MIN, ceiling)

    async def _pause(self, seconds: float | None) -> None:
        self._retry.clear()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._retry.wait(), seconds)


def websocket_url(url: str) -> str:
    """The operators' WebSocket address of a hub given by any of its http(s) or ws(s) addresses."""
    parts = urlsplit(url)
    scheme = {"http": "ws", "https": "wss"}.get(parts.scheme, parts.scheme)
    return urlunsplit((scheme, parts.netloc, parts.path.rstrip("/") + PATH, "", ""))


def _why(error: BaseException) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "nothing answers there"
    if isinstance(error, TimeoutError):
        return f"no answer within {CONNECT_SECONDS_MAX:.0f} s"
    return str(error) or type(error).__name__
