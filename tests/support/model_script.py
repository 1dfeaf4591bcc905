"""What a scripted model says, turn by turn, and how its bytes travel; it knows no model API and opens no socket."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Literal

MARK = re.compile(rb"\[script ([A-Za-z0-9_.-]{1,80})\]")
"""Where a conversation says which script it plays: anywhere in the request, usually in the first message."""


def mark(script: str) -> str:
    """The words that make a conversation play `script`."""
    return f"[script {script}]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens of one answer. `input_tokens` is the total with cache; each API is told it in its own way."""

    input_tokens: int = 120
    output_tokens: int = 24
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A tool call of the model. `args` as text goes out as it is: it need be no JSON."""

    name: str
    args: Mapping[str, Any] | str = field(default_factory=dict)
    id: str = ""
    """Made from the script's name where empty."""
    kind: Literal["function", "custom"] = "function"

    @property
    def text(self) -> str:
        """The arguments as the model writes them."""
        return self.args if isinstance(self.args, str) else json.dumps(self.args, ensure_ascii=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """An answer that is an error."""

    status: int = 500
    message: str = "scripted"
    headers: Mapping[str, str] = field(default_factory=dict)
    """`retry-after` and the like."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """How an answer's bytes travel."""

    cut: Literal["frames", "torn", "bytes", "joined"] = "frames"
    """One write a frame; each frame torn, in a wide character where it has one; each byte; all at once."""
    newline: Literal["\n", "\r\n"] = "\n"
    comments: bool = False
    """A comment line before each frame."""
    first_delay_seconds: float = 0.0
    """Before the head of the answer."""
    delay_seconds: float = 0.0
    """Before each write."""
    stall_after: int | None = None
    """Writes after which nothing more comes for `stall_seconds`."""
    stall_seconds: float = 3_600.0
    die_after: int | None = None
    """Writes after which the answer ends in the manner of `death`."""
    death: Literal["reset", "close", "truncate", "error"] = "reset"
    """A TCP reset; a close without an end; a clean end of half an answer; the API's own error event."""
    encoding: Literal["", "gzip", "br"] = ""
    """Only where the request accepts it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One answer of the model."""

    text: str = ""
    thinking: str = ""
    calls: Sequence[Call] = ()
    usage: Usage = field(default_factory=Usage)
    model: str = ""
    """The model that serves; the one asked for where empty."""
    fingerprint: str = "fp_scripted"
    service_tier: str = "default"
    finish: str = ""
    """The API's own word; what follows from the content where empty."""
    piece_characters: int = 8
    """Of a delta."""
    interleaved: bool = False
    """The pieces of parallel calls come in turns (OpenAI)."""
    choices: int = 1
    """Of a chat completion; all say the same."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Rate limits and the like."""
    fault: Fault | None = None
    delivery: Delivery = field(default_factory=Delivery)


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """The turns of a conversation, in order. `repeats`: after the last comes the first again."""

    turns: Sequence[Turn]
    repeats: bool = False

    def turn(self, number: int) -> Turn | None:
        """The turn with this number from 0; None after the last."""
        if self.repeats:
            return self.turns[number % len(self.turns)]
        return self.turns[number] if number < len(self.turns) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Play:
    """One turn as it is played: unique ids are made from `key`, `at` is in unix seconds."""

    turn: Turn
    key: str
    model: str
    at: int

    def call_id(self, number: int, prefix: str) -> str:
        """The id of the turn's call with this number."""
        return self.turn.calls[number].id or f"{prefix}{self.key}n{number}"


class Refused(Exception):
    """A request that the real API answers with an error."""

    def __init__(self, status: int, message: str, *, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.param, self.code = status, message, param, code


def pieces(text: str, characters: int) -> Iterator[str]:
    """`text` in pieces of that many characters."""
    return (text[at : at + characters] for at in range(0, len(text), characters))


def in_turns(*parts: Sequence[Any], interleaved: bool) -> Iterator[Any]:
    """All of the first, then all of the second; or one of each in turns."""
    if not interleaved:
        return itertools.chain(*parts)
    rounds = itertools.zip_longest(*parts)
    return (piece for one in rounds for piece in one if piece is not None)


def script_from(document: Mapping[str, Any]) -> Script:
    """A script from plain JSON, with the names of the fields above. Raises: TypeError, KeyError."""
    return Script(turns=[_turn(one) for one in document["turns"]], repeats=bool(document.get("repeats")))


def _turn(document: Mapping[str, Any]) -> Turn:
    parts: dict[str, Any] = dict(document)
    for name, kind in (("usage", Usage), ("fault", Fault), ("delivery", Delivery)):
        if parts.get(name) is not None:
            parts[name] = kind(**parts[name])
    parts["calls"] = [Call(**one) for one in parts.get("calls", ())]
    return Turn(**parts)


def plain(script: Script) -> dict[str, Any]:
    """A script as plain JSON, for `script_from`."""
    turns = [{one.name: getattr(turn, one.name) for one in fields(Turn)} for turn in script.turns]
    for turn in turns:
        turn["calls"] = [{one.name: getattr(call, one.name) for one in fields(Call)} for call in turn["calls"]]
        for name in ("usage", "fault", "delivery"):
            value = turn[name]
            turn[name] = value and {one.name: getattr(value, one.name) for one in fields(value)}
    return {"turns": turns, "repeats": script.repeats}
