"""Clients that cost little: wrk for plain requests where it is installed, and a bare protocol that notes times."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httptools

MODEL = "gpt-5.1"
SYSTEM = "You are on call for the billing service. Look before you act, and say what you have found. " * 4
LUA = """
local number = 0
local paths = {%s}
local head, tail = [==[%s]==], [==[%s]==]
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Authorization"] = "Bearer sk-bench"
request = function()
  number = number + 1
  return wrk.format(nil, paths[number %% #paths + 1], nil, head .. number .. tail)
end
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What came of a load."""

    requests: int
    seconds: float
    failed: int
    """Answers with another status than 200, and connections that broke."""

    @property
    def rate(self) -> float:
        """Good answers a second."""
        return (self.requests - self.failed) / self.seconds


def body(number: int | str, *, stream: bool = False, output_tokens: int = 64) -> bytes:
    """A chat completion as an agent asks for it; no two are the same."""
    document = {
        "model": MODEL,
        "messages": [
            {"role": "system", "content": SYSTEM},
            {"role": "user", "content": f"Invoice {number} was paid twice. Why?"},
        ],
        "max_tokens": output_tokens,
    }
    return json.dumps(document | ({"stream": True} if stream else {})).encode()


def plain_load(url: str, paths: list[str], *, seconds: float, connections: int) -> Load:
    """As many requests as there can be, each path in its turn."""
    if shutil.which("wrk") is None:
        return asyncio.run(_own_load(url, paths, seconds, connections))
    head, _, tail = body("MARK").decode().partition("MARK")
    script = LUA % (", ".join(f'"{path}"' for path in paths), head, tail)
    with tempfile.TemporaryDirectory(prefix="opsconsole-bench-") as folder:
        file = Path(folder) / "post.lua"
        file.write_text(script)
        options = ["-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--timeout", "20s", "-s", str(file)]
        done = subprocess.run(["wrk", *options, url], capture_output=True, text=True, check=True, timeout=seconds + 40)
    return _read(done.stdout)


def _read(told: str) -> Load:
    total = re.search(r"(\d+) requests in ([\d.]+)(ms|s|m)", told)
    assert total, told
    seconds = float(total[2]) * {"ms": 0.001, "s": 1.0, "m": 60.0}[total[3]]
    failed = sum(int(number) for number in re.findall(r"Non-2xx or 3xx responses: (\d+)", told))
    for errors in re.findall(r"Socket errors: (.*)", told):
        failed += sum(int(number) for number in re.findall(r"\d+", errors))
    return Load(requests=int(total[1]), seconds=seconds, failed=failed)


async def _own_load(url: str, paths: list[str], seconds: float, connections: int) -> Load:
    until = time.monotonic() + seconds

    async def one(path: str, first: int) -> tuple[int, int]:
        client, done, failed = await Client.connect(url), 0, 0
        try:
            while time.monotonic() < until:
                await client.post(path, body(first + done))
                done += 1
                failed += client.status != 200
        finally:
            client.close()
        return done, failed

    began = time.monotonic()
    counts = await asyncio.gather(*(one(paths[at % len(paths)], at * 1_000_000) for at in range(connections)))
    took = time.monotonic() - began
    return Load(requests=sum(done for done, _ in counts), seconds=took, failed=sum(bad for _, bad in counts))


class Client(asyncio.Protocol):
    """One connection that asks one thing after another. Times are monotonic seconds."""

    def __init__(self) -> None:
        self.status = 0
        self.pieces = 0
        """Pieces of the body, as they were framed."""
        self.size = 0
        self.first_at = 0.0
        """When the first byte of the answer's body was here."""
        self.broken_at = 0.0
        """When the connection ended before the answer did."""
        self.on_piece: Callable[[], None] = lambda: None
        self._host = b""
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._over: asyncio.Future[None] | None = None

    @classmethod
    async def connect(cls, url: str) -> Client:
        """A connection to where the URL points."""
        parts = urlsplit(url)
        _, client = await asyncio.get_running_loop().create_connection(cls, parts.hostname, parts.port)
        client._host = parts.netloc.encode()
        return client

    async def post(self, path: str, data: bytes) -> None:
        """Asks, and waits until the answer is whole or the connection has ended."""
        assert self._transport is not None
        self.status = self.pieces = self.size = 0
        self.first_at = self.broken_at = 0.0
        self._parser = httptools.HttpResponseParser(self)
        self._over = asyncio.get_running_loop().create_future()
        head = f"POST {path} HTTP/1.1\r\nHost: ".encode() + self._host
        head += b"\r\nAuthorization: Bearer sk-bench\r\nContent-Type: application/json\r\n"
        self._transport.write(head + b"Content-Length: %d\r\n\r\n" % len(data) + data)
        await self._over

    def close(self) -> None:
        """Ends the connection."""
        if self._transport is not None:
            self._transport.abort()

    # -- the transport's and the parser's --------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection is there."""
        self._transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        """Bytes."""
        self._parser.feed_data(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """It has ended."""
        if self._over is not None and not self._over.done():
            self.broken_at = time.monotonic()
            self._over.set_result(None)

    def on_status(self, _reason: bytes) -> None:
        """The head's first line."""
        self.status = self._parser.get_status_code()

    def on_body(self, data: bytes) -> None:
        """A piece."""
        if not self.pieces:
            self.first_at = time.monotonic()
        self.pieces += 1
        self.size += len(data)
        self.on_piece()

    def on_message_complete(self) -> None:
        """The answer is whole."""
        if self._over is not None and not self._over.done():
            self._over.set_result(None)
