"""What the product adds to a kill: from the command to the proof at a console, beside the bare kill of such a tree."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psutil

from bench.hub_process import HubProcess, hub_process
from bench.load import LoadPlan, load_process
from bench.operator import Operator, operator
from bench.result import Row, spread

RATE = 2_000.0
LIVE_RUNS = 1_000
CONNECTIONS = 100
BATCH = 5
OVER_BARE_MS_MAX = 50.0
PROGRAM = Path(sys.executable).with_name("opsconsole")
LEVELS = 3
UP_SECONDS = 30.0
AT_ONCE = 4
"""Trees alive at a time, so that starting them does not wait for one another."""
LOOK_SECONDS = 0.0002
SETTLE_SECONDS = 0.2

TREE = """
import subprocess, sys, time
left = int(sys.argv[1]) - 1
if left:
    subprocess.Popen([sys.executable, "-I", "-S", "-c", open(sys.argv[2]).read(), str(left), sys.argv[2]])
else:
    print("up", flush=True)
time.sleep(600)
"""
"""A process whose child has a child, which says so."""


def run(*, is_quick: bool) -> list[Row]:
    """The rows of this benchmark."""
    found = asyncio.run(_measured(8 if is_quick else 60))
    bare, killed = found["bare_ms"], found["killed_ms"]
    what = f"kill --now of a {LEVELS}-level tree, command -> proof at the console"
    return [
        Row(
            bench="kill",
            what=f"{what}: p99 over the bare kill's median, {RATE:,.0f} events/s, {LIVE_RUNS:,} runs",
            measured=killed["p99"] - bare["p50"],
            unit="ms",
            limit=OVER_BARE_MS_MAX,
            more=found,
        ),
        Row(bench="kill", what="the same, in all, p99", measured=killed["p99"], unit="ms"),
        Row(bench="kill", what="bare freeze-and-kill of such a tree, median", measured=bare["p50"], unit="ms"),
        Row(
            bench="kill",
            what="the ladder's own share, by the receipt, p99",
            measured=found["receipt_ms"]["p99"],
            unit="ms",
        ),
    ]


async def _measured(samples: int) -> dict[str, Any]:
    with hub_process() as hub:
        script = hub.data_dir / "tree.py"
        script.write_text(TREE)
        plan = LoadPlan(
            url=hub.url,
            token=hub.token("agent"),
            runs=LIVE_RUNS,
            connections=CONNECTIONS,
            batch=BATCH,
            rate=RATE,
        )
        async with (
            load_process(plan) as load,
            operator(hub.url, hub.token("operator"), "board", "approvals") as console,
        ):
            bare = [await asyncio.to_thread(_bare_ms, script) for _ in range(samples)]
            killed: list[float] = []
            receipts: list[float] = []
            while len(killed) < samples:
                async with _supervised(hub, script, console) as (runs, processes):
                    for gone, one in enumerate(runs, 1):
                        await asyncio.sleep(SETTLE_SECONDS)
                        total, receipt = await _kill(console, one)
                        killed.append(total)
                        receipts.append(receipt)
                        await _ended(processes, gone)
            sent = await load.end()
    return {
        "bare_ms": spread(bare),
        "killed_ms": spread(killed),
        "receipt_ms": spread(receipts),
        "events_per_second": sent["events"] / sent["seconds"],
    }


async def _kill(console: Operator, one: str) -> tuple[float, float]:
    """Milliseconds from the command to the row that shows the proof, and those on the supervisor's receipt."""
    begin = time.monotonic()
    answer = await console.command("kill", run=one, mode="now", note="bench")
    assert answer["ok"], answer
    row = await console.row("board", one, lambda row: (row.get("kill") or {}).get("status") == "dead")
    total = 1_000 * (time.monotonic() - begin)
    assert row["kill"]["proof"] == "process", row["kill"]
    return total, sum(line["ms"] for line in row["kill"]["points"])


@asynccontextmanager
async def _supervised(
    hub: HubProcess, script: Path, console: Operator
) -> AsyncIterator[tuple[list[str], list[asyncio.subprocess.Process]]]:
    """Some trees under `opsconsole run`, known to the hub and grown to their full height; their runs."""
    mark = f"tree-{secrets.token_hex(4)}"
    environment = os.environ | {"OPSCONSOLE_HUB": hub.url, "OPSCONSOLE_DATA_DIR": str(hub.data_dir)}
    command = [str(PROGRAM), "run", "--agent", mark, "--", *_tree(script)]
    pipe = asyncio.subprocess.PIPE
    processes = [
        await asyncio.create_subprocess_exec(*command, stdout=pipe, stderr=subprocess.DEVNULL, env=environment)
        for _ in range(AT_ONCE)
    ]
    try:
        async with asyncio.timeout(UP_SECONDS):
            for process in processes:
                assert process.stdout is not None
                await process.stdout.readline()
            yield await _runs_of(console, mark), processes
            await asyncio.gather(*(process.wait() for process in processes))
    finally:
        for process in processes:
            if process.returncode is None:
                process.kill()


async def _ended(processes: list[asyncio.subprocess.Process], count: int) -> None:
    """Wait until so many supervisors have gone: the teardown of one is not part of the next kill."""
    ends = [asyncio.ensure_future(process.wait()) for process in processes]
    for nth, end in enumerate(asyncio.as_completed(ends), 1):
        await end
        if nth == count:
            break


async def _runs_of(console: Operator, agent: str) -> list[str]:
    while True:
        rows = [row for row in console.rows["board"].values() if row["agent"] == agent and row["state"] == "working"]
        if len(rows) == AT_ONCE:
            return [row["run"] for row in rows]
        await asyncio.sleep(0.01)


def _tree(script: Path) -> list[str]:
    return [sys.executable, "-I", "-S", "-c", TREE, str(LEVELS), str(script)]


def _bare_ms(script: Path) -> float:
    """Stop, kill and wait, with nothing around it."""
    with subprocess.Popen(_tree(script), stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(SETTLE_SECONDS)
        begin = time.monotonic()
        root = psutil.Process(process.pid)
        tree = [root, *root.children(recursive=True)]
        assert len(tree) == LEVELS
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for one in tree:
                one.send_signal(number)
        while any(_lives(one) for one in tree):
            time.sleep(LOOK_SECONDS)
        return 1_000 * (time.monotonic() - begin)


def _lives(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
