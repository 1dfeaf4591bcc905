"""Opening things: one layout and one picture of it, whole as soon as it can be."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from typing import Any

import pytest
from textual._compositor import Compositor

from opsconsole.console import sample_history
from opsconsole.console.sample import run
from opsconsole.console.strips import LineStrip
from opsconsole.console.view.axis import PART_MARKS
from tests.console.conftest import OpenConsole
from tests.console.support import Seat, whole

TALL = (160, 45)


@pytest.fixture
def layouts(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """How many layouts there were since it was asked last."""
    count = 0
    reflow = Compositor.reflow

    def counted(self: Compositor, *arguments: Any) -> Any:
        nonlocal count
        count += 1
        return reflow(self, *arguments)

    def since() -> int:
        nonlocal count
        found, count = count, 0
        return found

    monkeypatch.setattr(Compositor, "reflow", counted)
    return since


async def look_at_refunds(seat: Seat) -> None:
    await seat.go("refunds")
    await seat.press("3")


@pytest.mark.parametrize("key", ["2", "3", "5", "6", "question_mark", "colon", "X", "slash"])
async def test_a_key_that_opens_something_lays_the_screen_out_once(
    console: OpenConsole, layouts: Callable[[], int], key: str
) -> None:
    async with console(size=TALL) as seat:
        await look_at_refunds(seat)
        seat.link.snap(seat.link.tail(), sample_history.events(), rev=110)
        await seat.press("1", key, "escape", "1")  # what each needs to know its heights
        layouts()
        await seat.press(key)
        assert layouts() == 1


@pytest.mark.parametrize("key", ["2", "3", "4", "5", "6", "question_mark", "colon", "X", "slash"])
async def test_nothing_on_screen_is_old_after_a_key_that_opens_something(console: OpenConsole, key: str) -> None:
    async with console(size=TALL) as seat:
        await seat.go("refunds")
        await seat.press(key)
        await whole(seat.app, seat.pilot)


async def test_the_steps_of_a_run_are_there_when_the_hub_has_told_them_whatever_was_drawn_last(
    console: OpenConsole,
) -> None:
    async with console(size=TALL) as seat:
        await seat.go("refunds")
        await seat.pilot.press("3")  # no time passes
        seat.link.snap(seat.link.tail(), sample_history.events(), rev=110)
        assert len(seat.app.run_panel.list.keys) == len(seat.app.session.timeline.order())  # type: ignore[union-attr]


def call(position: int) -> list[dict[str, Any]]:
    event = {"seq": position, "ts": 0.0, "type": "tool", "id": f"page{position}", "name": "get", "status": "completed"}
    return [{"position": position, "gen": "g", "at": float(position), "event": event}]


async def test_the_axis_of_a_long_run_is_drawn_in_parts_and_comes_whole(console: OpenConsole) -> None:
    async with console(size=TALL) as seat:
        await look_at_refunds(seat)
        many = [row for position in range(1, 4 * PART_MARKS) for row in call(position)]
        seat.link.snap(seat.link.tail(), many, rev=len(many))
        axis = seat.app.run_panel.looks.axis
        assert [line[0][0].strip() for line in axis.lines] == []  # the first part alone is no picture
        await seat.settle()
        assert [line[0][0].strip() for line in axis.lines] == ["tools", ""]


def lines_held() -> int:
    return sum(isinstance(one, LineStrip) for one in gc.get_objects())


async def test_lines_that_nothing_shows_any_more_are_freed_without_the_collector(console: OpenConsole) -> None:
    async with console(size=TALL) as seat:
        gc.collect()
        gc.disable()
        try:
            for _ in range(3):
                for key in ("down", "3", "1", "x", "escape"):
                    await seat.press(key)
            before = lines_held()
            gc.collect()
            assert before == lines_held() > 0
        finally:
            gc.enable()


async def test_what_a_kill_of_many_would_stop_follows_its_question(console: OpenConsole) -> None:
    async with console(size=TALL) as seat:
        seat.link.snap("board", [run(f"run_{number:03}", "coder", state="working") for number in range(250)], rev=2)
        await seat.settle()
        await seat.press("X")
        assert "WOULD STOP 250 live runs" in seat.screen
        async with asyncio.timeout(60):
            while "… and 245 more" not in seat.screen:
                await seat.pilot.pause(0.01)
