"""Arguments are held against the tool's schema, and a schema from a stranger cannot fetch, hang or crash."""

from __future__ import annotations

from typing import Any

import pytest

from opsconsole.policy.facts.interface import NO_HISTORY, FactConfigError, History
from opsconsole.policy.facts.schema import SCHEMA
from opsconsole.policy.facts.schema_bounds import COST_MAX, DEPTH_MAX, SCHEMA_CHARS_MAX, TARGETS_MAX

PAY = {
    "type": "object",
    "properties": {"amount": {"type": "number"}, "to": {"type": "string", "pattern": "^(a+)+$"}},
    "required": ["amount"],
    "additionalProperties": False,
}
TREE = {"type": "object", "properties": {"children": {"type": "array", "items": {"$ref": "#"}}}}


def doubling(steps: int) -> dict[str, Any]:
    chain: dict[str, Any] = {"x0": {"type": "string"}}
    for step in range(1, steps + 1):
        chain[f"x{step}"] = {"allOf": [{"$ref": f"#/$defs/x{step - 1}"}, {"$ref": f"#/$defs/x{step - 1}"}]}
    return {"$defs": chain, "$ref": f"#/$defs/x{steps}"}


def nested(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = {}
    for _ in range(levels):
        schema = {"properties": {"a": schema}}
    return schema


def test_valid_arguments_are_valid() -> None:
    assert SCHEMA({"schema": PAY})({"amount": 3.5, "to": "aaa"}, NO_HISTORY) == {
        "valid": True,
        "errors": [],
        "unclear": False,
    }


def test_what_is_wrong_is_told_with_its_place() -> None:
    found = SCHEMA({"schema": PAY})({"amount": "250", "amuont": 1}, NO_HISTORY)
    assert found["valid"] is False
    assert sorted(found["errors"]) == [  # type: ignore[arg-type, type-var]
        'amount: "250" is not of type "number"',
        "arguments: Additional properties are not allowed ('amuont' was unexpected)",
    ]


def test_a_pattern_takes_linear_time() -> None:
    assert SCHEMA({"schema": PAY})({"amount": 1, "to": "a" * 50_000 + "!"}, NO_HISTORY)["valid"] is False


@pytest.mark.parametrize("value", [{1: 2}, {"a": "\ud800"}, {"a": {1, 2}}, {"a": float("nan")}, {"a": [0] * 20_000}])
def test_what_is_no_json_or_too_much_is_unclear_and_not_valid(value: dict[Any, Any]) -> None:
    found = SCHEMA({"schema": {"properties": {"a": {"maxLength": 3}}}})(value, NO_HISTORY)
    assert (found["valid"], found["unclear"]) == (False, True)


def test_arguments_a_hundred_thousand_levels_deep_are_unclear() -> None:
    top: dict[str, Any] = {}
    inner = top
    for _ in range(100_000):
        inner["children"] = [{}]
        inner = inner["children"][0]
    assert SCHEMA({"schema": TREE})(top, NO_HISTORY)["unclear"] is True


def test_a_schema_may_refer_to_itself_in_one_place() -> None:
    tree = SCHEMA({"schema": TREE})
    assert tree({"children": [{"children": []}]}, NO_HISTORY)["valid"] is True
    assert tree({"children": [{"children": 3}]}, NO_HISTORY)["valid"] is False


@pytest.mark.parametrize(
    "schema",
    [
        3,
        None,
        {"type": "nonsense"},
        {"$ref": "http://127.0.0.1:1/x"},
        {"$ref": "file:///etc/passwd"},
        {"properties": {"a": {"$ref": "other.json"}}},
        {"$schema": "http://127.0.0.1:1/s"},
        {"$dynamicRef": "#x"},
        {"properties": {"a": {"$id": "http://x.test/a", "$ref": "#/b"}}},
        {"$ref": "#/nowhere"},
        {"pattern": "(?=a)b"},
        {"pattern": "(a{1000}){1000}"},
        {"properties": {"a": {"allOf": [{"$ref": "#"}, {"$ref": "#"}]}}},
        doubling(12),
        doubling(TARGETS_MAX),
        {"$defs": {f"x{n}": {"$ref": f"#/$defs/x{n + 1}"} for n in range(3_000)}, "$ref": "#/$defs/x0"},
        {"properties": {f"p{n}": {} for n in range(COST_MAX + 1)}},
        {"description": "x" * SCHEMA_CHARS_MAX},
        nested(DEPTH_MAX),
        nested(5_000),
    ],
    ids=map(str, range(20)),
)
def test_a_schema_that_could_do_harm_or_is_wrong_is_refused(schema: Any) -> None:
    with pytest.raises(FactConfigError) as caught:
        SCHEMA({"schema": schema})
    assert caught.value.field == "schema"


def test_without_a_file_the_schema_that_comes_with_the_call_counts() -> None:
    offered = History(tool_schema=PAY)
    assert SCHEMA({})({"amount": 3.5}, offered) == {"valid": True, "errors": [], "unclear": False}
    assert SCHEMA({})({"amount": "250"}, offered)["errors"] == ['amount: "250" is not of type "number"']


def test_a_file_goes_before_what_comes_with_the_call() -> None:
    assert SCHEMA({"schema": PAY})({"amount": "250"}, History(tool_schema={}))["valid"] is False


def test_without_any_schema_nothing_is_valid() -> None:
    found = SCHEMA({})({}, NO_HISTORY)
    assert found == {"valid": False, "errors": ["nobody told the tool's schema"], "unclear": True}


def test_a_schema_of_a_call_that_reaches_elsewhere_is_refused() -> None:
    found = SCHEMA({})({}, History(tool_schema={"$ref": "file:///etc/passwd"}))
    assert (found["valid"], found["unclear"]) == (False, True)
