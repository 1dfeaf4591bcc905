"""Reads `[facts]` and says which names expressions may look at; what a fact works out is the fact's own matter."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from opsconsole.policy.facts.interface import FactConfigError, FactMaker, FactValue, History
from opsconsole.policy.file.sources import Sources
from opsconsole.policy.file.table import Table
from opsconsole.policy.rules.engine import Variables, nearest
from opsconsole.policy.rules.rule import BASE_VARIABLES, BoundFact

FACTS_MAX = 50
HOURS = "hours"
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}", re.ASCII)
NAME_ACCEPTED = "give a name of letters, digits and '_' that expressions do not use otherwise"
_RESERVED = frozenset(
    {"as", "break", "const", "continue", "else", "false", "for", "function", "if", "import", "in", "let", "loop"}
    | {"namespace", "null", "package", "return", "true", "var", "void", "while"}
    | {"bool", "bytes", "double", "int", "list", "map", "null_type", "string", "type", "uint"}
)
"""Words that CEL keeps for itself, and the names of its types."""
_TAKEN = _RESERVED | {name.split(".")[0] for name in BASE_VARIABLES} | {HOURS}
_KINDS: Mapping[type, str] = {bool: "bool", int: "int", str: "str", list: "list"}


def is_name(name: str) -> bool:
    """Whether an expression can call something so."""
    return NAME.fullmatch(name) is not None and name not in _RESERVED


def read_facts(table: Table, sources: Sources, makers: Mapping[str, FactMaker]) -> tuple[BoundFact, ...]:
    """Each fact under its name; its kind is `fact`, or else the name itself."""
    found = []
    for name in list(table.values)[:FACTS_MAX]:
        given = table.table(name)
        if not is_name(name) or name in _TAKEN:
            table.add(name, NAME_ACCEPTED)
        elif isinstance(table.values[name], dict) and (bound := _bound(given, name, sources, makers)):
            found.append(bound)
    if len(table.values) > FACTS_MAX:
        table.add(None, f"more than {FACTS_MAX} facts")
    return tuple(found)


def _bound(given: Table, name: str, sources: Sources, makers: Mapping[str, FactMaker]) -> BoundFact | None:
    kind = given.text("fact", name)
    if kind not in makers:
        given.add("fact" if given.has("fact") else None, f"unknown fact {kind}; {nearest(kind, sorted(makers))}")
        return None
    given.require("tool")
    maker, tools = makers[kind], given.pattern("tool")
    config: dict[str, Any] = {}
    for key in sorted(maker.settings - {"tool"}):
        if given.has(key):
            config[key] = sources.json(given, key) if key in maker.files else given.values[key]
    given.close()
    if any(config[key] is None for key in config):
        return BoundFact(name=name, tools=tools, fact=_Unmade(maker.fields))
    try:
        return BoundFact(name=name, tools=tools, fact=maker(config))
    except FactConfigError as error:
        given.add(error.field if given.has(error.field) else None, error.message)
        return BoundFact(name=name, tools=tools, fact=_Unmade(maker.fields))


class _Unmade:
    """Stands for a fact of a file that is refused, so that its rules are not told that the fact is unknown."""

    def __init__(self, fields: Mapping[str, type]) -> None:
        self.fields = fields

    def __call__(self, args: Mapping[str, Any], history: History) -> dict[str, FactValue]:
        """Nothing: no such file is ever put to work."""
        return {}


def variables_of(facts: Iterable[BoundFact], hours: Iterable[str]) -> Variables:
    """Every name that an expression may look at, with what it holds."""
    found = dict(BASE_VARIABLES)
    found.update({f"{HOURS}.{name}": "bool" for name in hours})
    for bound in facts:
        found.update({f"{bound.name}.{field}": _KINDS[kind] for field, kind in bound.fact.fields.items()})
    return tuple(sorted(found.items()))
