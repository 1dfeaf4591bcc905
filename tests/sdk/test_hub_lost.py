"""Without the hub: an agent starts, works, waits, refuses or stops as its policy says, and nothing is lost."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from opsconsole.sdk import CallDenied, Hub, HubLost, HubUnreachable, OnHubLost
from opsconsole.sdk.link import Pace
from tests.sdk.conftest import Connect
from tests.sdk.fake_hub import TIME_LIMIT_SECONDS, FakeHub, silent


@dataclass(frozen=True, kw_only=True)
class Noted(Pace):
    """Does not wait, and keeps the numbers of its attempts."""

    attempts: list[int] = field(default_factory=list)

    def wait(self, attempt: int) -> float:
        self.attempts.append(attempt)
        return 0.0


async def dropped(connect: Connect, fake_hub: FakeHub, pace: Noted, times: int) -> None:
    """A hub that takes the connection, welcomes it, and closes it, so many times."""
    async with connect(pace=pace) as hub, hub.run(agent="a"):
        for number in range(1, times + 1):
            await fake_hub.seen(lambda number=number: len(fake_hub.hellos) == number)
            await until(lambda: hub.connected)
            fake_hub.close_with(4000, "go away")
        await fake_hub.seen(lambda: len(fake_hub.hellos) == times + 1)


async def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + TIME_LIMIT_SECONDS
    while not holds():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.005)


async def lost(hub: Hub) -> None:
    await until(lambda: hub.host.link.view.lost)


async def test_an_agent_starts_without_the_hub_and_its_events_arrive_later(connect: Connect, fake_hub: FakeHub) -> None:
    fake_hub.down()
    async with connect() as hub, hub.run(agent="a") as run:
        await run.note("while nobody listened")
        fake_hub.up()
        await fake_hub.seen(lambda: fake_hub.runs and fake_hub.only().of("note"))
    assert [event["seq"] for event in fake_hub.only().events] == [1, 2, 3, 4]


async def test_a_call_waits_for_a_lost_hub_and_runs_by_its_verdict(connect: Connect, fake_hub: FakeHub) -> None:
    fake_hub.down()
    async with connect() as hub, hub.run(agent="a") as run:
        call = asyncio.create_task(run.tool("sql", {}, lambda: "done"))
        await lost(hub)
        assert not call.done()
        fake_hub.up()
        assert await call == "done"


async def test_a_call_that_waited_its_time_for_a_lost_hub_is_refused(connect: Connect, fake_hub: FakeHub) -> None:
    fake_hub.down()
    async with connect() as hub, hub.run(agent="a") as run:
        await lost(hub)
        with pytest.raises(CallDenied, match=r"within 0\.05 s") as denied:
            await run.tool("sql", {}, lambda: "done", ttl_seconds=0.05)
    assert denied.value.rule == "expired"


async def test_a_run_that_rejects_without_the_hub_does_not_wait(connect: Connect, fake_hub: FakeHub) -> None:
    async with connect() as hub, hub.run(agent="a", on_hub_lost=OnHubLost(gate="reject")) as run:
        assert await run.tool("sql", {}, lambda: "done") == "done"
        fake_hub.down()
        with pytest.raises(CallDenied) as denied:
            await run.tool("sql", {}, lambda: "again")
    assert denied.value.rule == "hub_lost"


async def test_a_call_of_small_risk_runs_unseen_and_the_hub_learns_of_it_later(
    connect: Connect, fake_hub: FakeHub
) -> None:
    fake_hub.down()
    fake_hub.verdict = silent
    policy = OnHubLost(gate="allow", allow_risk_max="medium")
    async with connect() as hub, hub.run(agent="a", on_hub_lost=policy) as run:
        assert await run.tool("read", {}, lambda: "done", risk="low") == "done"
        with pytest.raises(CallDenied):
            await run.tool("drop", {}, lambda: "done", risk="high", ttl_seconds=0.05)
        fake_hub.up()
        await fake_hub.seen(lambda: fake_hub.runs and len(fake_hub.only().of("tool")) == 5)
    record = fake_hub.only()
    assert record.statuses() == ["proposed", "running", "completed", "proposed", "denied"]
    assert record.of("tool")[1]["verdict"] == "offline"
    assert [(note["level"], note["kind"]) for note in record.of("note")] == [("warning", "override")]


async def test_a_run_with_a_lease_stops_itself_when_nothing_is_heard(connect: Connect, fake_hub: FakeHub) -> None:
    async with connect() as hub:
        assert await hub.wait_connected(TIME_LIMIT_SECONDS)
        with pytest.raises(HubLost, match=r"for 0\.3 s"):
            async with hub.run(agent="a", on_hub_lost=OnHubLost(run="stop", lease_seconds=0.3)):
                fake_hub.down()
                await asyncio.sleep(TIME_LIMIT_SECONDS)
        fake_hub.up()
        await fake_hub.seen(lambda: "failed" in fake_hub.only().states())
    assert fake_hub.only().of("state")[-1]["stop_reason"] == "lease"


async def test_a_run_with_a_lease_does_not_start_without_the_hub(connect: Connect, fake_hub: FakeHub) -> None:
    fake_hub.down()
    async with connect() as hub:
        with pytest.raises(HubUnreachable, match="not to run without it"):
            async with hub.run(agent="a", on_hub_lost=OnHubLost(run="stop", lease_seconds=0.05)):
                raise AssertionError("the body ran")


async def test_a_cut_connection_loses_and_repeats_nothing(connect: Connect, fake_hub: FakeHub) -> None:
    async with connect() as hub, hub.run(agent="a") as run:
        for number in range(200):
            await run.note(str(number))
            if number % 40 == 20:
                await fake_hub.seen(lambda: fake_hub.runs and len(fake_hub.only().events) > 2)
                fake_hub.cut()
        await fake_hub.seen(lambda: len(fake_hub.only().of("note")) == 200)
    notes = [int(note["text"]) for note in fake_hub.only().of("note")]
    assert notes == list(range(200))


async def test_unacknowledged_events_are_sent_again(connect: Connect, fake_hub: FakeHub) -> None:
    fake_hub.acking = False
    async with connect() as hub, hub.run(agent="a") as run:
        await run.note("one")
        await fake_hub.seen(lambda: fake_hub.runs and fake_hub.only().of("note"))
        fake_hub.cut()
        fake_hub.acking = True
        await run.note("two")
        await fake_hub.seen(lambda: len(fake_hub.only().of("note")) == 2)
    assert [note["text"] for note in fake_hub.only().of("note")] == ["one", "two"]


async def test_a_black_hole_is_noticed_and_left(connect: Connect, fake_hub: FakeHub) -> None:
    fake_hub.beat_seconds = 0.05
    async with connect() as hub, hub.run(agent="a") as run:
        await fake_hub.seen(lambda: fake_hub.runs)
        fake_hub.black_hole()
        await run.note("into the void")
        await fake_hub.seen(lambda: len(fake_hub.hellos) > 1 and fake_hub.only().of("note"))


async def test_both_sides_beat_while_nothing_else_is_said(connect: Connect, fake_hub: FakeHub) -> None:
    fake_hub.beat_seconds = 0.1
    async with connect() as hub, hub.run(agent="a"):
        await fake_hub.seen(lambda: any(beat.n > 1 and beat.echo for beat in fake_hub.beats))


async def test_a_close_that_says_come_back_is_followed_by_a_reconnect(connect: Connect, fake_hub: FakeHub) -> None:
    async with connect() as hub, hub.run(agent="a"):
        await fake_hub.seen(lambda: fake_hub.runs)
        fake_hub.close_with(1012, "restart")
        await fake_hub.seen(lambda: len(fake_hub.hellos) == 2)


async def test_a_run_says_with_each_connection_whether_it_is_taken_over(connect: Connect, fake_hub: FakeHub) -> None:
    async with connect() as hub, hub.run(agent="a") as run:
        for do, holds in (("takeover", True), ("release", False)):
            await fake_hub.seen(lambda: fake_hub.runs and hub.connected)
            cmd = fake_hub.send(run.id, do, by="ann", epoch=1)
            await fake_hub.seen(lambda cmd=cmd: fake_hub.result(cmd))
            greeted = len(fake_hub.hellos)
            fake_hub.close_with(1012, "restart")
            await fake_hub.seen(lambda greeted=greeted: len(fake_hub.hellos) > greeted)
            assert fake_hub.hellos[-1].runs[0].held is holds


async def test_a_hub_that_takes_the_connection_and_drops_it_is_asked_ever_more_rarely(
    connect: Connect, fake_hub: FakeHub
) -> None:
    pace = Noted(steady_seconds=60.0)
    await dropped(connect, fake_hub, pace, times=4)
    assert pace.attempts == [1, 2, 3, 4]


async def test_after_a_connection_that_lasted_the_waits_begin_anew(connect: Connect, fake_hub: FakeHub) -> None:
    pace = Noted(steady_seconds=0.0)
    await dropped(connect, fake_hub, pace, times=3)
    assert pace.attempts == [0, 0, 0]


@pytest.mark.parametrize("code", [4500, 4501, 4503, 4505])
async def test_a_final_close_stops_the_link_and_refuses_every_call(
    connect: Connect, fake_hub: FakeHub, code: int
) -> None:
    policy = OnHubLost(gate="allow", allow_risk_max="critical")
    async with connect() as hub, hub.run(agent="a", on_hub_lost=policy) as run:
        await fake_hub.seen(lambda: fake_hub.runs)
        fake_hub.verdict = silent
        call = asyncio.create_task(run.tool("sql", {}, lambda: "done", risk="low"))
        await fake_hub.seen(lambda: fake_hub.only().of("tool"))
        fake_hub.close_with(code, "no more")
        with pytest.raises(CallDenied, match=str(code)) as denied:
            await call
    assert (denied.value.rule, len(fake_hub.hellos)) == ("hub_refused", 1)


async def test_an_agent_whose_token_comes_later_is_heard_without_a_restart(
    connect: Connect, fake_hub: FakeHub, tmp_path: Path
) -> None:
    async with connect(token="", pace=Pace(refused_seconds=0.01)) as hub, hub.run(agent="a") as run:
        with pytest.raises(CallDenied, match="HTTP 401"):
            await run.tool("sql", {}, lambda: "done")
        (tmp_path / "agent.token").write_text(fake_hub.token)
        await until(lambda: hub.connected)
        assert await run.tool("sql", {}, lambda: "done", id="again") == "done"


async def test_an_agent_refused_by_a_close_asks_again_later(connect: Connect, fake_hub: FakeHub) -> None:
    async with connect(pace=Pace(first_seconds=0.01, refused_seconds=0.01)) as hub, hub.run(agent="a"):
        await fake_hub.seen(lambda: fake_hub.runs)
        fake_hub.close_with(4501, "who are you?")
        await fake_hub.seen(lambda: len(fake_hub.hellos) == 2)


async def test_an_agent_that_a_newer_one_replaced_does_not_come_back(connect: Connect, fake_hub: FakeHub) -> None:
    async with connect(pace=Pace(first_seconds=0.01, refused_seconds=0.01)) as hub, hub.run(agent="a") as run:
        await fake_hub.seen(lambda: fake_hub.runs)
        fake_hub.close_with(4503, "superseded")
        with pytest.raises(CallDenied, match="4503"):
            await run.tool("sql", {}, lambda: "done")
        with fake_hub.changed:
            assert not fake_hub.changed.wait_for(lambda: len(fake_hub.hellos) > 1, 0.1)


async def test_a_wrong_token_is_not_tried_again_at_once(connect: Connect, fake_hub: FakeHub) -> None:
    async with connect(token="bad") as hub, hub.run(agent="a") as run:
        with pytest.raises(CallDenied, match="HTTP 401"):
            await run.tool("sql", {}, lambda: "done")
        assert await hub.wait_connected(0.05) is False
    assert fake_hub.hellos == []


async def test_a_goodbye_is_said_and_the_run_left_before_the_connection_closes(
    connect: Connect, fake_hub: FakeHub
) -> None:
    async with connect() as hub:
        async with hub.run(agent="a") as run:
            pass
        await fake_hub.seen(lambda: fake_hub.detached == [run.id])
    await fake_hub.seen(lambda: fake_hub.byes)
    assert [bye.reconnect for bye in fake_hub.byes] == [False]
