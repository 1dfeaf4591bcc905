"""When a kill asks the agent first: what counts is whether somebody listened as the order came."""

from __future__ import annotations

import asyncio
from typing import Any

from opsconsole.domain.command import Do
from opsconsole.sdk.order import Order
from opsconsole.supervisor.command import Commands
from tests.cli.test_supervision import FakeProcess, FakeReport

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
