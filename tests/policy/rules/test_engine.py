"""The engine behind its wrapping: true is only what is true, and every error is a value that says so."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsconsole.policy.rules.engine import Bindings, Failed, compiled

VARIABLES = (("args", "json"), ("run.labels", "texts"), ("sql.tables", "list"), ("sql.writes", "bool"))
VALUES: dict[str, Any] = {"run.labels": {"team": "a"}, "sql.tables": ["orders"], "sql.writes": True}


def evaluated(text: str, args: dict[str, Any], **more: Any) -> bool | Failed:
    return compiled(text, VARIABLES).evaluate(Bindings(VARIABLES, VALUES | {"args": args} | more))


@pytest.mark.parametrize(
    ("text", "args", "expected"),
    [
        ("args.amount > 100.0", {"amount": 100.01}, True),
        ("args.amount > 100.0", {"amount": 250}, True),
        ("args.amount > 100.0", {"amount": 100}, False),
        ("args.amount >= 9223372036854775807", {"amount": 2**63 - 1}, True),
        ("!has(args.amount) || args.amount > 100.0", {}, True),
        ("args.flag", {"flag": True}, True),
        ("args.note == null", {"note": None}, True),
        ("args.tags.exists(tag, tag == 'x')", {"tags": ["y", "x"]}, True),
        ("sql.writes && 'orders' in sql.tables", {}, True),
        ("has(run.labels.team) && run.labels.team == 'a'", {}, True),
        ("args.text.matches('^[a-z]+$')", {"text": "abc"}, True),
    ],
)
def test_an_expression_is_evaluated(text: str, args: dict[str, Any], expected: bool) -> None:
    assert evaluated(text, args) is expected


@pytest.mark.parametrize(
    ("text", "args"),
    [
        ("args.amount > 100.0", {"amount": "250"}),
        ("args.amount > 100.0", {"amount": True}),
        ("args.amount > 100.0", {"amount": [250]}),
        ("args.amount > 100.0", {}),
        ("args.a.b == 1", {"a": "text"}),
        ("args.flag", {"flag": "true"}),
        ("args.flag", {"flag": 1}),
        ("args.flag", {"flag": None}),
        ("1 / args.n == 1", {"n": 0}),
        ("args.n + 1 > 0", {"n": 2**63 - 1}),
        ("args.text.matches('(')", {"text": "x"}),
        ("args.l.exists(x, args.l.exists(y, y < 0))", {"l": list(range(1_000))}),
        ("args.amount > 100.0", {"amount": 2**70}),
        ("args.text == 'x'", {"text": "\ud800"}),
        ("args.text == 'x'", {"text": ...}),
    ],
    ids=str,
)
def test_an_error_is_never_true(text: str, args: dict[str, Any]) -> None:
    assert isinstance(evaluated(text, args), Failed)


def test_a_fact_of_another_type_than_it_says_is_an_error() -> None:
    assert isinstance(evaluated("sql.writes", {}, **{"sql.writes": "yes"}), Failed)


@given(st.dictionaries(st.sampled_from(["amount", "flag"]), st.none() | st.booleans() | st.integers() | st.text()))
def test_whatever_an_argument_is_the_answer_is_true_false_or_failed(args: dict[str, Any]) -> None:
    assert type(evaluated("args.flag || args.amount > 3", args)) in (bool, Failed)


@pytest.mark.parametrize("text", ["true &&", "1 + 1", "'true'", "args", "nothing", "args.foo(", "sql.writes == 1"])
def test_what_is_no_condition_does_not_compile(text: str) -> None:
    with pytest.raises(ValueError):
        compiled(text, VARIABLES)


@pytest.mark.parametrize(
    ("text", "args", "why"),
    [
        ("args.a > 1.0", {"a": "250"}, "> is not defined for string and double"),
        ("args.a > 1.0", {}, 'there is no "a"'),
        ("args.a.b == 1", {"a": 3}, "it looks for a part of what has no parts"),
        ("size(args.a) > 1", {"a": 3}, "size(int) is not defined"),
        ("args.a && true", {"a": "s"}, "&& needs true or false"),
        ("-args.a > 1", {"a": "s"}, "- is not defined for string"),
        ("args.a[5] == 1", {"a": [1]}, "there is no item 5 in a list of 1"),
        ("int(args.a) > 1", {"a": "zz"}, "the string is no int"),
        ("args.a.exists(x, x > 1)", {"a": 3}, "what it walks through is no list"),
    ],
)
def test_why_an_expression_has_no_value_is_told_in_words(text: str, args: dict[str, Any], why: str) -> None:
    variables = (("args", "json"),)
    assert compiled(text, variables).evaluate(Bindings(variables, {"args": args})) == Failed(why=why)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("args.a >", "column 9: it ends too early"),
        ("(args.a", "column 8: ')' is missing at the end"),
        ("args.a > 1)", "column 11: ')' does not belong there"),
        ("args.'a'", "column 6: '.'a'' cannot be read"),
        ("nosuch(args.a)", "column 7: there is no nosuch"),
        ("1 + 'a' == 2", "column 3: + is not defined for int and string"),
        ("size(true) > 1", "column 5: size is not defined for bool"),
        ("args.a &&\n  1 + 'a' == 2", "line 2, column 5: + is not defined for int and string"),
    ],
)
def test_what_is_wrong_with_an_expression_is_told_in_words(text: str, why: str) -> None:
    with pytest.raises(ValueError) as wrong:
        compiled(text, (("args", "json"),))
    assert str(wrong.value) == why
