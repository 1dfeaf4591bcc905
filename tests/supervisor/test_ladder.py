"""The kill ladder's rules, without a process."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsconsole.supervisor.ladder import FINAL, LadderSettings, Move, Rung, Seen, next_move, remaining_ms

SETTINGS = LadderSettings(cooperative_ms=250, term_ms=750)


@pytest.mark.parametrize(
    ("rung", "seen", "move"),
    [
        (Rung.START, Seen(empty=True, hurried=True), Move(Rung.PROVEN, "already dead")),
        (Rung.START, Seen(hurried=True, offered=True), Move(Rung.STRIKE, "now")),
        (Rung.START, Seen(frozen=True, offered=True), Move(Rung.STRIKE, "frozen")),
        (Rung.START, Seen(offered=True), Move(Rung.COOPERATIVE, "offered")),
        (Rung.START, Seen(), Move(Rung.TERM, "nothing to ask")),
        (Rung.COOPERATIVE, Seen(offered=True, elapsed_ms=249.9), None),
        (Rung.COOPERATIVE, Seen(offered=True, elapsed_ms=250), Move(Rung.TERM, "no answer")),
        (Rung.COOPERATIVE, Seen(answered=False), Move(Rung.TERM, "refused")),
        (Rung.COOPERATIVE, Seen(answered=True, elapsed_ms=100), None),
        (Rung.COOPERATIVE, Seen(answered=True, elapsed_ms=250), Move(Rung.TERM, "answered, still running")),
        (Rung.COOPERATIVE, Seen(answered=True, empty=True), Move(Rung.PROVEN, "ended")),
        (Rung.COOPERATIVE, Seen(hurried=True), Move(Rung.STRIKE, "hurried")),
        (Rung.COOPERATIVE, Seen(frozen=True), Move(Rung.STRIKE, "frozen")),
        (Rung.COOPERATIVE, Seen(lost=True, empty=True), Move(Rung.STRIKE, "reaper lost")),
        (Rung.TERM, Seen(elapsed_ms=749.9), None),
        (Rung.TERM, Seen(elapsed_ms=750), Move(Rung.STRIKE, "still running")),
        (Rung.TERM, Seen(empty=True), Move(Rung.PROVEN, "ended")),
        (Rung.TERM, Seen(hurried=True), Move(Rung.STRIKE, "hurried")),
        (Rung.TERM, Seen(frozen=True), Move(Rung.STRIKE, "frozen")),
        (Rung.TERM, Seen(lost=True, empty=True), Move(Rung.STRIKE, "reaper lost")),
        (Rung.STRIKE, Seen(elapsed_ms=60_000, hurried=True), None),
        (Rung.STRIKE, Seen(struck=True, empty=True), Move(Rung.PROVEN, "empty tree")),
        (Rung.STRIKE, Seen(struck=True), Move(Rung.UNPROVEN, "survivors")),
    ],
)
def test_each_rung_is_left_for_one_reason(rung: Rung, seen: Seen, move: Move | None) -> None:
    assert next_move(rung, seen, SETTINGS) == move


def test_a_wait_is_what_the_rung_has_left() -> None:
    waits = [remaining_ms(rung, Seen(elapsed_ms=200), SETTINGS) for rung in (Rung.COOPERATIVE, Rung.TERM, Rung.STRIKE)]
    assert waits == [50, 550, None]


SIGHTS = st.builds(
    Seen,
    elapsed_ms=st.floats(0, 2000),
    empty=st.booleans(),
    hurried=st.booleans(),
    frozen=st.booleans(),
    lost=st.booleans(),
    offered=st.booleans(),
    answered=st.sampled_from([None, True, False]),
    struck=st.booleans(),
)


@given(st.lists(SIGHTS, max_size=20))
def test_a_kill_never_steps_back_and_is_proven_only_by_an_empty_tree(sights: list[Seen]) -> None:
    order, rung = list(Rung), Rung.START
    for seen in sights:
        move = next_move(rung, seen, SETTINGS)
        if move is not None:
            assert order.index(move.then) > order.index(rung)
            assert (move.then is Rung.PROVEN) == seen.empty or move.then not in FINAL
            rung = move.then
