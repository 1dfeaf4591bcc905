"""The whole demo as a user starts it: real processes, worked over HTTP, and nothing left of it at the end."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx
import psutil
import pytest

from opsconsole.demo.surroundings import AGENTS

pytestmark = [pytest.mark.process, pytest.mark.timeout(300)]

MARK = "DEMO_TEST_MARK"
PATIENCE_SECONDS = 60.0
"""For anything that twenty processes do on a busy machine."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningDemo:
    """A demo that is up; `mark` is in the environment of everything it starts, `temporary` is where it writes."""

    process: subprocess.Popen[str]
    http: httpx.Client
    shop: Path
    temporary: Path
    mark: str

    def rows(self, path: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.http.get(path).json()["rows"]
        return found

    def command(self, **command: Any) -> str:
        body = {"cmd": f"cmd_{uuid.uuid4().hex}", **command}
        answer = self.http.post("/v1/commands", json=body).json()
        assert answer["ok"], answer
        return body["cmd"]


def until(holds: Callable[[], T]) -> T:
    """The first true value of `holds`, asked again and again. Raises: TimeoutError."""
    end = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end:
        if value := holds():
            return value
        time.sleep(0.05)
    raise TimeoutError(holds)


def marked(mark: str) -> list[str]:
    """The command lines of the live processes that carry the mark."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == mark and process.status() != psutil.STATUS_ZOMBIE:
                found.append(" ".join(process.cmdline()))
        except psutil.Error:
            continue
    return found


def said(process: subprocess.Popen[str], pattern: str) -> re.Match[str]:
    """The first match in what the demo prints. Raises: AssertionError when it ends without one."""
    assert process.stdout is not None
    printed = []
    for line in process.stdout:
        printed.append(line)
        if match := re.search(pattern, line):
            return match
    raise AssertionError(f"the demo said only: {''.join(printed)}")


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDemo]:
    temporary, mark = tmp_path_factory.mktemp("demo"), uuid.uuid4().hex
    process = subprocess.Popen(
        [sys.executable, "-m", "opsconsole.cli", "demo", "--no-console"],
        env={**os.environ, MARK: mark, "TMPDIR": str(temporary), "OPSCONSOLE_DEMO_PACE": "0.1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        found = said(process, r"--hub (\S+) --data-dir (\S+)")
        shop = said(process, r"work in (\S+)\. ")
        token = (Path(found[2]) / "operator.token").read_text().strip()
        headers = {"Authorization": f"Bearer {token}"}
        with httpx.Client(base_url=found[1], headers=headers, timeout=PATIENCE_SECONDS, trust_env=False) as http:
            yield RunningDemo(process=process, http=http, shop=Path(shop[1]), temporary=temporary, mark=mark)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.communicate(timeout=PATIENCE_SECONDS)
        finally:
            process.kill()


def test_every_agent_is_a_visible_run_under_a_supervisor_and_a_gateway(demo: RunningDemo) -> None:
    def supervised() -> set[str]:
        rows = demo.rows("/v1/runs?live=1")
        found = {row["agent"] for row in rows if {"gateway", "supervisor"} <= {one["name"] for one in row["points"]}}
        return found if found >= set(AGENTS) else set()

    assert until(supervised) >= set(AGENTS)


def test_agents_that_know_nothing_of_opsconsole_have_turns_and_held_calls(demo: RunningDemo) -> None:
    def plain() -> dict[str, int]:
        rows = [row for row in demo.rows("/v1/runs") if "sdk" not in {point["name"] for point in row["points"]}]
        return {row["agent"]: row["turns"] for row in rows if row["turns"]}

    assert until(lambda: plain().keys() >= {"sre", "looper", "spender"})
    assert until(lambda: [row for row in demo.rows("/v1/approvals?status=pending") if row["tool"] == "shell"])


def test_an_approved_call_takes_effect_in_the_shops_database(demo: RunningDemo) -> None:
    def held() -> list[dict[str, Any]]:
        return [row for row in demo.rows("/v1/approvals?status=pending") if "UPDATE" in str(row["args"])]

    def status() -> str:
        with closing(sqlite3.connect(demo.shop / "shop.db")) as database:
            query = "SELECT status FROM refunds WHERE id = :id"
            (found,) = database.execute(query, approval["args"]["parameters"]).fetchone()
            return str(found)

    approval = until(held)[0]
    assert status() == "pending"
    demo.command(do="decide", approval=approval["approval"], digest=approval["digest"], answer="approve")
    until(lambda: status() == "paid")


def test_the_hanger_is_killed_with_proof_and_its_escaped_child_too(demo: RunningDemo) -> None:
    def stuck() -> str:
        hanging = [row for row in demo.rows("/v1/runs?live=1") if row["agent"] == "hanger"]
        waits = bool(hanging) and (hanging[0].get("waiting") or {}).get("kind") == "tool"
        return str(hanging[0]["run"]) if waits and len(sleepers()) == 2 else ""

    def sleepers() -> list[str]:
        return [line for line in marked(demo.mark) if line.startswith("sleep ")]

    command = demo.command(do="kill", run=until(stuck), note="it hangs")
    report = demo.http.get(f"/v1/commands/{command}", params={"wait": 20}).json()
    assert [(run["status"], run["proof"]) for run in report["runs"]] == [("dead", "process")]
    assert sleepers() == []


def test_stopping_the_demo_leaves_nothing_behind(demo: RunningDemo) -> None:
    assert len(marked(demo.mark)) > len(AGENTS)
    demo.process.send_signal(signal.SIGTERM)
    printed, _ = demo.process.communicate(timeout=PATIENCE_SECONDS)
    assert "nothing is left (proof: process)" in printed
    assert (demo.process.returncode, marked(demo.mark), list(demo.temporary.iterdir())) == (0, [], [])
