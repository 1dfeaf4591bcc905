"""JSON of strangers: read without trust, and written so that anybody can read it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from opsconsole.gateway.dialect.json_text import (
    Unreadable,
    arguments_in,
    count,
    may_be_a_call,
    read_object,
    summed,
    text,
    written,
)


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"1", b'"x"', b"\xff{}", "{}".encode("utf-16"), b"[" * 200_000])
def test_what_is_no_object_is_unreadable_and_says_what_it_was(data: bytes) -> None:
    with pytest.raises(Unreadable, match=r"^the thing is not"):
        read_object(data, "the thing")


def test_a_name_that_stands_twice_is_refused_where_that_matters() -> None:
    assert read_object(b'{"a":1,"a":2}', "x") == {"a": 2}
    with pytest.raises(Unreadable, match=r"a name stands twice"):
        read_object(b'{"b":{"a":1,"a":2}}', "x", once=True)


STRINGS = st.text(st.sampled_from('a:"\\\\/ü\ud800\n{,'), max_size=4)
NUMBERS = st.sampled_from(
    ["1", "-0", "1.50", "1E5", "1e999", "-1e999", "9" * 25, "9" * 5_000, "01", "1.", "NaN", "Infinity"]
)
WORDS = st.builds(json.dumps, STRINGS, ensure_ascii=st.booleans())


def _object(members: list[tuple[str, str]]) -> str:
    return "{" + ",".join(f"{name}: {value}" for name, value in members) + "}"


DOCUMENTS = st.recursive(
    WORDS | NUMBERS | st.sampled_from(["true", "null", "", "nul", "'a'"]),
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda items: f"[{','.join(items)}]")
        | st.lists(st.tuples(WORDS, inner), max_size=3).map(_object)
    ),
    max_leaves=6,
)


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


def _out_of_range(word: str) -> float:
    value = float(word)
    assert abs(value) < float("inf")
    return value


def _never(word: str) -> float:
    raise AssertionError(word)


def read_by_the_standard_library(data: bytes, *, once: bool) -> Any:
    hooks: dict[str, Any] = {"object_pairs_hook": _each_once, "parse_float": _out_of_range, "parse_constant": _never}
    try:
        value = json.loads(data.decode(), **(hooks if once else {}))
    except (ValueError, AssertionError, RecursionError):
        return "unreadable"
    return repr(value) if isinstance(value, dict) else "unreadable"


@settings(max_examples=600)
@given(st.lists(st.tuples(WORDS, DOCUMENTS), max_size=3).map(_object) | DOCUMENTS, st.booleans())
@example(r'{"a": "\u003a", "a": 1}', True)
@example(r'{"a:": 1, "a": 2, "a": "\u003a"}', True)
@example('{"a": 1, "b": {"c": ":", "c": 2}}', True)
@example('{"a": ' + "9" * 5_000 + "}", True)
@example('{"a": NaN}', False)
def test_an_object_is_read_as_the_standard_library_reads_it(document: str, once: bool) -> None:
    data = document.encode("utf-8", "replace")
    try:
        found = repr(read_object(data, "x", once=once))
    except Unreadable:
        found = "unreadable"
    assert found == read_by_the_standard_library(data, once=once)


@pytest.mark.parametrize(
    "data", [b'{"tool_x":1}', b'{"TOOL_X":1}', b'{"Call":1}', rb'{"\u0063all":1}', rb'{"t\u006Fol":1}']
)
def test_a_call_is_suspected_however_its_name_is_written(data: bytes) -> None:
    assert may_be_a_call(data)


def test_words_alone_are_no_call() -> None:
    assert not may_be_a_call('{"content":"Both runs paid the invoice: ü","n":[1,2]}'.encode())


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
