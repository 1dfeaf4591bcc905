"""One table of the policy file, read key by key with the type each must have; what nobody asked for is a problem."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, TypeVar

from opsconsole.policy.file.lines import Path
from opsconsole.policy.file.problem import Problems
from opsconsole.policy.rules.engine import nearest
from opsconsole.policy.rules.pattern import EVERY, Pattern

Word = TypeVar("Word", bound=StrEnum)

DURATION_SECONDS_MAX = 366 * 86_400.0
"""A year: whatever waits longer waits for ever."""
NUMBER_MAX = 1e12
TEXT_CHARS_MAX = 2_000
TEXTS_MAX = 1_000
_DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,6})?)\s*([smhd])", re.ASCII)
_SECONDS = {"s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}
DURATION_ACCEPTED = "give a time such as '90s', '10m', '1h' or '1d'"


class Table:
    """The keys of one table; a wrong value is told to `problems`, and a harmless one of the right type is read."""

    def __init__(self, values: Any, path: Path, problems: Problems) -> None:
        self.path = path
        self.problems = problems
        self._asked: list[str] = []
        if not isinstance(values, dict):
            self.add(None, "give a table")
        self.values: Mapping[str, Any] = values if isinstance(values, dict) else {}

    def add(self, name: str | None, message: str) -> None:
        """A problem with one key, or with the table."""
        self.problems.add(self.path if name is None else (*self.path, name), message)

    def close(self) -> None:
        """Every key that nobody asked for is a problem, with the nearest name that is known."""
        for name in self.values:
            if name not in self._asked and not self.problems.is_full:
                self.add(name, f"unknown key; {nearest(name, self._asked)}")

    def has(self, name: str) -> bool:
        """Whether the key is given; asking makes it known."""
        if name not in self._asked:
            self._asked.append(name)
        return name in self.values

    def raw(self, name: str) -> Any:
        """Whatever is there, or None."""
        return self.values[name] if self.has(name) else None

    def require(self, *names: str) -> None:
        """A problem for each of these keys that is not given."""
        for name in names:
            if not self.has(name):
                self.add(None, f"{name} is missing")

    def text(self, name: str, default: str = "") -> str:
        """A string."""
        if not self.has(name):
            return default
        value = self.values[name]
        if not isinstance(value, str) or len(value) > TEXT_CHARS_MAX:
            self.add(name, f"give a string of at most {TEXT_CHARS_MAX:,} characters")
            return default
        return value

    def texts(self, name: str, *, may_be_one: bool = False) -> tuple[str, ...]:
        """A list of non-empty strings, or a single one where `may_be_one`."""
        if not self.has(name):
            return ()
        value = self.values[name]
        values = [value] if may_be_one and isinstance(value, str) else value
        if not isinstance(values, list) or len(values) > TEXTS_MAX or not all(_is_text(each) for each in values):
            self.add(name, "give a string or a list of strings" if may_be_one else "give a list of strings")
            return ()
        return tuple(values)

    def word(self, name: str, words: type[Word], default: Word, *, but: Mapping[str, str] | None = None) -> Word:
        """One of a few words; `but` says why some of them are not accepted here."""
        if not self.has(name):
            return default
        value = self.values[name]
        accepted = [str(word) for word in words if str(word) not in (but or {})]
        if isinstance(value, str) and value in (but or {}):
            self.add(name, (but or {})[value])
        elif value not in accepted:
            self.add(name, f"give one of {', '.join(accepted)}{_meant(value, accepted)}")
        else:
            return words(value)
        return default

    def boolean(self, name: str, default: bool) -> bool:
        """True or false."""
        if not self.has(name):
            return default
        value = self.values[name]
        if not isinstance(value, bool):
            self.add(name, "give true or false")
            return default
        return value

    def whole(self, name: str, default: int, *, least: int = 1, most: float = NUMBER_MAX) -> int:
        """A whole number."""
        if not self.has(name):
            return default
        value = self.values[name]
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            self.add(name, f"give a whole number from {least:,} to {most:,.0f}")
            return default
        return value

    def number(self, name: str, default: float, *, above: float = 0.0, most: float = NUMBER_MAX) -> float:
        """A finite number above `above`."""
        if not self.has(name):
            return default
        value = self.values[name]
        if isinstance(value, bool) or not isinstance(value, int | float) or not above < value <= most:
            self.add(name, f"give a number above {above:g}, at most {most:,g}")
            return default
        return float(value)

    def duration(self, name: str, default: float) -> float:
        """Seconds, from a string with its unit."""
        if not self.has(name):
            return default
        value = self.values[name]
        found = _DURATION.fullmatch(value) if isinstance(value, str) else None
        seconds = float(found[1]) * _SECONDS[found[2]] if found else math.nan
        if not 0 < seconds <= DURATION_SECONDS_MAX:
            self.add(name, DURATION_ACCEPTED)
            return default
        return seconds

    def pattern(self, name: str, default: Pattern = EVERY) -> Pattern:
        """Names with `*` and `|`."""
        if not self.has(name):
            return default
        value = self.values[name]
        try:
            if not isinstance(value, str):
                raise ValueError("is no string")
            return Pattern.parse(value)
        except ValueError as error:
            self.add(name, f"{error}; give names such as 'shell|bash' or 'pay_*'")
            return default

    def table(self, name: str) -> Table:
        """A table inside this one; empty when it is not given."""
        return Table(self.values[name] if self.has(name) else {}, (*self.path, name), self.problems)

    def tables(self, name: str, most: int) -> list[Table]:
        """An array of tables."""
        if not self.has(name):
            return []
        value = self.values[name]
        if not isinstance(value, list) or len(value) > most:
            self.add(name, f"give [[{name}]] tables, at most {most}")
            return []
        return [Table(each, (*self.path, name, number), self.problems) for number, each in enumerate(value)]


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= TEXT_CHARS_MAX


def _meant(value: Any, accepted: list[str]) -> str:
    """The one of a few words that somebody may have meant, where one is near."""
    hint = nearest(value, accepted) if isinstance(value, str) else ""
    return f"; {hint}" if hint.endswith("?") else ""
