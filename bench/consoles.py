"""What consoles cost the hub under a steady load, and that stalled ones cost it nothing."""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import AsyncExitStack
from typing import Any

from bench.hub_process import hub_process
from bench.load import LoadPlan, load_process
from bench.operator import operator, stalled_operator
from bench.result import Row

RATE = 2_000.0
RUNS = 1_000
CONNECTIONS = 100
BATCH = 20
"""Events a frame, as where durable events are measured."""
SMALL_BATCH = 5
"""What one turn of an agent gives at once: four times the frames for the same events."""
HEALTHY = 10
STALLED = 10
CPU_PERCENT_MAX = 15.0
MEMORY_MIB_MAX = 4.0
"""Noise of the allocator; ten queues of what was not read would be far above it."""
VIEWS = ("board", "approvals")
WARM_SECONDS = 3.0


def run(*, is_quick: bool) -> list[Row]:
    """The rows of this benchmark."""
    seconds = 6.0 if is_quick else 30.0
    without = asyncio.run(_measured(HEALTHY, 0, seconds, BATCH))
    found = asyncio.run(_measured(HEALTHY, STALLED, seconds, BATCH))
    alone = asyncio.run(_measured(0, 0, seconds, BATCH))
    small = asyncio.run(_measured(HEALTHY, STALLED, seconds, SMALL_BATCH))
    what = (
        f"CPU of the hub, {RATE:,.0f} events/s in batches of {BATCH}, {HEALTHY + STALLED} consoles, {STALLED} stalled"
    )
    return [
        Row(
            bench="consoles",
            what=what,
            measured=found["cpu_percent"],
            unit="% of a core",
            limit=CPU_PERCENT_MAX,
            more={"with_stalled": found, "without_stalled": without, "no_console": alone, "small_batches": small},
        ),
        Row(bench="consoles", what="the same without a console", measured=alone["cpu_percent"], unit="% of a core"),
        Row(
            bench="consoles",
            what=f"the same in batches of {SMALL_BATCH}",
            measured=small["cpu_percent"],
            unit="% of a core",
        ),
        Row(
            bench="consoles",
            what=f"memory of the hub for {STALLED} stalled consoles",
            measured=found["memory_growth_mib"] - without["memory_growth_mib"],
            unit="MiB",
            limit=MEMORY_MIB_MAX,
        ),
    ]


async def _measured(healthy: int, stalled: int, seconds: float, batch: int) -> dict[str, Any]:
    with hub_process() as hub:
        plan = LoadPlan(
            url=hub.url, token=hub.token("agent"), runs=RUNS, connections=CONNECTIONS, batch=batch, rate=RATE
        )
        async with load_process(plan) as load, AsyncExitStack() as stack:
            consoles = await _consoles_process(stack, hub.url, hub.token("operator"), healthy, stalled)
            await asyncio.sleep(WARM_SECONDS)
            before = hub.usage()
            await asyncio.sleep(seconds)
            after = hub.usage()
            frames = await _end(consoles)
            sent = await load.end()
    return {
        "cpu_percent": after.share_since(before),
        "memory_mib": after.memory_mib,
        "memory_growth_mib": after.memory_mib - before.memory_mib,
        "events_per_second": sent["events"] / sent["seconds"],
        "frames_to_consoles": frames,
    }


async def _consoles_process(
    stack: AsyncExitStack, url: str, token: str, healthy: int, stalled: int
) -> asyncio.subprocess.Process:
    plan = json.dumps({"url": url, "token": token, "healthy": healthy, "stalled": stalled})
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.consoles", plan, stdin=pipe, stdout=pipe
    )
    stack.callback(_end_process, process)
    assert process.stdout is not None
    await process.stdout.readline()
    return process


def _end_process(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.kill()


async def _end(process: asyncio.subprocess.Process) -> int:
    out, _ = await process.communicate(b"")
    return int(out)


async def _watch(plan: dict[str, Any]) -> None:
    """The consoles, in a process of their own, until standard input ends."""
    async with AsyncExitStack() as stack:
        watching = [
            await stack.enter_async_context(operator(plan["url"], plan["token"], *VIEWS))
            for _ in range(plan["healthy"])
        ]
        for _ in range(plan["stalled"]):
            await stack.enter_async_context(stalled_operator(plan["url"], plan["token"], *VIEWS))
        print("watching", flush=True)
        await asyncio.to_thread(sys.stdin.read)
        print(sum(console.frames for console in watching), flush=True)


if __name__ == "__main__":
    asyncio.run(_watch(json.loads(sys.argv[1])))
