"""Splits plain SQL into the words that sqlglot would split it into, in half the time; the rest it leaves to sqlglot."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlglot.dialects.dialect import Dialect
from sqlglot.tokenizer_core import Token, TokenType
from sqlglot.tokens import Tokenizer

_SIGNS = "=<>!|+*/%:-"
_SINGLES = frozenset("(),;.[]")
_WORD_ENDS = rf"(?=[ \t\n(),;.\[\]{_SIGNS}]|\Z)"
_LEXEME = re.compile(
    rf"[ \t\n]*+(?:([A-Za-z_][A-Za-z0-9_]*+){_WORD_ENDS}"
    rf"|([),;\[\]]|\((?!\+)|\.(?![0-9.]))"
    rf"|([{_SIGNS}]++)"
    rf"|([0-9]++(?:\.[0-9]++)?)(?=[ \t\n(),;\[\]{_SIGNS}]|\Z)"
    rf"|'([^'\\\n\r]*+)'(?!')"
    rf'|"([^"\\\n\r]++)"(?!")'
    rf"|(\Z))"
)
_WORD, _SINGLE, _SIGN, _NUMBER, _QUOTED, _NAMED, _END = range(1, 8)
_SIGNLIKE = frozenset({_SINGLE, _SIGN})
_NEXT_WORD = re.compile(r"[ \t\n]++([A-Za-z_]++)")
_BEGINNING = re.compile(r"([A-Za-z]\w*)[ -]")
_SPACES = frozenset(" \t\n")


@dataclass(frozen=True, slots=True, kw_only=True)
class Lexicon:
    """What one dialect of sqlglot's calls its plain words."""

    keywords: Mapping[str, TokenType]
    signs: Mapping[str, TokenType]
    """Runs of signs that are one word; any other run is left to sqlglot."""
    pairs: frozenset[str]
    """Keywords of two words, as `ORDER BY`."""
    beginnings: frozenset[str]
    """First words of keywords of several words."""
    longer: frozenset[str]
    """First two words of keywords of three."""
    commands: frozenset[TokenType]
    """What takes the rest of the statement for a text."""
    double_quoted: TokenType | None
    """What stands in double quotes, where that is plain."""


def plain_tokens(text: str, dialect: Dialect) -> list[Token] | None:
    """The tokens of `text`, lines and columns aside, or None where sqlglot has to be asked."""
    lexicon = _lexicon(type(dialect))
    if lexicon is None or not text.isascii():
        return None
    tokens: list[Token] = []
    position = 0
    while found := _LEXEME.match(text, position):
        kind = found.lastindex
        if kind == _END:
            return tokens
        position = found.end()
        word = found[kind or 0]
        start = position - len(word)
        if kind == _WORD:
            named = _named(word, text, position, lexicon)
            if named is None:
                return None
            token_type, word, position = named
        elif kind == _NUMBER:
            token_type = TokenType.NUMBER
        elif kind in _SIGNLIKE:
            if word not in lexicon.signs:
                return None
            token_type = lexicon.signs[word]
        elif kind == _QUOTED:
            token_type, start = TokenType.STRING, start - 2
        elif lexicon.double_quoted is not None:
            token_type, start = lexicon.double_quoted, start - 2
        else:
            return None
        tokens.append(Token(token_type, word, 1, 1, start, position - 1))
    return None


def _named(word: str, text: str, end: int, lexicon: Lexicon) -> tuple[TokenType, str, int] | None:
    """The type of a word, its text and where it ends; with the next word, where both are one keyword."""
    upper = word.upper()
    if upper in lexicon.beginnings:
        if text.startswith("-", end):
            return None
        if following := _NEXT_WORD.match(text, end):
            pair = f"{upper} {following[1].upper()}"
            if pair in lexicon.longer:
                return None
            if pair in lexicon.pairs:
                after = following.end()
                if text[after : after + 1] not in _SPACES or lexicon.keywords[pair] in lexicon.commands:
                    return None
                return lexicon.keywords[pair], pair, after
    token_type = lexicon.keywords.get(upper, TokenType.VAR)
    return None if token_type in lexicon.commands else (token_type, word, end)


@lru_cache(maxsize=64)
def _lexicon(dialect: type[Dialect]) -> Lexicon | None:
    """From sqlglot's own tables; None for a dialect whose plain words are not all plain, or is read by other tables."""
    try:
        return _lexicon_of(dialect.tokenizer_class)
    except AttributeError:
        return None


def _lexicon_of(tokenizer: Any) -> Lexicon | None:
    if tokenizer.tokenize is not Tokenizer.tokenize or tokenizer._QUOTES.get("'") != "'":
        return None
    special = [*tokenizer.KEYWORDS, *tokenizer._COMMENTS, *tokenizer._QUOTES, *tokenizer._FORMAT_STRINGS]
    if any(key[0] in _SINGLES and len(key) > 1 and key != "(+)" for key in special) or _has_tangled_sign(special):
        return None
    spaced = [key for key in tokenizer.KEYWORDS if " " in key]
    pairs = frozenset(key for key in spaced if key.count(" ") == 1)
    longer = frozenset(" ".join(key.split(" ")[:2]) for key in spaced if key.count(" ") > 1)
    return Lexicon(
        keywords=tokenizer.KEYWORDS,
        signs=_signs(tokenizer),
        pairs=pairs,
        beginnings=frozenset(found[1] for key in special if (found := _BEGINNING.match(key))),
        longer=longer,
        commands=frozenset(tokenizer.COMMANDS),
        double_quoted=_double_quoted(tokenizer),
    )


def _has_tangled_sign(special: list[str]) -> bool:
    """Whether a keyword begins with a sign and goes on with a letter or a space."""
    return any(key[0] in _SIGNS and any(char.isalnum() or char == " " for char in key) for key in special)


def _signs(tokenizer: Any) -> dict[str, TokenType]:
    known = {**tokenizer.SINGLE_TOKENS, **tokenizer.KEYWORDS}
    return {
        key: token_type
        for key, token_type in known.items()
        if all(char in _SIGNS for char in key) or (key in _SINGLES and key not in tokenizer._IDENTIFIERS)
        if not any(key.startswith(comment) for comment in tokenizer._COMMENTS)
        if token_type is not TokenType.PARAMETER
    }


def _double_quoted(tokenizer: Any) -> TokenType | None:
    if tokenizer._IDENTIFIERS.get('"') == '"':
        return TokenType.IDENTIFIER
    return TokenType.STRING if tokenizer._QUOTES.get('"') == '"' else None
