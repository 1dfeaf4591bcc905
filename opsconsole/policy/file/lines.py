"""Where in a TOML text each key stands, which tomllib does not tell; of a text that it has already accepted."""

from __future__ import annotations

import re
from collections.abc import Mapping

Path = tuple[str | int, ...]
"""Keys from the top; an int counts the tables of an array."""

_KEY = re.compile(r"""\s*("(?:\\.|[^"\\\n])*"|'[^'\n]*'|[A-Za-z0-9_-]+)\s*""")
_VALUE_PART = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}|\'\'\'.*?\'{3,5}|"(?:\\.|[^"\\\n])*"|\'[^\'\n]*\'|#[^\n]*|[^"\'#\[\]{}\n]+|.', re.DOTALL
)
_BLANK = re.compile(r"(?:[ \t\r\n]+|#[^\n]*)+")


def places(text: str) -> dict[Path, int]:
    """The line (from 1) of each key outside of inline tables; `line_of` finds the rest by what holds it."""
    return _Walk(text).places()


def line_of(found: Mapping[Path, int], path: Path) -> int | None:
    """The line of the path, or of the nearest of its parents that has one."""
    for end in range(len(path), 0, -1):
        if path[:end] in found:
            return found[path[:end]]
    return None


class _Walk:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._line = 1
        self._found: dict[Path, int] = {}
        self._counts: dict[Path, int] = {}
        self._table: Path = ()

    def places(self) -> dict[Path, int]:
        while True:
            self._skip(_BLANK)
            if self._at >= len(self._text):
                return self._found
            begin = self._at
            if self._text[self._at] == "[":
                self._header()
            else:
                self._assignment()
            if self._at == begin:  # nothing that TOML holds here: tomllib would not have accepted it
                return self._found

    def _header(self) -> None:
        is_array = self._text.startswith("[[", self._at)
        self._at += 2 if is_array else 1
        *parents, last = self._keys() or [""]
        path = self._under((), parents)
        if is_array:
            path = (*path, last)
            self._counts[path] = self._counts.get(path, -1) + 1
            self._table = (*path, self._counts[path])
        else:
            self._table = (*path, last)
        self._found.setdefault(self._table, self._line)
        end = self._text.find("\n", self._at)
        self._at = len(self._text) if end < 0 else end

    def _assignment(self) -> None:
        keys = self._keys()
        path = self._table
        for key in keys:
            path = (*path, key)
            self._found.setdefault(path, self._line)
        if self._text.startswith("=", self._at):
            self._value()

    def _value(self) -> None:
        """Up to the end of the line on which every bracket is closed."""
        depth = 0
        while self._at < len(self._text):
            found = _VALUE_PART.match(self._text, self._at)
            part = found.group() if found else self._text[self._at]
            if part == "\n" and depth <= 0:
                return
            depth += (part in ("[", "{")) - (part in ("]", "}"))
            self._advance(part)

    def _keys(self) -> list[str]:
        keys = []
        while found := _KEY.match(self._text, self._at):
            self._advance(found.group())
            keys.append(_plain(found[1]))
            if not self._text.startswith(".", self._at):
                break
            self._at += 1
        return keys

    def _under(self, path: Path, keys: list[str]) -> Path:
        """A path through arrays of tables: each name of one means its latest table."""
        for key in keys:
            path = (*path, key)
            if path in self._counts:
                path = (*path, self._counts[path])
        return path

    def _skip(self, pattern: re.Pattern[str]) -> None:
        if found := pattern.match(self._text, self._at):
            self._advance(found.group())

    def _advance(self, part: str) -> None:
        self._at += len(part)
        self._line += part.count("\n")


def _plain(key: str) -> str:
    return key[1:-1] if key[0] in "\"'" else key
