"""A storm from a seed: real processes, a network that fails, and afterwards everything must add up.

`python -m tests.chaos.storm SEED SECONDS` runs one again and prints its story.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from subprocess import DEVNULL, Popen
from tempfile import TemporaryDirectory
from typing import Any

from opsconsole.console.view.outbox import Sent
from opsconsole.domain.approval import ApprovalStatus
from tests.chaos.findings import (
    Findings,
    check_audit,
    check_decisions,
    check_events,
    check_executions,
    entries,
    lines,
    stored_events,
    undelivered,
)
from tests.chaos.hub import HubProcess
from tests.chaos.operators import Operator
from tests.chaos.proxy import Proxy
from tests.support.hub import held_port

AGENTS = 6
OPERATORS = 5
CALM_SECONDS = 60.0
"""How long everything may take to come to rest once nothing fails any more."""
STORY_LINES_MAX = 400
HUB_KILLS_AT = (0.25, 0.5, 0.75)
"""Shares of the storm at which the hub is killed whatever the dice say."""

ROWS_COMPARED = ("run", "agent", "state", "link", "pending_approvals", "turns", "doing", "zombie", "ended_at")
APPROVALS_COMPARED = ("approval", "status", "decided_by", "delivery", "digest", "result")


class Storm:
    """One storm. `story` tells what was done to whom, and when."""

    def __init__(self, directory: Path, seed: int, port: int) -> None:
        self.seed = seed
        self.story: list[str] = []
        self.counts: Counter[str] = Counter()
        self._directory = directory
        self._dice = random.Random(seed)
        self._hub = HubProcess(directory / "hub", port)
        self._agents: dict[str, Popen[bytes]] = {}
        self._operators: list[Operator] = []
        self._begin = time.monotonic()

    def _tell(self, what: str) -> None:
        if len(self.story) < STORY_LINES_MAX:
            self.story.append(f"{time.monotonic() - self._begin:7.2f} s  {what}")

    async def rage(self, seconds: float) -> Findings:
        """Everything, from the first start to the comparison."""
        self._tell(f"seed {self.seed}")
        await self._hub.start()
        try:
            async with Proxy(self._hub.port) as proxy:
                self._proxy = proxy
                token = self._hub.token()
                self._operators = [Operator(f"op{i}", proxy.url, token, self.seed) for i in range(OPERATORS)]
                working = [asyncio.create_task(operator.work()) for operator in self._operators]
                try:
                    for number in range(AGENTS):
                        self._start_agent(f"agent{number}")
                    await self._blow(seconds)
                    findings = await self._calm()
                finally:
                    for task in working:
                        task.cancel()
                    await asyncio.gather(*working, return_exceptions=True)
            await self._hub.stop()
        finally:
            self._hub.kill()
            for process in self._agents.values():
                process.kill()
                process.wait()
        return await self._compare(findings)

    # -- weather ---------------------------------------------------------------------------------------------------

    async def _blow(self, seconds: float) -> None:
        begin = time.monotonic()
        hub_kills_due = [begin + seconds * share for share in HUB_KILLS_AT]
        faults: list[tuple[int, Callable[[], Any]]] = [
            (8, self._cut_some),
            (4, self._swallow),
            (2, self._cut_all),
            (4, self._kill_agent),
            (2, self._kill_hub),
        ]
        while time.monotonic() < begin + seconds:
            await asyncio.sleep(self._dice.uniform(0.1, 0.9))
            fault = self._dice.choices([fault for _, fault in faults], [weight for weight, _ in faults])[0]
            if hub_kills_due and time.monotonic() >= hub_kills_due[0]:
                fault = self._kill_hub
                hub_kills_due.pop(0)
            found = fault()
            if asyncio.iscoroutine(found):
                await found
            self._check_alive()

    def _cut_some(self) -> None:
        cut = self._proxy.cut(self._dice, self._dice.uniform(0.1, 0.6))
        self.counts["connections cut"] += cut
        self._tell(f"cut {cut} connections")

    def _cut_all(self) -> None:
        cut = self._proxy.cut(self._dice, 1.0)
        self.counts["connections cut"] += cut
        self._tell(f"cut all {cut} connections")

    def _swallow(self) -> None:
        seconds = self._dice.uniform(0.2, 4.0)
        found = self._proxy.swallow(self._dice, self._dice.uniform(0.2, 1.0), seconds)
        self.counts["black holes"] += found
        self._tell(f"{found} connections are black holes for {seconds:.1f} s")

    async def _kill_hub(self) -> None:
        self._hub.kill()
        self.counts["hub kill -9"] += 1
        self._tell("kill -9 of the hub")
        await asyncio.sleep(self._dice.uniform(0.0, 0.5))
        await self._hub.start()
        self._tell("the hub is back")

    async def _kill_agent(self) -> None:
        name = self._dice.choice(sorted(self._agents))
        process = self._agents[name]
        process.kill()
        process.wait()
        self.counts["agent kill -9"] += 1
        self._tell(f"kill -9 of {name}")
        await asyncio.sleep(self._dice.uniform(0.0, 0.2))
        self._start_agent(name)

    def _start_agent(self, name: str) -> None:
        environment = os.environ | {"OPSCONSOLE_HUB": self._proxy.url, "OPSCONSOLE_TOKEN": self._hub.token("agent")}
        with (self._directory / f"{name}.out").open("ab") as out:
            command = [sys.executable, "-m", "tests.chaos.agent", name, str(self._directory)]
            self._agents[name] = Popen(command, stdin=DEVNULL, stdout=out, stderr=out, env=environment)

    def _check_alive(self) -> None:
        for name, process in self._agents.items():
            if process.poll() is not None:
                raise AssertionError(f"{name} ended with {process.returncode} by itself: {self._output(name)}")

    def _output(self, name: str) -> str:
        return (self._directory / f"{name}.out").read_text()[-3_000:]

    # -- afterwards ------------------------------------------------------------------------------------------------

    async def _calm(self) -> Findings:
        """Nothing fails any more: let agents end, operators hear their answers, consoles catch up."""
        findings = Findings()
        self._tell("calm")
        self._proxy.heal()
        (self._directory / "stop").touch()
        for name, process in self._agents.items():
            if not await self._within(lambda process=process: process.poll() is not None):  # type: ignore[misc]
                findings.problems.append(f"{name} did not end: {self._output(name)}")
            elif process.returncode != 0:
                findings.problems.append(f"{name} ended with {process.returncode}: {self._output(name)}")
        left = undelivered(self._directory / "agents")
        findings.differ("journals with undelivered events", left.items())
        if not await self._within(lambda: not any(operator.waits for operator in self._operators)):
            findings.problems.append("an operator never heard what became of a decision")
        await self._compare_screens(findings)
        return findings

    async def _within(self, holds: Callable[[], bool]) -> bool:
        until = time.monotonic() + CALM_SECONDS
        while not holds():
            if time.monotonic() > until:
                return False
            await asyncio.sleep(0.05)
        return True

    async def _compare_screens(self, findings: Findings) -> None:
        """Every console shows what the hub says over HTTP."""
        until = time.monotonic() + CALM_SECONDS
        while True:
            runs = (await self._hub.get("/v1/runs", limit=1_000))["rows"]
            approvals = (await self._hub.get("/v1/approvals", status="all", limit=10_000))["rows"]
            differing = [line for operator in self._operators for line in _differences(operator, runs, approvals)]
            if not differing or time.monotonic() > until:
                break
            await asyncio.sleep(0.2)
        findings.counts["rows compared"] = (len(runs) + len(approvals)) * len(self._operators)
        findings.differ("rows that a console shows otherwise", differing)
        waiting = [row["approval"] for row in approvals if row["status"] == ApprovalStatus.PENDING]
        findings.differ("approvals left waiting", waiting)

    async def _compare(self, findings: Findings) -> Findings:
        hub = self._hub.data_dir
        audit = entries(hub)
        answers = [(operator, entry) for operator in self._operators for entry in operator.answers]
        accepted = [(entry.id, entry.command.approval or "") for _, entry in answers if entry.status is Sent.ACCEPTED]
        refused = Counter(entry.code for _, entry in answers if entry.status is Sent.REFUSED)
        findings.differ("refusals for another reason than having lost", set(refused) - {"already_settled"})
        asked = {name for operator in self._operators for name in operator.session.outbox.entries} | {
            entry.id for _, entry in answers
        }
        check_decisions(findings, audit, accepted, asked)
        check_executions(findings, lines(self._directory.glob("*.calls")), audit)
        check_audit(findings, hub)
        check_events(findings, await stored_events(hub), lines(self._directory.glob("*.events")))
        for operator in self._operators:
            findings.differ(f"complaints at {operator.name}'s console", operator.problems)
        findings.differ("tracebacks of the hub", _tracebacks(self._hub.output()))
        findings.counts.update(self.counts)
        findings.counts["refusals: lost the race"] = refused["already_settled"]
        return findings


def _differences(operator: Operator, runs: list[dict[str, Any]], approvals: list[dict[str, Any]]) -> list[str]:
    session = operator.session
    board = {key: row.model_dump(mode="json") for key, row in session.board.rows.by_key.items()}
    queue = {key: held.row.model_dump(mode="json") for key, held in session.queue.rows.by_key.items()}
    found = []
    for shown, truth, names in ((board, runs, ROWS_COMPARED), (queue, approvals, APPROVALS_COMPARED)):
        real = {row["key"]: row for row in truth}
        found += [f"{operator.name}: {key} is shown, and is not" for key in shown.keys() - real.keys()]
        found += [f"{operator.name}: {key} is not shown" for key in real.keys() - shown.keys()]
        for key in shown.keys() & real.keys():
            for name in names:
                if shown[key].get(name) != real[key].get(name) and (shown[key].get(name) or real[key].get(name)):
                    found.append(f"{operator.name}: {key}.{name} {shown[key].get(name)!r} for {real[key].get(name)!r}")
    return found


def _tracebacks(output: str) -> list[str]:
    return [part[:600] for part in output.split("Traceback (most recent call last)")[1:]]


async def storm(directory: Path, seed: int, seconds: float) -> tuple[Findings, list[str]]:
    """One storm: what was found, and its story."""
    with held_port() as port:
        one = Storm(directory, seed, port)
        try:
            return await one.rage(seconds), one.story
        except BaseException:
            print("\n".join(one.story), file=sys.stderr)
            raise


def main() -> int:
    """From the command line."""
    seed, seconds = int(sys.argv[1]), float(sys.argv[2])
    with TemporaryDirectory(prefix="opsconsole-chaos-") as directory:
        findings, story = asyncio.run(storm(Path(directory), seed, seconds))
    print("\n".join(story))
    print(dict(findings.counts))
    print("\n".join(findings.problems) or "nothing is wrong")
    return 1 if findings.problems else 0


if __name__ == "__main__":
    sys.exit(main())
