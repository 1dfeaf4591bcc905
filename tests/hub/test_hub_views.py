"""What consoles see: snapshots, deltas, resuming, timelines; and that one that stops reading costs nobody anything."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from opsconsole.hub.tails import BEHIND_EVENTS_MAX, SNAPSHOT_EVENTS
from opsconsole.protocol.limits import WINDOW_FRAMES
from tests.support.hub import AgentSocket, ConsoleSocket, RunningHub, eventually, note, quick, running_hub, working


async def many_runs(hub: RunningHub, agent: AgentSocket, number: int, label: str = "") -> None:
    """Start so many runs on one connection."""
    runs = [f"run_{count:04}" for count in range(number)]
    await agent.send(t="attach", runs=[{"run": run, "gen": "g1"} for run in runs])
    for run in runs:
        labels = {f"label{count}": label for count in range(20)} if label else {}
        event = {"seq": 1, "ts": 1.0, "type": "run", "agent": "many", "labels": labels}
        await agent.send(t="event", run=run, gen="g1", events=[event])
    agent.run, agent.seq = runs[-1], 1
    await agent.stored(1)


async def test_a_change_reaches_every_console(hub: RunningHub) -> None:
    async with hub.agent() as agent, hub.console() as one, hub.console() as two:
        for console in (one, two):
            await console.follow("board")
        await agent.begin()
        rows = [await console.row(lambda row: row["state"] == "working") for console in (one, two)]
    assert [row["run"] for row in rows] == ["run_1", "run_1"]


async def test_a_delta_starts_where_the_last_frame_ended(hub: RunningHub) -> None:
    async with hub.agent() as agent, hub.console() as console:
        rev = (await console.follow("board"))["rev"]
        await agent.begin()
        for _ in range(3):
            await agent.emit({"type": "state", "state": "idle"}, working())
            delta = await console.update()
            assert delta["from_rev"] == rev
            rev = delta["rev"]


async def test_a_row_carries_the_revision_at_which_it_last_changed(hub: RunningHub) -> None:
    async with hub.agent() as agent, hub.console() as console:
        await agent.begin()
        snap = await console.follow("board")
    assert [row["rev"] for row in snap["rows"]] == [snap["rev"]]


async def test_a_console_that_comes_back_gets_only_what_it_missed(hub: RunningHub) -> None:
    async with hub.agent() as agent:
        await many_runs(hub, agent, 5)
        async with hub.console() as console:
            snap = await console.follow("board")
        await agent.emit(working())
        async with hub.console() as console:
            delta = await console.follow("board", epoch=snap["epoch"], rev=snap["rev"])
    assert (delta["t"], delta["from_rev"], [row["run"] for row in delta["rows"]]) == (
        "delta",
        snap["rev"],
        ["run_0004"],
    )


async def test_a_console_of_an_earlier_hub_gets_everything_anew(hub: RunningHub) -> None:
    async with hub.console() as console:
        assert (await console.follow("board", epoch="earlier", rev=7))["t"] == "snap"


async def test_asking_again_for_a_view_starts_it_anew(hub: RunningHub) -> None:
    async with hub.agent() as agent, hub.console() as console:
        await agent.begin()
        await console.follow("board")
        assert [row["run"] for row in (await console.follow("board"))["rows"]] == ["run_1"]


async def test_a_view_that_is_left_sends_no_more(hub: RunningHub) -> None:
    async with hub.agent() as agent, hub.console() as console:
        await console.follow("board")
        await console.follow("approvals")
        await console.send(t="sub", sub="board", off=True)
        await agent.begin()
        await agent.propose(command="ls")
        assert (await console.update())["sub"] == "approvals"


async def test_a_large_board_comes_in_parts(hub: RunningHub) -> None:
    async with hub.agent() as agent, hub.console() as console:
        await many_runs(hub, agent, 200, label="x" * 1_000)
        await console.send(t="sub", sub="board", view="board")
        parts = []
        while not parts or not parts[-1]["end"]:
            parts.append(await console.next("snap"))
            await console.send(t="ack", sub="board", rev=parts[-1]["rev"])
    assert [part["part"] for part in parts] == list(range(len(parts)))
    assert len(parts) > 1
    assert {row["run"] for part in parts for row in part["rows"]} == {f"run_{count:04}" for count in range(200)}


async def but_beats(console: ConsoleSocket) -> dict[str, Any]:
    """The next frame that is more than a sign of life."""
    while (frame := await console.receive())["t"] == "beat":
        pass
    return frame


async def test_no_more_frames_than_the_window_go_unacknowledged(hub: RunningHub) -> None:
    async with hub.agent() as agent, hub.console() as silent, hub.console() as other:
        await other.follow("board")
        await silent.send(t="sub", sub="board", view="board")
        await agent.begin()
        for _ in range(5):
            await agent.emit({"type": "state", "state": "idle"}, working())
            await other.update()
        frames = [await but_beats(silent) for _ in range(WINDOW_FRAMES)]
        await silent.send(t="beat")
        await silent.send(t="cmd", cmd="cmd_1", do="pause", run="nothing")
        answer = await but_beats(silent)
    assert ([frame["t"] for frame in frames], answer["t"]) == (["snap", "delta"], "res")


async def test_a_console_that_stops_reading_delays_nobody_and_queues_nothing(hub: RunningHub) -> None:
    assert hub.service is not None
    async with hub.agent() as agent, hub.console() as console:
        await many_runs(hub, agent, 100, label="x" * 1_000)
        stalled = [hub.console() for _ in range(5)]
        sockets = [await one.__aenter__() for one in stalled]
        for socket in sockets:
            socket.raw.transport.pause_reading()
            await socket.send(t="sub", sub="board", view="board")
        await console.follow("board")
        sources = hub.service.parts.hub.follows["board"]._sources
        for number in range(20):
            await agent.emit({"type": "run", "agent": "many", "name": str(number)})
            assert (await console.update())["rows"][0]["name"] == str(number)
        waiting = [len(source.subscriber.unacked) for source in sources]
        for socket, one in zip(sockets, stalled, strict=True):
            socket.raw.transport.abort()
            await one.__aexit__(None, None, None)
    assert max(waiting) <= WINDOW_FRAMES


async def test_an_approval_is_seen_before_the_board_ticks(tmp_path: Path) -> None:
    limits = quick(board_tick_seconds=3_600.0)
    async with running_hub(tmp_path, limits=limits) as hub, hub.agent() as agent, hub.console() as console:
        await agent.begin()
        await console.follow("board")
        await console.follow("approvals")
        await agent.propose(command="ls")
        row = await console.row(lambda row: "approval" in row)
        assert (row["tool"], row["args"], row["status"]) == ("shell", {"command": "ls"}, "pending")


async def test_a_run_that_leaves_the_board_is_gone_for_its_consoles(hub: RunningHub) -> None:
    assert hub.service is not None
    inner = hub.service.parts.hub
    async with hub.agent() as agent, hub.console() as console:
        await agent.begin()
        await console.follow("board")
        del inner.desk._world.runs["run_1"]
        inner.follows["board"].change("run_1", inner.now())
        assert (await console.update())["gone"] == ["run_1"]


# -- one run's timeline -----------------------------------------------------------------------------------------------


def texts(frame: dict[str, Any]) -> list[str]:
    return [row["event"].get("text", row["event"]["type"]) for row in frame["rows"]]


async def emit_notes(agent: AgentSocket, first: int, last: int) -> None:
    """Notes with these numbers, a hundred a frame, stored."""
    for start in range(first, last, 100):
        await agent.emit(*(note(str(number)) for number in range(start, min(start + 100, last))))
    await agent.stored(agent.seq)


async def test_a_timeline_begins_with_the_newest_events(hub: RunningHub) -> None:
    async with hub.agent() as agent, hub.console() as console:
        await agent.begin()
        await emit_notes(agent, 0, 1_000)
        snap = await console.follow("run", run="run_1")
    assert texts(snap) == [str(number) for number in range(1_000 - SNAPSHOT_EVENTS, 1_000)]


async def test_a_timeline_goes_on_as_events_are_stored(hub: RunningHub) -> None:
    async with hub.agent() as agent, hub.console() as console:
        await agent.begin()
        snap = await console.follow("run", run="run_1")
        await agent.emit(note("new"))
        delta = await console.update()
    assert (delta["from_rev"], texts(delta), delta["rows"][0]["gen"]) == (snap["rev"], ["new"], "sdk/g1")


async def test_a_timeline_of_nothing_is_empty_and_waits(hub: RunningHub) -> None:
    async with hub.console() as console, hub.agent() as agent:
        assert (await console.follow("run", run="run_1"))["rows"] == []
        await agent.begin()
        assert texts(await console.update()) == ["run", "state"]


async def test_a_console_far_behind_jumps_to_the_newest_and_is_told_how_much_it_missed(hub: RunningHub) -> None:
    async with hub.agent() as agent, hub.console() as console:
        await agent.begin()
        snap = await console.follow("run", run="run_1")
    total = 2 * BEHIND_EVENTS_MAX
    async with hub.agent() as agent, hub.console() as console:
        await emit_notes(agent, 0, total)
        delta = await console.follow("run", run="run_1", epoch=snap["epoch"], rev=snap["rev"])
    seen = [text for text in texts(delta) if text.isdigit()]
    assert seen == [str(number) for number in range(total - SNAPSHOT_EVENTS, total)]
    lost_link = 1
    assert delta["skipped"] == total + lost_link - SNAPSHOT_EVENTS


async def test_large_events_come_in_frames_of_bounded_size(hub: RunningHub) -> None:
    async with hub.agent() as agent, hub.console() as console:
        await agent.begin()
        await console.follow("run", run="run_1")
        await agent.emit(*(note("x" * 60_000) for _ in range(12)))
        sizes, revs, seen = [], [], 0
        while seen < 12:
            delta = await console.next("delta")
            await console.send(t="ack", sub="run", rev=delta["rev"])
            seen += len(delta["rows"])
            revs.append(delta["rev"])
            sizes.append(sum(len(row["event"]["text"]) for row in delta["rows"]))
    assert (sum(sizes), max(sizes) <= 262_144) == (12 * 60_000, True)
    position = delta["rows"][-1]["position"]
    assert revs == [position - 1] * (len(revs) - 1) + [position]


async def test_a_timeline_needs_a_run_and_views_have_a_number(hub: RunningHub) -> None:
    async with hub.console() as console:
        await console.send(t="sub", sub="x", view="run")
        assert (await console.receive())["code"] == "bad_request"
        for number in range(20):
            await console.send(t="sub", sub=f"s{number}", view="board")
        assert (await console.next("err"))["message"] == "at most 16 subscriptions"


async def test_a_closed_console_leaves_nothing_behind(hub: RunningHub) -> None:
    assert hub.service is not None
    inner = hub.service.parts.hub

    async def visit() -> ConsoleSocket:
        async with hub.console() as console:
            await console.follow("board")
            await console.follow("run", run="run_1")
            return console

    await asyncio.gather(*(visit() for _ in range(5)))
    await eventually(lambda: not inner.operators)
    assert (inner.follows["board"]._sources, inner.tails._by_run, inner.repliers) == (set(), {}, {})


async def test_a_stampede_of_approvals_does_not_push_its_console_over_the_rate(hub: RunningHub) -> None:
    async with hub.agent() as agent, hub.console() as console:
        await agent.begin()
        await console.follow("approvals")
        for number in range(250):
            await agent.propose(f"call_{number}", command="ls")
            await asyncio.sleep(0.001)
        row = await console.row(lambda row: row.get("call") == "call_249")
    assert row["status"] == "pending"
