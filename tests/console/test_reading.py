"""Nothing is approved whose arguments have not been on screen to their end."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsconsole.console.sample import approval
from opsconsole.console.view.effect import Effect
from opsconsole.console.view.held_call import ARGUMENT_LINES_MAX, what_is_asked
from opsconsole.console.view.ingest import held_call, in_pane
from opsconsole.console.view.reading import Reading, is_whole
from opsconsole.domain.text import PANE_CHARS_MAX
from tests.console.conftest import OpenConsole
from tests.console.support import Bench, Seat
from tests.console.test_screens import scene

NESTED = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def call(key: str = "apr_1", **args: Any) -> dict[str, Any]:
    return approval(key, "run_01KASREXX02", "sre", "run_sql", args, risk="high", digest=f"sha256:{key}")


HIDDEN = call(command="ls" + "\n" * 60 + "rm -rf /")


async def at(seat: Seat, *rows: dict[str, Any]) -> None:
    seat.link.snap("approvals", list(rows))
    await seat.press("2", "g")


@pytest.mark.parametrize(
    ("keys", "size"), [(["a"], (80, 24)), (["s"], (80, 24)), (["e"], (80, 24)), (["a"], (160, 45))]
)
async def test_what_lies_below_many_blank_lines_is_not_let_run_unseen(
    console: OpenConsole, keys: list[str], size: tuple[int, int]
) -> None:
    async with console(size=size) as seat:
        await at(seat, HIDDEN)
        await seat.press(*keys)
        assert (seat.link.commands, seat.app.view, seat.app.prompt.is_open) == ([], "approvals", False)
        assert "not on screen yet" in seat.note
        assert "READ ON (J): " in seat.screen


async def test_what_was_read_to_its_end_is_approved(console: OpenConsole) -> None:
    async with console() as seat:
        await at(seat, HIDDEN)
        await seat.read_on()
        assert "| rm -rf /" in seat.screen
        await seat.press("a")
        assert [command.approval for command in seat.link.commands] == ["apr_1"]


async def test_a_leap_to_the_end_reads_nothing_in_between(console: OpenConsole) -> None:
    async with console() as seat:
        await at(seat, HIDDEN)
        await seat.press("enter", "G", "a")
        assert "| rm -rf /" in seat.screen
        assert (seat.link.commands, "not on screen yet" in seat.note) == ([], True)


async def test_the_end_must_have_been_there_for_a_moment(console: OpenConsole) -> None:
    async with console() as seat:
        await at(seat, call(command="ls" + "\n" * 12 + "rm -rf /"))
        await seat.pilot.press("J", "J", "J")
        await seat.settle(0.3)
        await seat.pilot.press("a")
        assert (seat.link.commands, "less than 0.4 s" in seat.note) == ([], True)


async def test_rejecting_needs_no_reading(console: OpenConsole) -> None:
    async with console() as seat:
        await at(seat, HIDDEN)
        await seat.press("d")
        assert seat.app.prompt.is_open


async def test_another_call_that_reads_the_same_is_read_anew(console: OpenConsole) -> None:
    async with console() as seat:
        await at(seat, HIDDEN)
        await seat.read_on()
        seat.link.snap("approvals", [{**HIDDEN, "digest": "sha256:other"}], rev=2)
        await seat.settle()
        await seat.settle()
        await seat.press("a")
        assert (seat.link.commands, "not on screen yet" in seat.note) == ([], True)


async def test_marked_calls_are_read_to_their_end_before_they_are_approved(console: OpenConsole) -> None:
    async with console() as seat:
        await at(seat, *(call(f"apr_{place}", to=f"c{place}@example.com") for place in range(12)))
        await seat.press("equals_sign", "a")
        assert (seat.link.commands, "not on screen yet" in seat.note) == ([], True)
        await seat.read_on()
        await seat.press("a")
        assert seat.app.prompt.is_open


async def test_enter_gives_the_call_the_whole_view_and_then_opens_its_run(console: OpenConsole) -> None:
    async with console() as seat:
        await at(seat, HIDDEN)
        await seat.press("enter")
        assert (seat.app.view, seat.app.approvals_panel.pane.size.height) == ("approvals", 20)
        await seat.press("j", "j", "pagedown")
        assert seat.app.approvals_panel.pane.top == 21
        await seat.press("enter", "escape", "escape")
        assert (seat.app.view, seat.app.approvals_panel.list.display) == ("approvals", True)


async def test_the_arguments_stand_above_what_the_database_says(console: OpenConsole) -> None:
    plan = tuple(f"SCAN t{place}" for place in range(20))
    async with console() as seat:
        pages = seat.app.pages
        pages._sources = {"run_sql": "sqlite:x"}
        pages._look_up = lambda source, args: Effect(source=source, words="deletes 2 of 9 rows", plan=plan)
        await at(seat, call(sql="DELETE FROM invoices"))
        await pages.settled()
        await seat.settle()
        assert "DELETE FROM invoices" in seat.screen
        text = ["".join(part for part, _ in line) for line in seat.app.approvals_panel.pane.lines]
        places = [next(at for at, line in enumerate(text) if words in line) for words in _IN_ORDER]
        assert places == sorted(places)


_IN_ORDER = ("EFFECT deletes 2 of 9 rows", "┌─ ARGUMENTS", "HOW THE DATABASE")


@pytest.mark.parametrize(
    "args",
    [
        {"command": "ls" + "\n" * ARGUMENT_LINES_MAX + "rm -rf /"},
        {"command": "a" * PANE_CHARS_MAX + "rm"},
        {"rows": ["a" * 40_000, "b" * 40_000]},
        {"a" * 500: 1},
    ],
    ids=["lines", "text", "list", "name"],
)
async def test_what_cannot_be_shown_to_its_end_is_not_approved_here(console: OpenConsole, args: dict[str, Any]) -> None:
    assert what_is_asked(held_call(call(**args)), width=78)[1] is False
    async with console() as seat:
        await at(seat, call(**args))
        await seat.press("a")
        assert (seat.link.commands, seat.note[:37]) == ([], "too long to be shown here to its end:")


def test_a_call_over_the_whole_view(snap_compare: Any) -> None:
    bench = Bench()
    assert snap_compare(bench.app, terminal_size=(80, 24), run_before=scene(bench, "2", "enter"))


def test_what_just_fits_is_shown_whole() -> None:
    args = {"command": "a\n" * (ARGUMENT_LINES_MAX - 2) + "b"}
    assert what_is_asked(held_call(call(**args)), width=78)[1] is True


@given(NESTED)
def test_what_is_made_safe_without_a_loss_is_whole(value: Any) -> None:
    names_collide = "<U+" in repr(value) or not repr(value).isascii()
    assert is_whole(value, in_pane(value)) or names_collide


def test_names_that_look_alike_and_swallow_each_other_are_not_whole() -> None:
    args = {"a\u200b": 1, "a<U+200B>": 2}
    assert not is_whole(args, in_pane(args))


def test_only_lines_that_were_painted_are_read() -> None:
    reading = Reading()
    assert (reading.open("one", 3, now=0.0), reading.open("one", 3, now=1.0)) == (True, False)
    assert [reading.painted(line, now=2.0) for line in (0, 0, 2, 7)] == [True, False, True, False]
    assert (reading.unread, reading.long_enough(now=9.0)) == (1, False)
    reading.painted(1, now=3.0)
    assert (reading.long_enough(now=3.3), reading.long_enough(now=3.5)) == (False, True)


async def test_what_a_narrower_screen_breaks_into_more_lines_is_read_to_its_new_end(console: OpenConsole) -> None:
    async with console(size=(160, 24)) as seat:
        await at(seat, call(command=("b" * 78 + "\n") * 24 + "rm -rf /"))
        await seat.pilot.resize_terminal(80, 24)
        await seat.press("enter", "J", "J", "a")
        assert "| rm -rf /" not in seat.screen
        assert (seat.link.commands, "not on screen yet" in seat.note) == ([], True)
