"""The runs in their order, their families and their counters, and the queue of held calls."""

from collections import Counter
from datetime import UTC
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsconsole.console import sample
from opsconsole.console.sample import NOW, approval, run
from opsconsole.console.view.board import Board, bucket
from opsconsole.console.view.family import family
from opsconsole.console.view.filter import parse_filter
from opsconsole.console.view.queue import Queue
from opsconsole.console.view.status import STALLED_SECONDS, status_of
from opsconsole.domain.run import TERMINAL
from opsconsole.protocol.frames import Delta, Snap
from opsconsole.protocol.rows import RunRow


def board_of(*rows: dict[str, Any]) -> Board:
    board = Board(zone=UTC)
    board.now = NOW
    board.rows.snap(Snap(sub="board", epoch="e", part=0, end=True, rev=1, rows=list(rows)))
    return board


def counted(row: RunRow) -> str:
    return bucket(row, status_of(row, now=NOW, zone=UTC).word)


def agents(board: Board, text: str = "", now: float = NOW) -> list[str]:
    return [board.rows.by_key[key].agent for key in board.order(parse_filter(text), now)]


def test_the_most_urgent_run_comes_first_and_the_ended_ones_last() -> None:
    assert agents(board_of(*sample.runs())) == [
        "sre", "triage", "refunds", "spender", "looper", "hanger", "coder", "indexer",
        "writer", "researcher", "planner", "migrator", "greeter",
    ]  # fmt: skip


def test_time_alone_moves_a_run_up_when_it_stalls() -> None:
    board = board_of(run("r1", "old", started_at=NOW - 9), run("r2", "new", started_at=NOW - 5, progress_at=NOW + 60))
    assert agents(board) == ["new", "old"]
    assert agents(board, now=NOW + 130) == ["old", "new"]


def test_those_that_need_a_person_are_named_in_the_tables_order() -> None:
    board = board_of(*sample.runs())
    needing = board.needing_me(board.order(parse_filter(""), NOW))
    assert [board.rows.by_key[key].agent for key in needing] == [
        "sre", "triage", "refunds", "spender", "looper", "hanger", "coder",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("agent:sre,looper", ["sre", "looper"]),
        ("status:approval", ["sre", "refunds"]),
        ("link:lost", ["coder"]),
        ("cost>4", ["refunds", "spender"]),
        ("turns>100 !agent:looper", ["refunds"]),
        ("age>25m state:working", ["hanger"]),
        ("batch 88", ["refunds"]),
        ("nothing-like-this", []),
    ],
)
def test_a_filter_keeps_the_runs_that_match_every_word(text: str, found: list[str]) -> None:
    assert agents(board_of(*sample.runs()), text) == found


def test_a_filter_by_label_compares_the_whole_value() -> None:
    board = board_of(run("r1", "one", labels={"env": "prod"}), run("r2", "two", labels={"env": "prod-2"}))
    assert agents(board, "env=prod") == ["one"]


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["working", "completed", "gone", "lost"])), max_size=30)
)
def test_counters_kept_by_change_equal_counters_made_anew(steps: list[tuple[str, str]]) -> None:
    board = board_of()
    for number, (key, what) in enumerate(steps):
        state = what if what in ("working", "completed") else "working"
        fields = {"state": state, "link": "lost" if what == "lost" else "live", "cost_per_minute_usd": 0.25}
        rows = [] if what == "gone" else [run(key, "x", **fields)]
        gone = [key] if what == "gone" else []
        board.rows.delta(Delta(sub="board", from_rev=1 + number, rev=2 + number, rows=rows, gone=gone))
    known = list(board.rows.by_key.values())
    assert {name: count for name, count in board.states.items() if count} == {
        name: sum(counted(row) == name for row in known) for name in {counted(row) for row in known}
    }
    assert board.dollars_per_minute == pytest.approx(0.25 * sum(row.state not in TERMINAL for row in known))
    assert sorted(board.order(parse_filter(""), NOW)) == sorted(board.rows.by_key)


STEPS = st.lists(
    st.tuples(
        st.sampled_from("abcde"),
        st.sampled_from(["working", "paused", "failed", "completed", "gone"]),
        st.sampled_from([0, 1, 119, 500]),
        st.booleans(),
    ),
    max_size=25,
)


@given(STEPS)
def test_the_order_kept_by_change_is_the_order_made_anew(steps: list[tuple[str, str, int, bool]]) -> None:
    kept, now = board_of(), NOW
    for number, (key, state, passed, is_looked_at) in enumerate(steps):
        now += passed
        kept.now = now
        row = run(key, "x", state=state, progress_at=now, ended_at=now, started_at=NOW - ord(key))
        gone = state == "gone"
        rows, went = ([], [key]) if gone else ([row], [])
        kept.rows.delta(Delta(sub="board", from_rev=1 + number, rev=2 + number, rows=rows, gone=went))
        if is_looked_at:
            kept.order(parse_filter(""), now)
    anew = board_of(*(row.model_dump(mode="json") for row in map(kept.get, kept.rows.by_key) if row is not None))
    assert kept.order(parse_filter(""), now) == anew.order(parse_filter(""), now)


