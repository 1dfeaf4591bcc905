"""Rows taken in unread say what a full reading says, stand where it puts them, and nothing unreadable slips in."""

from __future__ import annotations

import json
from datetime import UTC
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from opsconsole.console.sample import NOW, run
from opsconsole.console.view.board import Board
from opsconsole.console.view.ingest import BadRow, run_row
from opsconsole.console.view.unread import RunReader, UnreadRun, at_work
from opsconsole.protocol.frames import Delta, Snap
from opsconsole.protocol.rows import RunRow

KILL = {"command": "c", "by": "ana", "mode": "now", "reason": "", "sent_at": NOW, "status": "unconfirmed"}
ROWS = st.fixed_dictionaries(
    {
        "state": st.sampled_from(["working", "idle", "paused", "completed", "failed", "input_required", "stopping"]),
        "link": st.sampled_from(["live", "live", "stale", "lost"]),
        "progress_at": st.sampled_from([NOW - 1_000, NOW - 121, NOW - 119, NOW]),
        "pending_approvals": st.integers(0, 1),
        "cost_per_minute_usd": st.sampled_from([0.0, 0.5]),
        "zombie": st.booleans(),
        "outlived": st.booleans(),
        "frozen": st.booleans(),
        "kill": st.sampled_from([None, None, KILL | {"proof": "none", "points": []}]),
        "parent": st.sampled_from([None, "r0"]),
    }
)


def twice(raw: dict[str, Any], plain: bool = True) -> RunRow:
    """A row whose like was read before."""
    reader = RunReader()
    reader(dict(raw), plain)
    return reader(dict(raw), plain)


@given(ROWS)
def test_a_board_of_unread_rows_says_what_one_of_read_rows_says(fields: dict[str, Any]) -> None:
    raw = run("r1", "a", **fields)
    boards = [Board(zone=UTC), Board(zone=UTC)]
    for board, row in zip(boards, [run_row(dict(raw)), twice(raw)], strict=True):
        board.now = NOW
        board.rows._put("r1", row)
    read, unread = boards
    assert unread._places == read._places
    assert unread._tallies == read._tallies
    assert (unread.states, unread.unconfirmed) == (read.states, read.unconfirmed)


def test_a_row_whose_like_was_read_is_not_read_until_it_is_looked_at() -> None:
    row = twice(run("r1", "a", state="working"))
    assert isinstance(row, UnreadRun)
    assert at_work(row) is not None


@pytest.mark.parametrize("name", sorted(RunRow.model_fields))
def test_every_field_of_an_unread_row_is_what_reading_gives(name: str) -> None:
    raw = run("r1", "a", doing="look at \x1b[2J this", labels={"team": "x\x07"})
    assert getattr(twice(raw, plain=False), name) == getattr(run_row(dict(raw)), name)


@pytest.mark.parametrize("bad", [{"state": "hovering"}, {"link": "odd"}, {"turns": "many"}, {"state": ["working"]}])
def test_a_row_of_another_kind_than_those_read_is_refused_at_once(bad: dict[str, Any]) -> None:
    reader = RunReader()
    reader(run("r1", "a"))
    with pytest.raises(BadRow):
        reader(run("r1", "a") | bad)


def test_what_cannot_be_read_inside_a_row_is_left_out_of_it_and_the_row_says_so() -> None:
    raw = run("r1", "a", points=[{"name": "sdk", "link": "live", "caps": []}])
    reader = RunReader()
    reader(raw)
    row = reader(raw | {"points": [{"name": "sdk"}]})
    assert (row.points, row.agent) == ([], "a")
    assert [(alert.kind, alert.level, alert.text) for alert in row.alerts] == [
        ("row", "critical", "this console cannot read its points")
    ]


NESTED = ("labels", "caps", "models", "waiting", "points", "alerts", "held_by", "kill", "baton")
FULL: dict[str, Any] = {
    "labels": {"team": "x"},
    "waiting": {"kind": "tool", "what": "sql", "since": NOW},
    "alerts": [{"id": "1", "kind": "loop", "text": "", "level": "info", "at": NOW}],
    "held_by": ["spend"],
    "kill": KILL | {"proof": "none", "points": [{"name": "sdk", "ms": 1.0, "outcome": "gone"}]},
    "baton": {"by": "ana", "since": NOW, "until": NOW, "epoch": 1},
}
WRONG = st.sampled_from(["word", 7, -0.5, True, None, [], {}, [[]], [None], [{}], ["word"], {"word": []}, {"": {}}])


@st.composite
def damaged(draw: st.DrawFn) -> dict[str, Any]:
    """A row in which one of its lists or tables, or something inside of one, is of another kind."""
    raw = json.loads(json.dumps(run("r1", "a", **FULL)))
    holder, at = raw, draw(st.sampled_from(NESTED))
    while holder[at] and isinstance(holder[at], list | dict) and draw(st.booleans()):
        holder = holder[at]
        at = draw(st.sampled_from(sorted(holder) if isinstance(holder, dict) else range(len(holder))))
    holder[at] = draw(WRONG)
    return raw


def taken(reader: RunReader, raw: dict[str, Any]) -> RunRow | None:
    """What a reader makes of a row; None: it is counted as unreadable."""
    try:
        return reader(json.loads(json.dumps(raw)), True)
    except BadRow:
        return None


@given(st.lists(damaged(), min_size=1, max_size=4))
def test_a_row_with_something_unreadable_in_it_is_marked_or_counted_whatever_came_before(
    rows: list[dict[str, Any]],
) -> None:
    seasoned = RunReader()
    seasoned(run("r1", "a", **FULL), True)
    for raw in rows:
        row = taken(seasoned, raw)
        assert row == taken(RunReader(), raw)
        whole = all(_is_valid(name, raw[name]) for name in NESTED)
        assert whole or row is None or row.alerts[-1].kind == "row"


def _is_valid(name: str, value: Any) -> bool:
    try:
        RunRow.model_validate({**run("r1", "a"), name: value})
    except ValidationError:
        return False
    return True


def test_what_a_run_needs_a_person_for_is_never_left_out_of_its_row() -> None:
    raw = run("r1", "a", state="killed", kill=KILL | {"proof": "none", "points": []})
    reader = RunReader()
    reader(raw)
    with pytest.raises(BadRow, match="kill"):
        reader(raw | {"kill": KILL | {"proof": "hearsay"}})


@pytest.mark.parametrize(("once", "then"), [("2", "two"), (2.0, 2.5)], ids=["a word", "a fraction"])
def test_a_number_that_came_as_something_else_does_not_make_its_like_readable(once: Any, then: Any) -> None:
    reader = RunReader()
    assert reader(run("r1", "a", turns=once)).turns == 2
    with pytest.raises(BadRow, match="turns"):
        reader(run("r1", "a", turns=then))


def test_an_empty_table_in_an_unread_row_is_read_as_one() -> None:
    assert twice(run("r1", "a", caps={})).caps == run_row(run("r1", "a", caps={})).caps


def test_what_many_runs_say_is_told_without_reading_them() -> None:
    board = Board(zone=UTC)
    board.rows.snap(Snap(sub="board", epoch="e", part=0, end=True, rev=1, rows=[run("r1", "a"), run("r2", "b")]))
    board.rows.delta(Delta(sub="board", from_rev=1, rev=2, rows=[run("r1", "a", turns=9)]))
    assert [(row.agent, row.turns) for row in board.told(["r1", "gone"])] == [("a", 9)]
