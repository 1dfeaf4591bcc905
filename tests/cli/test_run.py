"""`opsconsole run` with real processes and a real hub: nothing changes for the command, everything for the operator."""

from __future__ import annotations

import contextlib
import json
import shlex
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.machine import PATIENCE_SECONDS, Machine, living, until

pytestmark = [pytest.mark.process, pytest.mark.skipif(sys.platform != "linux", reason="finds leftovers by /proc")]

STUBBORN = (
    "trap '' TERM; (trap '' TERM; setsid sh -c 'sleep 300 & sleep 300' & sleep 300) & while :; do sleep 0.1; done"
)
"""Ignores SIGTERM, with a grandchild in a session of its own."""


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    machine = Machine(tmp_path_factory.mktemp("shared"))
    machine.start_hub()
    yield machine
    machine.close()


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    made = Machine(tmp_path)
    yield made
    made.close()


def test_input_output_and_exit_code_pass_through(shared: Machine) -> None:
    done = shared.cli("run", "--agent", "echo", "--", "sh", "-c", "cat; echo oops >&2; exit 7", stdin="a\nb")
    assert (done.returncode, done.stdout, done.stderr) == (7, "a\nb", "oops\n")


def test_a_death_by_signal_is_passed_on_as_a_shell_would(shared: Machine) -> None:
    assert shared.cli("run", "--", "sh", "-c", "kill -9 $$").returncode == 137


def test_options_of_the_command_are_the_commands(shared: Machine) -> None:
    assert shared.cli("run", "echo", "--json", "--help").stdout == "--json --help\n"


def test_the_hub_learns_how_it_ended(shared: Machine) -> None:
    shared.cli(
        "run", "--agent", "ends", "--label", "team=ops", "--name", "night", "--", "sh", "-c", "echo last; exit 3"
    )
    row = until(lambda: (shared.row("ends") or {}).get("ended_at") and shared.row("ends"), "the end")
    assert (row["state"], row["reason"], row["exit_code"], row["name"], row["labels"]) == (
        "failed",
        "exit status 3",
        3,
        "night",
        {"team": "ops"},
    )
    (last,) = [event for event in shared.timeline(row["run"]) if event.get("exit")]
    assert (last["exit"]["last_output"], last["exit"]["survivors"]) == (["last"], 0)


def test_the_command_is_told_where_the_hub_is_and_which_run_it_is(shared: Machine) -> None:
    done = shared.cli("run", "--agent", "env", "--", "sh", "-c", "env")
    ours = dict(line.split("=", 1) for line in done.stdout.splitlines() if line.startswith("OPSCONSOLE_"))
    row = shared.row("env")
    assert row is not None
    assert {name: ours[name] for name in ("OPSCONSOLE_HUB", "OPSCONSOLE_RUN", "OPSCONSOLE_DATA_DIR")} == {
        "OPSCONSOLE_HUB": shared.url,
        "OPSCONSOLE_RUN": row["run"],
        "OPSCONSOLE_DATA_DIR": str(shared.data_dir),
    }
    assert ours["OPSCONSOLE_TOKEN"] == (shared.data_dir / "agent.token").read_text().strip()


def test_only_the_command_itself_is_told_which_stopped_run_it_goes_on_from(shared: Machine) -> None:
    journal = shared.data_dir / "journal" / "run_stopped.db"
    journal.parent.mkdir(exist_ok=True)
    journal.touch()
    show = "echo $OPSCONSOLE_RESUME"
    inner = f"{show}; {shlex.quote(sys.executable)} -m opsconsole.cli run -- sh -c 'echo inner:$OPSCONSOLE_RESUME'"
    done = shared.cli("run", "--resume", "run_stopped", "--agent", "resumed", "--", "sh", "-c", inner)
    journal.unlink()
    assert (done.stdout, done.returncode) == ("run_stopped\ninner:\n", 0)


def test_what_left_no_journal_here_cannot_be_gone_on_from(shared: Machine) -> None:
    done = shared.cli("run", "--resume", "run_nobody", "--", "echo", "ran")
    assert (done.stdout, done.returncode) == ("", 2)
    assert "run_nobody left no journal on this machine" in done.stderr


def test_a_run_inside_a_run_is_its_child(shared: Machine) -> None:
    inner = f"{shlex.quote(sys.executable)} -m opsconsole.cli run --agent inner -- true"
    assert shared.cli("run", "--agent", "outer", "--", "sh", "-c", inner).returncode == 0
    outer, child = shared.row("outer"), shared.row("inner")
    assert outer is not None
    assert child is not None
    assert child["parent"] == outer["run"]


def test_a_command_that_cannot_start_is_127_and_a_failed_run(shared: Machine) -> None:
    done = shared.cli("run", "--agent", "absent", "--", "/no/such/program")
    assert (done.returncode, done.stderr) == (127, "opsconsole: cannot start '/no/such/program': no such program\n")
    row = until(lambda: (shared.row("absent") or {}).get("ended_at") and shared.row("absent"), "the end")
    assert (row["state"], row["reason"]) == ("failed", "cannot start")


