"""sqlglot's parser, bounded in how often it may go back, and quick where an operand is plain; it judges nothing."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlglot import exp, parser
from sqlglot.tokenizer_core import Token, TokenType

WORDS_BACK_MAX = 120
"""Words that the parser may read again, in all: it tries one reading, goes back and tries another, which doubles its
work with each level of `ARRAY[ARRAY[…` and of much else. Recorded queries stay under 40."""


class WentBack(Exception):
    """The parser has gone back too often; nothing of sqlglot's catches this."""


class Patience:
    """How many words may still be read again, over all statements of a text."""

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = WORDS_BACK_MAX


_LEVELS = (
    "_parse_disjunction",
    "_parse_conjunction",
    "_parse_equality",
    "_parse_comparison",
    "_parse_range",
    "_parse_bitwise",
    "_parse_term",
    "_parse_factor",
    "_parse_at_time_zone",
    "_parse_factor_operand",
    "_parse_exponent",
    "_parse_unary",
    "_parse_type",
)
"""Through which sqlglot comes from an OR down to a name, each looking for its own sign behind it."""
_OPERANDS = frozenset({TokenType.VAR, TokenType.IDENTIFIER, TokenType.NUMBER, TokenType.STRING})
_ENDS = frozenset(
    {
        *(TokenType.COMMA, TokenType.R_PAREN, TokenType.SENTINEL, TokenType.FROM, TokenType.WHERE, TokenType.ALIAS),
        *(TokenType.GROUP_BY, TokenType.ORDER_BY, TokenType.HAVING, TokenType.LIMIT, TokenType.DESC, TokenType.ASC),
        *(TokenType.UNION, TokenType.THEN, TokenType.ELSE, TokenType.END, TokenType.RETURNING),
    }
)
"""What may stand behind an operand and is no operator of any level."""
_SIGNS = frozenset(
    {*(TokenType.EQ, TokenType.NEQ, TokenType.GTE, TokenType.LTE, TokenType.AND, TokenType.OR, TokenType.IN)}
    | {TokenType.LIKE, TokenType.BETWEEN, TokenType.IS, TokenType.NOT}
)
"""Operators of the upper levels: the lower ones have nothing to look for there. `<` and `>` may be half of `<<`."""
_NONE: frozenset[TokenType] = frozenset()
_NAMES = frozenset({TokenType.VAR, TokenType.IDENTIFIER})
_NAMING = ("_parse_atom", "_parse_column", "_parse_column_parts_fast")
_GOING_ON = ("_parse_join", "_parse_join_parts", "_parse_lateral", "parse_set_operation")
"""What asks behind every source whether another one follows."""
_QUIET = frozenset(
    {TokenType.SENTINEL, TokenType.R_PAREN, TokenType.WHERE, TokenType.GROUP_BY, TokenType.ORDER_BY}
    | {TokenType.HAVING, TokenType.LIMIT, TokenType.RETURNING}
)
"""Where none does."""


def bounded(parser_class: type[parser.Parser]) -> type[parser.Parser]:
    """The parser of a dialect, which raises `WentBack` on text that is made to be slow and else gives the same trees.

    Raises:
        TypeError: sqlglot is the compiled one, whose parser cannot be bounded.
    """
    return _quick(_patient(parser_class))


def _patient(parser_class: type[parser.Parser]) -> type[parser.Parser]:
    class Patient(parser_class):  # type: ignore[misc, valid-type]
        """Counts the words that it reads again; its own patience unless it is lent one. Positions are not noted."""

        patience: Patience | None = None
        FUNCTIONS = _quick_functions(parser_class)

        def _retreat(self, index: int) -> None:
            if index != self._index:
                patience = self.patience = self.patience or Patience()
                patience.left -= abs(self._index - index)
                if patience.left < 0:
                    raise WentBack
                self._advance(index - self._index)

        def _match_text_seq(self, *texts: str, advance: bool = True) -> bool:
            """Most often it is the first word already that differs."""
            if texts and self._curr.text.upper() != texts[0]:
                return False
            return bool(super()._match_text_seq(*texts, advance=advance))

        def expression(self, instance: Any, token: Token | None = None, comments: list[str] | None = None) -> Any:
            if comments:
                instance.add_comments(comments)
            elif self._prev_comments:
                self._add_comments(instance)
            return instance if instance.is_primitive or _is_complete(instance) else self.validate_expression(instance)

    return Patient


