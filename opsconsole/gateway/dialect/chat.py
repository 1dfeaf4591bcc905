"""The dialect of OpenAI Chat Completions as one object, with what the gateway says in it by itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from opsconsole.gateway.dialect import chat_request
from opsconsole.gateway.dialect.chat_calls import BODIES, edited_text
from opsconsole.gateway.dialect.chat_plain import PlainChat
from opsconsole.gateway.dialect.chat_stream import StreamedChat
from opsconsole.gateway.dialect.chat_told import DONE, choice_of, chunk_frame, error_body, made_opening
from opsconsole.gateway.dialect.framing import written_frame
from opsconsole.gateway.dialect.interface import (
    Answer,
    Answered,
    CannotReask,
    Changes,
    ComposedCall,
    Edited,
    Failure,
    ModelCall,
    Request,
    Ruling,
)
from opsconsole.gateway.dialect.json_text import text, written, written_text

LEAST_USAGE = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
"""What a client is shown of an operator's answer: some refuse one that cost nothing. The hub counts none of it."""


class Chat:
    """OpenAI Chat Completions. Without `wants_text` chunks of words are not read: they cost less and tell less."""

    name = chat_request.NAME
    provider = "openai"

    def __init__(self, *, wants_text: bool = True) -> None:
        self._wants_text = wants_text

    def read(self, raw: bytes) -> Request:
        """Raises: BadRequest."""
        return chat_request.read(raw)

    def forwarded(self, request: Request, changes: Changes) -> bytes:
        """The body to send upstream."""
        return chat_request.forwarded(request, changes)

    def answer(self, request: Request, *, continues: Answer | None = None) -> Answer:
        """The machine for one answer. Raises: TypeError, where `continues` is not of its kind."""
        if request.streams:
            if continues is not None and not isinstance(continues, StreamedChat):
                raise TypeError("a streamed answer continues a streamed answer of this dialect")
            return StreamedChat(request, continues, wants_text=self._wants_text)
        if continues is not None and not isinstance(continues, PlainChat):
            raise TypeError("a plain answer continues a plain answer of this dialect")
        return PlainChat(request, continues)

    def reask(self, request: Request, answer: Answer, rulings: Mapping[str, Ruling]) -> Request:
        """The request again, with the answer's calls and their results.
        Raises: CannotReask, NotHeld, TypeError."""
        if not isinstance(answer, StreamedChat | PlainChat):
            raise TypeError("not an answer of this dialect")
        message = _message(answer, {})
        results = [
            _result(call, ruling) for call, ruling in zip(answer.calls, answer.reasked(rulings).values(), strict=True)
        ]
        return chat_request.asked_again(request, message, results)

    def repeated(self, answer: Answer, rulings: Mapping[str, Ruling]) -> Sequence[Mapping[str, Any]]:
        """The answer's message, and the results of its calls that were Answered. Raises: CannotReask, TypeError."""
        if not isinstance(answer, StreamedChat | PlainChat):
            raise TypeError("not an answer of this dialect")
        ruled = [(call, rulings[call.id]) for call in answer.calls]
        results = [_result(call, ruling) for call, ruling in ruled if isinstance(ruling, Answered)]
        return [_message(answer, rulings), *results]

    def composed(self, request: Request, *, id: str, text: str, calls: Sequence[ComposedCall]) -> bytes:
        """A whole answer of an operator."""
        return _streamed(request, id, text, calls) if request.streams else _plain(request, id, text, calls)

    def composed_items(
        self, request: Request, *, id: str, text: str, calls: Sequence[ComposedCall]
    ) -> Sequence[Mapping[str, Any]]:
        """Nothing: clients send their history."""
        return ()

    def error(self, failure: Failure) -> bytes:
        """An error body."""
        return written(error_body(failure))


# -- asked again -------------------------------------------------------------------------------------------------------


