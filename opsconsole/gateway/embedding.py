"""What a request for embeddings may cost, and what it did: it is no turn of a model, but costs; it asks nobody."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from typing import Any

from opsconsole.gateway.dialect.json_text import Unreadable, count, mapping, read_object, text
from opsconsole.gateway.live import GatewayRun
from opsconsole.gateway.told import BYTES_PER_TOKEN, Most, Price, most_of
from opsconsole.policy.prices import Billed
from opsconsole.sdk.model_request import shown_request
from opsconsole.sdk.usage import TurnUsage

MODEL_CHARS_MAX = 200
TAIL_BYTES = 4_096
"""The usage stands at the end of an answer, behind the vectors."""
LEVELS_MAX = 8
"""Of lists in lists of input; what is deeper counts by its bytes."""


class NotReadable(ValueError):
    """A request for embeddings of which nobody can say what it costs."""


class Embedding:
    """One request: what it reserves, and what it used once its answer has been passed on."""

    def __init__(self, run: GatewayRun, provider: str, price: Price, body: bytes) -> None:
        """Raises: NotReadable; CallDenied where the settings refuse models without a price."""
        try:
            asked = read_object(body, "the request", once=True)
        except Unreadable as fault:
            raise NotReadable(str(fault)) from None
        model = text(asked.get("model"))[:MODEL_CHARS_MAX]
        if not model:
            raise NotReadable("model: a text is required")
        self.spent: TurnUsage | None = None
        self._run, self._price = run, price
        most = Billed(input_tokens=max(1, _tokens(asked.get("input"), LEVELS_MAX)))
        self.most: Most = most_of(most, model, provider, price, run.note)
        self._status = 0
        self._tail = b""

    @property
    def priced_by(self) -> str:
        """The price list."""
        return self._price.version

    def shown(self) -> dict[str, Any]:
        """The arguments of its proposal."""
        told = shown_request({"model": self.most.model, "messages": [], "tools": []})
        return told | {"reserve": self.most.to_json(), "embeds": True}

    def began(self, status: int) -> None:
        """An answer has begun to come."""
        self._status = status

    def abandoned(self) -> None:
        """Nobody waits any more for an answer that has not begun: the model works on it, and it costs."""
        self._status = 200

    def read(self, chunk: bytes) -> None:
        """The next bytes of it."""
        self._tail = (self._tail + chunk)[-TAIL_BYTES:]

    def used(self, *, cut: bool) -> None:
        """Adds it to the run's counts, once: what its provider told, else what it reserved."""
        if self._status != 200 or self.spent is not None:
            return
        told = _usage(self._tail)
        tokens = count(told.get("prompt_tokens")) or count(told.get("total_tokens")) or self.most.input_tokens
        priced = self._price.turn(self.most.provider, Billed(input_tokens=tokens), self.most.model)
        self.spent = TurnUsage(
            model=self.most.model,
            provider=self.most.provider,
            turns=0,
            input_tokens=tokens,
            cost_usd=priced.usd,
            priced_by=self._price.version,
            unpriced_turns=0 if priced.is_known else 1,
        )
        self._run.used_soon(self.spent)


def _tokens(given: Any, levels: int) -> int:
    """Roughly, for text; exactly, for tokens."""
    if isinstance(given, int):
        return 1
    if isinstance(given, str):
        return len(given.encode("utf-8", "replace")) // BYTES_PER_TOKEN + 1
    if isinstance(given, list) and levels:
        return sum(_tokens(one, levels - 1) for one in given)
    return len(json.dumps(given)) // BYTES_PER_TOKEN + 1


def _usage(tail: bytes) -> Mapping[str, Any]:
    _, mark, rest = tail.decode("utf-8", "replace").rpartition('"usage"')
    with contextlib.suppress(ValueError, RecursionError):
        found, _ = json.JSONDecoder().raw_decode(rest.lstrip(" \r\n\t:"))
        return mapping(found) if mark else {}
    return {}
