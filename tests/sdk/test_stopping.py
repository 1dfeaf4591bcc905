"""Kill, pause and the end of a run: what is stopped stays stopped, and the hub is told the truth about it."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from typing import Any

import pytest

from opsconsole.sdk import RunStopped, live
from tests.sdk.conftest import Connect
from tests.sdk.fake_hub import TIME_LIMIT_SECONDS, FakeHub, silent


async def until_known(fake_hub: FakeHub) -> None:
    await fake_hub.seen(lambda: fake_hub.runs and any(one.states() for one in fake_hub.runs.values()))


async def test_a_kill_cancels_the_body_and_is_proven_only_when_it_has_ended(
    connect: Connect, fake_hub: FakeHub
) -> None:
    ended = []
    async with connect() as hub:
        with pytest.raises(RunStopped, match="killed by ann: runaway"):
            async with hub.run(agent="a") as run:
                await until_known(fake_hub)
                cmd = fake_hub.send(run.id, "kill", by="ann", text="runaway")
                try:
                    await asyncio.sleep(TIME_LIMIT_SECONDS)
                finally:
                    assert fake_hub.result(cmd) is None
                    ended.append(True)
    result = fake_hub.result(cmd)
    assert (ended, result.ok, result.status, result.proof) == ([True], True, "applied", "cooperative")
    assert [(one["name"], one["outcome"]) for one in result.points] == [("sdk", "ended")]
    assert fake_hub.only().states() == ["working", "killed"]


async def test_after_a_kill_the_task_goes_on_unharmed(connect: Connect, fake_hub: FakeHub) -> None:
    async with connect() as hub:
        with pytest.raises(RunStopped):
            async with hub.run(agent="a") as run:
                await until_known(fake_hub)
                fake_hub.send(run.id, "kill")
                await asyncio.sleep(TIME_LIMIT_SECONDS)
        await asyncio.sleep(0)
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0


async def test_a_swallowed_cancellation_is_repeated(connect: Connect, fake_hub: FakeHub) -> None:
    swallowed = 0
    async with connect() as hub:
        with pytest.raises(RunStopped):
            async with hub.run(agent="a") as run:
                await until_known(fake_hub)
                fake_hub.send(run.id, "kill")
                while swallowed < 3:
                    try:
                        await asyncio.sleep(TIME_LIMIT_SECONDS)
                    except asyncio.CancelledError:
                        swallowed += 1
    assert swallowed == 3
    assert fake_hub.results[-1].proof == "cooperative"


async def test_a_body_that_does_not_end_is_reported_as_not_ended(
    connect: Connect, fake_hub: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "CANCEL_SECONDS_MAX", 0.2)
    async with connect() as hub:
        with pytest.raises(RunStopped):
            async with hub.run(agent="a") as run:
                await until_known(fake_hub)
                cmd = fake_hub.send(run.id, "kill")
                fake_hub.wait(lambda: fake_hub.result(cmd))
                early = fake_hub.result(cmd)
                await asyncio.sleep(TIME_LIMIT_SECONDS)
    assert (early.ok, early.status, early.proof, early.code) == (False, "unconfirmed", "none", "not_ended")
    assert fake_hub.result(cmd).proof == "cooperative"


async def test_a_kill_waits_for_the_thread_of_a_running_tool(connect: Connect, fake_hub: FakeHub) -> None:
    let_go, running = threading.Event(), threading.Event()
    early: list[Any] = []

    def tool() -> None:
        running.set()
        assert let_go.wait(TIME_LIMIT_SECONDS)

    def operate(run: str) -> None:
        running.wait(TIME_LIMIT_SECONDS)
        fake_hub.send(run, "kill", cmd="cmd_kill")
        fake_hub.wait(lambda: fake_hub.only().acked_cseq == 2)
        early.append(fake_hub.result("cmd_kill"))
        let_go.set()

    async with connect() as hub:
        with pytest.raises(RunStopped):
            async with hub.run(agent="a") as run:
                operator = threading.Thread(target=operate, args=[run.id])
                operator.start()
                await run.tool("slow", {}, tool)
    operator.join()
    assert early == [None]
    assert fake_hub.result("cmd_kill").proof == "cooperative"
    assert fake_hub.only().statuses()[-1] == "completed"


async def test_a_call_that_a_kill_cancels_is_on_record_as_killed(connect: Connect, fake_hub: FakeHub) -> None:
    async with connect() as hub:
        with pytest.raises(RunStopped):
            async with hub.run(agent="a") as run:

                async def tool() -> None:
                    fake_hub.send(run.id, "kill")
                    await asyncio.sleep(TIME_LIMIT_SECONDS)

                await run.tool("slow", {}, tool)
    assert fake_hub.only().statuses() == ["proposed", "running", "killed"]


async def test_a_held_call_of_a_killed_run_is_stopped_and_later_calls_too(connect: Connect, fake_hub: FakeHub) -> None:
    fake_hub.verdict = silent
    raised: list[Any] = []
    async with connect() as hub:
        with pytest.raises(RunStopped):
            async with hub.run(agent="a") as run:

                async def child() -> None:
                    for _ in range(2):
                        try:
                            await run.tool("sql", {}, lambda: None)
                        except (RunStopped, asyncio.CancelledError) as error:
                            raised.append(type(error))

                task = asyncio.create_task(child())
                await fake_hub.seen(lambda: fake_hub.runs and fake_hub.only().statuses() == ["proposed"])
                fake_hub.send(run.id, "kill")
                with suppress(asyncio.CancelledError):
                    await asyncio.wait([task])
                await asyncio.wait([task])
    assert raised == [RunStopped, RunStopped]
    assert fake_hub.only().statuses() == ["proposed", "killed"]


async def test_a_verdict_after_the_kill_allows_nothing(connect: Connect, fake_hub: FakeHub) -> None:
    fake_hub.verdict = silent
    ran: list[int] = []
    async with connect() as hub:
        with pytest.raises(RunStopped):
            async with hub.run(agent="a") as run:
                call = asyncio.create_task(run.tool("sql", {"n": 1}, lambda n: ran.append(n)))
                await fake_hub.seen(lambda: fake_hub.runs and fake_hub.only().of("tool"))
                proposed = fake_hub.only().of("tool")[0]
                fake_hub.send(run.id, "kill")
                late = fake_hub.send(run.id, "verdict", call=proposed["id"], outcome="allow", digest=proposed["digest"])
                await asyncio.gather(call, return_exceptions=True)
                await asyncio.sleep(TIME_LIMIT_SECONDS)
    assert ran == []
    assert fake_hub.result(late).status == "void"


async def test_a_late_write_does_not_revive_a_dead_run(connect: Connect, fake_hub: FakeHub) -> None:
    async with connect() as hub:
        async with hub.run(agent="a") as run:
            pass
        with pytest.raises(RunStopped, match="has ended"):
            await run.message("assistant", "I am still here")
        with pytest.raises(RunStopped):
            await run.tool("sql", {}, lambda: None)
    record = fake_hub.only()
    assert [event["type"] for event in record.events] == ["run", "state", "state"]


async def test_the_kill_of_a_parent_stops_its_children(connect: Connect, fake_hub: FakeHub) -> None:
    async with connect() as hub:

        async def child(parent: str) -> None:
            async with hub.run(agent="child", parent=parent):
                await asyncio.sleep(TIME_LIMIT_SECONDS)

        with pytest.raises(RunStopped):
            async with hub.run(agent="parent") as run:
                task = asyncio.create_task(child(run.id))
                await fake_hub.seen(lambda: len([one for one in fake_hub.runs.values() if one.states()]) == 2)
                fake_hub.send(run.id, "kill")
                with pytest.raises(RunStopped, match="its parent"):
                    await task
                await asyncio.sleep(TIME_LIMIT_SECONDS)
    assert [fake_hub.run_of(agent).states()[-1] for agent in ("parent", "child")] == ["killed", "killed"]


@pytest.mark.parametrize(
    ("error", "state", "told"),
    [
        (ValueError("boom"), "failed", "ValueError: boom"),
        (asyncio.CancelledError(), "cancelled", None),
        (SystemExit(0), "completed", None),
        (SystemExit(3), "failed", "SystemExit: 3"),
    ],
    ids=["error", "cancelled", "exit 0", "exit 3"],
)
async def test_a_run_ends_as_its_body_did(
    connect: Connect, fake_hub: FakeHub, error: BaseException, state: str, told: str | None
) -> None:
    async with connect() as hub:
        with pytest.raises(type(error)):
            async with hub.run(agent="a"):
                raise error
    ended = fake_hub.only().of("state")[-1]
    assert (ended["state"], ended.get("error")) == (state, told)


async def test_a_pause_holds_at_the_next_call_until_the_resume(connect: Connect, fake_hub: FakeHub) -> None:
    async with connect() as hub, hub.run(agent="a") as run:
        await until_known(fake_hub)
        pause = fake_hub.send(run.id, "pause")
        await fake_hub.seen(lambda: fake_hub.result(pause))
        assert fake_hub.only().states() == ["working"]
        call = asyncio.create_task(run.tool("sql", {}, lambda: "done"))
        await fake_hub.seen(lambda: fake_hub.only().states() == ["working", "paused"])
        assert fake_hub.only().of("tool") == []
        fake_hub.send(run.id, "resume", by="ann")
        assert await call == "done"
    assert fake_hub.only().states() == ["working", "paused", "working", "completed"]
    assert fake_hub.result(pause).status == "applied"


async def test_a_kill_reaches_a_paused_run(connect: Connect, fake_hub: FakeHub) -> None:
    async with connect() as hub:
        with pytest.raises(RunStopped):
            async with hub.run(agent="a") as run:
                await until_known(fake_hub)
                fake_hub.send(run.id, "pause")
                call = asyncio.create_task(run.tool("sql", {}, lambda: "done"))
                await fake_hub.seen(lambda: "paused" in fake_hub.only().states())
                fake_hub.send(run.id, "kill")
                await call
    assert fake_hub.only().states() == ["working", "paused", "killed"]


async def test_a_command_that_comes_twice_is_acknowledged_and_done_once(connect: Connect, fake_hub: FakeHub) -> None:
    async with connect() as hub, hub.run(agent="a") as run:
        await until_known(fake_hub)
        fake_hub.send(run.id, "inject", cmd="cmd_say", cseq=1, text="once")
        fake_hub.send(run.id, "inject", cmd="cmd_say", cseq=1, text="once")
        fake_hub.send(run.id, "inject", cmd="cmd_say", cseq=2, text="once")
        await fake_hub.seen(lambda: fake_hub.only().acked_cseq == 2)
        assert run.injected() == ["once"]
        assert run.injected() == []


async def test_a_hung_loop_is_told_as_busy_and_its_kill_as_not_obeyed(
    connect: Connect, fake_hub: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("opsconsole.sdk.pulse.HUNG_SECONDS", 0.05)
    monkeypatch.setattr(live, "CANCEL_SECONDS_MAX", 0.2)
    fake_hub.beat_seconds = 0.05
    async with connect() as hub:
        with pytest.raises(RunStopped):
            async with hub.run(agent="a") as run:
                await until_known(fake_hub)
                cmd = fake_hub.send(run.id, "kill")
                _hang(fake_hub, cmd)
                await asyncio.sleep(TIME_LIMIT_SECONDS)
    assert "stood still" in next(res for res in fake_hub.results if res.cmd == cmd).message


def _hang(fake_hub: FakeHub, cmd: str) -> None:
    """Blocks the agent's loop until the hub has heard of it."""
    fake_hub.wait(lambda: any("stood still" in (beat.busy or "") for beat in fake_hub.beats))
    fake_hub.wait(lambda: fake_hub.result(cmd))


