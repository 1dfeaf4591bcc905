"""The dialect of OpenAI Responses, as the gateway calls it; requests, answers and writing have their own modules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from opsconsole.gateway.dialect import responses_request, responses_writing
from opsconsole.gateway.dialect.interface import (
    Answer,
    Changes,
    ComposedCall,
    Failure,
    Request,
    Ruling,
)
from opsconsole.gateway.dialect.responses_answer import ResponsesStreamed
from opsconsole.gateway.dialect.responses_plain import ResponsesPlain


class Responses:
    """`POST /v1/responses`, streamed and plain."""

    name = responses_request.NAME
    provider = "openai"

    def read(self, raw: bytes) -> Request:
        """Raises: BadRequest."""
        return responses_request.read(raw)

    def forwarded(self, request: Request, changes: Changes) -> bytes:
        """The body to send upstream."""
        return responses_request.forwarded(request, changes)

    def answer(self, request: Request, *, continues: Answer | None = None) -> Answer:
        """The machine for one answer. Raises: TypeError for a continuation of another dialect's answer."""
        if request.streams:
            if continues is not None and not isinstance(continues, ResponsesStreamed):
                raise TypeError("a streamed answer continues a streamed answer of this dialect")
            return ResponsesStreamed(request, continues)
        if continues is not None and not isinstance(continues, ResponsesPlain):
            raise TypeError("a plain answer continues a plain answer of this dialect")
        return ResponsesPlain(continues)

    def reask(self, request: Request, answer: Answer, rulings: Mapping[str, Ruling]) -> Request:
        """The request again, with the answer's calls and their results. Raises: CannotReask, NotHeld, KeyError,
        TypeError."""
        if not isinstance(answer, ResponsesStreamed | ResponsesPlain):
            raise TypeError("not an answer of this dialect")
        repeated = self.repeated(answer, rulings)
        answer.reasked(rulings)
        return responses_request.asked_again(request, repeated)

    def repeated(self, answer: Answer, rulings: Mapping[str, Ruling]) -> Sequence[Mapping[str, Any]]:
        """The answer's items, and the results of its calls that were Answered. Raises: CannotReask, KeyError,
        TypeError."""
        if not isinstance(answer, ResponsesStreamed | ResponsesPlain):
            raise TypeError("not an answer of this dialect")
        return responses_request.repeated(answer.items(), [rulings[call.id] for call in answer.calls])

    def composed(self, request: Request, *, id: str, text: str, calls: Sequence[ComposedCall]) -> bytes:
        """A whole answer of an operator."""
        return responses_writing.composed(request, id=id, words=text, calls=calls)

    def composed_items(
        self, request: Request, *, id: str, text: str, calls: Sequence[ComposedCall]
    ) -> Sequence[Mapping[str, Any]]:
        """The same as items of the conversation that the provider keeps."""
        return responses_writing.composed_items(request, id=id, words=text, calls=calls)

    def error(self, failure: Failure) -> bytes:
        """An error body."""
        return responses_writing.error(failure)
