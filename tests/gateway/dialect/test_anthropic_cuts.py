"""However the bytes of Anthropic Messages are cut, and whatever they are: the same pieces, and never a call unheld."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from opsconsole.gateway.dialect.interface import Broken, Done, Held, Pass, Stands, Text
from opsconsole.gateway.dialect.machine import joined
from tests.gateway.dialect.anthropic_wire import (
    CALL_A,
    DIALECT,
    ONE_CALL,
    SPOKEN,
    TWO_CALLS,
    WORDS,
    fed,
    held,
    passed,
    plain,
    request,
    start,
)

STREAMS = [SPOKEN, ONE_CALL, TWO_CALLS, ONE_CALL.replace(b"\n", b"\r\n"), b": hello\n\n" + TWO_CALLS]
CUTS = st.lists(st.integers(0, 1200), max_size=12)
WORD = st.sampled_from(["tool_use", "text", "ping", "message_start", "input_json_delta", "index", "delta", "type", "x"])
JSON = st.recursive(
    st.none() | st.integers(-1, 3) | WORD,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORD, inner, max_size=4),
    max_leaves=8,
)
KINDS = st.sampled_from(
    [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
        "error",
        "ping",
        "new_tool_use",
    ]
)
BLOCKS = st.sampled_from(["text", "tool_use", "server_tool_use", "thinking", "browser_use", "x_tool_result"])
EVENTS = st.builds(
    lambda kind, index, block, noise: {
        **noise,
        "type": kind,
        "index": index,
        "content_block": {"type": block, "id": "i", "name": "n", "input": {}},
        "delta": {"type": "input_json_delta", "partial_json": "{", "stop_reason": "tool_use"},
        "message": {"id": "m", "usage": noise},
    },
    KINDS,
    st.integers(0, 3) | JSON,
    BLOCKS,
    st.dictionaries(WORD, JSON, max_size=3),
)


@settings(max_examples=120, deadline=None)
@given(stream=st.sampled_from(STREAMS), cuts=CUTS)
def test_any_cut_of_a_stream_gives_the_same_pieces(stream: bytes, cuts: list[int]) -> None:
    def kinds(pieces: list) -> list:
        """Neighbouring words and bytes are one, whichever read brought them."""
        words = "".join(piece.text for piece in pieces if isinstance(piece, Text))
        return [words, passed(pieces), *(piece for piece in pieces if not isinstance(piece, Text | Pass))]

    whole, cut = DIALECT.answer(request()), DIALECT.answer(request())
    assert kinds(joined(fed(cut, stream, cuts))) == kinds(fed(whole, stream))


@settings(max_examples=60, deadline=None)
@given(cuts=CUTS)
def test_any_cut_of_an_approved_answer_is_byte_identical(cuts: list[int]) -> None:
    answer = DIALECT.answer(request())
    pieces = fed(answer, TWO_CALLS, cuts)
    assert passed(pieces) + answer.settle({call.id: Stands() for call in held(pieces).calls}) == TWO_CALLS


@settings(max_examples=100, deadline=None)
@given(events=st.lists(EVENTS, max_size=8), begun=st.booleans(), cuts=CUTS)
def test_no_order_of_events_passes_a_call_or_raises(events: list[dict], begun: bool, cuts: list[int]) -> None:
    stream = (start() if begun else b"") + b"".join(b"data: " + json.dumps(body).encode() + b"\n\n" for body in events)
    pieces = fed(DIALECT.answer(request()), stream, cuts)
    assert isinstance(pieces[-1], Broken | Held | Done)
    for line in passed(pieces).split(b"\n\n"):
        shown = json.loads(line[line.index(b"{") :]) if b"{" in line else {}
        if shown.get("type") == "content_block_start":
            assert shown["content_block"]["type"] not in ("tool_use", "browser_use")


@settings(max_examples=80, deadline=None)
@given(data=st.binary(max_size=400), cuts=CUTS, streams=st.booleans())
def test_garbage_never_raises(data: bytes, cuts: list[int], streams: bool) -> None:
    pieces = fed(DIALECT.answer(request(streams=streams)), data, cuts)
    assert isinstance(pieces[-1], Broken)


@settings(max_examples=60, deadline=None)
@given(place=st.integers(0, 600), byte=st.integers(0, 255))
def test_one_wrong_byte_in_a_plain_answer_never_passes_the_call(place: int, byte: int) -> None:
    body = bytearray(plain(WORDS, CALL_A))
    body[place % len(body)] = byte
    pieces = fed(DIALECT.answer(request(streams=False)), bytes(body))
    assert b'"tool_use",' not in passed(pieces)
