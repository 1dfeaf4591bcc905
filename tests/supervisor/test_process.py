"""A supervised command from start to proven end, with real processes."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path

import pytest

from opsconsole.errors import CannotStart, SupervisorError, UnsupportedPlatform
from opsconsole.supervisor import kernel
from opsconsole.supervisor.ladder import LadderSettings
from opsconsole.supervisor.process import SupervisedProcess
from opsconsole.supervisor.receipts import KillReceipt
from opsconsole.supervisor.sweep import Swept
from tests.supervisor.conftest import Start
from tests.supervisor.trees import (
    FIRST_THREAD_ENDED,
    LEAVES_A_DAEMON,
    PYTHON,
    RESPAWNS,
    SLEEP,
    SPIN,
    STUBBORN,
    THREE_LEVELS,
    THREE_LEVELS_COUNT,
    Bench,
    end,
    grown,
    said,
    until,
)

pytestmark = [pytest.mark.process, pytest.mark.skipif(sys.platform != "linux", reason="finds leftovers by /proc")]

WITHOUT_CGROUP = LadderSettings(cooperative_ms=250, term_ms=250, cgroup=False)
WITH_CGROUP = LadderSettings(cooperative_ms=250, term_ms=250)
PATIENT = LadderSettings(cooperative_ms=60_000, term_ms=60_000)


def outcomes(receipt: KillReceipt) -> dict[str, str]:
    return {step.name: step.outcome for step in receipt.steps}


async def test_the_exit_code_is_passed_through(start: Start) -> None:
    done = await (await start("raise SystemExit(41)")).wait()
    assert (done.code, done.signal, done.status, done.survivors, done.empty) == (41, None, 41, 0, True)


async def test_a_death_by_signal_is_passed_through(start: Start) -> None:
    done = await (await start("import os; os.kill(os.getpid(), 15)")).wait()
    assert (done.code, done.signal, done.status) == (None, "SIGTERM", 143)


async def test_the_last_lines_of_both_streams_are_kept(start: Start) -> None:
    process = await start(
        "import sys\nfor n in range(200): print(n)\nsys.stdout.flush(); print('oops', file=sys.stderr)"
    )
    lines = (await process.wait()).last_output
    assert sorted(lines) == sorted([*map(str, range(175, 200)), "oops"])


async def test_output_that_is_not_utf8_is_kept_as_far_as_it_is(start: Start) -> None:
    process = await start(r"import os; os.write(1, b'bad \xff\xfe end\n')")
    assert (await process.wait()).last_output == ["bad \ufffd\ufffd end"]


async def test_output_arrives_unchanged(start: Start) -> None:
    source, sink = os.pipe()
    process = await start("import os; os.write(1, bytes(range(256)) * 100)", stdio=(0, sink, sink))
    await process.wait()
    os.close(sink)
    with os.fdopen(source, "rb") as stream:
        assert stream.read() == bytes(range(256)) * 100


async def test_input_is_passed_on(start: Start) -> None:
    source, sink = os.pipe()
    os.write(sink, b"hello")
    os.close(sink)
    process = await start("import sys; print(sys.stdin.read()[::-1])", stdio=(source, 1, 2))
    os.close(source)
    assert (await process.wait()).last_output == ["olleh"]


async def test_resource_use_is_summed_over_the_tree(start: Start) -> None:
    burn = "import time\nwhile time.process_time() < 0.2: pass"
    process = await start(f"import subprocess, sys; subprocess.run([sys.executable, '-I', '-S', '-c', {burn!r}])")
    used = (await process.wait()).rusage
    assert used.user_seconds + used.system_seconds >= 0.2
    assert used.max_rss > 1_000_000


@pytest.mark.parametrize(
    ("argv", "cwd", "says"),
    [
        (["no-such-program-here"], None, "no such program"),
        (["/etc/passwd"], None, "not executable"),
        ([*PYTHON, SLEEP], Path("/no/such/directory"), "working directory does not exist"),
        ([], None, "no command given"),
    ],
)
async def test_a_command_that_cannot_start_says_why(place: Bench, argv: list[str], cwd: Path | None, says: str) -> None:
    with pytest.raises(CannotStart, match=says):
        await SupervisedProcess.start(argv, env=place.env, cwd=cwd, receipt_path=place.receipt)


async def test_a_cancelled_start_leaves_nothing(place: Bench) -> None:
    begin = SupervisedProcess.start([*PYTHON, SLEEP], env=place.env, receipt_path=place.receipt)
    starting = asyncio.create_task(begin)
    await until(lambda: len(place.marked()) > 0)
    starting.cancel()
    await until(lambda: starting.done() and place.marked() == [])


async def test_a_system_without_supervision_is_refused_clearly(place: Bench) -> None:
    none = kernel.Capabilities(supported=False, subreaper=False, parent_death_signal=False, pidfd=False, unproven=())
    with pytest.raises(UnsupportedPlatform, match="Linux and macOS"):
        await SupervisedProcess.start(["true"], receipt_path=place.receipt, capabilities=none)


async def test_the_whole_tree_is_seen(start: Start) -> None:
    process = await start(THREE_LEVELS)
    await grown(process, THREE_LEVELS_COUNT)
    tree = await process.tree()
    assert len({info.pid for info in tree}) == THREE_LEVELS_COUNT
    assert process.pid in {info.pid for info in tree}


@pytest.mark.parametrize("settings", [WITHOUT_CGROUP, WITH_CGROUP], ids=["signals", "cgroup"])
async def test_a_kill_ends_what_escaped_by_setsid_and_double_fork(
    start: Start, place: Bench, settings: LadderSettings
) -> None:
    process = await start(THREE_LEVELS, settings=settings)
    await grown(process, THREE_LEVELS_COUNT)
    receipt = await process.kill(now=True)
    assert (receipt.proof, len(receipt.killed), receipt.survivors) == ("process", THREE_LEVELS_COUNT, ())
    assert [step.name for step in receipt.steps] == ["freeze", "kill", "verify"]
    assert place.leftovers() == []


async def test_a_kill_tells_the_exit_too(start: Start) -> None:
    process = await start(SLEEP)
    await process.kill(now=True)
    done = await process.wait()
    assert (done.signal, done.status, done.empty) == ("SIGKILL", 137, True)


async def test_a_tree_that_heeds_sigterm_is_not_struck(start: Start) -> None:
    process = await start(SLEEP, settings=PATIENT)
    receipt = await process.kill(now=False)
    assert (receipt.proof, outcomes(receipt)) == ("process", {"term": "ended"})


async def test_a_tool_that_ignores_sigterm_dies_all_the_same(start: Start, place: Bench) -> None:
    process = await start(STUBBORN, settings=WITHOUT_CGROUP)
    await said(process, "up")
    receipt = await process.kill(now=False)
    assert outcomes(receipt) == {
        "term": "still running",
        "freeze": "1 process",
        "kill": "1 signalled",
        "verify": "empty tree",
    }
    assert place.leftovers() == []


async def test_children_get_the_term_step_though_their_parent_heeded_it(start: Start, tmp_path: Path) -> None:
    # the parent dies of SIGTERM at once; its child needs a moment to write its last words
    words = tmp_path / "words"
    child = f"""
