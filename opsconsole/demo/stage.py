"""Starts the demo's servers, hub, gateway and agents in order, gives agents new tasks, and stops all on SIGTERM.

Its own end, and that of everything it started, is proven from outside: it runs as one supervised tree (launch.py).
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import httpx

from opsconsole.demo.surroundings import (
    AGENTS,
    GATEWAY_SETTING,
    Places,
    agent_command,
    environment,
    hub_command,
)
from opsconsole.errors import CannotStart
from opsconsole.gateway.gateway_file import GATEWAY_FILE, read_gateway_file

READY_SECONDS = 60.0
"""A hub or server that is not up by then, on however busy a machine, will not be."""

LOOK_SECONDS = 0.05
REST_SECONDS = 15.0
"""How long an agent rests between two tasks."""

KILLED_SECONDS = 2.0
"""How long the supervisor of a killed agent may take to report and end."""

AGENTS_STOP_SECONDS = 4.0
"""Longer than a supervisor's ladder takes to kill its agent."""

HUB_STOP_SECONDS = 5.0
SERVERS = {"model": "opsconsole.demo.model_server", "shop": "opsconsole.demo.shop_server"}


class Stage:
    """The processes of one demo. `pace` scales how long agents rest."""

    def __init__(self, places: Places, *, port: int, pace: float) -> None:
        self._places = places
        self._port = port
        self._rest_seconds = REST_SECONDS * pace
        self._environment = environment(os.environ, places)
        self._hub: Process | None = None
        self._servers: list[Process] = []
        self._agents: dict[str, Process] = {}

    async def play(self) -> None:
        """Starts everything, and gives agents new tasks until it is cancelled. Raises: CannotStart."""
        urls = {name: await self._start_server(name, module) for name, module in SERVERS.items()}
        urls["hub"] = await self._start_hub(model=urls["model"])
        urls["gateway"] = await self._find_gateway()
        self._environment |= {"OPSCONSOLE_HUB": urls["hub"], "OPSCONSOLE_DEMO_SHOP": urls["shop"]}
        _write(self._places.ready, urls)
        async with asyncio.TaskGroup() as group:
            for agent in AGENTS:
                group.create_task(self._employ(agent))
        await asyncio.Event().wait()  # every agent is killed or failed: the hub still shows what was

    async def stop(self) -> None:
        """Stops the agents, then the hub that hears of their ends, then the servers."""
        await _wait(self._agents.values(), KILLED_SECONDS)  # killed through the hub, they are about to end
        await _end(self._agents.values(), AGENTS_STOP_SECONDS)
        await _end([self._hub] if self._hub else [], HUB_STOP_SECONDS)
        await _end(self._servers, HUB_STOP_SECONDS)

    async def _start_hub(self, *, model: str) -> str:
        """The hub with its gateway, which asks the demo's model server instead of a provider."""
        announced = self._places.data / "hub.json"
        for file in (announced, self._places.data / GATEWAY_FILE):
            file.unlink(missing_ok=True)
        self._hub = await self._start("hub", hub_command(self._places, self._port), {GATEWAY_SETTING: model})
        return await self._found("hub", lambda: _announced_url(announced))

    async def _find_gateway(self) -> str:
        def url() -> str:
            found = read_gateway_file(self._places.data)
            return found.url if found else ""

        return await self._found("gateway", url)

    async def _found(self, name: str, look: Callable[[], str]) -> str:
        """The address of what the hub's process is to bring up, once it says that it is ready. Raises: CannotStart."""
        assert self._hub is not None
        async with httpx.AsyncClient(trust_env=False) as http:
            try:
                async with asyncio.timeout(READY_SECONDS):
                    while not (url := await _ready(http, look)):
                        if self._hub.returncode is not None:
                            raise CannotStart(f"the hub ended with status {self._hub.returncode}: {self._said('hub')}")
                        await asyncio.sleep(LOOK_SECONDS)
                    return url
            except TimeoutError:
                why = f"the {name} is not ready after {READY_SECONDS:.0f} s: {self._said('hub')}"
                raise CannotStart(why) from None

    async def _start_server(self, name: str, module: str) -> str:
        process = await self._start(name, [sys.executable, "-P", "-m", module], stdin=PIPE, stdout=PIPE)
        self._servers.append(process)
        assert process.stdout is not None
        try:
            async with asyncio.timeout(READY_SECONDS):
                url = (await process.stdout.readline()).decode().strip()
        except TimeoutError:
            url = ""
        if not url:
            raise CannotStart(f"the {name} server did not start: {self._said(name)}")
        return url

    async def _employ(self, agent: str) -> None:
        """Task after task, each a run of its own; one that is killed or fails gets no other."""
        task = 0
        status = 0
        while status == 0:
            task += 1
            self._agents[agent] = await self._start(agent, agent_command(agent, AGENTS[agent].format(number=task)))
            status = await self._agents[agent].wait()
            await asyncio.sleep(self._rest_seconds)

    async def _start(
        self,
        name: str,
        command: Sequence[str],
        more: Mapping[str, str] | None = None,
        *,
        stdin: int = DEVNULL,
        stdout: int | None = None,
    ) -> Process:
        with (self._places.logs / f"{name}.log").open("ab") as log:
            return await asyncio.create_subprocess_exec(
                *command,
                cwd=self._places.shop,
                env={**self._environment, **(more or {})},
                stdin=stdin,
                stdout=log if stdout is None else stdout,
                stderr=log,
            )

    def _said(self, name: str) -> str:
        lines = (self._places.logs / f"{name}.log").read_text(errors="backslashreplace").strip().splitlines()
        return lines[-1] if lines else "it said nothing"


async def _ready(http: httpx.AsyncClient, look: Callable[[], str]) -> str:
    """The address of a process once it says it is ready, else an empty string."""
    try:
        url = look()
        return url if url and (await http.get(f"{url}/readyz")).is_success else ""
    except (OSError, ValueError, KeyError, httpx.TransportError):
        return ""


def _announced_url(announced: Path) -> str:
    return str(json.loads(announced.read_text())["url"])


async def _end(processes: Iterable[Process], seconds: float) -> None:
    """SIGTERM to all at once, and a bounded wait; what is left is the supervisor's to kill."""
    running = [process for process in processes if process.returncode is None]
    for process in running:
        process.terminate()
    await _wait(running, seconds)


async def _wait(processes: Iterable[Process], seconds: float) -> None:
    """Waits until all have ended, at most so long."""
    ends = [asyncio.ensure_future(process.wait()) for process in processes if process.returncode is None]
    if ends:
        await asyncio.wait(ends, timeout=seconds)


def _write(path: Path, value: Mapping[str, str]) -> None:
    """Writes a file that is never seen half-written."""
    draft = path.with_suffix(".draft")
    draft.write_text(json.dumps(value))
    draft.replace(path)


async def _main() -> int:
    places = Places(base=Path(sys.argv[1]), data=Path(sys.argv[2]))
    stage = Stage(places, port=int(sys.argv[3]), pace=float(os.environ.get("OPSCONSOLE_DEMO_PACE", "1")))
    play = asyncio.ensure_future(stage.play())
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, play.cancel)
    try:
        await play
    except CannotStart as error:
        print(error, file=sys.stderr)
        return 1
    except asyncio.CancelledError:
        pass
    finally:
        await stage.stop()
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(_main()))
