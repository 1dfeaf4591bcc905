"""SQLite itself as witness: what the fact calls a mere read makes SQLite neither write nor change nor attach."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opsconsole.policy.facts.interface import NO_HISTORY
from opsconsole.policy.facts.sql import SQL

FACT = SQL({"arg": "query", "dialect": "sqlite"})
READING = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE}
READING_OR_NOTHING = READING | {sqlite3.SQLITE_TRANSACTION, sqlite3.SQLITE_SAVEPOINT}
TABLES = "CREATE TABLE t (a int, b text); CREATE TABLE u (a int); INSERT INTO t VALUES (1, 'x'), (2, 'y');"

COLUMNS = st.sampled_from(
    ["a", "b", "*", "t.a", "count(*)", "abs(a)", "max(a)", "'x;y'", '"a"', "[b]", "`a`", "NULL", "a+1"]
)
NAMES = st.sampled_from(["t", "u", "t AS x", "(SELECT a FROM t)", "t, u", "t JOIN u USING (a)", "w"])
CONDITIONS = st.sampled_from(
    ["", "WHERE a = 1", "WHERE 1", "WHERE a IN (SELECT a FROM u)", "WHERE b LIKE '%' --x\n", "/* ; */"]
)
WRITES = st.sampled_from(
    [
        "DELETE FROM t",
        "UPDATE t SET a = 3",
        "INSERT INTO u SELECT a FROM t",
        "INSERT OR REPLACE INTO t VALUES (1, 'z')",
        "REPLACE INTO u VALUES (7)",
        "DROP TABLE u",
        "CREATE TABLE v AS SELECT 1",
        "CREATE TEMP TABLE v (a)",
        "ALTER TABLE t RENAME TO z",
        "ATTACH ':memory:' AS m",
        "PRAGMA user_version = 3",
        "PRAGMA user_version(4)",
        "PRAGMA table_info(t)",
        "PRAGMA foreign_keys = 0",
        "REINDEX",
        "VACUUM",
        "ANALYZE",
        "EXPLAIN DELETE FROM t",
    ]
)
GLUE = st.sampled_from(
    ["; ", ";\n", " ", " -- ", "\n", " /* ", " */ ", ";;", " UNION ", "'", '"', " /* */ ;", "#", "\\", "$$"]
)
READS = st.builds(lambda column, name, rest: f"SELECT {column} FROM {name} {rest}", COLUMNS, NAMES, CONDITIONS)
WITHS = st.builds(lambda inner, outer: f"WITH w AS ({inner}) {outer}", READS, READS | WRITES)
QUERIES = st.lists(st.one_of(READS, READS, WITHS, GLUE, GLUE, GLUE, WRITES), min_size=1, max_size=4).map("".join)


@pytest.fixture(scope="module")
def database() -> Iterator[sqlite3.Connection]:
    with_tables = sqlite3.connect(":memory:", isolation_level=None)
    with_tables.executescript(TABLES)
    yield with_tables
    with_tables.close()


def actions(database: sqlite3.Connection, query: str) -> set[int]:
    """What SQLite was about to do, statement by statement, and was not let; an error ends the script."""
    seen: set[int] = set()

    def note(action: int, *rest: str | None) -> int:
        if action == sqlite3.SQLITE_PRAGMA and rest[0] == "table_info":
            return sqlite3.SQLITE_OK
        seen.add(action)
        return sqlite3.SQLITE_OK if action in READING else sqlite3.SQLITE_DENY

    database.set_authorizer(note)
    try:
        database.executescript(query)
    except sqlite3.Error:
        pass
    finally:
        database.set_authorizer(None)
    return seen


def test_the_witness_sees_a_write(database: sqlite3.Connection) -> None:
    assert sqlite3.SQLITE_DELETE in actions(database, "SELECT 1; DELETE FROM t")


@settings(deadline=None, max_examples=500)
@given(query=QUERIES)
def test_what_is_called_a_read_does_not_write(database: sqlite3.Connection, query: str) -> None:
    found = FACT({"query": query}, NO_HISTORY)
    if not found["writes"]:
        assert actions(database, query) - READING_OR_NOTHING == set()
