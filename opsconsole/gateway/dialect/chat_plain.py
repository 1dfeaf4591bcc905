"""Plain answers of OpenAI Chat Completions: one body, held where it has calls, and written as it was ruled."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from opsconsole.gateway.dialect.chat_calls import BODIES, edited_text, writable
from opsconsole.gateway.dialect.chat_request import calls_in, shown_text, unknown_calls
from opsconsole.gateway.dialect.chat_stream import HALF, NOT_WRITABLE, parts_with_calls
from opsconsole.gateway.dialect.chat_told import CALL_FINISHES, THOUGHTS, Shown, Told, error_body, gap
from opsconsole.gateway.dialect.interface import (
    Answered,
    CallBegan,
    Edited,
    Failure,
    ModelCall,
    Piece,
    Request,
    Ruling,
    Stands,
    Text,
)
from opsconsole.gateway.dialect.json_text import (
    Unreadable,
    count,
    listed,
    mapping,
    may_be_a_call,
    summed,
    text,
    written,
)
from opsconsole.gateway.dialect.machine import PlainAnswer, note, stands


class PlainChat(PlainAnswer):
    """An answer as one `chat.completion` object."""

    def __init__(self, request: Request, continues: PlainChat | None = None) -> None:
        super().__init__(continues)
        self.shown: Shown = continues.shown.onward(continues.told.usage, continues.words()) if continues else Shown()
        self.told: Told = Told()
        self._request = request
        self._as_read: tuple[ModelCall, ...] = ()

    @property
    def messages(self) -> list[Mapping[str, Any]]:
        """The message of each choice."""
        return [mapping(mapping(choice).get("message")) for choice in listed(self._body.get("choices"))]

    def words(self) -> str:
        """What the first choice says."""
        return shown_text(self.messages[0].get("content")) if self.messages else ""

    def _look(self, body: dict[str, Any], pieces: list[Piece]) -> list[ModelCall]:
        if body.get("error"):
            raise Unreadable(f"upstream: {text(mapping(body['error']).get('message')) or 'an error without a message'}")
        if not isinstance(body.get("choices"), list):
            raise Unreadable("an answer without choices")
        has_calls = may_be_a_call(self._raw)
        if has_calls and any(parts_with_calls({"delta": mapping(choice).get("delta")}) for choice in body["choices"]):
            raise Unreadable("a call in a delta, which only parts of a stream have")
        self.told.take(body, pieces)
        if not self.shown.opening:
            self.shown.opening = {key: body[key] for key in ("id", "created") if key in body}
        calls: list[ModelCall] = []
        for place, message in enumerate(self.messages):
            for name in THOUGHTS:
                if thought := text(message.get(name)):
                    pieces.append(Text(text=thought, role="thought"))
                    break
            if words := shown_text(message.get("content")) or text(message.get("refusal")):
                pieces.append(Text(text=words))
            if has_calls:
                calls += calls_in(message, self.told.id, place)
        for call in calls:
            if not call.name:
                raise Unreadable("a call without a name")
            pieces.append(CallBegan(name=call.name))
        self._as_read = tuple(calls)
        return calls

    def _finished(self) -> str:
        choices = listed(self._body.get("choices"))
        return text(mapping(choices[0]).get("finish_reason")) if choices else ""

    def _failed(self, failure: Failure) -> bytes:
        return written(error_body(failure))

    def _kept(self) -> bytes:
        half = self.calls and any(HALF in call.raw for call in self.calls)
        if half or self.shown.continued or self._as_read != self.calls:
            return self._rewritten({call.id: Stands() for call in self.calls})
        return bytes(self._raw)

    def _rewritten(self, ruled: Mapping[str, Ruling]) -> bytes:
        calls = iter(self.calls)
        choices = [self._ruled_choice(mapping(choice), calls, ruled) for choice in listed(self._body.get("choices"))]
        body = {**self._body, **self.shown.opening, "choices": choices}
        if self.shown.continued and self.told.usage:
            body["usage"] = summed(self.shown.usage, self.told.usage)
        return written(body)

    def _ruled_choice(
        self, choice: Mapping[str, Any], calls: Iterator[ModelCall], ruled: Mapping[str, Ruling]
    ) -> Mapping[str, Any]:
        message = mapping(choice.get("message"))
        mine = [next(calls) for _ in calls_in(message)]
        rulings = {call.id: ruled[call.id] if writable(call, ruled[call.id]) else NOT_WRITABLE for call in mine}
        kept = _ruled_message(message, mine, rulings)
        if count(choice.get("index")) == 0 and self.shown.text:
            said = shown_text(kept.get("content"))
            kept["content"] = self.shown.text + (gap(self.shown.text) + said if said else "")
        gone = bool(mine) and not any(stands(ruling) for ruling in rulings.values())
        finish = "stop" if gone and text(choice.get("finish_reason")) in CALL_FINISHES else choice.get("finish_reason")
        return {**choice, "message": kept, "finish_reason": finish}


def _ruled_message(message: Mapping[str, Any], calls: list[ModelCall], rulings: Mapping[str, Ruling]) -> dict[str, Any]:
    """The message with the rulings applied; `calls` are those of `calls_in`, in its order."""
    waiting = iter(calls)
    kept = dict(message)
    entries = [(mapping(entry), next(waiting)) for entry in listed(message.get("tool_calls"))]
    if entries:
        kept["tool_calls"] = [
            _entry(entry, call, rulings[call.id]) for entry, call in entries if stands(rulings[call.id])
        ]
        if not kept["tool_calls"]:
            kept.pop("tool_calls")
    if legacy := mapping(message.get("function_call")):
        call = next(waiting)
        ruling = rulings[call.id]
        kept["function_call"] = {**legacy, **_arguments("arguments", call, ruling)} if stands(ruling) else None
    for field in unknown_calls(message):
        if not stands(rulings[next(waiting).id]):
            kept.pop(field)
    answered = {id: ruling for id, ruling in rulings.items() if isinstance(ruling, Answered)}
    if answered:
        said = shown_text(message.get("content"))
        kept["content"] = said + gap(said) + note(answered)
    return kept


def _entry(entry: Mapping[str, Any], call: ModelCall, ruling: Ruling) -> dict[str, Any]:
    if call.kind not in BODIES:
        return dict(entry)
    body = {**mapping(entry.get(call.kind)), **_arguments(BODIES[call.kind], call, ruling)}
    return {**entry, "id": call.id, "type": call.kind, call.kind: body}


def _arguments(field: str, call: ModelCall, ruling: Ruling) -> dict[str, str]:
    return {field: edited_text(call, ruling.args) if isinstance(ruling, Edited) else call.raw}
