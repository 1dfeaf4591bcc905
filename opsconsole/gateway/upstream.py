"""The way to a provider: one request out, its answer in raw chunks; whether to ask again a `Flow` says."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import field
from functools import partial
from typing import Protocol

from opsconsole.domain.light import light_dataclass
from opsconsole.gateway.flow.limits_read import HEADERS as TOLD_OF_LIMITS
from opsconsole.gateway.patience import Patience
from opsconsole.gateway.wire.headers import HOP_BY_HOP, Headers, RequestHead, SentAgain
from opsconsole.gateway.wire.outgoing import Arriving, Take
from opsconsole.gateway.wire.outgoing import UpstreamFailed as UpstreamFailed
from opsconsole.gateway.wire.pool import Pool

_NOT_FORWARDED = HOP_BY_HOP | {b"host", b"content-length", b"content-encoding", b"accept-encoding", b"expect"}
_NOT_RETURNED = HOP_BY_HOP | {b"content-length", b"date", b"server"}
_OURS = b"x-opsconsole-"
_READ = frozenset({b"content-encoding", *(name.encode() for name in TOLD_OF_LIMITS)})
ERROR_BYTES_MAX = 1_048_576
"""Of an upstream's error body."""


class UpstreamSaid(Exception):
    """Upstream answered with an error of its own."""

    def __init__(self, status: int, headers: Headers, body: bytes) -> None:
        super().__init__(f"the model's provider answered {status}")
        self.status, self.headers, self.body = status, headers, body


class NoShare(UpstreamFailed):
    """It was not sent: there is no room for it at the provider, or the provider fails too often to be asked."""

    def __init__(self, why: str, *, retry_after_seconds: float, is_down: bool = False) -> None:
        super().__init__(why)
        self.retry_after_seconds, self.is_down = retry_after_seconds, is_down


def nothing() -> None:
    """Nobody is told."""


new_call_id: Callable[[], int] = itertools.count(1).__next__


@light_dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request to a provider."""

    provider: str
    url: str
    method: str
    headers: Headers
    body: bytes
    run: str
    model: str = ""
    tokens: int = 0
    """What it may cost, for whoever shares out rates."""
    patience: Patience | None = None
    """Its client's, where it is to be shown life while the call waits for its share."""
    is_free: bool = False
    """Whether it buys nothing: a pause does not keep it back."""
    id: int = field(default_factory=new_call_id)


class Flow(Protocol):
    """Who may ask a provider when, and whether again: rates, retries, breakers; it may wait and never allows."""

    def admit(self, call: Call, attempt: int) -> Awaitable[None] | None:
        """The call's share: None where it has it now, else to be awaited; `attempt` counts from 0.
        Raises: NoShare where it will have none."""
        ...

    def going(self, call: Call) -> None:
        """The call was admitted a moment ago and would be sent now; it may raise instead."""
        ...

    def answered(self, call: Call, status: int, headers: Mapping[str, str]) -> None:
        """What upstream said, with its rate-limit headers; status 0 where it said nothing."""
        ...

    def again_seconds(self, call: Call, attempt: int, status: int, headers: Mapping[str, str]) -> float | None:
        """When to ask again what was answered so (nothing of it has reached the client); None for not at all."""
        ...

    def took_out(self, call: Call) -> bool:
        """Whether the call was sent and has no answer yet; asked once, when nobody waits for it any more."""
        ...

    def broke(self, call: Call) -> None:
        """The call was sent, and its connection ended without an answer: what it cost nobody can tell."""
        ...

    def used(self, call: Call, tokens: int) -> None:
        """What the call took in truth."""
        ...


class Unpaced:
    """Everything at once, nothing twice."""

    def admit(self, call: Call, attempt: int) -> Awaitable[None] | None:
        """At once."""
        return None

    def going(self, call: Call) -> None:
        """It may."""

    def answered(self, call: Call, status: int, headers: Mapping[str, str]) -> None:
        """Not looked at."""

    def again_seconds(self, call: Call, attempt: int, status: int, headers: Mapping[str, str]) -> float | None:
        """Never."""
        return None

    def took_out(self, call: Call) -> bool:
        """Not known: it may have been."""
        return True

    def broke(self, call: Call) -> None:
        """Not told."""

    def used(self, call: Call, tokens: int) -> None:
        """Not counted."""


