"""A hub, a model and a shop in this process for one agent, and an operator who answers what it asks."""

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

from opsconsole.demo.agent_loop import HUB, Job, work
from opsconsole.demo.model_server import ModelServer
from opsconsole.demo.scratch import make_scratch
from opsconsole.demo.shop_server import ShopServer
from opsconsole.sdk import connect
from tests.support.hub import RunningHub, running_hub

PATIENCE_SECONDS = 20.0
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
        """The agent's last words on a task, with an operator who gives `decide(approval)` to each approval."""
        operator = asyncio.create_task(self._answer_all(decide))
        try:
            async with asyncio.timeout(PATIENCE_SECONDS), self._run(job) as run:
                return await work(run, job, task)
        finally:
            operator.cancel()

    async def command(self, **command: Any) -> dict[str, Any]:
        body = {"cmd": f"cmd_{uuid.uuid4().hex}", **command}
        answer: dict[str, Any] = (await self.http.post("/v1/commands", json=body)).json()
        assert answer["ok"], answer
        return answer

    async def approvals(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await self.http.get("/v1/approvals?status=pending")).json()["rows"]
        return found

    async def live_run(self) -> str:
        """The id of the only live run."""
        rows = await until(self._live_rows)
        return str(rows[0]["run"])

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
    patch.setenv("OPENAI_BASE_URL", model.url)
    patch.setenv("OPENAI_API_KEY", "demo")
    patch.delenv("OPSCONSOLE_RUN", raising=False)
    with ExitStack() as servers:
        servers.enter_context(serving(model))
        servers.enter_context(serving(shop))
        async with running_hub(tmp_path / "hub") as hub, hub.http() as http:
            yield World(root=root, hub=hub, shop=shop, http=http)


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
