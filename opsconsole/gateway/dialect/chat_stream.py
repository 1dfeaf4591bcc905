"""Streamed answers of OpenAI Chat Completions: reads chunks, holds them from the first call on, writes rulings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opsconsole.gateway.dialect.chat_calls import CallInPieces, writable, written_call
from opsconsole.gateway.dialect.chat_request import unknown_calls
from opsconsole.gateway.dialect.chat_told import (
    CALL_FINISHES,
    DONE,
    OPENING,
    THOUGHTS,
    Choice,
    Shown,
    Told,
    choice_of,
    chunk_frame,
    error_body,
    gap,
    made_opening,
)
from opsconsole.gateway.dialect.framing import Frame, read_frame, written_frame
from opsconsole.gateway.dialect.interface import (
    HELD_BYTES_MAX,
    Answered,
    CallBegan,
    Failure,
    ModelCall,
    Pass,
    Piece,
    Request,
    Ruling,
    Stands,
    Text,
)
from opsconsole.gateway.dialect.json_text import Unreadable, listed, mapping, read_object, summed, text, written
from opsconsole.gateway.dialect.machine import Sight, State, StreamedAnswer, note, stands
from opsconsole.gateway.dialect.same_words import SameWords

CHOICES_MAX = 128
"""The API's own limit of `n`."""
CALL_MARKS = (b"call", b"tool", b"\\u00")
"""What a chunk with a call holds. Escapes count, since a name may be written with them."""
NULLABLE = tuple((name, name + b":null", name + b": null") for name in (b'"usage"', b'"finish_reason"'))
"""Fields that make a chunk more than words unless they are null; with and without a space."""
HALF = "\ufffd"
"""What stands where half a character was given: clients differ on what to make of that."""
NOT_WRITABLE = Answered(text="The operator's edit cannot be written for this kind of call: it was not run.")
MADE_ID = "chatcmpl-opsconsole"
"""Of a keep-alive that goes out before upstream has named its answer; clients keep the first id or the last."""


