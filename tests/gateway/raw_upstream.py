"""An upstream that answers every request with the bytes a test gives it, be they HTTP or not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from opsconsole.gateway.serve import Service
from tests.gateway.place import running_gateway
from tests.support.hub import RunningHub, running_hub


@dataclass
class RawUpstream:
    """What it was asked, and what it says."""

    url: str = ""
    answer: bytes = b""
    asked: list[bytes] = field(default_factory=list)
    lets_answer: asyncio.Event = field(default_factory=asyncio.Event)
    """Set, unless a test holds the answers back."""

    def says(
        self, body: bytes, *, status: bytes = b"200 OK", headers: bytes = b"content-type: text/event-stream"
    ) -> None:
        """A whole answer of HTTP."""
        self.answer = b"HTTP/1.1 %b\r\n%b\r\ncontent-length: %d\r\n\r\n%b" % (status, headers, len(body), body)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, one request."""
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            lengths = [line.split(b":")[1] for line in head.lower().splitlines() if line.startswith(b"content-length:")]
            self.asked.append(head + (await reader.readexactly(int(lengths[0])) if lengths else b""))
            await self.lets_answer.wait()
            writer.write(self.answer)
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@dataclass
class RawPlace:
    """A hub, a gateway, and such an upstream."""

    hub: RunningHub
    gateway: Service
    upstream: RawUpstream


@asynccontextmanager
async def raw_place(data_dir: object, **settings: object) -> AsyncIterator[RawPlace]:
    """All of it, until the end of the block."""
    upstream = RawUpstream()
    upstream.lets_answer.set()
    server = await asyncio.start_server(upstream.serve, "127.0.0.1", 0)
    upstream.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    given = {"upstreams": {"openai": f"{upstream.url}/v1", "anthropic": upstream.url}} | settings
    async with (
        running_hub(data_dir / "hub") as hub,  # type: ignore[operator]
        running_gateway(hub, upstream, data_dir, **given) as gateway,  # type: ignore[arg-type]
    ):
        yield RawPlace(hub, gateway, upstream)
    server.close()
