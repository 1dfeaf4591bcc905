"""A hub, agents and consoles as real processes, shared by the journeys of one file; agents are a journey's own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.console.journeys.terminal import PATIENCE_SECONDS, Terminal, Tmux, until
from tests.support.hub import RunningHub, held_port, hub_process


class World:
    """Everything that an operator's console is connected with."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.tmux = Tmux(directory)
        self._stack = ExitStack()
        self._port = self._stack.enter_context(held_port())
        self._data = directory / "hub"
        self._data.mkdir()
        self._consoles: list[Terminal] = []
        self._started: list[str] = []
        self._numbers = iter(range(1, 1_000))
        self.start_hub()
        self._tokens: dict[str, str] = {}
        self._agents = self._start_agents()

    def start_hub(self) -> None:
        """A hub process at the address and on the record that all of them have."""
        self.hub: RunningHub = self._stack.enter_context(hub_process(self._data, port=self._port))

    def kill_hub(self) -> None:
        """Let the hub die without a word."""
        assert self.hub.process is not None
        self.hub.process.kill()
        self.hub.process.wait(PATIENCE_SECONDS)

    @contextmanager
    def hub_standing_still(self) -> Iterator[None]:
        """Whatever is sent to the hub meanwhile reaches it at once when it goes on."""
        assert self.hub.process is not None
        self.hub.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.hub.process.send_signal(signal.SIGCONT)

    def _start_agents(self) -> subprocess.Popen[str]:
        env = {**os.environ, "OPSCONSOLE_HUB": self.hub.url, "OPSCONSOLE_TOKEN": self.hub.token("agent")}
        command = [sys.executable, "-m", "tests.console.journeys.agents", str(self.directory)]
        return subprocess.Popen(command, stdin=subprocess.PIPE, text=True, bufsize=1, env=env)

    def agent(self, name: str, role: str) -> str:
        """Start an agent of this name and role; the id of its run."""
        self._tell(agent=name, role=role)
        self._started.append(name)
        first = self.said(name)
        return str(first.get("asking") or first.get("talking"))

    def end_agents(self) -> None:
        """End what still runs, so that the next journey has the fleet for itself."""
        while self._started:
            self._tell(agent=self._started.pop())
        until(lambda: not self._get("/v1/runs?live=1")["rows"], lambda: f"still live: {self._get('/v1/runs?live=1')}")

    def _tell(self, **line: str) -> None:
        assert self._agents.stdin is not None
        self._agents.stdin.write(json.dumps(line) + "\n")

    def said(self, agent: str, key: str = "") -> dict[str, Any]:
        """The first thing that an agent said, or said under a key."""
        path = self.directory / "said.jsonl"

        def found() -> dict[str, Any] | None:
            lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.exists() else []
            words = [json.loads(line) for line in lines if line.endswith("\n")]
            return next((one for one in words if one["agent"] == agent and (not key or key in one)), None)

        said = until(found, lambda: f"{agent} never said {key or 'anything'}")
        assert said is not None
        return said

    def runs(self, agent: str) -> list[dict[str, Any]]:
        """The hub's rows of the runs of an agent."""
        rows: list[dict[str, Any]] = self._get("/v1/runs")["rows"]
        return [row for row in rows if row["agent"] == agent]

    def audit(self, run: str) -> list[str]:
        """The kinds of the entries about a run, oldest first."""
        return [entry["kind"] for entry in self._get(f"/v1/audit?run={run}")["entries"]]

    def _get(self, path: str) -> Any:
        headers = {"Authorization": f"Bearer {self.hub.token()}"}
        return httpx.get(f"{self.hub.url}{path}", headers=headers, timeout=PATIENCE_SECONDS).raise_for_status().json()

    def _token(self, operator: str) -> str:
        if operator not in self._tokens:
            body = {"name": operator, "role": "operator"}
            headers = {"Authorization": f"Bearer {self.hub.token('admin')}"}
            answer = httpx.post(f"{self.hub.url}/v1/tokens", json=body, headers=headers, timeout=PATIENCE_SECONDS)
            self._tokens[operator] = answer.raise_for_status().json()["token"]
        return self._tokens[operator]

    def console(self, operator: str = "ana") -> Terminal:
        """The console of an operator in a terminal, live."""
        env = {
            "OPSCONSOLE_HUB": self.hub.url,
            "OPSCONSOLE_TOKEN": self._token(operator),
            "OPSCONSOLE_DATA_DIR": str(self.directory / operator),
            "PYTHONPATH": os.pathsep.join(sys.path),
            "LANG": "C.UTF-8",
        }
        name = f"{operator}-{next(self._numbers)}"
        command = [sys.executable, "-m", "opsconsole.cli"]
        terminal = self.tmux.open(name, command, cwd=self.directory, env=env)
        self._consoles.append(terminal)
        terminal.shows("● live")
        return terminal

    def close_consoles(self) -> None:
        """Hang up all terminals."""
        while self._consoles:
            self._consoles.pop().close()

    def close(self) -> None:
        """End every process."""
        self.close_consoles()
        self.tmux.run("kill-server", check=False)
        assert self._agents.stdin is not None
        self._agents.stdin.close()
        try:
            self._agents.wait(PATIENCE_SECONDS)
        finally:
            self._agents.kill()
            self._stack.close()


@contextmanager
def new_world() -> Iterator[World]:
    """A world in a folder of a short name, as a socket of tmux needs it."""
    directory = Path(tempfile.mkdtemp(prefix="ops-"))
    try:
        with ExitStack() as stack:
            world = World(directory)
            stack.callback(world.close)
            yield world
    finally:
        shutil.rmtree(directory, ignore_errors=True)
