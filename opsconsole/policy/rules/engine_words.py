"""The engine's errors in words that a person who wrote the rule can use; what is not known here stays as it is."""

from __future__ import annotations

import re

_SAYINGS = (
    (r"_(\S+?)_\((\w+), (\w+)\)", r"\1 is not defined for \2 and \3"),
    (r"([-!])_\((\w+)\)", r"\1 is not defined for \2"),
    (r"(?:_(&&|\|\|)_|(!)_)", r"\1\2 needs true or false"),
    (r"<jump_condition>", "what stands before ? is neither true nor false"),
    (r"<iter_range>", "what it walks through is no list"),
    (r"(.+)", r"\1 is not defined"),
)
"""What follows `No matching overloads found : `."""
_RUNNING = (
    (r'Key not found in map : "(.*)"', r'there is no "\1"'),
    (r"Applying SELECT to non-message type", "it looks for a part of what has no parts"),
    (r"Index error: index=(-?\d+) size=(\d+)", r"there is no item \1 in a list of \2"),
    (r"cannot convert (\w+) to (\w+)", r"the \1 is no \2"),
)
_LOADING = (
    (r"Syntax error: (?:mismatched|extraneous) input '<EOF>'.*", "it ends too early"),
    (r"Syntax error: (?:mismatched|extraneous) input '(.*?)' expecting.*", r"'\1' does not belong there"),
    (r"Syntax error: missing '(.*?)' at '<EOF>'", r"'\1' is missing at the end"),
    (r"Syntax error: missing '(.*?)' at '(.*?)'", r"'\1' is missing before '\2'"),
    (r"Syntax error: no viable alternative at input '(.*)'", r"'\1' cannot be read"),
    (r"undeclared reference to '(.*?)' \(in container ''\)", r"there is no \1"),
    (r"found no matching overload for '_(\S+?)_' applied to '\((.+), ([^,]+)\)'", r"\1 is not defined for \2 and \3"),
    (r"found no matching overload for '@in' applied to '\((.+), ([^,]+)\)'", r"in is not defined for \1 and \2"),
    (r"found no matching overload for '(\w+)' applied to '\((.*)\)'", r"\1 is not defined for \2"),
)
_KIND = re.compile(r"[A-Z_]{2,40}: ")
_PLACE = re.compile(r"(\d{1,9}):(\d{1,9}): ")
_NO_OVERLOAD = "No matching overloads found : "


def in_words(text: str) -> str:
    """One line of an error; the place in the expression first, where the engine tells one."""
    if kind := _KIND.match(text):
        text = text[kind.end() :]
    if place := _PLACE.match(text):
        where = f"column {place[2]}" if place[1] == "1" else f"line {place[1]}, column {place[2]}"
        return f"{where}: {_said(text[place.end() :], _LOADING)}"
    if text.startswith(_NO_OVERLOAD):
        return _said(text.removeprefix(_NO_OVERLOAD).replace("int64", "int"), _SAYINGS)
    return _said(text, _RUNNING)


def _said(text: str, sayings: tuple[tuple[str, str], ...]) -> str:
    for pattern, words in sayings:
        if found := re.fullmatch(pattern, text):
            return found.expand(words)
    return text
