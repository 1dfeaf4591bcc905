"""A hub, its gateway, a model and a shop in this process for one agent, and an operator who answers what it asks."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from http.server import ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, TypeVar

import httpx
import pytest

from opsconsole.demo import agent_loop, plain_loop
from opsconsole.demo.agent_loop import HUB, base_url_of
from opsconsole.demo.job import Job
from opsconsole.demo.model_server import ModelServer
from opsconsole.demo.scratch import make_scratch
from opsconsole.demo.shop_server import ShopServer
from opsconsole.gateway.serve import Service
from opsconsole.gateway.settings import GatewaySettings
from opsconsole.sdk import connect
from opsconsole.sdk.settings import agent_url
from tests.support.hub import RunningHub, running_hub

PATIENCE_SECONDS = 60.0
PLAIN_RUN = "shop-1"
T = TypeVar("T")
Decide = Callable[[dict[str, Any]], dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What one agent lives in."""

    root: Path
    hub: RunningHub
    shop: ShopServer
    http: httpx.AsyncClient

    async def perform(self, job: Job, task: str, decide: Decide) -> str:
        """The last words of an agent that uses the SDK; an operator gives `decide(approval)` to each question."""
        async with self._attended(decide), self._run(job) as run:
            return await agent_loop.work(run, job, task)

    async def perform_plainly(self, job: Job, task: str, decide: Decide) -> str:
        """The same of an agent that knows nothing of opsconsole."""
        async with self._attended(decide):
            return await plain_loop.work(job, task, base_url=base_url_of(PLAIN_RUN, job.agent))

    @asynccontextmanager
    async def _attended(self, decide: Decide) -> AsyncIterator[None]:
        operator = asyncio.create_task(self._answer_all(decide))
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                yield
        finally:
            operator.cancel()

    async def timeline(self, run: str) -> list[dict[str, Any]]:
        """The events that the hub has of a run."""
        found = (await self.http.get(f"/v1/runs/{run}/events", params={"limit": 500})).json()["events"]
        return [one["event"] for one in found]

    async def command(self, **command: Any) -> dict[str, Any]:
        body = {"cmd": f"cmd_{uuid.uuid4().hex}", **command}
        answer: dict[str, Any] = (await self.http.post("/v1/commands", json=body)).json()
        assert answer["ok"], answer
        return answer

    async def settled(self, command: str) -> None:
        """Return when every point has carried a command out."""

        async def is_settled() -> bool:
            return bool((await self.http.get(f"/v1/commands/{command}")).json()["settled"])

        await until(is_settled)

    async def approvals(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await self.http.get("/v1/approvals?status=pending")).json()["rows"]
        return found

    async def live_run(self) -> str:
        """The id of the only live run."""
        rows = await until(self._live_rows)
        return str(rows[0]["run"])

    async def only_run(self) -> str:
        """The id of the only run there was."""
        (row,) = (await self.http.get("/v1/runs")).json()["rows"]
        return str(row["run"])

    async def row_with_turns(self, run: str, turns: int) -> dict[str, Any]:
        """The row of a run once it has so many turns."""

        async def look() -> dict[str, Any] | None:
            row: dict[str, Any] = (await self.http.get(f"/v1/runs/{run}")).json()["row"]
            return row if row["turns"] >= turns else None

        row = await until(look)
        assert row is not None
        assert row["turns"] == turns
        return row

    async def turns(self, run: str, count: int) -> set[str]:
        """The turns of the model on a run's timeline, once there are so many."""

        async def look() -> set[str] | None:
            events = await self.timeline(run)
            found = {str(event["id"]) for event in events if event.get("kind") == "model_call"}
            return found if len(found) >= count else None

        found = await until(look)
        assert found is not None
        return found

    async def _live_rows(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = (await self.http.get("/v1/runs?live=1")).json()["rows"]
        return rows

    @asynccontextmanager
    async def _run(self, job: Job) -> AsyncIterator[Any]:
        token, data_dir = self.hub.token("agent"), self.root.parent / "agent"
        async with connect(self.hub.url, token=token, data_dir=data_dir) as hub, hub.run(agent=job.agent) as run:
            HUB.set(hub)
            yield run

    async def _answer_all(self, decide: Decide) -> None:
        while True:
            for row in await self.approvals():
                decision = decide(row)
                if decision:
                    await self.command(do="decide", approval=row["approval"], digest=row["digest"], **decision)
            await asyncio.sleep(0.01)


async def until(holds: Callable[[], Awaitable[T]]) -> T:
    """The first true value of `holds`, asked again and again. Raises: TimeoutError."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            if value := await holds():
                return value
            await asyncio.sleep(0.01)


@asynccontextmanager
async def world(tmp_path: Path, patch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    """Everything an agent needs, at its fastest."""
    root = tmp_path / "shop"
    make_scratch(root)
    model, shop = ModelServer(pace=0), ShopServer(root, pace=0)
    patch.setenv("OPSCONSOLE_DEMO_DIR", str(root))
    patch.setenv("OPSCONSOLE_DEMO_SHOP", shop.url)
    patch.setenv("OPENAI_API_KEY", "demo")
    patch.delenv("OPSCONSOLE_RUN", raising=False)
    with ExitStack() as servers:
        servers.enter_context(serving(model))
        servers.enter_context(serving(shop))
        async with (
            running_hub(tmp_path / "hub") as hub,
            hub.http() as http,
            _gateway(hub, tmp_path / "gateway", model.url) as gateway,
        ):
            patch.setenv("OPENAI_BASE_URL", f"{gateway.url}/r/any/any/openai/v1")
            yield World(root=root, hub=hub, shop=shop, http=http)


@asynccontextmanager
async def _gateway(hub: RunningHub, data_dir: Path, model: str) -> AsyncIterator[Service]:
    settings = GatewaySettings(
        hub=agent_url(hub.url),
        token=lambda: hub.token("gateway"),
        data_dir=data_dir,
        port=0,
        upstreams={"openai": model},
    )
    service = Service(settings)
    await service.start()
    try:
        yield service
    finally:
        await service.stop()


@contextmanager
def serving(server: ThreadingHTTPServer) -> Iterator[None]:
    """The server in a thread, and its end."""
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
