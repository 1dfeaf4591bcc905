"""The run machine: the table as a whole, and the two rules above it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsconsole.domain.run import FENCED, TERMINAL, TRANSITIONS, Author, RunState, Step, advance

ENDS = {RunState.COMPLETED, RunState.FAILED, RunState.KILLED, RunState.CANCELLED}
WORK = {RunState.WORKING, RunState.IDLE, RunState.INPUT_REQUIRED, RunState.AUTH_REQUIRED}
LIVE = set(RunState) - FENCED
MOVES = st.lists(st.tuples(st.sampled_from(RunState), st.sampled_from(Author)), max_size=30)


@pytest.mark.parametrize("state", sorted(LIVE))
@pytest.mark.parametrize("author", [Author.AGENT, Author.SUPERVISOR])
def test_an_end_is_believed_in_every_living_state(state: RunState, author: Author) -> None:
    assert TRANSITIONS[state, author] >= ENDS


@pytest.mark.parametrize("state", sorted(LIVE))
def test_an_operator_can_stop_any_living_run(state: RunState) -> None:
    assert RunState.STOPPING in TRANSITIONS[state, Author.OPERATOR]
    assert RunState.STOPPING in TRANSITIONS[state, Author.HUB]


@pytest.mark.parametrize("author", Author)
def test_from_stopping_a_run_only_ends(author: Author) -> None:
    assert TRANSITIONS[RunState.STOPPING, author] <= TERMINAL


@pytest.mark.parametrize("held", [RunState.PAUSING, RunState.PAUSED])
@pytest.mark.parametrize("author", Author)
def test_only_an_operator_lifts_a_pause(held: RunState, author: Author) -> None:
    leads_on = TRANSITIONS[held, author] & (WORK | {RunState.RESUMING, RunState.SUBMITTED})
    assert leads_on == ({RunState.RESUMING} if author is Author.OPERATOR else set())


def test_the_hub_never_sets_a_run_going() -> None:
    reached = set().union(*(targets for (_, author), targets in TRANSITIONS.items() if author is Author.HUB))
    assert reached == {RunState.PAUSING, RunState.PAUSED, RunState.STOPPING, RunState.FAILED, RunState.KILLED}


def test_no_row_of_the_table_starts_from_an_end() -> None:
    assert {state for state, _ in TRANSITIONS} & TERMINAL == set()


@given(MOVES)
def test_terminal_is_final(moves: list[tuple[RunState, Author]]) -> None:
    state = RunState.SUBMITTED
    for target, author in moves:
        after, step = advance(state, target, author)
        if state in TERMINAL:
            assert (after, step) == (state, Step.SAME if target is state else Step.ZOMBIE)
        state = after


@given(MOVES)
def test_a_fenced_run_never_works_again(moves: list[tuple[RunState, Author]]) -> None:
    state, was_fenced = RunState.WORKING, False
    for target, author in moves:
        state, _ = advance(state, target, author)
        was_fenced = was_fenced or state in FENCED
        assert not was_fenced or state in FENCED


@given(st.sampled_from(RunState), st.sampled_from(RunState), st.sampled_from(Author))
def test_a_state_changes_only_by_the_table(state: RunState, target: RunState, author: Author) -> None:
    after, step = advance(state, target, author)
    assert (step is Step.MOVED) == (after is not state)
    assert step is not Step.MOVED or target in TRANSITIONS[state, author]


def test_a_late_pause_does_not_stop_a_run_that_is_being_resumed() -> None:
    assert advance(RunState.RESUMING, RunState.PAUSED, Author.AGENT) == (RunState.RESUMING, Step.REFUSED)