class StreamedChat(StreamedAnswer):
    """An answer as `data: {chunk}` frames that end with `data: [DONE]`."""

    def __init__(self, request: Request, continues: StreamedChat | None = None, *, wants_text: bool = True) -> None:
        super().__init__(continues)
        self.shown: Shown = continues.shown.onward(continues.told.usage, "") if continues else Shown()
        self.told: Told = Told()
        self.choices: dict[int, Choice] = {}
        self.remembers_all = True
        """False where there were more words than may be kept: then nobody can go on from this answer."""
        self._request = request
        self._wants_text = wants_text
        self._unread: list[bytes] = []
        """Chunks that nobody wanted to read, for when a call needs the words before it."""
        self._words_bytes = 0
        self._same = SameWords()
        self._same_choice = 0
        self._error = ""
        self._read: list[tuple[int, CallInPieces]] = []
        """Beside each of the calls: its choice, and how its pieces were read."""

    # -- reading ---------------------------------------------------------------------------------------------------

    def _see(self, frame: Frame, pieces: list[Piece]) -> tuple[Sight, bytes]:
        data = frame.data
        if not data:
            return Sight.PLAIN, frame.raw
        if data.startswith(DONE):
            return Sight.WHOLE, frame.raw
        if (words := self._same.read(frame.raw)) is not None:
            self._said(words, pieces)
            return Sight.PLAIN, frame.raw
        marked = any(mark in data for mark in CALL_MARKS)
        later = self._reads_later(data, marked)
        if later and not frame.event and only_words(data):
            return Sight.PLAIN, frame.raw
        chunk = read_object(data, "a chunk", once=marked)
        if chunk.get("error"):
            self._error = text(mapping(chunk["error"]).get("message")) or "an error without a message"
            return Sight.FAULT, frame.raw
        self.told.take(chunk, pieces)
        began = False
        for choice in map(mapping, listed(chunk.get("choices"))):
            if later:
                read = self._choice(index_of(choice))
                read.finish = text(choice.get("finish_reason")) or read.finish
            else:
                began = self._take_choice(choice, pieces) or began
        if not self.shown.opening:
            self.shown.opening = {key: chunk[key] for key in OPENING if key in chunk}
        if not (marked or later or began or frame.event):
            self._learn(frame.raw, chunk)
        passes = self._state is State.PASS and not began
        return Sight.CALL if began else Sight.PLAIN, self._for_client(frame, chunk, passes)

    def _at_once(self, data: bytes) -> list[Piece] | None:
        words = self._same.read(data)
        if words is None:
            return None
        pieces: list[Piece] = []
        self._said(words, pieces)
        return [*pieces, Pass(data)]

    def _said(self, words: str, pieces: list[Piece]) -> None:
        """A chunk came that is the one before it with other words."""
        self._remember(self._choice(self._same_choice).texts, words)
        pieces.append(Text(text=words))
        if self._state is State.PASS:
            self.shown.words[self._same_choice] = words[-1]

    def _learn(self, raw: bytes, chunk: Mapping[str, Any]) -> None:
        """The next chunk may differ from this one in its words only."""
        choices = listed(chunk.get("choices"))
        if len(choices) != 1 or chunk.get("usage") or self.shown.continued:
            return
        choice = mapping(choices[0])
        delta = mapping(choice.get("delta"))
        words = delta.get("content")
        said = [name for name, value in delta.items() if value is not None]
        if said == ["content"] and isinstance(words, str) and words and not choice.get("finish_reason"):
            self._same_choice = index_of(choice)
            self._same.learn(raw, b"content", words)

    def _reads_later(self, data: bytes, marked: bool) -> bool:
        """Keeps a chunk without calls unread where nobody wants its words; reads those when a call comes after them."""
        if self._wants_text or self.shown.continued:
            return False
        if marked or not self.told.served:
            self._catch_up()
            return False
        self._words_bytes += len(data)
        if self._words_bytes > HELD_BYTES_MAX:
            self.remembers_all = False
        else:
            self._unread.append(data)
        return True

    def _catch_up(self) -> None:
        unread, self._unread = self._unread, []
        for data in unread:
            chunk = read_object(data, "a chunk")
            for choice in map(mapping, listed(chunk.get("choices"))):
                self._take_choice(choice, [])
            self._note_shown(chunk)

    def _take_choice(self, choice: Mapping[str, Any], pieces: list[Piece]) -> bool:
        """Reads one choice of a chunk; whether a call, or a piece of one, stands in it."""
        read = self._choice(index_of(choice))
        delta = mapping(choice.get("delta"))
        if words := text(delta.get("content")) or text(delta.get("refusal")):
            self._remember(read.texts, words)
            pieces.append(Text(text=words))
        if where := next((name for name in THOUGHTS if delta.get(name)), ""):
            thought = text(delta[where])
            read.thoughts_in = where
            self._remember(read.thoughts, thought)
            pieces.append(Text(text=thought, role="thought"))
        read.finish = text(choice.get("finish_reason")) or read.finish
        began = False
        for part in parts_with_calls(choice):
            pieces += [CallBegan(name=name) for name in read.calls.take(part)]
            began = True
        return began

    def _choice(self, index: int) -> Choice:
        read = self.choices.get(index)
        if read is None:
            if len(self.choices) >= CHOICES_MAX:
                raise Unreadable(f"more than {CHOICES_MAX} choices")
            read = self.choices[index] = Choice()
        return read

    def _remember(self, words: list[str], more: str) -> None:
        self._words_bytes += len(more)
        if self._words_bytes > HELD_BYTES_MAX:
            self.remembers_all = False
        else:
            words.append(more)

    def _at_end(self, pieces: list[Piece]) -> bytes | None:
        # Some servers close without [DONE]; the word that ends a choice is as good.
        return b"" if self.choices and all(choice.finish for choice in self.choices.values()) else None

    def _whole_calls(self) -> list[ModelCall]:
        self._catch_up()
        self._read = [(index, call) for index, choice in sorted(self.choices.items()) for call in choice.calls.calls]
        return [call.whole(f"{self.told.id or 'call'}.{index}.{call.place}") for index, call in self._read]

    def _finished(self) -> str:
        return next((choice.finish for _, choice in sorted(self.choices.items())), "")

    def _fault(self) -> str:
        return self._error

    # -- for the client --------------------------------------------------------------------------------------------

    def _for_client(self, frame: Frame, chunk: dict[str, Any], passes: bool) -> bytes:
        """What of a chunk goes to the client: its bytes, but for usage that only the gateway asked for."""
        usage = chunk.get("usage")
        if usage and not self._request.asks_usage and not listed(chunk.get("choices")):
            return b""
        data = self._continued(chunk) if self.shown.continued else frame.raw
        if passes:
            self._note_shown(chunk)
        return data

    def _note_shown(self, chunk: Mapping[str, Any]) -> None:
        for choice in map(mapping, listed(chunk.get("choices"))):
            index, delta = index_of(choice), mapping(choice.get("delta"))
            if delta.get("role"):
                self.shown.roles.add(index)
            if words := text(delta.get("content")):
                self.shown.words[index] = words[-1]

    def _continued(self, chunk: Mapping[str, Any]) -> bytes:
        """The chunk as part of the answer that the client is reading already."""
        same = {key: value for key, value in self.shown.opening.items() if key in ("id", "created")}
        choices = [self._continued_choice(mapping(choice)) for choice in listed(chunk.get("choices"))]
        usage = chunk.get("usage")
        total = {"usage": summed(self.shown.usage, usage)} if usage else {}
        return written_frame(written({**chunk, **same, "choices": choices, **total}))

    def _continued_choice(self, choice: Mapping[str, Any]) -> Mapping[str, Any]:
        index, delta = index_of(choice), dict(mapping(choice.get("delta")))
        if index in self.shown.roles:
            delta.pop("role", None)
        read = self.choices[index]
        words = text(delta.get("content"))
        if words and len(read.texts) == 1 and index in self.shown.words:
            delta["content"] = gap(self.shown.words[index]) + words
        return {**choice, "delta": delta}

    def _waiting(self) -> bytes:
        opening = self.shown.opening or made_opening(MADE_ID, self._request.model)
        return chunk_frame(opening, [choice_of(min(self.choices, default=0), {})])

    def _failed(self, failure: Failure) -> bytes:
        return written_frame(written(error_body(failure)))

    # -- ruled -----------------------------------------------------------------------------------------------------

    def _kept(self) -> bytes:
        return self._rewritten({call.id: Stands() for call in self.calls}) if self._differs() else super()._kept()

    def _differs(self) -> bool:
        """Whether clients could read something else than was judged here; then they get what was judged."""
        if any(choice.calls.differing for choice in self.choices.values()):
            return True
        for (_, read), call in zip(self._read, self.calls, strict=True):
            renamed = read.where == "tool_calls" and bool(read.kind) and read.id != call.id
            if renamed or HALF in call.raw:
                return True
        return False

    def _rewritten(self, ruled: Mapping[str, Ruling]) -> bytes:
        waiting = {index: self._ruled_choice(index, ruled) for index in dict(self._read)}
        finishes = {
            index: not any(stands(ruling) for _, _, ruling in self._of_choice(index, ruled)) for index in waiting
        }
        out: list[bytes] = []
        for raw in self._held:
            data = read_frame(raw).data
            if data.startswith(DONE):
                out += [frame for index in list(waiting) for frame in waiting.pop(index)]
            if not data or data.startswith(DONE):
                out.append(raw)
            else:
                out += self._rewritten_chunk(read_object(data, "a chunk"), raw, waiting, finishes)
        return b"".join(out + [frame for frames in waiting.values() for frame in frames])

    def _of_choice(self, index: int, ruled: Mapping[str, Ruling]) -> list[tuple[CallInPieces, ModelCall, Ruling]]:
        return [
            (read, call, ruled[call.id] if writable(call, ruled[call.id]) else NOT_WRITABLE)
            for (at, read), call in zip(self._read, self.calls, strict=True)
            if at == index
        ]

    def _ruled_choice(self, index: int, ruled: Mapping[str, Ruling]) -> list[bytes]:
        """The frames that stand in the place of a choice's calls: the note, then what is left of them."""
        calls = self._of_choice(index, ruled)
        answered = {call.id: ruling for _, call, ruling in calls if isinstance(ruling, Answered)}
        left = [each for each in calls if stands(each[2])]
        deltas: list[dict[str, Any]] = []
        if answered:
            before = "".join(self.choices[index].texts)[-1:] or self.shown.words.get(index, "")
            deltas.append({"content": gap(before) + note(answered)})
        for place, (read, call, ruling) in enumerate(left):
            deltas += written_call(read, call, ruling, place)
        return [chunk_frame(self.shown.opening, [choice_of(index, delta)]) for delta in deltas]

    def _rewritten_chunk(
        self, chunk: dict[str, Any], raw: bytes, waiting: dict[int, list[bytes]], without: Mapping[int, bool]
    ) -> list[bytes]:
        """A held chunk without its calls, and what stands in their place before the word that ends the choice."""
        out: list[bytes] = []
        choices: list[Mapping[str, Any]] = []
        touched = False
        for choice in map(mapping, listed(chunk.get("choices"))):
            index, finish = index_of(choice), text(choice.get("finish_reason"))
            kept = without_calls(choice)
            if finish:
                out += waiting.pop(index, [])
                if finish in CALL_FINISHES and without.get(index):
                    kept["finish_reason"] = "stop"
            touched = touched or kept != choice
            if finish or kept == choice or any(value is not None for value in mapping(kept.get("delta")).values()):
                choices.append(kept)
        if not touched:
            return [*out, raw]
        return [*out, written_frame(written({**chunk, "choices": choices}))] if choices or chunk.get("usage") else out


