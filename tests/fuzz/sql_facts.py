"""Fuzz target: the SQL fact gives its fields on any text, and a write beside it stays a write."""

from __future__ import annotations

from opsconsole.policy.facts.interface import NO_HISTORY, Fact
from opsconsole.policy.facts.sql import FIELDS, SQL

DIALECTS = ("postgres", "mysql", "sqlite", "tsql", "bigquery", "duckdb", "spark", "clickhouse", "snowflake")
FACTS: dict[str, Fact] = {
    dialect: SQL({"arg": "q", "dialect": dialect, "schema": {"t": {"a": "int", "b": "int"}, "u": {"a": "int"}}})
    for dialect in DIALECTS
}
SEEDS = [
    b"\0WITH d AS (DELETE FROM t RETURNING *) SELECT count(*) FROM d JOIN u USING (a)",
    b"\1SELECT x.a, (SELECT b FROM t WHERE t.a = x.a) FROM u AS x GROUP BY 1 HAVING a > 1 ORDER BY b",
    b"\1SELECT 1 /*! ; DROP TABLE t */ -- x",
    b"\2INSERT OR REPLACE INTO t (a) SELECT a FROM u UNION ALL SELECT 'x''y'; PRAGMA table_info(t)",
    b"\3MERGE INTO t USING u ON t.a = u.a WHEN MATCHED THEN UPDATE SET b = 1; SELECT CASE WHEN 1 THEN [a] END FROM t",
    b"\4CREATE TABLE x AS SELECT STRUCT(a, [b]) FROM `p.t`, UNNEST([1,2]) z; ALTER TABLE x RENAME TO y",
    b"\0UPDATE t SET a = $$x;y$$ WHERE a::text ~ E'\\n' OR TRUE; EXPLAIN (ANALYZE) SELECT * FROM t",
    b"\0SELECT ARRAY[ARRAY[ARRAY[ARRAY[int[int[1]]]]]], a[1][1][1], regexp_replace(a, b, 'c', regexp_replace(1,2,3,4))",
    b"\6SELECT map<int,map<int,int>>, date(char(decimal(enum(vector(1))))), struct(struct(struct<a int>(1)))",
    b"\7SELECT CASE CASE 1 WHEN 1 THEN 1 END WHEN 1 THEN tuple(nested(a int)) END, x -> y -> z FROM (((t)))",
]


def fuzz_one(data: bytes) -> None:
    """The first byte chooses the dialect."""
    dialect = DIALECTS[data[0] % len(DIALECTS)] if data else DIALECTS[0]
    text = data[1:].decode(errors="surrogateescape")
    found = FACTS[dialect]({"q": text}, NO_HISTORY)
    assert {name: type(value) for name, value in found.items()} == dict(FIELDS)
    assert found["writes"] or not found["unclear"]
    assert found["writes"] or not (found["changes_schema"] or found["unbounded_write"])
    before = FACTS[dialect]({"q": f"DELETE FROM t WHERE a = 1;\n{text}"}, NO_HISTORY)
    assert before["writes"]
