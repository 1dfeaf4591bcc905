"""Frames that nobody waits for are handled together, in order, and none is lost; what is waited for is not put off."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from opsconsole.domain.command import Role
from opsconsole.hub.agents import AgentSession
from opsconsole.hub.desk.principal import Principal
from opsconsole.hub.gathering import BYTES_MAX, FRAMES_MAX, Gathering, may_wait
from opsconsole.hub.session import Wire
from opsconsole.hub.settings import ShellLimits
from opsconsole.protocol.connection import Phase
from opsconsole.protocol.frames import Frame
from opsconsole.protocol.limits import Close
from tests.support.hub import RunningHub, eventually, note, working


def frame(**event: object) -> bytes:
    events = [{"seq": 1, "ts": 1.0, **event}]
    return json.dumps({"t": "event", "run": "r", "gen": "g", "events": events}, separators=(",", ":")).encode()


BEGUN = 1e6
"""Monotonic seconds, long after anything else."""


class Settling:
    """Counts how often it is asked to settle, and how often in the same round of the loop."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> None:
        self.times += 1


def put(gathering: Gathering, settle: Callable[[], None], *sizes: int, now: float = BEGUN) -> list[bool]:
    return [gathering.put(settle, size, now) for size in sizes]


async def test_a_frame_after_a_pause_is_not_put_off_and_those_right_behind_it_are() -> None:
    assert put(Gathering(), Settling(), 10, 10, 10) == [False, True, True]


async def test_what_was_put_off_is_settled_after_a_moment_each_session_once() -> None:
    gathering, one, other = Gathering(seconds=0.005), Settling(), Settling()
    assert put(gathering, one, 10, 10, 10) + put(gathering, other, 10) == [False, True, True, True]
    await eventually(lambda: one.times and other.times)
    assert (one.times, other.times) == (1, 1)


async def test_what_comes_while_a_moment_has_only_begun_waits_for_its_end() -> None:
    gathering = Gathering(seconds=10.0)
    assert [gathering.put(Settling(), 10, now) for now in (BEGUN, BEGUN + 5, BEGUN + 9)] == [False, True, True]


@pytest.mark.parametrize("sizes", [[10] * (FRAMES_MAX + 2), [10, BYTES_MAX, 10]], ids=["frames", "bytes"])
async def test_so_much_at_once_waits_for_no_moment_and_nothing_is_put_off_for_a_while(sizes: list[int]) -> None:
    gathering, settle = Gathering(seconds=3_600.0), Settling()
    assert not put(gathering, settle, *sizes)[-1]
    await asyncio.sleep(0)
    assert (settle.times, gathering.is_on(BEGUN + 0.5), gathering.is_on(BEGUN + 1.5)) == (1, False, True)


@pytest.mark.parametrize(
    "data",
    [
        frame(type="note", text="the gate is open, its state is fine"),
        frame(type="tool", id="c", name="ls", status="completed", result='{"gate":true}'),
        frame(type="usage", model="m", turns=1),
    ],
    ids=["note", "result that quotes", "usage"],
)
def test_what_asks_nothing_may_wait(data: bytes) -> None:
    assert may_wait(data)


@pytest.mark.parametrize(
    "data",
    [
        frame(type="tool", id="c", name="ls", status="proposed", gate=True, args={}),
        frame(type="tool", id="c", name="m", kind="model_call", status="completed"),
        frame(type="state", state="completed"),
        frame(type="run", agent="a"),
        b'{"t":"res","run":"r","cmd":"cmd_1","ok":true}',
        b'{"t":"beat","n":1,"now":1.0}',
    ],
    ids=["gated", "turn", "state", "run", "res", "beat"],
)
def test_what_somebody_may_wait_for_may_not(data: bytes) -> None:
    assert not may_wait(data)


async def test_many_frames_are_stored_in_their_order(hub: RunningHub) -> None:
    async with hub.agent() as agent:
        await agent.begin()
        for number in range(100):
            last = await agent.emit(note(f"note {number}"))
        await agent.stored(last)
        async with hub.http() as client:
            events = (await client.get(f"/v1/runs/{agent.run}/events", params={"limit": 500})).json()["events"]
    told = [event["event"]["text"] for event in events if event["event"]["type"] == "note"]
    assert told == [f"note {number}" for number in range(100)]


