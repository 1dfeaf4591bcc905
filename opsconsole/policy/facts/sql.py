"""The fact `sql`: what a query would do and which of its names no schema knows; nothing is run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from opsconsole.policy.facts.interface import (
    FactConfigError,
    FactMaker,
    FactValue,
    History,
    text_setting,
    texts_setting,
)
from opsconsole.policy.facts.sql_effects import READS, SCHEMA, UNBOUNDED, WRITES, Effects, add_command, add_effects
from opsconsole.policy.facts.sql_names import Resolver
from opsconsole.policy.facts.sql_schema import UNKNOWN_SCHEMA, Schema, changed, schema_from
from opsconsole.policy.facts.sql_text import FOREIGN_ERRORS, Parsed, dialect_named, meant, parsed

NAMES_MAX = 100
"""Of each list of names; a query that names more says nothing more by them."""
NAME_CHARS_MAX = 130
"""Longer than any database allows."""
REASON_CHARS_MAX = 200

FIELDS: Mapping[str, type] = MappingProxyType(
    {
        "reads": bool,
        "writes": bool,
        "unbounded_write": bool,
        "changes_schema": bool,
        "unclear": bool,
        "why": str,
        "statements": int,
        "tables": list,
        "unknown_tables": list,
        "unknown_columns": list,
    }
)
"""`unclear` means that it may do anything: `reads` and `writes` are true with it, the others tell what was recognised.
`why` is the first reason for that, empty otherwise. Without a schema no name is unknown.
Names are in lower case, columns qualified as written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SqlFact:
    """Judges one argument as SQL of one dialect against one schema."""

    arg: str
    dialect: str
    schema: Schema
    has_schema: bool
    functions: frozenset[str]

    @property
    def fields(self) -> Mapping[str, type]:
        """What a call gives."""
        return FIELDS

    def __call__(self, args: Mapping[str, Any], history: History) -> dict[str, FactValue]:
        """The facts of one query."""
        text = parsed(args.get(self.arg), self.dialect)
        effects = Effects()
        resolver = Resolver(schema=self._schema_after(history), dialect=self.dialect)
        try:
            self._gather(text, effects, resolver)
        except FOREIGN_ERRORS:
            effects.doubt("the statement is beyond what is understood")
        if text.doubt:
            effects.doubt(text.doubt)
        return self._facts(text, effects, resolver, history)

    def _gather(self, text: Parsed, effects: Effects, resolver: Resolver) -> None:
        for statement in text.statements:
            if statement.root is None:
                add_command(statement.word, effects)
                continue
            add_effects(statement.root, self.functions, effects)
            columns = resolver.statement(statement.root, {})
            resolver.schema = changed(resolver.schema, statement.root, columns)

    def _schema_after(self, history: History) -> Schema:
        if not self.has_schema or not history.is_schema_complete:
            return UNKNOWN_SCHEMA
        if not history.schema_changes:
            return self.schema
        return _schema_after(_Start(self.schema), history.schema_changes, self.dialect)

    def _facts(self, text: Parsed, effects: Effects, resolver: Resolver, history: History) -> dict[str, FactValue]:
        is_unclear = bool(effects.unclear)
        has_schema = self.has_schema and history.is_schema_complete
        tables = dict.fromkeys(
            f"{table.db}.{table.name}".lower() if table.db else table.name.lower()
            for table in reversed(effects.tables)
            if id(table) not in resolver.derived
        )
        return {
            "reads": READS in effects.kinds or is_unclear,
            "writes": WRITES in effects.kinds or is_unclear,
            "unbounded_write": UNBOUNDED in effects.kinds,
            "changes_schema": SCHEMA in effects.kinds,
            "unclear": is_unclear,
            "why": effects.unclear[:REASON_CHARS_MAX],
            "statements": len(text.statements),
            "tables": _bounded(tables),
            "unknown_tables": _bounded(resolver.unknown_tables if has_schema else {}),
            "unknown_columns": _bounded(resolver.unknown_columns if has_schema else {}),
        }


def _bounded(names: Mapping[str, None]) -> list[str]:
    return [name[:NAME_CHARS_MAX] for name in list(names)[:NAMES_MAX]]


class _Start:
    """A schema that is its own key: the same one is the same object for as long as its policy lives."""

    __slots__ = ("schema",)

    def __init__(self, schema: Schema) -> None:
        self.schema = schema

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Start) and other.schema is self.schema

    def __hash__(self) -> int:
        return id(self.schema)


@lru_cache(maxsize=256)
def _schema_after(start: _Start, changes: tuple[str, ...], dialect: str) -> Schema:
    """The schema as the run left it: the same history is asked about at every call."""
    schema = start.schema
    for text in changes:
        for statement in parsed(text, dialect).statements:
            resolver = Resolver(schema=schema, dialect=dialect)
            try:
                columns = resolver.statement(statement.root, {}) if statement.root is not None else None
                schema = changed(schema, statement.root, columns)
            except FOREIGN_ERRORS:
                schema = changed(schema, None, None)
    return schema


def _make(config: Mapping[str, Any]) -> SqlFact:
    name = text_setting(config, "dialect").lower()
    try:
        dialect_named(name)
    except ValueError as error:
        raise FactConfigError("dialect", f"{name!r} is no dialect of SQL that can be judged{meant(name)}") from error
    except TypeError as error:
        raise FactConfigError("dialect", "sqlglotc is installed and cannot be bounded: uninstall it") from error
    database = text_setting(config, "database") if "database" in config else None
    has_schema = "schema" in config
    return SqlFact(
        arg=text_setting(config, "arg"),
        dialect=name,
        schema=schema_from(config["schema"], dialect=name, database=database) if has_schema else UNKNOWN_SCHEMA,
        has_schema=has_schema,
        functions=frozenset(each.lower() for each in texts_setting(config, "functions", ())),
    )


SQL = FactMaker(
    fields=FIELDS,
    settings=frozenset({"arg", "dialect", "schema", "database", "functions"}),
    files=frozenset({"schema"}),
    make=_make,
)
"""`sql = { tool, arg, dialect, schema = "tables.json", database = "how it is qualified", functions = ["ours", …] }`:
`functions` are the team's own that only read; any other function that is not known makes a query unclear."""
