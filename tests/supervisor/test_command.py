"""How orders are carried out one after another, and answered whatever fails: with a fake process."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from opsconsole.domain.command import Do
from opsconsole.errors import SupervisorError
from opsconsole.sdk.order import Order
from opsconsole.supervisor import command
from opsconsole.supervisor.command import Commands
from opsconsole.supervisor.processes import ProcessInfo
from opsconsole.supervisor.receipts import FreezeReceipt
from tests.cli.test_supervision import FakeProcess, FakeReport, given, info

KILL = Order(cmd="cmd_1", cseq=1, do=Do.KILL, by="ada")


async def test_an_agent_that_left_its_run_before_its_kill_was_taken_up_was_asked_all_the_same() -> None:
    heard: list[Any] = [True]
    process, report = FakeProcess(), FakeReport()
    commands = Commands(lambda: report, agent_listens=lambda: bool(heard))  # type: ignore[arg-type, return-value]
    commands.started(process)
    commands.take(KILL)
    heard.clear()
    await asyncio.sleep(0)
    await commands.settled()
    assert process.kills == [(False, True)]


async def test_a_run_was_killed_by_whoever_ordered_it_first() -> None:
    second = Order(cmd="cmd_2", cseq=2, do=Do.KILL, by="ben")
    _, commands = await given(FakeProcess(), KILL, second)
    assert commands.killed_by is KILL


async def test_a_freeze_that_did_not_stop_everybody_is_not_said_to_have_worked() -> None:
    class Restless(FakeProcess):
        async def freeze(self) -> FreezeReceipt:
            return FreezeReceipt(frozen=True, count=2, processes=(), running=(info(8),), ms=1.5)

    (answer,), _ = await given(Restless(), Order(cmd="cmd_3", cseq=1, do=Do.FREEZE))
    assert (answer["ok"], answer["points"][0]["outcome"]) == (False, "2 processes frozen, 1 not seen stopped")


async def test_a_thaw_waits_for_the_freeze_before_it() -> None:
    done: list[str] = []

    class Slow(FakeProcess):
        async def freeze(self) -> FreezeReceipt:
            await asyncio.sleep(0)
            done.append("frozen")
            return await super().freeze()

        async def thaw(self) -> FreezeReceipt:
            done.append("thawed")
            return FreezeReceipt(frozen=False, count=2, processes=(), running=(), ms=1.5)

    await given(Slow(), Order(cmd="cmd_3", cseq=1, do=Do.FREEZE), Order(cmd="cmd_4", cseq=2, do=Do.THAW))
    assert done == ["frozen", "thawed"]


async def lost() -> list[ProcessInfo]:
    raise SupervisorError("the reaper is gone")


async def never() -> list[ProcessInfo]:
    await asyncio.Event().wait()
    return []


@pytest.mark.parametrize("tree", [lost, never], ids=["lost", "never"])
async def test_a_kill_is_answered_though_nobody_lists_what_lived_before(
    tree: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "SNAPSHOT_SECONDS", 0.01)
    process = FakeProcess()
    process.tree = tree  # type: ignore[method-assign]
    (answer,), _ = await given(process, KILL)
    assert (answer["ok"], answer["proof"], answer["killed"]) == (True, "process", [7, 8])


async def test_a_kill_of_a_command_that_could_not_be_started_is_void_and_says_why() -> None:
    report = FakeReport()
    commands = Commands(lambda: report, agent_listens=lambda: False)  # type: ignore[arg-type, return-value]
    commands.take(KILL)
    await asyncio.sleep(0)
    commands.refuse_waiting("cannot start 'x': no such program")
    assert report.answers == [
        {"cmd": "cmd_1", "ok": False, "status": "void", "message": "cannot start 'x': no such program"}
    ]
