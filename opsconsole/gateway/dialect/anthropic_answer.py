"""One answer of Anthropic Messages, streamed or plain: what passes, what is held, what is rewritten; asks nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from opsconsole.gateway.dialect.anthropic_blocks import WORDS_OF_A_CALL, Blocks, blocks_of, is_call, name_of
from opsconsole.gateway.dialect.anthropic_writing import (
    DELTA_USAGE,
    PING,
    arguments_delta,
    counts_of,
    error,
    error_event,
    event,
    text_block,
)
from opsconsole.gateway.dialect.framing import Frame
from opsconsole.gateway.dialect.held_frames import body_of, ended, place_of
from opsconsole.gateway.dialect.interface import (
    Answered,
    CallBegan,
    Counted,
    Edited,
    Failure,
    ModelCall,
    Piece,
    Ruling,
    Served,
    Stands,
    Text,
)
from opsconsole.gateway.dialect.json_text import (
    Unreadable,
    listed,
    mapping,
    may_be_a_call,
    read_object,
    summed,
    text,
    written,
)
from opsconsole.gateway.dialect.machine import PlainAnswer, Sight, StreamedAnswer, note, stands

PLACE = "index"
"""Which block an event is about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What the client has of a turn that another answer continues."""

    id: str
    seen: Sequence[Mapping[str, Any]]
    """The blocks that reached the client."""
    usage: Mapping[str, Any]
    """Of all answers so far, together."""
    rest: bytes = b""
    """Events kept behind a call that belong to blocks the client saw begin."""


class AnthropicStreamed(StreamedAnswer):
    """A stream of events; `continues` is the turn that it goes on with."""

    def __init__(self, continues: AnthropicStreamed | None = None) -> None:
        super().__init__(continues)
        self._turn = continues.turn() if continues else None
        self._blocks = Blocks()
        self._indices: dict[int, int] = {}
        """index of upstream -> index at the client."""
        self._seen = 0
        """Blocks that began before the first call."""
        self._message: Mapping[str, Any] = {}
        self._usage: dict[str, Any] = {}
        self._stop = ""
        self._error = ""

    # -- what was asked ------------------------------------------------------------------------------------------------

    def content(self) -> list[dict[str, Any]]:
        """The blocks of this answer as upstream gave them. Raises: CannotReask."""
        return self._blocks.content()

    def container(self) -> str:
        """The container that the answer ran in; empty where there was none."""
        return text(mapping(self._message.get("container")).get("id"))

    def turn(self) -> Turn:
        """What the client has, when another answer continues this one."""
        seen = [*(self._turn.seen if self._turn else ()), *self.content()[: self._seen]]
        known = self._client_indices()
        rest = b"".join(ended(raw) for raw in self._held if place_of(body_of(raw), PLACE) in known)
        return Turn(id=self._id(), seen=seen, usage=self._total(), rest=rest)

    # -- events --------------------------------------------------------------------------------------------------------

    def _see(self, frame: Frame, pieces: list[Piece]) -> tuple[Sight, bytes]:
        if not frame.data:
            return Sight.PLAIN, frame.raw
        body = read_object(frame.data, "an event", once=may_be_a_call(frame.data))
        kind = text(body.get("type"))
        if (see := _SEEN.get(kind)) is not None:
            return see(self, body, frame, pieces)
        if any(word in kind for word in WORDS_OF_A_CALL):
            raise Unreadable(f"an event that nobody knows: {kind[:80]}")
        return Sight.PLAIN, frame.raw

    def _see_start(self, body: dict[str, Any], frame: Frame, pieces: list[Piece]) -> tuple[Sight, bytes]:
        message = mapping(body.get("message"))
        if self._message or not message:
            raise Unreadable("a message that begins twice, or without itself")
        if any(is_call(mapping(block)) for block in listed(message.get("content"))):
            raise Unreadable("a message that begins with a call")
        self._message = message
        pieces.append(Served(id=text(message.get("id")), model=text(message.get("model"))))
        self._count(message, pieces)
        return Sight.PLAIN, frame.raw if self._turn is None else self._turn.rest

    def _see_block(self, body: dict[str, Any], frame: Frame, pieces: list[Piece]) -> tuple[Sight, bytes]:
        block = mapping(body.get("content_block"))
        if not self._message:
            raise Unreadable("a block before its message")
        calls_before = self._seen < len(self._blocks)
        index = self._blocks.begin(body.get("index"), block)
        self._indices[index] = index if self._turn is None else len(self._turn.seen) + len(self._indices)
        if is_call(block):
            if not _in_order(self._client_indices(), self._before()):
                raise Unreadable("a call behind blocks that are out of order")
            pieces.append(CallBegan(name=name_of(block)))
            return Sight.CALL, self._shifted(body, frame)
        if not calls_before:
            self._seen += 1
        _tell(block, pieces)
        return Sight.PLAIN, self._shifted(body, frame)

    def _see_delta(self, body: dict[str, Any], frame: Frame, pieces: list[Piece]) -> tuple[Sight, bytes]:
        delta = mapping(body.get("delta"))
        self._blocks.delta(body.get("index"), delta)
        _tell(delta, pieces)
        return Sight.PLAIN, self._shifted(body, frame)

    def _see_stop(self, body: dict[str, Any], frame: Frame, pieces: list[Piece]) -> tuple[Sight, bytes]:
        self._blocks.stop(body.get("index"))
        return Sight.PLAIN, self._shifted(body, frame)

    def _see_message_delta(self, body: dict[str, Any], frame: Frame, pieces: list[Piece]) -> tuple[Sight, bytes]:
        self._stop = text(mapping(body.get("delta")).get("stop_reason")) or self._stop
        self._count(body, pieces)
        if self._turn is None:
            return Sight.PLAIN, frame.raw
        total = self._total()
        usage = {key: total[key] for key in DELTA_USAGE if total.get(key) is not None}
        return Sight.PLAIN, event({**body, "usage": {**mapping(body.get("usage")), **usage}})

    def _see_whole(self, body: dict[str, Any], frame: Frame, pieces: list[Piece]) -> tuple[Sight, bytes]:
        if not self._message:
            raise Unreadable("an answer that ends before it begins")
        return Sight.WHOLE, frame.raw

    def _see_ping(self, body: dict[str, Any], frame: Frame, pieces: list[Piece]) -> tuple[Sight, bytes]:
        return Sight.PLAIN, frame.raw

    def _see_error(self, body: dict[str, Any], frame: Frame, pieces: list[Piece]) -> tuple[Sight, bytes]:
        told = mapping(body.get("error"))
        self._error = f"{text(told.get('type'))}: {text(told.get('message'))}"[:500]
        return Sight.FAULT, ended(frame.raw)

    def _count(self, body: Mapping[str, Any], pieces: list[Piece]) -> None:
        """Counts of a later event replace those of an earlier one; what it does not say stays."""
        told = {key: value for key, value in mapping(body.get("usage")).items() if value is not None}
        self._usage |= told
        if told:
            pieces.append(Counted(counts_of(self._usage)))

    def _shifted(self, body: dict[str, Any], frame: Frame) -> bytes:
        """The event under the index that the client knows."""
        if self._turn is None:
            return frame.raw
        index = place_of(body, PLACE)
        return event({**body, "index": self._indices[index]}) if index in self._indices else frame.raw

    def _total(self) -> dict[str, Any]:
        return summed(dict(self._turn.usage), self._usage) if self._turn else dict(self._usage)

    def _id(self) -> str:
        return self._turn.id if self._turn else text(self._message.get("id"))

    # -- what became of the calls --------------------------------------------------------------------------------------

    def _whole_calls(self) -> list[ModelCall]:
        return [call for _, call in self._blocks.calls()]

    def _kept(self) -> bytes:
        """As it came, unless clients could differ on which block an event means: they count blocks as they begin."""
        same = not self._blocks.renamed() and _in_order(list(self._indices.values()), self._before())
        return super()._kept() if same else self._rewritten({call.id: Stands() for call in self.calls})

    def _rewritten(self, ruled: Mapping[str, Ruling]) -> bytes:
        indices = [self._indices[index] for index, _ in self._blocks.calls()]
        names = {self._indices[index]: id for index, id in self._blocks.renamed().items()}
        known = self._client_indices()
        first = self._before() + len(known)
        rulings = dict(zip(indices, ruled.values(), strict=True))
        rewriting = _Rewriting(known=known, first=first, rulings=rulings, names=names)
        said = [text_block(rewriting.place(-1), note(ruled))] if not all(map(stands, ruled.values())) else []
        return b"".join([*said, *(rewriting.written(raw) for raw in self._held)])

    def _before(self) -> int:
        """How many blocks earlier answers of the turn have shown."""
        return len(self._turn.seen) if self._turn else 0

    def _client_indices(self) -> list[int]:
        """Those of the blocks that this answer has shown."""
        return list(self._indices.values())[: self._seen]

    def _finished(self) -> str:
        return self._stop

    def _fault(self) -> str:
        return self._error

    def _waiting(self) -> bytes:
        return PING

    def _failed(self, failure: Failure) -> bytes:
        return error_event(failure)


_See = Callable[[AnthropicStreamed, dict[str, Any], Frame, list[Piece]], tuple[Sight, bytes]]
_SEEN: Mapping[str, _See] = {
    "message_start": AnthropicStreamed._see_start,
    "content_block_start": AnthropicStreamed._see_block,
    "content_block_delta": AnthropicStreamed._see_delta,
    "content_block_stop": AnthropicStreamed._see_stop,
    "message_delta": AnthropicStreamed._see_message_delta,
    "message_stop": AnthropicStreamed._see_whole,
    "ping": AnthropicStreamed._see_ping,
    "error": AnthropicStreamed._see_error,
}


class _Rewriting:
    """Held events with the rulings applied, under indices without a gap."""

    def __init__(
        self, *, known: Sequence[int], first: int, rulings: Mapping[int, Ruling], names: Mapping[int, str]
    ) -> None:
        self._places = {index: index for index in known}
        self._next = first
        self._rulings = rulings
        self._names = names

    def place(self, index: int) -> int:
        """The index at the client, the next free one for a block that is new."""
        if index not in self._places:
            self._places[index] = self._next
            self._next += 1
        return self._places[index]

    def written(self, raw: bytes) -> bytes:
        """What becomes of one event."""
        body = body_of(raw)
        kind, index = body.get("type"), place_of(body, PLACE)
        if kind == "message_delta":
            return event(self._stopped(body)) if self._stops(body) else ended(raw)
        if index < 0:
            return ended(raw)
        ruling = self._rulings.get(index)
        if isinstance(ruling, Answered):
            return b""
        placed = {**body, "index": self.place(index)}
        if index in self._names and kind == "content_block_start":
            placed["content_block"] = {**mapping(body.get("content_block")), "id": self._names[index]}
        if isinstance(ruling, Edited):
            return self._edited(placed, ruling)
        return event(placed) if placed != body else ended(raw)

    def _edited(self, body: dict[str, Any], ruling: Edited) -> bytes:
        """All arguments as one delta behind the block's beginning."""
        if body["type"] == "content_block_delta":
            return b""
        if body["type"] != "content_block_start":
            return event(body)
        block = {**mapping(body.get("content_block")), "input": {}}
        delta = {"type": "content_block_delta", "index": body["index"], "delta": arguments_delta(ruling.args)}
        return event({**body, "content_block": block}) + event(delta)

    def _stops(self, body: dict[str, Any]) -> bool:
        waits = mapping(body.get("delta")).get("stop_reason") == "tool_use"
        return waits and not any(map(stands, self._rulings.values()))

    def _stopped(self, body: dict[str, Any]) -> dict[str, Any]:
        return {**body, "delta": {**mapping(body.get("delta")), "stop_reason": "end_turn"}}


