"""One request of a client and the way back for its answer: framed and written here, decided elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Protocol

from opsconsole.gateway.held_bytes import TooMuchHeld
from opsconsole.gateway.request_body import BodyRefused
from opsconsole.gateway.wire.headers import NO_BODY_STATUSES, Headers, RequestHead, written_head, written_lines

CUT_SECONDS = 1.0
"""How long a cut client may take to read why."""
_FIRST_LINES = {int(one): f"HTTP/1.1 {int(one)} {one.phrase}\r\n".encode() for one in HTTPStatus}
_CLOSES = (b"connection", b"close")
_CLOSING = b"connection: close\r\n"
_IN_CHUNKS = (b"transfer-encoding", b"chunked")


def nothing() -> None:
    """What is done where nobody wants to know."""


class Way(Protocol):
    """A connection, as far as an answer needs it."""

    is_full: bool
    """Whether the client reads so slowly that no more is to be written now."""
    keeps_alive: bool
    """Whether another request may follow."""

    write: Callable[[bytes], None]

    def answered(self) -> None: ...
    def close_soon(self, seconds: float) -> None: ...
    def abort(self) -> None: ...
    def reset(self) -> None: ...


class Exchange:
    """A whole request. Begin, write and end its answer, or give it at once; with the client gone that does nothing."""

    __slots__ = (
        "_has_begun",
        "_head",
        "_is_bare",
        "_is_chunked",
        "_way",
        "body",
        "gone",
        "head",
        "headers",
        "is_old",
        "method",
        "on_gone",
        "on_room",
        "path",
        "query",
        "refused",
    )

    def __init__(self, way: Way, *, method: str, target: bytes, head: RequestHead, body: bytes, is_old: bool) -> None:
        self.method, self.head, self.body = method, head, body
        path, _, query = (target if target.startswith(b"/") else _without_place(target)).partition(b"?")
        self.path = path.decode("ascii", "replace")
        self.query = query
        self.headers = head.named
        self.is_old = is_old
        """HTTP/1.0: such a client takes the end of its connection for the end of its answer."""
        self.refused: BodyRefused | TooMuchHeld | None = None
        """Why the request was not read to its end."""
        self.gone = False
        """Whether the client has closed its connection."""
        self.on_gone: Callable[[], None] = nothing
        """Called once, when the client closes before its answer is whole."""
        self.on_room: Callable[[], None] = nothing
        """Called when more can be written after `is_full`."""
        self._way: Way | None = way
        self._head = b""
        self._has_begun = self._is_chunked = self._is_bare = False

    @property
    def is_full(self) -> bool:
        """Whether the client is behind: what is written now is kept in memory."""
        return self._way is not None and self._way.is_full

    def answer(self, status: int, headers: Headers, body: bytes) -> None:
        """All of the answer."""
        way = self._way
        if way is None or self._has_begun:
            return
        self._has_begun = True
        is_bare = status in NO_BODY_STATUSES
        closes = b"" if way.keeps_alive else _CLOSING
        sized = b"" if is_bare else b"content-length: %d\r\n" % len(body)
        shown = b"" if is_bare or self.method == "HEAD" else body
        way.write(b"".join((_first_line(status), written_lines(headers), sized, closes, b"\r\n", shown)))
        self._over(way)

    def begin(self, status: int, headers: Headers) -> None:
        """The answer's head: it goes with the first bytes."""
        way = self._way
        if way is None or self._has_begun:
            return
        self._has_begun = True
        self._is_bare = status in NO_BODY_STATUSES or self.method == "HEAD"
        self._is_chunked = not (self.is_old or self._is_bare)
        if self._is_chunked:
            headers = [*headers, _IN_CHUNKS]
        elif not self._is_bare:
            way.keeps_alive = False
        self._head = written_head(_first_line(status), headers if way.keeps_alive else [*headers, _CLOSES])

    def write(self, data: bytes) -> None:
        """The next bytes of the body."""
        way = self._way
        if way is None:
            return
        head, self._head = self._head, b""
        if self._is_bare or not data:
            data = b""
        elif self._is_chunked:
            data = b"%x\r\n%b\r\n" % (len(data), data)
        if head or data:
            way.write(head + data if head else data)

    def end(self, data: bytes = b"") -> None:
        """The body is whole, with these last bytes of it."""
        way = self._way
        if way is None:
            return
        head, self._head = self._head, b""
        if self._is_chunked:
            data = b"%x\r\n%b\r\n0\r\n\r\n" % (len(data), data) if data else b"0\r\n\r\n"
        elif self._is_bare:
            data = b""
        if head or data:
            way.write(head + data)
        self._over(way)

    def cut(self) -> None:
        """No more comes, and the connection breaks behind what has been written: nobody takes it for an answer."""
        way = self._way
        if way is None:
            return
        if self.is_old or not self._has_begun:
            way.reset()
            return
        self.write(b"")
        way.close_soon(CUT_SECONDS)

    def abort(self) -> None:
        """The connection breaks now, whatever has not gone out yet."""
        if self._way is not None:
            self._way.abort()

    def left(self) -> None:
        """For the connection: the client has closed it."""
        if self._way is not None:
            self._way, self.gone = None, True
            self.on_gone()

    def _over(self, way: Way) -> None:
        self._way = None
        self.on_gone = self.on_room = nothing
        way.answered()


def _first_line(status: int) -> bytes:
    return _FIRST_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status


def _without_place(target: bytes) -> bytes:
    """A target as proxies are asked: `http://place/path`."""
    _, slash, path = target.partition(b"://")[2].partition(b"/")
    return slash + path
