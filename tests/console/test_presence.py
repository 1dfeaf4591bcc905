"""Who else looks at a run or a call: told to the hub while it is open here, shown where it matters."""

from __future__ import annotations

import pytest

from opsconsole.console.view.presence import Others, have, names, others
from opsconsole.protocol.frames import Look
from opsconsole.protocol.rows import Present
from tests.console.conftest import OpenConsole
from tests.console.support import Seat

ANA = Present(by="ana", since=1.0)
BEN = Present(by="ben", run="run_1", approval="ap_1", since=2.0)


def looks(seat: Seat) -> list[Look]:
    return [frame for frame in seat.link.sent if isinstance(frame, Look)]


async def company(seat: Seat, *present: Present) -> None:
    """The hub says who is connected."""
    row = {"key": "hub", "policy": "default", "policy_hash": "sha256:12", "policy_since": 0.0}
    seat.link.snap("hub", [{**row, "present": [one.model_dump() for one in present]}])
    await seat.settle()


def test_everybody_but_this_console_is_another() -> None:
    assert others([ANA, BEN], "ana", (None, None)) == Others(present=(BEN,), me="ana")


def test_a_second_console_of_ones_own_is_told_from_this_one() -> None:
    elsewhere = Present(by="ana", run="run_1", since=3.0)
    found = others([elsewhere, ANA], "ana", (None, None))
    assert found.present == (elsewhere,)
    assert found.looking_at(run="run_1") == ["you elsewhere"]


def test_who_looks_at_a_call_looks_at_its_run_as_well() -> None:
    found = others([ANA, BEN], "ana", (None, None))
    assert (found.looking_at(run="run_1"), found.looking_at(approval="ap_1")) == (["ben"], ["ben"])
    assert (found.looking_at(run="run_2"), found.looking_at(approval="ap_2")) == ([], [])


def test_a_name_cannot_drive_the_terminal() -> None:
    found = others([Present(by="b\x1b[2Jen", run="run_1", since=1.0)], "ana", (None, None))
    assert found.looking_at(run="run_1") == ["b␛[2Jen"]


def test_many_names_are_counted() -> None:
    assert names(["ben", "cy", "dee", "eve", "fay"]) == "ben, cy, dee and 2 more"


@pytest.mark.parametrize(
    ("found", "words"),
    [(["ben"], "has"), (["ben", "cy"], "have"), (["you elsewhere"], "have"), (["youssef"], "has")],
    ids=["one", "two", "you", "a-name-like-it"],
)
def test_a_verb_fits_its_names(found: list[str], words: str) -> None:
    assert have(found) == words


async def test_an_opened_run_is_told_once_and_taken_back_when_it_is_left(console: OpenConsole) -> None:
    async with console() as seat:
        await seat.go("writer")
        await seat.press("enter")
        await seat.settle()
        await seat.press("1")
        assert looks(seat) == [Look(run=seat.run("writer")), Look()]


async def test_a_list_on_a_short_screen_opens_nothing_until_it_is_opened(console: OpenConsole) -> None:
    async with console(size=(80, 14)) as seat:
        await seat.press("2")
        assert looks(seat) == []
        await seat.press("enter")
        held = seat.app.approvals_panel.current()
        assert held is not None
        assert looks(seat) == [Look(run=held.row.run, approval=held.key)]


async def test_a_new_connection_is_told_again(console: OpenConsole) -> None:
    async with console() as seat:
        await seat.go("writer")
        await seat.press("enter")
        seat.link.close()
        await seat.settle()
        seat.link.open()
        await seat.settle()
        assert looks(seat) == [Look(run=seat.run("writer"))] * 2


async def test_nothing_is_told_while_the_link_is_down(console: OpenConsole) -> None:
    async with console() as seat:
        seat.link.close()
        await seat.press("3")
        assert looks(seat) == []


@pytest.mark.parametrize("size", [(80, 24), (160, 45)], ids=["80x24", "160x45"])
async def test_who_else_has_the_call_open_stands_beside_it(console: OpenConsole, size: tuple[int, int]) -> None:
    async with console(size=size) as seat:
        await seat.press("2")
        held = seat.app.approvals_panel.current()
        assert held is not None
        ben = Present(by="ben", run=held.row.run, approval=held.key, since=2.0)
        await company(seat, ANA, ben)
        assert "OPEN  ben has it open too" in seat.screen
        await company(seat, ANA)
        assert "has it open too" not in seat.screen


async def test_the_runs_table_and_the_run_say_who_has_it_open(console: OpenConsole) -> None:
    async with console() as seat:
        await company(seat, ANA, Present(by="ben", run=seat.run("writer"), since=2.0))
        assert "◉ ben" in seat.screen
        await seat.go("writer")
        await seat.press("enter")
        assert "◉ open too: ben" in seat.screen


async def test_the_shift_names_everybody_who_is_here(console: OpenConsole) -> None:
    async with console() as seat:
        await company(seat, ANA, Present(by="ben", run=seat.run("writer"), since=2.0), Present(by="cy", since=3.0))
        await seat.press("7")
        await seat.app.shift.settled()
        await seat.settle()
        assert "ben has writer" in seat.screen
        assert "  cy is here" in seat.screen
        assert "  you hold triage" in seat.screen
