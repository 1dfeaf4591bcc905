"""What both directions of HTTP agree on: raw headers, those of a connection, how large a head is; it moves no bytes."""

from __future__ import annotations

Headers = list[tuple[bytes, bytes]]
"""Names in lower case, and values, in the order in which they came."""

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
HEAD_BYTES_MAX = 131_072
"""Of a first line and headers, of trailers, and of what stands between two chunks."""
HEADERS_MAX = 256
"""More than any client or provider sends."""
CHUNKED = b"chunked"
NO_BODY_STATUSES = frozenset({204, 304})
"""Their answers end with their head."""


class BadHead(ValueError):
    """A head that would be read as another one."""


class SentAgain(list[tuple[bytes, bytes]]):
    """Headers that go out more than once, and are not changed: they are put in bytes the first time."""

    _lines: bytes | None = None

    @property
    def lines(self) -> bytes:
        """As they are sent. Raises: BadHead."""
        if self._lines is None:
            self._lines = _joined(self)
        return self._lines


class RequestHead:
    """The headers of a request. The next one of a connection mostly has the same: what was worked out serves again."""

    __slots__ = ("forwarded", "named", "raw")

    def __init__(self, raw: Headers) -> None:
        self.raw = raw
        """All but the length of its body, which each request has for itself."""
        self.named = {name.decode("latin-1"): value.decode("latin-1") for name, value in raw}
        self.forwarded: SentAgain | None = None
        """What of them goes upstream, once somebody has said so."""


def written_head(first_line: bytes, headers: Headers) -> bytes:
    """A head as bytes, with the blank line; the first line ends with its line end.
    Raises: BadHead, where a line end stands in it."""
    if first_line.count(b"\n") != 1 or first_line.count(b"\r") != 1:
        raise BadHead("a line end stands in a first line")
    return first_line + written_lines(headers) + b"\r\n"


def written_lines(headers: Headers) -> bytes:
    """Headers as bytes. Raises: BadHead, as above."""
    return headers.lines if isinstance(headers, SentAgain) else _joined(headers)


def _joined(headers: Headers) -> bytes:
    lines = b"".join([b"%b: %b\r\n" % one for one in headers])
    if lines.count(b"\n") != len(headers) or lines.count(b"\r") != len(headers):
        raise BadHead("a line end stands in a header")
    return lines
