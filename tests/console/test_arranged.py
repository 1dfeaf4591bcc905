"""The runs table by any column and in groups: every run once, equals by urgency."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsconsole.console.sample import run
from opsconsole.console.view.arranged import COLUMNS, Arrangement, arrange, column_named
from opsconsole.console.view.groups import group_named
from opsconsole.protocol.rows import RunRow
from tests.console.conftest import OpenConsole

ROWS = {
    key: RunRow.model_validate(run(key, agent, labels={"team": team}, cost_usd=cost, turns=turns))
    for key, agent, team, cost, turns in (
        ("r1", "coder", "red", 1.0, 5),
        ("r2", "writer", "blue", 3.0, 5),
        ("r3", "coder", "red", 2.0, 9),
        ("r4", "planner", "", 0.0, 1),
    )
}
URGENT = ["r4", "r2", "r1", "r3"]


@given(
    keys=st.permutations(list(ROWS)),
    column=st.sampled_from(COLUMNS),
    reverse=st.booleans(),
    group=st.sampled_from(["", "agent", "owner", "team", "nobody has it"]),
)
def test_every_run_is_listed_once_however_arranged(keys: list[str], column: str, reverse: bool, group: str) -> None:
    arranged = arrange(keys, ROWS, Arrangement(column=column, reverse=reverse, group=group))
    assert sorted(arranged) == sorted(keys)


@pytest.mark.parametrize(
    ("column", "order"),
    [
        ("STATUS", ["r4", "r2", "r1", "r3"]),
        ("COST", ["r2", "r3", "r1", "r4"]),
        ("TURNS", ["r3", "r2", "r1", "r4"]),
        ("AGENT", ["r1", "r3", "r4", "r2"]),
    ],
)
def test_a_column_begins_with_the_most_or_with_a_and_equals_stay_by_urgency(column: str, order: list[str]) -> None:
    assert arrange(URGENT, ROWS, Arrangement(column=column)) == order


def test_a_group_stands_where_its_most_urgent_run_does() -> None:
    assert arrange(URGENT, ROWS, Arrangement(group="team")) == ["r4", "r2", "r1", "r3"]
    assert arrange(["r1", "r2", "r3", "r4"], ROWS, Arrangement(group="agent")) == ["r1", "r3", "r2", "r4"]


def test_the_same_column_again_turns_the_order_round() -> None:
    once = Arrangement().by("COST")
    assert (once, once.by("COST")) == (Arrangement(column="COST"), Arrangement(column="COST", reverse=True))


@pytest.mark.parametrize(
    ("typed", "column"), [("co", "COST"), ("min", "$/MIN"), ("age", "AGE"), ("zz", None), ("", None)]
)
def test_a_column_is_meant_by_the_beginning_of_its_name(typed: str, column: str | None) -> None:
    assert column_named(typed) == column


async def test_the_table_is_sorted_by_the_column_that_was_named(console: OpenConsole) -> None:
    async with console(size=(120, 30)) as seat:
        await seat.press("o")
        await seat.type("cost")
        await seat.press("enter")
        board = seat.app.session.board.rows.by_key
        costs = [board[key].cost_usd for key in seat.app.runs_panel.list.keys]
        assert costs == sorted(costs, reverse=True)
        assert "by COST" in seat.screen


async def test_the_table_is_grouped_by_agent(console: OpenConsole) -> None:
    async with console(size=(120, 30)) as seat:
        await seat.press("B")
        await seat.type("agent")
        await seat.press("enter")
        board = seat.app.session.board.rows.by_key
        agents = [board[key].agent for key in seat.app.runs_panel.list.keys if group_named(key) is None]
        assert len(list(dict.fromkeys(agents))) == sum(
            here != before for here, before in zip(agents, [None, *agents], strict=False)
        )
        assert "grouped by agent" in seat.screen


async def test_the_table_is_filtered_while_one_types(console: OpenConsole) -> None:
    async with console(size=(120, 30)) as seat:
        await seat.press("slash")
        await seat.type("agent:sre")
        await seat.settle()
        assert {seat.app.session.board.rows.by_key[key].agent for key in seat.app.runs_panel.list.keys} == {"sre"}
        await seat.press("escape")
        assert len(seat.app.runs_panel.list.keys) == 13
