"""The command palette: what fits what was typed, and that it does what the keys do, on what was under the cursor."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsconsole.console.actions import ACTIONS
from opsconsole.console.sample import run
from opsconsole.console.theme import Painter
from opsconsole.console.view.ingest import run_row
from opsconsole.console.view.line import width_of
from opsconsole.console.view.palette import choice_line, choices, matching_run
from opsconsole.domain.command import Do
from opsconsole.protocol.frames import Command
from tests.console.conftest import OpenConsole
from tests.console.support import Bench, Seat
from tests.console.test_hostile import EVIL, check, evil_runs
from tests.console.test_screens import Before, scene


def names(text: str, view: Any = "runs") -> list[str]:
    return [choice.name for choice in choices(text, view=view, actions=ACTIONS)]


async def command(seat: Seat, text: str) -> None:
    await seat.press("colon")
    await seat.type(text)
    await seat.press("enter")


# what fits


def test_an_act_named_in_full_comes_before_those_that_begin_so() -> None:
    assert names("kill")[:2] == ["kill", "kill all"]
    assert names("kill all")[0] == "kill ID"
    assert names("kill_many")[0] == "kill all"


def test_what_works_here_comes_before_what_works_elsewhere() -> None:
    assert [(choice.name, choice.here) for choice in choices("app", view="runs", actions=ACTIONS)][:2] == [
        ("approvals", True),
        ("approve", False),
    ]


def test_every_act_is_found_by_its_name_with_its_keys() -> None:
    for action in ACTIONS:
        if action.id not in ("palette", "up", "down"):
            found = {choice.act: choice.keys for choice in choices(action.id, view="runs", actions=ACTIONS)}
            assert found[action.id] == action.key_text


def test_a_command_with_words_is_offered_first() -> None:
    first = choices("filter agent:sre cost>2", view="audit", actions=ACTIONS)[0]
    assert (first.verb, first.words) == ("filter", "agent:sre cost>2")


@given(st.text(max_size=30), st.integers(1, 200))
def test_whatever_is_typed_is_offered_in_exactly_the_width(text: str, width: int) -> None:
    for choice in choices(text, view="runs", actions=ACTIONS):
        assert width_of(choice_line(choice, width=width, chosen=True)) == width


def row(key: str, agent: str = "a") -> Any:
    return run_row(run(key, agent))


def test_a_run_is_meant_by_its_id_its_beginning_or_what_the_table_shows_of_it() -> None:
    rows = [row("run_01KAREFUND1"), row("run_01KASREXX02")]
    for text in ("run_01KAREFUND1", "01KAR", "run_01KAR", "EFUND1"):
        found = matching_run(text, rows, by_agent=False)
        assert not isinstance(found, str)
        assert found.run == "run_01KAREFUND1"


def test_a_beginning_that_fits_several_means_none() -> None:
    found = matching_run("01K", [row("run_01KAREFUND1", "x"), row("run_01KASREXX02", "y")], by_agent=False)
    assert found == "“01K” fits several: x EFUND1, y REXX02; nothing was done"


def test_a_whole_id_is_that_run_whatever_else_begins_so() -> None:
    found = matching_run("run_1", [row("run_12"), row("run_1")], by_agent=False)
    assert not isinstance(found, str)
    assert found.run == "run_1"


def test_an_agents_name_is_no_id_of_a_run() -> None:
    assert matching_run("sre", [row("run_1", "sre")], by_agent=False) == "no run on the board is “sre”"


# at the keys


async def test_colon_and_ctrl_p_open_the_palette_and_escape_closes_it(console: OpenConsole) -> None:
    async with console() as seat:
        for key in ("colon", "ctrl+p"):
            await seat.press(key)
            assert seat.app.palette.is_open
            await seat.press("escape")
            assert (seat.app.palette.is_open, seat.app.view) == (False, "runs")


async def test_a_view_is_shown_by_its_name(console: OpenConsole) -> None:
    async with console() as seat:
        await command(seat, "fleet")
        assert (seat.app.view, seat.app.palette.is_open) == ("fleet", False)


async def test_arrows_choose_among_what_fits(console: OpenConsole) -> None:
    async with console() as seat:
        await seat.press("colon")
        await seat.type("show")
        chosen = [choice.act for choice in seat.app.palette.found]
        await seat.press("down", "down", "up", "enter")
        assert seat.app.view == chosen[1].removeprefix("show_")


async def test_run_with_an_id_opens_it(console: OpenConsole) -> None:
    async with console() as seat:
        await command(seat, "run REXX02")
        assert (seat.app.view, seat.app.run_panel.run) == ("run", "run_01KASREXX02")


async def test_graph_with_an_agents_name_shows_its_tree(console: OpenConsole) -> None:
    async with console() as seat:
        await command(seat, "graph writer")
        assert (seat.app.view, seat.app.graph_panel.run) == ("graph", "run_01KAWRITE05")


async def test_filter_with_words_filters_the_runs(console: OpenConsole) -> None:
    async with console() as seat:
        await seat.press("4")
        await command(seat, "filter agent:sre")
        assert (seat.app.view, seat.app.runs_panel.filter.text) == ("runs", "agent:sre")
        await command(seat, "filter")
        assert seat.app.prompt.is_open or seat.app.runs_panel.filter.text == ""


async def test_kill_in_full_kills_the_run_under_the_cursor(console: OpenConsole) -> None:
    async with console() as seat:
        await seat.go("hanger")
        await command(seat, "kill")
        assert seat.link.commands == [Command(cmd="cmd_1", do=Do.KILL, run="run_01KAHANGE07")]


async def test_a_part_of_a_name_does_nothing_at_once(console: OpenConsole) -> None:
    async with console() as seat:
        await seat.go("hanger")
        await command(seat, "kil")
        assert (seat.link.commands, seat.note) == ([], "kill acts at once: type its whole name")


async def test_kill_does_nothing_when_another_run_came_under_the_cursor_while_typing(console: OpenConsole) -> None:
    async with console() as seat:
        await seat.go("hanger")
        await seat.press("colon")
        await seat.type("kill")
        seat.link.delta("board", [], gone=["run_01KAHANGE07"])
        for _ in range(5):
            await seat.settle()
        await seat.press("enter")
        assert (seat.link.commands, seat.note) == ([], "what is under the cursor changed while you typed: look again")


async def test_kill_with_an_id_kills_that_run_and_shows_its_receipt(console: OpenConsole) -> None:
    async with console() as seat:
        await seat.go("hanger")
        await command(seat, "kill run_01KALOOPE06")
        assert seat.link.commands == [Command(cmd="cmd_1", do=Do.KILL, run="run_01KALOOPE06")]
        assert "KILL looper OOPE06" in seat.screen


@pytest.mark.parametrize("words", ["looper", "01K", "nobody"])
async def test_kill_with_words_that_are_not_one_id_kills_nothing(console: OpenConsole, words: str) -> None:
    async with console() as seat:
        await command(seat, f"kill {words}")
        assert seat.link.commands == []


async def test_nothing_is_approved_from_the_palette(console: OpenConsole) -> None:
    async with console() as seat:
        await seat.press("2")
        await command(seat, "approve")
        assert (seat.link.commands, seat.note) == (
            [],
            "approve is done by its key only (a), on the call that is on screen",
        )


async def test_an_act_of_another_view_says_where_it_works(console: OpenConsole) -> None:
    async with console() as seat:
        await command(seat, "verify")
        assert seat.note == "verify works in: audit"


async def test_reject_from_the_palette_asks_for_the_reason(console: OpenConsole) -> None:
    async with console() as seat:
        await seat.press("2")
        await command(seat, "reject")
        assert seat.app.prompt.is_open
        await seat.type("no")
        await seat.press("enter")
        assert [(one.do, one.note) for one in seat.link.commands] == [(Do.DECIDE, "no")]


async def test_a_refused_command_lets_no_later_letter_act(console: OpenConsole) -> None:
    async with console() as seat:
        await seat.go("hanger")
        await seat.press("colon")
        await seat.type("kil")
        await seat.rush("enter", "x", "x")
        assert seat.link.commands == []


@pytest.mark.parametrize("size", [(40, 10), (80, 24), (160, 45)])
async def test_names_of_hostile_agents_drive_nothing_in_the_palette(
    console: OpenConsole, size: tuple[int, int]
) -> None:
    async with console(size=size) as seat:
        seat.link.snap("board", [*evil_runs(), run("run_evil2", f"evil{EVIL}")])
        await seat.settle()
        await command(seat, "run run_ev")
        check(seat)
        assert "fits several" in seat.note


def typed(bench: Bench, text: str) -> Before:
    return scene(bench, "colon", *text)


@pytest.mark.parametrize(
    ("size", "text"), [((80, 24), "k"), ((160, 45), ""), ((40, 10), "re")], ids=["80", "160", "40"]
)
def test_palette_screen(snap_compare: Any, size: tuple[int, int], text: str) -> None:
    bench = Bench()
    assert snap_compare(bench.app, terminal_size=size, run_before=typed(bench, text))


def test_no_theme_but_the_coloured_ones_has_colours() -> None:
    styles = {theme: Painter(theme=theme).strip((("x", "bad"),), 1)._segments[0].style for theme in ("mono", "dark")}
    assert [styles["mono"].color, styles["dark"].color is None] == [None, False]


def test_the_theme_for_the_colour_blind_tells_good_from_bad_by_blue_and_orange() -> None:
    painter = Painter(theme="colour-blind")
    good, bad = (painter.strip((("x", tone),), 1)._segments[0].style.color.triplet for tone in ("good", "bad"))
    assert (good.blue > good.red, bad.red > bad.blue) == (True, True)


@pytest.mark.parametrize("theme", ["light", "ansi", "colour-blind", "mono"])
def test_theme_screen(snap_compare: Any, theme: str) -> None:
    bench = Bench(theme=theme)
    assert snap_compare(bench.app, terminal_size=(80, 24), run_before=scene(bench, "2"))
