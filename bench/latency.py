"""How long a held call takes to a console, and a decision back into the agent, under a steady load."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from bench.hub_process import hub_process
from bench.load import LoadPlan, load_process
from bench.operator import Operator, operator
from bench.result import Row, spread
from opsconsole.sdk import Run, connect

RATE = 2_000.0
RUNS = 1_000
CONNECTIONS = 100
BATCH = 5
P99_MS_MAX = 25.0
PAUSE_SECONDS = 0.02
WAIT_SECONDS = 20.0


def run(*, is_quick: bool) -> list[Row]:
    """The rows of this benchmark."""
    found = asyncio.run(_measured(60 if is_quick else 400))
    names = {
        "visible": "tool call proposed by the SDK -> its row at a console, p99",
        "resumed": "decision -> the agent goes on, audit entry fsynced, p99",
    }
    return [
        Row(
            bench="latency",
            what=f"{what}, at {RATE:,.0f} events/s",
            measured=found[name]["p99"],
            unit="ms",
            limit=P99_MS_MAX,
            more=found[name],
        )
        for name, what in names.items()
    ]


async def _measured(samples: int) -> dict[str, Any]:
    with hub_process() as hub:
        token = hub.token("agent")
        plan = LoadPlan(url=hub.url, token=token, runs=RUNS, connections=CONNECTIONS, batch=BATCH, rate=RATE)
        async with (
            load_process(plan) as load,
            operator(hub.url, hub.token("operator"), "board", "approvals") as console,
            connect(hub.url, token=token, data_dir=hub.data_dir / "agent") as sdk,
            sdk.run("latency", "waits for people") as agent,
        ):
            times = [await _one(agent, console, number) for number in range(samples)]
            sent = await load.end()
    rate = sent["events"] / sent["seconds"]
    return {
        "visible": spread([visible for visible, _ in times]) | {"events_per_second": rate},
        "resumed": spread([resumed for _, resumed in times]) | {"events_per_second": rate},
    }


async def _one(agent: Run, console: Operator, number: int) -> tuple[float, float]:
    resumed = 0.0

    async def execute(**_args: Any) -> str:
        nonlocal resumed
        resumed = time.monotonic()
        return "done"

    seen: asyncio.Future[tuple[float, dict[str, Any]]] = asyncio.get_running_loop().create_future()
    call = f"call_{number}"
    console.on_row = lambda view, row, at: _seen(seen, call, view, row, at)
    proposed = time.monotonic()
    calling = asyncio.create_task(agent.tool("shell", {"command": f"make deploy-{number}"}, execute, id=call))
    async with asyncio.timeout(WAIT_SECONDS):
        visible, row = await seen
        decided = time.monotonic()
        answer = await console.command("decide", approval=row["approval"], answer="approve", digest=row["digest"])
        assert answer["ok"], answer
        await calling
    await asyncio.sleep(PAUSE_SECONDS)
    return 1_000 * (visible - proposed), 1_000 * (resumed - decided)


def _seen(future: asyncio.Future[Any], call: str, view: str, row: dict[str, Any], at: float) -> None:
    if view == "approvals" and row["call"] == call and not future.done():
        future.set_result((at, row))
