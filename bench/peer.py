"""A point's WebSocket that costs its process little: frames are serialised beforehand, and only acks are read."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable
from urllib.parse import urlsplit

from websockets.client import ClientProtocol
from websockets.datastructures import Headers
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.protocol import State
from websockets.uri import parse_uri

SUBPROTOCOL = "opsconsole.v1"
SIZE_MAX = 4 * 2**20

OnAck = Callable[[str, int], None]
"""(run, seq)"""


def serialised(text: bytes) -> bytes:
    """A frame's bytes on the wire, as a client sends it."""
    return Frame(Opcode.TEXT, text).serialize(mask=True)


class Peer(asyncio.Protocol):
    """One connection. `put` writes what is serialised; `on_ack` hears what is stored."""

    def __init__(self, url: str, token: str, on_ack: OnAck) -> None:
        self._url = url
        self._protocol = ClientProtocol(parse_uri(url), subprotocols=[SUBPROTOCOL], max_size=SIZE_MAX)  # type: ignore[list-item]
        self._headers = Headers(Authorization=f"Bearer {token}")
        self._on_ack = on_ack
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.welcomed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._writable = asyncio.Event()
        self._writable.set()
        self.is_lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is there: ask for the upgrade."""
        self._transport: asyncio.WriteTransport = transport  # type: ignore[assignment]
        request = self._protocol.connect()
        request.headers.update(self._headers)
        self._protocol.send_request(request)
        self._flush()

    def data_received(self, data: bytes) -> None:
        """Bytes from the hub."""
        self._protocol.receive_data(data)
        for event in self._protocol.events_received():
            if isinstance(event, Response):
                self._is_open()
            elif isinstance(event, Frame) and event.opcode is Opcode.TEXT:
                self._read(bytes(event.data))
        self._flush()

    def _is_open(self) -> None:
        if self._protocol.state is State.OPEN:
            self.opened.set_result(None)
        else:
            self.opened.set_exception(ConnectionError(f"refused: {self._protocol.handshake_exc}"))

    def _read(self, text: bytes) -> None:
        if text.startswith(b'{"t":"ack"'):
            ack = json.loads(text)
            if ack.get("want") is not None:
                raise RuntimeError(f"the hub misses events: {ack}")
            self._on_ack(ack["run"], ack.get("seq") or 0)
        elif text.startswith(b'{"t":"welcome"'):
            self.welcomed.set_result(None)
        elif text.startswith((b'{"t":"err"', b'{"t":"bye"')):
            raise RuntimeError(f"the hub said {text!r}")

    def _flush(self) -> None:
        for data in self._protocol.data_to_send():
            if data:
                self._transport.write(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is gone."""
        self.is_lost = True
        self._writable.set()
        for waiting in (self.opened, self.welcomed):
            if not waiting.done():
                waiting.set_exception(ConnectionError("the hub closed the connection"))
                waiting.exception()

    def pause_writing(self) -> None:
        """The hub reads slower than we write."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """There is room again."""
        self._writable.set()

    async def put(self, data: bytes) -> None:
        """Write serialised frames; returns when there is room for more. Raises: ConnectionError."""
        if self.is_lost:
            raise ConnectionError("the hub closed the connection")
        self._transport.write(data)
        if not self._writable.is_set():
            await self._writable.wait()

    def close(self) -> None:
        """Leave."""
        with contextlib.suppress(Exception):
            self._protocol.send_close(1000)
            self._flush()
        self._transport.close()


async def connected(url: str, token: str, on_ack: OnAck, hello: bytes) -> Peer:
    """A point that the hub has welcomed. `url` is the hub's, http. Raises: ConnectionError."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    _, peer = await asyncio.get_running_loop().create_connection(
        lambda: Peer(f"ws://{parts.netloc}/v1/agent", token, on_ack), parts.hostname, parts.port
    )
    await peer.opened
    await peer.put(serialised(hello))
    await peer.welcomed
    return peer
