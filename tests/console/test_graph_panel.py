"""The graph on the screen: keys pressed, what they act on, pictures, and a hostile agent inside it."""

from __future__ import annotations

from typing import Any

import pytest

from opsconsole.console.sample import NOW, run
from opsconsole.domain.command import Do
from opsconsole.protocol.frames import Command, Sub
from tests.console.conftest import OpenConsole
from tests.console.graph_rows import calls, handed, team
from tests.console.support import Bench, Seat, rest, whole
from tests.console.test_hostile import EVIL, check
from tests.console.test_screens import Before, Pilot


async def open_graph(seat: Seat, agent: str = "planner") -> None:
    seat.link.snap("board", team())
    await seat.settle()
    await seat.go(agent)
    await seat.press("w")


async def test_w_shows_the_graph_around_the_run_under_the_cursor(console: OpenConsole) -> None:
    async with console() as seat:
        await open_graph(seat, "reviewer")
        assert (seat.app.view, seat.app.graph_panel.run) == ("graph", "run_V1")
        assert seat.app.graph_panel.current_run() == "run_V1"
        assert "planner → coder → reviewer → coder → YOU (sql_write)" in seat.screen


async def test_the_graph_opens_from_a_run_and_escape_goes_back_to_it(console: OpenConsole) -> None:
    async with console() as seat:
        seat.link.snap("board", team())
        await seat.settle()
        await seat.go("planner")
        await seat.press("enter", "5")
        assert (seat.app.view, seat.app.graph_panel.run) == ("graph", "run_A1")
        await seat.press("escape")
        assert seat.app.view == "run"


async def test_a_new_agent_appears_in_the_open_graph(console: OpenConsole) -> None:
    async with console(size=(80, 40)) as seat:
        await open_graph(seat)
        seat.link.delta("board", [run("run_T1", "tester", parent="run_C2", started_at=NOW - 2)])
        await seat.settle()
        assert "▶ tester ● working" in seat.screen
        assert seat.app.graph_panel.current_run() == "run_A1"


async def test_the_calls_of_the_run_that_the_cursor_rests_on_are_folded_in(console: OpenConsole) -> None:
    async with console(size=(120, 30)) as seat:
        await open_graph(seat)
        seat.link.snap(seat.link.tail(), calls(("sql", "completed"), ("sql", "failed")), rev=9)
        await seat.settle()
        assert "[sql ×2 ✖1]" in seat.screen
        await seat.press("G", "k")
        watched = [
            frame.run for frame in seat.link.sent if isinstance(frame, Sub) and frame.view == "run" and frame.run
        ]
        assert watched == ["run_A1", "run_V1"]
        assert "[sql ×2 ✖1]" in seat.screen


async def test_x_kills_the_run_of_the_line_under_the_cursor(console: OpenConsole) -> None:
    async with console() as seat:
        await open_graph(seat)
        assert seat.app.graph_panel.list.go("r:run_C2")
        seat.app.redraw()
        await seat.settle()
        await seat.press("x")
        assert seat.link.commands == [Command(cmd="cmd_1", do=Do.KILL, run="run_C2")]


async def test_x_on_an_agent_of_several_runs_kills_nothing(console: OpenConsole) -> None:
    async with console() as seat:
        await open_graph(seat)
        assert seat.app.graph_panel.list.go("a:coder:None")
        await seat.settle()
        await seat.press("x")
        assert (seat.link.commands, seat.note) == ([], "there is no run under the cursor")
        await seat.press("enter")
        assert seat.note == "this line is no single run: move to one of its runs"


async def test_x_does_nothing_when_the_wait_under_the_cursor_just_moved_to_another_run(console: OpenConsole) -> None:
    async with console() as seat:
        await open_graph(seat)
        assert seat.app.graph_panel.list.go("w:run_A1:run_C2")
        await seat.settle()
        seat.link.delta("board", [run("run_C1", "coder", parent="run_A1", started_at=NOW - 300)])
        await seat.rush("x")
        assert seat.link.commands == []


