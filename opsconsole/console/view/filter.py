"""The filter of the runs table: words that must all match; it changes what is listed, never what is counted as held."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass

from opsconsole.protocol.rows import RunRow

_COMPARED = re.compile(r"(cost|turns|tokens|age)(>=|<=|>|<)(\d+(?:\.\d+)?)([smhd]?)\Z")
_COMPARE: dict[str, Callable[[float, float], bool]] = {
    ">": operator.gt,
    "<": operator.lt,
    ">=": operator.ge,
    "<=": operator.le,
}
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3_600, "d": 86_400}
_FIELDS = ("agent", "state", "status", "link", "owner", "run", "name")

Test = Callable[[RunRow, str, float], bool]
"""(row, status word, hub time) -> whether it matches."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFilter:
    """Words that must all match: `text`, `agent:a,b`, `status:`, `link:`, `cost>2`, `age>5m`, `name=value`, `!word`."""

    text: str = ""
    tests: tuple[Test, ...] = ()

    def matches(self, row: RunRow, status_word: str, now: float) -> bool:
        """Whether every word of the filter matches the row."""
        return all(test(row, status_word, now) for test in self.tests)


def parse_filter(text: str) -> RunFilter:
    """A filter from what was typed; every text is one, so there is nothing to refuse."""
    words = text.split()
    return RunFilter(text=" ".join(words), tests=tuple(_test(word.lower()) for word in words))


def _test(word: str) -> Test:
    if word.startswith("!") and len(word) > 1:
        inner = _test(word[1:])
        return lambda row, status, now: not inner(row, status, now)
    if compared := _COMPARED.match(word):
        return _comparison(compared[1], compared[2], float(compared[3]) * _SECONDS[compared[4]])
    name, colon, value = word.partition(":")
    if colon and name in _FIELDS:
        return _field(name, tuple(part for part in value.split(",") if part))
    label, equals, value = word.partition("=")
    if equals and label:
        return lambda row, status, now: row.labels.get(label, "").lower() == value
    return lambda row, status, now: word in _haystack(row, status)


def _comparison(what: str, how: str, bound: float) -> Test:
    compare = _COMPARE[how]

    def test(row: RunRow, _status: str, now: float) -> bool:
        return compare(_amount(row, what, now), bound)

    return test


def _amount(row: RunRow, what: str, now: float) -> float:
    if what == "cost":
        return row.cost_usd
    if what == "turns":
        return row.turns
    if what == "tokens":
        return row.input_tokens + row.output_tokens
    return now - row.started_at


def _field(name: str, values: tuple[str, ...]) -> Test:
    def test(row: RunRow, status: str, _now: float) -> bool:
        actual = status if name == "status" else str(getattr(row, name))
        lowered = actual.lower()
        return any(value in lowered for value in values)

    return test


def _haystack(row: RunRow, status: str) -> str:
    labels = " ".join(f"{key}={value}" for key, value in row.labels.items())
    return f"{row.run} {row.agent} {row.name} {status} {row.state.value} {row.doing} {row.owner} {labels}".lower()
