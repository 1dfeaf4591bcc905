"""A hub to test against: in this process on a free port, or as a real process; with its URL and tokens."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from subprocess import DEVNULL, Popen
from typing import Any

import httpx
from websockets.asyncio.client import ClientConnection, connect

from opsconsole.domain.command import Role
from opsconsole.domain.digest import call_digest
from opsconsole.hub.service import Service
from opsconsole.hub.settings import HubSettings, ShellLimits
from opsconsole_storage import Store

PATIENCE_SECONDS = 60.0
"""How long a test waits for what must come, on a machine that does much else."""

SERVE = """
import sys
from pathlib import Path
from opsconsole.hub.serve import serve
from opsconsole.hub.settings import HubSettings
sys.exit(serve(HubSettings(data_dir=Path(sys.argv[1]), host=sys.argv[2], port=int(sys.argv[3]))))
"""


async def eventually(holds: Callable[[], Any], seconds: float = PATIENCE_SECONDS) -> Any:
    """The first true value of `holds`, asked again and again. Raises: TimeoutError."""
    async with asyncio.timeout(seconds):
        while True:
            value = holds()
            if value:
                return value
            await asyncio.sleep(0.005)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningHub:
    """Where a hub is, and the tokens that its first start wrote."""

    url: str
    data_dir: Path
    service: Service | None = None
    """The hub itself, when it runs in this process."""
    process: Popen[bytes] | None = None

    def token(self, role: str = "operator") -> str:
        """The bootstrap token of a role: operator, admin or agent."""
        return (self.data_dir / f"{role}.token").read_text().strip()

    @property
    def ws_url(self) -> str:
        """The URL for WebSockets."""
        return self.url.replace("http", "ws", 1)

    def http(self, role: str = "operator", token: str | None = None) -> httpx.AsyncClient:
        """A client with a token."""
        headers = {"Authorization": f"Bearer {token or self.token(role)}"}
        return httpx.AsyncClient(base_url=self.url, headers=headers, timeout=PATIENCE_SECONDS)

    @asynccontextmanager
    async def socket(self, path: str, token: str, **options: Any) -> AsyncIterator[Socket]:
        """A WebSocket that has said nothing yet."""
        headers = {"Authorization": f"Bearer {token}"}
        options = {"subprotocols": ["opsconsole.v1"], "additional_headers": headers, "max_size": 2**21} | options
        options |= {"compression": None, "proxy": None, "max_queue": None, "close_timeout": 1.0}
        options = {"open_timeout": PATIENCE_SECONDS} | options
        async with connect(f"{self.ws_url}{path}", **options) as raw:
            yield Socket(raw)

    @asynccontextmanager
    async def agent(
        self, run: str = "run_1", gen: str = "g1", point: str = "sdk", token: str | None = None
    ) -> AsyncIterator[AgentSocket]:
        """A point that has been welcomed and speaks for one run."""
        async with self.socket("/v1/agent", token or self.token("agent")) as plain:
            agent = AgentSocket(plain.raw, run=run, gen=gen)
            await agent.send(t="hello", point=point, runs=[{"run": run, "gen": gen}])
            agent.welcome = await agent.next("welcome")
            agent.seq = agent.welcome["acked"].get(run, 0)
            yield agent

    @asynccontextmanager
    async def console(self, token: str | None = None) -> AsyncIterator[ConsoleSocket]:
        """An operator's connection that has been welcomed."""
        async with self.socket("/v1/operator", token or self.token()) as plain:
            console = ConsoleSocket(plain.raw)
            await console.send(t="hello", client="test")
            console.welcome = await console.next("welcome")
            yield console


class Socket:
    """A WebSocket of frames as plain dicts."""

    def __init__(self, raw: ClientConnection) -> None:
        self.raw = raw
        self.welcome: dict[str, Any] = {}

    async def send(self, **frame: Any) -> None:
        """Send one frame."""
        await self.raw.send(json.dumps(frame, separators=(",", ":")))

    async def receive(self, seconds: float = PATIENCE_SECONDS) -> dict[str, Any]:
        """The next frame. Raises: TimeoutError, ConnectionClosed."""
        async with asyncio.timeout(seconds):
            frame: dict[str, Any] = json.loads(await self.raw.recv())
            return frame

    async def next(self, t: str, seconds: float = PATIENCE_SECONDS) -> dict[str, Any]:
        """The next frame of a type; others are passed over."""
        async with asyncio.timeout(seconds):
            while True:
                frame = await self.receive(seconds)
                if frame["t"] == t:
                    return frame

    async def closed(self) -> tuple[int, str]:
        """Read to the end; the close code and reason."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            await self.raw.wait_closed()
        return self.raw.close_code or 0, self.raw.close_reason or ""


class AgentSocket(Socket):
    """A point's socket that counts its events."""

    def __init__(self, raw: ClientConnection, *, run: str, gen: str) -> None:
        super().__init__(raw)
        self.run = run
        self.gen = gen
        self.seq = 0

    async def emit(self, *events: dict[str, Any]) -> int:
        """Send events in one frame; the last sequence number."""
        numbered = []
        for event in events:
            self.seq += 1
            numbered.append({"seq": self.seq, "ts": time.time(), **event})
        await self.send(t="event", run=self.run, gen=self.gen, events=numbered)
        return self.seq

    async def begin(self, agent: str = "tester", caps: tuple[str, ...] = ("hold", "pause", "inject")) -> None:
        """State the run and wait until that is stored."""
        await self.stored(await self.emit({"type": "run", "agent": agent, "caps": list(caps)}, working()))

    async def stored(self, seq: int) -> None:
        """Wait until the hub has acknowledged `seq`."""
        while True:
            ack = await self.next("ack")
            if ack["run"] == self.run and ack.get("seq", 0) >= seq:
                return

    async def propose(self, call: str = "call_1", tool: str = "shell", **args: Any) -> None:
        """Ask the gate for one call."""
        await self.emit(proposal(call, tool, args))


