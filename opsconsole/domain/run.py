"""The run machine: which author may move a run from which state to which; it knows no links or processes.

Two rules stand above the table:

1. Terminal is final. Whatever arrives afterwards is a zombie: kept, alarmed, never believed.
2. `stopping` is a fence. From it a run only ends; nothing brings it back to work.
"""

from __future__ import annotations

from enum import StrEnum


class RunState(StrEnum):
    """What a run claims to be doing, plus what an operator imposed."""

    SUBMITTED = "submitted"
    WORKING = "working"
    IDLE = "idle"
    INPUT_REQUIRED = "input_required"
    AUTH_REQUIRED = "auth_required"
    PAUSING = "pausing"
    PAUSED = "paused"
    RESUMING = "resuming"
    STOPPING = "stopping"
    COMPLETED = "completed"
    FAILED = "failed"
    KILLED = "killed"
    CANCELLED = "cancelled"
    REJECTED = "rejected"


class Author(StrEnum):
    """Who may move a run."""

    AGENT = "agent"
    SUPERVISOR = "supervisor"
    OPERATOR = "operator"
    HUB = "hub"


class Step(StrEnum):
    """What came of an attempt to move a run."""

    MOVED = "moved"
    SAME = "same"
    REFUSED = "refused"
    ZOMBIE = "zombie"


TERMINAL = frozenset(
    {RunState.COMPLETED, RunState.FAILED, RunState.KILLED, RunState.CANCELLED, RunState.REJECTED},
)
HELD = frozenset({RunState.PAUSING, RunState.PAUSED})
FENCED = TERMINAL | {RunState.STOPPING}
_ACTIVE = (
    RunState.SUBMITTED,
    RunState.WORKING,
    RunState.IDLE,
    RunState.INPUT_REQUIRED,
    RunState.AUTH_REQUIRED,
    RunState.RESUMING,
)
_LIVE = (*_ACTIVE, RunState.PAUSING, RunState.PAUSED)
_WORK = frozenset({RunState.WORKING, RunState.IDLE, RunState.INPUT_REQUIRED, RunState.AUTH_REQUIRED})
_ENDS = frozenset({RunState.COMPLETED, RunState.FAILED, RunState.KILLED, RunState.CANCELLED})
"""An end is believed whenever it is told: `killed` too, for the hub may have lost the kill in a crash."""


def _table() -> dict[tuple[RunState, Author], frozenset[RunState]]:
    table: dict[tuple[RunState, Author], frozenset[RunState]] = {}
    for state in _ACTIVE:
        table[state, Author.AGENT] = _WORK | _ENDS
        table[state, Author.OPERATOR] = frozenset({RunState.PAUSING, RunState.STOPPING})
    for state in HELD:
        table[state, Author.AGENT] = frozenset({RunState.PAUSED}) | _ENDS
        table[state, Author.OPERATOR] = frozenset({RunState.RESUMING, RunState.STOPPING})
    for state in _LIVE:
        table[state, Author.SUPERVISOR] = _ENDS
        table[state, Author.HUB] = frozenset({RunState.PAUSING, RunState.STOPPING, RunState.FAILED})
    for state in _WORK:  # a pause that the hub lost in a crash still holds the agent: it must be seen to be lifted
        table[state, Author.AGENT] |= {RunState.PAUSED}
    table[RunState.SUBMITTED, Author.AGENT] |= {RunState.REJECTED}
    table[RunState.SUBMITTED, Author.SUPERVISOR] |= {RunState.WORKING}
    table[RunState.PAUSING, Author.HUB] |= {RunState.PAUSED}
    for author in (Author.AGENT, Author.SUPERVISOR):
        table[RunState.STOPPING, author] = _ENDS
    table[RunState.STOPPING, Author.HUB] = frozenset({RunState.KILLED, RunState.FAILED})
    table[RunState.STOPPING, Author.OPERATOR] = frozenset()
    return table


TRANSITIONS = _table()
"""(state, author) -> the states that author may move it to."""


def advance(current: RunState, target: RunState, author: Author) -> tuple[RunState, Step]:
    """The state after `author` asked for `target`, and what came of it; the state is unchanged unless MOVED."""
    if current in TERMINAL:
        return current, Step.SAME if current is target else Step.ZOMBIE
    if current is target:
        return current, Step.SAME
    if target in TRANSITIONS.get((current, author), frozenset()):
        return target, Step.MOVED
    return current, Step.REFUSED