class AnthropicPlain(PlainAnswer):
    """One body."""

    def __init__(self, continues: AnthropicPlain | None = None) -> None:
        super().__init__(continues)
        self._turn = continues.turn() if continues else None
        self._blocks = Blocks()

    def content(self) -> list[dict[str, Any]]:
        """The blocks of this answer as upstream gave them. Raises: CannotReask."""
        return self._blocks.content()

    def container(self) -> str:
        """The container that the answer ran in; empty where there was none."""
        return text(mapping(self._body.get("container")).get("id"))

    def turn(self) -> Turn:
        """What the client is to have, when another answer continues this one: what stood before the first call."""
        content = self.content()
        first = next((at for at, block in enumerate(content) if is_call(block)), len(content))
        seen = [*(self._turn.seen if self._turn else ()), *content[:first]]
        return Turn(id=self._id(), seen=seen, usage=self._total())

    def _look(self, body: dict[str, Any], pieces: list[Piece]) -> list[ModelCall]:
        if body.get("type") == "error":
            told = mapping(body.get("error"))
            raise Unreadable(f"upstream: {text(told.get('type'))}: {text(told.get('message'))}"[:500])
        self._blocks = blocks_of(body.get("content"))
        pieces.append(Served(id=text(body.get("id")), model=text(body.get("model"))))
        for block in self._blocks.content():
            _tell(block, pieces)
        pieces.append(Counted(counts_of(mapping(body.get("usage")))))
        calls = [call for _, call in self._blocks.calls()]
        pieces.extend(CallBegan(name=call.name) for call in calls)
        return calls

    def _kept(self) -> bytes:
        same = self._turn is None and not self._blocks.renamed()
        return bytes(self._raw) if same else self._rewritten({call.id: Stands() for call in self.calls})

    def _rewritten(self, ruled: Mapping[str, Ruling]) -> bytes:
        rulings = dict(zip([index for index, _ in self._blocks.calls()], ruled.values(), strict=True))
        content: list[Mapping[str, Any]] = []
        for index, block in enumerate(self._blocks.content()):
            if index == min(rulings, default=-1) and not all(map(stands, rulings.values())):
                content.append({"type": "text", "text": note(ruled)})
            ruling = rulings.get(index)
            if isinstance(ruling, Edited):
                content.append({**block, "input": dict(ruling.args)})
            elif not isinstance(ruling, Answered):
                content.append(block)
        body = self._merged(content)
        if rulings and body.get("stop_reason") == "tool_use" and not any(map(stands, rulings.values())):
            body["stop_reason"] = "end_turn"
        return written(body)

    def _merged(self, content: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """The body with this content, and with what came before it in the turn."""
        before = self._turn.seen if self._turn else ()
        return {**self._body, "id": self._id(), "content": [*before, *content], "usage": self._total()}

    def _total(self) -> Any:
        own = self._body.get("usage")
        return summed(dict(self._turn.usage), own) if self._turn else own

    def _id(self) -> str:
        return self._turn.id if self._turn else text(self._body.get("id"))

    def _finished(self) -> str:
        return text(self._body.get("stop_reason"))

    def _failed(self, failure: Failure) -> bytes:
        return error(failure)


def _tell(part: Mapping[str, Any], pieces: list[Piece]) -> None:
    """The words of a block or of a delta."""
    if words := text(part.get("text")):
        pieces.append(Text(text=words))
    elif thought := text(part.get("thinking")):
        pieces.append(Text(text=thought, role="thought"))


def _in_order(indices: Sequence[int], first: int) -> bool:
    """Whether each block's index is the number of those that began before it."""
    return all(index == place for place, index in enumerate(indices, first))