def test_an_unconfirmed_kill_is_counted_until_it_has_proof() -> None:
    kill = {"command": "c", "by": "a", "mode": "ladder", "reason": "", "sent_at": NOW, "proof": "none", "points": []}
    board = board_of(run("r1", "a", state="stopping", kill={**kill, "status": "unconfirmed"}))
    assert board.unconfirmed == {"r1"}
    dead = run("r1", "a", state="killed", kill={**kill, "status": "dead", "proof": "process"})
    board.rows.delta(Delta(sub="board", from_rev=1, rev=2, rows=[dead]))
    assert board.unconfirmed == set()


def test_a_run_that_claims_its_end_without_the_proof_of_its_kill_is_live_and_not_counted_as_done() -> None:
    kill = {"command": "c", "by": "a", "mode": "ladder", "reason": "", "sent_at": NOW, "proof": "none", "points": []}
    outlived = run("r1", "a", state="completed", ended_at=NOW, kill={**kill, "status": "unconfirmed"})
    board = board_of(outlived, run("r2", "b", state="completed", ended_at=NOW))
    assert (board.unconfirmed, board.live(["r1", "r2"])) == ({"r1"}, ["r1"])
    assert +board.states == Counter({"stopping": 1, "completed": 1})
    assert agents(board) == ["a", "b"]


def test_only_those_shown_as_working_are_counted_as_working() -> None:
    trip = {"id": "a1", "kind": "loop", "text": "loop", "level": "critical", "at": NOW}
    baton = {"by": "ben", "since": NOW, "until": NOW + 60, "epoch": 1}
    board = board_of(
        run("r1", "a"),
        run("r2", "b", alerts=[trip]),
        run("r3", "c", baton=baton),
        run("r4", "d", state="paused", alerts=[trip]),
    )
    assert +board.states == Counter({"working": 1, "alert": 1, "takeover": 1, "paused": 1})


def test_a_run_that_stalls_is_counted_as_stalled_and_again_as_working_after_its_next_step() -> None:
    board = board_of(run("r1", "a", progress_at=NOW))
    later = NOW + STALLED_SECONDS
    agents(board, now=later)
    assert +board.states == Counter({"stalled": 1})
    board.now = later
    step = run("r1", "a", progress_at=later)
    board.rows.delta(Delta(sub="board", from_rev=1, rev=2, rows=[step]))
    assert +board.states == Counter({"working": 1})


def test_a_frozen_run_is_counted_as_frozen() -> None:
    assert +board_of(run("r1", "a", frozen=True, link="lost")).states == Counter({"frozen": 1})


def test_a_family_is_drawn_from_its_eldest_down() -> None:
    board = board_of(*sample.runs())
    lines = family(board, "run_01KARESEA04", now=NOW)
    assert [line.key for line in lines] == ["run_01KAPLANN03", "run_01KARESEA04", "run_01KAWRITE05"]
    assert [line.line[0][0] for line in lines] == ["", "├▶ ", "└▶ "]


def test_claims_of_parentage_in_a_circle_end() -> None:
    board = board_of(run("a", "x", parent="b"), run("b", "y", parent="a"), run("c", "z", parent="c"))
    assert {line.key for line in family(board, "a", now=NOW)} == {"a", "b"}
    assert [line.key for line in family(board, "c", now=NOW)] == ["c"]
    assert board.descendants("a") == ["b"]


def test_the_rate_of_all_runs_is_the_same_however_it_came_about() -> None:
    board = board_of(*(run(f"r{number}", "x") for number in range(30)))
    for rev in range(1, 40):
        moved = [run(f"r{number}", "x", cost_per_minute_usd=0.1 * (number + rev)) for number in range(30)]
        board.rows.delta(Delta(sub="board", from_rev=rev, rev=rev + 1, rows=moved))
    assert board.dollars_per_minute == board_of(*moved).dollars_per_minute


def test_a_rate_that_is_no_number_leaves_that_of_the_others() -> None:
    board = board_of(run("a", "x", cost_per_minute_usd=float("nan")), run("b", "x", cost_per_minute_usd=0.25))
    assert board.dollars_per_minute == 0.25


def test_a_child_that_changes_its_parent_moves() -> None:
    board = board_of(run("p", "x"), run("q", "y"), run("c", "z", parent="p"))
    board.rows.delta(Delta(sub="board", from_rev=1, rev=2, rows=[run("c", "z", parent="q")]))
    assert (board.children("p"), board.children("q")) == ([], ["c"])


def queue_of(*rows: dict[str, Any]) -> Queue:
    queue = Queue()
    queue.rows.snap(Snap(sub="approvals", epoch="e", part=0, end=True, rev=1, rows=list(rows)))
    return queue


def test_the_riskiest_call_comes_first_then_the_one_that_expires_soonest_then_the_settled() -> None:
    assert queue_of(*sample.approvals()).order() == ["apr_rm", "apr_sql", "apr_model", "apr_delete", "apr_mail"]


def test_the_queue_knows_what_is_pending_and_since_when() -> None:
    queue = queue_of(*sample.approvals())
    assert (queue.pending, queue.oldest()) == ({"apr_sql", "apr_rm", "apr_model"}, NOW - 230)


def test_a_settled_call_is_no_longer_pending() -> None:
    queue = queue_of(approval("apr_1", "r", "a", "shell", {}))
    settled = approval("apr_1", "r", "a", "shell", {}, status="expired")
    queue.rows.delta(Delta(sub="approvals", from_rev=1, rev=2, rows=[settled]))
    assert (queue.pending, queue.oldest(), queue.pending_of("r")) == (set(), None, [])
