"""What every dialect of a model API answers, and the values it speaks in; how one writes its bytes lives beside it.

One turn of the model, as the gateway drives it:

    read(body) ─▶ Request ─▶ forwarded(request, changes) ─▶ upstream
    answer(request) ─▶ Answer;  feed(bytes) / end() ─▶ Pieces:
        Pass        these bytes go to the client now
        Text        words for the timeline
        Served      which model answers, under which id
        Counted     tokens so far
        CallBegan   a tool call has begun: nothing more passes until it is decided
        Held        the answer is whole and has calls that wait for a verdict
        Done        the answer is whole and has been passed on
        Broken      it is not what the dialect allows: fail closed
    Held ─▶ settle({call: Ruling}) ─▶ bytes           (the rest of the answer; afterwards it is over)
         └▶ reask(request, answer, {call: Answered}) ─▶ Request;  answer(request, continues=answer) goes on

The same machine serves a streamed and a plain answer; `Request.streams` says which.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from opsconsole.domain.light import light_dataclass
from opsconsole.policy.price_rates import Billed

HELD_BYTES_MAX = 8_388_608
"""Of one held answer; beyond it the answer is Broken: nothing that nobody could read is let through."""
FRAME_BYTES_MAX = 4_194_304
"""Of one server-sent event."""


class BadRequest(ValueError):
    """A request that the dialect cannot read: answered 400 in the API's own format, and never forwarded."""


class CannotReask(ValueError):
    """The format has no way to go on from this answer (several choices, a call without a result): settle it instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolOffer:
    """A tool that a request offers to the model."""

    name: str
    description: str = ""
    schema: Mapping[str, Any] | None = None
    """JSON Schema of its arguments, as the client wrote it; untrusted."""
    runs_at: Literal["client", "provider"] = "client"
    """A provider's tool (web search, code interpreter, hosted MCP) runs before anybody here could hold it."""
    definition: Mapping[str, Any] = field(default_factory=dict)
    """Of a provider's tool: what the request says of it, for whoever is asked about it; untrusted."""
    is_needed: bool = False
    """It cannot be taken out: the request is nothing without it (a stored prompt)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCall:
    """A tool call that a model's answer holds, whole."""

    id: str
    """The API's own id, unique in the answer (made unique by the dialect where the model repeats one)."""
    name: str
    args: dict[str, Any] | None
    """None where the text is no JSON object: then `raw` says what it is."""
    raw: str
    """The argument text exactly as the model wrote it."""
    kind: str = "function"
    """`function`, `custom` (free text: args is {"input": raw}), or the API's own type (`shell_call`, …)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolResult:
    """What became of a call, as a later request tells the model."""

    call: str
    text: str
    is_error: bool = False


@light_dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """One message of a conversation, as a person reads it."""

    role: Literal["system", "user", "assistant", "tool"]
    text: str
    calls: tuple[ModelCall, ...] = ()
    call: str = ""
    """Of role `tool`: the call it answers."""


@light_dataclass(frozen=True, slots=True, kw_only=True)
class Media:
    """A picture, a sound or a file among the words of a request."""

    kind: Literal["picture", "sound", "file"]
    chars: int = 0
    """Of the request, that carry it as base64; 0 where it is only named."""
    format: str = ""
    """Of a sound, by the client's word."""
    detail: str = ""
    """Of a picture: how closely the model is to look."""


@light_dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request to a model, read once; `body` is not changed by anybody after that."""

    dialect: str
    model: str
    streams: bool
    body: Mapping[str, Any]
    raw: bytes
    """The bytes as the client sent them; forwarded as they are where nothing changes."""
    output_tokens_max: int | None = None
    tools: tuple[ToolOffer, ...] = ()
    conversation: tuple[Said, ...] = ()
    results: tuple[ToolResult, ...] = ()
    """The results that came after the last answer of the model: what became of its calls."""
    media: tuple[Media, ...] = ()
    """What of it is no text, wherever it stands."""
    asks_usage: bool = True
    """Whether the client wants the usage frame (Chat Completions: only if it says so)."""
    previous: str | None = None
    """Responses: the answer that upstream is to remember."""
    appended: int = 0
    """How many items of the history, the last ones, reasks have appended: no client has sent them."""


@light_dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What the gateway changes of a request on its way upstream."""

    output_tokens_max: int | None = None
    """A lower cap than the client's; never a higher one."""
    injected: Sequence[str] = ()
    """An operator's words, appended as messages of the user where the format allows it."""
    drop_tools: frozenset[str] = frozenset()
    """Tools taken out of the offer (those a provider would run)."""
    edited: Mapping[str, str] = field(default_factory=dict)
    """call -> note put before its result, so that the model knows that its arguments were edited."""
    model: str | None = None
    """Another model, where a fallback upstream has one."""


Counts = Billed
"""What one answer has used: in the very terms in which it is billed."""


# -- what an answer gives ----------------------------------------------------------------------------------------------


