"""A hub of rows over real WebSockets: it serves snapshots and deltas and takes commands; it has no agents."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager, suppress
from typing import Any

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from opsconsole.errors import RemoteProtocolError
from opsconsole.protocol.connection import Connection
from opsconsole.protocol.frames import Bye, Command, Delta, Frame, Hello, Res, Snap, Sub, Welcome
from opsconsole.protocol.limits import SUBPROTOCOL
from tests.support.hub import held_port

TOKEN = "ops_test_secret"


class FakeHub:
    """Holds rows; consoles connect to `url`."""

    def __init__(self, *, epoch: str = "e1", beat_seconds: float = 10.0) -> None:
        self.epoch = epoch
        self.beat_seconds = beat_seconds
        self.rows: dict[str, dict[str, dict[str, Any]]] = {"board": {}, "approvals": {}, "run": {}}
        self.rev = 1
        self.received: list[Frame] = []
        self.refuse_with: int | None = None
        self.answers = True
        self.url = ""
        self._changed: dict[str, dict[str, int]] = {"board": {}, "approvals": {}, "run": {}}
        self._peers: list[_Peer] = []
        self._server: Server | None = None
        self._held = ExitStack()

    async def start(self, port: int = 0) -> None:
        self._server = await serve(
            self._serve,
            "127.0.0.1",
            port or self._held.enter_context(held_port()),
            subprotocols=[Subprotocol(SUBPROTOCOL)],
            process_request=self._admit,
            compression=None,
        )
        self.url = f"http://127.0.0.1:{self.port}"

    @property
    def port(self) -> int:
        assert self._server is not None
        return int(next(iter(self._server.sockets)).getsockname()[1])

    async def stop(self) -> None:
        """Listen no more; the port stays this hub's."""
        assert self._server is not None
        self._server.close(close_connections=True)
        await self._server.wait_closed()

    @property
    def commands(self) -> list[Command]:
        return [frame for frame in self.received if isinstance(frame, Command)]

    @property
    def consoles(self) -> int:
        return len(self._peers)

    async def change(self, view: str, *rows: dict[str, Any], gone: tuple[str, ...] = ()) -> None:
        """Change rows and tell every console."""
        for row in rows:
            self.rev += 1
            self.rows[view][row["key"]] = row
            self._changed[view][row["key"]] = self.rev
        for key in gone:
            self.rev += 1
            self.rows[view].pop(key, None)
            self._changed[view][key] = self.rev
        for peer in list(self._peers):
            await peer.update(view)

    async def stray(self, view: str) -> None:
        """Send deltas that continue from nowhere."""
        for peer in list(self._peers):
            await peer.say(Delta(sub=view, from_rev=9_999, rev=10_000, rows=[]))

    async def ping(self) -> None:
        """Send every console bytes that are no frame of the protocol."""
        for peer in list(self._peers):
            await (await peer.socket.ping())

    async def cut(self) -> None:
        """Break every connection without a word."""
        for peer in list(self._peers):
            peer.socket.transport.abort()
        await asyncio.sleep(0)

    async def bye(self, code: int, reason: str) -> None:
        """Close every connection on purpose."""
        for peer in list(self._peers):
            await peer.say(Bye(code=code, reason=reason))
            await peer.socket.close(code, reason)

    def _admit(self, connection: ServerConnection, request: Request) -> Response | None:
        if self.refuse_with is not None:
            return connection.respond(self.refuse_with, "no\n")
        if request.path != "/v1/operator" or request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return connection.respond(401, "no\n")
        return None

    async def _serve(self, socket: ServerConnection) -> None:
        peer = _Peer(self, socket)
        self._peers.append(peer)
        try:
            with suppress(ConnectionClosed):
                await peer.run()
        finally:
            self._peers.remove(peer)


class _Peer:
    def __init__(self, hub: FakeHub, socket: ServerConnection) -> None:
        self.hub = hub
        self.socket = socket
        self.connection = Connection("hub_operator", now=time.monotonic(), beat_seconds=hub.beat_seconds)
        self.at: dict[str, int] = {}

    async def say(self, frame: Frame) -> None:
        with suppress(ConnectionClosed):
            await self.socket.send(self.connection.send(frame, now=time.monotonic()), text=True)

    async def run(self) -> None:
        async for data in self.socket:
            try:
                frame = self.connection.receive(data, now=time.monotonic())
            except RemoteProtocolError as error:
                await self.socket.close(error.code, str(error))
                return
            if frame is not None:
                self.hub.received.append(frame)
                await self.handle(frame)

    async def handle(self, frame: Frame) -> None:
        hub = self.hub
        if isinstance(frame, Hello):
            await self.say(
                Welcome(
                    epoch=hub.epoch,
                    conn="c1",
                    principal="ana",
                    role="operator",
                    beat_seconds=hub.beat_seconds,
                    time=time.time(),
                )
            )
        elif isinstance(frame, Sub) and not frame.off:
            if frame.epoch == hub.epoch and frame.rev is not None:
                self.at[frame.sub] = frame.rev
                await self.update(frame.sub)
            else:
                await self.snapshot(frame)
        elif isinstance(frame, Command) and hub.answers:
            await self.say(Res(cmd=frame.cmd, ok=True, status="recorded"))

    async def snapshot(self, sub: Sub) -> None:
        rows = list(self.hub.rows[sub.view].values())
        parts = [rows[start : start + 3] for start in range(0, len(rows), 3)] or [[]]
        self.at[sub.sub] = self.hub.rev
        for index, part in enumerate(parts):
            end = index == len(parts) - 1
            await self.say(Snap(sub=sub.sub, epoch=self.hub.epoch, part=index, end=end, rev=self.hub.rev, rows=part))

    async def update(self, view: str) -> None:
        since = self.at.get(view)
        if since is None:
            return
        keys = [key for key, rev in self.hub._changed[view].items() if rev > since]
        rows = [self.hub.rows[view][key] for key in keys if key in self.hub.rows[view]]
        gone = [key for key in keys if key not in self.hub.rows[view]]
        self.at[view] = self.hub.rev
        await self.say(Delta(sub=view, from_rev=since, rev=self.hub.rev, rows=rows, gone=gone))


@asynccontextmanager
async def fake_hub(**options: Any) -> AsyncIterator[FakeHub]:
    """A hub on a free port of loopback."""
    hub = FakeHub(**options)
    await hub.start()
    try:
        yield hub
    finally:
        await hub.stop()
        hub._held.close()
