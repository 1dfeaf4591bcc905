"""Commands: who may give them, and that their news travels forward only."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsconsole.domain.command import (
    COMMAND_TRANSITIONS,
    INCLUDES,
    NEEDS,
    CommandStatus,
    Do,
    Role,
    advance_command,
    may,
)

S = CommandStatus


def test_roles_include_what_is_below_them_and_an_agent_is_apart() -> None:
    assert {
        Role.AGENT: {Role.AGENT},
        Role.GATEWAY: {Role.GATEWAY, Role.AGENT},
        Role.OBSERVER: {Role.OBSERVER},
        Role.OPERATOR: {Role.OPERATOR, Role.OBSERVER},
        Role.ADMIN: {Role.ADMIN, Role.OPERATOR, Role.OBSERVER},
    } == INCLUDES


@pytest.mark.parametrize("do", [do for do in Do if do is not Do.VERDICT])
def test_every_command_needs_an_operator(do: Do) -> None:
    assert [role for role in Role if may(role, NEEDS[do])] == [Role.OPERATOR, Role.ADMIN]


def test_a_verdict_is_nobodys_command() -> None:
    assert Do.VERDICT not in NEEDS


def test_the_table_of_progress_is_this() -> None:
    assert {
        S.RECORDED: {S.DELIVERED, S.APPLIED, S.VOID, S.EXPIRED, S.UNCONFIRMED},
        S.DELIVERED: {S.APPLIED, S.VOID, S.UNCONFIRMED},
        S.UNCONFIRMED: {S.APPLIED, S.VOID},
        S.APPLIED: set(),
        S.VOID: set(),
        S.EXPIRED: set(),
    } == COMMAND_TRANSITIONS


@given(st.lists(st.sampled_from(S), max_size=12))
def test_a_command_comes_to_one_end(news: list[CommandStatus]) -> None:
    status, ends = S.RECORDED, set()
    for one in news:
        status = advance_command(status, one)
        if not COMMAND_TRANSITIONS[status]:
            ends.add(status)
    assert len(ends) <= 1
