"""What is said of a chunk without reading it is what reading it would say, or nothing."""

from __future__ import annotations

import json

import pytest

from opsconsole.gateway.dialect.same_words import SameWords

CHUNK = '{"id":"x","choices":[{"index":0,"delta":{"content":%s},"finish_reason":null}]}'


def chunk(words: str, *, plain: bool = False) -> bytes:
    return b"data: " + (CHUNK % json.dumps(words, ensure_ascii=plain)).encode() + b"\n\n"


@pytest.fixture
def same() -> SameWords:
    found = SameWords()
    found.learn(chunk("Hello"), b"content", "Hello")
    return found


@pytest.mark.parametrize("words", ["Hello", " world", "Grüße, 世界 👋.", "tool_calls"])
def test_other_words_in_the_same_chunk_are_known(same: SameWords, words: str) -> None:
    assert same.read(chunk(words)) == words


@pytest.mark.parametrize(
    "data",
    [
        chunk(""),
        chunk('a "quote"'),
        chunk("a\nline"),
        chunk("Grüße", plain=True),
        chunk("Hello").replace(b"null", b'"stop"'),
        chunk("Hello").replace(b'"x"', b'"y"'),
        chunk("Hello") + chunk("again"),
        chunk("Hello")[:-1],
        chunk("X").replace(b"X", b"\xff"),
        chunk("X").replace(b"X", b"a\n\ndata: b"),
        b"",
    ],
)
def test_whatever_else_differs_must_be_read(same: SameWords, data: bytes) -> None:
    assert same.read(data) is None


@pytest.mark.parametrize("data", [chunk("Hello").replace(b'"x"', b'{"content":1}'), chunk("Other"), chunk('"Hello"')])
def test_a_chunk_where_the_words_may_stand_elsewhere_teaches_nothing(data: bytes) -> None:
    same = SameWords()
    same.learn(data, b"content", "Hello")
    assert same.read(data) is None


@pytest.mark.parametrize(
    "data",
    [chunk("Hello").replace(b'"content":"Hello"', b'"content":"Hello","content":"Hello"')],
)
def test_a_chunk_with_the_words_under_one_name_twice_teaches_nothing(data: bytes) -> None:
    same = SameWords()
    same.learn(data, b"content", "Hello")
    assert same.read(data) is None


def test_a_chunk_that_teaches_nothing_ends_what_was_known() -> None:
    same = SameWords()
    same.learn(chunk("Hello"), b"content", "Hello")
    same.learn(chunk("Other"), b"content", "Hello")
    assert same.read(chunk("Hello")) is None
