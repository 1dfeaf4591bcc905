"""What a statement would touch, as a query that only counts it; nothing is run, and what is unclear is not counted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlglot import exp

from opsconsole.policy.facts.sql_text import FOREIGN_ERRORS, dialect_named, parsed


@dataclass(frozen=True, slots=True, kw_only=True)
class Counting:
    """How to know the number of rows that one statement reads or changes."""

    verb: str = ""
    """`delete`, `update`, `insert`, `select`, or the first word of what is none of these."""
    table: str = ""
    query: str | None = None
    """One SELECT that gives the number."""
    rows: int | None = None
    """The number itself, where the statement says it."""
    why_not: str = ""
    """Why there is neither."""


def counting(text: Any, dialect: str) -> Counting:
    """The counting of `text`, whatever it is. Raises: FactConfigError for an unknown dialect."""
    dialect_named(dialect)
    found = parsed(text, dialect)
    if found.doubt:
        return Counting(why_not=found.doubt)
    if len(found.statements) != 1:
        return Counting(why_not=f"{len(found.statements)} statements, not one")
    statement = found.statements[0]
    if statement.root is None:
        return Counting(verb=statement.word.lower(), why_not="the statement is beyond what is understood")
    try:
        return _counted(statement.root, dialect)
    except FOREIGN_ERRORS:
        return Counting(why_not="the statement is beyond what is understood")


def _counted(root: exp.Expr, dialect: str) -> Counting:
    if isinstance(root, exp.Delete | exp.Update):
        return _changed(root, dialect)
    if isinstance(root, exp.Insert):
        return _inserted(root, dialect)
    if isinstance(root, exp.Query):
        if root.find(exp.Into) is not None:
            return Counting(verb="select", why_not="it writes what it reads")
        return Counting(verb="select", query=_count_of(root, dialect))
    return Counting(verb=root.key.lower(), why_not="rows do not say what it does")


def _changed(root: exp.Delete | exp.Update, dialect: str) -> Counting:
    verb, table = root.key.lower(), root.this
    if not isinstance(table, exp.Table) or table.args.get("joins"):
        return Counting(verb=verb, why_not="it names more than one table")
    name = table.name
    if any(root.args.get(part) for part in ("using", "tables", "from_", "from", "with_", "with")):
        return Counting(verb=verb, table=name, why_not="which rows it means depends on other tables")
    query = exp.select("1").from_(table.copy())
    for part in ("where", "order", "limit"):
        if root.args.get(part) is not None:
            query.set(part, root.args[part].copy())
    return Counting(verb=verb, table=name, query=_count_of(query, dialect))


def _inserted(root: exp.Insert, dialect: str) -> Counting:
    target = root.this.this if isinstance(root.this, exp.Schema) else root.this
    name = target.name if isinstance(target, exp.Table) else ""
    source = root.expression
    if root.args.get("with_") or root.args.get("with"):
        return Counting(verb="insert", table=name, why_not="which rows it means depends on other tables")
    if isinstance(source, exp.Values):
        return Counting(verb="insert", table=name, rows=len(source.expressions))
    if isinstance(source, exp.Query):
        return Counting(verb="insert", table=name, query=_count_of(source, dialect))
    return Counting(verb="insert", table=name, why_not="it does not say its rows")


def _count_of(query: exp.Query, dialect: str) -> str:
    counted = exp.select(exp.Count(this=exp.Star())).from_(query.copy().subquery("counted"))
    return counted.sql(dialect=dialect, comments=False)
