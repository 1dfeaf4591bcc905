"""Snapshots and deltas: any sequence of them converges to the hub's rows."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from opsconsole.console.sample import run
from opsconsole.console.view.ingest import run_row
from opsconsole.console.view.rows import Applied, Rows
from opsconsole.protocol.frames import Delta, Snap
from opsconsole.protocol.rows import RunRow


def row(key: str, turns: int = 0) -> dict[str, Any]:
    return run(key, "coder", turns=turns)


def snap(*rows: dict[str, Any], rev: int = 5, part: int = 0, end: bool = True, epoch: str = "e1") -> Snap:
    return Snap(sub="board", epoch=epoch, part=part, end=end, rev=rev, rows=list(rows))


def delta(*rows: dict[str, Any], since: int = 5, rev: int = 6, gone: tuple[str, ...] = ()) -> Delta:
    return Delta(sub="board", from_rev=since, rev=rev, rows=list(rows), gone=list(gone))


def turns(rows: Rows[RunRow]) -> dict[str, int]:
    return {key: known.turns for key, known in rows.by_key.items()}


def test_a_snapshot_is_swapped_in_at_its_last_part() -> None:
    rows = Rows(run_row)
    assert rows.snap(snap(row("a"), part=0, end=False)) is Applied.APPLIED
    assert turns(rows) == {}
    assert rows.snap(snap(row("b"), part=1)) is Applied.APPLIED
    assert turns(rows) == {"a": 0, "b": 0}


def test_a_snapshot_with_a_missing_part_is_asked_for_again() -> None:
    rows = Rows(run_row)
    rows.snap(snap(row("a"), part=0, end=False))
    assert rows.snap(snap(row("c"), part=2)) is Applied.GAP
    assert turns(rows) == {}


def test_a_delta_that_does_not_continue_is_a_gap_and_changes_nothing() -> None:
    rows = Rows(run_row)
    rows.snap(snap(row("a")))
    assert rows.delta(delta(row("a", 9), since=7, rev=8)) is Applied.GAP
    assert (turns(rows), rows.rev) == ({"a": 0}, 5)


def test_a_delta_changes_adds_and_removes() -> None:
    rows = Rows(run_row)
    rows.snap(snap(row("a"), row("b")))
    assert rows.delta(delta(row("a", 3), row("c"), gone=("b",))) is Applied.APPLIED
    assert (turns(rows), rows.rev) == ({"a": 3, "c": 0}, 6)


def test_a_row_that_a_snapshot_left_out_stays_until_the_next_delta_settles_it() -> None:
    rows = Rows(run_row)
    rows.snap(snap(row("a"), row("b"), row("c")))
    rows.snap(snap(row("a"), rev=9))
    assert set(rows.by_key) == {"a", "b", "c"}
    rows.delta(delta(row("b", 1), since=9, rev=10))
    assert set(rows.by_key) == {"a", "b"}


def test_a_row_of_an_unknown_shape_is_counted_and_the_rest_is_shown() -> None:
    rows = Rows(run_row)
    rows.snap(snap(row("a"), {"key": "b", "state": "dancing"}))
    assert (set(rows.by_key), rows.unreadable) == ({"a"}, 1)


def test_news_that_cannot_be_read_takes_away_what_stood_there_and_is_counted_until_it_can() -> None:
    rows = Rows(run_row)
    rows.snap(snap(row("a"), row("b")))
    bad = row("a") | {"state": "dancing"}
    rows.delta(delta(bad))
    rows.delta(delta(bad, since=6, rev=7))
    assert (turns(rows), rows.unreadable) == ({"b": 0}, 1)
    rows.delta(delta(row("a", 4), since=7, rev=8))
    assert (turns(rows), rows.unreadable) == ({"a": 4, "b": 0}, 0)


def test_a_run_that_could_not_be_read_is_not_counted_once_it_has_gone() -> None:
    rows = Rows(run_row)
    rows.snap(snap(row("b"), {"key": "a", "state": "dancing"}))
    rows.delta(delta(gone=("a",)))
    assert (turns(rows), rows.unreadable) == ({"b": 0}, 0)


def test_changes_are_told_with_before_and_after() -> None:
    told: list[tuple[str, int | None, int | None]] = []
    rows = Rows(run_row, lambda key, old, new: told.append((key, old and old.turns, new and new.turns)))
    rows.snap(snap(row("a", 1)))
    rows.delta(delta(row("a", 2), gone=("z",)))
    rows.delta(delta(since=6, rev=7, gone=("a",)))
    assert told == [("a", None, 1), ("a", 1, 2), ("a", 2, None)]


class Hub:
    """The hub's side of one view, which may lose frames, restart and forget."""

    def __init__(self) -> None:
        self.rev = 0
        self.epoch = 0
        self.rows: dict[str, int] = {}
        self.changed: dict[str, int] = {}

    def change(self, key: str, turns: int | None) -> None:
        self.rev += 1
        self.changed[key] = self.rev
        if turns is None:
            self.rows.pop(key, None)
        else:
            self.rows[key] = turns

    def answer(self, rows: Rows[RunRow]) -> None:
        """Bring a console up to date, however it stands."""
        epoch = str(self.epoch)
        if rows.epoch == epoch and rows.rev is not None and rows.rev <= self.rev:
            since = rows.rev
            keys = [key for key, rev in self.changed.items() if rev > since]
            live = [row(key, self.rows[key]) for key in keys if key in self.rows]
            gone = [key for key in keys if key not in self.rows]
            frame = Delta(sub="board", from_rev=since, rev=self.rev, rows=live, gone=gone)
            assert rows.delta(frame) is Applied.APPLIED
            return
        keys = sorted(self.rows)
        for index, key in enumerate(keys or [""]):
            part = [row(key, self.rows[key])] if key else []
            end = index == max(0, len(keys) - 1)
            assert (
                rows.snap(Snap(sub="board", epoch=epoch, part=index, end=end, rev=self.rev, rows=part))
                is Applied.APPLIED
            )


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("change"), st.sampled_from("abcd"), st.one_of(st.none(), st.integers(0, 9))),
        st.tuples(st.just("answer"), st.just(""), st.none()),
        st.tuples(st.just("lost"), st.just(""), st.none()),
        st.tuples(st.just("restart"), st.just(""), st.none()),
        st.tuples(st.just("cut"), st.just(""), st.none()),
    ),
    max_size=40,
)


@given(STEPS)
def test_any_sequence_of_snapshots_deltas_gaps_and_restarts_converges_to_the_hubs_rows(
    steps: list[tuple[str, str, int | None]],
) -> None:
    hub, rows = Hub(), Rows(run_row)
    for what, key, value in steps:
        if what == "change":
            hub.change(key, value)
        elif what == "answer":
            hub.answer(rows)
        elif what == "lost":
            stray = Delta(sub="board", from_rev=hub.rev + 7, rev=hub.rev + 8, rows=[row("a", 99)])
            if rows.delta(stray) is Applied.GAP:
                rows.forget_position()
        elif what == "cut":
            rows.snap(Snap(sub="board", epoch=str(hub.epoch), part=0, end=False, rev=hub.rev, rows=[row("b", 77)]))
            rows.abandon_parts()
        else:
            hub.epoch += 1
            hub.rev = 0
            hub.changed = {}
            rows.forget_position()
    hub.answer(rows)
    rows.settle()
    assert turns(rows) == hub.rows
