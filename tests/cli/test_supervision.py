"""What a supervisor answers, journals and reports, with a fake process: values in, values out."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from opsconsole.cli.run import agent_name
from opsconsole.domain.command import Do
from opsconsole.domain.run import RunState
from opsconsole.errors import SupervisorError
from opsconsole.protocol.frames import PointCommand
from opsconsole.sdk.journal import Journal
from opsconsole.sdk.order import Order
from opsconsole.supervisor.command import Commands, kill_points
from opsconsole.supervisor.leftovers import receipt_event
from opsconsole.supervisor.processes import ProcessInfo
from opsconsole.supervisor.receipts import Exit, FreezeReceipt, KillReceipt, ResourceUse, Step
from opsconsole.supervisor.report import POINT, SupervisorRun, exit_json
from opsconsole.supervisor.supervise import judged

KILL = Order(cmd="cmd_1", cseq=1, do=Do.KILL, by="ada", text="runaway")


def info(pid: int) -> ProcessInfo:
    return ProcessInfo(pid=pid, name="sh", age=1.0, rss=1, cpu=0.0, start=1.0, state="S", parent=1)


def receipt(proof: Any = "process", **changes: Any) -> KillReceipt:
    steps = (Step("term", 5.0, "still running"), Step("kill", 2.5, "2 signalled"))
    whole: dict[str, Any] = {"killed": (info(8),), "survivors": (), "total_ms": 7.5}
    return KillReceipt(proof=proof, steps=steps, **(whole | changes))


class FakeProcess:
    """Dies at once, as it is told to."""

    pid = 7

    def __init__(self, killed: KillReceipt | None = None) -> None:
        self.killed = killed or receipt()
        self.kills: list[tuple[bool, bool]] = []

    async def kill(self, *, now: bool, cooperative: Any = None) -> KillReceipt:
        self.kills.append((now, cooperative is not None))
        return self.killed

    async def tree(self) -> list[ProcessInfo]:
        return [info(7), info(9)]

    async def freeze(self) -> FreezeReceipt:
        return FreezeReceipt(frozen=True, count=2, processes=(), running=(), ms=1.5)

    async def thaw(self) -> FreezeReceipt:
        raise SupervisorError("a kill is under way: nothing of the tree runs again")


class FakeReport:
    """Keeps what is said."""

    def __init__(self) -> None:
        self.answers: list[dict[str, Any]] = []
        self.notes: list[str] = []

    def answer(self, cmd: str, **fields: Any) -> None:
        self.answers.append({"cmd": cmd, **fields})

    def note(self, text: str, **data: Any) -> None:
        self.notes.append(text)


async def given(process: FakeProcess, *orders: Order, listens: bool = False) -> tuple[list[dict[str, Any]], Commands]:
    report = FakeReport()
    commands = Commands(lambda: report, agent_listens=lambda: listens)  # type: ignore[arg-type, return-value]
    commands.started(process)
    for order in orders:
        commands.take(order)
    await asyncio.sleep(0)
    await commands.settled()
    return report.answers, commands


async def test_a_kill_is_answered_with_its_proof_its_steps_and_the_dead() -> None:
    answers, commands = await given(FakeProcess(), KILL)
    assert answers == [
        {
            "cmd": "cmd_1",
            "ok": True,
            "status": "applied",
            "proof": "process",
            "points": [
                {"name": "supervisor.term", "ms": 5.0, "outcome": "still running"},
                {"name": "supervisor.kill", "ms": 7.5, "outcome": "2 signalled"},
            ],
            "killed": [7, 8, 9],
        }
    ]
    assert commands.killed_by is KILL


async def test_a_kill_that_leaves_survivors_is_never_said_to_have_worked() -> None:
    answers, _ = await given(FakeProcess(receipt("none", survivors=(info(8),))), KILL)
    assert [(one["ok"], one["proof"], one["killed"], one["message"]) for one in answers] == [
        (False, "none", [], "1 process could not be proven dead: sh (8)")
    ]


async def test_a_second_kill_is_not_swallowed() -> None:
    process = FakeProcess()
    answers, _ = await given(process, KILL, Order(cmd="cmd_2", cseq=2, do=Do.KILL, mode="now"))
    assert process.kills == [(False, False), (True, False)]
    assert {one["cmd"] for one in answers} == {"cmd_1", "cmd_2"}


async def test_an_agent_that_listens_is_left_time_to_end_by_itself_unless_it_is_now() -> None:
    process = FakeProcess()
    await given(process, KILL, Order(cmd="cmd_2", cseq=2, do=Do.KILL, mode="now"), listens=True)
    assert process.kills == [(False, True), (True, False)]


async def test_a_kill_that_comes_before_the_process_is_carried_out_when_it_is_there() -> None:
    report, process = FakeReport(), FakeProcess()
    commands = Commands(lambda: report, agent_listens=lambda: False)  # type: ignore[arg-type, return-value]
    commands.take(KILL)
    await asyncio.sleep(0)
    assert report.answers == []
    commands.started(process)
    await commands.settled()
    assert [one["proof"] for one in report.answers] == ["process"]


async def test_a_freeze_is_answered_with_what_stands_still() -> None:
    answers, _ = await given(FakeProcess(), Order(cmd="cmd_3", cseq=1, do=Do.FREEZE))
    point = {"name": "supervisor.freeze", "ms": 1.5, "outcome": "2 processes frozen"}
    assert answers == [{"cmd": "cmd_3", "ok": True, "status": "applied", "points": [point]}]


async def test_a_thaw_that_may_not_be_is_void_and_says_why() -> None:
    answers, _ = await given(FakeProcess(), Order(cmd="cmd_4", cseq=1, do=Do.THAW))
    assert [(one["ok"], one["status"], one["message"]) for one in answers] == [
        (False, "void", "a kill is under way: nothing of the tree runs again")
    ]


def test_steps_add_up_to_the_time_since_the_order_came() -> None:
    assert [point["ms"] for point in kill_points(receipt())] == [5.0, 7.5]


@pytest.mark.parametrize(("do", "kept"), [(Do.VERDICT, 0), (Do.PAUSE, 0), (Do.INJECT, 0), (Do.KILL, 1), (Do.FREEZE, 1)])
def test_of_the_hubs_orders_only_its_own_are_kept_and_all_are_acknowledged(tmp_path: Path, do: Do, kept: int) -> None:
    journal = Journal(tmp_path, "run_A", point=POINT)
    taken: list[Order] = []
    run = SupervisorRun(journal, key="secret", on_order=taken.append, wake=lambda urgent: None)
    assert run.command(PointCommand(cmd="cmd_9", run="run_A", cseq=4, do=do)) == 4
    run.act()
    assert (len(taken), len(run.open_orders())) == (kept, kept)
    journal.close()


KILLED = Exit(code=None, signal="SIGKILL")


@pytest.mark.parametrize(
    ("ended", "by", "expected"),
    [
        (Exit(code=0, signal=None), None, (RunState.COMPLETED, "exit status 0")),
        (Exit(code=3, signal=None), None, (RunState.FAILED, "exit status 3")),
        (KILLED, None, (RunState.FAILED, "ended by SIGKILL")),
        (Exit(code=None, signal=None), None, (RunState.FAILED, "exit status 137")),
        (KILLED, KILL, (RunState.KILLED, "killed by ada: runaway")),
        (Exit(code=0, signal=None), KILL, (RunState.KILLED, "killed by ada: runaway")),
        (
            Exit(code=0, signal=None, survivors=2),
            None,
            (RunState.COMPLETED, "exit status 0; 2 outlived it and were killed"),
        ),
        (
            Exit(code=0, signal=None, survivors=2, empty=False),
            None,
            (RunState.COMPLETED, "exit status 0; 2 outlived it"),
        ),
    ],
)
def test_how_a_run_ended_is_judged_by_who_ended_it(ended: Exit, by: Order | None, expected: Any) -> None:
    assert judged(ended, by) == expected


@pytest.mark.parametrize(("empty", "survivors", "told"), [(True, 0, 0), (True, 3, 0), (False, 3, 3), (False, 0, 1)])
def test_no_survivors_are_told_exactly_when_the_tree_is_proven_empty(empty: bool, survivors: int, told: int) -> None:
    ended = Exit(code=0, signal=None, survivors=survivors, empty=empty, rusage=ResourceUse(user_seconds=1.5))
    found = exit_json(ended, 2.0)
    assert (found["survivors"], found["cpu_seconds"], found["wall_seconds"]) == (told, 1.5, 2.0)


def test_a_reapers_receipt_becomes_the_end_of_the_run() -> None:
    used = {"user_seconds": 1.0, "system_seconds": 0.5, "max_rss": 4096}
    event = receipt_event({"killed": [{}, {}], "survivors": [], "empty": True, "exit": used})
    assert event == {
        "type": "state",
        "state": "failed",
        "reason": "its supervisor was killed; 2 processes of it were killed with it",
        "exit": {"cpu_seconds": 1.5, "memory_bytes_max": 4096, "survivors": 0},
    }


def test_a_receipt_of_an_unproven_end_tells_of_survivors() -> None:
    used = {"user_seconds": 1.0, "system_seconds": 0.5, "max_rss": 4096}
    event = receipt_event({"killed": [], "survivors": [], "empty": False, "exit": used})
    assert event["exit"]["survivors"] == 1


@pytest.mark.parametrize(
    ("command", "name"),
    [
        (["python3", "/srv/agents/refunds.py", "--fast"], "refunds"),
        (["/usr/bin/python3.12", "-m", "agents.planner"], "planner"),
        (["python", "-c", "pass"], "python"),
        (["claude", "-p", "hello"], "claude"),
        (["sh", "-c", "exit 0"], "sh"),
        (["/opt/x/agent"], "agent"),
    ],
)
def test_an_agent_is_named_after_what_the_command_runs(command: list[str], name: str) -> None:
    assert agent_name(command) == name
