"""The dialect of Anthropic Messages, as the gateway calls it; requests, answers and writing have their own modules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from opsconsole.gateway.dialect import anthropic_request, anthropic_writing
from opsconsole.gateway.dialect.anthropic_answer import AnthropicPlain, AnthropicStreamed
from opsconsole.gateway.dialect.interface import Answer, Changes, ComposedCall, Failure, Request, Ruling


class AnthropicMessages:
    """`POST /v1/messages`, streamed and plain."""

    name = anthropic_request.NAME
    provider = "anthropic"

    def read(self, raw: bytes) -> Request:
        """Raises: BadRequest."""
        return anthropic_request.read(raw)

    def forwarded(self, request: Request, changes: Changes) -> bytes:
        """The body to send upstream."""
        return anthropic_request.forwarded(request, changes)

    def answer(self, request: Request, *, continues: Answer | None = None) -> Answer:
        """The machine for one answer. Raises: TypeError for a continuation of another dialect's answer."""
        if request.streams:
            if continues is not None and not isinstance(continues, AnthropicStreamed):
                raise TypeError("a streamed answer continues a streamed answer of this dialect")
            return AnthropicStreamed(continues)
        if continues is not None and not isinstance(continues, AnthropicPlain):
            raise TypeError("a plain answer continues a plain answer of this dialect")
        return AnthropicPlain(continues)

    def reask(self, request: Request, answer: Answer, rulings: Mapping[str, Ruling]) -> Request:
        """The request again, with the answer's calls and their results. Raises: CannotReask, NotHeld, KeyError,
        TypeError."""
        if not isinstance(answer, AnthropicStreamed | AnthropicPlain):
            raise TypeError("not an answer of this dialect")
        repeated = self.repeated(answer, rulings)
        answer.reasked(rulings)
        return anthropic_request.asked_again(request, repeated, answer.container())

    def repeated(self, answer: Answer, rulings: Mapping[str, Ruling]) -> Sequence[Mapping[str, Any]]:
        """The answer's message, and one with the results of its calls that were Answered.
        Raises: CannotReask, KeyError, TypeError."""
        if not isinstance(answer, AnthropicStreamed | AnthropicPlain):
            raise TypeError("not an answer of this dialect")
        return anthropic_request.repeated(answer.content(), [rulings[call.id] for call in answer.calls])

    def composed(self, request: Request, *, id: str, text: str, calls: Sequence[ComposedCall]) -> bytes:
        """A whole answer of an operator."""
        return anthropic_writing.composed(request, id=id, words=text, calls=calls)

    def composed_items(
        self, request: Request, *, id: str, text: str, calls: Sequence[ComposedCall]
    ) -> Sequence[Mapping[str, Any]]:
        """Nothing: clients send their history."""
        return ()

    def error(self, failure: Failure) -> bytes:
        """An error body."""
        return anthropic_writing.error(failure)
