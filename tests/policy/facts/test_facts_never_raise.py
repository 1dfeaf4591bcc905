"""Every fact is total: whatever the arguments, it gives exactly its fields, the same ones twice."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opsconsole.policy.facts.interface import Fact
from opsconsole.policy.facts.memory import Memory
from opsconsole.policy.facts.registry import FACTS

CONFIGS: Mapping[str, dict[str, Any]] = {
    "sql": {"arg": "a", "dialect": "postgres", "schema": {"t": {"a": "int", "b": "int"}, "u": ["a"]}},
    "shell": {"arg": "a", "workspace": "/srv/work"},
    "schema": {"schema": {"type": "object", "properties": {"a": {"type": "string", "maxLength": 3}}}},
    "grounding": {},
    "url": {"arg": "a", "allow": ["acme.example"]},
    "email": {"args": ["a", "b"], "own_domains": ["acme.example"]},
    "path": {"arg": "a", "workspace": "/srv/work"},
}
_SQL_WORDS = """
    SELECT * a b t u x FROM JOIN ON USING WHERE IN EXISTS ( ) , ; . = 1 'q' "q" NULL AND OR NOT AS WITH RECURSIVE UNION
    ALL INSERT INTO VALUES UPDATE SET DELETE DROP TABLE ALTER ADD COLUMN CREATE VIEW EXPLAIN ANALYZE COUNT(*) CASE WHEN
    THEN END LATERAL ORDER BY GROUP LIMIT RETURNING MERGE MATCHED /* */ -- $$ :: INT [ ] { } -> INTERVAL COPY TRUNCATE
"""
WORDS = st.sampled_from(_SQL_WORDS.split())
SQL_LIKE = st.lists(WORDS, max_size=40).map(" ".join)
TEXTS = st.one_of(
    SQL_LIKE,
    st.text(max_size=60),
    st.from_regex(r"https?://[\w.@:%/\\-]{0,40}", fullmatch=True),
    st.from_regex(r"[\w.%~/-]{0,40}", fullmatch=True),
    st.from_regex(r"[\w.+\"<>]{0,10}@[\w.,;@-]{0,20}", fullmatch=True),
)
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), TEXTS, st.binary(max_size=5))
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4))
ARGUMENTS = st.fixed_dictionaries({}, optional={"a": VALUES | TEXTS, "b": VALUES, "customer_id": VALUES})


def made(name: str) -> Fact:
    return FACTS[name](CONFIGS[name])


def test_each_registered_fact_is_tried_here() -> None:
    assert set(CONFIGS) == set(FACTS)


@pytest.mark.parametrize("name", sorted(FACTS))
@settings(deadline=None, max_examples=100)
@given(args=ARGUMENTS, shown=VALUES, change=SQL_LIKE)
def test_a_fact_gives_its_fields_on_any_arguments(name: str, args: dict[str, Any], shown: Any, change: str) -> None:
    fact = made(name)
    memory = Memory()
    memory.hear(shown)
    memory.changed_schema(change)
    found = fact(args, memory.history)
    assert {field: type(value) for field, value in found.items()} == dict(fact.fields)
    assert fact(args, memory.history) == found


@settings(deadline=None, max_examples=300)
@given(query=SQL_LIKE, more=SQL_LIKE)
def test_a_write_stays_a_write_whatever_follows(query: str, more: str) -> None:
    fact = made("sql")
    found = fact({"a": f"DELETE FROM t; {query}"}, Memory().history)
    assert found["writes"] is True
    both = fact({"a": f"SELECT 1; {more}\n; DROP TABLE t"}, Memory().history)
    assert both["writes"] is True or "--" in more or "/*" in more or "$$" in more
