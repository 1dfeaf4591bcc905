"""`kill -9` of a hub under load, round after round: what it acknowledged is there, whoever comes to look."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed

from opsconsole_storage.verify import verify
from tests.chaos.findings import entries, stored_events
from tests.chaos.hub import HubProcess
from tests.support.hub import AgentSocket, ConsoleSocket, RunningHub, eventually, held_port, note

ROUNDS = 8
LOAD_SECONDS = 0.4
ANSWERS_MIN = 2
"""Of each kind and round, however slow the machine: a hub that acknowledged nothing could lose nothing."""
BEAT_SECONDS = 10.0
"""Nobody here beats; what ends a connection is the kill."""
RUN = "run_kills"


async def _annotate(console: ConsoleSocket, numbers: Iterator[int], acknowledged: set[str]) -> None:
    """Ask for one audit entry after the other; remember those that the hub said are recorded."""
    while True:
        command = f"cmd_{next(numbers)}"
        res = await console.command(cmd=command, do="annotate", run=RUN, text=f"about {command}")
        assert res["ok"], res
        acknowledged.add(command)


async def _report(agent: AgentSocket, stored: list[int]) -> None:
    """Send events, and remember how many the hub said are stored."""

    async def send() -> None:
        while True:
            await agent.emit(*(note(f"event {number}") for number in range(20)))
            await asyncio.sleep(0.002)

    sending = asyncio.create_task(send())
    try:
        while True:
            stored.append((await agent.next("ack")).get("seq") or 0)
    finally:
        sending.cancel()


async def _until_killed(hub: HubProcess, numbers: Iterator[int], acknowledged: set[str], stored: list[int]) -> None:
    running = RunningHub(url=hub.url, data_dir=hub.data_dir)
    async with running.agent(run=RUN) as agent, running.console() as console:
        if not stored:
            await agent.begin()
        load = [asyncio.create_task(_annotate(console, numbers, acknowledged)) for _ in range(1)]
        load.append(asyncio.create_task(_report(agent, stored)))
        before = len(acknowledged), len(stored)
        await asyncio.sleep(LOAD_SECONDS)
        await eventually(lambda: min(len(acknowledged) - before[0], len(stored) - before[1]) >= ANSWERS_MIN)
        hub.kill()
        for ended in await asyncio.gather(*load, return_exceptions=True):
            assert isinstance(ended, ConnectionClosed), ended


@pytest.mark.slow
@pytest.mark.process
async def test_nothing_acknowledged_is_lost_however_often_the_hub_is_killed_under_load(tmp_path: Path) -> None:
    numbers = itertools.count(1)
    acknowledged: set[str] = set()
    stored: list[int] = []
    with held_port() as port:
        hub = HubProcess(tmp_path, port, beat_seconds=BEAT_SECONDS)
        for _ in range(ROUNDS):
            await hub.start()
            await _until_killed(hub, numbers, acknowledged, stored)
        await hub.start()
        await hub.stop()
    on_record = {entry["command"] for entry in entries(tmp_path) if entry.get("do") == "annotate"}
    in_log = [
        event["seq"]
        for batch in await stored_events(tmp_path)
        if batch.batch.run == RUN and batch.batch.gen == "sdk/g1"
        for event in json.loads(batch.batch.body)
    ]
    assert len(acknowledged) > ROUNDS
    assert acknowledged - on_record == set()
    assert in_log == list(range(1, len(in_log) + 1))
    assert len(in_log) >= max(stored)
    assert verify(tmp_path).ok
