"""Every name in an expression is known when the file is loaded: arguments by schema, facts by field."""

from __future__ import annotations

import json

import pytest

from tests.policy.file.writing import policy, problems, rule

PAYMENT = {
    "type": "object",
    "properties": {
        "amount": {"type": "number"},
        "to": {"$ref": "#/$defs/account"},
        "note": {"anyOf": [{"type": "string"}, {"type": "object", "properties": {"text": {"type": "string"}}}]},
        "more": {"type": "object", "additionalProperties": True},
        "flag": {"type": "boolean"},
        "tags": {"type": "array", "items": {"type": "string"}},
    },
    "$defs": {"account": {"type": "object", "properties": {"iban": {"type": "string"}}}},
}
FILES = {"pay.json": json.dumps(PAYMENT).encode(), "free.json": b'{"type": "object"}', "list.json": b"[]"}
TOOLS = "[tools.pay_invoice]\nschema = 'pay.json'\n"
SQL = "[facts]\nsql = { tool = 'run_sql|query', arg = 'query' }\n"


def told(when: str, tool: str = "'pay_*'") -> list[str]:
    return [problem.partition(".when: ")[2] for problem in problems(TOOLS + rule("a", "ask", when, tool=tool), FILES)]


def test_a_misspelt_argument_is_an_error_with_the_nearest_name() -> None:
    text = TOOLS + rule("a", "ask", "args.amuont > 100.0", tool="'pay_invoice'")
    where = "line 8: rules[1].when: unknown field args.amuont; the schema of pay_invoice has args.amount"
    assert problems(text, FILES) == [where]


@pytest.mark.parametrize(
    ("when", "problem"),
    [
        ("has(args.amuont)", "unknown field args.amuont; the schema of pay_invoice has args.amount"),
        ('args["amuont"] == 1', "unknown field args.amuont; the schema of pay_invoice has args.amount"),
        ("args.to.ibann == ''", "unknown field args.to.ibann; the schema of pay_invoice has args.to.iban"),
        ("args.note.txt == ''", "unknown field args.note.txt; the schema of pay_invoice has args.note.text"),
        (
            "args.zzz == 1",
            "unknown field args.zzz; the schema of pay_invoice has args.amount, args.flag, args.more, args.note, "
            "args.tags, args.to",
        ),
    ],
)
def test_an_argument_is_looked_up_through_the_schema(when: str, problem: str) -> None:
    assert told(when) == [problem]


@pytest.mark.parametrize(
    "when", ["args.amount > 1.0", "args.to.iban == ''", "args.more.anything == 1", "size(args) > 3"]
)
def test_an_argument_that_the_schema_has_or_leaves_open_is_accepted(when: str) -> None:
    assert len(policy(TOOLS + rule("a", "ask", when, tool="'pay_*'"), FILES).ruleset.rules) == 1


@pytest.mark.parametrize(
    ("when", "problem"),
    [
        ("args.to.iban > 5", "column 14: > is not defined for string and int"),
        (
            "has(args.to) && args.to == 'x'",
            "column 25: == is not defined for map(string, dyn) and string",
        ),
        ("args.flag == 'true'", "column 11: == is not defined for bool and string"),
        ("args.amount == 'x'", "column 13: == is not defined for int and string"),
        ("args.amount > 1.5 && args.amount in ['x']", "column 34: in is not defined for int and list(string)"),
        (
            "args.tags.startsWith('x')",
            "column 21: startsWith is not defined for list(dyn), string",
        ),
    ],
)
def test_an_argument_is_compared_by_the_type_that_its_schema_gives(when: str, problem: str) -> None:
    assert told(when) == [f"{problem}, by the schema of pay_invoice"]


@pytest.mark.parametrize(
    "when",
    [
        *("args.amount > 100 || args.amount > 99.5", "!has(args.flag) || args.flag", "args['amount'] == 'x'"),
        *("args.amount in [1, 99.5]", "(has(args.amount) ? args.amount : 0.0) > 3.0"),
        *("args.note == 1", "args.tags.exists(tag, tag == 'x')", "has(args.to.iban) && args.to.iban.startsWith('DE')"),
    ],
)
def test_what_a_call_could_be_compared_by_is_accepted(when: str) -> None:
    assert policy(TOOLS + rule("a", "ask", when, tool="'pay_*'"), FILES).ruleset.rules[0].id == "a"


def test_a_schema_says_nothing_of_other_tools() -> None:
    assert policy(TOOLS + rule("a", "ask", "args.sum > 1", tool="'refund'"), FILES).ruleset.rules[0].id == "a"


def test_an_argument_that_one_of_several_tools_has_is_accepted() -> None:
    two = TOOLS + "[tools.pay_all]\nschema = { properties = { sum = {} } }\n"
    assert policy(two + rule("a", "ask", "args.sum > 1", tool="'pay_*'"), FILES).ruleset.rules[0].id == "a"


def test_a_schema_without_properties_knows_nothing() -> None:
    tools = "[tools.pay_invoice]\nschema = 'free.json'\n"
    assert policy(tools + rule("a", "ask", "args.sum > 1", tool="'pay_*'"), FILES).ruleset.rules[0].id == "a"


def test_a_schema_that_is_no_object_is_refused() -> None:
    tools = "[tools.pay_invoice]\nschema = 'list.json'\n"
    assert problems(tools, FILES) == ["line 3: tools.pay_invoice.schema: list.json holds no JSON object"]


def test_a_schema_that_refers_to_itself_ends() -> None:
    tools = "[tools.pay]\nschema = { '$ref' = '#' }\n"
    assert policy(tools + rule("a", "ask", "args.sum > 1", tool="'pay'")).ruleset.rules[0].id == "a"


@pytest.mark.parametrize(
    ("when", "problem"),
    [
        ("sql.writs", "unknown name sql.writs; did you mean sql.writes?"),
        ("sqll.writes", "unknown name sqll; did you mean sql?"),
        ("sql == true", "sql is no value; it has sql.statements, sql.tables, sql.unclear, sql.why, sql.writes"),
        ("has(sql.writes)", "has(sql.writes): that is always there, and the engine would give its value instead"),
        ("sql.writes > 3", "column 12: > is not defined for bool and int"),
        ("sql.statements", "gives int, not true or false"),
        (
            "args.l.exists(sql, sql.writes)",
            "walks through a list under the name sql, which already means something here",
        ),
    ],
)
def test_a_fact_is_known_by_its_fields_and_their_types(when: str, problem: str) -> None:
    found = problems(SQL + rule("a", "ask", when, tool="'run_sql'"))
    assert [each.partition(".when: ")[2] for each in found] == [problem]


@pytest.mark.parametrize("tool", ["'*'", "'run_sql|pay'", "'run_*'"])
def test_a_fact_in_a_rule_about_other_tools_is_refused(tool: str) -> None:
    found = problems(SQL + rule("a", "ask", "sql.writes", tool=tool))
    words = 'looks at sql, which is worked out for run_sql|query only; give the rule tool = "run_sql|query" or less'
    assert [each.partition(".when: ")[2] for each in found] == [words]


def test_two_facts_of_one_kind_go_by_their_own_names() -> None:
    text = SQL + "orders = { fact = 'sql', tool = 'orders_*', arg = 'q' }\n"
    found = policy(text + rule("a", "ask", "orders.writes", tool="'orders_*'"))
    assert [bound.name for bound in found.ruleset.facts] == ["sql", "orders"]
