"""JSON of strangers: read without trust, and written so that anybody can read it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from opsconsole.gateway.dialect.json_text import Unreadable, arguments_in, count, read_object, summed, text, written


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"1", b'"x"', b"\xff{}", "{}".encode("utf-16"), b"[" * 200_000])
def test_what_is_no_object_is_unreadable_and_says_what_it_was(data: bytes) -> None:
    with pytest.raises(Unreadable, match=r"^the thing is not"):
        read_object(data, "the thing")


def test_a_name_that_stands_twice_is_refused_where_that_matters() -> None:
    assert read_object(b'{"a":1,"a":2}', "x") == {"a": 2}
    with pytest.raises(Unreadable, match=r"a name stands twice"):
        read_object(b'{"b":{"a":1,"a":2}}', "x", once=True)


@pytest.mark.parametrize(("raw", "args"), [("", {}), (" \n", {}), ("{}", {}), ('{"a":[1.5,"ü"]}', {"a": [1.5, "ü"]})])
def test_arguments_are_an_object(raw: str, args: dict[str, Any]) -> None:
    assert arguments_in(raw) == args


@pytest.mark.parametrize(
    "raw",
    ["[]", "null", "{", '{"a":1}{', '{"a":1,"a":1}', '{"a":NaN}', '{"a":-Infinity}', '{"a":1e999}', r'{"\ud800":1}'],
)
def test_what_two_parsers_could_read_differently_is_no_arguments(raw: str) -> None:
    assert arguments_in(raw) is None


def test_arguments_of_any_depth_do_not_raise() -> None:
    assert arguments_in('{"a":' * 100_000) is None


@pytest.mark.parametrize("value", [{"a": "ü"}, {"a": "\ud800"}, {"a": "x\ny\u2028"}])
def test_what_is_written_stands_on_one_line_and_is_read_back(value: Any) -> None:
    assert json.loads(written(value)) == value
    assert b"\n" not in written(value)


@pytest.mark.parametrize(("given", "read"), [("a\ud800ü", "a\ufffdü"), ("\ud83d\ude42", "🙂"), ("ü", "ü"), (3, "")])
def test_text_is_what_anybody_can_encode(given: Any, read: str) -> None:
    assert text(given) == read


@pytest.mark.parametrize(("value", "counted"), [(3, 3), (True, 0), (-1, 0), ("3", 0), (None, 0), (1.5, 0)])
def test_only_a_number_counts(value: Any, counted: int) -> None:
    assert count(value) == counted


def test_usage_is_added_wherever_both_have_a_number() -> None:
    first = {"a": 1, "in": {"x": 2, "y": 1}, "tier": "one", "only": 4, "none": None}
    second = {"a": 10, "in": {"x": 20}, "tier": "two", "none": None}
    assert summed(first, second) == {"a": 11, "in": {"x": 22, "y": 1}, "tier": "two", "only": 4, "none": None}
