"""The stage of all client tests: a real hub, real gateways, a scripted upstream, an operator and the clients."""

from __future__ import annotations

import asyncio
import inspect
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.gateway.clients.environments import Environment, made
from tests.support.hub import RunningHub, hub_process
from tests.support.model_script import Turn, mark
from tests.support.model_upstream import RunningUpstream, Seen, running_upstream

PATIENCE_SECONDS = 100.0
"""How long anything may take that must come; two cores are shared by all that goes on at once."""
LOOK_SECONDS = 0.05
KEEPALIVE_SECONDS = 1.0
CLIENT_PATIENCE_SECONDS = 2.0
"""After this long a waiting client hears from the gateway."""
PROGRAM = (sys.executable, "-m", "opsconsole.cli")
PROGRAMS = Path(__file__).with_name("programs")
BASES = {"openai": "/openai/v1", "anthropic": "/anthropic"}
"""provider -> the end of the base URL that its clients are given."""


def until(look: Callable[[], Any], what: str, seconds: float = PATIENCE_SECONDS) -> Any:
    """The first true value of `look`. Raises: TimeoutError."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(LOOK_SECONDS)
    raise TimeoutError(f"{what} did not come about within {seconds} s")


@dataclass(slots=True, kw_only=True)
class Agent:
    """One agent at work in a worker: what it has told so far, and its end."""

    run: str
    script: str
    told: list[dict[str, Any]] = field(default_factory=list)
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    def hear(self, line: dict[str, Any]) -> None:
        """The next line of its worker."""
        self.told.append(line)
        self._news.set()

    async def tells(self, what: str, nth: int = 1) -> dict[str, Any]:
        """The nth line of a kind. Raises: TimeoutError."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                lines = [line for line in self.told if line["what"] == what]
                if len(lines) >= nth:
                    return lines[nth - 1]
                self._news.clear()
                await self._news.wait()

    async def end(self) -> dict[str, Any]:
        """What came of it: texts, ran, error."""
        return await self.tells("end")

    async def succeeds(self) -> dict[str, Any]:
        """The same, of an agent that must not fail."""
        end = await self.end()
        assert end["error"] is None, end["error"]["trace"]
        return end

    @property
    def words(self) -> str:
        """What came of the model's words piece by piece."""
        return "".join(line["text"] for line in self.told if line["what"] == "piece")


class Worker:
    """A process in a client environment that runs agents side by side."""

    def __init__(self, environment: Environment) -> None:
        self.environment = environment
        self._agents: dict[str, Agent] = {}
        self._process: asyncio.subprocess.Process | None = None
        self._ready = asyncio.Event()
        self._starting = asyncio.Lock()

    async def _start(self) -> asyncio.subprocess.Process:
        async with self._starting:
            if self._process is None:
                self._process = await asyncio.create_subprocess_exec(
                    self.environment.python,
                    "worker.py",
                    cwd=PROGRAMS,
                    env=quiet_environment(),
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    limit=2**24,
                )
                self._reading = asyncio.create_task(self._read(self._process))
            await self._ready.wait()
            return self._process

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        async for line in process.stdout:
            told = json.loads(line)
            if told["what"] == "ready":
                self._ready.set()
            else:
                self._agents[told["id"]].hear(told)

    async def begin(self, agent: Agent, **task: Any) -> None:
        """Starts an agent."""
        process = await self._start()
        assert process.stdin is not None
        self._agents[agent.run] = agent
        process.stdin.write(json.dumps({"id": agent.run, **task}).encode() + b"\n")
        await process.stdin.drain()

    async def close(self) -> None:
        """Ends it and all its agents."""
        if self._process is not None:
            self._process.kill()
            await self._process.wait()
            await self._reading


