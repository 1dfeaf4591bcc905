"""SQL text into parsed statements, bounded and with what cannot be trusted told as a reason; it judges no statement."""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from typing import Any

from sqlglot import exp, parser
from sqlglot.dialects.dialect import Dialect, Dialects
from sqlglot.errors import SqlglotError
from sqlglot.tokenizer_core import Token, TokenType

from opsconsole.policy.facts.sql_parser import Patience, WentBack, bounded
from opsconsole.policy.facts.sql_words import plain_tokens

parser.logger.disabled = True
"""sqlglot warns with the text of the statement; what an agent asks of a database does not belong into a log."""

TEXT_CHARS_MAX = 20_000
WORDS_MAX = 280
"""Words and signs, those in literals too: each costs some 12 us, whatever the text; of 35,388 recorded queries one in
a thousand has more than 272."""
STATEMENTS_MAX = 20
NESTING_MAX = 12
"""Open brackets and CASEs; real queries stay under 10. Each level costs the parser a dozen frames, and where types are
worked out or copied on the way the square of the levels."""
TYPES_MAX = 8
"""Words for types that hold types, such as ARRAY and MAP: `map<map<…` opens no bracket."""

FOREIGN_ERRORS = (
    WentBack,
    SqlglotError,
    RecursionError,
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    NameError,
    TypeError,
    ValueError,
)
"""What sqlglot raises on text that it does not expect; each makes a statement unclear."""

