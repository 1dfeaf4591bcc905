"""The fact `schema`: whether the arguments are what the tool's own JSON Schema asks for; nothing is fetched."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from math import isfinite
from types import MappingProxyType
from typing import Any

import jsonschema_rs

from opsconsole.policy.facts.interface import FactConfigError, FactMaker, FactValue, History
from opsconsole.policy.facts.schema_bounds import refusal

ERRORS_MAX = 10
ERROR_CHARS_MAX = 200
ARGUMENT_DEPTH_MAX = 64
"""The validator recurses natively: a hundred thousand levels end the process."""
ARGUMENT_VALUES_MAX = 10_000
OFFERED_KEPT_MAX = 512
"""Schemas of running agents' tools that are kept ready."""
PATTERN_BYTES_MAX = 1_000_000
"""Of one compiled pattern."""

_SURROGATE = re.compile(r"[\ud800-\udfff]")

FIELDS: Mapping[str, type] = MappingProxyType({"valid": bool, "errors": list, "unclear": bool})
"""`errors` are `place: what is wrong`; with `unclear` the arguments could not be checked and `valid` is false."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaFact:
    """Checks all arguments of a call at once."""

    validator: jsonschema_rs.Validator | None
    """None: the schema that comes with the call."""

    @property
    def fields(self) -> Mapping[str, type]:
        """What a call gives."""
        return FIELDS

    def __call__(self, args: Mapping[str, Any], history: History) -> dict[str, FactValue]:
        """Valid or not, and the first errors."""
        document = dict(args)
        validator = self.validator or _offered(history.tool_schema)
        if isinstance(validator, str):
            return {"valid": False, "errors": [validator], "unclear": True}
        if not is_checkable(document):
            return {"valid": False, "errors": ["the arguments are no JSON, too deep or too many"], "unclear": True}
        try:
            if validator.is_valid(document):
                return {"valid": True, "errors": [], "unclear": False}
            found = [_in_words(error) for error in islice(validator.iter_errors(document), ERRORS_MAX)]
        except (ValueError, TypeError, RecursionError, OverflowError):
            return {"valid": False, "errors": ["the arguments are no JSON value"], "unclear": True}
        return {"valid": False, "errors": found, "unclear": False}


def validator_of(schema: Any) -> jsonschema_rs.Validator:
    """A validator of an untrusted schema: bounded, without anything fetched, with patterns that take linear time.

    Raises:
        FactConfigError: the schema is refused or wrong; says why.
    """
    if reason := refusal(schema):
        raise FactConfigError("schema", reason)
    try:
        return jsonschema_rs.validator_for(
            schema, offline=True, pattern_options=jsonschema_rs.RegexOptions(size_limit=PATTERN_BYTES_MAX)
        )
    except (ValueError, TypeError, RecursionError, OverflowError) as error:
        raise FactConfigError("schema", str(error).partition("\n")[0][:ERROR_CHARS_MAX]) from error


def is_checkable(document: Any) -> bool:
    """Whether a value is JSON, and shallow and small enough to be handed to native code."""
    level = [document]
    count = 0
    for _ in range(ARGUMENT_DEPTH_MAX):
        count += len(level)
        if count > ARGUMENT_VALUES_MAX or not all(map(_is_json, level)):
            return False
        level = [
            inner
            for each in level
            if isinstance(each, dict | list)
            for inner in (each.values() if isinstance(each, dict) else each)
        ]
    return not level


def _is_json(value: Any) -> bool:
    """Whether the value by itself is what JSON can say: the validator passes over some of what it cannot."""
    if isinstance(value, str):
        return _SURROGATE.search(value) is None
    if isinstance(value, dict):
        return all(isinstance(key, str) and _SURROGATE.search(key) is None for key in value)
    return value is None or (isinstance(value, float) and isfinite(value)) or isinstance(value, bool | int | list)


def _in_words(error: jsonschema_rs.ValidationError) -> str:
    place = ".".join(str(part) for part in error.instance_path)
    return f"{place or 'arguments'}: {error.message}"[:ERROR_CHARS_MAX]


class _Same:
    """A schema that is its own key: a run's calls of a tool come with the same object."""

    __slots__ = ("schema",)

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self.schema = schema

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and other.schema is self.schema

    def __hash__(self) -> int:
        return id(self.schema)


def _offered(schema: Mapping[str, Any] | None) -> jsonschema_rs.Validator | str:
    """The validator of a call's own schema, or why there is none."""
    return "nobody told the tool's schema" if schema is None else _validator_or_why(_Same(schema))


@lru_cache(maxsize=OFFERED_KEPT_MAX)
def _validator_or_why(same: _Same) -> jsonschema_rs.Validator | str:
    try:
        return validator_of(same.schema)
    except FactConfigError as error:
        return f"the tool's schema: {error.message}"[:ERROR_CHARS_MAX]


def _make(config: Mapping[str, Any]) -> SchemaFact:
    return SchemaFact(validator=validator_of(config["schema"]) if "schema" in config else None)


SCHEMA = FactMaker(fields=FIELDS, settings=frozenset({"schema"}), files=frozenset({"schema"}), make=_make)
"""`schema = { tool, schema = "pay_invoice.json" }`; without a file, the schema that comes with the call."""
