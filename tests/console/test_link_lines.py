"""What is said of the link to the hub: how old what is shown is, and that nothing is decided on what is old."""

from __future__ import annotations

from datetime import UTC
from typing import Any

import pytest
from textual.pilot import Pilot

from opsconsole.console import sample
from opsconsole.console.sample import NOW
from opsconsole.console.view.frame_lines import header
from opsconsole.console.view.line import Line
from opsconsole.console.view.link_lines import ENDS_SOON_SECONDS, banner, link_mark
from opsconsole.console.view.outbox import Sent
from opsconsole.console.view.session import Session
from opsconsole.domain.command import Do
from opsconsole.protocol.frames import Beat, Command, Snap, Welcome
from tests.console.conftest import OpenConsole
from tests.console.support import Bench, Seat, whole


def online(**told: Any) -> Session:
    session = Session(wall=NOW, now=0.0, zone=UTC)
    welcome = Welcome(epoch="e", conn="c", principal="ana", role="operator", beat_seconds=10, time=NOW, **told)
    session.opened(welcome, now=0.0)
    session.received(Snap(sub="board", epoch="e", part=0, end=True, rev=1, rows=sample.runs()), now=0.0)
    session.received(Snap(sub="approvals", epoch="e", part=0, end=True, rev=1, rows=sample.approvals()), now=0.0)
    return session


def text(line: Line | None) -> str:
    return "" if line is None else "".join(part for part, _ in line).rstrip()


@pytest.mark.parametrize(
    ("silent", "mark"),
    [
        (2.9, " ● live "),
        (3.1, " ◌ behind 3 s "),
        (4.0, " ◌ behind 4 s "),
        (6.9, " ◌ behind 7 s "),
        (7.0, " ◌ SILENT "),
        (24.0, " ◌ SILENT "),
    ],
)
def test_one_sign_missed_is_said_at_once_and_three_are_a_silence(silent: float, mark: str) -> None:
    assert link_mark(online(sign_seconds=2.0), now=silent)[0] == mark


@pytest.mark.parametrize(("silent", "mark"), [(10.9, " ● live "), (11.1, " ◌ behind 11 s "), (15.0, " ◌ SILENT ")])
def test_of_a_hub_that_shows_itself_seldom_silence_is_said_in_time_all_the_same(silent: float, mark: str) -> None:
    assert link_mark(online(), now=silent)[0] == mark


def test_a_slow_line_is_behind_and_not_silent() -> None:
    session = online(sign_seconds=2.0)
    session.link.bytes_at = 8.0
    assert (link_mark(session, now=9.0)[0], session.is_fresh(now=9.0)) == (" ◌ behind 9 s ", True)


def test_a_sign_of_life_makes_it_live_again() -> None:
    session = online(sign_seconds=2.0)
    session.received(Beat(n=1, now=NOW + 9.0), now=9.0)
    assert link_mark(session, now=9.5)[0] == " ● live "


def test_a_silent_hub_is_not_called_live_and_its_ages_stand_still() -> None:
    words = text(header(online(sign_seconds=2.0), now=300.0, width=80))
    assert ("◌ SILENT" in words, "live" in words, "oldest 3m50" in words) == (True, False, True)


def test_there_is_no_banner_while_the_hub_speaks() -> None:
    assert banner(online(), now=14.0, width=80, zone=UTC) is None


@pytest.mark.parametrize(
    ("width", "words"),
    [
        (110, " ◌ SILENT 16s · as of 03:12:44 · the hub says nothing: decisions are off, a kill is sent"),
        (80, " ◌ SILENT 16s · as of 03:12:44 · decisions are off"),
        (40, " ◌ SILENT 16s · decisions are off"),
    ],
    ids=["110", "80", "40"],
)
def test_a_silent_hub_is_said_to_be_silent(width: int, words: str) -> None:
    assert text(banner(online(), now=16.0, width=width, zone=UTC)) == words


def test_what_was_sent_into_the_silence_is_counted() -> None:
    session = online(sign_seconds=2.0)
    session.give(Command(cmd="c", do=Do.DECIDE, run="r", approval="a"), now=4.0)
    assert text(banner(session, now=9.0, width=80, zone=UTC)) == (
        " ◌ SILENT 9s · as of 03:12:44 · decisions are off · 1 sent, not answered"
    )


@pytest.mark.parametrize(
    ("width", "words"),
    [
        (80, " ✖ OFFLINE 6m40 · as of 03:12:44 · 1 kill queued · decisions are off"),
        (60, " ✖ OFFLINE 6m40 · 1 kill queued · decisions are off"),
        (40, " ✖ OFFLINE 6m40 · decisions off"),
    ],
    ids=["80", "60", "40"],
)
def test_that_decisions_are_off_is_the_last_thing_left_out(width: int, words: str) -> None:
    session = online()
    session.closed(now=2.0, code=1006, reason="", final=False, retry_at=17.0)
    session.give(Command(cmd="c", do=Do.KILL, run="r"), now=3.0)
    assert text(banner(session, now=400.0, width=width, zone=UTC)) == words