async def test_a_message_that_grows_is_gathered_and_keeps_its_order(connect: Connect, fake_hub: FakeHub) -> None:
    async with connect() as hub, hub.run(agent="a") as run:
        message = await run.message("assistant", append="one ")
        for word in ("two ", "three"):
            await run.message("assistant", append=word, id=message)
        await run.note("after", level="warning", data={"n": 1})
        await run.message("assistant", append="x" * 5_000, id=message)
    told = [(event["type"], event.get("append") or event.get("text")) for event in fake_hub.only().events[2:-1]]
    assert told == [("message", "one two three"), ("note", "after"), ("message", "x" * 5_000)]


async def test_a_message_that_stops_growing_is_sent_without_more(connect: Connect, fake_hub: FakeHub) -> None:
    async with connect() as hub, hub.run(agent="a") as run:
        await run.message("assistant", append="thinking")
        await fake_hub.seen(lambda: fake_hub.runs and fake_hub.only().of("message"))


async def test_hostile_text_is_sent_as_valid_text(connect: Connect, fake_hub: FakeHub) -> None:
    async with connect() as hub, hub.run(agent="a\ud800", name="\udfff", labels={"k\ud800": "\ud800"}) as run:
        await run.message("assistant", "\ud800" + "\x00" * 500_000)
        await run.note("x", data={"nan": float("nan"), "object": object()})
    assert fake_hub.only().of("message")[0]["text"].startswith("\\ud800")
    assert fake_hub.only().of("run")[0]["agent"] == "a\\ud800"
