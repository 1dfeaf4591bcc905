"""What a parsed SQL statement does: reads, writes, changes a schema, writes without bound; it resolves no name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from sqlglot import exp

from opsconsole.policy.facts.sql_functions import ACTING_TYPES, READING_SCHEMAS, said_of_function

READS, WRITES, SCHEMA, UNBOUNDED = "reads", "writes", "changes_schema", "unbounded_write"

_READING = (READS,)
_WRITING = (READS, WRITES)
_CHANGING = (WRITES, SCHEMA)

STATEMENTS: dict[type[exp.Expr], tuple[str, ...]] = {
    exp.Select: _READING,
    exp.Union: _READING,
    exp.Intersect: _READING,
    exp.Except: _READING,
    exp.Subquery: _READING,
    exp.Values: (),
    exp.Describe: _READING,
    exp.Show: _READING,
    exp.Summarize: _READING,
    exp.Pragma: _READING,
    exp.Use: (),
    exp.Transaction: (),
    exp.Commit: (),
    exp.Rollback: (),
    exp.Semicolon: (),
    exp.Insert: (WRITES,),
    exp.Update: _WRITING,
    exp.Delete: _WRITING,
    exp.Merge: _WRITING,
    exp.Copy: _WRITING,
    exp.Set: (WRITES,),
    exp.Analyze: _WRITING,
    exp.Refresh: _WRITING,
    exp.Create: _CHANGING,
    exp.Drop: _CHANGING,
    exp.Alter: _CHANGING,
    exp.Comment: _CHANGING,
    exp.Grant: _CHANGING,
    exp.Revoke: _CHANGING,
    exp.Undrop: _CHANGING,
    exp.TruncateTable: (WRITES, SCHEMA, UNBOUNDED),
}
"""Statements that are understood; a statement of any other type is unclear."""

COMMANDS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("DROP", "ALTER", "CREATE", "RENAME", "GRANT", "REVOKE", "REASSIGN"), _CHANGING),
    "TRUNCATE": (WRITES, SCHEMA, UNBOUNDED),
}
"""What the first word of a statement says when the rest was not understood."""

_PRAGMAS = (
    "application_id collation_list compile_options data_version database_list encoding foreign_key_check "
    "foreign_key_list freelist_count function_list index_info index_list index_xinfo "
    "integrity_check module_list page_count page_size "
    "pragma_list quick_check schema_version table_info table_list table_xinfo user_version"
)
READING_PRAGMAS = frozenset(_PRAGMAS.split())
SETTING_PRAGMAS = frozenset({"application_id", "encoding", "page_size", "schema_version", "user_version"})
"""Reading pragmas that write when they are given a value; the others take a name."""
READING_HINTS = frozenset({"NOLOCK", "READUNCOMMITTED", "READPAST", "NOWAIT", "FORCESEEK", "FORCESCAN"})


@dataclass(slots=True, kw_only=True)
class Effects:
    """Gathered over the statements of one call."""

    kinds: set[str] = field(default_factory=set)
    unclear: str = ""
    """The first reason for doubt; empty when all is understood."""
    tables: list[exp.Table] = field(default_factory=list)

    def doubt(self, reason: str) -> None:
        """Keep the first reason."""
        self.unclear = self.unclear or reason


def add_command(word: str, effects: Effects) -> None:
    """A statement of which only the first word is known."""
    effects.kinds.update(COMMANDS.get(word, ()))
    if word == "SHOW":
        effects.kinds.add(READS)
    else:
        effects.doubt(f"{word or 'the statement'} is not understood")


def add_effects(root: exp.Expr, known_functions: frozenset[str], effects: Effects) -> None:
    """Gather what `root` does, with everything nested in it."""
    if type(root) not in STATEMENTS and not isinstance(root, exp.Command):
        effects.doubt(f"{type(root).__name__} is not a statement that is understood")
    pending: list[exp.Expr] = [root]
    while pending:
        node = pending.pop()
        kind = type(node)
        if kind in STATEMENTS:
            effects.kinds.update(STATEMENTS[kind])
        if judge := _JUDGES.get(kind):
            judge(node, effects)
        elif kind in _CALLS:
            _judge_call(node, known_functions, effects)
        pending += below(node)


def below(node: exp.Expr) -> list[exp.Expr]:
    """The nodes right below one, in their order, but for names and literals: nothing is below them."""
    found: list[exp.Expr] = []
    for value in node.args.values():
        kind = type(value)
        if kind in _BARE:
            continue
        if kind is list:
            found += [each for each in value if isinstance(each, exp.Expr) and type(each) not in _BARE]
        elif isinstance(value, exp.Expr):
            found.append(value)
    return found


_BARE = frozenset({str, bool, type(None), exp.Identifier, exp.Literal, exp.Null, exp.Boolean})


def _judge_call(node: exp.Expr, known: frozenset[str], effects: Effects) -> None:
    name = node.name or str(node.this)
    parent = node.parent
    if isinstance(parent, exp.Dot) and parent.expression is node:
        qualifier = parent.this.name.lower()
        if qualifier not in READING_SCHEMAS:
            name = f"{qualifier}.{name}"
    said = said_of_function(name, known)
    if said is None:
        effects.doubt(f"the function {name[:80]} is not known")
    else:
        effects.kinds.add(said)


def _judge_command(node: exp.Expr, effects: Effects) -> None:
    add_command(str(node.this).upper(), effects)


def _judge_into(node: exp.Expr, effects: Effects) -> None:
    target = node.this
    if isinstance(target, exp.Table) and isinstance(target.this, exp.Parameter):
        return
    effects.kinds.update(_CHANGING)


def _judge_pragma(node: exp.Expr, effects: Effects) -> None:
    inner = node.this
    is_given = isinstance(inner, exp.EQ)
    name = (inner.this if is_given else inner).name.lower()
    if name not in READING_PRAGMAS or (is_given and name in SETTING_PRAGMAS):
        effects.doubt(f"PRAGMA {name[:40]} may set something")


def _judge_hints(node: exp.Expr, effects: Effects) -> None:
    if not all(hint.name.upper() in READING_HINTS for hint in node.expressions):
        effects.kinds.add(WRITES)


def _judge_update(node: exp.Expr, effects: Effects) -> None:
    where = node.args.get("where")
    if where is None or is_constant(where.this):
        effects.kinds.add(UNBOUNDED)


def _judge_merge(node: exp.Expr, effects: Effects) -> None:
    condition = node.args.get("on")
    if condition is not None and is_constant(condition):
        effects.kinds.add(UNBOUNDED)


def _judge_create(node: exp.Expr, effects: Effects) -> None:
    if str(node.args.get("kind", "")).upper() not in {"TABLE", "VIEW", "INDEX", "SCHEMA", "DATABASE", "SEQUENCE"}:
        effects.doubt("the body of what is created is not looked into")


def _judge_copy(node: exp.Expr, effects: Effects) -> None:
    effects.doubt("COPY reaches files or programs")


def _judge_table(node: exp.Expr, effects: Effects) -> None:
    assert isinstance(node, exp.Table)
    if isinstance(node.this, exp.Identifier):
        effects.tables.append(node)
        if not _is_plain(node.this.this):
            effects.doubt("a table's name is a path or an address")
    elif not isinstance(node.this, exp.Func | exp.Parameter | exp.Dot):
        effects.doubt("a table that has no name")


def _is_plain(name: str) -> bool:
    """Not what DuckDB, Spark or ClickHouse would open as a file."""
    return "/" not in name and "\\" not in name and not name.lower().endswith((".csv", ".parquet", ".json", ".db"))


def _judge_script(node: exp.Expr, effects: Effects) -> None:
    effects.doubt("runs a script")


def _judge_lock(node: exp.Expr, effects: Effects) -> None:
    effects.kinds.add(WRITES)


def _judge_acting(node: exp.Expr, effects: Effects) -> None:
    effects.doubt(f"{node.key} reaches outside of the database or acts")


def _judge_dot(node: exp.Expr, effects: Effects) -> None:
    inner = node.args.get("expression")
    if isinstance(inner, exp.Func) and type(inner) not in _CALLS:
        effects.doubt(f"the function {node.this.name[:40]}.{inner.key} is not known")


_JUDGES: dict[type[exp.Expr], Callable[[exp.Expr, Effects], None]] = {
    exp.Table: _judge_table,
    exp.Command: _judge_command,
    exp.Into: _judge_into,
    exp.Pragma: _judge_pragma,
    exp.WithTableHint: _judge_hints,
    exp.Update: _judge_update,
    exp.Delete: _judge_update,
    exp.Merge: _judge_merge,
    exp.Create: _judge_create,
    exp.Copy: _judge_copy,
    exp.Lock: _judge_lock,
    exp.Dot: _judge_dot,
    exp.QueryTransform: _judge_script,
    **dict.fromkeys(ACTING_TYPES, _judge_acting),
}
_CALLS = frozenset({exp.Anonymous, exp.AnonymousAggFunc, exp.CombinedAggFunc, exp.ParameterizedAgg})


def is_constant(condition: exp.Expr, depth: int = 0) -> bool:
    """Whether a condition bounds nothing: it names no column, compares one with itself, or one side of an OR does so.

    An inner query counts by the columns that it names. What only arithmetic or data could tell is taken for a bound.
    """
    if depth > 50:
        return False
    condition = condition.unnest()
    if isinstance(condition, exp.Not):
        return is_constant(condition.this, depth + 1)
    if isinstance(condition, exp.Or):
        return _are_opposites(condition.left, condition.right) or any(
            is_constant(side, depth + 1) for side in (condition.left, condition.right)
        )
    if isinstance(condition, exp.And):
        return is_constant(condition.left, depth + 1) and is_constant(condition.right, depth + 1)
    if isinstance(condition, exp.EQ | exp.GTE | exp.LTE | exp.NullSafeEQ) and _are_same_columns(condition):
        return True
    if isinstance(condition, exp.Like | exp.ILike) and set(condition.expression.name) == {"%"}:
        return True
    return condition.find(exp.Column) is None


def _are_opposites(left: exp.Expr, right: exp.Expr) -> bool:
    """`x OR NOT x`, `x IS NULL OR x IS NOT NULL`."""
    left, right = left.unnest(), right.unnest()
    if isinstance(left, exp.Is) and isinstance(right, exp.Is):
        is_same = left.this == right.this and left.expression == right.expression
        return is_same and bool(left.args.get("negate")) != bool(right.args.get("negate"))
    return any(isinstance(one, exp.Not) and one.this.unnest() == other for one, other in ((left, right), (right, left)))


def _are_same_columns(comparison: exp.Binary) -> bool:
    """Whether both sides name the same columns of what may be the same table: `id = t.id`, `id <= id + 0`."""
    left, right = (
        {(column.name.lower(), column.table.lower()) for column in side.find_all(exp.Column)}
        for side in (comparison.left, comparison.right)
    )
    qualifiers = {qualifier for _, qualifier in left | right if qualifier}
    return {name for name, _ in left} == {name for name, _ in right} and len(qualifiers) <= 1
