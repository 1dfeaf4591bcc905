"""A hub whose disk takes no more bytes: it refuses to permit, still stops, and goes on when space returns."""

from __future__ import annotations

import asyncio
import resource
import sys
from pathlib import Path

import httpx
import pytest

from tests.chaos.findings import entries
from tests.support.hub import PATIENCE_SECONDS, RunningHub, hub_process

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(sys.platform != "linux", reason="another process's limits can be set on Linux only"),
]

NOTHING = (0, resource.RLIM_INFINITY)
EVERYTHING = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)


def _let_files_grow(hub: RunningHub, limits: tuple[int, int]) -> None:
    assert hub.process is not None
    resource.prlimit(hub.process.pid, resource.RLIMIT_FSIZE, limits)


async def _ready(hub: RunningHub, status: int) -> str:
    async with (
        httpx.AsyncClient(base_url=hub.url, timeout=PATIENCE_SECONDS) as client,
        asyncio.timeout(PATIENCE_SECONDS),
    ):
        response = await client.get("/readyz")
        while response.status_code != status:
            await asyncio.sleep(0.05)
            response = await client.get("/readyz")
    return response.text


async def test_on_a_full_disk_nothing_is_permitted_but_a_kill_acts(tmp_path: Path) -> None:
    with hub_process(tmp_path) as hub:
        async with hub.agent() as agent, hub.console() as console:
            await agent.begin(caps=("hold", "kill_cooperative"))
            await console.follow("approvals")
            await agent.propose("call_1", "shell", command="make deploy")
            row = await console.row(lambda row: row["call"] == "call_1")
            _let_files_grow(hub, NOTHING)
            decide = {"do": "decide", "approval": row["approval"], "answer": "approve", "digest": row["digest"]}
            refused = await console.command(cmd="cmd_approve", **decide)
            assert (refused["ok"], refused["code"]) == (False, "storage_failed")
            killed = await console.command(cmd="cmd_kill", do="kill", run="run_1")
            assert killed["ok"]
            said = [await agent.next("cmd"), await agent.next("cmd")]
            assert {frame["do"] for frame in said} == {"kill", "verdict"}
            assert [frame["outcome"] for frame in said if frame["do"] == "verdict"] == ["deny"]
            assert "not" in await _ready(hub, 503)
            _let_files_grow(hub, EVERYTHING)
            await _ready(hub, 200)
    kinds = [entry["kind"] for entry in entries(tmp_path) if entry.get("command") in ("cmd_approve", "cmd_kill")]
    assert "approval.decided" not in kinds
    assert any(kind.startswith("kill") for kind in kinds)


async def test_after_a_full_disk_events_and_decisions_go_on(tmp_path: Path) -> None:
    with hub_process(tmp_path) as hub:
        async with hub.agent() as agent:
            await agent.begin()
            _let_files_grow(hub, NOTHING)
            await agent.emit({"type": "note", "text": "written while the disk was full"})
            await _ready(hub, 503)
            _let_files_grow(hub, EVERYTHING)
            await _ready(hub, 200)
        async with hub.agent() as agent, hub.console() as console:
            await agent.stored(await agent.emit({"type": "note", "text": "written after"}))
            await console.follow("approvals")
            await agent.propose("call_2", "shell", command="make test")
            row = await console.row(lambda row: row["call"] == "call_2")
            decide = {"do": "decide", "approval": row["approval"], "answer": "approve", "digest": row["digest"]}
            assert (await console.command(cmd="cmd_after", **decide))["ok"]
            assert (await agent.next("cmd"))["outcome"] == "allow"
