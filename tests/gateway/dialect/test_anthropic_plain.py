"""A plain answer of Anthropic Messages is judged as a stream is, and the official client reads what becomes of it."""

from __future__ import annotations

import json

import anthropic
import pytest

from opsconsole.gateway.dialect.interface import (
    HELD_BYTES_MAX,
    Answered,
    Broken,
    CallBegan,
    ComposedCall,
    Counted,
    Counts,
    Done,
    Edited,
    Failure,
    Held,
    ModelCall,
    Pass,
    Served,
    Stands,
    Text,
)
from tests.gateway.dialect.anthropic_wire import (
    CALL_A,
    CALL_B,
    DIALECT,
    WORDS,
    client,
    fed,
    plain,
    read_by_helper,
    read_plain,
    request,
)

NO = Answered(text="Refused by ops.")
A = ModelCall(id="toolu_A", name="run", args={"cmd": "ls"}, raw='{"cmd":"ls"}')


def settled(body: bytes, rulings: dict) -> bytes:
    answer = DIALECT.answer(request(streams=False))
    fed(answer, body)
    return answer.settle(rulings)


def test_an_answer_without_calls_passes_whole() -> None:
    body = plain(WORDS, reason="end_turn")
    assert fed(DIALECT.answer(request(streams=False)), body) == [
        Served(id="msg_1", model="claude-opus-5-20260801"),
        Text(text="Both."),
        Counted(Counts(input_tokens=10, output_tokens=20)),
        Pass(body),
        Done(finish="end_turn"),
    ]


def test_an_answer_with_a_call_waits() -> None:
    pieces = fed(DIALECT.answer(request(streams=False)), plain(WORDS, CALL_A), cuts=range(1, 300))
    assert pieces[-2:] == [CallBegan(name="run"), Held(calls=(A,))]
    assert not any(isinstance(piece, Pass) for piece in pieces)


def test_an_approved_answer_is_byte_identical() -> None:
    body = plain(WORDS, CALL_A)
    assert settled(body, {"toolu_A": Stands()}) == body


def test_an_edited_call_carries_the_operators_arguments() -> None:
    body = settled(plain(WORDS, CALL_A), {"toolu_A": Edited(args={"cmd": "pwd"})})
    assert read_plain(body)["content"] == [WORDS, {**CALL_A, "input": {"cmd": "pwd"}}]


def test_a_refused_call_leaves_a_note_before_what_stands() -> None:
    message = read_plain(settled(plain(WORDS, CALL_A, CALL_B), {"toolu_A": Stands(), "toolu_B": NO}))
    assert message["content"] == [WORDS, {"type": "text", "text": "Refused by ops."}, CALL_A]
    assert message["stop"] == "tool_use"


def test_the_turn_ends_when_every_call_is_refused() -> None:
    message = read_plain(settled(plain(WORDS, CALL_A), {"toolu_A": NO}))
    assert message == {
        "id": "msg_1",
        "content": [WORDS, {"type": "text", "text": "Refused by ops."}],
        "stop": "end_turn",
        "tokens": (10, 20),
    }


def test_the_answer_goes_on_after_a_refusal() -> None:
    asked, answer = request(streams=False), DIALECT.answer(request(streams=False))
    fed(answer, plain(WORDS, CALL_A))
    again = DIALECT.reask(asked, answer, {"toolu_A": NO})
    second = DIALECT.answer(again, continues=answer)
    pieces = fed(second, plain({"type": "text", "text": "Well."}, reason="end_turn", id="msg_2"))
    assert read_plain(b"  " + next(piece.data for piece in pieces if isinstance(piece, Pass))) == {
        "id": "msg_1",
        "content": [WORDS, {"type": "text", "text": "Well."}],
        "stop": "end_turn",
        "tokens": (20, 40),
    }


def test_two_calls_with_one_id_get_each_their_own() -> None:
    body = settled(plain(CALL_A, CALL_A), {"toolu_A": Stands(), "toolu_A_2": Stands()})
    assert [part["id"] for part in read_plain(body)["content"]] == ["toolu_A", "toolu_A_2"]


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{}", b'{"content": 1}', b'{"content": [1]}', b'{"type":"error","error":{}}', plain(CALL_A)[:-3]],
)
def test_what_is_no_answer_is_broken(body: bytes) -> None:
    pieces = fed(DIALECT.answer(request(streams=False)), body)
    assert isinstance(pieces[-1], Broken)
    assert not any(isinstance(piece, Pass) for piece in pieces)


def test_an_answer_over_the_cap_is_broken_at_once() -> None:
    answer = DIALECT.answer(request(streams=False))
    assert isinstance(answer.feed(b" " * (HELD_BYTES_MAX + 1))[-1], Broken)


def test_a_client_that_waits_reads_the_answer_behind_the_whitespace() -> None:
    answer = DIALECT.answer(request(streams=False))
    fed(answer, plain(WORDS, CALL_A))
    body = answer.keep_alive() + answer.keep_alive() + answer.settle({"toolu_A": Stands()})
    assert (answer.begun, read_plain(body)["content"]) == (True, [WORDS, CALL_A])


def test_an_error_body_is_what_the_client_raises() -> None:
    body = DIALECT.error(Failure(status=403, code="killed", message="Killed by ops."))
    with pytest.raises(anthropic.PermissionDeniedError, match="Killed by ops"):
        client(body, streams=False, status=403).messages.create(
            model="m", max_tokens=1, messages=[{"role": "user", "content": "x"}]
        )
    assert json.loads(body)["error"]["type"] == "permission_error"


@pytest.mark.parametrize("streams", [True, False])
def test_an_operators_answer_reads_like_the_models(streams: bool) -> None:
    call = ComposedCall(id="toolu_9", name="run", args={"cmd": "ls ü"})
    body = DIALECT.composed(request(streams=streams), id="msg_9", text="I take over.", calls=[call])
    assert (read_by_helper if streams else read_plain)(body) == {
        "id": "msg_9",
        "content": [
            {"type": "text", "text": "I take over."},
            {"type": "tool_use", "id": "toolu_9", "name": "run", "input": {"cmd": "ls ü"}},
        ],
        "stop": "tool_use",
        "tokens": (1, 1),
    }


@pytest.mark.parametrize("streams", [True, False])
def test_an_operators_answer_of_words_alone_ends_the_turn(streams: bool) -> None:
    body = DIALECT.composed(request(streams=streams), id="msg_9", text="Done.", calls=[])
    message = (read_by_helper if streams else read_plain)(body)
    assert (message["content"], message["stop"]) == ([{"type": "text", "text": "Done."}], "end_turn")


def test_an_operators_answer_is_read_behind_what_kept_the_client_waiting() -> None:
    asked = request()
    body = DIALECT.answer(asked).keep_alive() + DIALECT.composed(asked, id="msg_9", text="Done.", calls=[])
    assert read_by_helper(body)["content"] == [{"type": "text", "text": "Done."}]
