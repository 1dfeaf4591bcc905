"""A machine to test on: a real hub as its own process, the real program, and a look at what still lives."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx

from tests.support.hub import held_port

Found = TypeVar("Found")
PROGRAM = (sys.executable, "-m", "opsconsole.cli")
PATIENCE_SECONDS = 60.0
"""On a machine that does much else; what comes is seen at once all the same."""


def until(look: Callable[[], Found | None], what: str) -> Found:
    """What `look` finds, once it finds something."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        found = look()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"{what} did not come about within {PATIENCE_SECONDS} s")


def living(run: str) -> list[int]:
    """Processes that a run's command started and that are not dead; the reaper that watches them is none of them."""
    mark = f"OPSCONSOLE_RUN={run}".encode()
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            marked = mark in (place / "environ").read_bytes().split(b"\0")
            watches = b"opsconsole.supervisor.reaper" in (place / "cmdline").read_bytes()
            state = (place / "stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if marked and not watches and state not in "ZX":
            found.append(int(place.name))
    return found


@dataclass
class Machine:
    """One data directory, perhaps with a hub on it."""

    data_dir: Path
    port: int = 0
    hub: subprocess.Popen[bytes] | None = None
    started: list[subprocess.Popen[Any]] = field(default_factory=list)
    _held: ExitStack = field(default_factory=ExitStack)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("OPSCONSOLE_")}
        place = {"OPSCONSOLE_DATA_DIR": str(self.data_dir), "XDG_CONFIG_HOME": str(self.data_dir / "config")}
        return kept | place | ({"OPSCONSOLE_HUB": self.url} if self.port else {})

    def start_hub(self) -> None:
        """On the port it had, which stays its own while it is dead."""
        self.port = self.port or self._held.enter_context(held_port())
        self.hub = subprocess.Popen(
            [*PROGRAM, "hub", "--no-gateway", "--port", str(self.port), "--data-dir", str(self.data_dir)],
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=(self.data_dir / "hub.err").open("ab"),
        )
        pid = self.hub.pid
        until(lambda: self._port_of(pid) == self.port, "a hub")
        until(lambda: self._answers(), "a ready hub")

    def _port_of(self, pid: int) -> int | None:
        assert self.hub is not None
        assert self.hub.poll() is None, (self.data_dir / "hub.err").read_text()
        try:
            info = json.loads((self.data_dir / "hub.json").read_text())
        except (OSError, ValueError):
            return None
        return int(info["url"].rpartition(":")[2]) if info["pid"] == pid else None

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/readyz", trust_env=False).status_code == 200
        except httpx.TransportError:
            return False

    def kill_hub(self) -> None:
        """Without a word."""
        assert self.hub is not None
        self.hub.kill()
        self.hub.wait()

    def get(self, path: str, **query: Any) -> dict[str, Any]:
        token = (self.data_dir / "operator.token").read_text().strip()
        headers = {"Authorization": f"Bearer {token}"}
        answer = httpx.get(
            f"{self.url}/v1/{path}", params=query, headers=headers, trust_env=False, timeout=PATIENCE_SECONDS
        )
        answer.raise_for_status()
        document: dict[str, Any] = answer.json()
        return document

    def row(self, agent: str) -> dict[str, Any] | None:
        """The newest run of an agent."""
        rows = self.get("runs", live=0, agent=agent)["rows"]
        return max(rows, key=lambda row: row["started_at"], default=None)

    def timeline(self, run: str) -> list[dict[str, Any]]:
        return [stored["event"] for stored in self.get(f"runs/{run}/events", limit=200)["events"]]

    def cli(self, *args: str, stdin: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
        """Runs the program to its end."""
        return subprocess.run(
            [*PROGRAM, *args],
            input=stdin,
            env=self.environment | environment,
            capture_output=True,
            text=True,
            timeout=2 * PATIENCE_SECONDS,
            check=False,
        )

    def begin(self, *args: str, environment: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
        """Starts the program."""
        process = subprocess.Popen(
            [*PROGRAM, *args],
            env=self.environment | dict(environment or {}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.started.append(process)
        return process

    def close(self) -> None:
        """Ends all that was started."""
        for process in self.started:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in self.started:
            try:
                process.communicate(timeout=PATIENCE_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()
        if self.hub is not None and self.hub.poll() is None:
            self.hub.terminate()
            self.hub.wait(PATIENCE_SECONDS)
        self._held.close()
