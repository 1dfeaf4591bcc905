"""A gateway that dies while it holds a call: the client asks its successor, and nothing runs that nobody approved."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.gateway.clients.casts import FEW, Client, played_by
from tests.gateway.clients.stage import BASES, Stage, gateway_process, plays
from tests.support.hub import held_port
from tests.support.model_script import Call, Turn

pytestmark = [pytest.mark.process, pytest.mark.slow]

SHELL = Call(name="shell", args={"command": "ls"})
ASKS = Turn(calls=[SHELL])


@played_by([client for client in FEW if not client.streams])
@plays
async def test_after_a_gateways_death_the_retry_is_held_anew(stage: Stage, client: Client) -> None:
    place: Path = stage.hub.data_dir / f"restart-{client.program}"
    with ExitStack() as parts:
        port = str(parts.enter_context(held_port()))
        start = gateway_process(stage.hub, stage.upstream.url, place, port=port)
        first = await asyncio.to_thread(parts.enter_context, start)
        run = f"restart-{client.program}"
        base_url = f"{first.url}/r/{run}/agent{BASES[client.program.partition('.')[0]]}"
        agent = await stage.agent(
            **client.task, turns=[ASKS, ASKS, Turn(text="Done.")], base_url=base_url, retries=10, name=run
        )
        await stage.operator.asked(run, "shell")
        first.process.kill()
        again = gateway_process(stage.hub, stage.upstream.url, place, port=port)
        await asyncio.to_thread(parts.enter_context, again)
        await stage.until(lambda: len(stage.calls(agent)) == 2, "the second request")
        assert [line for line in agent.told if line["what"] == "ran"] == []
        held = await stage.operator.asked_anew(run, "shell")
        await stage.operator.decide(held, "approve")
        end = await agent.succeeds()
    assert end["ran"] == [["shell", SHELL.args]]
    statuses = sorted(row["status"] for row in await stage.operator.approvals(run))
    assert statuses == ["approved", "cancelled"]
