"""Finds the tables and columns of a parsed statement that its schema does not hold; what it cannot tell it believes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from sqlglot import exp

from opsconsole.policy.facts.sql_effects import below
from opsconsole.policy.facts.sql_schema import Columns, Schema

Tables = Mapping[str, Columns]
"""Common table expressions in reach, by name."""

PSEUDO_COLUMNS = frozenset(
    ("rowid", "_rowid_", "oid", "ctid", "xmin", "xmax", "cmin", "cmax", "tableoid", "rownum", "level", "sysdate")
)
DIALECTS_WITH_PSEUDO_COLUMNS = frozenset({"postgres", "sqlite", "oracle", "redshift", "duckdb", "materialize"})
DIALECTS_WITH_FIELDS = frozenset(
    {
        "bigquery",
        "snowflake",
        "duckdb",
        "spark",
        "spark2",
        "databricks",
        "hive",
        "presto",
        "trino",
        "athena",
        "clickhouse",
    }
)
"""Where `a.b` may be field `b` of column `a`."""
DIALECTS_WITH_ALIASES_EVERYWHERE = frozenset(
    {"sqlite", "snowflake", "duckdb", "redshift", "databricks", "spark", "clickhouse", "teradata", "bigquery"}
)
"""Where an alias of the select list may be used beyond GROUP BY, HAVING and ORDER BY; wide, so as not to cry wolf."""
_ALIASED_CLAUSES = frozenset({"group", "having", "order", "qualify", "distinct", "windows"})
_HANDLED = frozenset({"with_", "from_", "joins", "laterals", "into"})
_QUERIES = (exp.Select, exp.SetOperation, exp.Subquery)
_IMPLIED = frozenset({"new", "old", "excluded", "inserted", "deleted"})
"""Qualifiers that a server supplies inside of INSERT, UPDATE, DELETE and triggers."""


@dataclass(slots=True, kw_only=True)
class Scope:
    """What columns may be found in: the sources of one query, and those around it."""

    sources: dict[str, Columns] = field(default_factory=dict)
    outer: Scope | None = None
    aliases: frozenset[str] = frozenset()

    def is_open(self) -> bool:
        """Whether some source, here or around, may hold any name."""
        return None in self.sources.values() or (self.outer is not None and self.outer.is_open())

    def has(self, column: str) -> bool:
        """Whether some source, here or around, holds the column."""
        return any(columns and column in columns for columns in self.sources.values()) or (
            self.outer is not None and (column in self.outer.aliases or self.outer.has(column))
        )

    def source(self, name: str) -> tuple[bool, Columns]:
        """Whether a source of that name is in reach, and its columns."""
        if name in self.sources:
            return True, self.sources[name]
        return self.outer.source(name) if self.outer is not None else (False, None)


@dataclass(slots=True, kw_only=True)
class Resolver:
    """Goes over statements and gathers unknown names, in the order found."""

    schema: Schema
    dialect: str
    unknown_tables: dict[str, None] = field(default_factory=dict)
    unknown_columns: dict[str, None] = field(default_factory=dict)
    derived: set[int] = field(default_factory=set)
    """`id()` of table nodes that are common table expressions, not tables."""

    def statement(self, root: exp.Expr, ctes: Tables, outer: Scope | None = None) -> Columns:
        """Resolve any statement; the columns that it gives."""
        if isinstance(root, _QUERIES):
            return self.query(root, ctes, outer)
        ctes = self._with(root, ctes, outer)
        if isinstance(root, exp.Insert):
            return self._insert(root, ctes)
        if isinstance(root, exp.Update | exp.Delete | exp.Merge):
            return self._change(root, ctes)
        if isinstance(root, exp.Create):
            inner = root.args.get("expression")
            return self.statement(inner, ctes) if isinstance(inner, _QUERIES) else None
        if isinstance(root, exp.Describe | exp.TruncateTable | exp.Alter | exp.Drop | exp.Show | exp.Summarize):
            self._named(root, ctes)
        return None

    def query(self, node: exp.Expr, ctes: Tables, outer: Scope | None) -> Columns:
        """Resolve a query; the columns that it gives."""
        ctes = self._with(node, ctes, outer)
        if isinstance(node, exp.Select):
            return self._select(node, ctes, outer)
        if isinstance(node, exp.Subquery):
            inner = node.this
            return self.query(inner, ctes, outer) if isinstance(inner, _QUERIES) else None
        if isinstance(node, exp.SetOperation):
            return self._set_operation(node, ctes, outer)
        return None

    def _set_operation(self, node: exp.SetOperation, ctes: Tables, outer: Scope | None) -> Columns:
        """The left side is followed in a loop: hundreds of unions nest that deep."""
        rights: list[exp.Expr] = []
        left: exp.Expr = node
        while isinstance(left, exp.SetOperation):
            ctes = self._with(left, ctes, outer) if left is not node else ctes
            rights.append(left.expression)
            left = left.this
        columns = self.query(left, ctes, outer)
        for right in reversed(rights):
            self.query(right, ctes, outer)
        return columns

    def _with(self, node: exp.Expr, ctes: Tables, outer: Scope | None) -> Tables:
        given = node.args.get("with_")
        if given is None:
            return ctes
        reach = dict(ctes)
        for cte in given.expressions:
            name = cte.alias.lower()
            listed = _listed(cte)
            if given.args.get("recursive"):
                reach[name] = listed or _projected(cte.this)
            columns = self.statement(cte.this, reach, outer)
            reach[name] = listed or columns
        return reach

    def _select(self, node: exp.Select, ctes: Tables, outer: Scope | None) -> Columns:
        scope = self._sources(node, ctes, outer)
        aliases = frozenset(each.alias.lower() for each in node.expressions if isinstance(each, exp.Alias))
        everywhere = self.dialect in DIALECTS_WITH_ALIASES_EVERYWHERE
        for clause, value in node.args.items():
            if value and clause not in _HANDLED:
                scope.aliases = aliases if everywhere or clause in _ALIASED_CLAUSES else frozenset()
                self._walk(value if type(value) is list else [value], scope, ctes)
        scope.aliases = aliases
        return self._given(node, scope)

    def _given(self, node: exp.Select, scope: Scope) -> Columns:
        """The names of the select list; None when one cannot be told."""
        names: set[str] = set()
        for each in node.expressions:
            columns: Columns
            if isinstance(each, exp.Star):
                if None in scope.sources.values() or not scope.sources:
                    return None
                columns = frozenset().union(*(found for found in scope.sources.values() if found))
            elif isinstance(each, exp.Column) and isinstance(each.this, exp.Star):
                columns = scope.source(each.table.lower())[1]
            elif isinstance(each, exp.Alias | exp.Column):
                columns = frozenset((each.alias_or_name.lower(),))
            elif self.dialect == "mysql" or isinstance(each, exp.Literal | exp.Null | exp.Boolean):
                columns = frozenset()
            else:
                return None
            if columns is None:
                return None
            names |= columns
        return frozenset(names)

    def _sources(self, node: exp.Expr, ctes: Tables, outer: Scope | None) -> Scope:
        scope = Scope(outer=outer)
        start = node.args.get("from_")
        group = Scope(outer=outer)
        if start is not None:
            self._source(start.this, scope, group, ctes)
        for join in node.args.get("joins") or []:
            if _is_comma(join) and self.dialect != "sqlite":
                group = Scope(outer=outer)
            self._join(join, scope, group, ctes)
        for lateral in node.args.get("laterals") or []:
            self._source(lateral, scope, group, ctes)
        return scope

    def _join(self, join: exp.Expr, scope: Scope, group: Scope, ctes: Tables) -> None:
        before = dict(group.sources)
        self._source(join.this, scope, group, ctes)
        if (condition := join.args.get("on")) is not None:
            self._walk([condition], group, ctes)
        added = [columns for name, columns in group.sources.items() if name not in before]
        for column in join.args.get("using") or []:
            name = column.name.lower()
            sides = (before.values(), added)
            if not all(any(columns is None or name in columns for columns in side) for side in sides):
                self.unknown_columns[name] = None

    def _source(self, node: exp.Expr, scope: Scope, group: Scope, ctes: Tables) -> None:
        """Add what `node` offers under its name to the query's scope and to its group of joins."""
        if isinstance(node, exp.Subquery) and isinstance(node.this, exp.Table) and not node.alias:
            self._source(node.this, scope, group, ctes)
        else:
            name, columns = self._offered(node, scope, ctes)
            scope.sources[name] = columns
            group.sources[name] = columns
        for join in node.args.get("joins") or []:
            self._join(join, scope, group, ctes)

    def _offered(self, node: exp.Expr, scope: Scope, ctes: Tables) -> tuple[str, Columns]:
        """The name of a source and its columns."""
        name = node.alias_or_name.lower() or f"({len(scope.sources)})"
        listed = _listed(node)
        columns: Columns = None
        if isinstance(node, exp.Table):
            columns = self._table(node, ctes, scope)
        elif isinstance(node, exp.Subquery) and isinstance(node.this, _QUERIES):
            columns = self.query(node, ctes, scope.outer)
        elif isinstance(node, exp.Lateral):
            self._walk([node.this], scope, ctes)
        else:
            self._walk([node], scope, ctes)
        if node.args.get("pivots"):
            return name, None
        if listed and columns is not None and len(listed) < len(columns):
            return name, columns | listed
        return name, listed or columns

    def _table(self, node: exp.Table, ctes: Tables, scope: Scope | None) -> Columns:
        if not isinstance(node.this, exp.Identifier):
            if scope is not None:
                self._walk([node.this], scope, ctes)
            return None
        name = node.name.lower()
        if not node.db and name in ctes:
            self.derived.add(id(node))
            return ctes[name]
        if node.db and scope is not None and scope.source(node.db.lower())[0]:
            return None
        is_known, columns = self.schema.columns_of(node)
        if not is_known:
            self.unknown_tables[_written(node)] = None
        return columns

    def _walk(self, nodes: Iterable[exp.Expr], scope: Scope, ctes: Tables) -> None:
        """Check the columns below, and resolve queries nested in there."""
        pending = list(nodes)
        while pending:
            node = pending.pop()
            if isinstance(node, exp.Column):
                self._column(node, scope)
            elif isinstance(node, _QUERIES):
                self.query(node, ctes, scope)
            elif isinstance(node, exp.Expr) and not isinstance(node, exp.Lambda):
                pending += below(node)

    def _column(self, node: exp.Column, scope: Scope) -> None:
        qualifier, name = node.table.lower(), node.name.lower()
        if "(" in name:
            return  # MySQL names a column without alias by its text
        if not qualifier:
            if self._is_believed(node, name, scope):
                return
            self.unknown_columns[name] = None
            return
        is_source, columns = scope.source(qualifier)
        is_star = isinstance(node.this, exp.Star)
        if is_source:
            if columns is not None and not is_star and name not in columns and not self._is_pseudo(name):
                self.unknown_columns[f"{qualifier}.{name}"] = None
        elif qualifier not in _IMPLIED and not self._is_field(qualifier, scope):
            self.unknown_columns[f"{qualifier}.{name or '*'}"] = None

    def _is_believed(self, node: exp.Column, name: str, scope: Scope) -> bool:
        if isinstance(node.this, exp.Star) or name in scope.aliases or scope.has(name) or scope.is_open():
            return True
        if self._is_pseudo(name) or (self.dialect != "mysql" and scope.source(name)[0]):
            return True
        return self.dialect == "sqlite" and bool(node.this.args.get("quoted"))

    def _is_pseudo(self, name: str) -> bool:
        return name in PSEUDO_COLUMNS and self.dialect in DIALECTS_WITH_PSEUDO_COLUMNS

    def _is_field(self, qualifier: str, scope: Scope) -> bool:
        return self.dialect in DIALECTS_WITH_FIELDS and (scope.has(qualifier) or scope.is_open())

    def _insert(self, node: exp.Insert, ctes: Tables) -> Columns:
        target = node.this
        table = target.this if isinstance(target, exp.Schema) else target
        if not isinstance(table, exp.Table):
            return None
        columns = self._table(table, {}, None)
        if isinstance(target, exp.Schema) and columns is not None:
            for column in target.expressions:
                if column.name.lower() not in columns:
                    self.unknown_columns[column.name.lower()] = None
        inner = node.args.get("expression")
        if isinstance(inner, _QUERIES):
            self.query(inner, ctes, None)
        scope = Scope(sources={table.alias_or_name.lower(): columns})
        self._walk([each for name in ("conflict", "returning") if (each := node.args.get(name))], scope, ctes)
        return _projected(node.args.get("returning"))

    def _change(self, node: exp.Expr, ctes: Tables) -> Columns:
        """UPDATE, DELETE and MERGE: the target is a table, whatever common table expression shares its name."""
        scope = self._sources(node, ctes, None)
        if isinstance(node.this, exp.Table):
            name = node.this.alias_or_name.lower()
            named = {each.name.lower() for each in node.args.get("tables") or []}
            if name not in scope.sources and (name not in named or not scope.sources):
                scope.sources[name] = self._table(node.this, {}, None)
            for join in node.this.args.get("joins") or []:
                self._join(join, scope, scope, ctes)
        using = node.args.get("using") or []
        for source in using if type(using) is list else [using]:
            if isinstance(source, exp.Expr):
                self._source(source, scope, scope, ctes)
        parts = ("expressions", "where", "order", "on", "whens", "returning")
        values = [value for part in parts if (value := node.args.get(part))]
        for value in values:
            self._walk(value if type(value) is list else [value], scope, ctes)
        return _projected(node.args.get("returning"))

    def _named(self, node: exp.Expr, ctes: Tables) -> None:
        """Statements about tables by name."""
        if isinstance(node, exp.Show):
            target = node.args.get("target")
            named: list[exp.Expr] = [exp.Table(this=target)] if isinstance(target, exp.Identifier) else []
        else:
            is_other = str(node.args.get("kind") or "TABLE").upper() not in {"TABLE", "VIEW"}
            named = [] if is_other or node.args.get("exists") else [node.this, *node.expressions]
            named += [] if is_other or node.args.get("exists") else node.args.get("tables") or []
        for each in named:
            if isinstance(each, exp.Table):
                self._table(each, ctes, None)
            elif isinstance(each, exp.Expr):
                self.statement(each, ctes)


def _is_comma(join: exp.Expr) -> bool:
    return not any(join.args.get(part) for part in ("kind", "side", "method", "on", "using"))


def _listed(node: exp.Expr) -> Columns:
    """The column names of an alias: `AS t(a, b)`."""
    alias = node.args.get("alias")
    columns = alias.args.get("columns") if isinstance(alias, exp.TableAlias) else None
    return frozenset(each.name.lower() for each in columns) if columns else None


def _projected(node: exp.Expr | None) -> Columns:
    """The names that a select list gives when it can be read without any source; else None."""
    while isinstance(node, exp.SetOperation | exp.Subquery):
        node = node.this
    names = [each.alias_or_name.lower() for each in node.expressions] if node is not None else []
    if not names or not all(names) or "*" in names:
        return None
    return frozenset(names)


def _written(table: exp.Table) -> str:
    return f"{table.db}.{table.name}".lower() if table.db else table.name.lower()
