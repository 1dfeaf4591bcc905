"""The process table of the real system."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from opsconsole.supervisor.linux import LinuxProcesses
from opsconsole.supervisor.polled import PsutilProcesses
from opsconsole.supervisor.processes import MARKER, Identity, Processes
from opsconsole.supervisor.tree import descendants
from tests.supervisor.trees import DEADLINE_SECONDS, PYTHON, SLEEP, Bench, begun

pytestmark = [pytest.mark.process, pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")]


@pytest.fixture(params=[LinuxProcesses, PsutilProcesses])
def table(request: pytest.FixtureRequest) -> Processes:
    made: Processes = request.param()
    return made


@pytest.fixture
def sleeper(place: Bench) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([*PYTHON, SLEEP], env={**place.env, MARKER: "outer:inner"})
    begun(process.pid)
    yield process
    process.kill()
    process.wait()


def test_a_process_is_signalled_by_its_identity(table: Processes, sleeper: subprocess.Popen[bytes]) -> None:
    info = table.look(sleeper.pid)
    assert info is not None
    assert table.send(info.identity, signal.SIGTERM)
    assert sleeper.wait(DEADLINE_SECONDS) == -signal.SIGTERM


def test_a_reused_pid_is_not_signalled(table: Processes, sleeper: subprocess.Popen[bytes]) -> None:
    info = table.look(sleeper.pid)
    assert info is not None
    assert not table.send(Identity(sleeper.pid, info.start - 1), signal.SIGKILL)
    assert sleeper.poll() is None


def test_a_reused_pid_is_not_signalled_without_pidfd(
    sleeper: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "pidfd_open")
    table = LinuxProcesses()
    info = table.look(sleeper.pid)
    assert info is not None
    assert not table.send(Identity(sleeper.pid, info.start - 1), signal.SIGKILL)
    assert table.send(info.identity, signal.SIGKILL)


def test_a_dead_process_takes_no_signal(table: Processes, sleeper: subprocess.Popen[bytes]) -> None:
    info = table.look(sleeper.pid)
    assert info is not None
    sleeper.kill()
    sleeper.wait()
    assert not table.send(info.identity, signal.SIGTERM)


def test_a_look_tells_parent_and_state(table: Processes, sleeper: subprocess.Popen[bytes]) -> None:
    sleeper.send_signal(signal.SIGSTOP)
    os.waitpid(sleeper.pid, os.WUNTRACED)
    info = table.look(sleeper.pid)
    assert info is not None
    assert (info.pid, info.parent, info.stopped, info.dead) == (sleeper.pid, os.getpid(), True, False)


def test_children_are_found(table: Processes, sleeper: subprocess.Popen[bytes]) -> None:
    assert sleeper.pid in table.children(os.getpid())


def test_children_are_found_without_children_files(sleeper: subprocess.Popen[bytes]) -> None:
    table = LinuxProcesses()
    table._children_files = False
    assert sleeper.pid in table.children(os.getpid())


def test_each_token_of_a_nested_run_is_recognised(table: Processes, sleeper: subprocess.Popen[bytes]) -> None:
    assert [table.carries(sleeper.pid, token) for token in ("outer", "inner", "out")] == [True, True, False]


def test_a_hostile_process_name_is_read_whole(place: Bench, tmp_path: Path) -> None:
    program = tmp_path / "a) S 1 (b"
    shutil.copy(shutil.which("sleep") or "/bin/sleep", program)
    with subprocess.Popen([program, "600"], env=place.env) as process:
        begun(process.pid)
        info = LinuxProcesses().look(process.pid)
        process.kill()
    assert info is not None
    assert (info.name, info.parent) == ("a) S 1 (b", os.getpid())


def test_a_zombie_is_no_live_process(table: Processes, sleeper: subprocess.Popen[bytes]) -> None:
    sleeper.kill()
    os.waitid(os.P_PID, sleeper.pid, os.WEXITED | os.WNOWAIT)
    assert list(descendants(table, [sleeper.pid])) == []
