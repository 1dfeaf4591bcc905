"""One answer of a model as it is read: what it says, who serves it, what it used go to the run; no byte to anybody."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from opsconsole.gateway.dialect.interface import Counted, Counts, Request, Served, Text
from opsconsole.gateway.live import GatewayRun
from opsconsole.gateway.told import BYTES_PER_TOKEN, Price, estimated
from opsconsole.sdk.bounded import bounded_text
from opsconsole.sdk.new_ids import new_id
from opsconsole.sdk.said import message_event
from opsconsole.sdk.usage import TurnUsage

GATHER_SECONDS = 0.4
"""Words of a stream are gathered for so long,"""
GATHER_BYTES_MAX = 4_096
"""or up to so many, before they become an event."""
SAID_CHARS_MAX = 4_000
"""As many as the reason of a call may have."""


class Reading:
    """The answer to one request."""

    def __init__(self, run: GatewayRun, request: Request, provider: str, price: Price) -> None:
        self.began = False
        """Whether the model has begun to answer: then it costs."""
        self._run, self._request, self._provider, self._price = run, request, provider, price
        self._served = Served(id="", model="")
        self._counts: Counts | None = None
        self.said = ""
        """The newest words of the answer itself: why it makes its calls, if it says so."""
        self._bytes = self._flushed = 0
        self._message, self._role = "", ""
        self._parts: list[str] = []
        """Of the growing message, not told yet."""
        self._timer: asyncio.TimerHandle | None = None
        self._told = False
        self.spent: TurnUsage | None = None
        """What it used, once that is told."""

    def text(self, piece: Text) -> None:
        """The next words; an answer that is not streamed has them all at once."""
        self._bytes += len(piece.text)
        if piece.role == "assistant":
            self.said = (self.said + piece.text)[-SAID_CHARS_MAX:]
        if not self._request.streams:
            self._run.message_soon(piece.role, piece.text)
            return
        if piece.role != self._role:
            self.flush()
            self._role, self._message = piece.role, new_id("msg")
        self._parts.append(piece.text)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(GATHER_SECONDS, self.flush)
        if self._bytes - self._flushed >= GATHER_BYTES_MAX:
            self.flush()

    def flush(self) -> None:
        """The words gathered become one event."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._parts:
            return
        words, self._parts, self._flushed = "".join(self._parts), [], self._bytes
        self._run.tell_soon(message_event(self._message, self._role) | {"append": bounded_text(words)})

    @property
    def id(self) -> str:
        """The provider's id of the answer; empty where it gave none."""
        return self._served.id

    @property
    def tokens(self) -> int:
        """What the provider says it took so far; 0 where it has not."""
        return self._counts.input_tokens + self._counts.output_tokens if self._counts else 0

    def served(self, piece: Served) -> None:
        """Which model answers."""
        self._served = piece

    def counted(self, piece: Counted) -> None:
        """What it has used so far."""
        self._counts = piece.counts

    def abandoned(self) -> None:
        """Nobody waits any more for an answer that has not begun: the model works on it, and it costs."""
        self.began = True

    def used(self, *, cut: bool) -> None:
        """Adds what the answer used to the run's counts, once; estimated where upstream did not live to tell."""
        self.flush()
        if self._told or not self.began:
            return
        self._told = True
        told = self._counts
        counts = told or estimated(self._request)
        output = counts.output_tokens
        if told is None or cut:
            output = max(output, self._bytes // BYTES_PER_TOKEN)
            data = {"estimated": True, "input": told is None, "output_tokens": output}
            self._run.note("The tokens of this turn are estimated: its answer was cut", data=data)
        model, served = self._request.model, self._served.model
        billed = counts if output == counts.output_tokens else replace(counts, output_tokens=output)
        priced = self._price.turn(self._provider, billed, served, model)
        turn = TurnUsage(
            model=model,
            served_model=served,
            fingerprint=self._served.fingerprint,
            provider=self._provider,
            input_tokens=counts.input_tokens,
            output_tokens=output,
            cache_read_tokens=counts.cache_read_tokens,
            cache_write_tokens=counts.cache_write_tokens,
            reasoning_tokens=counts.reasoning_tokens,
            cost_usd=priced.usd,
            priced_by=self._price.version,
            unpriced_turns=0 if priced.is_known else 1,
        )
        self.spent = turn
        self._run.used_soon(turn)
