"""What a peer may do on an open socket, and what becomes of one that breaks the rules: the others never notice."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from opsconsole.hub import outgoing, session
from opsconsole.protocol.limits import FRAME_BYTES_MAX, SILENCE_BEATS_MAX
from tests.support.hub import RunningHub, eventually, mint, quick, running_hub, working

WRONG_FRAMES: list[tuple[str, int]] = [
    ("not json", 4500),
    ("[]", 4500),
    ("{}", 4500),
    ('{"t":1}', 4500),
    ('{"t":"hello","runs":"all"}', 4500),
    ('{"t":"beat"}', 4500),
    ("[" * 100_000, 4500),
    ('{"t":"hello","point":"sdk","client":"' + "x" * FRAME_BYTES_MAX + '"}', 1009),
    ('{"t":"hello","point":"sdk","client":"' + "x" * (2 * FRAME_BYTES_MAX) + '"}', 1009),
]


@pytest.mark.parametrize(("text", "code"), WRONG_FRAMES, ids=range(len(WRONG_FRAMES)))
@pytest.mark.parametrize("path", ["/v1/agent", "/v1/operator"])
async def test_a_wrong_first_frame_closes_its_own_connection_only(
    hub: RunningHub, path: str, text: str, code: int
) -> None:
    token = hub.token("agent" if path == "/v1/agent" else "operator")
    async with hub.console() as other, hub.socket(path, token) as socket:
        await socket.raw.send(text)
        assert (await socket.closed())[0] == code
        assert (await other.follow("board"))["t"] == "snap"


async def test_the_peer_is_told_why_before_it_is_closed(hub: RunningHub) -> None:
    async with hub.socket("/v1/operator", hub.token()) as socket:
        await socket.raw.send("{}")
        bye = await socket.receive()
        assert (bye["t"], bye["code"], bye["reconnect"]) == ("bye", 4500, False)


async def test_a_frame_of_bytes_is_a_broken_protocol(hub: RunningHub) -> None:
    async with hub.console() as console:
        await console.raw.send(b'{"t":"beat"}')
        assert (await console.closed())[0] == 4500


async def test_text_that_is_not_utf8_closes_that_connection(hub: RunningHub) -> None:
    async with hub.console() as console, hub.console() as other:
        await console.raw.send(b'{"t":"beat","busy":"\xff"}', text=True)
        assert (await console.closed())[0] == 1007
        assert (await other.follow("board"))["t"] == "snap"


async def test_frames_of_a_newer_minor_version_are_passed_over(hub: RunningHub) -> None:
    async with hub.console() as console:
        await console.send(t="hologram", size=3)
        assert (await console.follow("board"))["t"] == "snap"


async def test_who_says_nothing_is_closed(tmp_path: Path) -> None:
    limits = quick(hello_seconds=0.05)
    async with running_hub(tmp_path, limits=limits) as hub, hub.socket("/v1/agent", hub.token("agent")) as socket:
        assert (await socket.closed())[0] == 4002


async def test_an_operator_may_not_speak_as_a_point(hub: RunningHub) -> None:
    async with hub.socket("/v1/operator", hub.token()) as socket:
        await socket.send(t="hello", point="sdk")
        assert (await socket.closed())[0] == 4500


async def test_an_agent_may_not_give_commands(hub: RunningHub) -> None:
    async with hub.agent() as agent:
        await agent.send(t="cmd", cmd="cmd_1", do="kill", all=True)
        await agent.begin()
        async with hub.http() as client:
            assert (await client.get("/v1/commands/cmd_1")).status_code == 404


class Clock:
    """The time of a hub's connections: it stands still until the test lets it pass; they look at it by their timers."""

    def __init__(self) -> None:
        self.at = time.monotonic()

    def passes(self, seconds: float) -> None:
        self.at += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    for module in (session, outgoing):
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: made.at))
    return made


BEAT_SECONDS = 0.05
BEATS = quick(beat_seconds=BEAT_SECONDS)
BEAT_DUE_SECONDS = 1.1 * BEAT_SECONDS


async def test_both_sides_beat_and_silence_is_closed(tmp_path: Path, clock: Clock) -> None:
    async with running_hub(tmp_path, limits=BEATS) as hub, hub.console() as console:
        clock.passes(BEAT_DUE_SECONDS)
        assert (await console.next("beat"))["n"] == 1
        clock.passes(SILENCE_BEATS_MAX * BEAT_SECONDS)
        assert (await console.closed())[0] == 4001


async def test_an_operator_is_shown_more_often_than_a_beat_is_owed_that_the_hub_is_alive(tmp_path: Path) -> None:
    limits = quick(beat_seconds=60.0, sign_seconds=0.05)
    async with running_hub(tmp_path, limits=limits) as hub, hub.console() as console:
        assert (console.welcome["beat_seconds"], console.welcome["sign_seconds"]) == (60.0, 0.05)
        assert [(await console.next("beat"))["n"] for _ in range(3)] == [1, 2, 3]


async def test_a_peer_that_beats_stays(tmp_path: Path, clock: Clock) -> None:
    async with running_hub(tmp_path, limits=BEATS) as hub, hub.console() as console:
        assert hub.service is not None
        [peer] = hub.service.parts.sockets._sessions.values()
        for number in range(1, 6):
            clock.passes(BEAT_DUE_SECONDS)
            assert (await console.next("beat"))["n"] == number
            await console.send(t="beat", n=number, now=0.0)
            await eventually(lambda number=number: peer.frames_received == 1 + number)