import pathlib, signal, time
def last(*_):
    time.sleep(0.1); pathlib.Path({str(words)!r}).write_text('saved'); raise SystemExit
signal.signal(15, last); print('up', flush=True); time.sleep(600)
"""
    code = f"import subprocess, sys, time; subprocess.Popen([sys.executable, '-I', '-c', {child!r}]); time.sleep(600)"
    process = await start(code, settings=PATIENT)
    await said(process, "up")
    receipt = await process.kill(now=False)
    assert (outcomes(receipt), words.read_text()) == ({"term": "ended"}, "saved")


async def test_a_cooperative_end_is_enough(start: Start) -> None:
    process = await start(STUBBORN, settings=PATIENT)
    await said(process, "up")

    async def ask() -> bool:
        return await process.signal(9)

    receipt = await process.kill(now=False, cooperative=ask)
    assert (receipt.proof, outcomes(receipt)) == ("process", {"cooperative": "ended"})


async def test_a_second_kill_joins_the_first(start: Start) -> None:
    process = await start(STUBBORN, settings=WITHOUT_CGROUP)
    await said(process, "up")
    first, second = await asyncio.gather(process.kill(now=False), process.kill(now=False))
    assert first == second


async def test_a_second_kill_now_is_not_swallowed(start: Start) -> None:
    process = await start(STUBBORN, settings=PATIENT)
    await said(process, "up")
    patient = asyncio.create_task(process.kill(now=False))
    await asyncio.sleep(0)
    async with asyncio.timeout(30):  # less than the first kill's patience
        receipt = await process.kill(now=True)
        assert (receipt, receipt.proof) == (await patient, "process")


async def test_a_kill_after_one_that_proved_nothing_strikes_again(start: Start) -> None:
    process = await start(STUBBORN)
    strike = process.strike

    async def miss() -> Swept:
        return Swept(stages=(), killed=(), survivors=(), empty=False)

    process.strike = miss  # type: ignore[method-assign]
    first = await process.kill(now=True)
    process.strike = strike  # type: ignore[method-assign]
    assert (first.proof, (await process.kill(now=True)).proof) == ("none", "process")


async def test_a_kill_whose_caller_gave_up_goes_on(start: Start, place: Bench) -> None:
    process = await start(STUBBORN, settings=WITHOUT_CGROUP)
    await said(process, "up")
    caller = asyncio.create_task(process.kill(now=False))
    await asyncio.sleep(0)
    caller.cancel()
    assert (await process.wait()).signal == "SIGKILL"


async def test_a_kill_of_a_dead_tree_is_proven(start: Start) -> None:
    process = await start("")
    await process.wait()
    receipt = await process.kill(now=True)
    assert (receipt.proof, outcomes(receipt)) == ("process", {"verify": "already dead"})


@pytest.mark.parametrize("settings", [WITHOUT_CGROUP, WITH_CGROUP], ids=["signals", "cgroup"])
async def test_a_tree_that_respawns_while_it_is_killed_is_ended(
    start: Start, place: Bench, settings: LadderSettings
) -> None:
    process = await start(RESPAWNS, settings=settings)
    await said(process, "up")
    receipt = await process.kill(now=True)
    assert (receipt.proof, receipt.survivors, place.leftovers()) == ("process", (), [])


async def first_thread_ended(process: SupervisedProcess) -> None:
    """Waits until the command looks dead and is not."""
    await said(process, "up")
    stat = Path(f"/proc/{process.pid}/stat")
    await until(lambda: stat.read_text().rpartition(")")[2].split()[0] == "Z")


async def test_a_process_whose_first_thread_ended_is_alive_and_can_be_killed(start: Start) -> None:
    process = await start(FIRST_THREAD_ENDED, settings=WITHOUT_CGROUP)
    await first_thread_ended(process)
    assert [info.pid for info in await process.tree()] == [process.pid]
    assert ((await process.freeze()).count, (await process.thaw()).count) == (1, 1)
    receipt = await process.kill(now=True)
    assert (receipt.proof, [info.pid for info in receipt.killed]) == ("process", [process.pid])


async def test_a_frozen_tree_uses_no_cpu_and_a_thawed_one_does(start: Start) -> None:
    process = await start(SPIN)
    await said(process, "up")
    frozen = await process.freeze()
    assert (frozen.count, frozen.running) == (1, ())
    before = (await process.tree())[0].cpu
    burn(0.1)
    assert (await process.tree())[0].cpu == before
    assert (await process.thaw()).count == 1

    async def works() -> bool:
        return (await process.tree())[0].cpu > before

    await until(works)


async def test_a_frozen_tree_is_killed_without_running_again(start: Start, place: Bench) -> None:
    process = await start(THREE_LEVELS, settings=PATIENT)
    await grown(process, THREE_LEVELS_COUNT)
    await process.freeze()
    receipt = await process.kill(now=False)
    assert (receipt.proof, [step.name for step in receipt.steps]) == ("process", ["freeze", "kill", "verify"])
    assert place.leftovers() == []


async def test_nothing_is_thawed_while_it_is_killed(start: Start) -> None:
    process = await start(STUBBORN, settings=PATIENT)
    await said(process, "up")
    killing = asyncio.create_task(process.kill(now=False))
    await asyncio.sleep(0)
    with pytest.raises(SupervisorError, match="kill is under way"):
        await process.thaw()
    await process.kill(now=True)
    await killing


async def test_what_outlives_the_command_is_found_and_killed(start: Start, place: Bench) -> None:
    done = await (await start(LEAVES_A_DAEMON)).wait()
    assert (done.code, done.survivors, done.empty, len(done.left)) == (7, 1, True, 1)
    assert place.leftovers() == []


async def test_what_outlives_the_command_is_left_on_request(start: Start, place: Bench) -> None:
    process = await start(LEAVES_A_DAEMON, outlive="leave")
    done = await process.wait()
    assert (done.code, done.survivors, done.empty) == (7, 1, False)
    assert place.leftovers() == [done.left[0].pid]
    assert (await process.kill(now=True)).proof == "process"


async def test_what_was_left_can_still_be_killed_with_proof(start: Start, place: Bench) -> None:
    process = await start(LEAVES_A_DAEMON, outlive="leave")
    left = await process.wait()
    receipt = await process.kill(now=True)
    assert (left.survivors, receipt.proof, place.leftovers()) == (1, "process", [])


async def test_a_process_that_was_left_outlives_its_supervision(start: Start, place: Bench) -> None:
    process = await start(LEAVES_A_DAEMON, outlive="leave")
    left = (await process.wait()).left
    await process.close()
    assert place.leftovers() == [left[0].pid]
    end(left[0].pid)


async def test_the_command_keeps_its_environment_and_directory(place: Bench, tmp_path: Path) -> None:
    process = await SupervisedProcess.start(
        [*PYTHON, "import os; print(os.getcwd(), os.environ['WORD'])"],
        env={**place.env, "WORD": "kept"},
        cwd=tmp_path,
        receipt_path=place.receipt,
    )
    assert (await process.wait()).last_output == [f"{tmp_path} kept"]


async def test_closing_kills_what_still_runs(start: Start, place: Bench) -> None:
    process = await start(THREE_LEVELS)
    await grown(process, THREE_LEVELS_COUNT)
    await process.close()
    assert place.leftovers() == []


async def test_several_commands_are_kept_apart(start: Start) -> None:
    first, second = await start(SLEEP), await start(SLEEP)
    await first.kill(now=True)
    assert [info.pid for info in await second.tree()] == [second.pid]


def burn(seconds: float) -> None:
    """Uses CPU for so long: a process that were not stopped would have had its turn."""
    enough = time.process_time() + seconds
    while time.process_time() < enough:
        continue
