"""The hub over HTTP: rows, timelines, commands and their reports, errors, health and metrics."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from opsconsole import __version__
from opsconsole.protocol.limits import FRAME_BYTES_MAX
from tests.support.hub import PATIENCE_SECONDS, AgentSocket, RunningHub, mint, note, working


def error(response: httpx.Response) -> tuple[int, str]:
    """Status and code of an error, whose message is not empty."""
    body = response.json()["error"]
    assert body["message"]
    return response.status_code, body["code"]


async def test_info_says_who_asks_whom(hub: RunningHub) -> None:
    async with hub.http() as client:
        info = (await client.get("/v1/info")).json()
    assert (info["version"], info["principal"], info["role"]) == (__version__, "operator@bootstrap", "operator")
    assert set(info) == {
        "version",
        "epoch",
        "policy",
        "policy_hash",
        "alerts",
        "started_at",
        "principal",
        "role",
        "time",
    }


async def test_runs_are_rows_like_those_of_the_board(hub: RunningHub) -> None:
    async with hub.agent() as agent, hub.console() as console, hub.http() as client:
        await agent.begin()
        listed = (await client.get("/v1/runs")).json()
        assert listed["rows"] == (await console.follow("board"))["rows"]
        assert listed["epoch"] == console.welcome["epoch"]


@pytest.mark.parametrize("path", ["runs", "runs/run_1", "approvals", "info"])
async def test_what_has_an_age_comes_with_the_hubs_clock(hub: RunningHub, path: str) -> None:
    async with hub.agent() as agent, hub.http() as client:
        await agent.begin()
        before, told = (await client.get("/v1/info")).json()["time"], (await client.get(f"/v1/{path}")).json()["time"]
        assert before <= told <= (await client.get("/v1/info")).json()["time"]


async def ended_and_live(hub: RunningHub) -> None:
    async with hub.agent(run="run_ended") as agent:
        await agent.begin("alpha")
        await agent.stored(await agent.emit({"type": "state", "state": "completed"}))
    async with hub.agent(run="run_live") as agent:
        await agent.begin("beta")


@pytest.mark.parametrize(
    ("query", "runs"),
    [
        ("", ["run_ended", "run_live"]),
        ("live=0", ["run_ended", "run_live"]),
        ("live=1", ["run_live"]),
        ("agent=alpha", ["run_ended"]),
        ("agent=nobody", []),
        ("limit=1", ["run_live"]),
    ],
)
async def test_runs_can_be_narrowed(hub: RunningHub, query: str, runs: list[str]) -> None:
    await ended_and_live(hub)
    async with hub.http() as client:
        assert [row["run"] for row in (await client.get(f"/v1/runs?{query}")).json()["rows"]] == runs


async def test_one_run_comes_with_its_approvals(hub: RunningHub) -> None:
    async with hub.agent() as agent, hub.http() as client, hub.console() as console:
        await agent.begin()
        await console.follow("approvals")
        await agent.propose(command="ls")
        await console.row(lambda row: "approval" in row)
        one = (await client.get("/v1/runs/run_1")).json()
        pending = (await client.get("/v1/approvals")).json()["rows"]
        others = (await client.get("/v1/approvals?run=run_2")).json()["rows"]
    assert (one["row"]["run"], one["approvals"], others) == ("run_1", pending, [])


async def test_a_settled_approval_is_listed_among_all(hub: RunningHub) -> None:
    async with hub.agent() as agent, hub.http() as client, hub.console() as console:
        await agent.begin()
        row = await held(agent, console)
        await client.post("/v1/commands", json=decision(row, "cmd_1"))
        pending = (await client.get("/v1/approvals")).json()["rows"]
        every = (await client.get("/v1/approvals?status=all")).json()["rows"]
    assert (pending, [one["status"] for one in every]) == ([], ["approved"])


async def test_a_timeline_is_paged_forwards_and_backwards(hub: RunningHub) -> None:
    async with hub.agent() as agent, hub.http() as client:
        await agent.begin()
        for number in range(10):
            await agent.stored(await agent.emit(note(str(number))))

        async def page(query: str) -> tuple[list[str], dict[str, Any]]:
            body = (await client.get(f"/v1/runs/run_1/events?{query}")).json()
            return [row["event"].get("text", "") for row in body["events"]], body

        newest, body = await page("tail=1&limit=3")
        older, _ = await page(f"before={body['first']}&limit=3")
        first, start = await page("after=0&limit=4")
        then, _ = await page(f"after={start['next']}&limit=2")
    assert (newest, older, first, then) == (["7", "8", "9"], ["4", "5", "6"], ["", "", "0", "1"], ["2", "3"])


NOT_FOUND = [
    "/v1/runs/none",
    "/v1/runs/none/events",
    "/v1/commands/none",
    "/v1/audit/999",
    "/v1/audit/x",
    "/v1/nothing",
]


@pytest.mark.parametrize("path", [*NOT_FOUND, "/v1/runs/..%2f..%2fetc", "/v1/runs/%00"])
async def test_what_is_not_there_is_404(hub: RunningHub, path: str) -> None:
    async with hub.http() as client:
        assert error(await client.get(path)) == (404, "not_found")


@pytest.mark.parametrize("query", ["limit=-1", "limit=x", "limit=0", "limit=99999999", "after=1e3", "before=0x1"])
async def test_a_senseless_parameter_is_422_and_named(hub: RunningHub, query: str) -> None:
    async with hub.http() as client:
        response = await client.get(f"/v1/runs/run_1/events?tail=1&{query}")
        assert error(response) in [(422, "bad_request"), (404, "not_found")]
        response = await client.get(f"/v1/audit?{query}")
        assert error(response) == (422, "bad_request")
        assert query.partition("=")[0] in response.json()["error"]["message"]


async def test_a_method_nobody_offers_is_405(hub: RunningHub) -> None:
    async with hub.http() as client:
        assert error(await client.put("/v1/runs")) == (405, "method_not_allowed")


async def test_a_body_too_large_is_413(hub: RunningHub) -> None:
    async with hub.http() as client:
        assert error(await client.post("/v1/commands", content=b"x" * (FRAME_BYTES_MAX + 1))) == (413, "too_large")


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"cmd":"c"}', b'{"cmd":"c","do":"dance"}', b"\xff\xfe"])
async def test_a_body_that_is_no_command_is_422(hub: RunningHub, body: bytes) -> None:
    async with hub.http() as client:
        assert error(await client.post("/v1/commands", content=body)) == (422, "bad_request")


# -- commands ---------------------------------------------------------------------------------------------------------


async def held(agent: AgentSocket, console: Any, call: str = "call_1") -> dict[str, Any]:
    """Propose a call and give its approval's row."""
    await console.follow("approvals")
    await agent.propose(call, command="ls")
    row: dict[str, Any] = await console.row(lambda row: row.get("call") == call)
    return row


