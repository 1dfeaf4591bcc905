"""The connection to a hub over real sockets: it comes back by itself, owes nothing and loses nothing."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC

import pytest

from opsconsole.console import sample
from opsconsole.console.clock import SystemClock
from opsconsole.console.link import HubLink, websocket_url
from opsconsole.console.sample import run
from opsconsole.console.view.session import LinkPhase, Session
from opsconsole.domain.command import Do
from opsconsole.protocol.frames import Ack, Command, Sub
from tests.console.fake_hub import TOKEN, FakeHub, fake_hub

KILL = Command(cmd="cmd_1", do=Do.KILL, run="r1")


class Prompt(random.Random):
    """Waits as short as they may be, and keeps how long they might have been."""

    def __init__(self) -> None:
        super().__init__()
        self.longest: list[float] = []

    def uniform(self, a: float, b: float) -> float:
        self.longest.append(b)
        return a / 10


async def until(holds: Callable[[], object], seconds: float = 60.0) -> None:
    async with asyncio.timeout(seconds):
        while not holds():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


@asynccontextmanager
async def connected(
    url: str, *, token: str = TOKEN, dice: random.Random | None = None
) -> AsyncIterator[tuple[Session, HubLink]]:
    clock = SystemClock()
    session = Session(wall=clock.wall(), now=clock.monotonic(), zone=UTC)
    link = HubLink(session, url=url, token=token, clock=clock, told=lambda _: None, dice=dice or Prompt())
    task = asyncio.create_task(link.run())
    try:
        yield session, link
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def same(session: Session, hub: FakeHub) -> bool:
    return set(session.board.rows.by_key) == set(hub.rows["board"])


async def test_rows_arrive_in_parts_and_every_part_is_acknowledged() -> None:
    async with fake_hub() as hub:
        hub.rows["board"] = {row["key"]: row for row in sample.runs()}
        async with connected(hub.url) as (session, _):
            await until(lambda: len(session.board.rows.by_key) == 13)
            await until(lambda: sum(frame == Ack(sub="board", rev=1) for frame in hub.received) == 5)


async def test_changes_arrive_and_a_gap_heals() -> None:
    async with fake_hub() as hub, connected(hub.url) as (session, _):
        await until(lambda: session.board.rows.complete)
        await hub.change("board", run("r1", "a"), run("r2", "b"))
        await until(lambda: same(session, hub))
        await hub.stray("board")
        await hub.change("board", run("r3", "c"), gone=("r1",))
        await until(lambda: session.board.rows.settle() or same(session, hub))


async def test_after_a_cut_it_resumes_where_it_stood() -> None:
    async with fake_hub() as hub, connected(hub.url) as (session, _):
        await hub.change("board", run("r1", "a"))
        await until(lambda: same(session, hub) and session.board.rows.rev == hub.rev)
        await hub.cut()
        await hub.change("board", run("r2", "b"))
        await until(lambda: session.online and same(session, hub))
        assert Sub(sub="board", view="board", epoch="e1", rev=2) in hub.received


@pytest.mark.parametrize(("steady_seconds", "longest"), [(60.0, [0.2, 0.4, 0.8]), (0.0, [0.2, 0.2, 0.2])])
async def test_a_hub_that_drops_connections_is_asked_ever_more_rarely_until_one_lasts(
    monkeypatch: pytest.MonkeyPatch, steady_seconds: float, longest: list[float]
) -> None:
    monkeypatch.setattr("opsconsole.console.link.STEADY_SECONDS", steady_seconds)
    dice = Prompt()
    async with fake_hub() as hub, connected(hub.url, dice=dice) as (session, _):
        for lost in range(1, 4):
            await until(lambda: session.online)
            await hub.cut()
            await until(lambda lost=lost: len(dice.longest) == lost)
        assert dice.longest == longest


async def test_bytes_of_a_frame_that_is_not_whole_yet_are_heard() -> None:
    async with fake_hub() as hub, connected(hub.url) as (session, _):
        await until(lambda: session.board.rows.complete)
        before = session.link.bytes_at
        await hub.ping()
        assert session.link.bytes_at > before


async def test_while_a_connection_is_being_opened_it_says_so() -> None:
    async with fake_hub() as hub:
        hub.refuse_with = 503
        dice = Prompt()
        async with connected(hub.url, dice=dice) as (session, link):
            tries: list[tuple[bool, float | None]] = []
            once = link._once

            async def watched() -> tuple[int, str]:
                tries.append((session.link.trying, session.link.retry_at))
                return await once()

            link._once = watched  # type: ignore[method-assign]
            await until(lambda: len(tries) >= 2)
            assert set(tries) == {(True, None)}


async def test_after_a_restart_of_the_hub_it_starts_anew() -> None:
    async with fake_hub() as hub:
        port = hub.port
        async with connected(hub.url) as (session, _):
            await hub.change("board", run("r1", "a"))
            await until(lambda: same(session, hub))
            await hub.stop()
            await until(lambda: session.link.phase is LinkPhase.OFFLINE)
            await hub.start(port)
            hub.epoch, hub.rev, hub.rows["board"] = "e2", 1, {"r9": run("r9", "z")}
            await hub.cut()
            await until(lambda: session.board.rows.epoch == "e2")
            session.board.rows.settle()
            assert set(session.board.rows.by_key) == {"r9"}


async def test_a_kill_given_offline_is_sent_when_the_hub_is_there() -> None:
    async with fake_hub() as hub:
        port = hub.port
        await hub.stop()
        async with connected(hub.url) as (session, link):
            await until(lambda: session.link.attempts > 1)
            _, frames = session.give(KILL, now=SystemClock().monotonic())
            link.send(frames)
            await hub.start(port)
            await until(lambda: hub.commands == [KILL])


async def test_a_command_is_with_the_socket_before_anything_else_gets_its_turn() -> None:
    async with fake_hub() as hub, connected(hub.url) as (session, link):
        await until(lambda: session.online)
        sent = session.give(KILL, now=SystemClock().monotonic())[1]
        link.send(sent)
        assert not link._outgoing
        await until(lambda: hub.commands == [KILL])


async def test_an_unanswered_command_is_sent_again_with_the_same_id() -> None:
    async with fake_hub() as hub, connected(hub.url) as (session, link):
        await until(lambda: session.online)
        hub.answers = False
        link.send(session.give(KILL, now=SystemClock().monotonic())[1])
        await until(lambda: hub.commands == [KILL])
        hub.answers = True
        await hub.cut()
        await until(lambda: hub.commands == [KILL, KILL])
        await until(lambda: session.outbox.entries["cmd_1"].answered_at is not None)


@pytest.mark.parametrize("code", [4501, 4503, 4504])
async def test_after_a_final_close_it_does_not_come_back_until_told(code: int) -> None:
    async with fake_hub() as hub, connected(hub.url) as (session, link):
        await until(lambda: session.online)
        await hub.bye(code, "for good")
        await until(lambda: session.link.phase is LinkPhase.REFUSED)
        assert (session.link.code, session.link.reason, session.link.retry_at) == (code, "for good", None)
        link.retry()
        await until(lambda: session.online)


async def test_a_wrong_token_is_a_refusal_and_not_a_loss() -> None:
    async with fake_hub() as hub, connected(hub.url, token="ops_wrong") as (session, _):
        await until(lambda: session.link.phase is LinkPhase.REFUSED)
        assert session.link.code == 401


async def test_a_busy_hub_is_tried_again() -> None:
    async with fake_hub() as hub:
        hub.refuse_with = 503
        async with connected(hub.url) as (session, _):
            await until(lambda: session.link.attempts > 2)
            hub.refuse_with = None
            await until(lambda: session.online)


async def test_a_hub_that_falls_silent_is_left_and_met_again() -> None:
    async with fake_hub(beat_seconds=0.05) as hub, connected(hub.url) as (session, _):
        await until(lambda: session.online)
        await until(lambda: session.link.phase is LinkPhase.OFFLINE)
        assert session.link.reason == "the hub fell silent"
        await until(lambda: session.online)


async def test_its_own_beats_keep_a_quiet_connection() -> None:
    async with fake_hub(beat_seconds=0.05) as hub, connected(hub.url) as (session, _):
        await until(lambda: session.online)
        await until(lambda: any(frame.t == "beat" for frame in hub.received))


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("http://127.0.0.1:8787", "ws://127.0.0.1:8787/v1/operator"),
        ("https://ops.example/hub/", "wss://ops.example/hub/v1/operator"),
        ("ws://localhost:1", "ws://localhost:1/v1/operator"),
    ],
)
def test_any_address_of_the_hub_will_do(url: str, address: str) -> None:
    assert websocket_url(url) == address
