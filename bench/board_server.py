"""A server that speaks to consoles as a hub does and shows a made-up fleet in constant change; it is a process.

Changes happen by the clock, as many a second as asked for, whatever the console takes; what it is told of them, and
when, is decided by the hub's own feed. `python -m bench.board_server RUNS UPDATES_PER_SECOND` prints `{"port": n}`;
a line on standard input is answered with how many changes there were.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from bench.board_rows import TOP_ROWS, approvals, run_row, timeline
from opsconsole.hub.feeds import Follow, RowSource
from opsconsole.hub.settings import ShellLimits
from opsconsole.hub.subscriptions import RowFeed
from opsconsole.protocol.limits import FRAME_BYTES_MAX, SUBPROTOCOL

CHANGES_PER_SECOND = 200
"""How often a few runs change: a hub hears its agents all the time, not twenty times a second."""
BEAT_SECONDS = 5.0


@dataclass
class Fleet:
    """The runs, and what a hub's feed knows of their changes."""

    count: int
    dice: random.Random = field(default_factory=lambda: random.Random(7))
    changes: int = 0

    def __post_init__(self) -> None:
        self.turns = [0] * self.count
        self.progress_at = [time.time()] * self.count
        self.began = time.time()
        limits = ShellLimits()
        held = {row["key"]: row for row in approvals(self.began)} if self.count >= TOP_ROWS else {}
        self.views = {
            "board": Follow(RowFeed("e1", self._run), limits.board_tick_seconds),
            "approvals": Follow(
                RowFeed("e1", lambda key, rev: json.dumps(held[key] | {"rev": rev}).encode()),
                limits.approvals_tick_seconds,
            ),
        }
        for number in range(self.count):
            self.views["board"].feed.change(f"run_{number:06d}", self.began)
        for key in held:
            self.views["approvals"].feed.change(key, self.began)

    def change(self, updates: int) -> None:
        """That many changes."""
        now = time.time()
        for _ in range(updates):
            number = self.dice.randrange(TOP_ROWS if self.dice.random() < 0.2 else self.count)
            self.turns[number] += 1
            self.progress_at[number] = now
            self.views["board"].change(f"run_{number:06d}", now)
        self.changes += updates

    def _run(self, key: str, rev: int) -> bytes:
        number = int(key.rpartition("_")[2])
        return run_row(number, self.turns[number], rev, began=self.began, progress_at=self.progress_at[number])


class Server:
    """All consoles of one fleet."""

    def __init__(self, fleet: Fleet, updates_per_second: int) -> None:
        self._fleet = fleet
        self._updates_per_second = updates_per_second

    async def live(self) -> None:
        """Let runs change, at the rate asked for by the clock."""
        began = time.monotonic()
        while True:
            await asyncio.sleep(1 / CHANGES_PER_SECOND)
            due = int((time.monotonic() - began) * self._updates_per_second)
            self._fleet.change(due - self._fleet.changes)

    async def answer(self) -> None:
        """Tell who asks on standard input how many changes there were, and how far the console is behind."""
        loop = asyncio.get_running_loop()
        while await loop.run_in_executor(None, sys.stdin.readline):
            print(json.dumps({"changes": self._fleet.changes}), flush=True)

    async def console(self, ws: ServerConnection) -> None:
        """One connection, to its end."""
        sources: dict[str, RowSource] = {}
        wake = asyncio.Event()
        writer = asyncio.create_task(self._write(ws, sources, wake))
        try:
            async for message in ws:
                await self._received(ws, json.loads(message), sources, wake)
        except ConnectionClosed:
            pass
        finally:
            writer.cancel()
            for sub, source in sources.items():
                self._fleet.views[sub].drop(source)

    async def _received(
        self, ws: ServerConnection, frame: dict[str, Any], sources: dict[str, RowSource], wake: asyncio.Event
    ) -> None:
        match frame["t"]:
            case "hello":
                await ws.send(json.dumps(self._welcome()))
            case "sub" if frame.get("view") in self._fleet.views:
                source = self._fleet.views[frame["view"]].open(frame["sub"], wake.set)
                sources[frame["sub"]] = source
                source.start(frame.get("epoch"), frame.get("rev"))
            case "sub" if not frame.get("off"):
                for part in timeline(frame["run"], frame["sub"], self._fleet.began):
                    await ws.send(part)
            case "ack" if frame.get("sub") in sources:
                sources[frame["sub"]].ack(frame["rev"])
            case "cmd":
                res = {"t": "res", "cmd": frame["cmd"], "ok": True, "status": "accepted"}
                await ws.send(json.dumps(res))

    async def _write(self, ws: ServerConnection, sources: dict[str, RowSource], wake: asyncio.Event) -> None:
        beat = 0
        with suppress(ConnectionClosed):
            while True:
                with suppress(TimeoutError):
                    await asyncio.wait_for(wake.wait(), BEAT_SECONDS)
                wake.clear()
                for source in list(sources.values()):
                    while (text := source.next_text()) is not None:
                        await ws.send(text)
                beat += 1
                await ws.send(json.dumps({"t": "beat", "n": beat, "now": time.time()}))

    def _welcome(self) -> dict[str, Any]:
        return {
            "t": "welcome",
            "epoch": "e1",
            "conn": "c1",
            "principal": "bench",
            "role": "operator",
            "beat_seconds": BEAT_SECONDS,
            "time": time.time(),
        }


async def main(runs: int, updates_per_second: int) -> None:
    """Serve until killed."""
    server = Server(Fleet(runs), updates_per_second)
    async with serve(
        server.console,
        "127.0.0.1",
        0,
        subprotocols=[SUBPROTOCOL],
        compression=None,
        max_size=FRAME_BYTES_MAX,  # type: ignore[list-item]
    ) as listening:
        print(json.dumps({"port": next(iter(listening.sockets)).getsockname()[1]}), flush=True)
        await asyncio.gather(server.live(), server.answer())


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