async def test_a_call_is_judged_after_what_its_point_said_before_it(hub: RunningHub) -> None:
    async with hub.agent() as agent, hub.console() as console:
        await console.follow("approvals")
        await agent.begin()
        for number in range(5):
            await agent.emit(note(f"note {number}"))
        await agent.propose()
        assert (await console.row(lambda row: row["run"] == agent.run))["call"] == "call_1"
        await agent.stored(agent.seq)


async def test_what_was_put_off_is_handled_when_its_connection_ends(hub: RunningHub) -> None:
    async with hub.agent() as agent, hub.console() as console:
        await console.follow("board")
        await agent.begin()
        for number in range(5):
            await agent.emit(note(f"note {number}"))
        last = await agent.emit({"type": "message", "id": "m", "role": "assistant", "text": "that was all"})
        await agent.raw.close()
        row = await console.row(lambda row: row["run"] == agent.run and row["link"] != "live")
        assert (row["doing"], last) == ("that was all", 8)


async def test_a_broken_frame_behind_one_that_waits_closes_its_connection_only(hub: RunningHub) -> None:
    async with hub.agent(run="run_a") as agent, hub.agent(run="run_b") as other:
        for each in (agent, other):
            await each.begin()
            await each.emit(note("first"))
        await agent.raw.send('{"t":"event","run":"run_a","gen":7,"events":[]}')
        assert (await agent.closed())[0] == Close.PROTOCOL_ERROR
        await other.stored(await other.emit(working()))


NOTE = frame(type="note", text="x")


class Inputs:
    """What an agent's session needs of a hub: it takes every frame, and keeps count of those that were put off."""

    def __init__(self, *, is_congested: bool = False, fails_at: int = -1) -> None:
        self.gathering = self
        self.is_congested, self._fails_at = is_congested, fails_at
        self.taken = 0
        self.put_off = 0

    def is_on(self, _now: float) -> bool:
        return True

    def put(self, _settle: Callable[[], None], _size_bytes: int, _now: float) -> bool:
        self.put_off += 1
        return True

    def agent_hello(self, *_: Any) -> None: ...

    def agent_frame(self, _conn: str, _frame: Frame, _data: bytes) -> None:
        self.taken += 1
        if self.taken == self._fails_at:
            raise RuntimeError("a fault of ours")

    def agent_gone(self, *_: Any) -> None: ...

    async def room(self) -> None: ...


async def heard(hub: Inputs, *frames: bytes, limits: ShellLimits | None = None) -> bool:
    """A point says hello and sends these frames; whether its socket was cut."""
    said = deque(
        [{"type": "websocket.connect"}, *({"text": one.decode()} | {"type": "websocket.receive"} for one in frames)]
    )
    cut = asyncio.Event()

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(0)
        return said.popleft() if said else {"type": "websocket.disconnect", "code": 1000}

    async def send(_message: dict[str, Any]) -> None: ...

    session = AgentSession(
        hub=hub,  # type: ignore[arg-type]
        left=lambda _conn: None,
        conn="a1",
        principal=Principal(name="bot", role=Role.AGENT),
        wire=Wire(receive=receive, send=send, abort=cut.set),
        limits=limits or ShellLimits(),
        is_valid=lambda: True,
        wall=lambda: 0.0,
    )
    session.connection.phase = Phase.OPEN  # as after hello and welcome
    with suppress(RuntimeError):
        await session.run()
    return cut.is_set()


async def test_nothing_is_put_off_while_the_disk_is_behind() -> None:
    hub = Inputs(is_congested=True)
    await heard(hub, NOTE, NOTE)
    assert (hub.put_off, hub.taken) == (0, 2)


async def test_an_agent_over_its_rate_is_read_slower_and_nothing_of_it_is_put_off() -> None:
    hub = Inputs()
    await heard(hub, *[NOTE] * 3, limits=ShellLimits(agent_frames_per_second=1_000.0, burst_seconds=0.0))
    assert (hub.put_off, hub.taken) == (0, 3)


async def test_a_connection_of_which_a_frame_put_off_cannot_be_handled_is_cut() -> None:
    assert await heard(Inputs(fails_at=2), NOTE, NOTE, NOTE)
    assert not await heard(Inputs(), NOTE, NOTE, NOTE)


async def test_after_frames_were_settled_the_count_begins_anew() -> None:
    gathering, settle = Gathering(seconds=0.001), Settling()
    for times in (1, 2, 3):
        put(gathering, settle, *[10] * (FRAMES_MAX // 2), now=BEGUN)
        await eventually(lambda times=times: settle.times == times)
    assert gathering.is_on(BEGUN)