class ConsoleSocket(Socket):
    """An operator's socket."""

    async def follow(self, view: str, **more: Any) -> dict[str, Any]:
        """Subscribe (as `view`) and give the whole snapshot or first delta, acknowledged."""
        await self.send(t="sub", sub=more.pop("sub", view), view=view, **more)
        return await self.update()

    async def update(self) -> dict[str, Any]:
        """The next snap (its parts joined) or delta, acknowledged."""
        rows: list[Any] = []
        while True:
            frame = await self.receive()
            if frame["t"] not in ("snap", "delta"):
                continue
            await self.send(t="ack", sub=frame["sub"], rev=frame["rev"])
            rows += frame["rows"]
            if frame["t"] == "delta" or frame["end"]:
                return frame | {"rows": rows}

    async def row(self, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The first row among the coming updates for which `holds`."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                for row in (await self.update())["rows"]:
                    if holds(row):
                        return dict(row)

    async def command(self, **command: Any) -> dict[str, Any]:
        """Give a command and wait for its answer."""
        await self.send(t="cmd", **command)
        while True:
            res = await self.next("res")
            if res["cmd"] == command["cmd"]:
                return res


def working() -> dict[str, Any]:
    """The event of a run that works."""
    return {"type": "state", "state": "working"}


def note(text: str) -> dict[str, Any]:
    """An event that changes nothing but the timeline."""
    return {"type": "note", "text": text}


def proposal(call: str, tool: str, args: dict[str, Any]) -> dict[str, Any]:
    """The event of a gated call."""
    digest = call_digest(tool, args)
    return {
        "type": "tool", "id": call, "name": tool, "status": "proposed", "gate": True, "args": args, "digest": digest,
    }  # fmt: skip


def quick(**changes: Any) -> ShellLimits:
    """Limits for tests."""
    return replace(ShellLimits(), **changes)


@asynccontextmanager
async def running_hub(
    data_dir: Path, *, limits: ShellLimits | None = None, store: Store | None = None, port: int = 0, **settings: Any
) -> AsyncIterator[RunningHub]:
    """A hub in this process and on this loop, on a free port of loopback."""
    chosen = HubSettings(data_dir=data_dir, port=port, limits=limits or ShellLimits(), **settings)
    service = Service(chosen)
    await service.start(store)
    try:
        yield RunningHub(url=service.url, data_dir=data_dir, service=service)
    finally:
        await service.stop()


async def mint(hub: RunningHub, role: Role | str, **more: Any) -> dict[str, Any]:
    """A new token by HTTP: its id and text."""
    async with hub.http("admin") as client:
        response = await client.post("/v1/tokens", json={"name": f"a {role}", "role": str(role), **more})
    response.raise_for_status()
    body: dict[str, Any] = response.json()
    return body


@contextmanager
def held_port() -> Iterator[int]:
    """A port of loopback on which only whoever is told of it listens: until the end of the block no other gets it."""
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", 0))
        port = int(holder.getsockname()[1])
        if sys.platform != "linux":  # elsewhere nobody could listen beside it
            holder.close()
        yield port


def free_port() -> int:
    """A port of loopback that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def hub_process(data_dir: Path, *, port: int = 0, host: str = "127.0.0.1") -> Iterator[RunningHub]:
    """A hub as a real process, up and ready. Kill it by `hub.process.kill()`; what lives at the end is terminated."""
    (data_dir / "hub.json").unlink(missing_ok=True)
    arguments = [sys.executable, "-c", SERVE, str(data_dir), host, str(port)]
    process = Popen(arguments, stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL)
    try:
        url = _wait_for_url(data_dir, process)
        yield RunningHub(url=url, data_dir=data_dir, process=process)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            process.wait(PATIENCE_SECONDS)
        finally:
            process.kill()


def _wait_for_url(data_dir: Path, process: Popen[bytes]) -> str:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"the hub ended with {process.returncode}")
        try:
            url: str = json.loads((data_dir / "hub.json").read_text())["url"]
            httpx.get(f"{url}/readyz", timeout=1.0).raise_for_status()
            return url
        except (OSError, ValueError, httpx.HTTPError):
            time.sleep(0.02)
    raise TimeoutError("the hub did not come up")