@light_dataclass(frozen=True, slots=True)
class Pass:
    """Bytes for the client, now."""

    data: bytes


@light_dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """The next words of the model."""

    text: str
    role: Literal["assistant", "thought"] = "assistant"


@light_dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """Which model answers; empty where the API does not say."""

    id: str
    model: str
    fingerprint: str = ""


@light_dataclass(frozen=True, slots=True)
class Counted:
    """The counts of this answer so far; later ones replace earlier ones."""

    counts: Counts


@dataclass(frozen=True, slots=True, kw_only=True)
class CallBegan:
    """A call's name is known; from here on nothing passes until the answer is settled."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """The answer is whole; these calls wait, in their order. After this only settle, reask, keep_alive or failure."""

    calls: tuple[ModelCall, ...]


@light_dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """The answer is whole and passed on; `finish` is the API's own word (stop, length, end_turn, …)."""

    finish: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """Not an answer that the dialect allows, or cut before its end; nothing more will come."""

    why: str


Piece = Pass | Text | Served | Counted | CallBegan | Held | Done | Broken


# -- what becomes of held calls ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Stands:
    """The call goes to the client, byte for byte."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Edited:
    """The call goes to the client with these arguments, in every place that carries them."""

    args: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """The call does not reach the client: a refusal, or an operator's words, stand as its result."""

    text: str
    is_error: bool = True


Ruling = Stands | Edited | Answered


@dataclass(frozen=True, slots=True, kw_only=True)
class ComposedCall:
    """A call that an operator composes, who answers as the model."""

    id: str
    name: str
    args: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """An error that the gateway gives in the API's own format. `retry` false makes official clients give up at once."""

    status: int
    code: str
    message: str
    retry: bool = False
    retry_after_seconds: float | None = None


class Answer(Protocol):
    """One answer on its way from upstream to the client: a sans-IO machine, whose table is in `machine.py`."""

    def feed(self, data: bytes) -> list[Piece]:
        """The next bytes from upstream, however they are cut."""
        ...

    def end(self) -> list[Piece]:
        """Upstream has closed. An answer that is not whole is Broken: never ended cleanly."""
        ...

    def settle(self, rulings: Mapping[str, Ruling]) -> bytes:
        """The rest of the answer for the client; every held call has a ruling. Byte-identical where all stand (unless
        clients could differ on what the bytes say: an id given twice, a name in pieces). Calls that are Answered leave
        the answer and their texts stand in it as words of the model; where none is left it ends as if it had none."""
        ...

    def keep_alive(self) -> bytes:
        """Bytes native to the API that keep a client waiting at this place of the answer (JSON whitespace when plain).
        Not after it was settled."""
        ...

    def failure(self, failure: Failure) -> bytes:
        """The API's error at this place: an error event in a stream, a body in a plain answer. After it the connection
        is cut, not ended: an official client takes a body that ends cleanly for a whole answer."""
        ...

    @property
    def begun(self) -> bool:
        """Whether bytes have gone to the client: then an error can no longer be a status."""
        ...


class Dialect(Protocol):
    """One model API."""

    name: str
    """`openai.chat`, `openai.responses`, `anthropic.messages`."""
    provider: str
    """`openai`, `anthropic`: what prices and rate limits go by."""

    def read(self, raw: bytes) -> Request:
        """Raises: BadRequest."""
        ...

    def forwarded(self, request: Request, changes: Changes) -> bytes:
        """The body to send upstream: the client's own bytes where nothing changes."""
        ...

    def answer(self, request: Request, *, continues: Answer | None = None) -> Answer:
        """The machine for one answer. After a reask it continues the one before: ids, indices and numbers go on, and
        what opens an answer is not sent twice."""
        ...

    def reask(self, request: Request, answer: Answer, rulings: Mapping[str, Ruling]) -> Request:
        """The request again, with the answer's calls and their results appended; all rulings are Answered.
        Raises: CannotReask; the answer still waits, and can be settled."""
        ...

    def repeated(self, answer: Answer, rulings: Mapping[str, Ruling]) -> Sequence[Mapping[str, Any]]:
        """A whole answer as later requests repeat it upstream: items of the history with all of its calls (edited ones
        as edited), then the results of those that were Answered. Without rulings: an answer that had no calls.
        Raises: CannotReask, where the format cannot repeat it."""
        ...

    def composed(self, request: Request, *, id: str, text: str, calls: Sequence[ComposedCall]) -> bytes:
        """A whole answer of an operator, streamed or plain as the client asked, with the least usage that counts."""
        ...

    def composed_items(
        self, request: Request, *, id: str, text: str, calls: Sequence[ComposedCall]
    ) -> Sequence[Mapping[str, Any]]:
        """The same as items of a history that the provider keeps; nothing, where it keeps none."""
        ...

    def error(self, failure: Failure) -> bytes:
        """An error body, before any answer has begun."""
        ...