def decision(row: dict[str, Any], cmd: str, answer: str = "approve") -> dict[str, Any]:
    return {"cmd": cmd, "do": "decide", "approval": row["approval"], "answer": answer, "digest": row["digest"]}


async def test_a_decision_over_http_reaches_the_agent(hub: RunningHub) -> None:
    async with hub.agent() as agent, hub.console() as console, hub.http() as client:
        await agent.begin()
        row = await held(agent, console)
        response = await client.post("/v1/commands", json=decision(row, "cmd_1"))
        assert (response.status_code, response.json()["ok"], response.json()["status"]) == (200, True, "recorded")
        verdict = await agent.next("cmd")
        assert (verdict["do"], verdict["call"], verdict["outcome"]) == ("verdict", "call_1", "allow")


async def test_the_same_command_again_gives_the_same_answer_and_does_nothing(hub: RunningHub) -> None:
    async with hub.agent() as agent, hub.console() as console, hub.http() as client:
        await agent.begin()
        body = decision(await held(agent, console), "cmd_1")
        first, again = [(await client.post("/v1/commands", json=body)).json() for _ in range(2)]
        assert again == {**first, "replayed": True}
        over_socket = await console.command(**body)
        assert (over_socket["ok"], over_socket["replayed"]) == (True, True)
        recorded = (await client.get("/v1/audit?text=cmd_1")).json()["entries"]
        assert len(recorded) == 1


async def test_one_id_for_two_commands_is_a_conflict(hub: RunningHub) -> None:
    async with hub.agent() as agent, hub.console() as console, hub.http() as client:
        await agent.begin()
        row = await held(agent, console)
        await client.post("/v1/commands", json=decision(row, "cmd_1"))
        response = await client.post("/v1/commands", json=decision(row, "cmd_1", "reject"))
        assert error(response) == (409, "idempotency_conflict")


async def test_a_refused_command_says_why_in_both_shapes(hub: RunningHub) -> None:
    async with hub.agent() as agent, hub.console() as console, hub.http() as client:
        await agent.begin()
        row = await held(agent, console) | {"digest": "sha256:other"}
        response = await client.post("/v1/commands", json=decision(row, "cmd_1"))
        assert error(response) == (409, "digest_mismatch")
        assert (response.json()["ok"], response.json()["code"]) == (False, "digest_mismatch")


