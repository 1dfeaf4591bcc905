"""The replay of a run in the console: scrubbed through by keys, visibly not live, and nothing can be decided in it."""

from __future__ import annotations

import pytest

from opsconsole.console.sample_history import events
from opsconsole.errors import HubUnreachable
from tests.console.conftest import OpenConsole
from tests.console.support import Seat
from tests.console.test_hostile import check, evil_events


async def replayed(seat: Seat) -> None:
    await seat.go("refunds")
    await seat.press("h")
    await seat.app.pages.settled()
    await seat.settle()


async def test_one_key_replays_the_run_under_the_cursor_from_its_end(console: OpenConsole) -> None:
    async with console() as seat:
        await replayed(seat)
        assert ("events_after", "run_01KAREFUND1", 0) in seat.api.asked
        first, when, *_ = seat.screen.splitlines()
        assert "◀◀ REPLAY, NOT LIVE refunds" in first
        assert "live" not in first
        assert "2026-03-14 03:12:03" in when
        assert f"{len(events())} of {len(events())}" in when


async def test_the_tape_goes_back_and_on_by_keys(console: OpenConsole) -> None:
    async with console() as seat:
        await replayed(seat)
        head = seat.app.replay_panel.head
        assert head is not None
        await seat.press("h", "h", "l")
        assert head.index == len(events()) - 1
        await seat.press("g")
        assert (head.index, "Nothing had happened yet." in seat.screen) == (0, True)
        await seat.press("n", "n")
        assert (head.index, seat.app.replay_panel.list.cursor) == (2, "state@101.2")


async def test_a_call_of_the_past_stands_as_it_stood(console: OpenConsole) -> None:
    async with console(size=(120, 30)) as seat:
        await replayed(seat)
        head = seat.app.replay_panel.head
        assert head is not None
        head.go(4)
        seat.app.redraw()
        assert "● running" in seat.screen
        assert "sql_read" not in seat.screen


@pytest.mark.parametrize("key", ["x", "X", "p", "z", "Z", "t", "i", "R", "a", "d", "e"])
async def test_no_key_decides_anything_in_a_replay(console: OpenConsole, key: str) -> None:
    async with console() as seat:
        await replayed(seat)
        await seat.press(key)
        assert (seat.link.commands, seat.app.prompt.is_open, seat.app.view) == ([], False, "replay")


async def test_not_even_a_typed_kill_acts_in_a_replay(console: OpenConsole) -> None:
    async with console() as seat:
        await replayed(seat)
        await seat.press("colon")
        await seat.type("kill run_01KAREFUND1")
        await seat.press("enter")
        assert seat.link.commands == []
        assert "this is a replay, nothing can be decided here" in seat.note


async def test_a_run_that_left_the_board_is_replayed_by_its_whole_id(console: OpenConsole) -> None:
    async with console() as seat:
        await seat.press("colon")
        await seat.type("replay run_01LASTWEEK")
        await seat.press("enter")
        await seat.app.pages.settled()
        assert ("events_after", "run_01LASTWEEK", 0) in seat.api.asked
        assert seat.app.view == "replay"


async def test_playing_goes_on_by_itself_and_stops_at_the_end(console: OpenConsole) -> None:
    async with console() as seat:
        await replayed(seat)
        head = seat.app.replay_panel.head
        assert head is not None
        await seat.press("space")
        for _ in range(200):
            seat.clock.now += 1.0
            seat.app.replay_panel.paint()
        assert (head.index, head.playing) == (len(events()), False)


async def test_a_tape_that_cannot_be_fetched_says_why(console: OpenConsole) -> None:
    async with console() as seat:
        seat.api.problem = HubUnreachable("no answer within 10 s")
        await replayed(seat)
        assert "not loaded: no answer within 10 s" in seat.screen


async def test_a_run_without_events_has_nothing_to_replay(console: OpenConsole) -> None:
    async with console() as seat:
        seat.api.history = []
        await replayed(seat)
        assert "the hub holds no events of run_01KAREFUND1" in seat.screen


async def test_a_replay_goes_on_without_the_hub(console: OpenConsole) -> None:
    async with console() as seat:
        await replayed(seat)
        seat.link.close()
        await seat.press("h")
        head = seat.app.replay_panel.head
        assert head is not None
        assert (head.index, "OFFLINE" in seat.screen) == (len(events()) - 1, True)


async def test_hostile_events_stay_harmless_on_the_tape(console: OpenConsole) -> None:
    async with console() as seat:
        seat.api.history = evil_events()
        await replayed(seat)
        await seat.press("enter", "h")
        check(seat)


async def test_an_entry_of_the_audit_is_replayed_from_its_moment(console: OpenConsole) -> None:
    async with console() as seat:
        seat.app.audit_panel.take(
            [{"seq": 9, "at": events()[12]["at"], "run": "run_01KAREFUND1", "call": "c3", "kind": "call.allowed"}],
            fresh=True,
        )
        seat.app.show_view("audit")
        await seat.settle()
        await seat.press("h")
        await seat.app.pages.settled()
        head = seat.app.replay_panel.head
        assert head is not None
        assert head.tape.at(head.index) == events()[12]["at"]
        assert seat.app.replay_panel.list.cursor == "tool:c3"
