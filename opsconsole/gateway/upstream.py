"""The way to a provider: one request out, its answer in raw chunks; whether to ask again a `Flow` says."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import urlsplit

import aiohttp
from yarl import URL

from opsconsole.gateway.output import Headers
from opsconsole.sdk.settings import LOOPBACK

HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
_NOT_FORWARDED = HOP_BY_HOP | {b"host", b"content-length", b"content-encoding", b"accept-encoding", b"expect"}
_NOT_RETURNED = HOP_BY_HOP | {b"content-length", b"date", b"server"}
_OURS = b"x-opsconsole-"
ERROR_BYTES_MAX = 1_048_576
"""Of an upstream's error body."""
KEEPALIVE_SECONDS = 50.0
DRAIN_SECONDS = 0.5
"""How long the end of a whole answer is waited for, so that its connection can serve again."""
_SKIPPED = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")


class UpstreamFailed(Exception):
    """No whole answer came: nothing there, cut, or silent for too long."""

    def __init__(self, why: str, *, timed_out: bool = False) -> None:
        super().__init__(why)
        self.timed_out = timed_out


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


new_call_id: Callable[[], int] = itertools.count(1).__next__


@dataclass(frozen=True, slots=True, kw_only=True)
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
    id: int = field(default_factory=new_call_id)


class Flow(Protocol):
    """Who may ask a provider when, and whether again: rates, retries, breakers; it may wait and never allows."""

    async def admit(self, call: Call, attempt: int) -> None:
        """Waits for the call's share; `attempt` counts from 0. Raises: NoShare where it will have none."""
        ...

    def answered(self, call: Call, status: int, headers: Mapping[str, str]) -> None:
        """What upstream said, with its rate-limit headers; status 0 where it said nothing."""
        ...

    def again_seconds(self, call: Call, attempt: int, status: int, headers: Mapping[str, str]) -> float | None:
        """When to ask again what was answered so (nothing of it has reached the client); None for not at all."""
        ...

    def used(self, call: Call, tokens: int) -> None:
        """What the call took in truth."""
        ...


class Unpaced:
    """Everything at once, nothing twice."""

    async def admit(self, call: Call, attempt: int) -> None:
        """At once."""

    def answered(self, call: Call, status: int, headers: Mapping[str, str]) -> None:
        """Not looked at."""

    def again_seconds(self, call: Call, attempt: int, status: int, headers: Mapping[str, str]) -> float | None:
        """Never."""
        return None

    def used(self, call: Call, tokens: int) -> None:
        """Not counted."""


class Answer:
    """An answer that has begun to come. Use it to its end, or abort it."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self.status = response.status

    @property
    def headers(self) -> Headers:
        """What of its headers goes to a client."""
        return [
            (name.lower(), value) for name, value in self._response.raw_headers if name.lower() not in _NOT_RETURNED
        ]

    @property
    def named_headers(self) -> Mapping[str, str]:
        """All of them, by name in any case."""
        return self._response.headers

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
        told = ",".join(self._response.headers.getall("content-encoding", ()))
        return any(name.strip().lower() not in ("", "identity") for name in told.split(","))

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body as it comes. Raises: UpstreamFailed."""
        try:
            async for chunk in self._response.content.iter_any():
                yield chunk
        except TimeoutError:
            raise UpstreamFailed("the model's provider has gone silent amid its answer", timed_out=True) from None
        except (aiohttp.ClientError, OSError) as error:
            raise UpstreamFailed(f"the model's provider cut its answer: {_told(error)}") from None

    async def body(self, bytes_max: int = ERROR_BYTES_MAX) -> bytes:
        """The whole of a short body. Raises: UpstreamFailed."""
        parts: list[bytes] = []
        size = 0
        async for chunk in self.chunks():
            size += len(chunk)
            if size > bytes_max:
                raise UpstreamFailed(f"the model's provider answered more than {bytes_max} bytes")
            parts.append(chunk)
        return b"".join(parts)

    def abort(self) -> None:
        """Break the connection now; one that is read to its end stays for the next request."""
        connection = self._response.connection
        if connection is not None and connection.transport is not None:
            connection.transport.abort()
        self._response.close()


class Upstream:
    """All providers. Use as an async context manager."""

    def __init__(self, *, connect_seconds: float, read_seconds: float, flow: Flow | None = None) -> None:
        self.flow: Flow = flow or Unpaced()
        self._timeout = aiohttp.ClientTimeout(total=None, sock_connect=connect_seconds, sock_read=read_seconds)
        self._sessions: dict[bool, aiohttp.ClientSession] = {}

    async def __aenter__(self) -> Upstream:
        for proxied in (False, True):
            self._sessions[proxied] = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEPALIVE_SECONDS),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=self._timeout,
                auto_decompress=False,
                skip_auto_headers=_SKIPPED,
                trust_env=proxied,
            )
        return self

    async def __aexit__(self, *_: object) -> None:
        for session in self._sessions.values():
            await session.close()

    async def ask(self, call: Call) -> Answer:
        """The beginning of the answer. Raises: UpstreamFailed."""
        attempt = 0
        while True:
            await self.flow.admit(call, attempt)
            try:
                answer = await self._once(call)
            except UpstreamFailed as failed:
                self.flow.answered(call, 0, {})
                wait = None if failed.timed_out else self.flow.again_seconds(call, attempt, 0, {})
                if wait is None:  # one that was silent for long may yet be paid for: it is not asked twice
                    raise
            else:
                self.flow.answered(call, answer.status, answer.named_headers)
                wait = self.flow.again_seconds(call, attempt, answer.status, answer.named_headers)
                if wait is None:
                    return answer
                answer.abort()
            attempt += 1
            await asyncio.sleep(wait)

    async def _once(self, call: Call) -> Answer:
        url = URL(call.url, encoded=True)
        session = self._sessions[url.host not in LOOPBACK]
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in call.headers]
        try:
            response = await session.request(
                call.method, url, data=call.body or None, headers=headers, allow_redirects=False
            )
        except TimeoutError:
            raise UpstreamFailed(f"{_place(call.url)} did not answer in time", timed_out=True) from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise UpstreamFailed(f"{_place(call.url)} cannot be asked: {_told(error)}") from None
        return Answer(response)


async def drained(answer: Answer) -> None:
    """Reads what follows a whole answer, so that its connection can be used again."""
    try:
        async with asyncio.timeout(DRAIN_SECONDS):
            async for _ in answer.chunks():
                pass
    except (TimeoutError, UpstreamFailed):
        answer.abort()


def forwarded_headers(headers: Iterable[tuple[bytes, bytes]]) -> Headers:
    """A client's headers as they go upstream: all but those of the connection and ours; nothing compressed."""
    kept = [(name, value) for name, value in headers if name not in _NOT_FORWARDED and not name.startswith(_OURS)]
    kept.append((b"accept-encoding", b"identity"))
    return kept


def _place(url: str) -> str:
    return urlsplit(url).netloc.rpartition("@")[2]


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:300]