@pytest.mark.parametrize("how", [(), ("--now",)])
def test_a_kill_ends_the_whole_tree_with_proof(shared: Machine, how: tuple[str, ...]) -> None:
    agent = f"stubborn{len(how)}"
    process = shared.begin("run", "--agent", agent, "--", "sh", "-c", STUBBORN)
    run = until(lambda: shared.row(agent), "the run")["run"]
    until(lambda: len(living(run)) >= 4, "the tree")
    done = shared.cli("kill", run, "--reason", "drill", "--json", "--timeout", "60", *how)
    (receipt,) = json.loads(done.stdout)
    assert (done.returncode, receipt["run"], receipt["proof"], receipt["status"]) == (0, run, "process", "dead")
    assert living(run) == []
    names = [point["name"] for point in receipt["points"]]
    ladder = ["supervisor.freeze", "supervisor.kill", "supervisor.verify"]
    assert names == ["hub.fence", *([] if how else ["supervisor.term"]), *ladder]
    times = [point["ms"] for point in receipt["points"]]
    assert times == sorted(times)
    assert process.wait(PATIENCE_SECONDS) == 137
    row = until(lambda: (shared.row(agent) or {}).get("exit_signal") and shared.row(agent), "the exit")
    assert (row["state"], row["zombie"], row["exit_signal"]) == ("killed", False, "SIGKILL")


def test_a_kill_of_a_dead_run_is_done_and_says_so(shared: Machine) -> None:
    shared.cli("run", "--agent", "brief", "--", "true")
    run = until(lambda: (shared.row("brief") or {}).get("ended_at") and shared.row("brief"), "the end")["run"]
    done = shared.cli("kill", run, "--json", "--timeout", "60")
    (receipt,) = json.loads(done.stdout)
    assert (done.returncode, receipt["status"], receipt["proof"]) == (0, "already_dead", "process")


def test_a_frozen_run_stands_still_until_it_is_thawed(shared: Machine) -> None:
    shared.begin("run", "--agent", "frozen", "--", "sh", "-c", "while :; do sleep 0.05; done")
    run = until(lambda: shared.row("frozen"), "the run")["run"]

    def states() -> set[str]:
        found = set()
        for pid in living(run):
            with contextlib.suppress(OSError):  # a `sleep` ends while it is looked at
                found.add(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0])
        return found

    until(lambda: living(run), "the process")
    assert shared.cli("freeze", run, "--timeout", "60").returncode == 0
    assert states() == {"T"}
    assert shared.cli("thaw", run, "--timeout", "60").returncode == 0
    until(lambda: "T" not in states(), "a thawed process")
    assert shared.cli("kill", run, "--now", "--timeout", "60").returncode == 0


def test_a_hub_that_is_not_there_changes_nothing_and_learns_later(machine: Machine) -> None:
    machine.start_hub()
    machine.kill_hub()
    done = machine.cli("run", "--agent", "lonely", "--", "sh", "-c", "echo on; exit 5")
    assert (done.returncode, done.stdout) == (5, "on\n")
    assert done.stderr == "opsconsole: the hub cannot be reached; the command goes on, and is reported later\n"
    machine.start_hub()
    machine.begin("run", "--agent", "next", "--", "sleep", "300")
    row = until(lambda: (machine.row("lonely") or {}).get("ended_at") and machine.row("lonely"), "the late report")
    assert (row["state"], row["exit_code"]) == ("failed", 5)


def test_a_run_that_ended_while_the_hub_was_away_is_proven_dead_though_it_is_killed_before_its_report(
    machine: Machine,
) -> None:
    machine.start_hub()
    release = machine.data_dir / "release"
    process = machine.begin("run", "--agent", "late", "--", "sh", "-c", f"until [ -e {release} ]; do sleep 0.05; done")
    run = until(lambda: machine.row("late"), "the run")["run"]
    machine.kill_hub()
    release.touch()
    assert process.wait(PATIENCE_SECONDS) == 0
    machine.start_hub()
    assert machine.cli("kill", run, "--timeout", "0").returncode == 3
    machine.begin("run", "--agent", "next", "--", "sleep", "300")
    row = until(lambda: (machine.row("late") or {}).get("ended_at") and machine.row("late"), "the late report")
    done = machine.cli("kill", run, "--json", "--timeout", "60")
    assert (done.returncode, json.loads(done.stdout)[0]["proof"], row["exit_code"]) == (0, "process", 0)


def test_a_hub_that_dies_and_comes_back_loses_nothing_of_a_run(machine: Machine) -> None:
    machine.start_hub()
    release = machine.data_dir / "release"
    process = machine.begin(
        "run", "--agent", "patient", "--", "sh", "-c", f"until [ -e {release} ]; do sleep 0.05; done; exit 4"
    )
    until(lambda: machine.row("patient"), "the run")
    machine.kill_hub()
    machine.start_hub()
    run = until(lambda: machine.row("patient"), "the run after the restart")
    until(lambda: (machine.row("patient") or {})["link"] == "live", "the link")
    release.touch()
    assert process.wait(PATIENCE_SECONDS) == 4
    row = until(lambda: (machine.row("patient") or {}).get("ended_at") and machine.row("patient"), "the end")
    assert (row["run"], row["state"], row["exit_code"]) == (run["run"], "failed", 4)


def test_a_tree_does_not_outlive_a_killed_supervisor_unnoticed(machine: Machine) -> None:
    machine.start_hub()
    process = machine.begin("run", "--agent", "orphan", "--", "sh", "-c", STUBBORN)
    run = until(lambda: machine.row("orphan"), "the run")["run"]
    until(lambda: len(living(run)) >= 4, "the tree")
    process.send_signal(signal.SIGKILL)
    until(lambda: not living(run), "the end of the tree")
    until(lambda: list(machine.data_dir.glob(f"journal/supervisor/{run}.receipt.json")), "the reaper's receipt")
    machine.begin("run", "--agent", "next", "--", "sleep", "300")
    row = until(lambda: (machine.row("orphan") or {}).get("ended_at") and machine.row("orphan"), "the late report")
    assert row["state"] == "failed"
    assert row["reason"].startswith("its supervisor was killed; ")
    assert json.loads(machine.cli("kill", run, "--json", "--timeout", "60").stdout)[0]["proof"] == "process"
