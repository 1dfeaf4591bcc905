"""A TCP proxy that cuts connections and swallows what they carry; it understands none of it."""

from __future__ import annotations

import asyncio
import contextlib
import random
from dataclasses import dataclass, field

CHUNK_BYTES = 65_536


@dataclass(eq=False, slots=True)
class Pair:
    """One connection through the proxy: both sockets, and whether bytes pass."""

    near: asyncio.StreamWriter
    far: asyncio.StreamWriter
    passes: asyncio.Event = field(default_factory=asyncio.Event)

    def cut(self) -> None:
        """Reset both ends."""
        for writer in (self.near, self.far):
            writer.transport.abort()


class Proxy:
    """Listens on a free port of loopback and passes bytes on to `port`, as far as it is let."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._pairs: set[Pair] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.url = ""

    async def __aenter__(self) -> Proxy:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self.cut(random.Random(0), 1.0)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self, dice: random.Random, share: float) -> int:
        """Reset about so many of the connections; how many."""
        chosen = [pair for pair in list(self._pairs) if dice.random() < share]
        for pair in chosen:
            pair.cut()
        return len(chosen)

    def swallow(self, dice: random.Random, share: float, seconds: float) -> int:
        """Pass nothing on for a while, both ways, in about so many connections; half of them are then cut."""
        chosen = [pair for pair in list(self._pairs) if dice.random() < share]
        for pair in chosen:
            pair.passes.clear()
            asyncio.get_running_loop().call_later(seconds, pair.cut if dice.random() < 0.5 else pair.passes.set)
        return len(chosen)

    def heal(self) -> None:
        """From now on everything passes; what was swallowed is cut, as nobody knows what is left of it."""
        for pair in list(self._pairs):
            if not pair.passes.is_set():
                pair.cut()

    async def _accept(self, near_reader: asyncio.StreamReader, near: asyncio.StreamWriter) -> None:
        try:
            far_reader, far = await asyncio.open_connection("127.0.0.1", self._port)
        except OSError:
            near.transport.abort()
            return
        pair = Pair(near, far)
        pair.passes.set()
        self._pairs.add(pair)
        pumps = [asyncio.create_task(_pump(pair, *ends)) for ends in ((near_reader, far), (far_reader, near))]
        self._tasks.update(pumps)
        await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        pair.cut()
        for pump in pumps:
            pump.cancel()
        await asyncio.wait(pumps)
        self._tasks.difference_update(pumps)
        self._pairs.discard(pair)


async def _pump(pair: Pair, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(CHUNK_BYTES):
            await pair.passes.wait()
            writer.write(data)
            await writer.drain()
