"""A gateway to test against: a real hub and a scripted upstream with it, all on loopback."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from openai import AsyncOpenAI

from opsconsole.gateway.serve import Service
from opsconsole.gateway.settings import GatewaySettings
from opsconsole.sdk.settings import agent_url
from tests.support.hub import PATIENCE_SECONDS, ConsoleSocket, RunningHub, eventually, running_hub
from tests.support.model_upstream import RunningUpstream, running_upstream

CALLS = iter(range(1, 1_000_000))


@dataclass
class Place:
    """What stands together."""

    hub: RunningHub
    gateway: Service
    upstream: RunningUpstream

    def base(self, run: str = "run_1", provider: str = "openai") -> str:
        """A base URL, as an agent is given it."""
        return f"{self.gateway.url}/r/{run}/tester/{provider}" + ("/v1" if provider == "openai" else "")

    def openai(self, run: str = "run_1", **more: Any) -> AsyncOpenAI:
        """The official client of an agent."""
        settings = {"base_url": self.base(run), "api_key": "sk-agent", "max_retries": 0} | more
        return AsyncOpenAI(**settings)

    async def row(self, run: str = "run_1") -> dict[str, Any]:
        """The hub's row of a run."""
        async with self.hub.http() as client:
            return dict((await client.get(f"/v1/runs/{run}")).json()["row"])

    async def timeline(self, run: str = "run_1") -> list[dict[str, Any]]:
        """What the hub has of a run."""
        async with self.hub.http() as client:
            stored = (await client.get(f"/v1/runs/{run}/events", params={"limit": 500})).json()["events"]
        return [one["event"] for one in stored]

    async def told(self, holds: Any, run: str = "run_1") -> dict[str, Any]:
        """The first event of the timeline for which `holds`."""
        found: list[dict[str, Any]] = []

        async def look() -> bool:
            async with self.hub.http() as client:
                answer = await client.get(f"/v1/runs/{run}/events", params={"limit": 500})
            events = [one["event"] for one in answer.json().get("events", [])]
            found[:] = [event for event in events if holds(event)]
            return bool(found)

        await until(look)
        return found[0]

    async def approval(self, run: str = "run_1") -> dict[str, Any]:
        """The next call that waits for a person."""
        rows: list[dict[str, Any]] = []

        async def look() -> bool:
            async with self.hub.http() as client:
                rows[:] = (await client.get("/v1/approvals", params={"run": run})).json()["rows"]
            return bool(rows)

        await until(look)
        return rows[0]

    async def command(self, do: str, run: str = "run_1", **more: Any) -> dict[str, Any]:
        """An operator's act."""
        body = {"cmd": f"cmd_test{next(CALLS)}", "do": do, **more}
        if do != "decide":
            body["run"] = run
        async with self.hub.http() as client:
            answer = (await client.post("/v1/commands", json=body)).json()
        assert answer.get("ok"), answer
        return dict(answer)

    async def decide(self, answer: str, run: str = "run_1", **more: Any) -> dict[str, Any]:
        """Decides on the next call that waits."""
        row = await self.approval(run)
        await self.command("decide", approval=row["approval"], digest=row["digest"], answer=answer, **more)
        return row

    def console(self) -> Any:
        """An operator's connection."""
        return self.hub.console()

    async def post(self, path: str, **more: Any) -> httpx.Response:
        """A plain request to the gateway."""
        async with httpx.AsyncClient(base_url=self.gateway.url, timeout=PATIENCE_SECONDS) as client:
            return await client.post(path, **more)


async def until(look: Any, seconds: float = PATIENCE_SECONDS) -> None:
    """Asks an async question again and again until the answer is yes."""
    async with asyncio.timeout(seconds):
        while True:
            if await look():
                return
            await asyncio.sleep(0.01)


@asynccontextmanager
async def running_place(data_dir: Path, **settings: Any) -> AsyncIterator[Place]:
    """All of it, until the end of the block."""
    with running_upstream() as upstream:
        async with (
            running_hub(data_dir / "hub") as hub,
            running_gateway(hub, upstream, data_dir, **settings) as gateway,
        ):
            yield Place(hub, gateway, upstream)


@asynccontextmanager
async def running_gateway(
    hub: RunningHub, upstream: RunningUpstream, data_dir: Path, **settings: Any
) -> AsyncIterator[Service]:
    """A gateway in this process, on a free port."""
    given: dict[str, Any] = {
        "hub": agent_url(hub.url),
        "token": lambda: hub.token("gateway"),
        "data_dir": data_dir / "gateway",
        "port": 0,
        "upstreams": {"openai": f"{upstream.url}/v1", "anthropic": upstream.url},
    }
    service = Service(GatewaySettings(**(given | settings)))
    await service.start()
    await eventually(lambda: service.runs.link.view.up)
    try:
        yield service
    finally:
        await service.stop()


__all__ = ["ConsoleSocket", "Place", "running_gateway", "running_place", "until"]