async def test_an_observer_may_look_and_not_act(hub: RunningHub) -> None:
    token = (await mint(hub, "observer"))["token"]
    async with hub.agent() as agent, hub.http(token=token) as client:
        await agent.begin()
        assert (await client.get("/v1/runs")).status_code == 200
        response = await client.post("/v1/commands", json={"cmd": "cmd_1", "do": "kill", "run": "run_1"})
        assert error(response) == (403, "forbidden")


async def test_a_report_waits_until_the_command_is_settled(hub: RunningHub) -> None:
    async with hub.agent() as agent, hub.http() as client:
        await agent.begin()
        await client.post("/v1/commands", json={"cmd": "cmd_1", "do": "kill", "run": "run_1"})
        waiting = asyncio.ensure_future(client.get("/v1/commands/cmd_1?wait=30"))
        kill = await agent.next("cmd")
        await agent.send(t="ack", run="run_1", cseq=kill["cseq"])
        await agent.send(t="res", cmd=kill["cmd"], run="run_1", ok=True, status="applied", proof="cooperative")
        await agent.emit({"type": "state", "state": "killed"})
        report = (await waiting).json()
        assert (report["cmd"], report["do"], report["settled"]) == ("cmd_1", "kill", True)
        assert [(line["run"], line["proof"]) for line in report["runs"]] == [("run_1", "cooperative")]


async def test_a_report_that_nobody_waits_for_comes_at_once(hub: RunningHub) -> None:
    async with hub.agent() as agent, hub.http() as client:
        await agent.begin()
        await client.post("/v1/commands", json={"cmd": "cmd_1", "do": "kill", "run": "run_1"})
        assert (await client.get("/v1/commands/cmd_1")).json()["settled"] is False
        assert (await client.get("/v1/commands/cmd_1?wait=0.01")).json()["settled"] is False


# -- health and metrics -----------------------------------------------------------------------------------------------


async def test_health_and_readiness_need_no_token(hub: RunningHub) -> None:
    async with httpx.AsyncClient(base_url=hub.url, timeout=PATIENCE_SECONDS) as client:
        answers = [(await client.get(path)).json() for path in ("/healthz", "/readyz")]
    assert answers == [{"ok": True}, {"ok": True}]


async def test_metrics_tell_what_the_hub_does(hub: RunningHub) -> None:
    async with (
        hub.agent() as agent,
        hub.console() as console,
        httpx.AsyncClient(base_url=hub.url, timeout=PATIENCE_SECONDS) as client,
    ):
        await agent.begin()
        row = await held(agent, console)
        before = samples((await client.get("/metrics")).text)
        await console.command(**decision(row, "cmd_1"))
        await console.command(cmd="cmd_2", do="kill", run="run_1")
        kill = await agent.next("cmd")
        while kill["do"] != "kill":
            kill = await agent.next("cmd")
        await agent.send(t="res", cmd=kill["cmd"], run="run_1", ok=True, status="applied", proof="cooperative")
        await agent.stored(await agent.emit({"type": "state", "state": "killed"}))
        after = samples((await client.get("/metrics")).text)
    assert (before["opsconsole_approvals_pending"], after["opsconsole_approvals_pending"]) == (1.0, 0.0)
    assert before['opsconsole_runs{state="working"}'] + before.get('opsconsole_runs{state="input_required"}', 0) == 1.0
    assert after['opsconsole_runs{state="killed"}'] == 1.0
    assert after['opsconsole_connections{kind="agent"}'] == 1.0
    assert after['opsconsole_connections{kind="operator"}'] == 1.0
    assert after['opsconsole_command_seconds_count{do="decide"}'] == 1.0
    assert after["opsconsole_decision_wait_seconds_count"] == 1.0
    assert after["opsconsole_kill_ms_count"] == 1.0
    assert after["opsconsole_events_total"] == 4.0
    assert after["opsconsole_storage_ok"] == 1.0


def samples(text: str) -> dict[str, float]:
    """Name and labels -> value."""
    lines = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, _, value in lines}


async def test_a_busy_timeline_leaves_the_counts_right(hub: RunningHub) -> None:
    async with hub.agent() as agent, httpx.AsyncClient(base_url=hub.url, timeout=PATIENCE_SECONDS) as client:
        await agent.begin()
        for _ in range(5):
            await agent.emit(working(), note("x"))
        await agent.stored(agent.seq)
        assert samples((await client.get("/metrics")).text)["opsconsole_events_total"] == 12.0
