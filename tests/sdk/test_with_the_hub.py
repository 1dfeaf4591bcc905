"""The SDK against the real hub, as a process of its own: the fake hub must not be what makes it work."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from opsconsole.sdk import CallDenied, Hub, ModelReply, RunStopped
from opsconsole.sdk.new_ids import new_id
from opsconsole.sdk.opening import Adoption
from opsconsole.sdk.run_host import RunHost
from opsconsole.sdk.settings import read_settings
from tests.sdk.conftest import PACE
from tests.sdk.fake_hub import TIME_LIMIT_SECONDS
from tests.support.hub import RunningHub, held_port, hub_process

pytestmark = pytest.mark.process


@pytest.fixture
def real_hub(tmp_path: Path) -> Iterator[RunningHub]:
    with hub_process(tmp_path / "hub") as hub:
        yield hub


class Operator:
    """A person at the HTTP interface."""

    def __init__(self, hub: RunningHub) -> None:
        headers = {"Authorization": f"Bearer {hub.token()}"}
        self.http = httpx.AsyncClient(base_url=hub.url, headers=headers, timeout=TIME_LIMIT_SECONDS)

    async def row(self, run: str) -> dict[str, Any]:
        answer = await self.http.get(f"/v1/runs/{run}")
        return dict(answer.json().get("row") or {})

    async def until(self, run: str, **fields: Any) -> dict[str, Any]:
        async with asyncio.timeout(TIME_LIMIT_SECONDS):
            while True:
                row = await self.row(run)
                if row and fields.items() <= row.items():
                    return row
                await asyncio.sleep(0.01)

    async def dead(self, run: str) -> dict[str, Any]:
        """The row of a run whose kill is done."""
        async with asyncio.timeout(TIME_LIMIT_SECONDS):
            while True:
                row = await self.row(run)
                if row["kill"]["status"] == "dead":
                    return row
                await asyncio.sleep(0.01)

    async def approval(self) -> dict[str, Any]:
        async with asyncio.timeout(TIME_LIMIT_SECONDS):
            while True:
                rows = (await self.http.get("/v1/approvals", params={"status": "pending"})).json()["rows"]
                if rows:
                    return dict(rows[0])
                await asyncio.sleep(0.01)

    async def say(self, do: str, **fields: Any) -> dict[str, Any]:
        answer = await self.http.post("/v1/commands", json={"cmd": new_id("cmd"), "do": do, **fields})
        assert answer.json()["ok"], answer.text
        return dict(answer.json())

    async def decide(self, answer: str, **fields: Any) -> dict[str, Any]:
        row = await self.approval()
        await self.say("decide", approval=row["approval"], digest=row["digest"], answer=answer, **fields)
        return row


def hub_of(real_hub: RunningHub, data_dir: Path) -> Hub:
    settings = read_settings(hub=real_hub.url, token=real_hub.token("agent"), data_dir=data_dir, environ={})
    return Hub(RunHost(settings, pace=PACE, adoption=Adoption({})))


async def test_a_held_call_runs_as_the_operator_edited_it(real_hub: RunningHub, tmp_path: Path) -> None:
    operator = Operator(real_hub)
    async with hub_of(real_hub, tmp_path) as hub, hub.run(agent="worker") as run:
        call = asyncio.create_task(run.tool("transfer", {"amount": 100}, lambda amount: amount, reason="a refund"))
        asked = await operator.decide("edit", args={"amount": 7})
        assert await call == 7
    assert (asked["tool"], asked["args"], asked["agent_reason"]) == ("transfer", {"amount": 100}, "a refund")
    await operator.until(run.id, state="completed")


async def test_a_rejection_reaches_the_agent_with_its_reason(real_hub: RunningHub, tmp_path: Path) -> None:
    operator = Operator(real_hub)
    async with hub_of(real_hub, tmp_path) as hub, hub.run(agent="worker") as run:
        call = asyncio.create_task(run.tool("transfer", {"amount": 100}, lambda amount: amount))
        await operator.decide("reject", note="too much")
        with pytest.raises(CallDenied, match="too much"):
            await call


async def test_a_kill_is_proven_by_the_end_of_the_body(real_hub: RunningHub, tmp_path: Path) -> None:
    operator = Operator(real_hub)
    async with hub_of(real_hub, tmp_path) as hub:
        with pytest.raises(RunStopped):
            async with hub.run(agent="worker") as run:
                await operator.until(run.id, state="working")
                await operator.say("kill", run=run.id, note="runaway")
                await asyncio.sleep(TIME_LIMIT_SECONDS)
        row = await operator.dead(run.id)
    assert (row["state"], row["kill"]["proof"]) == ("killed", "cooperative")


async def test_a_pause_holds_and_a_resume_lets_go(real_hub: RunningHub, tmp_path: Path) -> None:
    operator = Operator(real_hub)
    async with hub_of(real_hub, tmp_path) as hub, hub.run(agent="worker") as run:
        await operator.until(run.id, state="working")
        await operator.say("pause", run=run.id)
        await operator.until(run.id, state="pausing")
        turn = asyncio.create_task(run.model_call({"model": "gpt", "messages": []}, lambda request: "hello"))
        await operator.until(run.id, state="paused")
        await operator.say("resume", run=run.id)
        assert await turn == "hello"
        await operator.until(run.id, state="working", turns=1)


async def test_an_operator_takes_over_answers_and_hands_back(real_hub: RunningHub, tmp_path: Path) -> None:
    operator = Operator(real_hub)
    async with hub_of(real_hub, tmp_path) as hub, hub.run(agent="worker") as run:
        await operator.until(run.id, state="working")
        await operator.say("takeover", run=run.id)
        turn = asyncio.create_task(run.model_call({"model": "gpt", "messages": []}, lambda request: "the model"))
        await operator.decide("respond", text="the operator")
        reply = await turn
        assert isinstance(reply, ModelReply)
        assert reply.text == "the operator"
        await operator.say("release", run=run.id, text="all done by hand")
        messages: list[Any] = []
        while not messages:
            await run.model_call({"model": "gpt", "messages": messages}, lambda request: "the model")
    assert messages == [{"role": "user", "content": "all done by hand"}]


async def test_the_death_of_the_hub_loses_nothing_and_repeats_nothing(tmp_path: Path) -> None:
    with held_port() as port, hub_process(tmp_path / "hub", port=port) as first:
        async with hub_of(first, tmp_path) as hub, hub.run(agent="worker") as run:
            call = asyncio.create_task(run.tool("transfer", {"amount": 1}, lambda amount: amount))
            await Operator(first).approval()
            assert first.process is not None
            os.kill(first.process.pid, signal.SIGKILL)
            first.process.wait()
            for number in range(50):
                await run.note(str(number))
            with hub_process(tmp_path / "hub", port=port) as second:
                operator = Operator(second)
                await operator.decide("approve")
                assert await call == 1
                last = await run.message("assistant", "the end")
                async with asyncio.timeout(TIME_LIMIT_SECONDS):
                    events: list[Any] = []
                    while not any(one["event"].get("id") == last for one in events):
                        answer = await operator.http.get(f"/v1/runs/{run.id}/events", params={"limit": 500})
                        events = answer.json()["events"]
                        await asyncio.sleep(0.01)
    mine = [one["event"] for one in events if one["event"]["type"] not in ("link", "command")]
    assert [event["seq"] for event in mine] == list(range(1, len(mine) + 1))
    assert [event["status"] for event in mine if event["type"] == "tool"] == ["proposed", "running", "completed"]
