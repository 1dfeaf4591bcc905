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


def written_head(first_line: bytes, headers: Headers) -> bytes:
    """A head as bytes, with the blank line. Raises: BadHead, where a line end stands in it."""
    lines = [first_line]
    for name, value in headers:
        lines += (name, b": ", value, b"\r\n")
    lines.append(b"\r\n")
    head = b"".join(lines)
    if head.count(b"\n") != len(headers) + 2 or head.count(b"\r") != len(headers) + 2:
        raise BadHead("a line end stands in a header")
    return head