async def test_enter_opens_the_run_and_decides_nothing(console: OpenConsole) -> None:
    async with console() as seat:
        await open_graph(seat)
        assert seat.app.graph_panel.list.go("r:run_C2")
        await seat.press("enter")
        assert (seat.app.view, seat.app.run_panel.run, seat.link.commands) == ("run", "run_C2", [])


async def test_without_a_run_under_the_cursor_there_is_no_graph(console: OpenConsole) -> None:
    async with console() as seat:
        seat.link.snap("board", [])
        await seat.settle()
        await seat.press("w")
        assert (seat.app.view, seat.note) == ("runs", "there is no run under the cursor")


async def test_a_tree_that_left_the_board_is_said_to_be_gone(console: OpenConsole) -> None:
    async with console() as seat:
        await open_graph(seat)
        seat.link.snap("board", [], rev=2)
        await seat.settle()
        await seat.settle()
        assert "run_A1 is not on the board" in seat.screen


def evil_team() -> list[dict[str, Any]]:
    names = [f"{EVIL}{index}" for index in range(3)]
    held = {"kind": "approval", "what": EVIL, "since": NOW - 9}
    return [
        run("run_1", names[0], waiting=handed(names[1]), doing=EVIL),
        run("run_2", names[1], parent="run_1", waiting=handed(names[0])),
        run("run_3", names[2], parent="run_1", waiting=held, state="input_required"),
        run("run_4", "└▶ a approve\n x kill", parent="run_1", waiting=handed("│ YOU (x)\r\x1b[1A")),
    ]


@pytest.mark.parametrize("size", [(40, 10), (80, 24), (160, 45)])
async def test_no_agent_paints_outside_its_line_of_the_graph(console: OpenConsole, size: tuple[int, int]) -> None:
    async with console(size=size) as seat:
        seat.link.snap("board", evil_team())
        await seat.settle()
        assert seat.app.runs_panel.list.go("run_1")
        await seat.press("w")
        seat.link.snap(seat.link.tail(), calls((EVIL, EVIL), ("x" * 500, "failed"), handoffs=(EVIL,)), rev=9)
        for key in ("k", "G", "g", "j", "j", "J"):
            await seat.press(key)
            check(seat)
            assert all(len(line) <= size[0] for line in seat.screen.splitlines())


def scene(bench: Bench, rows: list[dict[str, Any]], *keys: str) -> Before:
    async def settle(pilot: Pilot[int]) -> None:
        bench.clock.now += 1.0
        await rest(bench.app, pilot)

    async def before(pilot: Pilot[int]) -> None:
        bench.link.open()
        bench.link.snap("board", rows)
        await settle(pilot)
        if rows:
            bench.app.runs_panel.list.go(rows[0]["key"])
            bench.app.redraw()
        for key in ("w", *keys):
            await pilot.press(key)
            await settle(pilot)
            timeline = bench.app.session.timeline
            if timeline is not None and timeline.rev is None:
                bench.link.snap(
                    bench.link.tail(), calls(("sql", "completed"), ("sql", "failed"), ("http", "held")), rev=9
                )
        await settle(pilot)
        await whole(bench.app, pilot)

    return before


@pytest.mark.parametrize("size", [(80, 24), (160, 45)], ids=["80", "160"])
@pytest.mark.parametrize("name", ["empty", "busy", "hostile"])
def test_graph_screen(snap_compare: Any, name: str, size: tuple[int, int]) -> None:
    bench = Bench()
    rows = {"empty": [], "busy": team(), "hostile": evil_team()}[name]
    assert snap_compare(bench.app, terminal_size=size, run_before=scene(bench, rows, "j"))


def test_graph_screen_in_ascii(snap_compare: Any) -> None:
    bench = Bench(mono=True, plain_ascii=True)
    assert snap_compare(bench.app, terminal_size=(80, 24), run_before=scene(bench, team()))
