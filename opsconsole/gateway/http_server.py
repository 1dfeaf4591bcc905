"""The HTTP server under the gateway: uvicorn, told when to stop, with a way to see a client go and to cut one."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Iterator
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from opsconsole.errors import ConfigError

KEEP_ALIVE_SECONDS = 75
"""Longer than the pools of clients keep a connection: the one who closes first should be the client."""
BACKLOG = 1_024
CUT_SECONDS = 1.0
"""How long connections may take to end once the server stops."""

HEAD_BYTES_MAX = 131_072
"""Of a request's line and headers; a read may bring as much of its body behind them."""

CUT_ON_PURPOSE = "ASGI callable returned without completing response."
"""What uvicorn calls an error and we call a cut: an answer that is not whole must not end as if it were."""


class GatewayProtocol(HttpToolsProtocol):
    """uvicorn's own; the application finds `abort` in its state, and may leave `on_gone` there.

    One request at a time: while a second one waits behind it, nobody reads, nor sees the client of the first one go.
    """

    _head_bytes = 0
    _is_in_head = True

    def data_received(self, data: bytes) -> None:
        """More from the client; a head without an end is not waited for."""
        super().data_received(data)
        if self._is_in_head:
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_BYTES_MAX:
                self.transport.abort()

    def on_headers_complete(self) -> None:
        """A request's head is whole."""
        self._head_bytes, self._is_in_head = 0, False
        if self.cycle is not None and not self.cycle.response_complete:
            self.transport.abort()
            return
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A part of a body."""
        if not self.transport.is_closing():
            super().on_body(body)

    def on_message_complete(self) -> None:
        """A request is whole."""
        self._is_in_head = True
        super().on_message_complete()

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self.scope["state"]["abort"] = self.transport.abort

    def connection_lost(self, exc: Exception | None) -> None:
        """The client closed, or was cut."""
        super().connection_lost(exc)
        if self.cycle is not None and not self.cycle.response_complete:
            on_gone = self.cycle.scope["state"].get("on_gone")
            if on_gone is not None:
                on_gone()

    def _unsupported_upgrade_warning(self) -> None:
        """The application answers those itself."""


class HttpServer(uvicorn.Server):
    """uvicorn without its signal handlers and without its clock."""

    def __init__(self, app: Any) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=GatewayProtocol,
                ws="none",
                lifespan="off",
                log_config=None,
                log_level="error",
                access_log=False,
                proxy_headers=False,
                server_header=False,
                date_header=False,
                timeout_keep_alive=KEEP_ALIVE_SECONDS,
                backlog=BACKLOG,
            )
        )
        logging.getLogger("uvicorn.error").addFilter(_is_news)
        self.listening = asyncio.Event()
        self.stopping = asyncio.Event()
        self._serving: asyncio.Task[None] | None = None

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are the caller's."""
        yield

    async def main_loop(self) -> None:
        """Serve until told to stop."""
        self.listening.set()
        await self.stopping.wait()

    async def begin(self, listener: socket.socket) -> None:
        """Accepts connections from now on."""
        self._serving = asyncio.create_task(self.serve(sockets=[listener]))
        listening = asyncio.create_task(self.listening.wait())
        await asyncio.wait((listening, self._serving), return_when=asyncio.FIRST_COMPLETED)

    def close_listeners(self) -> None:
        """Accepts no more; what is open goes on."""
        for server in self.servers:
            server.close()

    async def end(self) -> None:
        """Ends what is still open."""
        self.stopping.set()
        if self._serving:
            await self._serving

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop listening and end what is still open; without uvicorn's fixed waits."""
        self.close_listeners()
        for listener in sockets or ():
            listener.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        if self.server_state.tasks:
            _, late = await asyncio.wait(self.server_state.tasks, timeout=CUT_SECONDS)
            for task in late:
                task.cancel()


def _is_news(record: logging.LogRecord) -> bool:
    return record.msg != CUT_ON_PURPOSE


def listen(host: str, port: int, *, port_is_wish: bool = False) -> socket.socket:
    """A listening socket; at any free port where the wished one is taken. Raises: ConfigError."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        family, kind, protocol, _, place = min(found, key=lambda one: one[0] != socket.AF_INET)
        listener = socket.socket(family, kind, protocol or socket.IPPROTO_TCP)
    except OSError as error:
        raise ConfigError(f"the gateway cannot listen on {host}: {error.strerror or error}") from None
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(place)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        if port_is_wish and port:
            return listen(host, 0)
        raise ConfigError(f"the gateway cannot listen on {host}:{port}: {error.strerror or error}") from None
    listener.setblocking(False)
    return listener
