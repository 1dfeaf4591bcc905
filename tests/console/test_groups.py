"""Groups of the runs table: a heading each with what its runs come to, folded by a key, and no kill that is hidden."""

from __future__ import annotations

from typing import Any

import pytest

from opsconsole.console.view.groups import Group, group_named, headed, heading_line, heading_of
from opsconsole.console.view.line import Line, width_of
from opsconsole.console.view.status import Rank, Status
from opsconsole.protocol.rows import RunRow
from tests.console.conftest import OpenConsole
from tests.console.support import Seat


def row(key: str, team: str, **changes: Any) -> RunRow:
    fields: dict[str, Any] = {
        "key": key,
        "run": key,
        "agent": "writer",
        "labels": {"team": team} if team else {},
        "state": "working",
        "link": "live",
        "link_since": 0.0,
        "started_at": 0.0,
        "progress_at": 0.0,
    }
    return RunRow.model_validate(fields | changes)


ROWS = {
    "r1": row("r1", "red", cost_usd=1.0, cost_per_minute_usd=0.1, pending_approvals=2),
    "r2": row("r2", "blue", cost_usd=2.0, cost_known=False),
    "r3": row("r3", "red", cost_usd=4.0, cost_per_minute_usd=9.0, state="completed", ended_at=1.0),
    "r4": row("r4", ""),
}
RED = Group(
    name="red",
    runs=2,
    live=1,
    waiting=2,
    cost_usd=5.0,
    cost_known=True,
    dollars_per_minute=0.1,
    worst="r1",
)
WORST = Status(glyph="◆", word="approval", tone="ask", rank=Rank.APPROVAL, now="", since=0.0)


def words(line: Line) -> str:
    return "".join(text for text, _ in line)


def test_each_group_has_a_heading_before_its_runs() -> None:
    keys, _ = headed(["r1", "r3", "r2", "r4"], ROWS, by="team", urgent=["r1", "r2", "r3", "r4"], folded=frozenset())
    assert keys == [heading_of("red"), "r1", "r3", heading_of("blue"), "r2", heading_of(""), "r4"]


def test_a_folded_group_is_its_heading_alone() -> None:
    keys, groups = headed(["r1", "r3", "r2"], ROWS, by="team", urgent=["r1", "r2", "r3"], folded=frozenset({"red"}))
    assert keys == [heading_of("red"), heading_of("blue"), "r2"]
    assert groups["red"] == RED


def test_the_worst_run_of_a_group_is_its_most_urgent_whatever_it_is_sorted_by() -> None:
    _, groups = headed(["r3", "r1", "r2"], ROWS, by="team", urgent=["r1", "r2", "r3"], folded=frozenset())
    assert groups["red"] == RED


def test_a_runs_key_is_no_heading_and_a_headings_is() -> None:
    assert [group_named(key) for key in ("r1", None, heading_of("red"), heading_of(""))] == [None, None, "red", ""]


def test_a_heading_says_the_worst_state_what_waits_how_many_and_what_they_cost() -> None:
    line = heading_line(RED, by="team", folded=False, status=lambda _: WORST, width=80)
    assert words(line).startswith("▾ red ")
    assert words(line).endswith("  ◆ approval  ◆ 2  2 runs, 1 live  $5.0000  $0.10/min")


@pytest.mark.parametrize("width", [20, 40, 80, 160])
def test_a_heading_is_as_wide_as_it_is_told(width: int) -> None:
    assert width_of(heading_line(RED, by="team", folded=True, status=lambda _: WORST, width=width)) == width


def test_what_has_no_such_label_is_said_to_have_none_and_names_are_made_safe() -> None:
    none = Group(**{**_fields(RED), "name": ""})
    hostile = Group(**{**_fields(RED), "name": "a\x1b[2Jb"})
    assert "(no team)" in words(heading_line(none, by="team", folded=False, status=lambda _: None, width=80))
    assert "a␛[2Jb" in words(heading_line(hostile, by="team", folded=False, status=lambda _: None, width=80))


def _fields(group: Group) -> dict[str, Any]:
    return {name: getattr(group, name) for name in Group.__dataclass_fields__}


async def grouped(seat: Seat, by: str = "agent") -> None:
    await seat.press("B")
    await seat.type(by)
    await seat.press("enter")


async def test_enter_on_a_heading_folds_its_group_and_unfolds_it(console: OpenConsole) -> None:
    async with console(size=(120, 30)) as seat:
        await grouped(seat)
        await seat.press("g")
        first = seat.app.runs_panel.list.keys[1]
        await seat.press("enter")
        assert first not in seat.app.runs_panel.list.keys
        assert "▸ " in seat.screen
        await seat.press("enter")
        assert seat.app.runs_panel.list.keys[1] == first


async def test_no_act_on_a_run_acts_from_a_heading(console: OpenConsole) -> None:
    async with console(size=(120, 30)) as seat:
        await grouped(seat)
        await seat.press("g", "x", "p")
        assert seat.link.commands == []
        assert seat.note == "there is no run under the cursor"


async def test_a_kill_of_all_that_is_shown_counts_what_is_folded(console: OpenConsole) -> None:
    async with console(size=(120, 30)) as seat:
        live = len(seat.app.runs_panel.shown_live())
        await grouped(seat)
        await seat.press("g", "enter")
        assert len(seat.app.runs_panel.shown_live()) == live


async def test_what_needs_a_person_is_reached_in_a_folded_group(console: OpenConsole) -> None:
    async with console(size=(120, 30)) as seat:
        await grouped(seat)
        await seat.press("g")
        wanted = seat.app.runs_panel.list.keys[1]
        await seat.press("enter", "n")
        assert seat.app.runs_panel.list.cursor == wanted


@pytest.mark.parametrize("size", [(80, 24), (160, 45)], ids=["80x24", "160x45"])
async def test_the_grouped_table_tells_groups_from_runs(console: OpenConsole, size: tuple[int, int]) -> None:
    async with console(size=size) as seat:
        await grouped(seat)
        assert "13 runs in 13 groups" in seat.screen
        assert "▾ refunds" in seat.screen
        assert "1 run, 1 live" in seat.screen
