"""A held call on one line of the queue: how risky, whose, and what it acts on, at every width."""

from __future__ import annotations

from typing import Any

import pytest

from opsconsole.console.sample import NOW, approval
from opsconsole.console.view.call_in_short import call_in_short
from opsconsole.console.view.held_call import held_call_facts, queue_line
from opsconsole.console.view.ingest import held_call
from opsconsole.protocol.rows import ApprovalRow
from tests.console.conftest import OpenConsole

MAIL = {"body": "We are sorry that your order has not come yet.", "subject": "Your order", "to": "ana@acme.example"}


def held(**more: Any) -> ApprovalRow:
    return held_call(approval("apr_1", "run_01KAMAIL77", "mailer", "send_mail", MAIL, **more)).row


def line(width: int, **more: Any) -> str:
    return "".join(text for text, _ in queue_line(held(**more), now=NOW, width=width, me="ana"))


@pytest.mark.parametrize("width", [20, 40, 52, 61, 70, 78, 120])
def test_the_risk_is_a_word_at_every_width(width: int) -> None:
    words = {risk: line(width, risk=risk) for risk in ("low", "medium", "high", "critical")}
    assert ["LOW" in words["low"], "MED" in words["medium"], "HIGH" in words["high"], "CRIT" in words["critical"]] == [
        True
    ] * 4


@pytest.mark.parametrize("width", [52, 61, 70, 120])
def test_the_agent_is_named_wherever_a_list_stands_beside_its_text(width: int) -> None:
    assert "mailer" in line(width)


@pytest.mark.parametrize("width", [52, 61, 70])
def test_what_a_call_acts_on_is_not_what_is_cut(width: int) -> None:
    assert "to=ana" in line(width)


@pytest.mark.parametrize(
    ("args", "written"),
    [
        (MAIL, "to=ana@acme.example  subject=Your order  body=We are sorry that your order has not come yet."),
        ({"parameters": {"cents": 5}, "sql": "UPDATE x"}, 'sql=UPDATE x  parameters={"cents": 5}'),
        ({"config": [[1], {}], "n": True, "order_id": 7}, 'order_id=7  n=true  config=["…", {}]'),
        ({"text": "x" * 90, "b": "short"}, f"b=short  text={'x' * 59}…"),
        ({"to": "a\x1b[2Jb", "b\u202e": None}, "to=a␛[2Jb  b<U+202E>=null"),
        ({}, ""),
    ],
    ids=["mail", "sql", "id", "long", "hostile", "none"],
)
def test_what_identifies_a_call_comes_first_and_what_is_long_last(args: dict[str, Any], written: str) -> None:
    assert call_in_short(args) == written


def test_a_huge_call_is_in_short_at_once() -> None:
    assert len(call_in_short({f"k{at}": ["x" * 100_000] * 1_000 for at in range(100)})) < 12 * 80


@pytest.mark.parametrize(
    ("claim", "mark"),
    [
        ({"claimed_by": "ana", "passed_by": "ben"}, "→you "),
        ({"claimed_by": "ana"}, "◉you "),
        ({"claimed_by": "ben", "passed_by": "ana"}, "→ben "),
        ({"claimed_by": "ben"}, "◉ben "),
        ({}, ""),
        ({"claimed_by": "ana", "passed_by": "ben", "status": "approved"}, ""),
    ],
    ids=["passed to me", "mine", "passed on", "another's", "nobody's", "settled"],
)
def test_the_queue_marks_whose_a_call_is(claim: dict[str, Any], mark: str) -> None:
    assert [part for part in ("→you ", "◉you ", "→ben ", "◉ben ") if part in line(70, **claim)] == [mark] * bool(mark)


def test_a_long_name_of_who_looks_is_cut_and_counts_nobody() -> None:
    assert "◉operato… to=" in line(70, claimed_by="operator@bootstrap")


def test_who_passed_a_call_on_is_told_with_it() -> None:
    call = held_call(approval("apr_1", "run_1", "mailer", "send_mail", MAIL, claimed_by="ana", passed_by="ben"))
    facts = ["".join(text for text, _ in one) for one in held_call_facts(call, None, now=NOW, width=80)]
    assert "CLAIM passed on to ana by ben" in facts


# in the console


async def test_a_call_that_is_passed_on_rings_and_is_counted_in_the_first_line(console: OpenConsole) -> None:
    async with console(size=(120, 30)) as seat:
        await seat.press("2")
        held = seat.app.approvals_panel.current()
        assert held is not None
        rung: list[str] = []
        seat.app.write_raw = rung.append  # type: ignore[method-assign]
        seat.app.ringer.way = "osc9"
        await seat.settle()
        told = held.row.model_dump(mode="json") | {"claimed_by": "ana", "passed_by": "ben"}
        seat.link.delta("approvals", [told])
        await seat.settle()
        assert "1 call passed on to you" in "".join(rung)
        assert "→1 you" in seat.screen.splitlines()[0]


async def test_a_proposed_answer_is_replaced_by_what_is_typed(console: OpenConsole) -> None:
    async with console() as seat:
        await seat.press("2", "s")
        assert seat.app.prompt.input.value == "5 30m"
        await seat.type("2 1h")
        assert seat.app.prompt.input.value == "2 1h"


async def test_what_a_grant_is_stands_above_its_question_to_the_end(console: OpenConsole) -> None:
    async with console(size=(120, 30)) as seat:
        await seat.press("2", "s")
        told = "a grant is 5 30m or 5 30m agent: how many calls, for how long, of this run or of its agent"
        assert (seat.note, "grant later calls like it: 5 30m" in seat.screen) == (told, True)


async def test_a_filter_that_stands_is_gone_on_with(console: OpenConsole) -> None:
    async with console() as seat:
        await seat.press("slash")
        await seat.type("sre")
        await seat.press("enter", "slash")
        await seat.type(" !x")
        assert seat.app.prompt.input.value == "sre !x"