def test_while_it_tries_it_says_so_and_counts_no_seconds() -> None:
    session = online()
    session.closed(now=2.0, code=1006, reason="", final=False, retry_at=4.0)
    session.trying()
    assert text(banner(session, now=6.0, width=80, zone=UTC)) == (
        " ✖ OFFLINE 6s · as of 03:12:44 · decisions are off · trying now"
    )


def test_a_token_that_ends_soon_is_said_to_end() -> None:
    session = online(token_ends=NOW + 600.0)
    assert text(banner(session, now=0.0, width=80, zone=UTC)) == (
        " ▲ this token ends in 10m, at 03:22:44: opsconsole tokens create makes another"
    )
    assert banner(online(token_ends=NOW + ENDS_SOON_SECONDS + 1), now=0.0, width=80, zone=UTC) is None


def test_what_waits_for_a_link_that_is_refused_is_given_up_at_once() -> None:
    session = online()
    session.closed(now=2.0, code=1006, reason="", final=False, retry_at=4.0)
    session.give(Command(cmd="c", do=Do.KILL, run="run_1"), now=3.0)
    session.closed(now=4.0, code=401, reason="", final=True, retry_at=None)
    assert [(notice.text, notice.loud) for notice in session.tick(now=4.0)] == [
        (
            "NOT SENT: kill run_1 cannot be sent, the hub refuses this console. "
            "Nothing was stopped; look again and press the key again.",
            True,
        )
    ]
    assert session.outbox.entries["c"].status is Sent.EXPIRED


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


async def fallen_silent(seat: Seat, seconds: float) -> None:
    seat.link.beats = False
    await seat.settle(seconds)


async def test_a_silent_hubs_rows_are_dimmed_and_their_ages_stand_still(console: OpenConsole) -> None:
    async with console(size=(120, 30)) as seat:
        await fallen_silent(seat, 15.0)
        rows = seat.screen.splitlines()[2:-3]
        assert (seat.app.runs_panel.list.dimmed, "◌ SILENT" in seat.screen) == (True, True)
        await seat.settle(9.0)
        assert seat.screen.splitlines()[2:-3] == rows


@pytest.mark.parametrize("key", ["a", "e", "d", "r", "s", "c"])
async def test_nothing_is_decided_on_what_a_silent_hub_said(console: OpenConsole, key: str) -> None:
    async with console() as seat:
        await seat.press("2")
        await fallen_silent(seat, 15.0)
        await seat.press(key)
        assert (seat.link.commands, seat.app.view, seat.app.prompt.is_open) == ([], "approvals", False)
        assert seat.note.startswith("not sent: the hub has said nothing for 1")
        assert "approve" not in seat.screen.splitlines()[-1]


async def test_a_kill_is_sent_to_a_silent_hub(console: OpenConsole) -> None:
    async with console() as seat:
        await seat.go("hanger")
        await fallen_silent(seat, 15.0)
        await seat.press("x")
        assert [command.do for command in seat.link.commands] == [Do.KILL]


async def test_with_a_refused_token_a_kill_is_not_queued_but_said_to_be_impossible(console: OpenConsole) -> None:
    async with console() as seat:
        await seat.go("hanger")
        seat.link.close(code=4501, final=True)
        await seat.settle()
        assert "kill" not in seat.screen.splitlines()[-1]
        await seat.press("x")
        assert (seat.app.session.outbox.entries, seat.link.commands) == ({}, [])
        assert seat.note.startswith("kill cannot be sent: the token has expired or was revoked; ^r tries")
        assert "QUEUED" not in seat.screen


async def test_an_observer_is_offered_nothing_that_acts_and_may_do_nothing(console: OpenConsole) -> None:
    async with console(size=(200, 30)) as seat:
        seat.link.open(role="observer")
        await seat.settle()
        for keys, off in (("1", ("kill", "pause", "take over")), ("2", ("approve", "reject", "grant"))):
            await seat.press(keys)
            offered = seat.screen.splitlines()[-1]
            assert not [word for word in off if word in offered]
        await seat.press("a", "1", "x")
        assert (seat.link.commands, seat.note) == (
            [],
            "kill needs the role operator: ana is observer, who may look",
        )


@pytest.mark.parametrize("size", [(80, 24), (160, 45)], ids=["80", "160"])
@pytest.mark.parametrize("seconds", [4.0, 9.0], ids=["behind", "silent"])
def test_a_hub_that_says_nothing(snap_compare: Any, seconds: float, size: tuple[int, int]) -> None:
    bench = Bench()

    async def before(pilot: Pilot[int]) -> None:
        bench.fill()
        bench.link.open(sign_seconds=2.0)
        await pilot.press("2")
        bench.clock.now += seconds
        await whole(bench.app, pilot)

    assert snap_compare(bench.app, terminal_size=size, run_before=before)
