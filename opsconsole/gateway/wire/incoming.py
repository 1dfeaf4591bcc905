"""One client's connection: its bytes become requests, one at a time and each within its bounds; it knows no route.

A head has to be whole in HEAD_SECONDS, a body may not pause for longer than BODY_QUIET_SECONDS, nor a client that is
being sent something, with more of it waiting, take nothing for longer than UNTAKEN_SECONDS. A second request before
the first one's answer breaks the connection: while one is held, nobody could see its client go.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import Callable
from typing import Final

import httptools

from opsconsole.gateway.held_bytes import HeldBytes, TooMuchHeld
from opsconsole.gateway.request_body import BODY_BYTES_MAX, BodyRefused, too_large
from opsconsole.gateway.wire.exchange import Exchange
from opsconsole.gateway.wire.headers import CHUNKED, HEAD_BYTES_MAX, HEADERS_MAX, Headers, RequestHead

KEEP_ALIVE_SECONDS = 75.0
"""Longer than the pools of clients keep a connection: the one who closes first should be the client."""
HEAD_SECONDS = 20.0
"""From the first byte of a head to its last."""
BODY_QUIET_SECONDS = 60.0
BODY_SECONDS_MAX = 900.0
"""For all of a body: 64 MiB over a slow line."""
UNTAKEN_SECONDS = 120.0
"""For the next bytes of an answer, where the client lets them wait."""
LINGER_SECONDS = 20.0
"""A client whose request was refused half read may send the rest of it before it reads why."""
_RESET = struct.pack("ii", 1, 0)
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_FRAMING = frozenset({b"transfer-encoding", b"upgrade", b"expect"})
NO_HEAD: Final = RequestHead([])
_BAD_HTTP: Final = "opsconsole: the request is not HTTP/1.1 as everybody reads it"
_TOO_LARGE_HEAD: Final = f"opsconsole: a head has at most {HEAD_BYTES_MAX} bytes and {HEADERS_MAX} headers"


class Incoming(asyncio.Protocol):
    """`app` is called with each whole request; `open_now` holds the connections that are open."""

    def __init__(
        self, app: Callable[[Exchange], None], open_now: set[Incoming], held: HeldBytes, *, is_welcome: bool = True
    ) -> None:
        self._is_welcome = is_welcome
        self._kept = held.share()
        """Of a body that is not whole."""
        self.is_full = False
        self.keeps_alive = True
        self.transport: asyncio.Transport
        self.write: Callable[[bytes], None]
        """Bytes of an answer go out."""
        self._app, self._open_now = app, open_now
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpRequestParser(self)
        self._exchange: Exchange | None = None
        self._ready: Exchange | None = None
        """To be given to the app once the parser is done with what has come."""
        self._target = b""
        self._headers: Headers = []
        self._length: bytes | None = None
        """The length of the body that the head tells."""
        self._head = NO_HEAD
        """Of the last request."""
        self._body = bytearray()
        """What has come of it: one piece of memory, for clients may send it in tiny ones."""
        self._declined: BodyRefused | TooMuchHeld | None = None
        """Why the app is to say no to what was read."""
        self._size = self._unread = 0
        """Of the body; and the bytes that came since the last sign of progress."""
        self._is_in_head = self._is_in_body = self._is_over = self._is_discarding = self._is_old = False
        self._patience = KEEP_ALIVE_SECONDS
        """How long the client may take for what is awaited of it; 0 while nothing is."""
        self._since = self._body_began = self._loop.time()
        self._untaken = 0
        """Bytes of answers that the client had not taken when it was last looked at."""

    # -- the transport's -------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client is there."""
        self.transport = transport  # type: ignore[assignment]
        self.write = self.transport.write
        self._open_now.add(self)
        if not self._is_welcome:
            self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """It closed, or was cut."""
        self._is_over = True
        self._open_now.discard(self)
        self._kept.give_back()
        self._head = NO_HEAD
        exchange, self._exchange, self._ready = self._exchange, None, None
        if exchange is not None:
            exchange.left()

    def data_received(self, data: bytes) -> None:
        """More from the client; what has no end is not read on."""
        if self._is_over:
            return
        self._unread += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self.keeps_alive = False
            self._is_over = True  # the bytes behind are of a protocol that is not spoken here
        except httptools.HttpParserError:
            self._refuse(400, "bad_http", _BAD_HTTP)
            return
        if self._unread > HEAD_BYTES_MAX:
            self._refuse(431, "head_too_large", _TOO_LARGE_HEAD)
        ready, self._ready = self._ready, None
        if ready is not None and not self.transport.is_closing():
            self._app(ready)

    def pause_writing(self) -> None:
        """The client reads slowly."""
        self.is_full = True

    def resume_writing(self) -> None:
        """It has caught up."""
        self.is_full, self._untaken = False, 0
        if self._exchange is not None:
            self._exchange.on_room()

    # -- the parser's ----------------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """A request begins."""
        self._target, self._headers, self._length, self._is_in_head = b"", [], None, True
        if self._exchange is None:
            self._await(HEAD_SECONDS)

    def on_url(self, url: bytes) -> None:
        """A part of the target."""
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header; a trailer is nobody's."""
        if not self._is_in_head:
            return
        if len(self._headers) >= HEADERS_MAX:
            self._refuse(431, "head_too_large", _TOO_LARGE_HEAD)
            return
        name = name.lower()
        if name == b"content-length":
            self._length = value
        else:
            self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        """A request's head is whole."""
        self._unread, self._is_in_head = 0, False
        if self._is_over:
            return
        if self._exchange is not None:
            self.abort()
            return
        self._body, self._size, self._is_in_body, self._declined = bytearray(), 0, True, None
        self._body_began = self._loop.time()
        self._await(BODY_QUIET_SECONDS)
        if self._headers != self._head.raw:
            self._head = RequestHead(self._headers)
        self._is_old = self._parser.get_http_version() != "1.1"
        self.keeps_alive = self._parser.should_keep_alive() and not self._is_old
        self._look_at_framing()

    def on_body(self, body: bytes) -> None:
        """A part of a body."""
        self._unread = 0
        if self._is_over or self._is_discarding:
            return
        self._since = self._loop.time()
        self._size += len(body)
        self._body += body
        if self._size > BODY_BYTES_MAX:
            self._decline(too_large())
            return
        try:
            self._kept.take(len(body))
        except TooMuchHeld as full:
            self._decline(full)

    def on_message_complete(self) -> None:
        """A request is whole."""
        self._unread, self._is_in_head, self._is_in_body = 0, False, False
        if self._is_discarding:
            self._is_discarding = False
            if self._exchange is None:
                self.transport.close()
            return
        if not self._is_over:
            self._patience = 0.0
            self._make(bytes(self._body)).refused = self._declined

    def _look_at_framing(self) -> None:
        """Refuses what proxies have been fooled with, and what is too large before it comes; then asks for the body.

        The wish for another protocol is not heard, as HTTP lets a server do: some clients wish for HTTP/2 whenever they
        connect. It is refused where nothing else would do, and with a body, which the parser then does not read.
        """
        expects, size = False, int(self._length or b"0")
        has_body = size > 0
        is_lost = self._parser.get_method() == b"CONNECT"
        for name, value in self._headers:
            if name not in _FRAMING:
                continue
            if name == b"transfer-encoding" and (self._is_old or value.strip().lower() != CHUNKED):
                self._refuse(501, "bad_http", "opsconsole: of transfer encodings only chunked is read, in HTTP/1.1")
                return
            elif name == b"transfer-encoding":
                has_body = True
            elif name == b"upgrade":
                is_lost = is_lost or b"websocket" in value.lower()
            elif name == b"expect":
                expects = value.strip().lower() == b"100-continue"
        if self._parser.should_upgrade() and (is_lost or has_body):
            self._declined = BodyRefused(426, "no_upgrade", "no other protocol is spoken here")
        elif size > BODY_BYTES_MAX:
            self._decline(too_large())
        elif expects and not self._is_old:
            self.transport.write(_CONTINUE)

    def _make(self, body: bytes) -> Exchange:
        self._body = bytearray()
        self._kept.give_back()
        made = Exchange(
            self,
            method=self._parser.get_method().decode("ascii"),
            target=self._target,
            head=self._head,
            body=body,
            is_old=self._is_old,
        )
        self._exchange = self._ready = made
        return made

    def _decline(self, why: BodyRefused | TooMuchHeld) -> None:
        """The app says no; what still comes of the request is thrown away."""
        self._is_discarding, self.keeps_alive = True, False
        self._make(b"").refused = why

    # -- for the answer --------------------------------------------------------------------------------------------

    def answered(self) -> None:
        """The answer is whole."""
        self._exchange = None
        if self._is_discarding:
            self._await(LINGER_SECONDS)
        elif self.keeps_alive and not self._is_over:
            self._await(KEEP_ALIVE_SECONDS)
        else:
            self.transport.close()

    def close_soon(self, seconds: float) -> None:
        """Breaks the connection once what was written has gone out, and after so many seconds in any case."""
        self._is_over = True
        self.transport.close()
        self._loop.call_later(seconds, self.transport.abort)

    def abort(self) -> None:
        """Breaks it now, whatever has not gone out."""
        self._is_over = True
        self.transport.abort()

    def reset(self) -> None:
        """Breaks it so that also a client for which an end is an end sees that this is none."""
        found = self.transport.get_extra_info("socket")
        if found is not None and found.fileno() >= 0:
            with socket.fromfd(found.fileno(), found.family, found.type) as same:
                same.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.abort()

    # -- for the server --------------------------------------------------------------------------------------------

    def look(self, now: float) -> None:
        """Ends a connection whose client takes too long."""
        untaken, before = self.transport.get_write_buffer_size(), self._untaken
        if untaken < before or (untaken and not before):
            self._since = now
        self._untaken = untaken
        patience = UNTAKEN_SECONDS if untaken else self._patience
        too_slow = patience and now - self._since > patience
        if too_slow or (self._is_in_body and now - self._body_began > BODY_SECONDS_MAX):
            self.abort()

    def leave(self) -> None:
        """No further request is taken."""
        self.keeps_alive = False
        if self._exchange is None:
            self._is_over = True
            self.transport.close()

    def _await(self, seconds: float) -> None:
        self._patience, self._since = seconds, self._loop.time()

    def _refuse(self, status: int, code: str, message: str) -> None:
        """What cannot be read is answered by HTTP alone, unless an answer is under way."""
        if self._is_over:
            return
        self._is_over, self._ready = True, None
        if self._exchange is not None:
            self.abort()
            return
        told = {"type": "error", "error": {"type": "invalid_request_error", "code": code, "message": message}}
        refused = Exchange(self, method="", target=b"", head=NO_HEAD, body=b"", is_old=False)
        self.keeps_alive = False
        refused.answer(status, [(b"content-type", b"application/json")], json.dumps(told).encode())
