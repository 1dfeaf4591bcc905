"""The tables and columns of a database as a value, read from JSON and changed by DDL; it reads no file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from sqlglot import exp

from opsconsole.policy.facts.interface import FactConfigError

Columns = frozenset[str] | None
"""Names in lower case; None when any name must be believed."""

TABLES_MAX = 20_000
"""Of one schema: a warehouse has some thousands."""
SYSTEM_SCHEMAS = frozenset({"information_schema", "mysql", "performance_schema", "sys", "pg_catalog"})
SYSTEM_TABLES = {"mysql": ("dual",), "oracle": ("dual",), "sqlite": ("sqlite_", "pragma_")}
"""What names of tables start with that every database of a dialect holds; of a dialect not listed, `pg_`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    """What is known of a database; names are in lower case."""

    tables: Mapping[str, Columns]
    dialect: str = ""
    databases: frozenset[str] = frozenset()
    """How the tables may be qualified; empty when any qualifier is believed."""
    is_open: bool = False
    """Whether tables may exist that are not listed."""

    def columns_of(self, table: exp.Table) -> tuple[bool, Columns]:
        """Whether the table is known to exist, or must be believed, and its columns."""
        name, database = table.name.lower(), table.db.lower()
        if database in SYSTEM_SCHEMAS or name.startswith(SYSTEM_TABLES.get(self.dialect, ("pg_",))):
            return True, None
        if database and self.databases and database not in self.databases:
            return self.is_open, None
        if name in self.tables:
            return True, self.tables[name]
        return self.is_open, None

    def with_table(self, name: str, columns: Columns) -> Schema:
        """The schema after a table was created or replaced."""
        return replace(self, tables={**self.tables, name.lower(): columns})

    def without_table(self, name: str) -> Schema:
        """The schema after a table was dropped."""
        return replace(self, tables={key: value for key, value in self.tables.items() if key != name.lower()})


UNKNOWN_SCHEMA = Schema(tables={}, is_open=True)
"""Nothing is known: every name is believed."""


def schema_from(document: Any, *, dialect: str, database: str | None) -> Schema:
    """From `{table: {column: type}}`, `{table: [column]}`, or either below names of databases.

    `database` is the name by which statements may qualify the tables of a document without such names.

    Raises:
        FactConfigError: the document has another shape, or is too large.
    """
    if not isinstance(document, Mapping) or not document:
        raise FactConfigError("schema", "give a JSON object of tables, each with its columns")
    if all(_is_columns(value) for value in document.values()):
        layers = {database or "": document}
    elif all(isinstance(value, Mapping) and all(map(_is_columns, value.values())) for value in document.values()):
        layers = dict(document)
    else:
        raise FactConfigError("schema", "give {table: {column: type}}, or that below names of databases")
    tables = {
        str(table).lower(): frozenset(str(column).lower() for column in columns)
        for layer in layers.values()
        for table, columns in layer.items()
    }
    if len(tables) > TABLES_MAX:
        raise FactConfigError("schema", f"more than {TABLES_MAX:,} tables")
    return Schema(tables=tables, dialect=dialect, databases=frozenset(name.lower() for name in layers if name))


def _is_columns(value: Any) -> bool:
    if isinstance(value, Mapping):
        return all(isinstance(kind, str) for kind in value.values())
    return isinstance(value, list) and all(isinstance(column, str) for column in value)


def changed(schema: Schema, root: exp.Expr | None, columns: Columns) -> Schema:
    """The schema after a statement; `columns` are those that its query gives. What is not understood opens it."""
    if isinstance(root, exp.Create):
        return _created(schema, root, columns)
    if isinstance(root, exp.Drop):
        return _dropped(schema, root)
    if isinstance(root, exp.Alter) and isinstance(root.this, exp.Table):
        return _altered(schema, root)
    if isinstance(root, exp.Query):
        into = root.args.get("into")
        return schema.with_table(into.this.name, columns) if into is not None else schema
    if root is None or isinstance(root, exp.Command | exp.Use):
        return replace(schema, is_open=True)
    return schema


def _created(schema: Schema, root: exp.Create, columns: Columns) -> Schema:
    if str(root.args.get("kind", "")).upper() not in {"TABLE", "VIEW"}:
        return schema
    target = root.this
    table = target.this if isinstance(target, exp.Schema) else target
    if root.args.get("exists") and table.name.lower() in schema.tables:
        return schema
    if isinstance(target, exp.Schema):
        listed = [each for each in target.expressions if isinstance(each, exp.ColumnDef | exp.Identifier)]
        columns = frozenset(each.name.lower() for each in listed) | (columns or frozenset()) if listed else None
    return schema.with_table(table.name, columns)


def _dropped(schema: Schema, root: exp.Drop) -> Schema:
    if str(root.args.get("kind", "")).upper() not in {"TABLE", "VIEW"}:
        return schema
    for table in root.args.get("tables") or ([root.this] if root.this else []):
        schema = schema.without_table(table.name)
    return schema


def _altered(schema: Schema, root: exp.Alter) -> Schema:
    name = root.this.name.lower()
    columns = schema.tables.get(name)
    for action in root.args.get("actions") or []:
        if isinstance(action, exp.ColumnDef) and columns is not None:
            columns = columns | {action.name.lower()}
        elif (
            isinstance(action, exp.Drop)
            and str(action.args.get("kind", "")).upper() == "COLUMN"
            and columns is not None
        ):
            columns = columns - {each.name.lower() for each in action.args.get("tables") or []}
        elif isinstance(action, exp.RenameColumn) and columns is not None:
            columns = (columns - {action.name.lower()}) | {action.args["to"].name.lower()}
        elif isinstance(action, exp.AlterRename):
            schema = schema.without_table(name)
            name = action.this.name.lower()
        elif not isinstance(action, exp.AlterColumn | exp.AddConstraint):
            columns = None
    return schema.with_table(name, columns)
