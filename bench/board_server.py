"""A server that speaks to consoles as a hub does and shows a made-up fleet in constant change; it is a process.

`python -m bench.board_server RUNS UPDATES_PER_SECOND` prints `{"port": n}`, then one line for each command that it
receives: what it was and when (monotonic seconds, one clock for all processes of a machine).
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from dataclasses import dataclass, field
from typing import Any

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from opsconsole.protocol.limits import SUBPROTOCOL

DELTAS_PER_SECOND = 20
PART_ROWS = 500
TOP_ROWS = 40
"""Runs that are first in the console's order and get a fifth of all changes: the worst case is what is on screen."""


@dataclass
class Fleet:
    """The runs, and which of them have changed for whom."""

    count: int
    dice: random.Random = field(default_factory=lambda: random.Random(7))
    turns: list[int] = field(default_factory=list)
    rev: int = 1

    def __post_init__(self) -> None:
        self.turns = [0] * self.count
        self.began = time.time()

    def row(self, number: int) -> dict[str, Any]:
        """One run as a row of the board."""
        run, turns = f"run_{number:06d}", self.turns[number]
        is_top = number < TOP_ROWS
        return {
            "key": run,
            "run": run,
            "agent": ("coder", "researcher", "planner", "support")[number % 4],
            "name": f"task {number}",
            "state": "input_required" if is_top else "working",
            "link": "live",
            "link_since": self.began,
            "turns": turns,
            "input_tokens": turns * 900,
            "output_tokens": turns * 80,
            "cost_usd": round(turns * 0.0031, 4),
            "cost_per_minute_usd": 0.12,
            "caps": {"cost_usd": 5.0, "turns": 200},
            "models": ["model-large"],
            "doing": f"http_get /v2/users?page={turns}",
            "waiting": {"kind": "approval", "what": "sql", "since": self.began, "id": None} if is_top else None,
            "pending_approvals": int(is_top),
            "started_at": self.began - number,
            "progress_at": time.time(),
            "points": [
                {
                    "name": "supervisor",
                    "link": "live",
                    "caps": ["kill_process", "pause", "freeze", "kill_cooperative"],
                    "heard_at": self.began,
                }
            ],
        }

    def change(self, updates: int) -> set[int]:
        """That many changes; gives which runs they fell on."""
        changed = set()
        for _ in range(updates):
            number = self.dice.randrange(TOP_ROWS if self.dice.random() < 0.2 else self.count)
            self.turns[number] += 1
            changed.add(number)
        return changed


class Server:
    """All consoles of one fleet."""

    def __init__(self, fleet: Fleet, updates_per_second: int) -> None:
        self._fleet = fleet
        self._updates = updates_per_second // DELTAS_PER_SECOND

    async def console(self, ws: ServerConnection) -> None:
        """One connection, to its end. The next delta follows the acknowledgement of the last: latest wins."""
        tasks: list[asyncio.Task[None]] = []
        acked = asyncio.Event()
        acked.set()
        try:
            async for message in ws:
                frame = json.loads(message)
                match frame["t"]:
                    case "hello":
                        await self._welcome(ws)
                    case "sub" if not frame.get("off"):
                        await self._snapshot(ws, frame)
                        if frame.get("view", "board") == "board":
                            tasks.append(asyncio.create_task(self._stream(ws, frame["sub"], acked)))
                    case "ack" if frame.get("sub"):
                        acked.set()
                    case "cmd":
                        print(json.dumps({"at": time.monotonic(), "do": frame["do"]}), flush=True)
                        res = {"t": "res", "cmd": frame["cmd"], "ok": True, "status": "accepted"}
                        await ws.send(json.dumps(res))
        except ConnectionClosed:
            pass
        finally:
            for task in tasks:
                task.cancel()

    async def _welcome(self, ws: ServerConnection) -> None:
        welcome = {
            "t": "welcome",
            "epoch": "e1",
            "conn": "c1",
            "principal": "bench",
            "role": "operator",
            "beat_seconds": 5.0,
            "time": time.time(),
        }
        await ws.send(json.dumps(welcome))

    async def _snapshot(self, ws: ServerConnection, sub: dict[str, Any]) -> None:
        numbers = range(self._fleet.count) if sub.get("view", "board") == "board" else range(0)
        starts = range(0, max(1, len(numbers)), PART_ROWS)
        for part, start in enumerate(starts):
            rows = [self._fleet.row(number) for number in numbers[start : start + PART_ROWS]]
            snap = {"t": "snap", "sub": sub["sub"], "epoch": "e1", "part": part, "rev": self._fleet.rev, "rows": rows}
            await ws.send(json.dumps(snap | {"end": part == len(starts) - 1}))

    async def _stream(self, ws: ServerConnection, sub: str, acked: asyncio.Event) -> None:
        due: set[int] = set()
        told, beat = self._fleet.rev, 0
        while True:
            await asyncio.sleep(1 / DELTAS_PER_SECOND)
            beat += 1
            due |= self._fleet.change(self._updates)
            if beat % DELTAS_PER_SECOND == 0:
                await ws.send(json.dumps({"t": "beat", "n": beat, "now": time.time()}))
            if not acked.is_set() or not due:
                continue
            acked.clear()
            self._fleet.rev += 1
            rows = [self._fleet.row(number) for number in due]
            due = set()
            await ws.send(
                json.dumps({"t": "delta", "sub": sub, "from_rev": told, "rev": self._fleet.rev, "rows": rows})
            )
            told = self._fleet.rev


async def main(runs: int, updates_per_second: int) -> None:
    """Serve until killed."""
    server = Server(Fleet(runs), updates_per_second)
    async with serve(
        server.console,
        "127.0.0.1",
        0,
        subprotocols=[SUBPROTOCOL],
        compression=None,
        max_size=2**22,  # type: ignore[list-item]
    ) as listening:
        print(json.dumps({"port": next(iter(listening.sockets)).getsockname()[1]}), flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
