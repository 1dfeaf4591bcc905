"""One plain answer of OpenAI Responses: kept whole, judged as a stream is; asks nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from opsconsole.gateway.dialect.interface import (
    CallBegan,
    Counted,
    Failure,
    ModelCall,
    Piece,
    Ruling,
    Served,
    Stands,
    Text,
)
from opsconsole.gateway.dialect.json_text import Unreadable, listed, mapping, summed, text, written
from opsconsole.gateway.dialect.machine import PlainAnswer
from opsconsole.gateway.dialect.responses_items import Item
from opsconsole.gateway.dialect.responses_output import Output, output_of, settled
from opsconsole.gateway.dialect.responses_writing import counts_of, error

WHOLE = ("completed", "incomplete")
"""The states of an answer that a client may act on."""


class ResponsesPlain(PlainAnswer):
    """One body; `continues` is the answer that it goes on with."""

    def __init__(self, continues: ResponsesPlain | None = None) -> None:
        super().__init__(continues)
        self._before = continues
        self._output = Output()

    def items(self) -> list[dict[str, Any]]:
        """The items of this answer as upstream gave them. Raises: CannotReask."""
        return self._output.items()

    @property
    def ids(self) -> tuple[str, str]:
        """The response's id as the client knows it, and as upstream does."""
        own = text(self._body.get("id"))
        return self._before.ids[0] if self._before else own, own

    def shown(self) -> list[Item]:
        """What the client is to have of the turn when another answer continues this one: what began before a call."""
        return [*(self._before.shown() if self._before else ()), *(item for _, item in self._output.seen())]

    def total(self) -> Any:
        """The usage of all answers of the turn so far."""
        own = self._body.get("usage")
        return summed(self._before.total(), own) if self._before else own

    def _look(self, body: dict[str, Any], pieces: list[Piece]) -> list[ModelCall]:
        if told := mapping(body.get("error")):
            raise Unreadable(f"upstream: {text(told.get('code'))}: {text(told.get('message'))}"[:500])
        if body.get("status", "completed") not in WHOLE:
            raise Unreadable("upstream: an answer that is not whole")
        self._output = output_of(body.get("output"))
        pieces.append(Served(id=text(body.get("id")), model=text(body.get("model"))))
        for item in self._output.items():
            _tell(item, pieces)
        pieces.append(Counted(counts_of(body)))
        calls = [call for _, call in self._output.calls()]
        pieces.extend(CallBegan(name=call.name) for call in calls)
        return calls

    def _kept(self) -> bytes:
        if self._before is None and not self._output.doubtful():
            return bytes(self._raw)
        return self._rewritten({call.id: Stands() for call in self.calls})

    def _rewritten(self, ruled: Mapping[str, Ruling]) -> bytes:
        rulings = dict(zip([index for index, _ in self._output.calls()], ruled.values(), strict=True))
        items = dict(enumerate(self._output.items()))
        shown = [item for item in (items | settled(items, rulings)).values() if item is not None]
        return written(self._merged(shown))

    def _merged(self, items: Sequence[Item]) -> dict[str, Any]:
        before = self._before.shown() if self._before else ()
        return {**self._body, "id": self.ids[0], "output": [*before, *items], "usage": self.total()}

    def _finished(self) -> str:
        incomplete = text(mapping(self._body.get("incomplete_details")).get("reason"))
        return incomplete or text(self._body.get("status"))

    def _failed(self, failure: Failure) -> bytes:
        return error(failure)


def _tell(item: Item, pieces: list[Piece]) -> None:
    """The words of an item."""
    thinks = item.get("type") == "reasoning"
    parts = [mapping(part) for part in (*listed(item.get("summary")), *listed(item.get("content")))]
    words = [text(part.get("text")) or text(part.get("refusal")) for part in parts]
    pieces.extend(Text(text=word, role="thought" if thinks else "assistant") for word in words if word)
