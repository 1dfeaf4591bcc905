"""An operator's console on the wire without a screen: rows by key, acknowledged as they are applied, and commands."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

SUBPROTOCOL = Subprotocol("opsconsole.v1")
WAIT_SECONDS = 30.0

Row = dict[str, Any]
OnRow = Callable[[str, Row, float], None]
"""(view, row, monotonic seconds when the frame was here)"""


class Operator:
    """One console. `rows` holds each view's rows as of the last frame."""

    def __init__(self, socket: ClientConnection, on_row: OnRow) -> None:
        self._socket = socket
        self.on_row = on_row
        self._results: dict[str, asyncio.Future[Row]] = {}
        self._news = asyncio.Event()
        self.rows: dict[str, dict[str, Row]] = {}
        self.frames = 0

    async def follow(self, view: str) -> None:
        """Subscribe."""
        self.rows[view] = {}
        await self._send({"t": "sub", "sub": view, "view": view})

    async def command(self, do: str, **more: Any) -> Row:
        """Give a command; its answer. Raises: TimeoutError."""
        command = f"cmd_{secrets.token_hex(10)}"
        future = self._results[command] = asyncio.get_running_loop().create_future()
        await self._send({"t": "cmd", "cmd": command, "do": do} | more)
        async with asyncio.timeout(WAIT_SECONDS):
            answer: Row = await future
            return answer

    async def row(self, view: str, key: str, holds: Callable[[Row], Any], seconds: float = WAIT_SECONDS) -> Row:
        """The row once `holds`. Raises: TimeoutError."""
        async with asyncio.timeout(seconds):
            while True:
                row: Row | None = self.rows[view].get(key)
                if row is not None and holds(row):
                    return row
                self._news.clear()
                await self._news.wait()

    async def _send(self, frame: dict[str, Any]) -> None:
        await self._socket.send(json.dumps(frame))

    async def listen(self) -> None:
        """Apply and acknowledge what comes, until the connection ends."""
        try:
            async for text in self._socket:
                await self._take(json.loads(text), time.monotonic())
        except ConnectionClosed:
            return

    async def _take(self, frame: dict[str, Any], now: float) -> None:
        self.frames += 1
        if frame["t"] in ("snap", "delta"):
            rows = self.rows[frame["sub"]]
            for row in frame["rows"]:
                rows[row["key"]] = row
                self.on_row(frame["sub"], row, now)
            for key in frame.get("gone", ()):
                rows.pop(key, None)
            await self._send({"t": "ack", "sub": frame["sub"], "rev": frame["rev"]})
            self._news.set()
        elif frame["t"] == "res":
            future = self._results.pop(frame["cmd"], None)
            if future is not None and not future.done():
                future.set_result(frame)


@asynccontextmanager
async def operator(url: str, token: str, *views: str, on_row: OnRow | None = None) -> AsyncIterator[Operator]:
    """A console that follows the views."""
    async with _socket(url, token) as socket:
        console = Operator(socket, on_row or _ignore)
        listening = asyncio.create_task(console.listen())
        try:
            for view in views:
                await console.follow(view)
            yield console
        finally:
            listening.cancel()


@asynccontextmanager
async def stalled_operator(url: str, token: str, *views: str) -> AsyncIterator[None]:
    """A console whose process has stopped: subscribed, its socket open, and nothing read any more."""
    async with _socket(url, token) as socket:
        for view in views:
            await socket.send(json.dumps({"t": "sub", "sub": view, "view": view}))
        socket.transport.pause_reading()
        try:
            yield
        finally:
            socket.transport.abort()


@asynccontextmanager
async def _socket(url: str, token: str) -> AsyncIterator[ClientConnection]:
    async with connect(
        url.replace("http", "ws", 1) + "/v1/operator",
        subprotocols=[SUBPROTOCOL],
        additional_headers={"Authorization": f"Bearer {token}"},
        compression=None,
        max_size=None,
        ping_interval=None,
        proxy=None,
    ) as socket:
        await socket.send(json.dumps({"t": "hello", "client": "bench"}))
        await socket.recv()
        yield socket


def _ignore(_view: str, _row: Row, _now: float) -> None:
    return
