"""Tool calls of a streamed Chat Completions answer, put together from pieces and written again; holds none back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from opsconsole.gateway.dialect.chat_request import call_in, unknown_calls, unknown_kind
from opsconsole.gateway.dialect.interface import Edited, ModelCall, Ruling
from opsconsole.gateway.dialect.json_text import Unreadable, listed, mapping, text, written_text

CALLS_MAX = 256
"""Of one choice; nobody decides on more, and each costs memory."""
BODIES: Mapping[str, str] = {"function": "arguments", "custom": "input"}
"""Kinds of calls whose pieces are known -> the field in which their text grows."""
OWN_FIELDS = frozenset({"index", "id", "type", *BODIES})


@dataclass(slots=True)
class CallInPieces:
    """One call as far as its pieces have come."""

    place: int
    where: str = "tool_calls"
    """Where it stands in the delta; `function_call` in the older format."""
    id: str = ""
    type: str = ""
    kind: str = ""
    """A key of BODIES once a piece has shown it."""
    name: str = ""
    texts: list[str] = field(default_factory=list)
    extra: dict[str, Any] = field(default_factory=dict)
    """Fields of the entry that no type knows (signatures of thoughts): kept with the call."""
    pieces: list[Any] = field(default_factory=list)
    """What came, where the kind is not known."""

    def whole(self, made_id: str) -> ModelCall:
        """Raises: Unreadable (a call that names nothing)."""
        id, raw = self.id or made_id, text("".join(self.texts))
        if not self.kind:
            return ModelCall(id=id, name=self._label(), args=None, raw=written_text(self.pieces), kind=self._label())
        if not self.name:
            raise Unreadable("a call without a name")
        call = call_in({"id": id, "type": self.kind, **self.body(raw)}, made_id)
        return (
            call
            if self.where == "tool_calls"
            else ModelCall(id=id, name=call.name, args=call.args, raw=raw, kind=self.where)
        )

    def body(self, raw: str) -> dict[str, Any]:
        """Its field of a whole entry, with this text."""
        return {self.kind: {"name": self.name, BODIES[self.kind]: raw}}

    def _label(self) -> str:
        return unknown_kind(self.type or ("" if self.where == "tool_calls" else self.where))


class CallsOfChoice:
    """The calls of one choice, in the order in which they began."""

    def __init__(self) -> None:
        self.calls: list[CallInPieces] = []
        self.differing = False
        """Whether clients could put the pieces together differently: then they get them as they were read here."""
        self._by_key: dict[object, CallInPieces] = {}

    def take(self, delta: Mapping[str, Any]) -> list[str]:
        """What of a delta belongs to calls; the names that became known. Raises: Unreadable."""
        named: list[str] = []
        for entry in listed(delta.get("tool_calls")):
            self._entry(entry, named)
        if legacy := mapping(delta.get("function_call")):
            call = self._by_key.get("function_call") or self._begin("function_call", "function_call")
            self._grow(call, "function", legacy, named)
        for name in unknown_calls(delta):
            call = self._by_key.get(name) or self._begin(name, name)
            call.pieces.append(delta[name])
        return named

    def _entry(self, entry: Any, named: list[str]) -> None:
        fields = mapping(entry)
        call = self._call_of(fields)
        if not call.type:
            call.type = text(fields.get("type"))
        for key in fields:
            if key not in OWN_FIELDS:
                call.extra[key] = fields[key]
        bodies = [kind for kind in BODIES if mapping(fields.get(kind))]
        for kind in bodies:
            self._grow(call, kind, mapping(fields[kind]), named)
        if not bodies:
            call.pieces.append(entry)

    def _call_of(self, fields: Mapping[str, Any]) -> CallInPieces:
        """The call that a piece belongs to: by its index, where that is one; a new id begins a new call."""
        index, id = fields.get("index"), text(fields.get("id"))
        sound = isinstance(index, int) and not isinstance(index, bool)
        last = self.calls[-1] if self.calls else None
        call = self._by_key.get(index) if sound else (None if id else last)
        if call is not None and (not id or not call.id):
            call.id = call.id or id
            return call
        if call is not None and id == call.id:
            # Official clients differ on an id that comes twice: one joins them, another replaces.
            self.differing = True
            return call
        call = self._begin(index if sound else len(self.calls), "tool_calls")
        call.id = id
        self.differing = (
            self.differing or index != call.place or not id or any(id == other.id for other in self.calls[:-1])
        )
        return call

    def _begin(self, key: object, where: str) -> CallInPieces:
        if len(self.calls) >= CALLS_MAX:
            raise Unreadable(f"more than {CALLS_MAX} calls in one choice")
        call = CallInPieces(place=len(self.calls), where=where)
        self.calls.append(call)
        self._by_key[key] = call
        return call

    def _grow(self, call: CallInPieces, kind: str, body: Mapping[str, Any], named: list[str]) -> None:
        if call.kind not in ("", kind):
            raise Unreadable("a call of two kinds")
        call.kind = kind
        if name := text(body.get("name")):
            self.differing = self.differing or bool(call.name)
            call.name += name
            named.append(name)
        given = body.get(BODIES[kind])
        if given and not isinstance(given, str):
            self.differing = True
            given = written_text(given)
        if given:
            call.texts.append(given)


def edited_text(call: ModelCall, args: Mapping[str, Any]) -> str:
    """The text that carries edited arguments: free text is given as `{"input": text}`."""
    given = args.get("input") if call.kind == "custom" else None
    return given if isinstance(given, str) else written_text(dict(args))


def writable(call: ModelCall, ruling: Ruling) -> bool:
    """Whether the ruling can be written for a call of this kind; arguments of an unknown kind cannot be edited."""
    return not isinstance(ruling, Edited) or call.kind in (*BODIES, "function_call")


def written_call(read: CallInPieces, call: ModelCall, ruling: Ruling, place: int) -> list[dict[str, Any]]:
    """The deltas that give a call to the client: one that opens it, one with all of its arguments."""
    raw = edited_text(call, ruling.args) if isinstance(ruling, Edited) else call.raw
    if not read.kind:
        if read.where != "tool_calls":
            return [{read.where: piece} for piece in read.pieces]
        return [{"tool_calls": [{**mapping(piece), "index": place}]} for piece in read.pieces]
    if read.where != "tool_calls":
        return [{read.where: {"name": read.name, "arguments": ""}}, {read.where: {"arguments": raw}}]
    opening = {"index": place, "id": call.id, "type": read.kind, **read.body(""), **read.extra}
    return [
        {"tool_calls": [opening]},
        {"tool_calls": [{"index": place, read.kind: {BODIES[read.kind]: raw}}]},
    ]
