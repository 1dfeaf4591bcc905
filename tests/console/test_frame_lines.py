"""Header, banner, hints and help: the link first, every key from the registry."""

from datetime import UTC

import pytest

from opsconsole.console import sample
from opsconsole.console.actions import ACTIONS, BY_KEY, EVERYWHERE, hints
from opsconsole.console.sample import NOW
from opsconsole.console.view.frame_lines import header, help_lines, hint_line
from opsconsole.console.view.line import Line, width_of
from opsconsole.console.view.session import Session
from opsconsole.protocol.frames import Snap, Welcome


def online() -> Session:
    session = Session(wall=NOW, now=0.0, zone=UTC)
    session.opened(Welcome(epoch="e", conn="c", principal="ana", role="operator", beat_seconds=10, time=NOW), now=0.0)
    session.received(Snap(sub="board", epoch="e", part=0, end=True, rev=1, rows=sample.runs()), now=0.0)
    session.received(Snap(sub="approvals", epoch="e", part=0, end=True, rev=1, rows=sample.approvals()), now=0.0)
    return session


def text(line: Line | None) -> str:
    return "" if line is None else "".join(part for part, _ in line).rstrip()


def test_the_header_says_live_who_waits_and_what_it_costs() -> None:
    words = " ".join(text(header(online(), now=0.0, width=80)).split())
    assert words == "opsconsole ● live ana (operator) ◆ 3 waiting oldest 3m50 13 runs $1.13/min"


@pytest.mark.parametrize("width", [1, 10, 20, 40, 60, 80, 120, 300])
def test_the_header_fills_any_width_and_keeps_what_waits_longest(width: int) -> None:
    line = header(online(), now=0.0, width=width)
    assert width_of(line) == width
    assert width < 40 or "3 waiting" in text(line)


def test_an_unconfirmed_kill_stays_in_the_header() -> None:
    session = online()
    session.board.unconfirmed.add("run_1")
    assert "✖ 1 KILL UNCONFIRMED" in text(header(session, now=0.0, width=80))


def test_ages_stand_still_while_nothing_is_known() -> None:
    session = online()
    session.closed(now=2.0, code=1006, reason="", final=False, retry_at=3.0)
    assert "oldest 3m50" in text(header(session, now=300.0, width=80))


@pytest.mark.parametrize("view", sorted(EVERYWHERE))
@pytest.mark.parametrize("width", [10, 40, 80, 160])
def test_hints_fit_and_start_with_what_matters_most(view: str, width: int) -> None:
    line = hint_line(view, width=width)  # type: ignore[arg-type]
    assert width_of(line) == width
    first = next(action for action in hints(view) if action.id != f"show_{view}")  # type: ignore[arg-type]
    assert width < 40 or first.label in text(line)


def test_acts_that_are_off_are_not_offered() -> None:
    assert "kill" not in text(hint_line("runs", width=160, without=["kill", "kill_many"]))


@pytest.mark.parametrize("width", [40, 80, 160])
def test_the_help_names_every_act(width: int) -> None:
    words = " ".join(" ".join(text(line).split()) for line in help_lines(width=width))
    assert all(action.key_text in words for action in ACTIONS)
    assert all(width_of(line) <= width for line in help_lines(width=width))


def test_enter_never_decides_and_no_decision_sits_on_a_control_key() -> None:
    decisions = {"approve", "edit", "reject", "respond", "kill", "kill_many", "send_draft", "release"}
    assert {BY_KEY[view, "enter"].id for view, key in BY_KEY if key == "enter"} == {"open"}
    assert all(len(key) == 1 for action in ACTIONS if action.id in decisions for key in action.keys)
