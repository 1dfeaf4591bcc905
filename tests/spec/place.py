"""One machine with a real hub, the real program, agents that do as they are told, and an operator's HTTP."""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.cli.machine import PATIENCE_SECONDS, PROGRAM, Machine, living, until
from tests.support.hub import RunningHub, held_port

__all__ = ["PATIENCE_SECONDS", "PROGRAM", "Place", "Puppet", "living", "until"]

Row = dict[str, Any]
LEAVING_SECONDS = 1.5
"""How long agents may take to end by themselves; those that are held are killed, with all below them."""
PUPPET = str(Path(__file__).with_name("puppet.py"))


class Puppet:
    """A real agent process: told by `does`, heard by `says`."""

    def __init__(self, argv: list[str], environment: dict[str, str], *, known: Callable[[str], object]) -> None:
        """`known` returns when the hub knows the run with this id."""
        self.process = subprocess.Popen(
            argv,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._lines: queue.Queue[str] = queue.Queue()
        self._heard: deque[Row] = deque()
        self._run: str | None = None
        self._is_known = False
        self._known = known
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line)

    @property
    def run(self) -> str:
        """The id of its run, which is the first thing it says; the hub knows it as well then."""
        while self._run is None:
            self._hear()
        if not self._is_known:
            self._known(self._run)
            self._is_known = True
        return self._run

    def does(self, do: str, **what: Any) -> None:
        """Give the next order; it is carried out when those before are."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"do": do, **what}) + "\n")
        self.process.stdin.flush()

    def says(self) -> Row:
        """Its next line after the run's id."""
        while not self._heard:
            self._hear()
        return self._heard.popleft()

    def _hear(self) -> None:
        line: Row = json.loads(self._lines.get(timeout=PATIENCE_SECONDS))
        if line.keys() == {"run"}:
            self._run = str(line["run"])
        else:
            self._heard.append(line)

    def has_said_nothing(self) -> bool:
        return not self._heard and self._lines.empty()

    def ends(self) -> int:
        """Its exit status, once it has ended."""
        return self.process.wait(PATIENCE_SECONDS)

    def leaves(self) -> None:
        """It is told no more: unless it waits for something else, it ends."""
        assert self.process.stdin is not None
        with suppress(OSError):
            self.process.stdin.close()

    def close(self, patience_seconds: float = 3.0) -> None:
        """End it, whatever it does."""
        self.leaves()
        try:
            self.process.wait(patience_seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@dataclass
class Place(Machine):
    """A machine, and what is done on it."""

    settings: dict[str, str] = field(default_factory=dict)
    puppets: list[Puppet] = field(default_factory=list)
    made: int = 0
    _ports: ExitStack = field(default_factory=ExitStack)

    def start_hub(self) -> None:
        """On a port that is held for it: while it is down nobody else gets it."""
        if not self.port:
            self.port = self._ports.enter_context(held_port())
        super().start_hub()

    @property
    def environment(self) -> dict[str, str]:
        return super().environment | self.settings

    @property
    def hub_by_socket(self) -> RunningHub:
        """The same hub, for raw sockets."""
        return RunningHub(url=self.url, data_dir=self.data_dir)

    def puppet(
        self, agent: str, *args: str, supervised: bool = True, environment: dict[str, str] | None = None
    ) -> Puppet:
        """Start an agent."""
        own = [sys.executable, PUPPET, agent, *args]
        argv = [*PROGRAM, "run", "--agent", agent, "--", *own] if supervised else own
        made = Puppet(argv, self.environment | (environment or {}), known=self._known)
        self.puppets.append(made)
        return made

    def _known(self, run: str) -> None:
        """Wait until the hub has heard that the run has begun: an agent does not wait for that."""

        def is_known() -> bool:
            answer = self.ask("GET", f"runs/{run}")
            return answer.status_code == 200 and answer.json()["row"]["state"] != "submitted"

        until(is_known, f"the beginning of {run}")

    def token(self, role: str = "operator") -> str:
        return (self.data_dir / f"{role}.token").read_text().strip()

    def ask(self, method: str, path: str, role: str = "operator", **more: Any) -> httpx.Response:
        """One HTTP request."""
        headers = {"Authorization": f"Bearer {self.token(role)}"}
        return httpx.request(
            method, f"{self.url}/v1/{path}", headers=headers, trust_env=False, timeout=PATIENCE_SECONDS, **more
        )

    def command(self, do: str, **body: Any) -> Row:
        """Give a command by HTTP; its answer."""
        self.made += 1
        answer: Row = self.ask(
            "POST", "commands", json={"cmd": f"cmd_spec_{self.made}_{time.time_ns()}", "do": do, **body}
        ).json()
        return answer

    def settled(self, cmd: str) -> Row:
        """The report on a command once it is settled."""
        return until(lambda: self._report_if_settled(cmd), f"the end of {cmd}")

    def _report_if_settled(self, cmd: str) -> Row | None:
        report = self.get(f"commands/{cmd}", wait=10)
        return report if report["settled"] else None

    def row_of(self, run: str) -> Row:
        return dict(self.get(f"runs/{run}")["row"])

    def row_when(self, run: str, holds: Callable[[Row], Any]) -> Row:
        """The run's row once it is so; the hub need not have heard of the run before."""

        def look() -> Row | None:
            answer = self.ask("GET", f"runs/{run}")
            row = dict(answer.json()["row"]) if answer.status_code == 200 else None
            return row if row is not None and holds(row) else None

        return until(look, f"the awaited row of {run}")

    def supervised(self, agent: Puppet) -> str:
        """The run of an agent, once the hub hears its supervisor too."""
        self.row_when(agent.run, lambda row: {point["name"] for point in row["points"]} == {"supervisor", "sdk"})
        return agent.run

    def held(self, run: str, kind: str = "tool_call") -> Row:
        """The run's held call, once there is one."""

        def look() -> Row | None:
            rows = self.get("approvals", status="pending", run=run)["rows"]
            return next((row for row in rows if row["kind"] == kind), None)

        return until(look, f"a held {kind} of {run}")

    def approvals(self, run: str) -> list[Row]:
        """All of a run's approvals, settled ones too."""
        rows: list[Row] = self.get("approvals", status="all", run=run)["rows"]
        return rows

    def decide(self, held: Row, answer: str, **more: Any) -> Row:
        return self.command("decide", approval=held["approval"], answer=answer, digest=held["digest"], **more)

    def does(self, *args: str, status: int = 0, **environment: str) -> str:
        """What the program prints, given that it exits so."""
        done = self.cli(*args, **environment)
        assert done.returncode == status, f"{args}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def json(self, *args: str, status: int = 0) -> Any:
        """The document that the program prints with --json."""
        return json.loads(self.does(*args, "--json", status=status))

    def restart_hub(self) -> None:
        """kill -9, and again on the same port."""
        self.kill_hub()
        self.start_hub()

    def close(self) -> None:
        for puppet in self.puppets:
            puppet.leaves()
        deadline = time.monotonic() + LEAVING_SECONDS
        for puppet in self.puppets:
            puppet.close(max(0.0, deadline - time.monotonic()))
        super().close()
        self._ports.close()
