"""Frames that break the rules: each costs at most its own connection, and the hub lives on for all others."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from opsconsole.protocol.limits import FRAME_BYTES_MAX
from tests.spec.manifest import proves
from tests.spec.place import Place
from tests.support.hub import RunningHub, note, proposal

pytestmark = pytest.mark.process

HELLO = '{"t":"hello","point":"sdk","client":"%s"}'
BAD_FIRST_FRAMES = [
    ("not json", 4500),
    ("[]", 4500),
    ('{"t":"hello","runs":"all"}', 4500),
    ('{"t":"event","run":"run_x","gen":"g","events":[]}', 4500),
    ("[" * 100_000, 4500),
    (HELLO % ("x" * FRAME_BYTES_MAX), 1009),
    (b'{"t":"hello"}', 4500),
]


@proves("frames.malformed", "frames.oversized", "frames.deep")
@pytest.mark.parametrize(("frame", "code"), BAD_FIRST_FRAMES, ids=range(len(BAD_FIRST_FRAMES)))
async def test_a_frame_that_breaks_the_rules_closes_its_own_connection_only(
    hub: RunningHub, frame: str | bytes, code: int
) -> None:
    async with hub.console() as bystander, hub.socket("/v1/agent", hub.token("agent")) as peer:
        await peer.raw.send(frame)
        assert (await peer.closed())[0] == code
        assert (await bystander.follow("board"))["t"] == "snap"


@proves("frames.utf8")
async def test_text_that_is_not_utf8_closes_its_own_connection_only(hub: RunningHub) -> None:
    async with hub.console() as bystander, hub.agent("run_utf8") as peer:
        await peer.raw.send(b'{"t":"beat","busy":"\xff"}', text=True)
        assert (await peer.closed())[0] == 1007
        assert (await bystander.follow("board"))["t"] == "snap"


async def upgrade_status(hub: RunningHub, path: str, token: str, **options: Any) -> int:
    """The HTTP status with which an upgrade is refused."""
    with pytest.raises(InvalidStatus) as refusal:
        async with hub.socket(path, token, **options):
            pass
    return refusal.value.response.status_code


@proves("frames.unauthenticated")
async def test_who_has_no_valid_token_is_not_let_in(hub: RunningHub) -> None:
    assert await upgrade_status(hub, "/v1/operator", "nonsense") == 401
    assert (await hub.http(token="nonsense").get("/v1/runs")).status_code == 401


@proves("frames.role")
async def test_a_token_of_another_role_opens_no_door(hub: RunningHub) -> None:
    assert await upgrade_status(hub, "/v1/operator", hub.token("agent")) == 403
    assert await upgrade_status(hub, "/v1/agent", hub.token("operator")) == 403


@proves("frames.version")
async def test_who_speaks_another_version_is_told_which_one_is_spoken(hub: RunningHub) -> None:
    assert await upgrade_status(hub, "/v1/agent", hub.token("agent"), subprotocols=["opsconsole.v9"]) == 426


@proves("frames.origin")
async def test_a_web_page_drives_no_hub(hub: RunningHub) -> None:
    assert await upgrade_status(hub, "/v1/operator", hub.token(), origin="https://evil.example") == 403


def texts(place: Place, run: str) -> list[str]:
    return [event["text"] for event in place.timeline(run) if event["type"] == "note"]


@proves("frames.replayed")
async def test_a_replayed_frame_is_acknowledged_and_counted_once(place: Place, hub: RunningHub) -> None:
    async with hub.agent("run_replay") as agent:
        await agent.begin()
        frame = {"t": "event", "run": "run_replay", "gen": "g1", "events": [{"seq": 3, "ts": 1.0, **note("once")}]}
        for _ in range(3):
            await agent.send(**frame)
            await agent.stored(3)
    assert texts(place, "run_replay") == ["once"]


@proves("frames.out-of-order")
async def test_a_gap_is_asked_for_and_nothing_beyond_it_is_taken(place: Place, hub: RunningHub) -> None:
    async with hub.agent("run_gap") as agent:
        await agent.begin()
        agent.seq = 3
        await agent.emit(note("fourth"))
        ack = await agent.next("ack")
        assert (ack["seq"], ack["want"]) == (2, 3)
        agent.seq = 2
        await agent.stored(await agent.emit(note("third"), note("fourth")))
    assert texts(place, "run_gap") == ["third", "fourth"]


@proves("frames.unknown-event")
async def test_an_event_of_an_unknown_type_is_kept_and_shown(place: Place, hub: RunningHub) -> None:
    async with hub.agent("run_odd") as agent:
        await agent.begin()
        await agent.stored(await agent.emit({"type": "hologram", "size": 3}, note("after it")))
    (odd,) = [event for event in place.timeline("run_odd") if event["type"] == "hologram"]
    assert (odd["size"], texts(place, "run_odd")) == (3, ["after it"])
    assert "hologram" in place.does("show", "run_odd")


@proves("frames.invalid-event")
async def test_one_event_that_does_not_validate_costs_no_other(place: Place, hub: RunningHub) -> None:
    async with hub.agent("run_half") as agent:
        await agent.begin()
        bad = {"type": "usage", "model": 7, "turns": "many"}
        await agent.stored(await agent.emit(note("before"), bad, note("after")))
    assert texts(place, "run_half") == ["before", "after"]
    assert place.row_of("run_half")["turns"] == 0


@proves("frames.second-agent")
async def test_a_second_process_for_a_run_supersedes_the_first_and_says_so(place: Place, hub: RunningHub) -> None:
    async with hub.agent("run_two", gen="g1") as first:
        await first.begin()
        async with hub.agent("run_two", gen="g2") as second:
            code, _ = await first.closed()
            await second.begin()
            assert (code, [alert["kind"] for alert in place.row_of("run_two")["alerts"]]) == (4503, ["superseded"])


@proves("frames.stranger")
async def test_another_teams_token_speaks_for_nobodys_run(place: Place, hub: RunningHub) -> None:
    made = place.ask("POST", "tokens", "admin", json={"name": "team-b", "role": "agent"}).json()
    async with hub.agent("run_ours") as ours, hub.agent("run_ours", point="supervisor", token=made["token"]) as theirs:
        await ours.begin()
        await theirs.emit({"type": "state", "state": "failed"})
        assert (await theirs.next("err"))["ref"] == "run_ours"
        assert place.row_of("run_ours")["state"] == "working"


@proves("frames.flood")
async def test_a_console_that_floods_is_closed_while_an_agent_is_served(hub: RunningHub) -> None:
    async with hub.console() as flooder, hub.agent("run_calm") as agent:
        with suppress(ConnectionClosed):
            while True:
                for _ in range(100):
                    await flooder.send(t="beat")
                await asyncio.sleep(0)
        assert (await flooder.closed())[0] == 4008
        await agent.begin()


@proves("frames.edge-of-args")
async def test_a_frame_close_to_the_limit_is_answered_not_dropped(place: Place, hub: RunningHub) -> None:
    async with hub.agent("run_big") as agent:
        await agent.begin()
        await agent.emit(proposal("call_1", "shell", {"text": "x" * 900_000}))
        verdict = await agent.next("cmd")
        assert (verdict["outcome"], "nobody could read" in verdict["text"]) == ("deny", True)
    assert place.approvals("run_big") == []
