"""Held calls decided together: each by its own digest, none that changed, and never by a key that came too soon."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsconsole.console.sample import NOW, approval
from opsconsole.console.view.batch import TOGETHER_MAX, Chosen, batch_lines, not_together, wants_number
from opsconsole.console.view.effect import Effect
from opsconsole.console.view.fuse import BadFuse, to_grant
from opsconsole.console.view.ingest import HeldCall, held_call
from opsconsole.console.view.line import width_of
from opsconsole.console.view.queue import Queue
from opsconsole.console.view.reasons import REASONS, reason_of
from opsconsole.domain.approval import Answer
from opsconsole.domain.command import Do
from opsconsole.protocol.frames import Command, Snap
from tests.console.conftest import OpenConsole
from tests.console.support import Seat
from tests.console.test_hostile import EVIL, FORBIDDEN, check

LIMIT_SECONDS = 30.0


def mail(at: int, **more: Any) -> dict[str, Any]:
    args = {"to": f"c{at}@shop.example", "subject": "Sorry"}
    return approval(f"apr_m{at}", "run_01KAREFUND1", "refunds", "send_email", args, **{"risk": "low"} | more)


def queue_of(*rows: dict[str, Any]) -> Queue:
    queue = Queue()
    queue.rows.snap(Snap(sub="approvals", epoch="e", part=0, end=True, rev=1, rows=list(rows)))
    return queue


def held(row: dict[str, Any]) -> HeldCall:
    return held_call(row)


def mails(count: int) -> list[dict[str, Any]]:
    return [mail(at) for at in range(count)]


def test_alike_are_calls_of_the_same_agent_tool_and_rule() -> None:
    others = [mail(7, rule="other"), {**mail(8), "agent": "sre"}, mail(9, status="approved", decided_at=NOW)]
    queue, chosen = queue_of(*mails(3), *others), Chosen()
    assert chosen.take_alike(held(mail(0)), queue) == 3
    assert [one.key for one in chosen.calls(queue)] == ["apr_m0", "apr_m1", "apr_m2"]


def test_a_mark_goes_with_any_change_of_its_call() -> None:
    queue, chosen = queue_of(*mails(3)), Chosen()
    chosen.take_alike(held(mail(0)), queue)
    changed = {**mail(1), "digest": "sha256:other"}
    queue = queue_of(mail(0), changed, mail(2, status="approved", decided_at=NOW))
    assert sorted(chosen.drop_changed(queue)) == ["apr_m1", "apr_m2"]
    assert [one.key for one in chosen.calls(queue)] == ["apr_m0"]


def test_marking_twice_takes_the_mark_away() -> None:
    chosen = Chosen()
    assert [chosen.turn(held(mail(0))), chosen.turn(held(mail(0))), len(chosen)] == [True, False, 0]


def test_no_more_are_marked_than_can_be_looked_at() -> None:
    queue, chosen = queue_of(*mails(TOGETHER_MAX + 20)), Chosen()
    assert chosen.take_alike(held(mail(0)), queue) == TOGETHER_MAX


@pytest.mark.parametrize(
    ("count", "risk", "wants"), [(3, "low", False), (4, "low", True), (1, "high", True), (2, "medium", False)]
)
def test_many_or_risky_calls_want_their_number_typed(count: int, risk: str, wants: bool) -> None:
    assert wants_number([held(mail(at, risk=risk)) for at in range(count)]) is wants


@given(
    st.lists(st.dictionaries(st.text(max_size=5), st.text(max_size=20), max_size=4), min_size=1), st.integers(4, 120)
)
def test_every_line_of_a_batch_fits_and_is_harmless(arguments: list[dict[str, str]], width: int) -> None:
    rows = [approval(f"apr_{at}", "r", EVIL, EVIL, {**args, EVIL: EVIL}) for at, args in enumerate(arguments)]
    lines = batch_lines([held(row) for row in rows], now=NOW, width=width)
    assert {width_of(line) for line in lines} == {width}
    assert not any(FORBIDDEN.search(text) for line in lines for text, _ in line)


def test_what_is_the_same_stands_once_and_the_rest_with_each_call() -> None:
    lines = [
        "".join(text for text, _ in line) for line in batch_lines([held(row) for row in mails(2)], now=NOW, width=70)
    ]
    text = "\n".join(line.rstrip() for line in lines)
    assert text.count("subject = Sorry") == 1
    assert "to=c0@shop.example" in text
    assert "to=c1@shop.example" in text


def with_args(**args: Any) -> HeldCall:
    return held(approval("apr_x", "r", "refunds", "send_email", args, risk="low"))


@pytest.mark.parametrize(
    ("one", "other"),
    [(1, True), (1, 1.0), ({"a": 0}, {"a": False}), ("a\u200b", "a<U+200B>")],
    ids=["a number and true", "two kinds of number", "inside", "alike on screen"],
)
def test_only_what_is_exactly_the_same_stands_once(one: object, other: object) -> None:
    lines = batch_lines([with_args(n=one), with_args(n=other)], now=NOW, width=70)
    assert "THE SAME IN ALL" not in "".join(text for line in lines for text, _ in line)


@pytest.mark.parametrize(
    ("args", "is_whole"),
    [
        ({"body": "x" * 400}, True),
        ({"body": "x" * 401}, False),
        ({"body": ["x" * 400]}, False),
        ({"body": "\u200b" * 60}, False),
        ({"n" * 401: 1}, False),
        ({str(at): at for at in range(6)}, True),
        ({str(at): at for at in range(7)}, False),
        ({"a\u200b": 1, "a<U+200B>": 2}, False),
    ],
    ids=["fits", "long", "long inside", "long when shown", "a long name", "six", "seven", "names alike"],
)
def test_what_is_not_shown_whole_is_not_approved_together(args: dict[str, Any], is_whole: bool) -> None:
    assert (not_together([with_args(**args)]) == "") is is_whole


def test_calls_that_are_too_much_together_are_not_approved_together() -> None:
    calls = [with_args(**{str(at): "x" * 400 for at in range(6)})] * 50
    assert [not_together(calls[:20]), "mark fewer" in not_together(calls)] == ["", True]


def test_every_argument_that_may_be_approved_is_among_the_lines() -> None:
    calls = [with_args(**{str(at): f"{call:03}" + "x" * 390 + "END" for at in range(6)}) for call in range(30)]
    text = "".join(text.strip("│↪ ") for line in batch_lines(calls, now=NOW, width=40) for text, _ in line)
    assert (not_together(calls), text.count("END"), "not all is shown" in text) == ("", 180, False)


@pytest.mark.parametrize(
    ("typed", "reason"),
    [("2", REASONS[1]), (" no thanks ", "no thanks"), ("99", "99"), ("²", "²"), ("1" * 5_000, "1" * 5_000), ("", "")],
    ids=["number", "words", "no such number", "superscript", "very long", "nothing"],
)
def test_a_reason_is_typed_or_chosen_by_its_number(typed: str, reason: str) -> None:
    assert reason_of(typed) == reason


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("5 30m", (5, 1_800.0, "run")),
        ("1  2 h AGENT", (1, 7_200.0, "agent")),
        ("1000 7d run", (1_000, 604_800.0, "run")),
    ],
)
def test_a_grant_is_typed_in_three_words(typed: str, meant: tuple[int, float, str]) -> None:
    asked = to_grant(typed)
    assert (asked.uses, asked.seconds, asked.scope) == meant


@pytest.mark.parametrize("typed", ["", "5", "0 5m", "5 0m", "5 8d", "1001 1m", "5 5m everyone", "-1 5m", "5 5"])
def test_what_is_no_grant_is_refused(typed: str) -> None:
    with pytest.raises(BadFuse):
        to_grant(typed)


# in the console


async def at_mails(seat: Seat, count: int, **more: Any) -> None:
    seat.link.snap("approvals", [mail(at, **more) for at in range(count)])
    await seat.press("2", "g")


def decisions(seat: Seat) -> list[tuple[str | None, Answer | None, str | None, str | None]]:
    return [(one.approval, one.answer, one.digest, one.note) for one in seat.link.commands]


def bound(count: int, answer: Answer, note: str | None = None) -> list[tuple[Any, ...]]:
    return [(f"apr_m{at}", answer, mail(at)["digest"], note) for at in range(count)]


async def test_marked_calls_are_approved_at_once_each_by_its_own_digest(console: OpenConsole) -> None:
    async with console() as seat:
        await at_mails(seat, 3)
        await seat.press("space", "space", "space")
        await seat.read_on()
        await seat.press("a")
        assert decisions(seat) == bound(3, Answer.APPROVE)


async def test_more_than_a_few_are_approved_only_after_their_number(console: OpenConsole) -> None:
    async with console() as seat:
        await at_mails(seat, 5)
        await seat.press("equals_sign")
        await seat.read_on()
        await seat.press("a")
        assert (seat.link.commands, seat.app.prompt.is_open) == ([], True)
        await seat.type("5")
        await seat.press("enter")
        assert decisions(seat) == bound(5, Answer.APPROVE)


async def test_another_number_approves_nothing(console: OpenConsole) -> None:
    async with console() as seat:
        await at_mails(seat, 5)
        await seat.press("equals_sign")
        await seat.read_on()
        await seat.press("a")
        await seat.type("4")
        await seat.press("enter")
        assert (seat.link.commands, seat.note) == ([], "nothing was approved: that is not the number")


async def test_marked_calls_are_rejected_with_one_reason(console: OpenConsole) -> None:
    async with console() as seat:
        await at_mails(seat, 2)
        await seat.press("equals_sign", "d")
        await seat.type("3")
        await seat.press("enter")
        assert decisions(seat) == bound(2, Answer.REJECT, REASONS[2])


async def test_a_call_that_changed_while_the_number_was_typed_is_left_out(console: OpenConsole) -> None:
    async with console() as seat:
        await at_mails(seat, 5)
        await seat.press("equals_sign")
        await seat.read_on()
        await seat.press("a")
        seat.link.delta("approvals", [{**mail(1), "digest": "sha256:other"}])
        await seat.type("5")
        await seat.press("enter")
        assert [key for key, *_ in decisions(seat)] == ["apr_m0", "apr_m2", "apr_m3", "apr_m4"]
        assert seat.note.startswith("approve 4 calls: sent; 1 left out: this call changed")


async def test_a_marked_call_that_changes_loses_its_mark_and_voids_the_key(console: OpenConsole) -> None:
    async with console() as seat:
        await at_mails(seat, 3)
        await seat.press("equals_sign")
        await seat.read_on()
        seat.link.delta("approvals", [{**mail(1), "digest": "sha256:other"}])
        await seat.rush("a")
        assert seat.link.commands == []
        assert len(seat.app.approvals_panel.chosen) == 2


async def test_what_was_marked_this_moment_cannot_be_approved_yet(console: OpenConsole) -> None:
    async with console() as seat:
        await at_mails(seat, 3)
        await seat.rush("equals_sign")
        seat.clock.now += 0.3
        await seat.rush("a")
        assert seat.link.commands == []
        assert "less than 0.4 s" in seat.note


async def test_escape_takes_the_marks_away_before_it_leaves(console: OpenConsole) -> None:
    async with console() as seat:
        await at_mails(seat, 3)
        await seat.press("equals_sign", "escape")
        assert (len(seat.app.approvals_panel.chosen), seat.app.view) == (0, "approvals")


@pytest.mark.parametrize("key", ["e", "r", "s", "c", "P"])
async def test_what_is_about_one_call_is_refused_while_several_are_marked(console: OpenConsole, key: str) -> None:
    async with console() as seat:
        await at_mails(seat, 3)
        await seat.press("equals_sign", key)
        assert (seat.link.commands, seat.app.view) == ([], "approvals")
        assert "3 calls marked" in seat.note


async def test_marks_do_not_survive_the_end_of_the_link_as_decisions(console: OpenConsole) -> None:
    async with console() as seat:
        await at_mails(seat, 3)
        await seat.press("equals_sign")
        await seat.read_on()
        seat.link.close()
        await seat.press("a")
        assert seat.link.commands == []
        assert seat.note.startswith("nothing was sent: not sent: the link to the hub is down")


async def test_within_300_ms_of_a_change_under_the_cursor_nothing_is_approved(console: OpenConsole) -> None:
    async with console() as seat:
        await at_mails(seat, 1)
        seat.link.delta("approvals", [{**mail(0), "digest": "sha256:other"}])
        seat.app.redraw()
        seat.clock.now += 0.3
        await seat.rush("a")
        assert seat.link.commands == []


async def test_a_change_that_was_not_painted_yet_voids_the_key(console: OpenConsole) -> None:
    async with console() as seat:
        await at_mails(seat, 1)
        seat.link.delta("approvals", [{**mail(0), "digest": "sha256:other"}])
        await seat.rush("a")
        assert seat.link.commands == []


async def test_a_claim_says_who_looks(console: OpenConsole) -> None:
    async with console() as seat:
        await at_mails(seat, 1)
        await seat.press("c")
        assert seat.link.commands == [Command(cmd="cmd_1", do=Do.CLAIM, run="run_01KAREFUND1", approval="apr_m0")]


async def test_a_call_is_passed_on_by_name(console: OpenConsole) -> None:
    async with console() as seat:
        await at_mails(seat, 1)
        await seat.press("P")
        await seat.type("ben")
        await seat.press("enter")
        assert [(one.do, one.approval, one.text) for one in seat.link.commands] == [(Do.CLAIM, "apr_m0", "ben")]


async def test_a_grant_with_a_fuse_is_bound_to_the_digest_on_screen(console: OpenConsole) -> None:
    async with console() as seat:
        await at_mails(seat, 1)
        await seat.press("s", "enter")
        (command,) = seat.link.commands
        assert (command.do, command.approval, command.digest) == (Do.GRANT, "apr_m0", mail(0)["digest"])
        assert command.grant == to_grant("5 30m")


async def test_a_masked_call_is_never_granted(console: OpenConsole) -> None:
    async with console() as seat:
        await at_mails(seat, 1, masked=True)
        await seat.press("s", "enter")
        assert (seat.link.commands, seat.note) == (
            [],
            "its arguments hold a secret: such calls are asked about each time",
        )


async def test_the_effect_is_looked_up_and_its_arrival_voids_a_key(console: OpenConsole) -> None:
    known = threading.Event()

    def look_up(source: str, args: object) -> Effect:
        assert known.wait(LIMIT_SECONDS)
        return Effect(source=source, words="w!")

    async with console(size=(120, 30)) as seat:
        pages = seat.app.pages
        pages._sources, pages._look_up = {"send_email": "sqlite:x"}, look_up
        await at_mails(seat, 1)
        assert "not known: it is being looked up" in seat.screen
        known.set()
        await pages.settled()
        await seat.rush("a")
        assert seat.link.commands == []
        await seat.settle()
        assert "EFFECT w!" in seat.screen
        assert "nothing was run; looked up in sqlite:x" in seat.screen
        await seat.press("a")
        assert decisions(seat) == bound(1, Answer.APPROVE)


async def test_arguments_that_were_never_on_the_screen_are_not_approved(console: OpenConsole) -> None:
    async with console() as seat:
        body = {"args": {"to": "x", "body": "fine " * 100 + "DROP"}}
        seat.link.snap("approvals", [mail(0), {**mail(1), **body}])
        await seat.press("2", "g", "equals_sign", "a")
        assert seat.link.commands == []
        assert seat.note == "1 call marked are too long to be shown together: approve them alone"


def every_row(source: str, args: Mapping[str, Any]) -> Effect:
    """Of the first mail everything, of the second nothing known, of the others one row."""
    if args["to"].startswith("c0"):
        return Effect(source=source, words="deletes 9 of 9 rows: EVERY ROW", rows=9, rows_are_all=True)
    if args["to"].startswith("c1"):
        return Effect(source=source, problem="no such table")
    return Effect(source=source, words="deletes 1 of 9 rows", rows=1)


@pytest.mark.parametrize(
    ("first", "note"),
    [
        (0, "1 call marked would touch EVERY ROW of a table: approve them alone"),
        (1, "what 1 call marked would do is not known: wait, or approve them alone"),
        (2, "approve 2 calls: sent"),
    ],
)
async def test_what_is_approved_together_has_a_known_effect_and_never_on_every_row(
    console: OpenConsole, first: int, note: str
) -> None:
    async with console(size=(120, 40)) as seat:
        pages = seat.app.pages
        pages._sources, pages._look_up = {"send_email": "sqlite:x"}, every_row
        seat.link.snap("approvals", [mail(first), mail(5), mail(6)][: 3 if first < 2 else 2])
        await seat.press("2", "g", "equals_sign")
        for _ in range(4):
            await pages.settled()
            await seat.settle()
        await seat.press("a")
        assert seat.note == note
        assert bool(decisions(seat)) is (first == 2)


async def test_the_effect_of_each_marked_call_is_shown(console: OpenConsole) -> None:
    async with console(size=(120, 40)) as seat:
        pages = seat.app.pages
        pages._sources, pages._look_up = {"send_email": "sqlite:x"}, every_row
        await at_mails(seat, 3)
        await seat.press("equals_sign")
        for _ in range(4):
            await pages.settled()
            await seat.settle()
        shown = [line.split("EFFECT ")[1] for line in seat.screen.splitlines() if "EFFECT " in line]
        assert [words.split(": ", 1)[1].strip(" │") for words in shown] == [
            "deletes 9 of 9 rows: EVERY ROW",
            "not known: no such table",
            "deletes 1 of 9 rows",
        ]


async def test_the_last_steps_stand_below_the_call(console: OpenConsole) -> None:
    async with console(size=(120, 45)) as seat:
        await seat.press("2", "g")
        row = {"position": 1, "gen": "g", "at": NOW - 500, "event": {"seq": 1, "ts": 0, "type": "note", "text": "STEP"}}
        seat.link.snap(seat.link.tail(), [row], rev=9)
        await seat.settle()
        assert "BEFORE IT ASKED" in seat.screen
        assert "STEP" in seat.screen


async def test_hostile_calls_stay_harmless_when_they_are_marked(console: OpenConsole) -> None:
    async with console() as seat:
        rows = [approval(f"apr_{at}", "run_evil", EVIL, EVIL, {EVIL: EVIL, "n": at}) for at in range(4)]
        seat.link.snap("approvals", rows)
        await seat.press("2", "g", "equals_sign")
        check(seat)