class Answer:
    """An answer that has begun to come. Use it to its end, finish or abort it."""

    def __init__(self, arriving: Arriving) -> None:
        self._arriving = arriving
        self.status = arriving.status
        self.named_headers: dict[str, str] = {
            name.decode("latin-1"): value.decode("latin-1")
            for name, value in reversed(arriving.headers)
            if name in _READ
        }
        """Those that somebody here reads, by their names in lower case; the first of each name."""

    @property
    def headers(self) -> Headers:
        """What of its headers goes to a client."""
        return [one for one in self._arriving.headers if one[0] not in _NOT_RETURNED]

    async def refusal(self) -> UpstreamSaid | UpstreamFailed:
        """What an answer is that has another status than 200, or is compressed. Below 400 it is none that may be passed
        on: clients would take it for an answer, or follow it elsewhere. Raises: UpstreamFailed."""
        if self.status == 200:
            return UpstreamFailed("the model's provider compressed its answer, which was asked for plain")
        if self.status < 400:
            return UpstreamFailed(f"the model's provider answered {self.status}, which is neither yes nor no")
        return UpstreamSaid(self.status, self.headers, await self.body())

    @property
    def is_encoded(self) -> bool:
        """Whether its body is compressed although we asked for none: nobody here reads what is in it."""
        if "content-encoding" not in self.named_headers:
            return False
        told = b",".join(value for name, value in self._arriving.headers if name == b"content-encoding")
        return any(name.strip().lower() not in (b"", b"identity") for name in told.split(b","))

    def pause(self) -> None:
        """The provider has to wait."""
        self._arriving.pause()

    def resume(self) -> None:
        """It may go on."""
        self._arriving.resume()

    def finish(self) -> None:
        """What is wanted of it is here: its connection may serve again."""
        self._arriving.finish()

    def abort(self) -> None:
        """Breaks its connection now, unless it is read to its end."""
        self._arriving.abort()

    def give(self, take: Take) -> bool:
        """Gives to `take` what is here of the body; whether that was all of it, or enough. Raises: UpstreamFailed."""
        return self._arriving.give(take)

    async def pour(self, take: Take) -> None:
        """The body as it comes, until it ends or `take` says that it is enough. Raises: UpstreamFailed."""
        await self._arriving.pour(take)

    async def body(self, bytes_max: int = ERROR_BYTES_MAX) -> bytes:
        """The whole of a short body. Raises: UpstreamFailed."""
        parts: list[bytes] = []
        size = 0

        def take(chunk: bytes) -> bool:
            nonlocal size
            size += len(chunk)
            if size > bytes_max:
                raise UpstreamFailed(f"the model's provider answered more than {bytes_max} bytes")
            parts.append(chunk)
            return False

        await self.pour(take)
        return b"".join(parts)


class Upstream:
    """All providers. Use as an async context manager."""

    def __init__(self, *, connect_seconds: float, read_seconds: float, flow: Flow | None = None) -> None:
        self.flow: Flow = flow or Unpaced()
        self._pool = Pool(connect_seconds=connect_seconds, read_seconds=read_seconds)

    async def __aenter__(self) -> Upstream:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._pool.close()

    async def ask(self, call: Call, abandoned: Callable[[], None] = nothing) -> Answer:
        """The beginning of the answer. `abandoned` is told when we are cancelled, or wait no longer, while the provider
        works on the call. Raises: UpstreamFailed."""
        try:
            attempt = 0
            going = partial(self.flow.going, call)
            while True:
                admission = self.flow.admit(call, attempt)
                if admission is not None:
                    await admission
                try:
                    answer = Answer(await self._pool.ask(call.method, call.url, call.headers, call.body, going))
                except UpstreamFailed as failed:
                    self.flow.answered(call, 0, {})
                    if failed.was_sent:
                        self.flow.broke(call)
                    wait = None if failed.timed_out else self.flow.again_seconds(call, attempt, 0, {})
                    if wait is None:  # one that was silent for long may yet be paid for: it is not asked twice
                        raise
                else:
                    self.flow.answered(call, answer.status, answer.named_headers)
                    if answer.status == 200:
                        return answer
                    wait = self.flow.again_seconds(call, attempt, answer.status, answer.named_headers)
                    if wait is None:
                        return answer
                    answer.abort()
                attempt += 1
                await asyncio.sleep(wait)
        except asyncio.CancelledError:
            if self.flow.took_out(call):
                abandoned()
            raise
        except UpstreamFailed as failed:
            if failed.may_cost:
                abandoned()
            raise


def forwarded_headers(head: RequestHead) -> SentAgain:
    """A client's headers as they go upstream: all but those of the connection and ours; nothing compressed."""
    if head.forwarded is None:
        kept = (one for one in head.raw if one[0] not in _NOT_FORWARDED and not one[0].startswith(_OURS))
        head.forwarded = SentAgain([*kept, (b"accept-encoding", b"identity")])
    return head.forwarded
