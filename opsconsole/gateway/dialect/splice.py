"""Restores in later requests what the client never saw of an answer: refused calls, and what the model said after them.

A client keeps the history of what it was given; upstream has to be told what was said. Where the two differ (calls
stripped, asked again), a turn is remembered in upstream's form and put in the place of the client's: the history stays
valid, and the provider's cache of it warm. Arguments that were edited stay edited; a note before the result says so.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any, TypeVar

from opsconsole.gateway.dialect.interface import Answer, Answered, CannotReask, Dialect, Edited, Request, Ruling
from opsconsole.gateway.dialect.json_text import listed, mapping, read_object, text, written
from opsconsole.gateway.dialect.machine import note, stands
from opsconsole.gateway.dialect.unheard import Unheard

TURNS_MAX = 512
"""Of one run; beyond it the oldest is forgotten, and stays in the history as the client has it."""
BYTES_MAX = 4_194_304
"""Of all of them."""
NOTES_MAX = 1024
"""Calls of one run whose edit is remembered."""
ALIASES_MAX = 1024
"""Answers of one run that upstream knows under another id than the client."""
EDITED_NOTE = "An operator edited the arguments of this call before it ran; this is the result of the edited call."

Value = TypeVar("Value")
Items = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One turn of the model in a history: its items from `start` to before `stop`."""

    start: int
    stop: int
    words: str
    calls: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A turn as the client has it: its words (white space does not count), and the calls that it was given."""

    words: str
    calls: tuple[str, ...] = ()

    def found_by(self) -> tuple[str, ...]:
        """Any of its calls, else its words; empty where it has neither."""
        if self.calls:
            return tuple(f"call:{call}" for call in self.calls)
        digest = sha256("".join(self.words.split()).encode("utf-8", "replace")).hexdigest()
        return (f"words:{digest}",) if self.words.strip() else ()


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """How one dialect writes a conversation."""

    field: str
    """Of the request."""
    turns: Callable[[Items], Iterator[Turn]]
    joined: Callable[[Items], list[Mapping[str, Any]]]
    """Puts together what the API wants in one item."""
    remembered_upstream: bool = False
    """Whether upstream may remember answers: then the results of refused calls are owed to it."""


class Splices:
    """What one run's clients and their upstream know differently; what is forgotten stays as the client has it."""

    def __init__(self) -> None:
        self._turns: OrderedDict[tuple[str, str], bytes] = OrderedDict()
        """(dialect, what it is found by) -> its items as upstream knows them."""
        self._bytes = 0
        self.unheard = Unheard()
        """What operators answered in the model's place."""
        self._notes: OrderedDict[str, str] = OrderedDict()
        self._aliases: OrderedDict[str, str] = OrderedDict()
        self._owed: OrderedDict[str, bytes] = OrderedDict()
        """Upstream's id of an answer that it remembers -> the results of its refused calls, which nobody has sent."""

    @property
    def notes(self) -> Mapping[str, str]:
        """call -> what to put before its result (`Changes.edited`)."""
        return self._notes

    def settled(
        self,
        dialect: Dialect,
        request: Request,
        answer: Answer,
        rulings: Mapping[str, Ruling],
        *,
        client_id: str = "",
        upstream_id: str = "",
    ) -> None:
        """The client has the whole answer, as it was ruled; without rulings: it had no calls. `request` is the one that
        the answer came for, asked again or not; `client_id` is how the client knows the answer (the first one's id,
        where several make it up), `upstream_id` how upstream knows this one."""
        if client_id and upstream_id:
            self.alias(client_id, upstream_id)
        for call, ruling in rulings.items():
            if isinstance(ruling, Edited):
                self.edited(call)
        refused = {call: ruling for call, ruling in rulings.items() if isinstance(ruling, Answered)}
        if not refused and not request.appended:
            return
        history = HISTORIES[dialect.name]
        asked = listed(request.body.get(history.field))
        try:
            repeated = dialect.repeated(answer, rulings)
        except CannotReask:
            return
        if upstream_id and refused and history.remembered_upstream:
            owed = [item for item in repeated if not _of_model(item)]
            _put(self._owed, upstream_id, written(owed), ALIASES_MAX)
        original = [*asked[len(asked) - request.appended :], *repeated]
        words = "".join(turn.words for turn in history.turns(original)) + (note(refused) if refused else "")
        kept = tuple(call for call, ruling in rulings.items() if stands(ruling))
        self.remember(dialect.name, sent=Sent(words=words, calls=kept), original=original)

    def remember(self, dialect: str, *, sent: Sent, original: Items) -> None:
        """What stands upstream in the place of a turn as the client has it."""
        items = written(list(original))
        for found_by in sent.found_by()[:1]:
            self._forget((dialect, found_by))
            self._turns[dialect, found_by] = items
            self._bytes += len(items)
        while self._turns and (len(self._turns) > TURNS_MAX or self._bytes > BYTES_MAX):
            self._forget(next(iter(self._turns)))

    def edited(self, call: str, words: str = EDITED_NOTE) -> None:
        """The call went to the client with other arguments than the model wrote."""
        _put(self._notes, call, words, NOTES_MAX)

    def alias(self, client_id: str, upstream_id: str) -> None:
        """Upstream knows the answer that the client has as `client_id` under another id: the newest that made it up."""
        if client_id != upstream_id:
            _put(self._aliases, client_id, upstream_id, ALIASES_MAX)

    def restored(self, request: Request) -> Request:
        """The request as upstream would know it; what a person reads of it stays the client's. The same request where
        nothing is to be restored."""
        if not (self._turns or request.previous or self.unheard):
            return request
        spliced = self._spliced(request)
        given = spliced.get("input", request.body.get("input"))
        changed = spliced | (self.unheard.told(request, given) or self._aliased(request, given))
        if not changed:
            return request
        body = {**request.body, **changed}
        return replace(
            request, body=body, raw=written(body), previous=changed.get("previous_response_id", request.previous)
        )

    def _aliased(self, request: Request, asked: Any) -> dict[str, Any]:
        """Refers to the newest answer that upstream has, and answers the calls in it that were refused."""
        if not request.previous:
            return {}
        known = self._aliases.get(request.previous, request.previous)
        changed: dict[str, Any] = {"previous_response_id": known} if known != request.previous else {}
        if known in self._owed:
            items = [{"role": "user", "content": asked}] if isinstance(asked, str) else listed(asked)
            changed["input"] = [*_read_items(self._owed[known]), *items]
        return changed

    def _spliced(self, request: Request) -> dict[str, Any]:
        history = HISTORIES.get(request.dialect)
        items = listed(request.body.get(history.field)) if history else ()
        if history is None or not self._turns or not items or not all(isinstance(item, dict) for item in items):
            return {}
        client_items = len(items) - request.appended
        spliced: list[Mapping[str, Any]] = []
        at = 0
        for turn in history.turns(items[:client_items]):
            original = self._original(request.dialect, turn)
            if original is not None:
                spliced += [*items[at : turn.start], *original]
                at = turn.stop
        return {history.field: history.joined([*spliced, *items[at:]])} if at else {}

    def _original(self, dialect: str, turn: Turn) -> Items | None:
        for found_by in Sent(words=turn.words, calls=turn.calls).found_by():
            if (found := self._turns.get((dialect, found_by))) is not None:
                return _read_items(found)
        return None

    def _forget(self, key: tuple[str, str]) -> None:
        self._bytes -= len(self._turns.pop(key, b""))


