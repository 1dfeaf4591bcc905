"""A run whole: every look at it by keys, and the way from an entry of the audit to its place."""

from __future__ import annotations

from typing import Any

import pytest

from opsconsole.console import sample_history
from opsconsole.console.sample import NOW
from tests.console.conftest import OpenConsole
from tests.console.support import Seat
from tests.console.test_hostile import check, evil_events, evil_runs


async def opened(seat: Seat, rows: list[dict[str, Any]] | None = None) -> None:
    await seat.go("refunds")
    await seat.press("3")
    seat.link.snap(seat.link.tail(), sample_history.events() if rows is None else rows, rev=110)
    await seat.settle()


def note(position: int, text: str, **more: Any) -> dict[str, Any]:
    event = {"seq": position, "ts": NOW, "type": "note", "text": text, **more}
    return {"position": position, "gen": "g", "at": NOW + position, "event": event}


async def test_one_key_goes_through_every_look_and_round(console: OpenConsole) -> None:
    async with console() as seat:
        await opened(seat)
        found = [seat.app.run_panel.looks.look]
        for _ in range(5):
            await seat.press("v")
            found.append(seat.app.run_panel.looks.look)
        assert found == ["timeline", "conversation", "curves", "events", "checkpoints", "timeline"]
        await seat.press("V")
        assert seat.app.run_panel.looks.look == "checkpoints"


async def test_the_conversation_goes_on_as_it_is_said(console: OpenConsole) -> None:
    async with console() as seat:
        await opened(seat, [])
        await seat.press("v")
        for at, word in enumerate(("# Pl", "an\n- one"), 1):
            event = {"seq": at, "ts": NOW, "type": "message", "id": "m", "role": "assistant", "append": word}
            row = {"position": 200 + at, "gen": "g", "at": NOW, "event": event}
            seat.link.delta(seat.link.tail(), [row], since=109 + at)
            await seat.settle()
        assert "│ ▌ Plan\n│ • one" in seat.screen


async def test_the_curves_stand_on_the_same_axis_as_what_happened(console: OpenConsole) -> None:
    async with console() as seat:
        await opened(seat)
        await seat.press("v", "v")
        assert [name in seat.screen for name in ("turns ", "tools ", "people ", "cost ", "context ")] == [True] * 5


async def test_an_event_is_shown_as_the_hub_has_it(console: OpenConsole) -> None:
    async with console() as seat:
        await opened(seat)
        await seat.press("v", "v", "v", "g", "enter")
        assert "event 100.1  2026-03-14 03:02:44" in seat.screen
        assert '│   "agent": "refunds",' in seat.screen


async def test_checkpoints_have_a_list_of_their_own(console: OpenConsole) -> None:
    async with console() as seat:
        await opened(seat, [note(1, "x"), note(2, "512 bytes", kind="checkpoint", data={"id": "ckp_1"})])
        await seat.press("V")
        assert seat.app.run_panel.list.keys == ["note@2.2"]
        assert "512 bytes" in seat.screen


async def test_each_look_keeps_its_own_place(console: OpenConsole) -> None:
    async with console() as seat:
        await opened(seat)
        await seat.press("g", "j")
        kept = seat.app.run_panel.list.cursor
        await seat.press("v", "v", "v", "g", "v", "v")
        assert seat.app.run_panel.list.cursor == kept


@pytest.mark.parametrize("size", [(40, 10), (80, 24), (160, 45)], ids=["40", "80", "160"])
async def test_no_agent_paints_outside_its_place_in_any_look(console: OpenConsole, size: tuple[int, int]) -> None:
    async with console(size=size) as seat:
        seat.link.snap("board", evil_runs())
        await seat.settle()
        await seat.press("3")
        seat.link.snap(seat.link.tail(), evil_events(), rev=110)
        for key in ("enter", "v", "v", "v", "enter", "v", "v"):
            await seat.press(key)
            check(seat)
            assert all(len(line) <= size[0] for line in seat.screen.splitlines())


async def from_audit(seat: Seat, at: float, **body: Any) -> None:
    seat.app.audit_panel.take([{"seq": 9, "at": at, "kind": "call.allowed", **body}], fresh=True)
    seat.app.show_view("audit")
    await seat.settle()
    await seat.press("p")
    await seat.settle()


async def test_an_entry_of_the_audit_leads_to_its_step(console: OpenConsole) -> None:
    async with console() as seat:
        await opened(seat)
        await from_audit(seat, NOW - 540, run="run_01KAREFUND1", call="c3")
        panel = seat.app.run_panel
        assert (seat.app.view, panel.list.cursor, panel.following) == ("run", "tool:c3", False)
        assert "DELETE FROM charges" in seat.screen


async def test_an_entry_without_a_step_leads_to_the_one_before_and_says_so(console: OpenConsole) -> None:
    async with console() as seat:
        await opened(seat)
        seat.app.session.timeline.complete_back = True  # type: ignore[union-attr]
        await from_audit(seat, NOW - 100, run="run_01KAREFUND1")
        assert seat.app.run_panel.list.cursor == "command:cmd_1"
        assert "no step of its own" in seat.note


async def test_a_place_further_back_is_fetched(console: OpenConsole) -> None:
    async with console() as seat:
        await opened(seat, sample_history.events()[-3:])
        await from_audit(seat, NOW - 587, run="run_01KAREFUND1", call="c2")
        await seat.app.pages.settled()
        await seat.settle()
        assert seat.app.run_panel.list.cursor == "tool:c2"


async def test_an_entry_of_a_run_that_left_the_board_leads_into_its_replay(console: OpenConsole) -> None:
    async with console() as seat:
        await from_audit(seat, NOW - 540, run="run_01LASTWEEK", call="c3")
        await seat.app.pages.settled()
        assert (seat.app.view, seat.app.replay_panel.list.cursor) == ("replay", "tool:c3")


async def test_an_entry_about_no_run_has_no_place(console: OpenConsole) -> None:
    async with console() as seat:
        await from_audit(seat, NOW, who={"principal": "ana"})
        assert (seat.app.view, seat.note) == (
            "audit",
            "this entry is about no run: it has no place in a timeline",
        )
