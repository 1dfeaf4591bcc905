"""Keeps the last lines of what a command wrote, bounded in count and bytes; it neither writes nor judges them."""

from __future__ import annotations

import itertools
import threading
from collections import deque
from dataclasses import dataclass

LINES_MAX = 25
"""Kept of each stream, so that a flood on one does not drown the other's last words; a log holds more."""

LINE_BYTES_MAX = 512
"""A longer line keeps its end, where an error's text stands; two full streams fit in one event of the wire."""


@dataclass(slots=True)
class _Stream:
    lines: deque[tuple[int, bytes]]
    partial: bytes = b""


class Tail:
    """The last lines of one command, of all its streams in the order they came. Safe to feed from several threads."""

    def __init__(self, *, lines_max: int = LINES_MAX, line_bytes_max: int = LINE_BYTES_MAX) -> None:
        self._lines_max = lines_max
        self._line_bytes_max = line_bytes_max
        self._streams: dict[str, _Stream] = {}
        self._order = itertools.count()
        self._lock = threading.Lock()

    def feed(self, name: str, data: bytes) -> None:
        """Takes the next bytes of the stream of this name."""
        with self._lock:
            stream = self._streams.setdefault(name, _Stream(deque(maxlen=self._lines_max)))
            *complete, rest = (stream.partial + data).split(b"\n")
            for line in complete[-self._lines_max :]:
                stream.lines.append((next(self._order), self._cut(line.removesuffix(b"\r"))))
            stream.partial = rest[-self._line_bytes_max :]

    def lines(self) -> list[str]:
        """Gives the kept lines, oldest first, unfinished ones last; bytes that are not UTF-8 become U+FFFD."""
        with self._lock:
            complete = sorted(line for stream in self._streams.values() for line in stream.lines)
            unfinished = [self._cut(stream.partial) for stream in self._streams.values() if stream.partial]
        kept = [line for _, line in complete] + unfinished
        return [line.decode("utf-8", "replace") for line in kept]

    def _cut(self, line: bytes) -> bytes:
        # A progress bar rewrites its line after each carriage return: what a reader saw last is what counts.
        return line.rpartition(b"\r")[2][-self._line_bytes_max :]
