"""What one agent may cost everybody else: labels, capabilities and rows have bounds, and no stop is lost to a queue."""

from __future__ import annotations

import json

import httpx
import pytest

from opsconsole.hub.http_points import COMMANDS_MAX, HttpPoint
from opsconsole.hub.subscriptions import LEFT_OUT, RowFeed, RowSubscriber
from opsconsole.protocol.frames import PointCommand
from opsconsole.protocol.limits import FRAME_BYTES_MAX, Close
from opsconsole.protocol.rows import ApprovalRow, RunRow
from tests.support.hub import PATIENCE_SECONDS, RunningHub, working

RUN = "/v1/runs/run_1"
HUGE = "é" * FRAME_BYTES_MAX


def frames_of(rows: dict[str, dict[str, object]]) -> list[str]:
    """The frames in which a new subscriber gets these rows."""
    feed = RowFeed("epoch", lambda key, _rev: json.dumps(rows[key]).encode())
    for key in rows:
        feed.change(key, 0.0)
    subscriber = RowSubscriber(feed, "board")
    subscriber.start(None, None)
    frames = []
    while (text := subscriber.next_text()) is not None:
        frames.append(text)
        subscriber.ack(feed.rev)
    return frames


def run_row(**more: object) -> dict[str, object]:
    times = {"link_since": 1.0, "started_at": 1.0, "progress_at": 2.0}
    row = RunRow.model_validate(
        {"key": "run_1", "run": "run_1", "agent": "a", "state": "working", "link": "live"} | times
    )
    return row.model_dump(mode="json", exclude_none=True) | more


def test_a_row_larger_than_a_frame_comes_without_its_long_fields_and_says_so() -> None:
    (text,) = frames_of({"run_1": run_row(error=HUGE, labels={"a": HUGE}, models=[HUGE])})
    assert len(text.encode()) < FRAME_BYTES_MAX
    row = RunRow.model_validate(json.loads(text)["rows"][0])
    assert (row.run, row.state, row.error, row.models) == ("run_1", "working", LEFT_OUT, [])
    assert [(alert.kind, alert.level) for alert in row.alerts] == [("row", "critical")]


def test_a_row_too_large_leaves_the_other_rows_whole() -> None:
    rows = {"big": run_row(error=HUGE), "run_1": run_row(name="small")}
    names = [row["name"] for text in frames_of(rows) for row in json.loads(text)["rows"]]
    assert names == ["", "small"]


def test_an_approval_too_large_says_in_its_arguments_that_they_are_left_out() -> None:
    fixed = {"key": "apr_1", "approval": "apr_1", "run": "run_1", "agent": "a", "call": "c", "kind": "tool_call"}
    told = {"tool": "shell", "digest": "d", "call_digest": "d", "risk": "high", "rule": "r", "why": "w"}
    times = {"requested_at": 1.0, "expires_at": 2.0, "status": "approved"}
    (text,) = frames_of({"apr_1": fixed | told | times | {"args": {"c": "ls"}, "edited_args": {"c": HUGE}}})
    row = ApprovalRow.model_validate(json.loads(text)["rows"][0])
    assert (row.args, row.edited_args) == ({"c": "ls"}, {"...": LEFT_OUT})


# -- agents over HTTP --------------------------------------------------------------------------------------------------


def command(cseq: int) -> PointCommand:
    return PointCommand(cseq=cseq, cmd=f"cmd_{cseq}", run="run_1", do="pause")


def test_a_point_that_fetches_nothing_is_let_go_and_loses_no_command_unseen() -> None:
    point = HttpPoint("h1", "run_1", "g1")
    for cseq in range(1, COMMANDS_MAX + 2):
        point.put(command(cseq))
    assert (point.is_closed, point.commands) == (True, [])
    assert point.error is not None
    assert (point.error.status, point.error.details) == (409, {"close": Close.FLOOD})


async def test_a_kill_that_found_no_room_comes_when_the_agent_attaches_again(hub: RunningHub) -> None:
    assert hub.service is not None
    body = {"gen": "g1", "point": "sdk", "events": []}
    events = [{"seq": 1, "ts": 1.0, "type": "run", "agent": "curl"}, {"seq": 2, "ts": 1.0, **working()}]
    async with hub.http("agent") as agent, hub.http() as client:
        await agent.post(f"{RUN}/events", json=body | {"events": events})
        (peer,) = hub.service.parts.hub.peers.values()
        for _ in range(COMMANDS_MAX):
            peer.put(command(1))
        await client.post("/v1/commands", json={"cmd": "cmd_1", "do": "kill", "run": "run_1"})
        assert (await agent.get(f"{RUN}/commands?point=sdk&after=1")).status_code == 409
        assert (await agent.post(f"{RUN}/events", json=body)).status_code == 200
        told = (await agent.get(f"{RUN}/commands?point=sdk")).json()["commands"]
    assert [one["do"] for one in told] == ["kill"]


# -- metrics -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("evil.example", 401),
        ("evil.example:8787", 401),
        ("127.0.0.1.evil.example", 401),
        ("[::1", 401),
        ("localhost:8787", 200),
        ("127.0.0.1", 200),
        ("[::1]:8787", 200),
    ],
)
async def test_metrics_without_a_token_are_for_who_asks_this_machine_by_name(
    hub: RunningHub, host: str, status: int
) -> None:
    async with httpx.AsyncClient(base_url=hub.url, timeout=PATIENCE_SECONDS) as client:
        assert (await client.get("/metrics", headers={"Host": host})).status_code == status


async def test_metrics_are_given_to_a_token_under_any_name(hub: RunningHub) -> None:
    async with hub.http() as client:
        assert (await client.get("/metrics", headers={"Host": "hub.example"})).status_code == 200
