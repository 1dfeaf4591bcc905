"""What an agent pays: a guarded call that is allowed, with its audit entry fsynced, and an event that is emitted."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from bench.hub_process import hub_process
from bench.result import Row, spread
from opsconsole.sdk import Run, connect, guard

ALLOWED_MS_MAX = 10.0
EMIT_US_MAX = 60.0
CONNECT_SECONDS = 10.0
EVENTS_A_ROUND = 200
"""Emitted at once, then the link may send: an agent does not emit for ever without a pause."""


@guard(name="read_file")
async def _read_file(path: str) -> str:
    return f"contents of {path}"


def run(*, is_quick: bool) -> list[Row]:
    """The rows of this benchmark."""
    found = asyncio.run(_measured(100 if is_quick else 1_000))
    return [
        Row(
            bench="guard",
            what="overhead of a guarded call that the hub allows (audit entry fsynced), median",
            measured=found["allowed"]["p50"],
            unit="ms",
            limit=ALLOWED_MS_MAX,
            more=found["allowed"],
        ),
        Row(
            bench="guard",
            what="emitting one event into the journal, median",
            measured=found["emit"]["p50"],
            unit="us",
            limit=EMIT_US_MAX,
            more=found["emit"],
        ),
    ]


async def _measured(samples: int) -> dict[str, Any]:
    with hub_process() as hub:
        async with (
            connect(hub.url, token=hub.token("agent"), data_dir=hub.data_dir / "agent") as sdk,
            sdk.run("guarded", "calls") as agent,
        ):
            if not await sdk.wait_connected(CONNECT_SECONDS):
                raise RuntimeError("the SDK did not reach the hub")
            allowed = [await _allowed(number) for number in range(samples)]
            emitted = [each for _ in range(10) for each in await _emitted(agent)]
    return {"allowed": spread(allowed), "emit": spread(emitted)}


async def _allowed(number: int) -> float:
    begin = time.perf_counter()
    await _read_file(f"/srv/report-{number}.txt")
    return 1_000 * (time.perf_counter() - begin)


async def _emitted(agent: Run) -> list[float]:
    times = []
    for number in range(EVENTS_A_ROUND):
        begin = time.perf_counter()
        await agent.note(f"step {number}: orders 41233, 41237 and 41250 have no customer; created by import 7")
        times.append(1e6 * (time.perf_counter() - begin))
    await asyncio.sleep(0.1)
    return times