_WORD_OR_SIGN = re.compile(r"\w+|[^\w\s]")
_CONTROL = re.compile(
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00a0\u1680\u2000-\u200f\u2028-\u202f\u205f-\u2064\u3000\ufeff\ud800-\udfff]"
)
"""Control characters, spaces beyond ASCII, marks without width, lone surrogates: servers and parsers disagree."""
_DOUBTS = (
    (re.compile(r"/\*M?!"), "a comment that MySQL runs"),
    (re.compile(r"\{[#%{]"), "a template"),
    (re.compile(r"/\*(?:(?!\*/).)*/\*", re.DOTALL), "a comment in a comment, which some servers end early"),
    (re.compile(r"\r(?!\n)"), "a line that ends for some servers only"),
    (_CONTROL, "control characters or spaces beyond ASCII"),
)
"""What servers and parsers read differently, in literals too: cheaper to ask about than to tell apart."""
_BATCH_WORDS = re.compile(r"\b(?:SHUTDOWN|RECONFIGURE|CHECKPOINT|REVERT|GO|DBCC|KILL|BACKUP|RESTORE)\b", re.IGNORECASE)
"""T-SQL ends a statement without a semicolon: `SELECT 1 SHUTDOWN` is two, and reads like an alias."""
DIALECTS_WITH_BATCHES = frozenset({"tsql", "fabric"})
_OPENING = frozenset({TokenType.L_PAREN, TokenType.L_BRACKET, TokenType.L_BRACE, TokenType.CASE})
_CLOSING = frozenset({TokenType.R_PAREN, TokenType.R_BRACKET, TokenType.R_BRACE, TokenType.END})
_UNBOUNDED = frozenset({"athena"})
"""Trino for queries, Hive for the rest: each is known by itself."""
_HOLDING_TYPES = parser.Parser.NESTED_TYPE_TOKENS - {TokenType.UNION, TokenType.RANGE}
"""Without those that are words of queries as well."""
_EXPLAIN = re.compile(
    r"\s*(?:\([^()]{0,200}\)|(?:QUERY\s+PLAN|ANALYZE|VERBOSE|EXTENDED|FORMATTED)\b)\s*", re.IGNORECASE
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One statement: its tree, or its first word when it could not be parsed."""

    root: exp.Expr | None
    word: str
    """The first word in capitals."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parsed:
    """The statements of a text; `doubt` says why the text cannot be trusted to mean what its statements say."""

    statements: tuple[Statement, ...] = ()
    doubt: str = ""


@lru_cache(maxsize=64)
def dialect_named(name: str) -> Dialect:
    """The dialect, made once, with a parser that gives up on text that is made to be slow.

    Raises:
        ValueError: sqlglot has no such dialect, or one whose parser hands the text to others that nothing bounds.
        TypeError: sqlglot is the compiled one, whose parser cannot be bounded.
    """
    if name in _UNBOUNDED:
        raise ValueError(name)
    dialect = Dialect.get_or_raise(name)
    dialect.parser_class = bounded(dialect.parser_class)  # type: ignore[assignment]
    dialect.INDEX_OFFSET = 0  # else types are worked out for each index anew, only to shift it
    return dialect


def meant(name: str) -> str:
    """Which dialect somebody may have meant by a name that is none, as the end of a sentence; else nothing."""
    names = sorted({one.value for one in Dialects} - _UNBOUNDED - {""})
    found = get_close_matches(name, names, n=1, cutoff=0.6)
    return f"; did you mean {found[0]}?" if found else ""


def parsed(text: Any, name: str) -> Parsed:
    """The statements of `text` in the dialect of that name; never raises on any text."""
    if not isinstance(text, str):
        return Parsed(doubt="the query is not a string")
    if len(text) > TEXT_CHARS_MAX:
        return Parsed(doubt=f"longer than {TEXT_CHARS_MAX:,} characters")
    if len(_WORD_OR_SIGN.findall(text)) > WORDS_MAX:
        return Parsed(doubt=f"more than {WORDS_MAX:,} words and signs")
    dialect = dialect_named(name)
    try:
        chunks = _chunks(_tokens(text, dialect))
    except FOREIGN_ERRORS:
        return Parsed(doubt="the text cannot be split into words")
    if len(chunks) > STATEMENTS_MAX:
        return Parsed(doubt=f"more than {STATEMENTS_MAX} statements")
    patience = Patience()
    statements = tuple(_statement(chunk, text, dialect, patience) for chunk in chunks)
    return Parsed(statements=statements, doubt=_doubt(text, name, statements))


def _doubt(text: str, name: str, statements: tuple[Statement, ...]) -> str:
    if not statements:
        return "no statement"
    for pattern, reason in _DOUBTS:
        if pattern.search(text):
            return reason
    if name in DIALECTS_WITH_BATCHES and _BATCH_WORDS.search(text):
        return "a word that may be a statement of its own"
    if any(statement.root is None for statement in statements):
        return "not understood as SQL"
    return ""


def _tokens(text: str, dialect: Dialect) -> list[Token]:
    """Raises: one of FOREIGN_ERRORS."""
    tokens = plain_tokens(text, dialect)
    return dialect.tokenize(text) if tokens is None else tokens


def _chunks(tokens: list[Token]) -> list[list[Token]]:
    """Tokens between semicolons, the empty left out."""
    chunks: list[list[Token]] = [[]]
    for token in tokens:
        if token.token_type is TokenType.SEMICOLON:
            chunks.append([])
        else:
            chunks[-1].append(token)
    return [chunk for chunk in chunks if chunk]


def _statement(tokens: list[Token], text: str, dialect: Dialect, patience: Patience) -> Statement:
    word = tokens[0].text.upper()[:40]
    if word == "EXPLAIN" and len(tokens) == 2 and tokens[1].token_type is TokenType.STRING:
        return _explained(tokens[1].text, dialect, patience)
    if word == "START" and (len(tokens) == 1 or tokens[1].text.upper() != "TRANSACTION"):
        return Statement(root=None, word=word)  # START SLAVE is taken for a transaction
    return Statement(root=_tree(tokens, text, dialect, patience), word=word)


def _explained(text: str, dialect: Dialect, patience: Patience) -> Statement:
    """What is explained, judged as if it ran: ANALYZE does run it."""
    while match := _EXPLAIN.match(text):
        text = text[match.end() :]
    try:
        tokens = _tokens(text, dialect)
    except FOREIGN_ERRORS:
        tokens = []
    root = _tree(tokens, text, dialect, patience) if tokens else None
    return Statement(root=root, word=tokens[0].text.upper()[:40] if tokens else "EXPLAIN")


def _tree(tokens: list[Token], text: str, dialect: Dialect, patience: Patience) -> exp.Expr | None:
    if _nesting(tokens) > NESTING_MAX or sum(token.token_type in _HOLDING_TYPES for token in tokens) > TYPES_MAX:
        return None
    bounded = dialect.parser()
    bounded.patience = patience  # type: ignore[attr-defined]
    try:
        trees = bounded.parse(tokens, text)
    except FOREIGN_ERRORS:
        return None
    return trees[0] if len(trees) == 1 else None


def _nesting(tokens: list[Token]) -> int:
    depth = deepest = 0
    for token in tokens:
        if token.token_type in _OPENING:
            depth += 1
            deepest = max(deepest, depth)
        elif token.token_type in _CLOSING:
            depth -= 1
    return deepest