def _quick(parser_class: type[parser.Parser]) -> type[parser.Parser]:
    try:
        above, below = _ends_of(parser_class)
        quiet, names = _quiet_of(parser_class), _names_of(parser_class)
    except AttributeError:  # a version of sqlglot's that reads by other tables
        above = below = quiet = names = _NONE

    class Quick(parser_class):  # type: ignore[misc, valid-type]
        """Goes past what a plain operand, and the end of a query's sources, have no use for."""

        def _parse_disjunction(self) -> exp.Expr | None:
            return self._plain_operand(above) or super()._parse_disjunction()

        def _parse_bitwise(self) -> exp.Expr | None:
            return self._plain_operand(below) or super()._parse_bitwise()

        def _plain_operand(self, ends: frozenset[TokenType]) -> exp.Expr | None:
            """A name or a literal with one of `ends` behind it: no level in between would add anything to it."""
            if self._curr.token_type not in _OPERANDS:
                return None
            after = self._index + (3 if self._next.token_type is TokenType.DOT else 1)
            if (self._tokens[after].token_type if after < self._tokens_size else TokenType.SENTINEL) not in ends:
                return None
            index = self._index
            found: exp.Expr | None = self._column_until(after) or self._parse_atom()
            if found is not None and self._index == after:
                return found
            self._retreat(index)
            return None

        def _column_until(self, after: int) -> exp.Column | None:
            """A column of one name or two, as `_parse_column` would make it, where nothing else may be meant."""
            tokens = self._tokens[self._index : after]
            first, last = tokens[0], tokens[-1]
            if first.token_type not in names or last.token_type not in names:
                return None
            if first.text.upper() in self.NO_PAREN_FUNCTION_PARSERS or any(token.comments for token in tokens):
                return None
            self._advance(len(tokens))
            if last is first:
                return exp.Column(this=_identifier(first))
            return exp.Column(this=_identifier(last), table=_identifier(first))

        def _parse_join(self, skip_join_token: bool = False, *args: Any, **kwargs: Any) -> Any:
            if not skip_join_token and self._curr.token_type in quiet:
                return None
            return super()._parse_join(skip_join_token, *args, **kwargs)

        def _parse_lateral(self) -> exp.Lateral | None:
            return None if self._curr.token_type in quiet else super()._parse_lateral()

        def parse_set_operation(self, *args: Any, **kwargs: Any) -> exp.Expr | None:
            return None if self._curr.token_type in quiet else super().parse_set_operation(*args, **kwargs)

    return Quick


def _quick_functions(parser_class: Any) -> dict[str, Any]:
    """Without the one whose types PostgreSQL's parser works out anew for each level, only to name an argument."""
    functions: dict[str, Any] = parser_class.FUNCTIONS
    if getattr(functions.get("REGEXP_REPLACE"), "__module__", "") != "sqlglot.parsers.postgres":
        return functions
    return functions | {"REGEXP_REPLACE": exp.RegexpReplace.from_arg_list}


def _identifier(token: Token) -> exp.Identifier:
    return exp.Identifier(this=token.text, quoted=token.token_type is TokenType.IDENTIFIER)


def _reads_as_usual(parser_class: Any, names: Iterable[str]) -> bool:
    """Whether a dialect leaves these methods as they are."""
    return all(getattr(parser_class, name) is getattr(parser.Parser, name) for name in names)


def _names_of(parser_class: Any) -> frozenset[TokenType]:
    is_usual = _reads_as_usual(parser_class, _NAMING) and parser_class.IDENTIFIER_TOKENS == _NAMES
    return _NAMES if is_usual else _NONE


def _quiet_of(parser_class: Any) -> frozenset[TokenType]:
    if not _reads_as_usual(parser_class, _GOING_ON):
        return _NONE
    return _QUIET - _tokens_of(parser_class, "JOIN_METHODS", "JOIN_SIDES", "JOIN_KINDS", "SET_OPERATIONS")


def _is_complete(instance: exp.Expr) -> bool:
    """Whether it has all that it must have, as `validate_expression` asks with more words."""
    args = instance.args
    for name in instance.required_args:
        value = args.get(name)
        if value is None or (type(value) is list and not value):
            return False
    return True


def _ends_of(parser_class: Any) -> tuple[frozenset[TokenType], frozenset[TokenType]]:
    """Behind which words an operand is a whole condition, and behind which no sum or product goes on.

    None where a dialect reads the levels in a way of its own.
    """
    if not _reads_as_usual(parser_class, _LEVELS):
        return _NONE, _NONE
    lower = _tokens_of(parser_class, "BITWISE", "TERM", "FACTOR", "EXPONENT", "JSON_OPERATORS", "COLUMN_OPERATORS")
    lower |= _tokens_of(parser_class, "COLUMN_POSTFIX_TOKENS", "UNARY_PARSERS") | {TokenType.LT, TokenType.GT}
    lower |= {TokenType.DPIPE, TokenType.DQMARK, TokenType.STRING}
    upper = _tokens_of(parser_class, "CONJUNCTION", "DISJUNCTION", "EQUALITY", "COMPARISON", "RANGE_PARSERS")
    upper |= _tokens_of(parser_class, "IS_PREDICATE_TOKENS") | {TokenType.NOT, TokenType.ISNULL, TokenType.NOTNULL}
    if _OPERANDS & _tokens_of(parser_class, "UNARY_PARSERS"):
        return _NONE, _NONE
    return _ENDS - lower - upper, (_ENDS | _SIGNS) - lower


def _tokens_of(parser_class: Any, *names: str) -> frozenset[TokenType]:
    return frozenset(token for name in names for token in getattr(parser_class, name))
