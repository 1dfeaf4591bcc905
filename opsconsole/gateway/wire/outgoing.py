"""One connection to a provider: a request out, its answer in as it comes, then perhaps the next; it opens nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import httptools

from opsconsole.gateway.wire.headers import CHUNKED, HEAD_BYTES_MAX, HEADERS_MAX, NO_BODY_STATUSES, Headers

UNREAD_BYTES_MAX = 262_144
"""Of a body that nobody takes yet; then the provider has to wait."""
INTERIM_MAX = 100
"""Answers of status 1xx before the one that counts."""
DRAIN_SECONDS = 0.5
"""How long the end of a whole answer is waited for, so that its connection can serve again,"""
DRAIN_BYTES_MAX = 65_536
"""and how much of it may come."""

Take = Callable[[bytes], bool]
"""Called with the next bytes of a body; True: no more are wanted. It may raise UpstreamFailed."""


class UpstreamFailed(Exception):
    """No whole answer came: nothing there, cut, or silent for too long."""

    def __init__(self, why: str, *, timed_out: bool = False, may_cost: bool = False, was_sent: bool = False) -> None:
        """`may_cost`: the request was sent, and the provider may have worked on it all the while. `was_sent`: its
        connection broke behind it, without a word of an answer."""
        super().__init__(why)
        self.timed_out, self.may_cost, self.was_sent = timed_out, may_cost, was_sent


class Untold(UpstreamFailed):
    """A connection that had served before ended before a byte of the answer came."""


class Arriving:
    """An answer whose head is here. Pour it out to its end, or abort it."""

    def __init__(self, way: Outgoing, status: int, headers: Headers) -> None:
        self.status, self.headers = status, headers
        self._way: Outgoing | None = way
        self._parts: list[bytes] = []
        self._unread = 0
        self._take: Take | None = None
        self._poured: asyncio.Future[None] | None = None
        self._error: UpstreamFailed | None = None
        self._drains = False

    def give(self, take: Take) -> bool:
        """Gives to `take` what is here of the body; whether that was all of it, or enough. Raises: UpstreamFailed."""
        if self._parts and take(self._taken()):
            return True
        if self._error is not None:
            raise self._error
        return self._way is None

    async def pour(self, take: Take) -> None:
        """Gives the body to `take` as it comes; ends with it, or once enough has come. Raises: UpstreamFailed."""
        if self.give(take):
            return
        self._take = take
        self._poured = asyncio.get_running_loop().create_future()
        self.resume()
        try:
            await self._poured
        except asyncio.CancelledError:
            _forget(self._poured)
            raise
        finally:
            self._take = None

    def pause(self) -> None:
        """The provider has to wait."""
        if self._way is not None:
            self._way.pause()

    def resume(self) -> None:
        """It may go on."""
        if self._way is not None:
            self._way.resume()

    def abort(self) -> None:
        """Breaks the connection now; one that is read to its end stays for the next request."""
        way, self._way = self._way, None
        if way is not None:
            way.abort()

    def finish(self) -> None:
        """What is wanted of it is here: what follows is read for a moment, so that its connection can be used again."""
        if self._way is not None:
            self._drains, self._unread = True, 0
            self._way.drain()

    # -- for the connection ----------------------------------------------------------------------------------------

    def came(self, data: bytes) -> None:
        """More of the body."""
        self._unread += len(data)
        if not self._drains:
            self._parts.append(data)

    def push(self) -> None:
        """All that one read has brought is here."""
        if self._drains:
            if self._unread > DRAIN_BYTES_MAX:
                self.abort()
        elif self._take is None:
            if self._unread > UNREAD_BYTES_MAX:
                self.pause()
        elif self._parts:
            try:
                if self._take(self._taken()):
                    self._take = None
                    self._resolve()
            except UpstreamFailed as failed:
                self._error = failed
                self._resolve()

    def over(self, error: UpstreamFailed | None) -> None:
        """Nothing more comes."""
        self._way, self._error = None, error
        self._resolve()

    def _resolve(self) -> None:
        if self._poured is None or self._poured.done():
            return
        if self._error is not None:
            self._poured.set_exception(self._error)
        else:
            self._poured.set_result(None)

    def _taken(self) -> bytes:
        parts, self._parts, self._unread = self._parts, [], 0
        return parts[0] if len(parts) == 1 else b"".join(parts)


class Outgoing(asyncio.Protocol):
    """`on_idle` is called when it can serve again, `on_end` when it can't any more."""

    def __init__(
        self, read_seconds: float, on_idle: Callable[[Outgoing], None], on_end: Callable[[Outgoing], None]
    ) -> None:
        self._idle_since = 0.0
        self._read_seconds, self._on_idle, self._on_end = read_seconds, on_idle, on_end
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport
        self._parser = httptools.HttpResponseParser(self)
        self._asked: asyncio.Future[Arriving] | None = None
        self._answer: Arriving | None = None
        self._headers: Headers = []
        self._is_in_head = self._ends_with_connection = self._is_whole = self._is_paused = self._is_over = False
        self._has_served = self._has_heard = self._may_serve_again = False
        self._interim = self._unread = 0
        self._heard_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._drain_timer: asyncio.TimerHandle | None = None

    @property
    def is_open(self) -> bool:
        """Whether it can be asked."""
        return not self._is_over and not self._transport.is_closing()

    @property
    def idle_seconds(self) -> float:
        """How long nobody has asked it anything."""
        return self._loop.time() - self._idle_since

    async def ask(self, data: list[bytes]) -> Arriving:
        """Sends a request; gives the head of its answer. Raises: UpstreamFailed."""
        asked: asyncio.Future[Arriving] = self._loop.create_future()
        self._asked = asked
        self._is_whole = self._has_heard = False
        self._interim = 0
        self._heard_at = self._loop.time()
        if self._timer is None:
            self._timer = self._loop.call_later(self._read_seconds, self._look)
        self._transport.writelines(data)
        try:
            return await asked
        except asyncio.CancelledError:
            if self._asked is asked:
                self.abort()
            elif asked.done() and not asked.cancelled() and asked.exception() is None:
                asked.result().abort()  # of an answer that is whole already the connection may be another's by now
            raise

    # -- the transport's -------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is open."""
        self._transport = transport  # type: ignore[assignment]

    def connection_lost(self, exc: Exception | None) -> None:
        """It has ended; so has an answer whose end nothing else tells."""
        self._is_over = True
        for timer in (self._timer, self._drain_timer):
            if timer is not None:
                timer.cancel()
        if exc is None and self._answer is not None and self._ends_with_connection:
            self._answer.over(None)
            self._answer = None
        told = f": {type(exc).__name__}: {exc}"[:300] if exc else ""
        self._fail("the model's provider broke its answer off" + told)
        self._on_end(self)

    def data_received(self, data: bytes) -> None:
        """More from the provider; what nobody asked for ends the connection, lest it be taken for a later answer."""
        if self._is_over:
            return
        if self._asked is None and self._answer is None:
            self.abort()
            return
        self._heard_at = self._loop.time()
        self._has_heard = True
        self._unread += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            if not self._is_whole:
                self._break("the model's provider answered what is not HTTP")
                return
            self._is_over = True  # what stands behind a whole answer is nobody's
        if self._unread > HEAD_BYTES_MAX:
            self._break("the model's provider sent a head without an end")
            return
        if self._answer is not None:
            self._answer.push()
        if self._is_whole and self._answer is not None:
            self._done(self._answer)

    # -- the parser's ----------------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """An answer begins."""
        if self._is_whole:
            self._is_over = True  # it was not asked for: nobody uses this connection again
        self._headers, self._is_in_head = [], True

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header; a trailer is nobody's."""
        if self._is_in_head and len(self._headers) <= HEADERS_MAX:
            self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """The head is whole."""
        self._unread, self._is_in_head = 0, False
        status = self._parser.get_status_code()
        if self._asked is None or self._is_over:
            return
        if status < 200:
            self._interim += 1
            if status == 101 or self._interim > INTERIM_MAX:
                self._break(f"the model's provider answered {status}, which nobody asked for")
            return
        names = [name for name, _ in self._headers]
        codings = names.count(b"transfer-encoding")
        if len(names) > HEADERS_MAX or codings > 1 or (codings and not self._is_in_chunks()):
            self._break("the model's provider answered in a way that is not read here")
            return
        has_framing = bool(codings) or b"content-length" in names
        self._ends_with_connection = not has_framing and status not in NO_BODY_STATUSES
        self._may_serve_again = self._parser.should_keep_alive()
        asked, self._asked = self._asked, None
        if asked.done():  # nobody waits for it any more
            self.abort()
            return
        self._answer = Arriving(self, status, self._headers)
        asked.set_result(self._answer)

    def _is_in_chunks(self) -> bool:
        return any(name == b"transfer-encoding" and value.strip().lower() == CHUNKED for name, value in self._headers)

    def on_body(self, body: bytes) -> None:
        """A part of the body."""
        self._unread = 0
        if self._answer is not None and not self._is_whole:
            self._answer.came(body)

    def on_message_complete(self) -> None:
        """The answer is whole."""
        self._unread, self._is_in_head = 0, False
        if self._answer is not None:
            self._is_whole = True

    # -- for the answer --------------------------------------------------------------------------------------------

    def pause(self) -> None:
        """No more is read."""
        if not self._is_paused and self.is_open:
            self._is_paused = True
            self._transport.pause_reading()

    def resume(self) -> None:
        """It is read on."""
        if self._is_paused:
            self._is_paused, self._heard_at = False, self._loop.time()
            if self.is_open:
                self._transport.resume_reading()

    def drain(self) -> None:
        """The rest of the answer is read and thrown away."""
        self.resume()
        self._drain_timer = self._loop.call_later(DRAIN_SECONDS, self.abort)

    def abort(self) -> None:
        """Breaks it now."""
        self._is_over = True
        answer, self._answer = self._answer, None
        if answer is not None:
            answer.over(UpstreamFailed("the model's provider is not listened to any more"))
        self._transport.abort()

    # -- ends ------------------------------------------------------------------------------------------------------

    def _done(self, answer: Arriving) -> None:
        self._answer = None
        if self._drain_timer is not None:
            self._drain_timer.cancel()
            self._drain_timer = None
        can_serve = self._may_serve_again and not self._transport.get_write_buffer_size()
        if self._is_over or not can_serve:
            self.abort()
        else:
            self.resume()
            self._has_served, self._idle_since = True, self._loop.time()
            self._on_idle(self)
        answer.over(None)

    def _break(self, why: str, *, timed_out: bool = False) -> None:
        self._fail(why, timed_out=timed_out)
        self.abort()

    def _fail(self, why: str, *, timed_out: bool = False) -> None:
        asked, self._asked = self._asked, None
        answer, self._answer = self._answer, None
        if asked is not None and not asked.done():
            kind = Untold if self._has_served and not self._has_heard and not timed_out else UpstreamFailed
            asked.set_exception(kind(why, timed_out=timed_out, may_cost=timed_out, was_sent=not timed_out))
        if answer is not None:
            answer.over(UpstreamFailed(why, timed_out=timed_out))

    def _look(self) -> None:
        """A provider that is silent for too long, while it is read, has failed."""
        self._timer = None
        if self._is_over or (self._asked is None and self._answer is None):
            return
        now = self._loop.time()
        if self._is_paused:
            self._heard_at = now
        left = self._heard_at + self._read_seconds - now
        if left > 0:
            self._timer = self._loop.call_later(left, self._look)
        elif self._asked is not None:
            self._break("did not answer in time", timed_out=True)
        else:
            self._break("the model's provider has gone silent amid its answer", timed_out=True)


def _forget(future: asyncio.Future[Any]) -> None:
    """Nobody waits any more for what came at the moment when they left."""
    if future.done() and not future.cancelled():
        future.exception()
