"""Names that the schema does not hold are told, the others are not, and the schema follows the run's own changes."""

from __future__ import annotations

import pytest

from opsconsole.policy.facts.interface import NO_HISTORY, Fact, History
from opsconsole.policy.facts.memory import SCHEMA_CHANGES_MAX, Memory
from opsconsole.policy.facts.sql import SQL

SCHEMA = {"orders": {"id": "int", "customer_id": "int", "total": "int"}, "Customers": {"ID": "int", "Name": "text"}}

KNOWN = [
    "SELECT id, TOTAL FROM Orders",
    "SELECT o.id, c.name FROM orders o JOIN customers c ON c.id = o.customer_id",
    "SELECT * FROM orders o WHERE EXISTS (SELECT 1 FROM customers c WHERE c.id = o.customer_id)",
    "SELECT name AS who FROM customers GROUP BY who HAVING who > 'a' ORDER BY who",
    "SELECT x.t FROM (SELECT total AS t FROM orders) x",
    "SELECT n FROM (SELECT total FROM orders) AS x(n)",
    "WITH w AS (SELECT id AS i FROM orders) SELECT i FROM w",
    "WITH RECURSIVE w(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM w) SELECT n FROM w",
    "SELECT id FROM orders JOIN customers USING (id)",
    "SELECT (SELECT name FROM customers WHERE id = customer_id) FROM orders",
    "SELECT table_name FROM information_schema.tables",
    "SELECT count FROM (SELECT COUNT(*) FROM orders) x",
    "INSERT INTO orders (id, total) SELECT id, 0 FROM customers",
    "UPDATE orders SET total = total + 1 WHERE id = 3",
    "DELETE FROM orders WHERE customer_id IN (SELECT id FROM customers)",
    "CREATE TABLE t (a int); INSERT INTO t (a) VALUES (1); SELECT a FROM t",
    "ALTER TABLE orders ADD COLUMN note text; SELECT note FROM orders",
    "ALTER TABLE orders RENAME TO sales; SELECT total FROM sales",
    "CREATE TABLE t AS SELECT id AS i FROM orders; SELECT i FROM t",
    "SELECT shop.orders.id FROM shop.orders",
    "SELECT * FROM (SELECT * FROM orders) x WHERE x.total > 3",
    "SELECT id FROM orders UNION SELECT id FROM customers ORDER BY id",
]

UNKNOWN = [
    ("SELECT id FROM oders", ["oders"], []),
    ("SELECT idd FROM orders", [], ["idd"]),
    ("SELECT o.name FROM orders o", [], ["o.name"]),
    ("SELECT z.id FROM orders o", [], ["z.id"]),
    ("SELECT z.* FROM orders o", [], ["z.*"]),
    ("SELECT id FROM orders WHERE nme = 1 ORDER BY whn", [], ["nme", "whn"]),
    ("SELECT total AS t FROM orders WHERE t > 3", [], ["t"]),
    ("SELECT x.id FROM (SELECT total FROM orders) x", [], ["x.id"]),
    ("WITH w AS (SELECT id FROM orders) SELECT total FROM w", [], ["total"]),
    ("SELECT 1 FROM orders o JOIN customers c ON c.id = d.id JOIN orders d ON TRUE", [], ["d.id"]),
    ("SELECT 1 FROM orders JOIN customers USING (total)", [], ["total"]),
    ("SELECT id FROM other.orders", ["other.orders"], []),
    ("INSERT INTO orders (idd) VALUES (1)", [], ["idd"]),
    ("UPDATE orders SET totl = 1 WHERE id = 1", [], ["totl"]),
    ("DELETE FROM oders WHERE id = 1", ["oders"], []),
    ("DROP TABLE oders", ["oders"], []),
    ("TRUNCATE oders", ["oders"], []),
    ("DROP TABLE orders; SELECT id FROM orders", ["orders"], []),
    ("ALTER TABLE orders DROP COLUMN total; SELECT total FROM orders", [], ["total"]),
    ("SELECT id FROM orders UNION SELECT nope FROM customers", [], ["nope"]),
    ("WITH d AS (DELETE FROM oders WHERE id = 1 RETURNING id) SELECT nope FROM d", ["oders"], ["nope"]),
]


def postgres(schema: object = SCHEMA) -> Fact:
    return SQL({"arg": "query", "dialect": "postgres", "schema": schema, "database": "shop"})


def unknown(fact: Fact, query: str, history: History = NO_HISTORY) -> tuple[object, object]:
    found = fact({"query": query}, history)
    return found["unknown_tables"], found["unknown_columns"]


@pytest.mark.parametrize("query", KNOWN)
def test_a_query_over_what_exists_names_nothing_unknown(query: str) -> None:
    assert unknown(postgres(), query) == ([], [])


@pytest.mark.parametrize(("query", "tables", "columns"), UNKNOWN)
def test_what_does_not_exist_is_named(query: str, tables: list[str], columns: list[str]) -> None:
    found_tables, found_columns = unknown(postgres(), query)
    assert (found_tables, sorted(map(str, found_columns))) == (tables, columns)  # type: ignore[call-overload]


def test_without_a_schema_no_name_is_unknown() -> None:
    fact = SQL({"arg": "query", "dialect": "postgres"})
    assert unknown(fact, "SELECT a.b FROM c") == ([], [])


def test_columns_of_an_unknown_table_are_believed() -> None:
    assert unknown(postgres(), "SELECT a, o.b, id FROM oders o") == (["oders"], [])


def test_a_schema_may_list_columns_without_types_and_stand_below_names_of_databases() -> None:
    fact = postgres({"shop": {"orders": ["id"]}, "crm": {"leads": ["mail"]}})
    assert unknown(fact, "SELECT mail FROM crm.leads, shop.orders") == ([], [])
    assert unknown(fact, "SELECT mail FROM hr.leads") == (["hr.leads"], [])


def test_the_schema_follows_what_the_run_has_changed() -> None:
    memory = Memory()
    memory.changed_schema("CREATE TABLE notes (body text)")
    memory.changed_schema("DROP TABLE orders")
    assert unknown(postgres(), "SELECT body FROM notes", memory.history) == ([], [])
    assert unknown(postgres(), "SELECT id FROM orders", memory.history) == (["orders"], [])


def test_after_a_change_that_is_not_understood_tables_are_believed() -> None:
    memory = Memory()
    memory.changed_schema("CALL create_everything()")
    assert unknown(postgres(), "SELECT a FROM anything", memory.history) == ([], [])


def test_after_more_changes_than_are_remembered_names_are_believed() -> None:
    memory = Memory()
    for number in range(SCHEMA_CHANGES_MAX + 1):
        memory.changed_schema(f"CREATE TABLE t{number} (a int)")
    assert unknown(postgres(), "SELECT nope FROM nowhere", memory.history) == ([], [])


def test_mysql_takes_double_quotes_for_text_and_sqlite_may() -> None:
    query = 'SELECT id FROM orders WHERE id = "nope"'
    for dialect in ("mysql", "sqlite"):
        assert unknown(SQL({"arg": "query", "dialect": dialect, "schema": SCHEMA}), query) == ([], [])
    assert unknown(postgres(), query) == ([], ["nope"])


def test_a_join_after_a_comma_sees_only_its_own_group() -> None:
    query = "SELECT 1 FROM orders o, customers c JOIN customers d ON d.id = o.id"
    assert unknown(postgres(), query) == ([], ["o.id"])
