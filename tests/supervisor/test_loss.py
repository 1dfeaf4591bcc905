"""Supervisor and reaper watch each other: whichever is killed, the other leaves no process of the tree alive."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from opsconsole.errors import CannotStart
from opsconsole.supervisor import kernel, sweep
from opsconsole.supervisor import process as process_module
from opsconsole.supervisor.ladder import LadderSettings
from opsconsole.supervisor.linux import LinuxProcesses
from opsconsole.supervisor.process import SupervisedProcess
from opsconsole.supervisor.sweep import Swept
from tests.supervisor.conftest import Start
from tests.supervisor.trees import (
    DEADLINE_SECONDS,
    PYTHON,
    SLEEP,
    STUBBORN,
    THREE_LEVELS,
    THREE_LEVELS_COUNT,
    Bench,
    grown,
    sleeper,
    until,
)

pytestmark = [pytest.mark.process, pytest.mark.skipif(sys.platform != "linux", reason="finds leftovers by /proc")]

SUPERVISE = """
import asyncio, sys
from pathlib import Path
from opsconsole.supervisor.process import SupervisedProcess
from opsconsole.supervisor.sweep import Swept

async def main():
    process = await SupervisedProcess.start(sys.argv[2:], receipt_path=Path(sys.argv[1]))
    await process.wait()

asyncio.run(main())
"""


HOLDS_THE_CHANNEL = """
    import os, time
    if os.fork() == 0:
        time.sleep(600)
