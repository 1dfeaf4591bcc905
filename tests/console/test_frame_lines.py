"""Header, banner, hints and help: the link first, every key from the registry."""

from datetime import UTC

import pytest

from opsconsole.console import sample
from opsconsole.console.actions import ACTIONS, BY_KEY, EVERYWHERE, hints
from opsconsole.console.sample import NOW
from opsconsole.console.view.frame_lines import banner, header, help_lines, hint_line
from opsconsole.console.view.line import Line, width_of
from opsconsole.console.view.session import Session
from opsconsole.domain.command import Do
from opsconsole.protocol.frames import Command, Snap, Welcome


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


def test_there_is_no_banner_while_the_hub_speaks() -> None:
    assert banner(online(), now=14.0, width=80, zone=UTC) is None


def test_a_silent_hub_is_said_to_be_silent() -> None:
    assert (
        text(banner(online(), now=16.0, width=80, zone=UTC))
        == " ▲ the hub has been silent for 16s: what is shown may be old"
    )


def test_a_silent_hub_is_not_called_live() -> None:
    assert "◌ SILENT" in text(header(online(), now=16.0, width=80))
    assert "live" not in text(header(online(), now=16.0, width=80))


def test_a_lost_link_says_how_old_the_data_is_and_when_it_tries_again() -> None:
    session = online()
    session.closed(now=2.0, code=1006, reason="", final=False, retry_at=17.0)
    assert text(banner(session, now=14.0, width=120, zone=UTC)) == (
        " ✖ OFFLINE 14s · as of 03:12:44 · retry in 3s · ^r now · runs GO ON, decisions are off"
    )


def test_a_queued_kill_is_in_the_banner() -> None:
    session = online()
    session.closed(now=2.0, code=1006, reason="", final=False, retry_at=17.0)
    session.give(Command(cmd="c", do=Do.KILL, run="r"), now=3.0)
    assert "1 kill queued" in text(banner(session, now=4.0, width=60, zone=UTC))


@pytest.mark.parametrize("code", [401, 403, 426, 4500, 4501, 4503, 4504, 4505, 4599])
def test_a_refusal_says_what_a_person_should_do(code: int) -> None:
    session = online()
    session.closed(now=2.0, code=code, reason="why", final=True, retry_at=None)
    words = text(banner(session, now=3.0, width=200, zone=UTC))
    assert words.startswith(f" ✖ REFUSED by the hub ({code} why): ")
    assert words.endswith("^r tries again")


@pytest.mark.parametrize(
    ("width", "words"),
    [
        (
            160,
            " ✖ REFUSED by the hub: the token is not accepted, or no longer: check --token, OPSCONSOLE_TOKEN "
            "or the operator.token file · as of 03:12:44 · ^r tries again",
        ),
        (100, " ✖ REFUSED (401): the token is not accepted, or no longer · as of 03:12:44 · ^r tries again"),
        (80, " ✖ REFUSED: the token is not accepted, or no longer · as of 03:12:44"),
        (60, " ✖ REFUSED: the token is not accepted, or no longer"),
    ],
    ids=["160", "100", "80", "60"],
)
def test_a_refusal_says_how_old_the_data_is_on_any_screen(width: int, words: str) -> None:
    session = online()
    session.closed(now=2.0, code=401, reason="HTTP 401", final=True, retry_at=None)
    assert text(banner(session, now=60.0, width=width, zone=UTC)).rstrip() == words


def test_before_the_first_welcome_it_connects_and_shows_no_age() -> None:
    session = Session(wall=NOW, now=0.0, zone=UTC)
    session.closed(now=1.0, code=0, reason="nothing answers there", final=False, retry_at=2.0)
    assert text(banner(session, now=1.0, width=80, zone=UTC)) == " … connecting: nothing answers there · retry in 1s"


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
