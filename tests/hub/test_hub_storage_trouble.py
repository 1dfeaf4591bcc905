"""When the disk refuses: the hub lives on, says so, still stops what must stop, permits nothing, and loses nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from opsconsole_storage import DiskFull, MemoryStore
from tests.support.hub import RunningHub, eventually, note, quick, running_hub, working


@dataclass(frozen=True, slots=True)
class Trouble:
    """A hub whose disk a test fills and frees."""

    hub: RunningHub
    store: MemoryStore

    def fill(self) -> None:
        self.store.refuse(DiskFull("no space left on device"))

    def free(self) -> None:
        self.store.refuse(None)

    @property
    def problem(self) -> str:
        assert self.hub.service is not None
        return self.hub.service.not_ready()


@pytest.fixture
async def trouble(tmp_path: Path) -> AsyncIterator[Trouble]:
    store = MemoryStore()
    async with running_hub(tmp_path, store=store, limits=quick(storage_retry_seconds=0.02)) as hub:
        yield Trouble(hub, store)
        store.refuse(None)


async def entries(client: httpx.AsyncClient, query: str, number: int) -> list[dict[str, Any]]:
    """What the audit holds, once it holds so many."""
    async with asyncio.timeout(30.0):
        while True:
            found: list[dict[str, Any]] = (await client.get(f"/v1/audit?{query}")).json()["entries"]
            if len(found) >= number:
                return found
            await asyncio.sleep(0.02)


async def test_a_full_disk_makes_the_hub_unready_until_space_returns(trouble: Trouble) -> None:
    async with trouble.hub.agent() as agent, trouble.hub.http() as client:
        await agent.begin()
        trouble.fill()
        await agent.emit(note("x"))
        await eventually(lambda: trouble.problem)
        refused = await client.get("/readyz")
        assert (refused.status_code, "no space left" in refused.json()["error"]["message"]) == (503, True)
        assert (await client.get("/healthz")).status_code == 200
        trouble.free()
        await eventually(lambda: not trouble.problem)
        assert (await client.get("/readyz")).status_code == 200


async def test_an_event_is_not_acknowledged_before_it_is_stored(trouble: Trouble) -> None:
    async with trouble.hub.agent() as agent:
        await agent.begin()
        trouble.fill()
        last = await agent.emit(note("x"))
        await eventually(lambda: trouble.problem)
        trouble.free()
        await agent.stored(last)
    stored = await trouble.store.events.read(0, 100, "run_1")
    assert [one.batch.first_seq for one in stored if one.batch.gen == "sdk/g1"] == [1, last]


async def test_frames_left_during_an_outage_are_sent_again_and_none_is_lost(trouble: Trouble) -> None:
    async with trouble.hub.agent() as agent:
        await agent.begin()
        trouble.fill()
        await agent.emit(note("taken"))
        await eventually(lambda: trouble.problem)
        await agent.emit(note("left"))
        assert trouble.hub.service is not None
        counts = trouble.hub.service.parts.hub.counts
        await eventually(lambda: counts.frames_dropped)
        trouble.free()
        bye = await agent.next("bye")
        assert (bye["code"], bye["reconnect"]) == (4000, True)
    async with trouble.hub.agent() as agent:
        assert agent.seq == 3
        await agent.stored(await agent.emit(note("left")))
    async with trouble.hub.http() as client:
        events = (await client.get("/v1/runs/run_1/events")).json()["events"]
    texts = [row["event"]["text"] for row in events if row["event"]["type"] == "note"]
    assert texts == ["taken", "left"]


async def test_a_kill_acts_although_nothing_can_be_written(trouble: Trouble) -> None:
    async with trouble.hub.agent() as agent, trouble.hub.console() as console:
        await agent.begin()
        trouble.fill()
        await console.send(t="cmd", cmd="cmd_1", do="kill", run="run_1")
        kill = await agent.next("cmd")
        assert kill["do"] == "kill"
        await agent.send(t="res", cmd=kill["cmd"], run="run_1", ok=True, status="applied", proof="cooperative")
        await console.follow("board")
        trouble.free()
        async with trouble.hub.http() as client:
            report = (await client.get("/v1/commands/cmd_1?wait=30")).json()
            assert report["runs"][0]["proof"] == "cooperative"


async def test_a_kill_is_in_the_audit_once_space_returns(trouble: Trouble) -> None:
    async with trouble.hub.agent() as agent, trouble.hub.console() as console:
        await agent.begin()
        trouble.fill()
        await console.send(t="cmd", cmd="cmd_1", do="kill", run="run_1")
        await agent.next("cmd")
        trouble.free()
        async with trouble.hub.http() as client:
            assert await entries(client, "text=cmd_1", 1)


async def test_an_approval_permits_nothing_that_is_not_on_record(trouble: Trouble) -> None:
    async with trouble.hub.agent() as agent, trouble.hub.console() as console:
        await agent.begin()
        await console.follow("approvals")
        await agent.propose(command="ls")
        row = await console.row(lambda row: "approval" in row)
        trouble.fill()
        decision = {"do": "decide", "approval": row["approval"], "answer": "approve", "digest": row["digest"]}
        res = await console.command(cmd="cmd_1", **decision)
        assert (res["ok"], res["code"]) == (False, "storage_failed")
        trouble.free()
        assert (await console.command(cmd="cmd_2", **decision))["ok"]
        assert (await agent.next("cmd"))["outcome"] == "allow"


async def test_an_outage_is_itself_in_the_audit(trouble: Trouble) -> None:
    assert trouble.hub.service is not None
    upkeep = trouble.hub.service.parts.upkeep
    async with trouble.hub.agent() as agent, trouble.hub.http() as client:
        await agent.begin()
        trouble.fill()
        await agent.emit(working(), note("x"))
        await eventually(lambda: trouble.problem)
        await upkeep._look_at_storage()
        trouble.free()
        await eventually(lambda: not trouble.problem)
        await upkeep._look_at_storage()
        kinds = {entry["kind"] for entry in await entries(client, "kind=storage.", 2)}
    assert kinds == {"storage.failed", "storage.recovered"}


async def test_lines_of_the_hub_beyond_what_may_wait_for_a_full_disk_are_told_as_missing(tmp_path: Path) -> None:
    store = MemoryStore()
    limits = quick(storage_retry_seconds=0.02, storage_batches_max=5)
    async with running_hub(tmp_path, store=store, limits=limits) as hub, hub.agent() as agent:
        await agent.begin()
        store.refuse(DiskFull("no space left on device"))
        assert hub.service is not None
        recorder = hub.service.parts.hub.recorder
        for _ in range(20):
            await agent.send(t="detach", run="run_1")
            await agent.send(t="attach", runs=[{"run": "run_1", "gen": "g1"}])
            await agent.next("ack")
        assert (bool(recorder.events_problem), recorder.batches_waiting) == (True, 5)
        store.refuse(None)
        async with hub.http() as client:
            (gap,) = await entries(client, "kind=events.gap", 1)
        await eventually(lambda: not recorder.batches_waiting)
        async with hub.http() as client:
            events = (await client.get("/v1/runs/run_1/events")).json()["events"]
    assert gap["dropped"] == 15
    assert [one["event"]["data"] for one in events if one["event"]["type"] == "note"] == [{"lines": 15}]
