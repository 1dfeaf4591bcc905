"""An agent that is killed with SIGKILL resumes where it was: nothing lost, nothing done twice, nothing revived."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from opsconsole.sdk.drain import drain_orphans
from tests.sdk.fake_hub import TIME_LIMIT_SECONDS, FakeHub, running_hub, silent

SCRIPT = Path(__file__).with_name("agent_process.py")
Start = Callable[..., "Agent"]

pytestmark = pytest.mark.process


class Agent:
    def __init__(self, fake_hub: FakeHub, data_dir: Path, mode: str, key: str | None, environ: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(SCRIPT), fake_hub.url, str(data_dir), mode, *([key] if key else [])],
            stdout=subprocess.PIPE,
            text=True,
            env={name: value for name, value in os.environ.items() if not name.startswith("OPSCONSOLE_")} | environ,
        )

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(TIME_LIMIT_SECONDS)

    def ended(self) -> tuple[int, list[str]]:
        out, _ = self.process.communicate(timeout=TIME_LIMIT_SECONDS)
        return self.process.returncode, out.splitlines()


@pytest.fixture
def start(fake_hub: FakeHub, tmp_path: Path) -> Iterator[Start]:
    agents: list[Agent] = []

    def started(mode: str, key: str | None = None, **environ: str) -> Agent:
        agents.append(Agent(fake_hub, tmp_path, mode, key, environ))
        return agents[-1]

    yield started
    for agent in agents:
        if agent.process.poll() is None:
            agent.kill()
        if agent.process.stdout:
            agent.process.stdout.close()


def ran(data_dir: Path) -> list[str]:
    return (data_dir / "ran.txt").read_text().split()


def test_a_killed_agent_resumes_from_its_checkpoint_and_runs_no_call_twice(
    start: Start, fake_hub: FakeHub, tmp_path: Path
) -> None:
    code, told = start("crash", "batch-88").ended()
    assert (code, told[1:]) == (-signal.SIGKILL, ["did 1", "did 2"])
    code, told = start("resume", "batch-88").ended()
    assert (code, told[1:]) == (0, ["did 2", "interrupted unknown", "did 4"])
    assert told[0].endswith("state {'done': 1}")
    assert ran(tmp_path) == ["1", "2", "3", "4"]
    record = fake_hub.only()
    assert [event["seq"] for event in record.events] == list(range(1, len(record.events) + 1))
    assert record.states() == ["working", "working", "completed"]
    assert record.of("run")[1]["restored_from"] == record.of("note")[0]["data"]["id"]
    assert [event["error"] for event in record.of("tool") if event["status"] == "failed"] == [
        "the agent's process ended while it ran: its outcome is unknown"
    ]


def test_events_journalled_while_the_hub_was_down_arrive_after_the_agents_death(
    start: Start, fake_hub: FakeHub, tmp_path: Path
) -> None:
    fake_hub.down()
    agent = start("hold")
    run = agent.line().split()[1]
    agent.kill()
    fake_hub.up()
    drained = drain_orphans(hub=fake_hub.url, token="good", data_dir=tmp_path)
    assert (drained.runs, drained.delivered) == ((run,), True)
    assert fake_hub.only().states() == ["working", "failed"]
    assert list((tmp_path / "journal").glob("run_*")) == []


def test_the_next_agent_of_the_machine_delivers_what_a_dead_one_left(start: Start, fake_hub: FakeHub) -> None:
    fake_hub.down()
    agent = start("hold")
    dead = agent.line().split()[1]
    assert agent.line() == "holding"
    agent.kill()
    fake_hub.up()
    start("none").ended()
    assert fake_hub.runs[dead].states() == ["working", "failed"]
    assert fake_hub.runs[dead].of("note")[0]["text"] == "holding"


def test_a_drain_leaves_a_living_agent_alone(start: Start, fake_hub: FakeHub, tmp_path: Path) -> None:
    agent = start("hold")
    agent.line()
    assert drain_orphans(hub=fake_hub.url, token="good", data_dir=tmp_path).runs == ()


def test_two_processes_cannot_speak_for_one_run(start: Start, fake_hub: FakeHub) -> None:
    assert start("hold", "batch-88").line().startswith("run ")
    code, told = start("hold", "batch-88").ended()
    assert (code, told[0].split()[0]) == (7, "RunInUse")


def test_two_programs_at_once_under_one_supervisor_are_parent_and_child(start: Start, fake_hub: FakeHub) -> None:
    assert start("hold", OPSCONSOLE_RUN="run_supervised").line().startswith("run run_supervised")
    assert start("none", OPSCONSOLE_RUN="run_supervised").ended()[0] == 0
    fake_hub.wait(lambda: [bool(record.of("run")) for record in fake_hub.runs.values()] == [True, True])
    assert sorted(record.of("run")[0].get("parent", "") for record in fake_hub.runs.values()) == ["", "run_supervised"]


def test_a_program_after_another_under_one_supervisor_is_its_child(
    start: Start, fake_hub: FakeHub, tmp_path: Path
) -> None:
    runs = [start("none", OPSCONSOLE_RUN="run_supervised").ended()[1][0].split()[1] for _ in range(3)]
    parents = [fake_hub.runs[run].of("run")[0].get("parent") for run in runs]
    assert (runs[0], parents) == ("run_supervised", [None, "run_supervised", "run_supervised"])
    assert fake_hub.runs["run_supervised"].states() == ["working", "completed"]
    drain_orphans(hub=fake_hub.url, token="good", data_dir=tmp_path, run="run_supervised", over=True)
    assert list((tmp_path / "journal").glob("run_*")) == []


def test_a_supervised_run_is_drained_without_a_word_on_its_end(start: Start, fake_hub: FakeHub, tmp_path: Path) -> None:
    agent = start("hold", OPSCONSOLE_RUN="run_supervised")
    agent.line()
    agent.kill()
    drained = drain_orphans(hub=fake_hub.url, token="good", data_dir=tmp_path, run="run_supervised", over=True)
    assert (drained.runs, drained.delivered) == (("run_supervised",), True)
    assert fake_hub.only().states() == ["working"]
    assert list((tmp_path / "journal").iterdir()) == []


def test_a_verdict_that_came_while_the_agent_was_dead_is_used_once(
    start: Start, fake_hub: FakeHub, tmp_path: Path
) -> None:
    fake_hub.verdict = silent
    agent = start("wait", "batch-88")
    run = agent.line().split()[1]
    (proposed,) = fake_hub.wait(lambda: fake_hub.only().of("tool"))
    agent.kill()
    fake_hub.send(run, "verdict", call=proposed["id"], outcome="allow", digest=proposed["digest"])
    assert start("wait", "batch-88").ended()[0] == 0
    assert ran(tmp_path) == ["4"]
    assert {event["id"] for event in fake_hub.only().of("tool")} == {proposed["id"]}


def test_a_run_killed_by_an_operator_is_not_restarted_by_recovery(start: Start, fake_hub: FakeHub) -> None:
    agent = start("hold", "batch-88")
    run = agent.line().split()[1]
    fake_hub.wait(lambda: fake_hub.only().states())
    fake_hub.send(run, "kill", by="ann")
    assert agent.ended()[0] == 7
    code, told = start("hold", "batch-88").ended()
    assert (code, told[0].split()[0]) == (7, "RunStopped")
    assert fake_hub.only().states() == ["working", "killed"]


def test_a_kill_that_the_process_did_not_live_to_obey_still_stops_the_run(
    start: Start, fake_hub: FakeHub, tmp_path: Path
) -> None:
    agent = start("hold", "batch-88")
    run = agent.line().split()[1]
    fake_hub.wait(lambda: fake_hub.only().of("note"))
    agent.kill()
    cmd = fake_hub.send(run, "kill", by="ann")
    drain_orphans(hub=fake_hub.url, token="good", data_dir=tmp_path, run=run)
    assert fake_hub.result(cmd).proof == "cooperative"
    code, told = start("hold", "batch-88").ended()
    assert (code, told[0].split()[0]) == (7, "RunStopped")


def test_the_hubs_death_loses_nothing(start: Start, fake_hub: FakeHub) -> None:
    agent = start("hold")
    agent.line()
    fake_hub.wait(lambda: fake_hub.only().of("note"))
    fake_hub.down()
    fake_hub.up()
    fake_hub.wait(lambda: len(fake_hub.hellos) == 2)
    assert [event["seq"] for event in fake_hub.only().events] == [1, 2, 3]


def test_a_journal_written_for_one_hub_is_not_delivered_to_another(
    start: Start, fake_hub: FakeHub, tmp_path: Path
) -> None:
    fake_hub.down()
    agent = start("hold")
    run = agent.line().split()[1]
    agent.kill()
    with running_hub() as other:
        for which in (None, run):
            assert drain_orphans(hub=other.url, token="good", data_dir=tmp_path, run=which).runs == ()
    fake_hub.up()
    localhost = fake_hub.url.replace("127.0.0.1", "localhost")
    assert drain_orphans(hub=localhost, token="good", data_dir=tmp_path).runs == (run,)