"""
"""What a supervisor does besides: the process that it forks keeps its end of the channel open."""


@contextmanager
def supervisor(place: Bench, code: str, besides: str = "") -> Iterator[subprocess.Popen[bytes]]:
    """Starts a supervisor of its own process for this code."""
    supervise = SUPERVISE.replace("    await process.wait()", besides + "    await process.wait()")
    command = [sys.executable, "-c", supervise, str(place.receipt), *PYTHON, code]
    with subprocess.Popen(command, env=place.env, stdout=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()


def is_up(process: subprocess.Popen[bytes]) -> bool:
    assert process.stdout is not None
    return process.stdout.readline() == b"up\n"


async def reaper_of(process: SupervisedProcess) -> int:
    return next(info.parent for info in await process.tree() if info.pid == process.pid)


def is_stopped(pid: int) -> bool:
    info = LinuxProcesses().look(pid)
    return info is not None and info.stopped


async def test_kill_9_of_the_supervisor_leaves_no_process(place: Bench) -> None:
    with supervisor(place, THREE_LEVELS) as process:
        assert is_up(process)
        process.kill()
        await until(lambda: place.marked() == [])


async def test_a_lost_supervisors_reaper_leaves_a_receipt(place: Bench) -> None:
    with supervisor(place, STUBBORN) as process:
        assert is_up(process)
        process.kill()
        await until(place.receipt.exists)
    receipt: dict[str, Any] = json.loads(place.receipt.read_bytes())
    assert {key: receipt[key] for key in ("why", "proof", "survivors")} == {
        "why": "supervisor_lost",
        "proof": "process",
        "survivors": [],
    }
    assert (receipt["exit"]["status"], len(receipt["killed"])) == (signal.SIGKILL, 1)


async def test_a_supervisor_stopped_while_it_is_killed_is_a_lost_one(place: Bench) -> None:
    with supervisor(place, STUBBORN) as process:
        assert is_up(process)
        process.send_signal(signal.SIGSTOP)
        process.kill()
        await until(lambda: place.marked() == [])


async def test_a_killed_supervisor_is_lost_though_another_process_holds_its_channel_open(place: Bench) -> None:
    with supervisor(place, STUBBORN, HOLDS_THE_CHANNEL) as process:
        await until(lambda: len(place.marked()) == 4)  # itself, its fork, the reaper and the command
        process.kill()
        await until(lambda: len(place.marked()) == 1)
        os.kill(place.marked()[0], signal.SIGKILL)


async def test_kill_9_of_the_reaper_leaves_no_process(start: Start, place: Bench) -> None:
    process = await start(THREE_LEVELS)
    await grown(process, THREE_LEVELS_COUNT)
    os.kill(await reaper_of(process), signal.SIGKILL)
    done = await process.wait()
    assert (done.reaper_lost, done.empty, done.signal) == (True, True, "SIGKILL")
    assert place.marked() == []


async def test_a_command_dies_with_its_reaper_though_its_supervisor_can_do_nothing(place: Bench) -> None:
    with supervisor(place, STUBBORN) as process:
        assert is_up(process)
        process.send_signal(signal.SIGSTOP)
        await until(lambda: is_stopped(process.pid))
        (reaper,) = set(place.marked()) - set(place.leftovers())
        os.kill(reaper, signal.SIGKILL)
        await until(lambda: place.leftovers() == [process.pid])


SHEDS = f"import os, sys; os.execve(sys.executable, [sys.executable, '-I', '-S', '-c', {SLEEP!r}, 'bare'], {{}})"
ORPHAN = f"""
import subprocess, sys, time
child = subprocess.Popen([sys.executable, '-I', '-S', '-c', {SHEDS!r}], start_new_session=True)
print('up', child.pid, flush=True); time.sleep(600)
"""
"""A child in a session of its own that becomes another program without environment: nothing of the tree marks it."""


async def bare_orphan(process: SupervisedProcess) -> int:
    """Waits until the child has become itself without the mark; gives its pid."""
    await until(lambda: any(line.startswith("up ") for line in process.terminal.tail.lines()))
    place = Path("/proc") / process.terminal.tail.lines()[0].removeprefix("up ")
    await until(lambda: (place / "cmdline").read_bytes().endswith(b"\0bare\0"))
    assert (place / "environ").read_bytes() == b""
    return int(place.name)


@pytest.mark.parametrize("settings", [LadderSettings(cgroup=False), LadderSettings()], ids=["signals", "cgroup"])
async def test_an_orphan_without_its_environment_is_listed_and_dead_when_its_tree_is_called_empty(
    start: Start, settings: LadderSettings
) -> None:
    process = await start(ORPHAN, settings=settings)
    orphan = await bare_orphan(process)
    os.kill(await reaper_of(process), signal.SIGKILL)
    done = await process.wait()
    assert LinuxProcesses().look(orphan) is None  # collected, at this very moment
    assert ([info.pid for info in done.left], done.survivors, done.empty) == ([orphan], 1, True)
    assert (done.reaper_lost, done.signal) == (True, "SIGKILL")


@pytest.mark.parametrize("settings", [LadderSettings(cgroup=False), LadderSettings()], ids=["signals", "cgroup"])
@pytest.mark.parametrize("now", [True, False], ids=["now", "ladder"])
async def test_a_receipt_names_the_orphan_though_the_reaper_is_being_killed(
    start: Start, settings: LadderSettings, now: bool
) -> None:
    process = await start(ORPHAN, settings=settings)
    orphan = await bare_orphan(process)
    os.kill(await reaper_of(process), signal.SIGKILL)
    receipt = await process.kill(now=now)
    assert LinuxProcesses().look(orphan) is None
    assert (receipt.proof, receipt.survivors) == ("process", ())
    assert {info.pid for info in receipt.killed} - {process.pid} == {orphan}


async def test_a_start_that_is_given_up_leaves_nothing(place: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    # the reaper works; its word is lost
    monkeypatch.setattr(SupervisedProcess, "_heard", lambda self, message: None)
    monkeypatch.setattr(process_module, "START_SECONDS", 0.5)
    with pytest.raises(CannotStart, match="its reaper is silent"):
        await SupervisedProcess.start([*PYTHON, THREE_LEVELS], env=place.env, receipt_path=place.receipt)
    assert place.marked() == []


async def test_what_could_not_be_proven_dead_when_its_reaper_was_lost_is_struck_again_by_the_next_kill(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = await start(STUBBORN)
    strike = sweep.kill
    monkeypatch.setattr(sweep, "kill", lambda *_, **__: Swept(stages=(), killed=(), survivors=(), empty=False))
    os.kill(await reaper_of(process), signal.SIGKILL)
    assert ((await process.wait()).empty, process.empty) == (False, False)
    monkeypatch.setattr(sweep, "kill", strike)
    assert (await process.kill(now=True)).proof == "process"


async def test_a_lost_reapers_cgroup_is_removed(start: Start) -> None:
    process = await start(SLEEP)
    reaper = await reaper_of(process)
    if process.cgroup is None:
        pytest.skip("this system lets us make no cgroup")
    os.kill(reaper, signal.SIGKILL)
    await process.close()
    assert not await asyncio.to_thread(Path(process.cgroup).exists)


async def test_a_kill_works_though_the_reaper_is_dead(start: Start, place: Bench) -> None:
    process = await start(THREE_LEVELS)
    await grown(process, THREE_LEVELS_COUNT)
    os.kill(await reaper_of(process), signal.SIGKILL)
    assert (await process.kill(now=True)).proof == "process"
    assert place.marked() == []


async def test_a_kill_works_though_the_reaper_is_stopped(start: Start, place: Bench) -> None:
    process = await start(THREE_LEVELS)
    await grown(process, THREE_LEVELS_COUNT)
    tree, reaper = {info.pid for info in await process.tree()}, await reaper_of(process)
    os.kill(reaper, signal.SIGSTOP)
    await until(lambda: is_stopped(reaper))
    receipt = await process.kill(now=True)
    assert (receipt.proof, {info.pid for info in receipt.killed}) == ("process", tree)
    assert (await process.wait()).reaper_lost
    assert place.leftovers() == []


async def test_other_children_of_the_supervisor_survive_a_lost_reaper(start: Start, place: Bench) -> None:
    elder = sleeper(place, new_session=True)
    process, sibling = await start(SLEEP), await start(SLEEP)
    younger = sleeper(place)
    os.kill(await reaper_of(process), signal.SIGKILL)
    await process.wait()
    assert (elder.poll(), younger.poll(), len(await sibling.tree())) == (None, None, 1)
    for child in (elder, younger):
        child.kill()
        await asyncio.to_thread(child.wait)


async def test_stray_signals_do_not_end_the_reaper(start: Start) -> None:
    process = await start(SLEEP)
    reaper = await reaper_of(process)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1):
        os.kill(reaper, number)
    assert [info.pid for info in await process.tree()] == [process.pid]


async def test_without_a_subreaper_the_tree_is_tracked(start: Start, place: Bench) -> None:
    tracked = kernel.Capabilities(
        supported=True, subreaper=False, parent_death_signal=False, pidfd=True, unproven=(kernel.POLLED,)
    )
    process = await start(THREE_LEVELS, capabilities=tracked)
    await grown(process, THREE_LEVELS_COUNT)
    async with asyncio.timeout(DEADLINE_SECONDS):
        receipt = await process.kill(now=True)
    assert (receipt.proof, len(receipt.killed), place.leftovers()) == ("process", THREE_LEVELS_COUNT, [])
