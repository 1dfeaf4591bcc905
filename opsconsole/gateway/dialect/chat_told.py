"""What a Chat Completions answer tells of itself and what its client has been shown; knows no streams."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from opsconsole.gateway.dialect.chat_calls import CallsOfChoice
from opsconsole.gateway.dialect.framing import written_frame
from opsconsole.gateway.dialect.interface import Counted, Counts, Failure, Piece, Served
from opsconsole.gateway.dialect.json_text import count, mapping, summed, text, written

_NOBODY = Served(id="", model="")
DONE = b"[DONE]"
CALL_FINISHES = frozenset({"tool_calls", "function_call"})
OPENING = ("id", "object", "created", "model", "service_tier", "system_fingerprint")
"""Fields that every chunk of an answer repeats."""
THOUGHTS = ("reasoning_content", "reasoning")
"""Where servers put a model's thoughts; the official format has no place for them."""


@dataclass(slots=True)
class Shown:
    """What the client has been shown of its answer, over all the upstream answers that make it up."""

    opening: dict[str, Any] = field(default_factory=dict)
    roles: set[int] = field(default_factory=set)
    """Choices whose role has been given: clients join a second one to the first."""
    words: dict[int, str] = field(default_factory=dict)
    """Choice -> the end of its words so far, where there are any."""
    text: str = ""
    """Of a plain answer: what earlier answers said and nobody has seen yet."""
    usage: dict[str, Any] = field(default_factory=dict)
    """Of the answers before this one."""
    continued: bool = False

    def onward(self, usage: Mapping[str, Any], text: str) -> Shown:
        """What the next answer starts with, which continues the one that was shown."""
        total = summed(self.usage, dict(usage))
        said = gap(self.text).join(part for part in (self.text, text) if part)
        return Shown(
            opening=dict(self.opening),
            roles=set(self.roles),
            words=dict(self.words),
            text=said,
            usage=total,
            continued=True,
        )


@dataclass(slots=True)
class Choice:
    """One choice of an answer that is being read."""

    calls: CallsOfChoice = field(default_factory=CallsOfChoice)
    texts: list[str] = field(default_factory=list)
    thoughts: list[str] = field(default_factory=list)
    thoughts_in: str = ""
    finish: str = ""


def gap(before: str) -> str:
    """What parts words of two authors."""
    return "" if not before or before[-1:].isspace() else "\n\n"


def counts_of(usage: Mapping[str, Any], tier: str) -> Counts:
    """A usage object of Chat Completions."""
    prompt, completion = mapping(usage.get("prompt_tokens_details")), mapping(usage.get("completion_tokens_details"))
    return Counts(
        input_tokens=count(usage.get("prompt_tokens")),
        output_tokens=count(usage.get("completion_tokens")),
        cache_read_tokens=count(prompt.get("cached_tokens")),
        cache_write_tokens=count(prompt.get("cache_write_tokens")),
        reasoning_tokens=count(completion.get("reasoning_tokens")),
        input_audio_tokens=count(prompt.get("audio_tokens")),
        output_audio_tokens=count(completion.get("audio_tokens")),
        service_tier=tier,
    )


def error_body(failure: Failure) -> dict[str, Any]:
    """The API's error object."""
    kinds = {
        400: "invalid_request_error",
        401: "authentication_error",
        403: "permission_error",
        429: "rate_limit_error",
    }
    kind = kinds.get(failure.status, "server_error" if failure.status >= 500 else "invalid_request_error")
    return {"error": {"message": failure.message, "type": kind, "param": None, "code": failure.code}}


class Told:
    """What an answer has told of itself; says it again only when it changes."""

    def __init__(self) -> None:
        self.id = ""
        self.usage: dict[str, Any] = {}
        self._served: Served | None = None
        self._tier = ""

    @property
    def served(self) -> bool:
        """Whether the model is known."""
        return self._served is not None

    def take(self, body: Mapping[str, Any], pieces: list[Piece]) -> None:
        """Adds Served and Counted where there is news."""
        self.id = self.id or text(body.get("id"))
        before = self._served or _NOBODY
        model = text(body.get("model")) or before.model
        fingerprint = text(body.get("system_fingerprint")) or before.fingerprint
        if model != before.model or fingerprint != before.fingerprint:
            self._served = Served(id=self.id, model=model, fingerprint=fingerprint)
            pieces.append(self._served)
        self._tier = text(body.get("service_tier")) or self._tier
        usage = body.get("usage")
        if isinstance(usage, dict) and usage:
            self.usage = usage
            pieces.append(Counted(counts_of(usage, self._tier)))


def chunk_frame(opening: Mapping[str, Any], choices: list[dict[str, Any]], **more: Any) -> bytes:
    """One chunk as a frame."""
    return written_frame(written({**opening, "choices": choices, **more}))


def choice_of(index: int, delta: Mapping[str, Any], finish: str | None = None) -> dict[str, Any]:
    """One choice of a chunk."""
    return {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish}


def made_opening(id: str, model: str) -> dict[str, Any]:
    """What every chunk repeats, of an answer that no server has opened. Nobody here has a clock: `created` is 0."""
    return {"id": id, "object": "chat.completion.chunk", "created": 0, "model": model}
