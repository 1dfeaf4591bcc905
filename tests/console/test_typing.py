"""Words typed where nothing takes them decide nothing, in any view, however slowly they are typed."""

from __future__ import annotations

import string

import pytest

from opsconsole.console.actions import ACTIONS, BY_ID, BY_KEY, ViewName
from opsconsole.console.view.meant import BURST_SECONDS, QUIET_SECONDS, Meant
from opsconsole.domain.command import Do
from tests.console.conftest import OpenConsole
from tests.console.support import Seat

WAYS: dict[ViewName, tuple[str, ...]] = {
    "runs": (),
    "approvals": ("2",),
    "run": ("3",),
    "takeover": ("t",),
    "audit": ("4",),
    "graph": ("5",),
    "fleet": ("6",),
    "shift": ("7",),
    "alerts": ("8",),
    "replay": ("h",),
}
"""The keys that lead from the runs to each view."""
LETTER_SECONDS = 0.25
"""Between the letters of somebody who types slowly: longer than a burst."""


async def type_slowly(seat: Seat, word: str) -> None:
    for letter in word:
        await seat.pilot.press(letter)
        seat.clock.now += LETTER_SECONDS


def meaningless_in(view: ViewName) -> str:
    return next(letter for letter in string.ascii_lowercase if (view, letter) not in BY_KEY)


def acting_in(view: ViewName) -> list[str]:
    acts = [action for action in ACTIONS if view in action.views and (action.sudden or action.asks)]
    return [key for action in acts for key in action.keys if len(key) == 1]


@pytest.mark.parametrize("view", WAYS)
async def test_a_letter_within_a_word_acts_in_no_view(console: OpenConsole, view: ViewName) -> None:
    async with console() as seat:
        await seat.go("triage")
        await seat.press(*WAYS[view])
        for key in acting_in(view):
            await type_slowly(seat, meaningless_in(view) + key)
            seat.clock.now += QUIET_SECONDS
        begun = [command.do for command in seat.link.commands if command.do is not Do.TAKEOVER]
        assert (seat.app.view, begun, seat.app.prompt.is_open, seat.app._exit) == (view, [], False, False)


@pytest.mark.parametrize(("view", "word"), [("runs", "max"), ("approvals", "la"), ("fleet", "status")])
async def test_a_word_typed_at_once_decides_nothing(console: OpenConsole, view: ViewName, word: str) -> None:
    async with console() as seat:
        await seat.press(*WAYS[view])
        await seat.rush(*word)
        assert (seat.link.commands, seat.app.view) == ([], view)


async def test_a_key_that_acts_is_heard_again_once_nothing_was_typed_for_a_moment(console: OpenConsole) -> None:
    async with console() as seat:
        await seat.go("hanger")
        await type_slowly(seat, "mx")
        assert "x ignored: words were being typed" in seat.note
        await seat.settle(QUIET_SECONDS)
        await seat.rush("x")
        assert [command.do for command in seat.link.commands] == [Do.KILL]


async def test_what_follows_an_answer_at_once_is_typed_on(console: OpenConsole) -> None:
    async with console() as seat:
        await seat.press("slash")
        await seat.rush("enter", "x")
        assert seat.link.commands == []


def test_one_key_again_and_again_is_no_word_and_is_soon_heard() -> None:
    meant, kill = Meant(), BY_ID["kill"]
    meant.meaningless("m", is_letter=True, now=0.0)
    heard = [not meant.why_not(kill, "x", now=now) for now in (0.3, 0.5, 0.7, 0.95)]
    assert heard == [False, False, False, True]


def test_other_letters_of_a_word_make_it_longer() -> None:
    meant = Meant()
    meant.meaningless("m", is_letter=True, now=0.0)
    heard = [not meant.why_not(BY_ID[name], key, now=now) for name, key, now in _DRAGGED]
    assert heard == [True, False, True, False]


_DRAGGED = (("down", "j", 0.4), ("kill", "x", 0.8), ("down", "j", 1.2), ("pause", "p", 1.6))


def test_going_back_says_that_it_was_no_typing() -> None:
    meant = Meant()
    meant.meaningless("m", is_letter=True, now=0.0)
    assert not meant.why_not(BY_ID["back"], "escape", now=0.2)
    assert not meant.why_not(BY_ID["kill"], "x", now=0.4)


def test_a_key_that_types_nothing_begins_no_word() -> None:
    meant = Meant()
    meant.meaningless("f5", is_letter=False, now=0.0)
    assert not meant.why_not(BY_ID["kill"], "x", now=0.3)


def heard(meant: Meant, act: str, key: str, now: float) -> bool:
    return not meant.why_not(BY_ID[act], key, now=now)


def test_a_key_that_is_held_down_acts_once() -> None:
    meant = Meant()
    at = [10.0, 10.0 + BURST_SECONDS / 2, 10.0 + BURST_SECONDS, 10.0 + 3 * BURST_SECONDS]
    assert [heard(meant, "kill", "x", now) for now in at] == [True, False, False, True]


@pytest.mark.parametrize("between", ["act", "no act"])
def test_after_a_refused_question_keys_are_ignored_until_none_came_for_a_moment(between: str) -> None:
    meant = Meant()
    assert heard(meant, "inject", "i", 10.0)
    meant.question_refused()
    if between == "act":
        assert not heard(meant, "down", "j", 10.4)
    else:
        meant.meaningless("m", is_letter=False, now=10.4)
    assert not heard(meant, "down", "j", 10.4 + 0.9 * QUIET_SECONDS)
    assert heard(meant, "down", "j", 10.4 + 2 * QUIET_SECONDS)


def test_a_figure_within_a_word_makes_it_longer() -> None:
    meant = Meant()
    meant.meaningless("m", is_letter=True, now=0.0)
    meant.meaningless("f5", is_letter=False, now=0.5)
    assert not heard(meant, "kill", "x", 1.0)