async def test_a_lost_agent_is_drawn_as_stale_and_a_leaving_one_as_detached(hub: RunningHub) -> None:
    async with hub.console() as console:
        await console.follow("board")
        async with hub.agent(run="run_lost") as lost, hub.agent(run="run_left") as left:
            await lost.begin()
            await left.begin()
            lost.raw.transport.abort()
            row = await console.row(lambda row: row["run"] == "run_lost" and row["link"] != "live")
            assert (row["link"], row["state"]) == ("stale", "working")
            await left.send(t="bye", code=1000)
        assert (await console.row(lambda row: row["run"] == "run_left" and row["link"] != "live"))["link"] == "detached"


async def test_a_console_that_floods_is_closed_and_may_come_back(tmp_path: Path) -> None:
    limits = quick(operator_frames_per_second=0.01, burst_seconds=2_000.0)
    async with running_hub(tmp_path, limits=limits) as hub, hub.console() as console:
        for _ in range(40):
            await console.send(t="beat")
        bye = await console.next("bye")
        assert (bye["code"], bye["reconnect"], bye["after_ms"]) == (4008, True, 1_000)


async def test_a_kill_passes_however_much_its_console_has_sent(tmp_path: Path) -> None:
    limits = quick(operator_frames_per_second=0.01, burst_seconds=2_000.0)
    async with running_hub(tmp_path, limits=limits) as hub, hub.agent() as agent, hub.console() as console:
        await agent.begin()
        for _ in range(19):
            await console.send(t="beat")
        await console.send(t="cmd", cmd="cmd_kill", do="kill", run="run_1")
        assert (await agent.next("cmd"))["do"] == "kill"
        assert (await console.closed())[0] == 4008


async def test_an_agent_over_its_rate_is_read_slower_and_loses_nothing(tmp_path: Path) -> None:
    limits = quick(agent_frames_per_second=200.0, burst_seconds=0.05)
    async with running_hub(tmp_path, limits=limits) as hub, hub.agent() as agent:
        await agent.begin()
        for _ in range(50):
            last = await agent.emit(working())
        await agent.stored(last)
        assert agent.raw.close_code is None


async def test_a_revoked_token_cuts_its_connections_at_once(hub: RunningHub) -> None:
    token = await mint(hub, "operator")
    async with hub.console(token["token"]) as revoked, hub.console() as other, hub.http("admin") as admin:
        answer = (await admin.delete(f"/v1/tokens/{token['id']}")).json()
        assert (await revoked.closed())[0] == 4501
        assert answer["connections_closed"] == 1
        assert (await other.follow("board"))["t"] == "snap"


@pytest.mark.usefixtures("clock")
async def test_a_token_that_expires_ends_its_connection(tmp_path: Path) -> None:
    async with running_hub(tmp_path, limits=BEATS) as hub:
        token = await mint(hub, "operator", ttl_seconds=60.0)
        async with hub.console(token["token"]) as console:
            assert hub.service is not None
            inner = hub.service.parts.hub
            inner.clock.not_before(inner.now() + 60.0)
            assert (await console.closed())[0] == 4004


async def test_a_hub_that_goes_down_says_come_back(tmp_path: Path) -> None:
    async with running_hub(tmp_path) as hub:
        agent, console = hub.agent(), hub.console()
        sockets = [await agent.__aenter__(), await console.__aenter__()]
    byes = [await socket.next("bye") for socket in sockets]
    codes = [(await socket.closed())[0] for socket in sockets]
    assert ([bye["reconnect"] for bye in byes], codes) == ([True, True], [1012, 1012])


async def test_a_second_process_for_a_run_takes_over_from_the_first(hub: RunningHub) -> None:
    async with hub.agent(gen="g1") as first:
        await first.begin()
        async with hub.agent(gen="g2") as second:
            assert (await first.closed())[0] == 4503
            await second.begin()


async def test_an_agent_may_not_speak_for_the_run_of_another(hub: RunningHub) -> None:
    token = await mint(hub, "agent")
    async with hub.agent() as owner, hub.agent(point="supervisor", token=token["token"]) as stranger:
        await owner.begin()
        await stranger.emit({"type": "run", "agent": "x"})
        assert (await stranger.next("err"))["ref"] == "run_1"


async def test_a_token_bound_to_a_prefix_starts_only_such_agents(hub: RunningHub) -> None:
    token = await mint(hub, "agent", agent_prefix="billing-")
    async with hub.agent(token=token["token"]) as agent:
        await agent.emit({"type": "run", "agent": "shell"})
        assert (await agent.next("err"))["code"] == "forbidden"
        agent.seq = 0
        await agent.begin("billing-refunds")


async def test_a_thousand_frames_in_one_packet_do_not_hold_others_up(hub: RunningHub) -> None:
    async with hub.agent() as agent, hub.console() as console:
        await agent.begin()
        flood = asyncio.gather(*(agent.emit(working()) for _ in range(1_000)))
        assert (await console.follow("board"))["t"] == "snap"
        await flood
        await agent.stored(agent.seq)
