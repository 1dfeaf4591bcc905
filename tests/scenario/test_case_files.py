"""A scenario written as a case file is read back as it was; what is wrong with a file is told by line."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsconsole.domain.tool_call import CallKind, CallStatus, Risk
from opsconsole.policy.interface import Decision
from opsconsole.scenario.case import (
    AnswerCall,
    Claim,
    Expectation,
    Message,
    Scenario,
    ToolCall,
    Turn,
)
from opsconsole.scenario.reading import CaseError, read
from opsconsole.scenario.toml_text import NotToml, assignment
from opsconsole.scenario.writing import written

SCENARIO = Scenario(
    name="Refund 1042",
    agent="refunds",
    run="run_1",
    started_at=1_780_000_000.25,
    labels={"team": "shop", "a b": "c"},
    starter="ana@acme.example",
    policy="sha256:then",
    state="completed",
    steps_left_out=3,
    expectations=(
        Expectation(claim=Claim.VERDICTS, value="no weaker"),
        Expectation(claim=Claim.ASKS_BEFORE, value="run_sql", matching='say "DELETE"\\'),
        Expectation(claim=Claim.DENIES, value="shell|bash"),
        Expectation(claim=Claim.NEVER_CALLS, value="send_*", after="run_sql", matching="x"),
        Expectation(claim=Claim.STOPS_BY_TURN, value=8),
        Expectation(claim=Claim.COSTS_AT_MOST, value=0.2),
        Expectation(claim=Claim.DETECTS, value="loop", by_turn=6),
    ),
    steps=(
        Message(at=0.0, role="user", text='Two\nlines, a "quote", a \\ and """three""".\n'),
        Turn(
            at=1.5,
            model="gpt-4o",
            served_model="gpt-4o-2024",
            text="Ünïcödé 👋",
            calls=(AnswerCall(id="c1", tool="run_sql", args={"query": "DROP\tTABLE", "n": None}),),
            input_tokens=1_000,
            output_tokens=100,
            cost_usd=0.011,
        ),
        ToolCall(
            at=2.0,
            id="c1",
            tool="run_sql",
            args={"query": "DROP TABLE x", "limits": [1, 2.5, True, {"deep": "er"}]},
            masked=True,
            read_only=True,
            risk=Risk.HIGH,
            server="warehouse",
            annotations={"readOnlyHint": True},
            schema={"type": "object", "default": None},
            decision=Decision.ASK,
            rule="sql",
            facts={"sql": {"writes": True, "unknown": []}},
            answer="approve",
            status=CallStatus.COMPLETED,
            result="1 row\x1b[31m\u202e",
            left_out=9,
            duration_ms=12.5,
        ),
        ToolCall(at=2.5, id="c2", tool="run_sql", args={}, schema={"type": "object", "default": None}),
        ToolCall(at=2.6, id="c3", tool="no_tool", args={}, made_up=True),
        ToolCall(at=3.0, id="h1", tool="handoff", args={}, kind=CallKind.HANDOFF, target="other"),
    ),
)


def without_lines(scenario: Scenario) -> Scenario:
    return replace(scenario, expectations=tuple(replace(one, line=None) for one in scenario.expectations))


def test_the_schema_of_a_tool_stands_with_its_first_call_only() -> None:
    assert written(SCENARIO).count("schema_json") == 1


def test_a_case_file_is_read_back_as_it_was_written() -> None:
    assert without_lines(read(written(SCENARIO))) == SCENARIO


def test_what_nobody_would_see_is_spelt_out() -> None:
    text = written(SCENARIO)
    assert "\\u001B[31m\\u202E" in text
    assert all(char.isprintable() or char == "\n" for char in text)


def test_an_expectation_knows_its_line() -> None:
    text = written(SCENARIO)
    lines = text.splitlines()
    assert [lines[one.line - 1] for one in read(text).expectations if one.line] == ["[[expect]]"] * 7


TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
SCALARS = st.booleans() | st.integers(-(2**63) + 1, 2**63 - 1) | FLOATS | TEXTS
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner), max_leaves=12)


@given(TEXTS, VALUES)
def test_whatever_toml_can_hold_is_read_back(name: str, value: Any) -> None:
    assert tomllib.loads(assignment(name, value)) == {name: value}


@pytest.mark.parametrize("value", [None, 2**64, float("nan"), float("inf"), "\ud800", {"a": [None]}])
def test_what_toml_cannot_hold_is_refused(value: Any) -> None:
    with pytest.raises(NotToml):
        assignment("a", value)


@pytest.mark.parametrize("args", [{"a": None}, {"n": 2**70}, {"half": "\ud83d"}])
def test_arguments_that_toml_cannot_hold_stand_as_json(args: dict[str, Any]) -> None:
    scenario = replace(SCENARIO, steps=(ToolCall(at=0.0, id="c1", tool="x", args=args),))
    assert read(written(scenario)).calls[0].args == args


def test_a_result_with_half_a_character_is_written_without_it() -> None:
    scenario = replace(SCENARIO, steps=(ToolCall(at=0.0, id="c1", tool="x", args={}, result="\ud83d!"),))
    assert read(written(scenario)).calls[0].result == "?!"


HEAD = 'version = 1\nagent = "a"\n'


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("agent = ", "this is no TOML"),
        ('agent = "a"', "version is missing"),
        ('version = 2\nagent = "a"', "line 1: version: give a whole number from 1 to 1"),
        (HEAD + 'nmae = "x"', "line 3: nmae: unknown key; did you mean name?"),
        (HEAD + "[[expect]]\nasks_befor = 'x'", "line 3: expect[1]: give exactly one of asks_before"),
        (HEAD + "[[expect]]\ndetects = 'loop'\nstops_by_turn = 1", "line 3: expect[1]: give exactly one of"),
        (HEAD + "[[expect]]\nasks_before = 'a||b'", "line 4: expect[1].asks_before: is empty"),
        (HEAD + "[[expect]]\nverdicts = 'strict'", "line 4: expect[1].verdicts: give 'no weaker' or 'the same'"),
        (HEAD + "[[expect]]\nstops_by_turn = 0", "line 4: expect[1].stops_by_turn: give a whole number"),
        (HEAD + "[[expect]]\nstops_by_turn = 3\nmatching = 'x'", "line 5: expect[1].matching: unknown key"),
        (HEAD + "[[expect]]\ndetects = 'lop'", "expect[1].detects: unknown detector lop; did you mean loop?"),
        (HEAD + "[[steps]]\nkind = 'call'", "line 4: steps[1].kind: give one of message, turn, tool_call, handoff"),
        (HEAD + "[[steps]]\nkind = 'tool_call'", "line 3: steps[1]: tool is missing"),
        (HEAD + "[[steps]]\nkind = 'tool_call'\ntool = 'x'\nargs = 3", "line 6: steps[1].args: give a table"),
        (HEAD + "[[steps]]\nkind = 'tool_call'\ntool = 'x'\nargs_json = '{'", "steps[1].args_json: is no JSON"),
        (HEAD + "[[steps]]\nkind = 'message'\ntext = 'x'\nat = -1", "steps[1].at: give a number"),
        (HEAD + "[[steps]]\nkind = 'message'\nrole = 'boss'\ntext = 'x'", "steps[1].role: give one of"),
    ],
)
def test_a_problem_is_told_with_its_place(text: str, problem: str) -> None:
    with pytest.raises(CaseError) as caught:
        read(text)
    assert problem in str(caught.value)


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(CaseError) as caught:
        read("version = 1\nx = 1\ny = 2\n")
    assert [one.field for one in caught.value.problems] == ["", "x", "y"]


@given(st.text(max_size=200) | st.binary(max_size=200).map(lambda data: data.decode("utf-8", "replace")))
def test_no_text_makes_the_reader_raise_anything_else(text: str) -> None:
    try:
        read(HEAD + text)
    except CaseError:
        pass
