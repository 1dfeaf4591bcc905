"""An agent with nothing but HTTP: it posts events, fetches commands, reports results; the gate holds for it too."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx

from opsconsole_storage import DiskFull, MemoryStore
from tests.support.hub import ConsoleSocket, RunningHub, eventually, mint, note, proposal, quick, running_hub, working

RUN = "/v1/runs/run_1"


def numbered(first: int, *events: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"seq": first + count, "ts": 1.0, **event} for count, event in enumerate(events)]


def post(*events: dict[str, Any], first: int = 1, **more: Any) -> dict[str, Any]:
    return {"gen": "g1", "point": "sdk", "events": numbered(first, *events)} | more


async def begin(client: httpx.AsyncClient) -> None:
    response = await client.post(f"{RUN}/events", json=post({"type": "run", "agent": "curl"}, working()))
    assert (response.status_code, response.json()) == (200, {"acked": 2})


async def commands(client: httpx.AsyncClient, after: int = 0, wait: float = 0.0) -> list[dict[str, Any]]:
    response = await client.get(f"{RUN}/commands", params={"after": after, "wait": wait, "point": "sdk"})
    assert response.status_code == 200, response.text
    found: list[dict[str, Any]] = response.json()["commands"]
    return found


async def approve(console: ConsoleSocket) -> dict[str, Any]:
    row = await console.row(lambda row: "approval" in row)
    return await console.command(
        cmd="cmd_1", do="decide", approval=row["approval"], answer="approve", digest=row["digest"]
    )


async def test_posted_events_are_on_the_board_and_in_the_timeline(hub: RunningHub) -> None:
    async with hub.http("agent") as agent, hub.http() as client:
        await begin(agent)
        row = (await client.get(RUN)).json()["row"]
        events = (await client.get(f"{RUN}/events")).json()["events"]
    assert (row["agent"], row["state"], row["link"]) == ("curl", "working", "live")
    assert [one["event"]["seq"] for one in events] == [1, 2]


async def test_a_held_call_is_decided_fetched_and_reported(hub: RunningHub) -> None:
    async with hub.http("agent") as agent, hub.console() as console:
        await console.follow("approvals")
        await begin(agent)
        await agent.post(f"{RUN}/events", json=post(proposal("call_1", "shell", {"c": "ls"}), first=3))
        assert await commands(agent) == []
        fetching = asyncio.ensure_future(commands(agent, wait=30.0))
        await approve(console)
        (verdict,) = await fetching
        assert (verdict["do"], verdict["call"], verdict["outcome"]) == ("verdict", "call_1", "allow")
        result = {"cmd": verdict["cmd"], "ok": True, "status": "applied"}
        assert (await agent.post(f"{RUN}/results?point=sdk", json=result)).status_code == 200
        assert await commands(agent, after=verdict["cseq"]) == []
        assert (await console.row(lambda row: row.get("delivery") == "applied"))["call"] == "call_1"


async def test_a_command_comes_again_until_it_is_acknowledged(hub: RunningHub) -> None:
    async with hub.http("agent") as agent, hub.http() as client:
        await begin(agent)
        await client.post("/v1/commands", json={"cmd": "cmd_1", "do": "kill", "run": "run_1"})
        first, again = await commands(agent), await commands(agent)
        assert [one["do"] for one in first] == ["kill"]
        assert again == first


async def test_the_same_events_again_are_stored_once(hub: RunningHub) -> None:
    async with hub.http("agent") as agent, hub.http() as client:
        await begin(agent)
        await begin(agent)
        assert len((await client.get(f"{RUN}/events")).json()["events"]) == 2


async def test_a_gap_is_answered_with_what_is_wanted(hub: RunningHub) -> None:
    async with hub.http("agent") as agent:
        await begin(agent)
        response = await agent.post(f"{RUN}/events", json=post(note("x"), first=9))
        assert response.json() == {"acked": 2, "want": 3}


async def test_a_hole_in_the_journal_is_named(hub: RunningHub) -> None:
    async with hub.http("agent") as agent:
        await begin(agent)
        skip = {"first": 3, "last": 8, "why": "journal_cap"}
        response = await agent.post(f"{RUN}/events", json=post(note("x"), first=9, skip=skip))
        assert response.json() == {"acked": 9}


async def test_who_has_posted_nothing_has_no_commands_to_fetch(hub: RunningHub) -> None:
    async with hub.http("agent") as agent:
        response = await agent.get(f"{RUN}/commands?point=sdk")
        assert (response.status_code, response.json()["error"]["code"]) == (409, "not_attached")
        assert (await agent.post(f"{RUN}/results?point=sdk", json={"cmd": "c", "ok": True})).status_code == 409


async def test_an_operator_may_not_post_events(hub: RunningHub) -> None:
    async with hub.http() as client:
        assert (await client.post(f"{RUN}/events", json=post(note("x")))).status_code == 403


async def test_the_run_of_another_token_is_not_spoken_for(hub: RunningHub) -> None:
    token = (await mint(hub, "agent"))["token"]
    async with hub.http("agent") as owner, hub.http(token=token) as stranger:
        await begin(owner)
        response = await stranger.post(f"{RUN}/events", json=post(note("x"), first=3))
        assert (response.status_code, response.json()["error"]["code"]) == (403, "forbidden")


async def test_events_out_of_order_inside_one_post_are_refused(hub: RunningHub) -> None:
    async with hub.http("agent") as agent:
        body = {"gen": "g1", "point": "sdk", "events": [*numbered(1, working()), *numbered(5, working())]}
        response = await agent.post(f"{RUN}/events", json=body)
        assert response.status_code in (409, 422)


async def test_a_newer_generation_over_a_socket_takes_over(hub: RunningHub) -> None:
    async with hub.http("agent") as agent:
        await begin(agent)
        async with hub.agent(gen="g2") as newer:
            await newer.begin()
            response = await agent.post(f"{RUN}/events", json=post(note("x"), first=3))
            assert response.status_code in (403, 409)


async def test_an_agent_that_asks_no_more_is_drawn_as_stale(tmp_path: Path) -> None:
    async with running_hub(tmp_path, limits=quick(http_point_silent_seconds=0.0)) as hub:
        assert hub.service is not None
        async with hub.http("agent") as agent, hub.http() as client:
            await begin(agent)
            hub.service.parts.points.expire()
            row = (await client.get(RUN)).json()["row"]
            assert (row["state"], row["link"]) == ("working", "stale")
            await agent.post(f"{RUN}/events", json=post(note("back"), first=3))
            assert (await client.get(RUN)).json()["row"]["link"] == "live"


async def test_events_that_cannot_be_stored_are_answered_with_come_again(tmp_path: Path) -> None:
    store = MemoryStore()
    async with running_hub(tmp_path, store=store, limits=quick(storage_retry_seconds=0.01)) as hub:
        assert hub.service is not None
        recorder = hub.service.parts.hub.recorder
        async with hub.http("agent") as agent, hub.agent(run="run_other") as other:
            await begin(agent)
            await other.begin()
            store.refuse(DiskFull("no space"))
            await other.emit(note("x"))
            await eventually(lambda: recorder.events_problem)
            refused = await agent.post(f"{RUN}/events", json=post(note("x"), first=3))
            assert (refused.status_code, "retry-after" in refused.headers) == (503, True)
            store.refuse(None)
            await eventually(lambda: not recorder.events_problem)
            assert (await agent.post(f"{RUN}/events", json=post(note("x"), first=3))).json() == {"acked": 3}
