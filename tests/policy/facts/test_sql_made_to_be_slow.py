"""Queries that make a parser read the same words again and again are given up, in every dialect, and asked about."""

from __future__ import annotations

from typing import Any

import pytest
from sqlglot.dialects.dialect import Dialects

from opsconsole.policy.facts import sql
from opsconsole.policy.facts.interface import NO_HISTORY, FactConfigError
from opsconsole.policy.facts.sql import SQL
from opsconsole.policy.facts.sql_parser import WORDS_BACK_MAX, WentBack
from opsconsole.policy.facts.sql_text import NESTING_MAX, TYPES_MAX, dialect_named

DIALECTS = sorted({dialect.value for dialect in Dialects} - {"", "athena"})
NESTED = {
    "an array": ("ARRAY[", "1", "]"),
    "a type": ("int[", "1", "]"),
    "a date": ("date(", "1", ")"),
    "a struct": ("struct(", "1", ")"),
    "a char": ("char(", "1", ")"),
    "a map": ("map<int,", "int", ">"),
}


def judged(query: str, dialect: str = "postgres") -> dict[str, Any]:
    return dict(SQL({"arg": "q", "dialect": dialect})({"q": query}, NO_HISTORY))


@pytest.mark.parametrize("dialect", DIALECTS)
def test_what_would_double_with_each_level_is_given_up(dialect: str) -> None:
    for opening, inner, closing in NESTED.values():
        for query in ("SELECT {}", "SELECT 1::{}", "SELECT * FROM {}", "CREATE TABLE t (a {})"):
            text = query.format(opening * NESTING_MAX + inner + closing * NESTING_MAX)
            judged(text, dialect)  # without a limit some of these take hours, or all memory


def test_what_was_given_up_is_unclear() -> None:
    found = judged("SELECT " + "ARRAY[" * 8 + "1" + "]" * 8)
    assert (found["unclear"], found["writes"], found["why"]) == (True, True, "SELECT is not understood")


def test_statements_share_one_patience() -> None:
    once = "SELECT ARRAY[ARRAY[ARRAY[ARRAY[1]]]]"
    assert judged(once)["unclear"] is False
    assert judged(";".join([once] * 19))["unclear"] is True


def test_types_that_hold_types_are_counted_where_no_bracket_tells() -> None:
    nested = "map<int," * (TYPES_MAX + 1) + "int" + ">" * (TYPES_MAX + 1)
    assert judged(f"SELECT 1::{nested}", "hive")["unclear"] is True


def test_usual_arrays_and_unions_are_understood() -> None:
    assert judged("SELECT ARRAY[1,2], tags[1] FROM t WHERE b = ANY(ARRAY['x','y'])")["unclear"] is False
    assert judged(" UNION ".join(["SELECT a FROM t"] * (TYPES_MAX + 1)))["unclear"] is False


def test_a_parser_that_goes_back_too_often_says_so_past_every_handler_of_its_own() -> None:
    dialect = dialect_named("postgres")
    text = "SELECT " + "ARRAY[" * 10 + "1" + "]" * 10
    with pytest.raises(WentBack):
        dialect.parser().parse(dialect.tokenize(text), text)
    assert len(dialect.tokenize(text)) < WORDS_BACK_MAX


def test_a_dialect_that_hands_its_text_to_other_parsers_is_refused() -> None:
    with pytest.raises(FactConfigError, match="'athena' is no dialect"):
        SQL({"arg": "q", "dialect": "athena"})


def test_a_parser_that_cannot_be_bounded_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def compiled(name: str) -> None:
        raise TypeError("interpreted classes cannot inherit from compiled")

    monkeypatch.setattr(sql, "dialect_named", compiled)
    with pytest.raises(FactConfigError, match="sqlglotc"):
        SQL({"arg": "q", "dialect": "postgres"})
