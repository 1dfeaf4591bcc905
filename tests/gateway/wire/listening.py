"""A server of requests, and raw connections to it: what a test sends is what goes over the wire."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from opsconsole.gateway.held_bytes import HeldBytes
from opsconsole.gateway.http_server import HttpServer, listen
from opsconsole.gateway.request_body import BODY_BYTES_MAX
from opsconsole.gateway.wire.exchange import Exchange

SECONDS = 60.0
"""Nothing here takes so long, whatever else the machine does."""


@dataclass
class Listening:
    """What the server was asked, and where it is."""

    port: int
    server: HttpServer
    asked: list[Exchange] = field(default_factory=list)

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A raw connection."""
        return await asyncio.open_connection("127.0.0.1", self.port, limit=2**26)

    async def says(self, *sent: bytes, closes: bool = False) -> bytes:
        """All that the server says to these bytes until it closes the connection, or the client does."""
        reader, writer = await self.connect()
        for part in sent:
            writer.write(part)
            await asyncio.sleep(0)
        if closes:
            writer.close()
            return b""
        async with asyncio.timeout(SECONDS):
            try:
                return await reader.read()
            except ConnectionError:
                return b"<reset>"
            finally:
                writer.close()


def echo(exchange: Exchange) -> None:
    """Answers with what was asked."""
    if exchange.refused is not None:
        exchange.answer(exchange.refused.status, [], exchange.refused.code.encode())
        return
    exchange.answer(200, [(b"x-path", exchange.path.encode())], exchange.body)


def silent(exchange: Exchange) -> None:
    """Leaves the request unanswered."""


@asynccontextmanager
async def listening(app: Callable[[Exchange], None] = echo) -> AsyncIterator[Listening]:
    """A server on loopback until the end of the block."""
    asked: list[Exchange] = []

    def noted(exchange: Exchange) -> None:
        asked.append(exchange)
        app(exchange)

    server, listener = HttpServer(noted, HeldBytes(BODY_BYTES_MAX)), listen("127.0.0.1", 0)
    place = Listening(listener.getsockname()[1], server, asked)
    await server.begin(listener)
    try:
        yield place
    finally:
        await server.end()


async def until(holds: Callable[[], object]) -> None:
    """Waits until something holds."""
    async with asyncio.timeout(SECONDS):
        while not holds():  # noqa: ASYNC110 - it is set by callbacks of several kinds
            await asyncio.sleep(0.005)
