"""Pictures of the main screens, of a made-up fleet at one fixed moment."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from opsconsole.console import sample_history
from opsconsole.console.screenshot import PICTURES, render
from tests.console.support import Bench, rest, whole

Before = Callable[[Pilot[int]], Awaitable[None]]


def scene(bench: Bench, *keys: str, online: bool = True) -> Before:
    async def before(pilot: Pilot[int]) -> None:
        bench.fill()
        await settle(pilot)
        for key in keys:
            await pilot.press(key)
            bench.app.redraw()
            await settle(pilot)
            if bench.app.session.timeline is not None and bench.app.session.timeline.rev is None:
                bench.link.snap(bench.link.tail(), sample_history.events(), rev=110)
            await bench.app.pages.settled()
        if not online:
            bench.link.close()
        await settle(pilot)
        await whole(bench.app, pilot)

    async def settle(pilot: Pilot[int]) -> None:
        bench.clock.now += 1.0
        await rest(bench.app, pilot)

    return before


@pytest.mark.parametrize(
    ("name", "keys", "size", "online"),
    [
        ("runs", [], (80, 24), True),
        ("runs-wide", [], (160, 45), True),
        ("runs-tiny", [], (40, 10), True),
        ("approvals", ["2"], (80, 24), True),
        ("approvals-wide", ["2", "j"], (160, 45), True),
        ("run", ["j", "j", "enter"], (80, 24), True),
        ("run-wide", ["j", "j", "enter", "enter"], (160, 45), True),
        ("takeover", ["j", "t"], (80, 24), True),
        ("edit-review", ["2", "e", "escape"], (80, 24), True),
        ("audit", ["4"], (80, 24), True),
        ("offline-kill", ["x"], (80, 24), False),
    ],
)
def test_screen(snap_compare: Any, name: str, keys: list[str], size: tuple[int, int], online: bool) -> None:
    bench = Bench()
    assert snap_compare(bench.app, terminal_size=size, run_before=scene(bench, *keys, online=online))


def test_screen_without_colour_in_ascii(snap_compare: Any) -> None:
    bench = Bench(mono=True, plain_ascii=True)
    assert snap_compare(bench.app, terminal_size=(80, 24), run_before=scene(bench, "2"))


def test_screenshots_are_rendered_for_the_readme(tmp_path: Path) -> None:
    target = Path(os.environ.get("OPSCONSOLE_SCREENSHOTS") or tmp_path)
    written = render(target)
    assert [path.name for path in written] == [f"{picture.name}.png" for picture in PICTURES]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in written)
