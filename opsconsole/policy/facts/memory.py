"""What a run has shown so far, bounded, for facts that need it; it is told everything and asks for nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from opsconsole.policy.facts.interface import History

WORDS_MAX = 50_000
"""Of a run: some 5 MB; a long customer dialogue has under 500."""
WORD_CHARS_MAX = 80
TEXT_CHARS_MAX = 1_000_000
"""Of one message or result that are looked through."""
VALUES_MAX = 20_000
"""Of one message or result that is not a text."""
PARTS_TOTAL_MAX = 40_000
"""Of one message or result, near digits: some 0.1 s of looking."""
SCHEMA_CHANGES_MAX = 50
SCHEMA_CHANGE_CHARS_MAX = 20_000

PARTS_MAX = 4
"""An identifier of more parts (a UUID has five) is compared in overlapping pieces of this many."""

_WORDS = re.compile(r"[^\W_]+(?:(?:[_\-.:#]+| )[^\W_]+)*")
"""Words joined by signs or a single space: `credit_card_7334`, and `mia li 3668` as a person writes it."""
_DIGIT = re.compile(r"\d")


class Memory:
    """Gathers the history of one run; `history` is a view that is valid until the next word."""

    __slots__ = ("_changes", "_has_all_changes", "_has_all_words", "_words")

    def __init__(self) -> None:
        self._words: set[str] = set()
        self._changes: tuple[str, ...] = ()
        self._has_all_words = True
        self._has_all_changes = True

    def hear(self, value: Any) -> None:
        """A message to the agent or the result of a tool, as text or JSON value; not what the agent itself says."""
        words, is_all = words_of(value)
        self._words |= words
        self._has_all_words &= is_all
        if len(self._words) > WORDS_MAX:
            self._words = set()
            self._has_all_words = False

    def forget(self) -> None:
        """Something was said that was not heard: nothing can be called new any more."""
        self._words = set()
        self._has_all_words = False

    def changed_schema(self, sql: str) -> None:
        """A query of this run with the fact `sql.changes_schema` that has succeeded."""
        if len(self._changes) >= SCHEMA_CHANGES_MAX or len(sql) > SCHEMA_CHANGE_CHARS_MAX:
            self._has_all_changes = False
        else:
            self._changes = (*self._changes, sql)

    @property
    def history(self) -> History:
        """What facts are given."""
        return History(
            seen=self._words,
            is_complete=self._has_all_words,
            schema_changes=self._changes,
            is_schema_complete=self._has_all_changes,
        )


def words_of(value: Any) -> tuple[set[str], bool]:
    """The pieces of identifiers in a text or JSON value, and whether all of it was looked through."""
    words: set[str] = set()
    chars_left, parts_left = TEXT_CHARS_MAX, PARTS_TOTAL_MAX
    for count, text in enumerate(_texts(value)):
        if count >= VALUES_MAX or len(text) > chars_left:
            return words, False
        chars_left -= len(text)
        for run in _WORDS.findall(text):
            if _DIGIT.search(run):
                parts = _parts(run)
                parts_left -= len(parts)
                if parts_left < 0:
                    return words, False
                words.update(_pieces(parts, sizes=range(1, PARTS_MAX + 1)))
    return words, True


def pieces_of(identifier: str) -> list[str]:
    """What must have been shown for the identifier to be known: all of it, or its overlapping pieces if it is long."""
    parts = _parts(identifier)
    return list(_pieces(parts, sizes=range(min(PARTS_MAX, len(parts)), min(PARTS_MAX, len(parts)) + 1)))


def _parts(text: str) -> list[str]:
    return [part for part in re.split(r"[\W_]+", text.casefold()) if part]


def _pieces(parts: list[str], *, sizes: range) -> Iterator[str]:
    """Parts joined by `_`, as many as each size says, where a digit is among them."""
    for start in range(len(parts)):
        for size in sizes:
            if start + size <= len(parts):
                piece = "_".join(parts[start : start + size])
                if len(piece) <= WORD_CHARS_MAX and _DIGIT.search(piece):
                    yield piece


def _texts(value: Any) -> Iterator[str]:
    pending = [value]
    while pending:
        each = pending.pop()
        if isinstance(each, str):
            yield each
        elif isinstance(each, Mapping):
            pending.extend(each.values())
            pending.extend(each.keys())
        elif isinstance(each, list | tuple):
            pending.extend(each)
        elif isinstance(each, int | float) and not isinstance(each, bool):
            yield _digits(each)


def _digits(number: int | float) -> str:
    """A number as text; integers beyond what Python prints are no identifiers."""
    return str(number) if isinstance(number, float) or number.bit_length() < 1_000 else ""