def _message(answer: StreamedChat | PlainChat, rulings: Mapping[str, Ruling]) -> dict[str, Any]:
    """The message that an answer is, as a later request repeats it; edited calls as edited. Raises: CannotReask."""
    if any(call.kind not in (*BODIES, "function_call") for call in answer.calls):
        raise CannotReask("a call of a kind whose result nobody can write")
    message = _plain_message(answer) if isinstance(answer, PlainChat) else _streamed_message(answer)
    entries = [_entry(call, rulings.get(call.id)) for call in answer.calls if call.kind in BODIES]
    extras = _extras(answer)
    if entries:
        message["tool_calls"] = [{**extra, **entry} for extra, entry in zip(extras, entries, strict=True)]
    for call in answer.calls:
        if call.kind == "function_call":
            message["function_call"] = {"name": call.name, "arguments": _raw(call, rulings.get(call.id))}
    return message


def _streamed_message(answer: StreamedChat) -> dict[str, Any]:
    if len(answer.choices) != 1 or not answer.remembers_all:
        raise CannotReask("an answer of several choices, or of more words than are kept")
    (choice,) = answer.choices.values()
    thoughts = {choice.thoughts_in: "".join(choice.thoughts)} if choice.thoughts_in else {}
    return {"role": "assistant", "content": "".join(choice.texts) or None, **thoughts}


def _plain_message(answer: PlainChat) -> dict[str, Any]:
    if len(answer.messages) != 1:
        raise CannotReask("an answer of several choices")
    left_out = ("tool_calls", "function_call", "annotations", "audio", "refusal")
    return {"content": None} | {key: value for key, value in answer.messages[0].items() if key not in left_out}


def _extras(answer: StreamedChat | PlainChat) -> list[dict[str, Any]]:
    """Beside each entry of `tool_calls`: the fields that no type knows, such as signatures."""
    if isinstance(answer, PlainChat):
        return [dict(entry) for entry in answer.messages[0].get("tool_calls") or ()]
    return [
        call.extra for choice in answer.choices.values() for call in choice.calls.calls if call.where == "tool_calls"
    ]


def _entry(call: ModelCall, ruling: Ruling | None) -> dict[str, Any]:
    body = {"name": call.name, BODIES[call.kind]: _raw(call, ruling)}
    return {"id": call.id, "type": call.kind, call.kind: body}


def _raw(call: ModelCall, ruling: Ruling | None) -> str:
    return edited_text(call, ruling.args) if isinstance(ruling, Edited) else call.raw


def _result(call: ModelCall, ruling: Answered) -> dict[str, Any]:
    if call.kind == "function_call":
        return {"role": "function", "name": call.name, "content": ruling.text}
    return {"role": "tool", "tool_call_id": call.id, "content": ruling.text}


# -- composed ----------------------------------------------------------------------------------------------------------


def _plain(request: Request, id: str, words: str, calls: Sequence[ComposedCall]) -> bytes:
    entries = {"tool_calls": [_composed_entry(request, call) for call in calls]} if calls else {}
    message = {"role": "assistant", "content": words or (None if calls else ""), "refusal": None, **entries}
    finish = "tool_calls" if calls else "stop"
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": finish}
    opening = {**made_opening(id, request.model), "object": "chat.completion"}
    return written({**opening, "choices": [choice], "usage": LEAST_USAGE})


def _streamed(request: Request, id: str, words: str, calls: Sequence[ComposedCall]) -> bytes:
    opening = made_opening(id, request.model)
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": None if calls and not words else ""}]
    deltas += [{"content": words}] if words else []
    deltas += [{"tool_calls": [{"index": place, **_composed_entry(request, call)}]} for place, call in enumerate(calls)]
    frames = [chunk_frame(opening, [choice_of(0, delta)]) for delta in deltas]
    frames.append(chunk_frame(opening, [choice_of(0, {}, "tool_calls" if calls else "stop")]))
    if request.asks_usage:
        frames.append(chunk_frame(opening, [], usage=LEAST_USAGE))
    return b"".join([*frames, written_frame(DONE)])


def _composed_entry(request: Request, call: ComposedCall) -> dict[str, Any]:
    """A call to one of the request's tools: free text where the tool takes that."""
    if call.name in chat_request.custom_tools(request.body):
        given = call.args.get("input")
        raw = given if isinstance(given, str) else written_text(dict(call.args))
        return {"id": call.id, "type": "custom", "custom": {"name": text(call.name), "input": raw}}
    return {
        "id": call.id,
        "type": "function",
        "function": {"name": text(call.name), "arguments": written_text(dict(call.args))},
    }
