"""Durable events through a whole hub, beside the same events written by a bare loop of executemany in the same run."""

from __future__ import annotations

import asyncio
import sqlite3
import statistics
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench import workload
from bench.hub_process import hub_process
from bench.load import GEN, OPENING_EVENTS, LoadPlan, load_process
from bench.result import Row

RUNS = 2_000
BATCH = 20
LARGE_BATCH = 500
ROUNDS = 3
"""Each beside its own bare loops, before and after: other work on the machine then counts on both sides."""
CONNECTIONS = 50
EVENTS_PER_SECOND_MIN = 50_000.0
RATIO_MIN = 0.5


def run(*, is_quick: bool) -> list[Row]:
    """The rows of this benchmark."""
    per_run = 60 if is_quick else 200
    rounds = [(bare_loop(RUNS, per_run, BATCH), asyncio.run(_through_hub(per_run))) for _ in range(ROUNDS)]
    bares = [*(bare for bare, _ in rounds), bare_loop(RUNS, per_run, BATCH)]
    bare_large = bare_loop(RUNS, per_run, LARGE_BATCH)
    rates = [found["events"] / found["seconds"] for _, found in rounds]
    rate, bare = statistics.median(rates), statistics.median(bares)
    ratio = statistics.median(rates[i] / ((bares[i] + bares[i + 1]) / 2) for i in range(ROUNDS))
    cpu_us = statistics.median(1e6 * found["cpu_seconds"] / found["events"] for _, found in rounds)
    more = {
        "rates": rates,
        "bare_rates_batch_20": bares,
        "bare_rate_batch_500": bare_large,
        "batch": BATCH,
        "connections": CONNECTIONS,
        "memory_mib": max(found["memory_mib"] for _, found in rounds),
    }
    what = f"durable events through the hub, batch {BATCH}, {RUNS:,} runs"
    return [
        Row(
            bench="events",
            what=what,
            measured=rate,
            unit="/s",
            limit=EVENTS_PER_SECOND_MIN,
            sense="at least",
            more=more,
        ),
        Row(
            bench="events",
            what=f"the same beside a bare executemany loop, batch {BATCH} ({bare:,.0f}/s)",
            measured=ratio,
            unit="x",
            limit=RATIO_MIN,
            sense="at least",
        ),
        Row(bench="events", what=f"the bare loop at batch {LARGE_BATCH}", measured=bare_large, unit="/s"),
        Row(
            bench="events",
            what="CPU of the hub for an event",
            measured=cpu_us,
            unit="us",
        ),
    ]


async def _through_hub(per_run: int) -> dict[str, Any]:
    with hub_process() as hub:
        plan = LoadPlan(
            url=hub.url,
            token=hub.token("agent"),
            runs=RUNS,
            connections=CONNECTIONS,
            batch=BATCH,
            events_per_run=per_run,
        )
        async with load_process(plan) as load:
            before = hub.usage()
            found = await load.go()
            after = hub.usage()
    return found | {
        "cpu_seconds": after.cpu_seconds - before.cpu_seconds,
        "memory_mib": after.memory_mib,
    }


def bare_loop(runs: int, per_run: int, batch: int) -> float:
    """Events a second written as rows by executemany, a commit a batch, WAL and synchronous=NORMAL."""
    batches = [
        [(f"run_bench_{number:05}", GEN, seq, event) for seq, event in enumerate(items, first)]
        for first in range(OPENING_EVENTS + 1, OPENING_EVENTS + 1 + per_run, batch)
        for items in [workload.events(first, min(batch, OPENING_EVENTS + 1 + per_run - first), time.time())]
        for number in range(runs)
    ]
    with TemporaryDirectory(prefix="opsconsole-bench-") as directory:
        connection = sqlite3.connect(Path(directory) / "bare.db", isolation_level=None)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute(
            "CREATE TABLE event (rev INTEGER PRIMARY KEY, run TEXT NOT NULL, gen TEXT NOT NULL, seq INTEGER NOT NULL,"
            " body TEXT NOT NULL)"
        )
        connection.execute("CREATE INDEX event_run ON event (run, seq)")
        begin = time.monotonic()
        for rows in batches:
            connection.execute("BEGIN")
            connection.executemany("INSERT INTO event (run, gen, seq, body) VALUES (?, ?, ?, ?)", rows)
            connection.execute("COMMIT")
        seconds = time.monotonic() - begin
        connection.close()
    return sum(len(rows) for rows in batches) / seconds
