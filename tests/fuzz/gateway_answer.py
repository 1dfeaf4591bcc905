"""Fuzz target: whatever bytes a provider sends, however cut, no call reaches a client before it is ruled on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from opsconsole.gateway.dialect.dialects import DIALECTS
from opsconsole.gateway.dialect.framing import Frames
from opsconsole.gateway.dialect.interface import (
    Answer,
    Answered,
    Broken,
    CannotReask,
    Done,
    Held,
    Pass,
    Piece,
    Request,
    Ruling,
    Stands,
)
from tests.support import model_anthropic, model_chat, model_responses
from tests.support.model_delivery import framed
from tests.support.model_script import Call, Delivery, Play, Turn

MODEL = "gpt-5.1"
BODIES: dict[str, dict[str, Any]] = {
    "openai.chat": {"messages": [{"role": "user", "content": "Restart it."}]},
    "openai.responses": {"input": "Restart it."},
    "anthropic.messages": {"messages": [{"role": "user", "content": "Restart it."}], "max_tokens": 100},
}
MODELS = {"openai.chat": model_chat, "openai.responses": model_responses, "anthropic.messages": model_anthropic}
NAMES = tuple(BODIES)
CALLS = (Call(name="shell", args={"cmd": "rm -rf ünsinn"}), Call(name="look", args={"path": "a"}))
TURNS = (
    Turn(text="Two words, 世界.", calls=CALLS),
    Turn(text="Only words, and many of them.", piece_characters=4),
    Turn(thinking="Hm.", calls=CALLS[:1]),
)
NOT_CALLS = frozenset({"message", "reasoning"})
"""Items of a response that ask nobody to run anything."""


def _request(name: str, streams: bool) -> Request:
    document = {"model": MODEL, "stream": streams, "tools": []} | BODIES[name]
    return DIALECTS[name].read(json.dumps(document).encode())


REQUESTS = {(name, streams): _request(name, streams) for name in NAMES for streams in (False, True)}


def _seeds() -> Iterator[bytes]:
    for place, name in enumerate(NAMES):
        for turn in TURNS:
            play = Play(turn=turn, key="k", model=MODEL, at=0)
            body = {"model": MODEL, "stream_options": {"include_usage": True}} | BODIES[name]
            yield bytes([2 * place]) + json.dumps(MODELS[name].answer(play, body), ensure_ascii=False).encode()
            for newline in ("\n", "\r\n"):
                frames = MODELS[name].frames(play, body)
                yield bytes([2 * place + 1]) + b"".join(framed(frames, Delivery(newline=newline)))


SEEDS = list(_seeds())


def fuzz_one(data: bytes) -> None:
    """Raise when an answer raises, goes on after its end, or lets a call through. The first byte says which API, how
    it is delivered, how it is cut and how it is ruled on."""
    choice, rest = (data[0], data[1:]) if data else (0, b"")
    name, streams = NAMES[choice % 6 // 2], bool(choice % 2)
    request = REQUESTS[name, streams]
    answer = DIALECTS[name].answer(request)
    pieces = list(_read(answer, rest, 1 + choice // 6 * 7))
    passed = b"".join(piece.data for piece in pieces if isinstance(piece, Pass))
    _check_pieces(pieces)
    assert not list(calls_of(name, passed, streams)), "a call passed that nobody ruled on"
    if pieces and isinstance(pieces[-1], Held):
        _rule(name, request, answer, pieces[-1], streams, all_refused=choice >= 128)


def _read(answer: Answer, data: bytes, size: int) -> Iterator[Piece]:
    for start in range(0, len(data), size):
        yield from answer.feed(data[start : start + size])
    yield from answer.end()


def _check_pieces(pieces: list[Piece]) -> None:
    ends = [place for place, piece in enumerate(pieces) if isinstance(piece, Held | Done | Broken)]
    assert ends[:1] in ([], [len(pieces) - 1]), "something followed the end"
    assert ends, "an answer had no end"


def _rule(name: str, request: Request, answer: Answer, held: Held, streams: bool, *, all_refused: bool) -> None:
    refused = [call.id for place, call in enumerate(held.calls) if all_refused or place % 2 == 0]
    rulings: dict[str, Ruling] = {
        call.id: Answered(text="No.") if call.id in refused else Stands() for call in held.calls
    }
    answer.keep_alive()
    if all_refused:
        try:
            DIALECTS[name].reask(request, answer, rulings)
            return
        except CannotReask:
            pass
    told = list(calls_of(name, answer.settle(rulings), streams))
    assert len(told) <= len(held.calls) - len(refused), "a refused call reached the client"


def calls_of(name: str, data: bytes, streams: bool) -> Iterator[Any]:
    """The calls that a client finds, each once."""
    seen: set[Any] = set()
    for document in _documents(data, streams):
        for key in _KEYS[name](document):
            if key not in seen:
                seen.add(key)
                yield key


def _documents(data: bytes, streams: bool) -> Iterator[dict[str, Any]]:
    frames = Frames()
    texts = [frame.data for frame in [*frames.feed(data), *frames.end()]] if streams else [data]
    for text in texts:
        try:
            document = json.loads(text)
        except (ValueError, RecursionError):
            continue
        if isinstance(document, dict):
            yield document


def _chat_keys(document: dict[str, Any]) -> Iterator[Any]:
    for choice in _dicts(document.get("choices")):
        for part in _dicts([choice.get("delta"), choice.get("message")]):
            for call in _dicts(part.get("tool_calls")):
                yield str(choice.get("index")), str(call.get("index", call.get("id")))
            if part.get("function_call"):
                yield str(choice.get("index")), "function_call"


def _responses_keys(document: dict[str, Any]) -> Iterator[Any]:
    if "type" in document and not str(document["type"]).startswith("response."):
        return  # clients pass over events that they do not know
    response = document.get("response")
    inside = response.get("output") if isinstance(response, dict) else None
    for item in _dicts([document.get("item"), *_listed(inside), *_listed(document.get("output"))]):
        if isinstance(item.get("type"), str) and item["type"] not in NOT_CALLS and "call" in item["type"]:
            yield str(item.get("id"))


def _messages_keys(document: dict[str, Any]) -> Iterator[Any]:
    began = [document.get("content_block")] if document.get("type") == "content_block_start" else []
    for place, block in enumerate(_dicts([*began, *_listed(document.get("content"))])):
        if block.get("type") == "tool_use":
            yield str(document.get("index", place))


_KEYS = {"openai.chat": _chat_keys, "openai.responses": _responses_keys, "anthropic.messages": _messages_keys}


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [one for one in _listed(value) if isinstance(one, dict)]
