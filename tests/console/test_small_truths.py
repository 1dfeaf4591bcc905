"""Small things that must not be said otherwise than they are: settled calls, newer entries, keys that do nothing."""

from __future__ import annotations

import pytest

from opsconsole.console import sample, sample_history
from opsconsole.errors import HubUnreachable
from opsconsole.protocol.frames import Res
from tests.console.conftest import OpenConsole
from tests.console.support import Seat

NEWEST = max(entry["seq"] for entry in sample_history.audit())


def recorded(seq: int, text: str = "later") -> dict[str, object]:
    return {"seq": seq, "at": sample.NOW, "key": "hub", "kind": "run.annotate", "text": text}


async def opened_audit(seat: Seat) -> None:
    await seat.press("4")
    await followed(seat)


async def followed(seat: Seat) -> None:
    """What was recorded meanwhile is asked for, and here."""
    await seat.settle()
    await seat.app.pages.settled()
    await seat.settle()


async def test_a_settled_call_of_a_lost_run_promises_no_delivery(console: OpenConsole) -> None:
    async with console() as seat:
        await seat.press("2")
        held = seat.app.approvals_panel.current()
        assert held is not None
        run = next(row for row in sample.runs() if row["run"] == held.row.run)
        seat.link.delta("board", [{**run, "link": "lost"}])
        await seat.settle()
        assert "a decision will be delivered" in seat.screen
        call = next(row for row in sample.approvals() if row["key"] == held.key)
        seat.link.delta("approvals", [{**call, "status": "rejected", "decided_by": "ben", "decided_at": sample.NOW}])
        await seat.settle()
        assert "a decision will be delivered" not in seat.screen


async def test_what_is_recorded_while_the_audit_is_shown_comes_in(console: OpenConsole) -> None:
    async with console() as seat:
        await opened_audit(seat)
        assert seat.app.audit_panel.newest == NEWEST
        seat.api.later = [recorded(NEWEST + 1)]
        await followed(seat)
        assert seat.app.audit_panel.newest == NEWEST + 1
        assert "later" in seat.screen


async def test_the_cursor_stays_on_an_older_entry_when_newer_ones_come_in(console: OpenConsole) -> None:
    async with console() as seat:
        await opened_audit(seat)
        await seat.press("g")
        was = seat.app.audit_panel.list.cursor
        seat.api.later = [recorded(NEWEST + 1)]
        await followed(seat)
        assert seat.app.audit_panel.list.cursor == was


async def test_an_audit_under_a_filter_is_followed_under_it(console: OpenConsole) -> None:
    async with console() as seat:
        await opened_audit(seat)
        await seat.press("slash")
        await seat.type("ana")
        await seat.press("enter")
        await followed(seat)
        assert seat.api.followed[-1] == (NEWEST, "ana")


async def test_an_audit_that_cannot_be_followed_says_so_until_it_can(console: OpenConsole) -> None:
    async with console(size=(120, 30)) as seat:
        await opened_audit(seat)
        seat.api.problem = HubUnreachable("no answer within 10 s")
        await followed(seat)
        assert "not followed: no answer within 10 s" in seat.screen
        seat.api.problem = None
        await followed(seat)
        assert "not followed" not in seat.screen


async def test_the_audit_of_another_start_of_the_hub_is_listed_anew(console: OpenConsole) -> None:
    async with console() as seat:
        await opened_audit(seat)
        loaded = seat.api.asked.count(("audit", None, ""))
        seat.link.close()
        seat.link.open(epoch="e2")
        await followed(seat)
        await followed(seat)
        assert seat.api.asked.count(("audit", None, "")) == loaded + 1


async def test_an_audit_that_is_not_shown_is_not_asked_about(console: OpenConsole) -> None:
    async with console() as seat:
        await opened_audit(seat)
        await seat.press("1")
        await seat.app.pages.settled()
        before = len(seat.api.followed)
        await followed(seat)
        assert len(seat.api.followed) == before


async def test_an_answer_to_a_decoy_is_told_as_one_and_not_as_a_decision(console: OpenConsole) -> None:
    async with console(size=(120, 30)) as seat:
        await seat.press("2", "a")
        (command,) = seat.link.commands
        said = "that was a DECOY, and nothing was behind it: it had to be refused, and nothing ran"
        seat.link.give(Res(cmd=command.cmd, ok=True, status="decoy", message=said))
        assert seat.note == f"approve shell of sre REXX02: {said}"


@pytest.mark.parametrize(
    ("keys", "key", "words"),
    [
        (("2", "e", "escape"), "x", "nothing done: a sends, e edits, esc leaves it"),
        (("6",), "v", "v means nothing in this view; ? lists what does"),
    ],
    ids=["draft", "fleet"],
)
async def test_a_key_that_means_nothing_here_says_so(
    console: OpenConsole, keys: tuple[str, ...], key: str, words: str
) -> None:
    async with console() as seat:
        await seat.press(*keys, key)
        assert seat.note == words
        assert seat.link.commands == []


async def test_a_second_that_passes_when_the_console_has_ended_draws_nothing(console: OpenConsole) -> None:
    async with console() as seat:
        app = seat.app
    assert not app.screen_stack
    app.frames.second()
    app.frames.tick()


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"state": "failed", "error": "out of memory"}, "this run has ended: failed, out of memory"),
        ({"state": "completed"}, "this run has ended: done"),
    ],
    ids=["failed", "done"],
)
async def test_the_takeover_of_a_run_that_ended_says_so_and_offers_nothing(
    console: OpenConsole, fields: dict[str, object], words: str
) -> None:
    async with console() as seat:
        await seat.go("triage")
        await seat.press("t")
        row = next(row for row in sample.runs() if row["agent"] == "triage")
        seat.link.delta("board", [{**row, **fields, "ended_at": sample.NOW, "waiting": None}])
        await seat.settle()
        assert words in seat.screen
        assert "its next turn is yours" not in seat.screen
        assert "reply" not in seat.screen.splitlines()[-1]
        sent = len(seat.link.commands)
        await seat.press("r")
        assert (len(seat.link.commands), seat.app.view, seat.note) == (
            sent,
            "takeover",
            f"this run has ended: {fields['state']}",
        )


async def test_at_home_escape_stays_at_home(console: OpenConsole) -> None:
    async with console() as seat:
        await seat.press("2", "4", "1", "escape")
        assert seat.app.view == "runs"
        await seat.press("2", "4", "escape")
        assert seat.app.view == "approvals"
        await seat.press("escape", "escape")
        assert seat.app.view == "runs"
