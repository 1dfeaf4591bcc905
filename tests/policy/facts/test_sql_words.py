"""Plain SQL is split and parsed as sqlglot would, whatever the dialect, and what is not plain is left to it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlglot.dialects.dialect import Dialect, Dialects
from sqlglot.errors import SqlglotError

from opsconsole.policy.facts.sql_parser import WentBack
from opsconsole.policy.facts.sql_text import FOREIGN_ERRORS, dialect_named
from opsconsole.policy.facts.sql_words import plain_tokens

DIALECTS = sorted({dialect.value for dialect in Dialects} - {"", "athena"})
WORDS = ["SELECT", "select", "FROM", "WHERE", "t", "a1", "_x", "user", "USER-DEFINED", "AND", "NOT", "IS NULL", "AS"]
PAIRS = ["ORDER BY", "order  by", "GROUP\nBY", "ORDER", "ORDER BYX", "PRIMARY KEY", "BULK COLLECT INTO", "LOCK TABLES"]
SIGNS = ["=", "<=", "<>", "->", "->>", "<-", "-", "--", "/*", "*/", "/*+ h */", "||", "::", ":=", ":", "%", "%}", "(+)"]
MORE = ["(", ")", ",", ";", ".", "..", "[", "]", "{", "@", "@@", "$", "#", "?", "&", "~", "\\", "é", "\r", "\u00a0"]
VALUES = [
    "1",
    "1.5",
    "1.",
    ".5",
    "0x1f",
    "1e5",
    "1_0",
    "12ab",
    "'a'",
    "''",
    "'it''s'",
    "'\\'",
    '"A b"',
    '""',
    "`q`",
    "N'x'",
]
COMMANDS = [
    "SHOW",
    "COMMENT",
    "VACUUM",
    "EXPLAIN",
    "SET",
    "EXECUTE",
    "RENAME",
    "DELETE",
    "UPDATE",
    "BETWEEN",
    "AT TIME ZONE",
]
PIECES = st.sampled_from(WORDS + PAIRS + SIGNS + MORE + VALUES + COMMANDS)
TEXTS = st.lists(st.tuples(PIECES, st.sampled_from([" ", " ", "", "\n"])), max_size=9).map(
    lambda parts: "".join(part for pair in parts for part in pair)
)


@settings(max_examples=600)
@given(st.sampled_from(DIALECTS), TEXTS)
def test_what_is_split_here_is_split_as_sqlglot_does(dialect: str, text: str) -> None:
    tokens = plain_tokens(text, dialect_named(dialect))
    if tokens is not None:
        expected = Dialect.get_or_raise(dialect).tokenize(text)
        assert [(each.token_type, each.text, each.start, each.end, each.comments) for each in tokens] == [
            (each.token_type, each.text, each.start, each.end, each.comments) for each in expected
        ]


@pytest.mark.parametrize(
    "text", ["SELECT a, 'b' FROM t WHERE c >= 1.5 ORDER BY a;", "DELETE FROM t WHERE x::int[1] <> 2"]
)
def test_plain_text_is_not_left_to_sqlglot(text: str) -> None:
    assert plain_tokens(text, dialect_named("postgres")) is not None


@pytest.mark.parametrize(
    "text", ["SELECT 1 -- x", "SELECT /* x */ 1", "SELECT $$x$$", "SELECT 'a''b'", "SHOW x", "ORDER BY("]
)
def test_what_is_not_plain_is_left_to_sqlglot(text: str) -> None:
    assert plain_tokens(text, dialect_named("postgres")) is None


OPERANDS = st.sampled_from(
    ["a", "t.a", "a.b.c", '"Q"', "1", "1.5", "'s'", "NULL", "*", "f(a)", "(a)", "-a", "a[1]", "b::int"]
)
OPERATORS = st.sampled_from(
    ["=", "<", ">", "<<", ">>", "<=", "AND", "OR", "+", "-", "*", "/", "||", "%", "IS", "IS NOT"]
)
CONDITIONS = st.recursive(
    OPERANDS,
    lambda inner: st.one_of(
        st.tuples(
            inner, OPERATORS | st.sampled_from(["LIKE", "IN", "NOT IN", "BETWEEN", "::", "->", "AT TIME ZONE"]), inner
        ),
        st.tuples(st.sampled_from(["NOT", "-", "("]), inner, st.sampled_from(["", ")"])),
        st.tuples(inner, st.sampled_from(["AS", "", ","]), inner),
    ).map(" ".join),
    max_leaves=6,
)
STATEMENTS = st.sampled_from(["SELECT {} FROM t", "SELECT a FROM t WHERE {}", "DELETE FROM t WHERE {} RETURNING {}"])


@settings(max_examples=600, deadline=None)
@given(st.sampled_from(DIALECTS), STATEMENTS, CONDITIONS)
def test_the_bounded_parser_gives_the_trees_that_sqlglot_gives(dialect: str, statement: str, condition: str) -> None:
    text = statement.format(condition, condition)
    bounded, plain = dialect_named(dialect), Dialect.get_or_raise(dialect)
    plain.INDEX_OFFSET = bounded.INDEX_OFFSET
    assert _trees(bounded, text) in (_trees(plain, text), WentBack.__name__)


def _trees(dialect: Dialect, text: str) -> list[str] | str:
    try:
        return [repr(tree) for tree in dialect.parser().parse(dialect.tokenize(text), text)]
    except SqlglotError:
        return "no SQL"
    except FOREIGN_ERRORS as error:
        return type(error).__name__
