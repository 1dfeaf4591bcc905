"""The machine of every answer: its table, and what a caller may not do."""

from __future__ import annotations

import re
from itertools import product

import pytest

from opsconsole.gateway.dialect import machine
from opsconsole.gateway.dialect.interface import Answered, Done, ModelCall, Pass, Piece, Stands, Text
from opsconsole.gateway.dialect.machine import NEXT, TAKING, NotHeld, Sight, State, joined, note, unique
from tests.gateway.dialect.chat_wire import DIALECT, ONE_CALL, TWO_CALLS, fed, request


def test_the_diagram_is_the_table() -> None:
    rows = re.findall(r"^    (PASS|HOLD|HELD)(.{16,})$", machine.__doc__ or "", re.MULTILINE)
    columns = [sight.name for sight in (Sight.PLAIN, Sight.CALL, Sight.WHOLE, Sight.RULED, Sight.FAULT)]
    drawn = {
        (state, column): cells[6 + 16 * place : 22 + 16 * place].strip()
        for state, cells in rows
        for place, column in enumerate(columns)
    }
    table = {(state.name, sight.name): after.name for (state, sight), after in NEXT.items()}
    assert {key: after for key, after in drawn.items() if after} == table


def test_nothing_leads_out_of_the_end() -> None:
    over = (State.SETTLED, State.BROKEN)
    assert [pair for pair in product(over, Sight) if pair in NEXT] == []
    assert TAKING.isdisjoint(over)


def test_no_way_leads_from_a_call_to_the_client_but_a_ruling() -> None:
    assert {sight for (state, sight), after in NEXT.items() if after is State.SETTLED and state is not State.PASS} == {
        Sight.RULED
    }
    assert (State.HOLD, Sight.RULED) not in NEXT


def test_an_answer_is_settled_once() -> None:
    answer = DIALECT.answer(request())
    fed(answer, ONE_CALL)
    answer.settle({"call_A": Stands()})
    with pytest.raises(NotHeld):
        answer.settle({"call_A": Stands()})


def test_every_call_needs_a_ruling_and_the_answer_still_waits_for_it() -> None:
    answer = DIALECT.answer(request())
    fed(answer, TWO_CALLS)
    with pytest.raises(KeyError):
        answer.settle({"call_A": Stands()})
    assert answer.settle({"call_A": Stands(), "call_B": Stands()})


def test_an_answer_with_a_call_that_stands_is_not_asked_again() -> None:
    answer = DIALECT.answer(request())
    fed(answer, ONE_CALL)
    with pytest.raises(NotHeld):
        DIALECT.reask(request(), answer, {"call_A": Stands()})


def test_bytes_after_the_end_mean_nothing() -> None:
    answer = DIALECT.answer(request())
    fed(answer, ONE_CALL)
    assert answer.feed(ONE_CALL) == []


def call(id: str) -> ModelCall:
    return ModelCall(id=id, name="run", args={}, raw="")


@pytest.mark.parametrize(
    ("ids", "named"),
    [
        (["a", "b"], ["a", "b"]),
        (["a", "a", "a"], ["a", "a.1", "a.2"]),
        (["", ""], ["call.0", "call.1"]),
        (["a", "a", "a.1"], ["a", "a.1.1", "a.1"]),
    ],
)
def test_every_call_has_an_id_of_its_own(ids: list[str], named: list[str]) -> None:
    assert [each.id for each in unique([call(id) for id in ids])] == named


def test_a_note_says_each_reason_once() -> None:
    assert note(
        {"a": Answered(text="No."), "b": Stands(), "c": Answered(text=" No. "), "d": Answered(text="Never.")}
    ) == ("No.\nNever.")


def test_a_refusal_without_a_reason_is_noted_all_the_same() -> None:
    assert note({"a": Answered(text="")}) == "This call was not allowed."


def test_what_one_read_brings_is_passed_on_in_one_piece() -> None:
    pieces: list[Piece] = [Text(text="a"), Pass(b"1"), Text(text="b"), Pass(b"2"), Text(text="t", role="thought")]
    assert joined([*pieces, Done(finish="stop")]) == [
        Pass(b"12"),
        Text(text="ab"),
        Text(text="t", role="thought"),
        Done(finish="stop"),
    ]
