"""What an expression reads, told before any engine sees it; and the expressions that no engine gets to see."""

from __future__ import annotations

import pytest

from opsconsole.policy.rules.expression import read


@pytest.mark.parametrize(
    ("text", "paths"),
    [
        ("args.amount > 100.0", {("args", "amount")}),
        ("!has(args.a.b) || args.a.b == 1", {("args", "a", "b")}),
        ('args["to"].iban == ""', {("args", "to", "iban")}),
        ("args['a']['b'] == 1", {("args", "a", "b")}),
        ('args["a\\"b"] == 1', {("args",)}),
        ("args[r'a'] == 1", {("args",)}),
        ("args[tool.name] == 1", {("args",), ("tool", "name")}),
        ("size(args) > 3 && 'x' in args", {("args",)}),
        ("args.`a-b` == 1", {("args", "a-b")}),
        ("args.text.startsWith('args.other')", {("args", "text")}),
        ("args.to.exists(one, one.iban == args.from)", {("args", "to"), ("args", "from")}),
        ("type(args.a) == string && true", {("args", "a")}),
        ("args.a // args.b\n == 1", {("args", "a")}),
        ("{'args.x': sql.writes}['args.x']", {("sql", "writes")}),
        ("[args.a, args.b][0] == 1", {("args", "a"), ("args", "b")}),
        ("'''args.a''' == args.b", {("args", "b")}),
    ],
)
def test_the_names_it_reads_are_known(text: str, paths: set[tuple[str, ...]]) -> None:
    assert read(text).paths == paths


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "is empty"),
        (" \n", "is empty"),
        ("a" * 2_001, "longer than 2,000"),
        ("+".join("1" * 300), "more than 400 parts"),
        ("(" * 25 + "true" + ")" * 25, "more than 24 brackets"),
        (" || ".join(["args.l.exists(x, x)"] * 9), "more than 8 lists"),
        ("true\0 && false", "column 5"),
        ("args.a == 'a\\u0000b'", "NUL"),
        ("args.a == 'a\\x00'", "NUL"),
        ("args.a == '\\000'", "NUL"),
        ("args.a == 'unclosed", "column 11"),
        ("args.a § 3", "column 8"),
        (".args.a == 1", "begins with a dot"),
        ("true || .args.a", "begins with a dot"),
    ],
)
def test_an_expression_that_no_engine_sees(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        read(text)


def test_the_variables_of_its_macros_are_known() -> None:
    assert read("args.l.exists(x, args.m.all(y, y == x))").variables == {"x", "y"}
