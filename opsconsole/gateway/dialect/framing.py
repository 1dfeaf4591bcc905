"""Server-sent events as they come off the wire: cuts bytes into frames and frames into fields; knows no model API.

The rules are those of the WHATWG's "Server-sent events" (9.2.5 and 9.2.6): a line ends with CR LF, LF or CR, a blank
line ends a frame, several `data` lines make one text, a line that begins with a colon is a comment.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from opsconsole.gateway.dialect.interface import FRAME_BYTES_MAX

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
BLANK_LINE = re.compile(rb"(?>\r\n|\n|\r)(?>\r\n|\n|\r)")
"""Leftmost, and atomic on CR LF, so that a CR LF is never taken for two line ends."""
BLANK_LINE_BYTES_MAX = 4


_UNCLEAR = re.compile(rb"[^\t\x20-\x7e]")
"""What no field but `data` needs, and what some clients take for the end of a line: a call could hide behind it."""
_FIELDS = frozenset({b"data", b"event", b"id", b"retry", b""})
"""A comment has no name."""


class FrameTooLong(ValueError):
    """More bytes without a blank line than anybody may send."""


class Frame(NamedTuple):
    """One server-sent event, or a run of comments: then `data` is empty."""

    raw: bytes
    """As it came, with the blank line that ends it."""
    event: str
    """Empty where the frame names none."""
    data: bytes
    """The `data` lines joined by LF, without their field names."""


def read_frame(raw: bytes) -> Frame:
    """The fields of one frame; `raw` holds at most one blank line, at its end. Never raises."""
    if raw.startswith(b"data: ") and raw.endswith(b"\n\n") and raw.count(b"\n") == 2 and b"\r" not in raw:
        return Frame(raw, "", raw[6:-2])
    if raw.startswith(b"event: ") and raw.endswith(b"\n\n") and raw.count(b"\n") == 3 and b"\r" not in raw:
        name, of_data, only = raw[7:-2].partition(b"\ndata: ")
        if of_data:
            return Frame(raw, name.decode("utf-8", "replace"), only)
    event, data = b"", []
    for line in raw.removeprefix(BYTE_ORDER_MARK).splitlines():
        field, _, value = line.partition(b":")
        value = value[1:] if value.startswith(b" ") else value
        if field == b"data":
            data.append(value)
        elif field == b"event":
            event = value
    return Frame(raw, event.decode("utf-8", "replace"), b"\n".join(data))


def is_clear(frame: Frame) -> bool:
    """Whether every client finds the same lines in a frame, and none in it that is no line of an event."""
    raw, size = frame.raw, len(frame.data)
    if raw.startswith(b"data: ") and len(raw) == size + 8:
        return True
    if raw.startswith(b"event: ") and len(raw) == len(frame.event) + size + 16:
        return frame.event.isascii() and frame.event.isprintable()
    lines = raw.removeprefix(BYTE_ORDER_MARK).splitlines()
    names = [line.partition(b":")[0] for line in lines]
    return _FIELDS.issuperset(names) and not any(
        _UNCLEAR.search(line) for line, name in zip(lines, names, strict=True) if name != b"data"
    )


def written_frame(data: bytes, event: str = "") -> bytes:
    """One frame with its blank line; `data` and `event` hold no line end (JSON text never does)."""
    return b"event: %b\ndata: %b\n\n" % (event.encode(), data) if event else b"data: %b\n\n" % data


class Frames:
    """Bytes in, however they are cut; whole frames out. Holds at most `bytes_max` bytes of an unfinished frame."""

    def __init__(self, bytes_max: int = FRAME_BYTES_MAX) -> None:
        self._bytes_max = bytes_max
        self._rest = bytearray()
        self._searched = 0
        self._has_cr = False

    @property
    def is_between(self) -> bool:
        """Whether the last frame is whole: what comes next begins one."""
        return not self._rest

    def feed(self, data: bytes) -> list[Frame]:
        """Raises: FrameTooLong; nothing may be fed after that."""
        rest = self._rest
        rest += data
        self._has_cr = self._has_cr or b"\r" in data
        frames: list[Frame] = []
        start = 0
        while (end := self._end_of_frame(max(start, self._searched))) >= 0:
            self._within(end - start)
            frames.append(read_frame(bytes(rest[start:end])))
            start = end
        if start:
            del rest[:start]
        self._searched = max(0, len(rest) - BLANK_LINE_BYTES_MAX)
        self._within(len(rest))
        return frames

    def end(self) -> list[Frame]:
        """No more bytes will come: what is left, as a last frame without its blank line."""
        left, self._rest, self._searched = bytes(self._rest), bytearray(), 0
        return [read_frame(left)] if left else []

    def _end_of_frame(self, start: int) -> int:
        """Where the first blank line after `start` ends, or -1. A CR at the very end may yet become a CR LF: wait."""
        rest = self._rest
        if not self._has_cr:
            found = rest.find(b"\n\n", start)
            return found + 2 if found >= 0 else -1
        match = BLANK_LINE.search(rest, start)
        if match is None or (match.end() == len(rest) and rest[-1] == 0x0D):
            return -1
        return match.end()

    def _within(self, size: int) -> None:
        if size > self._bytes_max:
            raise FrameTooLong(f"a frame of more than {self._bytes_max} bytes")
