"""The load: many runs of many points in a process of its own, as fast as the hub takes it or at a steady rate.

Usage: python -m bench.load JSON. It prints one JSON line when the runs are there, and one at the end.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from typing import Any

from bench import workload
from bench.peer import Peer, connected, serialised

GEN = "g1"
WAIT_SECONDS = 20.0
"""Without news of the hub; below the time after which it takes a silent point for gone."""
OPENING_EVENTS = 2
ATTACHES_AT_ONCE = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadPlan:
    """What to send. With `rate` 0 everything at once and as fast as possible; else until standard input ends."""

    url: str
    token: str
    runs: int
    connections: int
    batch: int
    events_per_run: int = 0
    rate: float = 0.0
    prefix: str = "run_bench"


class Load:
    """One generator."""

    def __init__(self, plan: LoadPlan) -> None:
        self.plan = plan
        self.runs = [f"{plan.prefix}_{number:05}" for number in range(plan.runs)]
        self.acked: dict[str, int] = dict.fromkeys(self.runs, 0)
        self.peers: list[Peer] = []
        self.last_ack = 0.0
        self.total_acked = 0
        self._wanted = 0
        self._all = asyncio.Event()

    def _on_ack(self, run: str, seq: int) -> None:
        before = self.acked[run]
        if seq <= before:
            return
        self.acked[run] = seq
        self.total_acked += seq - before
        self.last_ack = time.monotonic()
        if self.total_acked >= self._wanted:
            self._all.set()

    async def acknowledged(self, events: int) -> None:
        """Wait until so many events are stored. Raises: RuntimeError."""
        self._wanted = events
        if self.total_acked < events:
            self._all.clear()
            try:
                async with asyncio.timeout(WAIT_SECONDS):
                    await self._all.wait()
            except TimeoutError:
                raise RuntimeError(f"{events - self.total_acked} of {events} events were not acknowledged") from None

    def of(self, number: int) -> list[str]:
        """The runs of one connection."""
        return self.runs[number :: self.plan.connections]

    async def open(self) -> None:
        """Connect, and begin every run."""
        for first in range(0, self.plan.connections, ATTACHES_AT_ONCE):
            numbers = range(first, min(first + ATTACHES_AT_ONCE, self.plan.connections))
            self.peers += await asyncio.gather(*(self._connect(number) for number in numbers))
        for number, peer in enumerate(self.peers):
            for run in self.of(number):
                await peer.put(serialised(workload.frame(run, GEN, workload.opening(run))))
        await self.acknowledged(OPENING_EVENTS * len(self.runs))

    async def _connect(self, number: int) -> Peer:
        runs = [{"run": run, "gen": GEN} for run in self.of(number)]
        hello = {"t": "hello", "client": "bench", "point": "sdk", "proc": {"host": "bench", "pid": os.getpid()}}
        return await connected(
            self.plan.url, self.plan.token, self._on_ack, json.dumps(hello | {"runs": runs}).encode()
        )

    async def flood(self) -> dict[str, Any]:
        """Everything at once; how long until the last event was acknowledged."""
        plan = self.plan
        streams = [self._frames(number) for number in range(len(self.peers))]
        told = await asyncio.to_thread(sys.stdin.readline)
        assert told, "nobody said go"
        gc.disable()
        begin = time.monotonic()
        await asyncio.gather(*(_pour(peer, stream) for peer, stream in zip(self.peers, streams, strict=True)))
        await self.acknowledged((OPENING_EVENTS + plan.events_per_run) * len(self.runs))
        return {"seconds": self.last_ack - begin, "events": plan.events_per_run * len(self.runs)}

    def _frames(self, number: int) -> list[bytes]:
        plan, frames = self.plan, []
        for first in range(OPENING_EVENTS + 1, OPENING_EVENTS + 1 + plan.events_per_run, plan.batch):
            count = min(plan.batch, OPENING_EVENTS + 1 + plan.events_per_run - first)
            items = workload.events(first, count, time.time())
            frames += [serialised(workload.frame(run, GEN, items)) for run in self.of(number)]
        return frames

    async def steady(self) -> dict[str, Any]:
        """Batches at the rate, run after run, until standard input ends."""
        ended = asyncio.ensure_future(asyncio.to_thread(sys.stdin.read))
        plan, begin, sent = self.plan, time.monotonic(), 0
        next_seq = dict.fromkeys(self.runs, OPENING_EVENTS + 1)
        peer_of = {run: peer for number, peer in enumerate(self.peers) for run in self.of(number)}
        while not ended.done():
            run = self.runs[(sent // plan.batch) % len(self.runs)]
            items = workload.events(next_seq[run], plan.batch, time.time())
            await peer_of[run].put(serialised(workload.frame(run, GEN, items)))
            next_seq[run] += plan.batch
            sent += plan.batch
            ahead = begin + sent / plan.rate - time.monotonic()
            if ahead > 0:
                await asyncio.sleep(ahead)
        await self.acknowledged(OPENING_EVENTS * len(self.runs) + sent)
        return {"seconds": self.last_ack - begin, "events": sent}


async def _pour(peer: Peer, frames: list[bytes]) -> None:
    for data in frames:
        await peer.put(data)


async def _main(plan: LoadPlan) -> None:
    load = Load(plan)
    await load.open()
    print(json.dumps({"open": len(load.runs)}), flush=True)
    found = await (load.steady() if plan.rate else load.flood())
    print(json.dumps(found), flush=True)
    for peer in load.peers:
        peer.close()


class LoadProcess:
    """The generator, seen from the benchmark."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def told(self) -> dict[str, Any]:
        """Its next line. Raises: RuntimeError when it failed."""
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the load generator ended with {await self._process.wait()}")
        found: dict[str, Any] = json.loads(line)
        return found

    async def go(self) -> dict[str, Any]:
        """Let a flood begin; what it found."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"go\n")
        return await self.told()

    async def end(self) -> dict[str, Any]:
        """Let a steady load end; what it found."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        return await self.told()


@asynccontextmanager
async def load_process(plan: LoadPlan) -> AsyncIterator[LoadProcess]:
    """A generator whose runs have all begun."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "bench.load",
        json.dumps(asdict(plan)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        load = LoadProcess(process)
        await load.told()
        yield load
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


if __name__ == "__main__":
    asyncio.run(_main(LoadPlan(**json.loads(sys.argv[1]))))
