"""uvicorn as the hub listens by it: its socket, its WebSockets, its end; what is said there it does not know."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from typing import Any

import uvicorn
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.protocol import State

from opsconsole.errors import ConfigError
from opsconsole.hub.settings import HubSettings
from opsconsole.protocol.limits import FRAME_BYTES_MAX

KEEP_ALIVE_SECONDS = 75
"""Longer than clients keep quiet connections: a request that meets the hub's closing of one has failed."""
PING_SECONDS = 20.0
"""For proxies that cut quiet connections; whether a peer is well is told by beats."""
GOODBYE_SECONDS = 2.0
"""How long peers may take to leave when the hub goes down."""
UNREAD_MESSAGES_MAX = 8
"""Frames of one connection that wait for the session before its socket is read no further."""
OVERSIZE_BYTES = 65_536
"""A frame this much above the limit is still read, so that its sender is told why it is closed."""


class HubSocketProtocol(WebSocketsSansIOProtocol):
    """uvicorn's own, plus a way to cut a peer that takes nothing any more, and with fewer words to the kernel."""

    async def run_asgi(self) -> None:
        """Give the application `abort` and `refused` in its state."""
        self.scope["state"] |= {"abort": self.abort, "refused": self.refused}
        await super().run_asgi()

    def send_receive_event_to_app(self) -> None:
        """Hand a message on, and read no further only when many wait: uvicorn would stop and start at each."""
        has_room = not self.read_paused and self.queue.qsize() < UNREAD_MESSAGES_MAX - 1
        self.read_paused = self.read_paused or has_room
        super().send_receive_event_to_app()
        if has_room:
            self.read_paused = False

    async def send(self, message: Any) -> None:
        """As uvicorn's; but `texts`, the bytes of several text frames, go to the socket together."""
        texts: list[bytes] | None = message.get("texts")
        if texts is None:
            await super().send(message)
            return
        await self.writable.wait()
        if self.disconnected or self.close_sent or self.conn.state is not State.OPEN:
            raise ClientDisconnected
        self.transport.write(b"".join([part for text in texts for part in (text_frame_head(len(text)), text)]))

    def refused(self) -> None:
        """The upgrade was answered with a refusal: that completes the handshake, which uvicorn does not see."""
        self.handshake_complete = True

    def abort(self) -> None:
        """Close the transport without waiting for what it still holds."""
        if not self.disconnected:
            self.transport.abort()


def text_frame_head(size_bytes: int) -> bytes:
    """The head of a server's text frame, whole and unmasked (RFC 6455, section 5.2)."""
    if size_bytes < 126:
        return bytes((0x81, size_bytes))
    if size_bytes < 65_536:
        return b"\x81\x7e" + size_bytes.to_bytes(2, "big")
    return b"\x81\x7f" + size_bytes.to_bytes(8, "big")


class Uvicorn(uvicorn.Server):
    """uvicorn without its signal handlers and without its clock: the hub says when to stop."""

    def __init__(self, app: Any, settings: HubSettings) -> None:
        super().__init__(_config(app, settings))
        self.listening = asyncio.Event()
        self.stopping = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are the caller's."""
        yield

    async def main_loop(self) -> None:
        """Serve until told to stop."""
        self.listening.set()
        await self.stopping.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop listening and end what is still open; without uvicorn's fixed waits, as peers were told already."""
        for closing in (*self.servers, *(sockets or ())):
            closing.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        if self.server_state.tasks:
            _, late = await asyncio.wait(self.server_state.tasks, timeout=GOODBYE_SECONDS)
            for task in late:
                task.cancel()


def bound(settings: HubSettings) -> socket.socket:
    """The socket, bound and not yet listening. Raises: ConfigError."""
    try:
        found = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)
        family, kind, protocol, _, place = min(found, key=lambda one: one[0] != socket.AF_INET)
        # asyncio turns Nagle's delay off only where the protocol is named
        listener = socket.socket(family, kind, protocol or socket.IPPROTO_TCP)
    except OSError as error:
        raise ConfigError(f"cannot listen on {settings.host}: {error.strerror or error}") from None
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(place)
        return listener
    except OSError as error:
        listener.close()
        raise ConfigError(f"cannot listen on {settings.host}:{settings.port}: {error.strerror or error}") from None


def url_of(settings: HubSettings, listener: socket.socket) -> str:
    """The hub's address, as its file tells it to those on this machine."""
    host, port = listener.getsockname()[:2]
    if host in ("0.0.0.0", "::"):
        host = "127.0.0.1"
    return f"{settings.scheme}://{f'[{host}]' if ':' in host else host}:{port}"


def _config(app: Any, settings: HubSettings) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http="httptools",
        ws=HubSocketProtocol,
        ws_max_size=FRAME_BYTES_MAX + OVERSIZE_BYTES,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        ws_ping_interval=PING_SECONDS,
        ws_ping_timeout=PING_SECONDS,
        ws_per_message_deflate=False,
        lifespan="off",
        log_config=None,
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=int(GOODBYE_SECONDS),
        ssl_certfile=settings.tls_cert,
        ssl_keyfile=settings.tls_key,
    )
