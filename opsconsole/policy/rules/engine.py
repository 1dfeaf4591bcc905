"""CEL through Google's engine, behind bounds: what cannot be evaluated is a `Failed`, never true, never an exception.

The engine gives most errors back as values whose plain form is their text, which Python takes for true, and raises
others (a spent budget of iterations): so only the value `True` itself counts as true.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import lru_cache
from typing import Any

from cel_expr_python import cel  # type: ignore[import-untyped]

from opsconsole.domain.text import safe_line
from opsconsole.policy.rules.engine_words import in_words
from opsconsole.policy.rules.expression import Expression, read

Variables = tuple[tuple[str, str], ...]
"""Dotted names and what each holds: `bool`, `int`, `str`, `list` (of `str`), `texts` (`str` to `str`), `json`, `items`
(a list of anything), `any`."""

CACHED_MAX = 1_024
"""Programs kept, so that a policy that is loaded again costs little."""
ERROR_CHARS_MAX = 2_000
"""Of the engine's words that are read."""
FAILURE_CHARS_MAX = 160
"""Of the engine's words; the rest quotes arguments."""

_TYPES: Mapping[str, cel.Type] = {
    "bool": cel.Type.BOOL,
    "int": cel.Type.INT,
    "str": cel.Type.STRING,
    "list": cel.Type.List(cel.Type.STRING),
    "texts": cel.Type.Map(cel.Type.STRING, cel.Type.STRING),
    "json": cel.Type.Map(cel.Type.STRING, cel.Type.DYN),
    "items": cel.Type.List(cel.Type.DYN),
    "any": cel.Type.DYN,
}
_PRESENCE = re.compile(r"\bhas\s*\([^()]*\)")
_NUMBERS = re.compile(r"applied to '\((?=[^']*\bint\b)(?=[^']*\bdouble\b)")
"""Of an error about whole numbers beside others."""
_ENGINE_ERRORS = (RuntimeError, ValueError, TypeError, OverflowError)
"""What the binding raises: its own errors, and those of a conversion that it refuses."""


class Bindings:
    """The values of one call, converted once for all the rules that look at them."""

    __slots__ = ("activation",)

    def __init__(self, variables: Variables, values: Mapping[str, Any]) -> None:
        self.activation: cel.Activation = _environment(variables).Activation(values)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """Why an expression has no value for these arguments."""

    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """One compiled expression."""

    expression: Expression
    _compiled: cel.Expression = field(repr=False, compare=False)

    def evaluate(self, bindings: Bindings) -> bool | Failed:
        """Whether it holds; `Failed` for every error and for everything that is neither true nor false."""
        try:
            value = self._compiled.eval(bindings.activation).plain_value()
        except _ENGINE_ERRORS as error:
            return Failed(why=_words(str(error)))
        if value is True or value is False:
            return value
        return Failed(why=_words(value) if isinstance(value, str) else "is neither true nor false")


@lru_cache(maxsize=CACHED_MAX)
def compiled(text: str, variables: Variables) -> Program:
    """The program. Raises: ValueError, with the nearest known name where one is unknown."""
    expression = read(text)
    _check_names(expression, variables)
    try:
        program = _environment(variables).compile(text)
    except _ENGINE_ERRORS as error:
        raise ValueError(_words(str(error).removeprefix("INVALID_ARGUMENT: ERROR: <input>:"))) from None
    if program.return_type().name() not in ("BOOL", "DYN"):
        raise ValueError(f"gives {program.return_type().name().lower()}, not true or false")
    return Program(expression=expression, _compiled=program)


def mistyped(text: str, variables: Variables) -> str | None:
    """Which types the expression brings together that have nothing in common, given what its names hold; else None.

    Numbers go with one another, whole or not, as they do when the expression is evaluated.
    """
    text = _PRESENCE.sub(lambda found: "true".ljust(len(found[0])), text)
    try:
        cel.NewEnv(variables={name: _TYPES[kind] for name, kind in variables}).compile(text)
    except _ENGINE_ERRORS as error:
        wrong = re.findall(r"<input>:(\d+:\d+: found no matching overload[^\n]*)", str(error))
        return next((_words(one) for one in wrong if not _NUMBERS.search(one)), None)
    return None


def _check_names(expression: Expression, variables: Variables) -> None:
    known = [name for name, _ in variables]
    roots = {name.split(".")[0] for name in known}
    if hidden := sorted(expression.variables & roots):
        raise ValueError(f"walks through a list under the name {hidden[0]}, which already means something here")
    for path in sorted(expression.presences):
        if ".".join(path) in known:
            raise ValueError(
                f"has({'.'.join(path)}): that is always there, and the engine would give its value instead"
            )
    for path in sorted(expression.paths):
        if path[0] in known or ".".join(path[:2]) in known:
            continue
        fields = [name for name in known if name.startswith(f"{path[0]}.")]
        if fields and len(path) == 1:
            raise ValueError(f"{path[0]} is no value; it has {', '.join(fields)}")
        name = ".".join(path[:2]) if fields else path[0]
        choices = fields or sorted(roots)
        raise ValueError(f"unknown name {name}; {nearest(name, choices)}")


def nearest(name: str, choices: list[str]) -> str:
    """The known name that somebody may have meant, else all of them."""
    found = get_close_matches(name, choices, n=1, cutoff=0.6)
    return f"did you mean {found[0]}?" if found else f"known are {', '.join(choices)}"


@lru_cache(maxsize=16)
def _environment(variables: Variables) -> cel.Env:
    return cel.NewEnv(variables={name: _TYPES[kind] for name, kind in variables})


def _words(text: str) -> str:
    return safe_line(in_words(text.partition("\n")[0][:ERROR_CHARS_MAX]), limit=FAILURE_CHARS_MAX)