def _read_items(items: bytes) -> Items:
    return listed(read_object(b'{"items":%b}' % items, "items of a history").get("items"))


def _put(known: OrderedDict[str, Value], key: str, value: Value, most: int) -> None:
    known[key] = value
    known.move_to_end(key)
    while len(known) > most:
        known.popitem(last=False)


# -- histories ---------------------------------------------------------------------------------------------------------


def _as_they_are(items: Items) -> list[Mapping[str, Any]]:
    return list(items)


def _words(content: Any) -> str:
    """The model's words in a string or in parts; thoughts are none."""
    if isinstance(content, str):
        return text(content)
    parts = (mapping(part) for part in listed(content))
    return "".join(text(part.get("text")) for part in parts if part.get("type") in ("text", "output_text"))


def chat_turns(items: Items) -> Iterator[Turn]:
    """Chat Completions: each message of the assistant is a turn."""
    for at, message in enumerate(items):
        if message.get("role") == "assistant":
            calls = tuple(text(mapping(entry).get("id")) for entry in listed(message.get("tool_calls")))
            yield Turn(start=at, stop=at + 1, words=_words(message.get("content")), calls=calls)


def anthropic_turns(items: Items) -> Iterator[Turn]:
    """Anthropic Messages: each message of the assistant is a turn; its calls are blocks of it."""
    for at, message in enumerate(items):
        if message.get("role") == "assistant":
            content = message.get("content")
            blocks = (mapping(block) for block in listed(content))
            calls = tuple(text(block.get("id")) for block in blocks if block.get("type") == "tool_use")
            yield Turn(start=at, stop=at + 1, words=_words(content), calls=calls)


def anthropic_joined(items: Items) -> list[Mapping[str, Any]]:
    """All results of a message's calls stand in the one message after it, before any other words."""
    joined: list[Mapping[str, Any]] = []
    for message in items:
        before = joined[-1] if joined else {}
        if message.get("role") == "user" == before.get("role"):
            blocks = [*_blocks(before.get("content")), *_blocks(message.get("content"))]
            results_first = sorted(blocks, key=lambda block: mapping(block).get("type") != "tool_result")
            joined[-1] = {**before, "content": results_first}
        else:
            joined.append(message)
    return joined


def _blocks(content: Any) -> Sequence[Any]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else listed(content)


def responses_turns(items: Items) -> Iterator[Turn]:
    """Responses: neighbouring items of the assistant are one turn, up to the next result or message of another role."""
    start: int | None = None
    for at, item in enumerate([*items, {"type": "message", "role": "user"}]):
        if _of_model(item):
            start = at if start is None else start
        elif start is not None:
            yield _responses_turn(items, start, at)
            start = None


def _of_model(item: Mapping[str, Any]) -> bool:
    kind = text(item.get("type")) or "message"
    return item.get("role") == "assistant" if kind == "message" else not kind.endswith(("_output", "_response"))


def _responses_turn(items: Items, start: int, stop: int) -> Turn:
    mine = items[start:stop]
    words = "".join(_words(item.get("content")) for item in mine if item.get("role") == "assistant")
    return Turn(
        start=start, stop=stop, words=words, calls=tuple(text(item["call_id"]) for item in mine if item.get("call_id"))
    )


HISTORIES: Mapping[str, History] = {
    "openai.chat": History(field="messages", turns=chat_turns, joined=_as_they_are),
    "anthropic.messages": History(field="messages", turns=anthropic_turns, joined=anthropic_joined),
    "openai.responses": History(field="input", turns=responses_turns, joined=_as_they_are, remembered_upstream=True),
}
"""Dialect -> how it writes a conversation."""
