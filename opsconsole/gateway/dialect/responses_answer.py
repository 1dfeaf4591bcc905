"""One streamed answer of OpenAI Responses: what passes, what is held, what is rewritten; asks nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from opsconsole.gateway.dialect.framing import Frame
from opsconsole.gateway.dialect.held_frames import body_of, ended, place_of
from opsconsole.gateway.dialect.interface import (
    CallBegan,
    Counted,
    Failure,
    ModelCall,
    Piece,
    Request,
    Ruling,
    Served,
    Stands,
    Text,
)
from opsconsole.gateway.dialect.json_text import (
    Unreadable,
    count,
    listed,
    mapping,
    may_be_a_call,
    read_object,
    summed,
    text,
)
from opsconsole.gateway.dialect.machine import Sight, State, StreamedAnswer
from opsconsole.gateway.dialect.responses_items import Item, is_call, name_of
from opsconsole.gateway.dialect.responses_output import Output, settled
from opsconsole.gateway.dialect.responses_writing import (
    counts_of,
    error_event,
    event,
    item_events,
    made_response,
    numbered,
)

PLACE = "output_index"
"""Which item of the output an event is about."""
WORDS: Mapping[str, Any] = {
    "response.output_text.delta": "assistant",
    "response.refusal.delta": "assistant",
    "response.reasoning_summary_text.delta": "thought",
    "response.reasoning_text.delta": "thought",
}
"""The events that bring words, and whose they are."""
ARGUMENTS = ("response.function_call_arguments.", "response.custom_tool_call_input.")
"""How the events begin that bring a call's arguments."""

_Seen = tuple[Sight, bytes | list[Any] | None]
"""What an event is, and what of it goes to the client: as it came, as other events, or as bytes that are ready."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What the client has of a turn that another answer continues."""

    response: Mapping[str, Any]
    """As the client knows it, its id above all."""
    seen: Sequence[Item]
    """The items that reached the client."""
    next_index: int
    next_number: int
    usage: Any
    """Of all answers so far, together."""
    rest: tuple[bytes, ...] = ()
    """Events kept behind a call that belong to items the client saw begin."""


