"""Reads an expression before any engine does: its bounds, and the names it looks at; it gives no value to anything."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

EXPRESSION_CHARS_MAX = 2_000
TOKENS_MAX = 400
"""Operators and operands: engines recurse over long chains of them."""
NESTING_MAX = 24
"""Open brackets; the engine gives up at 32."""
MACROS_MAX = 8
"""`exists`, `all` and their like walk through lists that an agent made."""

MACROS = frozenset({"exists", "exists_one", "all", "map", "filter"})
_WORDS = frozenset({"true", "false", "null", "in"})
_TYPES = frozenset({"bool", "bytes", "double", "int", "list", "map", "null_type", "string", "type", "uint"})
_NUL_ESCAPE = re.compile(r"\\(?:000|[xX]00|u0000|U00000000)")
_TOKEN = re.compile(
    r"""
    (?P<space>[ \t\r\n]+|//[^\n]*)
    |(?P<string>(?:[rR][bB]?|[bB][rR]?)?(?:\"{3}(?:\\.|[^\\])*?\"{3}|'{3}(?:\\.|[^\\])*?'{3}
        |"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'))
    |(?P<number>(?:0[xX][0-9a-fA-F]+|\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|\.\d+)[uU]?)
    |(?P<name>[A-Za-z_][A-Za-z0-9_]*)
    |(?P<quoted>`[A-Za-z0-9_.\-/ ]+`)
    |(?P<sign>&&|\|\||[=!<>]=|[-+*/%!<>?:.,()\[\]{}])
    """,
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Expression:
    """An expression within bounds, and what it reads."""

    text: str
    paths: frozenset[tuple[str, ...]]
    """Each name with the fields read from it, as far as they are written out: `args.customer["name"]` is
    (`args`, `customer`, `name`)."""
    presences: frozenset[tuple[str, ...]]
    """Those that stand in a `has(…)`."""
    variables: frozenset[str]
    """Names that its macros give to what they walk through."""

    @property
    def roots(self) -> frozenset[str]:
        """The names that it starts from."""
        return frozenset(path[0] for path in self.paths)


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str


def read(text: str) -> Expression:
    """Raises: ValueError, saying which bound is passed or which character no expression holds."""
    if not text.strip():
        raise ValueError("is empty")
    if len(text) > EXPRESSION_CHARS_MAX:
        raise ValueError(f"is longer than {EXPRESSION_CHARS_MAX:,} characters")
    if _NUL_ESCAPE.search(text):
        raise ValueError("holds a NUL character: arguments never do, and the engine would cut the text there")
    tokens = list(_tokens(text))
    if len(tokens) > TOKENS_MAX:
        raise ValueError(f"has more than {TOKENS_MAX} parts; split it into several rules")
    _check_nesting(tokens)
    variables = _macro_variables(tokens)
    paths = list(_paths(tokens, variables))
    return Expression(
        text=text,
        paths=frozenset(path for path, _ in paths),
        presences=frozenset(path for path, is_asked in paths if is_asked),
        variables=variables,
    )


def _tokens(text: str) -> Iterator[_Token]:
    at = 0
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            raise ValueError(f"column {at + 1}: {text[at]!r} stands where nothing of the kind may stand")
        if found.lastgroup != "space":
            yield _Token(found.lastgroup or "", found.group())
        at = found.end()


def _check_nesting(tokens: list[_Token]) -> None:
    depth = macros = 0
    for number, token in enumerate(tokens):
        if token.kind == "sign":
            depth += (token.text in "([{") - (token.text in ")]}")
        macros += token.kind == "name" and token.text in MACROS and _text(tokens, number - 1) == "."
        if depth > NESTING_MAX:
            raise ValueError(f"has more than {NESTING_MAX} brackets inside one another")
    if macros > MACROS_MAX:
        raise ValueError(f"walks through more than {MACROS_MAX} lists")


def _paths(tokens: list[_Token], variables: frozenset[str]) -> Iterator[tuple[tuple[str, ...], bool]]:
    """The chains that begin with a name of the policy's, not with a variable of a macro; and whether in a `has(…)`."""
    for number, token in enumerate(tokens):
        before = _text(tokens, number - 1)
        if before == "." and not _ends_operand(tokens, number - 2):
            raise ValueError("has a name that begins with a dot")
        if token.kind != "name" or before == "." or token.text in _WORDS or token.text in variables:
            continue
        if _text(tokens, number + 1) != "(" and token.text not in _TYPES:
            is_asked = before == "(" and _text(tokens, number - 2) == "has"
            yield (token.text, *_fields(tokens, number + 1)), is_asked


def _fields(tokens: list[_Token], at: int) -> Iterator[str]:
    while True:
        sign, name, after = _text(tokens, at), _at(tokens, at + 1), _text(tokens, at + 2)
        if sign == "." and name is not None and name.kind in ("name", "quoted") and after != "(":
            yield name.text.strip("`")
            at += 2
        elif sign == "[" and name is not None and name.kind == "string" and after == "]":
            key = _plain(name.text)
            if key is None:
                return
            yield key
            at += 3
        else:
            return


def _macro_variables(tokens: list[_Token]) -> frozenset[str]:
    """Names that macros give to what they walk through.."""
    found = set()
    for number, token in enumerate(tokens):
        if token.text in MACROS and _text(tokens, number - 1) == "." and _text(tokens, number + 1) == "(":
            variable = _at(tokens, number + 2)
            if variable is not None and variable.kind == "name" and _text(tokens, number + 3) == ",":
                found.add(variable.text)
    return frozenset(found)


def _plain(literal: str) -> str | None:
    """What a string literal stands for, where that is plain to see."""
    if literal[0] not in "\"'" or literal[:3] in ('"""', "'''") or "\\" in literal:
        return None
    return literal[1:-1]


def _ends_operand(tokens: list[_Token], at: int) -> bool:
    token = _at(tokens, at)
    return token is not None and (token.kind in ("name", "quoted", "string") or token.text in ")]}")


def _at(tokens: list[_Token], at: int) -> _Token | None:
    return tokens[at] if 0 <= at < len(tokens) else None


def _text(tokens: list[_Token], at: int) -> str:
    token = _at(tokens, at)
    return "" if token is None else token.text