def index_of(choice: Mapping[str, Any]) -> int:
    """The place of a choice; 0 where it is not said. Raises: Unreadable, where clients could differ on it."""
    index = choice.get("index", 0)
    if not isinstance(index, int) or isinstance(index, bool) or index < 0:
        raise Unreadable("a choice whose index is no number")
    return index


def only_words(data: bytes) -> bool:
    """Whether a chunk without calls is certainly nothing but words, seen without reading it."""
    if b'"delta"' not in data or b"error" in data or b'"role"' in data:
        return False
    return all(name not in data or compact in data or spaced in data for name, compact, spaced in NULLABLE)


def parts_with_calls(choice: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Where calls stand in a choice of a chunk. A whole message in a chunk is no format that anybody documents: what
    looks like a call in it is held all the same."""
    parts = (mapping(choice.get("delta")), mapping(choice.get("message")))
    return [part for part in parts if part.get("tool_calls") or part.get("function_call") or unknown_calls(part)]


def without_calls(choice: Mapping[str, Any]) -> dict[str, Any]:
    """The choice of a chunk without all that looks like a call."""
    kept = dict(choice)
    for key in ("delta", "message"):
        part = mapping(choice.get(key))
        gone = {"tool_calls", "function_call", *unknown_calls(part)} & part.keys()
        if gone:
            kept[key] = {name: value for name, value in part.items() if name not in gone}
    return kept