class Operator:
    """A person on call: watches the approvals and the board through the hub's HTTP interface."""

    def __init__(self, hub: RunningHub, name: str = "stage", token: str | None = None) -> None:
        self.http = hub.http(token=token)
        self._name = name
        self._commands = count(1)

    async def row(self, run: str) -> dict[str, Any]:
        """The run's row; empty while the hub does not know it."""
        answer = await self.http.get(f"/v1/runs/{run}")
        return dict(answer.json().get("row") or {})

    async def until(self, run: str, holds: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
        """The first row of the run for which `holds`. Raises: TimeoutError."""
        row: dict[str, Any] = {}
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                while True:
                    row = await self.row(run)
                    if row and holds(row):
                        return row
                    await asyncio.sleep(LOOK_SECONDS)
        except TimeoutError:
            raise TimeoutError(f"the row never came: {row}") from None

    async def newest(self, agent: str) -> dict[str, Any]:
        """The row of an agent's run, once there is one. Raises: TimeoutError."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                found = await self.http.get("/v1/runs", params={"live": 0, "agent": agent})
                if rows := found.json()["rows"]:
                    return dict(max(rows, key=lambda row: row["started_at"]))
                await asyncio.sleep(LOOK_SECONDS)

    async def asked(self, run: str, tool: str = "") -> dict[str, Any]:
        """The oldest pending approval of a run, of that tool if it is named. Raises: TimeoutError."""
        return (await self._pending(run, 1, lambda row: tool in ("", row["tool"])))[0]

    async def asked_for(self, run: str, args: Mapping[str, Any]) -> dict[str, Any]:
        """The pending approval of a call with these arguments. Raises: TimeoutError."""
        return (await self._pending(run, 1, lambda row: row["args"] == args))[0]

    async def asked_anew(self, run: str, tool: str) -> dict[str, Any]:
        """The newest pending approval of that tool, once an older one is settled. Raises: TimeoutError."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                rows = [row for row in await self.approvals(run) if row["tool"] == tool]
                newest = max(rows, key=lambda row: row["requested_at"])
                if len(rows) > 1 and newest["status"] == "pending":
                    return newest
                await asyncio.sleep(LOOK_SECONDS)

    async def all_asked(self, run: str, number: int) -> list[dict[str, Any]]:
        """As many pending approvals of a run, the oldest first. Raises: TimeoutError."""
        return await self._pending(run, number, lambda row: True)

    async def _pending(self, run: str, number: int, fits: Callable[[dict[str, Any]], bool]) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                while True:
                    found = await self.http.get("/v1/approvals", params={"status": "pending", "run": run})
                    rows = [row for row in found.json()["rows"] if row["run"] == run]
                    if len(fitting := [row for row in rows if fits(row)]) >= number:
                        return sorted(fitting, key=lambda row: row["requested_at"])
                    await asyncio.sleep(LOOK_SECONDS)
        except TimeoutError:
            raise TimeoutError(f"{run} asked only {rows}; its row is {await self.row(run)}") from None

    async def approvals(self, run: str) -> list[dict[str, Any]]:
        """All approvals of a run, settled or not."""
        found = await self.http.get("/v1/approvals", params={"status": "all", "run": run})
        return [row for row in found.json()["rows"] if row["run"] == run]

    async def decide(self, approval: Mapping[str, Any], answer: str, **more: Any) -> None:
        """Answers an approval."""
        await self.say("decide", approval=approval["approval"], digest=approval["digest"], answer=answer, **more)

    async def say(self, do: str, **more: Any) -> dict[str, Any]:
        """Gives a command that the hub accepts."""
        said = await self.tries(do, **more)
        assert said.get("ok"), said
        return said

    async def tries(self, do: str, **more: Any) -> dict[str, Any]:
        """Gives a command that the hub may refuse; its answer."""
        command = {"cmd": f"cmd_{self._name}_{next(self._commands)}", "do": do, **more}
        return dict((await self.http.post("/v1/commands", json=command)).json())

    async def timeline(self, run: str) -> list[dict[str, Any]]:
        """The run's events."""
        answer = await self.http.get(f"/v1/runs/{run}/events", params={"limit": 500})
        return [one["event"] for one in answer.json()["events"]]

    async def event(self, run: str, holds: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
        """The first event of the run for which `holds`. Raises: TimeoutError."""
        events: list[dict[str, Any]] = []
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                while True:
                    events = await self.timeline(run)
                    if found := next((event for event in events if holds(event)), None):
                        return found
                    await asyncio.sleep(LOOK_SECONDS)
        except TimeoutError:
            raise TimeoutError(f"the event never came; the timeline is {events}") from None


@dataclass(kw_only=True)
class Stage:
    """Everything that a scenario plays with. Its coroutines run in the stage's own loop."""

    hub: RunningHub
    gateway: str
    upstream: RunningUpstream
    operator: Operator
    strict_gateway: str = ""
    """Another gateway, which strips every refused call from its answer, leaves a waiting client without a word for a
    minute, and waits a second for one that left."""
    mute_gateway: str = ""
    """A third, which leaves a waiting client without a word for a minute."""
    _workers: dict[str, Worker] = field(default_factory=dict)
    _colleagues: list[Operator] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def base_url(self, run: str, program: str, by: str = "gateway") -> str:
        """What the client of a run is given. `by`: gateway, strict_gateway, or upstream for the model itself."""
        provider = "anthropic" if "anthropic" in program else "openai"
        if by == "upstream":
            return self.upstream.url + ("/v1" if provider == "openai" else "")
        return f"{getattr(self, by)}/r/{run}/agent{BASES[provider]}"

    async def agent(
        self, *, worker: str, program: str, turns: Sequence[Turn], by: str = "gateway", name: str = "", **task: Any
    ) -> Agent:
        """Starts an agent whose model says `turns`. `worker`: an environment, or an environment and a name for more."""
        name = name or f"{program}-{next(self._numbers)}"
        agent = Agent(run=name, script=name)
        self.upstream.script(name, *turns)
        if worker not in self._workers:
            environment = await asyncio.to_thread(made, worker.partition("/")[0])
            self._workers.setdefault(worker, Worker(environment))
        options = {"program": program, "base_url": self.base_url(name, program, by), "prompt": f"Do it. {mark(name)}"}
        await self._workers[worker].begin(agent, **(options | task))
        return agent

    async def colleague(self, name: str) -> Operator:
        """A second operator with a token of their own."""
        async with self.hub.http("admin") as admin:
            made = await admin.post("/v1/tokens", json={"name": name, "role": "operator"})
        self._colleagues.append(Operator(self.hub, name, made.json()["token"]))
        return self._colleagues[-1]

    async def until(self, look: Callable[[], Any], what: str) -> Any:
        """The first true value of `look`. Raises: TimeoutError."""
        return await asyncio.to_thread(until, look, what)

    def calls(self, agent: Agent) -> list[Seen]:
        """The requests that reached the model."""
        return self.upstream.calls(agent.script)

    async def close(self) -> None:
        """Ends the workers."""
        await asyncio.gather(*(worker.close() for worker in self._workers.values()))
        await asyncio.gather(*(one.http.aclose() for one in (self.operator, *self._colleagues)))


def quiet_environment(**more: str) -> dict[str, str]:
    """This process's environment without what would send clients elsewhere."""
    strange = ("OPSCONSOLE_", "OPENAI_", "ANTHROPIC_", "LANGCHAIN_", "LANGSMITH_", "LITELLM_", "PYTHON")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(strange)}
    kept = {name: value for name, value in kept.items() if not name.lower().endswith("_proxy")}
    return kept | {"NO_PROXY": "*"} | more


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningGateway:
    """A gateway as a real process."""

    url: str
    process: subprocess.Popen[bytes]


@contextmanager
def gateway_process(hub: RunningHub, upstream: str, data_dir: Path, **settings: str) -> Iterator[RunningGateway]:
    """A gateway, up and ready. Kill it by `process.kill()`; what lives at the end is killed."""
    environment = quiet_environment(
        OPSCONSOLE_DATA_DIR=str(data_dir),
        OPSCONSOLE_HUB=hub.url,
        OPSCONSOLE_TOKEN=hub.token("gateway"),
        XDG_CONFIG_HOME=str(data_dir / "config"),
    )
    data_dir.mkdir(exist_ok=True)
    lines = {
        "port": "0",
        "openai_url": f'"{upstream}/v1"',
        "anthropic_url": f'"{upstream}"',
        "keepalive_seconds": str(KEEPALIVE_SECONDS),
        "patience_seconds": str(CLIENT_PATIENCE_SECONDS),
    } | settings
    config, told = data_dir / "gateway.toml", data_dir / "gateway.log"
    config.write_text("[gateway]\n" + "".join(f"{name} = {value}\n" for name, value in lines.items()))
    command = [*PROGRAM, "gateway", "--config", str(config)]
    with told.open("ab") as log:
        process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        url = until(lambda: _gateway_url(data_dir, process, told), "a gateway")
        yield RunningGateway(url=url, process=process)
    finally:
        process.kill()
        process.wait(PATIENCE_SECONDS)


def _gateway_url(data_dir: Path, process: subprocess.Popen[bytes], told: Path) -> str | None:
    if process.poll() is not None:
        raise RuntimeError(f"the gateway ended with {process.returncode}: {told.read_text()[-2_000:]}")
    try:
        document = json.loads((data_dir / "gateway.json").read_text())
        ready = document["pid"] == process.pid and httpx.get(f"{document['url']}/readyz", trust_env=False).is_success
    except (OSError, ValueError, httpx.HTTPError):
        return None
    return str(document["url"]) if ready else None


@asynccontextmanager
async def stage(place: Path) -> AsyncIterator[Stage]:
    """Builds it and takes it down."""
    with ExitStack() as parts:
        upstream = parts.enter_context(running_upstream())
        hub = await asyncio.to_thread(parts.enter_context, hub_process(place))
        usual = gateway_process(hub, upstream.url, place)
        mutely = {"patience_seconds": "60.0", "keepalive_seconds": "60.0"}
        strictly = {"deny": '"strip"', "grace_seconds": "1.0", **mutely}
        strict = gateway_process(hub, upstream.url, place / "strict", **strictly)
        mute = gateway_process(hub, upstream.url, place / "mute", patience_seconds="60.0")
        built = Stage(
            hub=hub,
            gateway=await asyncio.to_thread(_open, parts, usual),
            strict_gateway=await asyncio.to_thread(_open, parts, strict),
            mute_gateway=await asyncio.to_thread(_open, parts, mute),
            upstream=upstream,
            operator=Operator(hub),
        )
        try:
            yield built
        finally:
            await built.close()


def _open(parts: ExitStack, gateway: AbstractContextManager[RunningGateway]) -> str:
    return parts.enter_context(gateway).url


Scenario = Callable[..., Coroutine[Any, Any, None]]


def plays(scenario: Scenario) -> Callable[..., None]:
    """Makes a test of a scenario (its first parameter is the stage) that goes on while others do."""

    def test(request: pytest.FixtureRequest, theatre: Theatre, **_given: Any) -> None:
        theatre.outcome(request.node.nodeid)

    wants = list(inspect.signature(test).parameters.values())[:2]
    given = list(inspect.signature(scenario).parameters.values())[1:]
    test.__name__, test.__doc__, test.__module__ = scenario.__name__, scenario.__doc__, scenario.__module__
    test.__signature__ = inspect.Signature(wants + given)  # type: ignore[attr-defined]
    test.scenario = scenario  # type: ignore[attr-defined]
    return test


def waits(scenario: Scenario) -> Callable[..., None]:
    """The same for one that does little but wait: it begins at once, however many others go on."""
    scenario.waits = True  # type: ignore[attr-defined]
    return plays(scenario)


class Theatre:
    """The stage in a thread of its own, where scenarios play side by side; a test waits for its own."""

    def __init__(self, data_dir: Path, *, at_once: int) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="stage", daemon=True)
        self._thread.start()
        self._opened = self._call(self._open(data_dir, at_once))
        self._played: dict[str, asyncio.Task[None]] = {}

    def _call(self, coroutine: Coroutine[Any, Any, Any], seconds: float = 280.0) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(seconds)

    async def _open(self, data_dir: Path, at_once: int) -> Any:
        self._room = asyncio.Semaphore(at_once)
        self._building = stage(data_dir)
        return await self._building.__aenter__()

    def start(self, name: str, scenario: Scenario, given: Mapping[str, Any]) -> None:
        """Lets a scenario begin when there is room."""

        async def begin() -> None:
            self._played[name] = asyncio.create_task(self._play(scenario, given))

        self._call(begin())

    async def _play(self, scenario: Scenario, given: Mapping[str, Any]) -> None:
        room = nullcontext() if hasattr(scenario, "waits") else self._room
        async with room:
            await scenario(self._opened, **given)

    def outcome(self, name: str) -> None:
        """Waits for a scenario's end. Raises: what it raised."""

        async def wait() -> None:
            await self._played[name]

        self._call(wait())

    def close(self) -> None:
        """Takes everything down."""

        async def end() -> None:
            for task in self._played.values():
                task.cancel()
            await asyncio.gather(*self._played.values(), return_exceptions=True)
            await self._building.__aexit__(None, None, None)

        self._call(end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()
