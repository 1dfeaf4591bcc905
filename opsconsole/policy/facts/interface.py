"""What every fact is: a pure function from arguments and a run's history to a few named values; it decides nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, field
from typing import Any, Protocol

from opsconsole.errors import ConfigError

FactValue = bool | int | str | list[str]


class FactConfigError(ConfigError):
    """A setting of a fact is missing or wrong: `field` names it, the message says what is accepted."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.message = message


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """What a run has shown before the call that is judged; `opsconsole.policy.facts.memory` gathers it."""

    seen: Set[str] = field(default_factory=frozenset)
    """What earlier messages and tool results may identify things by, as `memory.words_of` gives it."""
    is_complete: bool = True
    """False once something of the run was not remembered: then nothing can be said to be new."""
    schema_changes: tuple[str, ...] = ()
    """SQL of this run that changed a schema and succeeded, oldest first."""
    is_schema_complete: bool = True
    """False once such a change was not remembered: then no name can be said to be unknown."""
    tool_schema: Mapping[str, Any] | None = None
    """The JSON Schema of the tool's arguments, as whoever offers it says; untrusted."""


NO_HISTORY = History()


class Fact(Protocol):
    """Pure and total: the same arguments and history give the same values, and no arguments make it raise.

    What cannot be understood is told by the field `unclear`; each fact says what its other fields hold then.
    """

    @property
    def fields(self) -> Mapping[str, type]:
        """Field name -> `bool`, `int`, `str` or `list` (of `str`): exactly what a call gives, each field always."""
        ...

    def __call__(self, args: Mapping[str, Any], history: History) -> dict[str, FactValue]:
        """The values of this fact for one call."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class FactMaker:
    """Makes a fact from its table in the policy file."""

    fields: Mapping[str, type]
    """As `Fact.fields`: the same for every configuration."""
    settings: frozenset[str]
    """The keys that `config` may hold, but for `tool`, which says where the fact applies and is read by the policy."""
    files: frozenset[str]
    """Those keys whose string names a JSON file: the caller reads it and puts what was parsed in its place."""
    make: Callable[[Mapping[str, Any]], Fact]

    def __call__(self, config: Mapping[str, Any]) -> Fact:
        """The fact with these settings.

        Raises:
            FactConfigError: a setting is unknown, missing or of the wrong type.
        """
        for name in config:
            if name not in self.settings and name != "tool":
                raise FactConfigError(name, f"unknown setting; known are {', '.join(sorted(self.settings))}")
        return self.make(config)


def text_setting(config: Mapping[str, Any], name: str, default: str | None = None) -> str:
    """A setting that is a non-empty string.

    Raises:
        FactConfigError: it is of another type or empty, or missing without a default.
    """
    value = config.get(name, default)
    if value is None:
        raise FactConfigError(name, f"{name} is missing: give a string")
    if not isinstance(value, str) or not value:
        raise FactConfigError(name, "give a string that is not empty")
    return value


def texts_setting(config: Mapping[str, Any], name: str, default: tuple[str, ...] | None = None) -> tuple[str, ...]:
    """A setting that is a list of non-empty strings.

    Raises:
        FactConfigError: it is anything else, or missing without a default.
    """
    value = config.get(name, default)
    if value is None:
        raise FactConfigError(name, f"{name} is missing: give a list of strings")
    if not isinstance(value, list | tuple) or not all(isinstance(each, str) and each for each in value):
        raise FactConfigError(name, "give a list of strings that are not empty")
    return tuple(value)
