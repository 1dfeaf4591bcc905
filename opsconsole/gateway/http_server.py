"""The gateway's listening socket and the connections behind it: opened, looked after, closed; it reads no request."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

from opsconsole.errors import ConfigError
from opsconsole.gateway.held_bytes import HeldBytes
from opsconsole.gateway.wire.exchange import Exchange
from opsconsole.gateway.wire.incoming import Incoming

BACKLOG = 1_024
CONNECTIONS_MAX = 8_192
"""More than that many clients at once are turned away: each may hold a body in memory."""
LOOK_SECONDS = 2.0
"""How often clients that take too long are looked for."""
CUT_SECONDS = 1.0
"""How long connections may take to end once the server stops."""


class HttpServer:
    """Gives whole requests to `app`. `begin`, `close_listeners`, `end`, on one loop."""

    def __init__(self, app: Callable[[Exchange], None], held: HeldBytes) -> None:
        self.connections: set[Incoming] = set()
        """Those that are open."""
        self._app, self._held = app, held
        self._server: asyncio.Server | None = None
        self._looking: asyncio.TimerHandle | None = None

    async def begin(self, listener: socket.socket) -> None:
        """Accepts connections from now on."""
        self._loop = asyncio.get_running_loop()
        self._server = await self._loop.create_server(self._connection, sock=listener, backlog=BACKLOG)
        self._look()

    def close_listeners(self) -> None:
        """Accepts no more; what is open goes on."""
        if self._server is not None:
            self._server.close()

    async def end(self) -> None:
        """Ends what is still open: at once what is idle, soon what is being answered."""
        self.close_listeners()
        if self._looking is not None:
            self._looking.cancel()
        for connection in list(self.connections):
            connection.leave()
        deadline = self._loop.time() + CUT_SECONDS
        while self.connections and self._loop.time() < deadline:  # noqa: ASYNC110 - they end one by one
            await asyncio.sleep(0.01)
        for connection in list(self.connections):
            connection.abort()

    def _connection(self) -> Incoming:
        return Incoming(self._app, self.connections, self._held, is_welcome=len(self.connections) < CONNECTIONS_MAX)

    def _look(self) -> None:
        now = self._loop.time()
        for connection in list(self.connections):
            connection.look(now)
        self._looking = self._loop.call_later(LOOK_SECONDS, self._look)


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