class ResponsesStreamed(StreamedAnswer):
    """A stream of events; `continues` is the answer that it goes on with."""

    def __init__(self, request: Request, continues: ResponsesStreamed | None = None) -> None:
        super().__init__(continues)
        self._request = request
        self._turn = continues.turn() if continues else None
        self._output = Output()
        self._upstream: Mapping[str, Any] = {}
        """The response as upstream last told it."""
        self._response: Mapping[str, Any] = self._turn.response if self._turn else {}
        """The response as the client knows it; empty until it has heard of one."""
        self._next = self._turn.next_number if self._turn else 0
        """The number of the next event for the client."""
        self._shift: int | None = None
        """Between upstream's numbers and the client's; None until one has come."""
        self._own = self._turn is not None
        """Whether the client knows the response under an id that is not upstream's."""
        self._error = ""

    # -- what was asked ------------------------------------------------------------------------------------------------

    def items(self) -> list[dict[str, Any]]:
        """The items of this answer as upstream gave them. Raises: CannotReask."""
        return self._output.items()

    @property
    def ids(self) -> tuple[str, str]:
        """The response's id as the client knows it, and as upstream does."""
        return text(self._response.get("id")), text(self._upstream.get("id"))

    def turn(self) -> Turn:
        """What the client has, when another answer continues this one."""
        seen = self._output.seen()
        indices = {self._placed(index) for index, _ in seen}
        return Turn(
            response=self._response,
            seen=[*(self._turn.seen if self._turn else ()), *(item for _, item in seen)],
            next_index=1 + max(indices, default=self._turn.next_index - 1 if self._turn else -1),
            next_number=self._next,
            usage=self._total(self._upstream),
            rest=tuple(raw for raw in self._held if place_of(body_of(raw), PLACE) in indices),
        )

    # -- events --------------------------------------------------------------------------------------------------------

    def _see(self, frame: Frame, pieces: list[Piece]) -> tuple[Sight, bytes]:
        if not frame.data:
            return Sight.PLAIN, frame.raw
        body = read_object(frame.data, "an event", once=may_be_a_call(frame.data))
        kind = text(body.get("type"))
        if self._shift is None and "sequence_number" in body:
            self._shift = self._next - count(body["sequence_number"]) if self._next else 0
        see = _SEEN.get(kind, ResponsesStreamed._see_other)
        sight, written = see(self, kind, body, pieces)
        if isinstance(written, bytes):
            return sight, written
        if written is None:
            return sight, self._numbered(body, frame.raw, sight)
        return sight, b"".join(self._numbered(told, event(told), sight) for told in written)

    def _see_response(self, kind: str, body: dict[str, Any], pieces: list[Piece]) -> _Seen:
        """A response begins, or is still there."""
        response = mapping(body.get("response"))
        if any(is_call(mapping(item)) for item in listed(response.get("output"))):
            raise Unreadable("a response that begins with a call")
        first, self._upstream = not self._upstream, response
        if first:
            model = text(response.get("model"))
            if self._own and self._turn is None:
                pieces.append(Served(id=text(self._response.get("id")), model=model))
            pieces.append(Served(id=text(response.get("id")), model=model))
        if self._own:
            rest = self._turn.rest if first and self._turn else ()
            self._shift = (self._shift or 0) + len(rest) - 1
            return Sight.PLAIN, self._released(rest)
        self._response = response
        return Sight.PLAIN, None

    def _see_added(self, kind: str, body: dict[str, Any], pieces: list[Piece]) -> _Seen:
        if body.get("item") is None:
            return Sight.PLAIN, self._moved(body)
        if not self._upstream:
            raise Unreadable("an item before its response")
        call = self._output.begin(body.get("output_index"), mapping(body["item"]))
        if not call:
            return Sight.PLAIN, self._moved(body)
        pieces.append(CallBegan(name=name_of(mapping(body["item"]))))
        return Sight.CALL, self._moved(body)

    def _see_done(self, kind: str, body: dict[str, Any], pieces: list[Piece]) -> _Seen:
        item, index = mapping(body.get("item")), place_of(body, PLACE)
        if body.get("item") is None:
            return Sight.PLAIN, self._moved(body)
        if not self._output.begun(index):
            sight, moved = self._see_added(kind, body, pieces)
        else:
            sight, moved = Sight.PLAIN, self._moved(body)
        self._output.done(index, item)
        return sight, moved

    def _see_words(self, kind: str, body: dict[str, Any], pieces: list[Piece]) -> _Seen:
        if words := text(body.get("delta")):
            pieces.append(Text(text=words, role=WORDS[kind]))
        return Sight.PLAIN, self._moved(body)

    def _see_other(self, kind: str, body: dict[str, Any], pieces: list[Piece]) -> _Seen:
        """Anything that belongs to an item goes where the item went; what belongs to none may not look like a call."""
        if "item" in body and is_call(mapping(body["item"])):
            raise Unreadable(f"a call in an event that nobody knows: {kind[:80]}")
        if kind.startswith(ARGUMENTS):
            self._output.arguments(kind, body)
        elif "call" in kind and not self._output.begun(body.get("output_index")):
            raise Unreadable(f"an event of a call that never began: {kind[:80]}")
        return Sight.PLAIN, self._moved(body)

    def _see_whole(self, kind: str, body: dict[str, Any], pieces: list[Piece]) -> _Seen:
        response = mapping(body.get("response"))
        if not self._upstream:
            raise Unreadable("an answer that ends before it begins")
        self._output.compare(response.get("output"))
        self._upstream = response
        if response.get("usage"):
            pieces.append(Counted(counts_of(response)))
        if not self._own:
            return Sight.WHOLE, None
        merged = {**response, "id": self._response.get("id"), "usage": self._total(response)}
        if self._turn and isinstance(response.get("output"), list):
            merged["output"] = [*self._turn.seen, *response["output"]]
        return Sight.WHOLE, [{**body, "response": merged}]

    def _see_error(self, kind: str, body: dict[str, Any], pieces: list[Piece]) -> _Seen:
        response = mapping(body.get("response"))
        if any(is_call(mapping(item)) for item in listed(response.get("output"))):
            raise Unreadable("a call in an answer that failed")
        told = mapping(response.get("error")) or mapping(body.get("error")) or body
        self._error = f"{text(told.get('code')) or kind}: {text(told.get('message'))}"[:500]
        if not response or not self._own:
            return Sight.FAULT, None
        return Sight.FAULT, [{**body, "response": {**response, "id": self._response.get("id")}}]

    # -- places and numbers --------------------------------------------------------------------------------------------

    def _placed(self, index: int) -> int:
        return index if self._turn is None else self._turn.next_index + self._output.place(index)

    def _moved(self, body: dict[str, Any]) -> list[Any] | None:
        """The event under the index that the client knows; None where that is upstream's own."""
        index = place_of(body, PLACE)
        if self._turn is None or not self._output.begun(index):
            return None
        return [{**body, "output_index": self._placed(index)}]

    def _numbered(self, body: Mapping[str, Any], raw: bytes, sight: Sight) -> bytes:
        """The frame under the client's next number; what is held gets its number when it is released."""
        if "sequence_number" not in body or self._state is State.HOLD or sight is Sight.CALL:
            return raw
        self._next = count(body["sequence_number"]) + (self._shift or 0) + 1
        return numbered(raw, self._next - 1) if self._shift else raw

    def _released(self, raws: Sequence[bytes]) -> bytes:
        """Held frames under the numbers that follow."""
        out = []
        for raw in raws:
            out.append(ended(numbered(raw, self._next)))
            self._next += b'"sequence_number"' in raw
        return b"".join(out)

    # -- what became of the calls --------------------------------------------------------------------------------------

    def _whole_calls(self) -> list[ModelCall]:
        return [call for _, call in self._output.calls()]

    def _kept(self) -> bytes:
        if self._output.doubtful():
            return self._rewritten({call.id: Stands() for call in self.calls})
        return self._released(self._held) if self._shift else b"".join(self._held)

    def _rewritten(self, ruled: Mapping[str, Ruling]) -> bytes:
        called = [index for index, _ in self._output.calls()]
        rulings = dict(zip(called, ruled.values(), strict=True))
        items = settled({index: self._output.item(index) for index in called}, rulings)
        if not self._output.doubtful():
            items = {index: item for index, item in items.items() if not isinstance(rulings[index], Stands)}
        return self._released(list(self._replaced(items)))

    def _replaced(self, items: Mapping[int, Item | None]) -> Iterator[bytes]:
        """The held frames with other items in place of some: their events, and their copies at the end."""
        placed = {self._placed(index): index for index in items}
        gone = [self._placed(index) for index, item in items.items() if item is None]
        told: set[int] = set()
        for raw in self._held:
            body = body_of(raw)
            place = place_of(body, PLACE)
            index = placed.get(place)
            up = sum(place > other for other in gone)
            if index is not None:
                item = items[index] if index not in told else None
                told.add(index)
                for made in item_events(place - up, item) if item is not None else ():
                    yield event({**made, "sequence_number": 0})
            elif "output" in mapping(body.get("response")):
                response = {**body["response"], "output": self._output.replaced(body["response"]["output"], items)}
                yield event({**body, "response": response})
            else:
                yield event({**body, "output_index": place - up}) if up else raw

    def _total(self, response: Mapping[str, Any]) -> Any:
        own = response.get("usage")
        return summed(self._turn.usage, own) if self._turn else own

    def _finished(self) -> str:
        incomplete = text(mapping(self._upstream.get("incomplete_details")).get("reason"))
        return incomplete or text(self._upstream.get("status"))

    def _fault(self) -> str:
        return self._error

    def _waiting(self) -> bytes:
        """The response is still in progress; before it was heard of, it begins here, under an id of our own."""
        kind = "response.in_progress" if self._response else "response.created"
        if not self._response:
            self._own = True
            self._response = made_response(self._request, made_id(self._request))
        self._shift = None if self._shift is None else self._shift + 1
        self._next += 1
        return event({"type": kind, "sequence_number": self._next - 1, "response": self._response})

    def _failed(self, failure: Failure) -> bytes:
        return error_event(failure, self._next)


def made_id(request: Request) -> str:
    """An id for a response that upstream has not begun: the same for the same request."""
    return f"resp_{hashlib.sha256(request.raw).hexdigest()[:48]}"


_See = Callable[[ResponsesStreamed, str, dict[str, Any], list[Piece]], _Seen]
_SEEN: Mapping[str, _See] = {
    "response.created": ResponsesStreamed._see_response,
    "response.queued": ResponsesStreamed._see_response,
    "response.in_progress": ResponsesStreamed._see_response,
    "response.output_item.added": ResponsesStreamed._see_added,
    "response.output_item.done": ResponsesStreamed._see_done,
    "response.completed": ResponsesStreamed._see_whole,
    "response.incomplete": ResponsesStreamed._see_whole,
    "response.failed": ResponsesStreamed._see_error,
    "error": ResponsesStreamed._see_error,
    **dict.fromkeys(WORDS, ResponsesStreamed._see_words),
}
