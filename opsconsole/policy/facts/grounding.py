"""The fact `grounding`: identifiers among the arguments that the run has never shown; a hint of invention, no proof."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from opsconsole.policy.facts.interface import FactMaker, FactValue, History, texts_setting
from opsconsole.policy.facts.memory import pieces_of

VALUES_MAX = 500
"""Arguments looked at in one call."""
UNGROUNDED_MAX = 20
IDENTIFIER_CHARS_MAX = 80
DIGITS_MIN = 5
"""A number without letters is an identifier from this length on: shorter ones are amounts and counts."""

FIELDS: Mapping[str, type] = MappingProxyType({"ungrounded": list, "values": list, "checked": int, "unclear": bool})
"""`ungrounded` are the places of identifiers that never appeared (`flights.0.flight_number`), `values` what is there.
With `unclear` nothing is called ungrounded: not all of the run is remembered, or the call is too large."""

_IDENTIFIER = re.compile(rf"[^\W_](?:[\w.:#-]{{2,{IDENTIFIER_CHARS_MAX - 1}}})")
"""One word without spaces, in which `-`, `_`, `.`, `:` or `#` may join parts."""
_NAME_OF_IDENTIFIER = re.compile(r"(?:\A|_|(?<=[a-z])(?=I))(?:ids?|Ids?|number|no|ref|code|key)\Z")
"""Under such a name a JSON number is an identifier too."""
_QUANTITY = re.compile(
    r"\d{1,4}-\d{1,2}(?:-\d{1,4})?(?:[T ].{0,30})?"
    r"|\d{1,2}:\d{2}(?::\d{2})?.{0,12}"
    r"|[+-]?\d{1,30}(?:[.,]\d{1,30})?(?:e[+-]?\d{1,3})?[a-z%]{0,3}"
    r"|v?\d{1,6}(?:\.\d{1,6}){1,3}",
    re.IGNORECASE,
)
"""Dates, times, amounts with a unit, versions: worked out, not looked up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GroundingFact:
    """Looks at all arguments but the ignored, or at the listed only."""

    args: frozenset[str]
    ignored: frozenset[str]

    @property
    def fields(self) -> Mapping[str, type]:
        """What a call gives."""
        return FIELDS

    def __call__(self, args: Mapping[str, Any], history: History) -> dict[str, FactValue]:
        """The identifiers that the run has not shown."""
        chosen = {
            name: value
            for name, value in args.items()
            if name not in self.ignored and (not self.args or name in self.args)
        }
        found: list[tuple[str, str]] = []
        checked = 0
        for count, (place, name, value) in enumerate(_leaves(chosen)):
            if count >= VALUES_MAX:
                return {"ungrounded": [], "values": [], "checked": checked, "unclear": True}
            text = identifier_in(name, value)
            if text is not None:
                checked += 1
                if not is_grounded(text, history):
                    found.append((place, text))
        found = found[:UNGROUNDED_MAX] if history.is_complete else []
        return {
            "ungrounded": [place for place, _ in found],
            "values": [text for _, text in found],
            "checked": checked,
            "unclear": not history.is_complete,
        }


def identifier_in(name: str, value: Any) -> str | None:
    """The value as text if it looks like an identifier: a word with a digit that is no date, time or amount."""
    if isinstance(value, int) and not isinstance(value, bool):
        is_named = _NAME_OF_IDENTIFIER.search(name) is not None
        return str(value) if is_named and 10 ** (DIGITS_MIN - 1) <= value < 10**30 else None
    if not isinstance(value, str):
        return None
    is_named = _NAME_OF_IDENTIFIER.search(name) is not None
    word = value.removeprefix("#") if is_named else value  # elsewhere `#a1b2c3` is a colour
    if _IDENTIFIER.fullmatch(word) is None or not any(map(str.isdigit, word)):
        return None
    is_number = is_named and word.isdecimal() and len(word) >= DIGITS_MIN
    return value if is_number or not _QUANTITY.fullmatch(word) else None


def is_grounded(identifier: str, history: History) -> bool:
    """Whether it appeared, however its parts were joined: `mia li 3668` grounds `mia_li_3668`."""
    return all(piece in history.seen for piece in pieces_of(identifier))


def _leaves(args: Mapping[str, Any]) -> Iterator[tuple[str, str, Any]]:
    """Place, nearest name and value of each scalar argument, in order, without recursion."""
    pending: list[tuple[str, str, Any]] = [
        (str(name), str(name), value) for name, value in reversed(list(args.items()))
    ]
    while pending:
        place, name, value = pending.pop()
        if isinstance(value, Mapping):
            inner = [(f"{place[:200]}.{key}", str(key), each) for key, each in value.items()]
            pending.extend(reversed(inner))
        elif isinstance(value, list | tuple):
            pending.extend((f"{place[:200]}.{index}", name, value[index]) for index in reversed(range(len(value))))
        else:
            yield place, name, value


def _make(config: Mapping[str, Any]) -> GroundingFact:
    return GroundingFact(
        args=frozenset(texts_setting(config, "args", ())), ignored=frozenset(texts_setting(config, "ignore", ()))
    )


GROUNDING = FactMaker(fields=FIELDS, settings=frozenset({"args", "ignore"}), files=frozenset(), make=_make)
"""`grounding = { tool, args = ["only", …], ignore = ["but not", …] }`, both optional, both names of arguments."""
