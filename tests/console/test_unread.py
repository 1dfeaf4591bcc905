"""Rows taken in unread say what a full reading says, stand where it puts them, and nothing unreadable slips in."""

from __future__ import annotations

import gc
import json
from collections.abc import Callable
from datetime import UTC
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw
from pydantic import ValidationError

from opsconsole.console.sample import NOW, run
from opsconsole.console.view.board import Board
from opsconsole.console.view.ingest import BadRow, run_row
from opsconsole.console.view.quick_run import OPENERS_MAX
from opsconsole.console.view.unread import UnreadRun, at_work, taken_in
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


def unread(raw: dict[str, Any], plain: bool = True) -> RunRow:
    """A row as it comes from the wire."""
    return taken_in(Raw(json.dumps(raw).encode()), plain)


@given(ROWS)
def test_a_board_of_unread_rows_says_what_one_of_read_rows_says(fields: dict[str, Any]) -> None:
    raw = run("r1", "a", **fields)
    boards = [Board(zone=UTC), Board(zone=UTC)]
    for board, row in zip(boards, [run_row(dict(raw)), unread(raw)], strict=True):
        board.now = NOW
        board.rows._put("r1", row)
    known, told = boards
    assert told._places == known._places
    assert told._tallies == known._tallies
    assert (told.states, told.unconfirmed) == (known.states, known.unconfirmed)


def test_a_row_is_not_read_until_it_is_looked_at() -> None:
    row = unread(run("r1", "a", state="working"))
    assert isinstance(row, UnreadRun)
    assert at_work(row) is not None


@pytest.mark.parametrize("name", sorted(RunRow.model_fields))
def test_every_field_of_an_unread_row_is_what_reading_gives(name: str) -> None:
    raw = run("r1", "a", doing="look at \x1b[2J this", labels={"team": "x\x07"})
    assert getattr(unread(raw, plain=False), name) == getattr(run_row(dict(raw)), name)


@pytest.mark.parametrize("bad", [{"state": "hovering"}, {"link": "odd"}, {"turns": "many"}, {"state": ["working"]}])
def test_a_row_of_another_kind_is_refused_at_once(bad: dict[str, Any]) -> None:
    with pytest.raises(BadRow):
        unread(run("r1", "a") | bad)


def test_what_cannot_be_read_inside_a_row_is_left_out_of_it_and_the_row_says_so() -> None:
    row = unread(run("r1", "a", points=[{"name": "sdk"}]))
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


def said(reader: Callable[[dict[str, Any], bool], RunRow], raw: dict[str, Any]) -> RunRow | None:
    """What a reader makes of a row; None: it is counted as unreadable."""
    try:
        return reader(raw, True)
    except BadRow:
        return None


@given(damaged())
def test_a_row_with_something_unreadable_in_it_is_marked_or_counted_as_if_it_were_read_at_once(
    raw: dict[str, Any],
) -> None:
    row = said(unread, raw)
    assert row == said(run_row, raw)
    whole = all(_is_valid(name, raw[name]) for name in NESTED)
    assert whole or row is None or row.alerts[-1].kind == "row"


def _is_valid(name: str, value: Any) -> bool:
    try:
        RunRow.model_validate({**run("r1", "a"), name: value})
    except ValidationError:
        return False
    return True


def test_what_a_run_needs_a_person_for_is_never_left_out_of_its_row() -> None:
    with pytest.raises(BadRow, match="kill"):
        unread(run("r1", "a", state="killed", kill=KILL | {"proof": "hearsay"}))


@pytest.mark.parametrize("turns", ["2", 2.0], ids=["a word", "a fraction"])
def test_a_number_that_comes_as_something_else_is_read_at_once(turns: Any) -> None:
    row = unread(run("r1", "a", turns=turns))
    assert (isinstance(row, UnreadRun), row.turns) == (False, 2)


def test_a_row_so_deep_that_the_model_might_refuse_it_is_read_at_once() -> None:
    deep: Any = []
    for _ in range(OPENERS_MAX):
        deep = [deep]
    assert not isinstance(unread(run("r1", "a", unknown=deep)), UnreadRun)


@given(ROWS)
def test_a_row_that_was_never_read_is_nothing_that_the_collector_looks_at(fields: dict[str, Any]) -> None:
    row = unread(run("r1", "a", **fields))
    assert isinstance(row, UnreadRun)
    assert not gc.is_tracked(row)


def test_an_empty_table_in_an_unread_row_is_read_as_one() -> None:
    assert unread(run("r1", "a", caps={})).caps == run_row(run("r1", "a", caps={})).caps


def test_what_many_runs_say_is_told_without_reading_them() -> None:
    board = Board(zone=UTC)
    board.rows.snap(Snap(sub="board", epoch="e", part=0, end=True, rev=1, rows=[run("r1", "a"), run("r2", "b")]))
    board.rows.delta(Delta(sub="board", from_rev=1, rev=2, rows=[run("r1", "a", turns=9)]))
    assert [(row.agent, row.turns) for row in board.told(["r1", "gone"])] == [("a", 9)]
