"""However the bytes of a Chat Completions stream are cut, it is the same; whatever they are, no call slips through."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletionChunk

from opsconsole.gateway.dialect.chat import Chat
from opsconsole.gateway.dialect.interface import Answer, Answered, Broken, Done, Edited, Held, Pass, Piece, Stands, Text
from tests.gateway.dialect.chat_wire import (
    DIALECT,
    DONE,
    ONE_CALL,
    PLAIN_TWO_CALLS,
    SPOKEN,
    TWO_CALLS,
    call,
    chunk,
    fed,
    passed,
    request,
    role,
    stop,
    words,
)

STREAMS = [SPOKEN, ONE_CALL, TWO_CALLS, TWO_CALLS.replace(b"\n", b"\r\n"), b": x\r\r" + SPOKEN.replace(b"\n", b"\r")]
PARTS = [
    role(),
    words("a", "ü"),
    call(0, "call_A", "{}"),
    call(1, "call_B", '{"a"'),
    call(0, "", "x"),
    chunk({"function_call": {"name": "f"}}),
    chunk({}, "stop"),
    chunk({"content": 5, "tool_calls": 7}, index=3),
    stop(),
    DONE,
    b"data: {\n\n",
    b"\n",
    b"\r\n",
    b"data",
    b"\xff",
    b'data: {"choices":[null,{"delta":3}],"usage":[]}\n\n',
]
GARBAGE = st.lists(st.one_of(st.sampled_from(PARTS), st.binary(max_size=40)), max_size=20).map(b"".join)


@pytest.mark.parametrize("data", STREAMS, ids=["words", "call", "calls", "crlf", "cr"])
@given(cuts=st.lists(st.integers(0, len(TWO_CALLS)), max_size=30))
@settings(max_examples=40, deadline=None)
def test_any_cut_gives_the_same(data: bytes, cuts: list[int]) -> None:
    places = [min(cut, len(data)) for cut in cuts]
    once, cut = DIALECT.answer(request()), DIALECT.answer(request())
    whole, pieces = fed(once, data), fed(cut, data, places)
    assert passed(pieces) == passed(whole)
    assert text_of(pieces) == text_of(whole)
    assert others(pieces) == others(whole)
    assert client_bytes(cut, pieces) == client_bytes(once, whole)


def test_a_cut_at_every_byte_gives_the_same() -> None:
    answer = DIALECT.answer(request())
    pieces = fed(answer, ONE_CALL, range(1, len(ONE_CALL)))
    assert client_bytes(answer, pieces) == ONE_CALL


@given(data=GARBAGE, cuts=st.lists(st.integers(0, 2000), max_size=10), wants_text=st.booleans())
@settings(max_examples=300, deadline=None)
def test_garbage_never_raises_and_never_passes_a_call(data: bytes, cuts: list[int], wants_text: bool) -> None:
    answer = Chat(wants_text=wants_text).answer(request())
    pieces = fed(answer, data, [min(cut, len(data)) for cut in cuts])
    assert not holds_a_call(passed(pieces))
    assert isinstance(pieces[-1], Done | Broken | Held)


@given(data=GARBAGE)
@settings(max_examples=150, deadline=None)
def test_no_refused_call_is_left_in_what_the_client_gets(data: bytes) -> None:
    answer = DIALECT.answer(request())
    pieces = fed(answer, role() + call(0, "call_A", "{}") + data + DONE)
    for piece in (piece for piece in pieces if isinstance(piece, Held)):
        assert not holds_a_call(answer.settle({call.id: Answered(text="No.") for call in piece.calls}))


@given(data=GARBAGE)
@settings(max_examples=150, deadline=None)
def test_nothing_of_what_the_model_wrote_is_left_beside_an_edit(data: bytes) -> None:
    answer = DIALECT.answer(request())
    pieces = fed(answer, role() + call(0, "call_A", '{"cmd":"rm"}') + data + DONE)
    for piece in (piece for piece in pieces if isinstance(piece, Held)):
        body = answer.settle({call.id: Edited(args={"safe": 1}) for call in piece.calls})
        assert argument_texts(body) == {"", '{"safe":1}'}


PLACES = st.sampled_from([0, 1, 2, 5])
OPENINGS = st.builds(
    lambda place, id, name: {"index": place, "id": id, "type": "function", "function": {"name": name}},
    *(PLACES, st.sampled_from(["call_A", "call_B", "call_C", ""]), st.sampled_from(["run", "s"])),
)
MORE = st.builds(
    lambda place, raw: {"index": place, "function": {"arguments": raw}}, PLACES, st.sampled_from(["{", '"a":1}', "ü"])
)
NAMED_AGAIN = st.builds(lambda place: {"index": place, "function": {"name": "_all"}}, PLACES)
SAME_ID = st.builds(lambda place: {"index": place, "id": "call_A", "function": {"arguments": "!"}}, PLACES)
ENTRIES = st.one_of(OPENINGS, MORE, MORE, NAMED_AGAIN, SAME_ID)


@given(deltas=st.lists(st.lists(ENTRIES, min_size=1, max_size=2), min_size=1, max_size=6))
@settings(max_examples=150, deadline=None)
def test_the_official_client_reads_what_was_judged_however_the_pieces_come(deltas: list[list[dict[str, Any]]]) -> None:
    answer = DIALECT.answer(request())
    calls = call(0, "call_A") + b"".join(chunk({"tool_calls": entries}) for entries in deltas)
    pieces = fed(answer, role() + calls + stop())
    judged = [(each.id, each.name, each.raw) for piece in pieces if isinstance(piece, Held) for each in piece.calls]
    assert not judged or accumulated(client_bytes(answer, pieces)) == judged


@given(data=st.one_of(st.binary(max_size=200), st.sampled_from([PLAIN_TWO_CALLS]).map(lambda body: body[:-9] + b"}]}")))
@settings(max_examples=100, deadline=None)
def test_garbage_in_a_plain_answer_never_raises(data: bytes) -> None:
    assert isinstance(fed(DIALECT.answer(request(streams=False)), data)[-1], Broken | Done | Held)


def text_of(pieces: list[Piece]) -> str:
    return "".join(piece.text for piece in pieces if isinstance(piece, Text))


def others(pieces: list[Piece]) -> list[Piece]:
    return [piece for piece in pieces if not isinstance(piece, Pass | Text)]


def client_bytes(answer: Answer, pieces: list[Piece]) -> bytes:
    held = [piece for piece in pieces if isinstance(piece, Held)]
    rest = answer.settle({call.id: Stands() for call in held[0].calls}) if held else b""
    return passed(pieces) + rest


def deltas_in(body: bytes) -> Iterator[dict[str, Any]]:
    """The deltas of a stream, read by the rules and not by the code that is tested."""
    for event in body.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n\n"):
        lines = [line[5:].removeprefix(b" ") for line in event.split(b"\n") if line.startswith(b"data:")]
        try:
            chunk = json.loads(b"\n".join(lines))
        except ValueError:
            continue
        choices = chunk.get("choices") if isinstance(chunk, dict) else None
        for choice in choices if isinstance(choices, list) else ():
            if isinstance(choice, dict) and isinstance(choice.get("delta"), dict):
                yield choice["delta"]


def holds_a_call(body: bytes) -> bool:
    return any(delta.get("tool_calls") or delta.get("function_call") for delta in deltas_in(body))


def accumulated(body: bytes) -> list[tuple[str, str, str]]:
    """The calls that the official client's accumulator puts together."""
    state: ChatCompletionStreamState[Any] = ChatCompletionStreamState()
    for event in body.split(b"\n\n"):
        if event.startswith(b"data: {"):
            list(state.handle_chunk(ChatCompletionChunk.model_validate_json(event[6:])))
    message = state.current_completion_snapshot.choices[0].message
    return [(each.id, each.function.name, each.function.arguments or "") for each in message.tool_calls or []]


def argument_texts(body: bytes) -> set[str]:
    """Every piece of arguments that a client would read."""
    functions: list[dict[str, Any]] = []
    for delta in deltas_in(body):
        functions += [entry["function"] for entry in delta.get("tool_calls") or ()]
        functions += [delta["function_call"]] if delta.get("function_call") else []
    return {function.get("arguments", "") for function in functions}
