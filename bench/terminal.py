"""A program in a pseudo-terminal as fast or as slow as asked: keys in, painted bytes out with their times."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from subprocess import Popen

PROBE = b"\x1b[6n"
ANSWER = b"\x1b[1;1R"
CHUNK_BYTES = 65_536
SLICE_SECONDS = 0.01
"""A slow line takes its bytes in slices of this long."""
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


class Terminal:
    """The far end of a pseudo-terminal; it answers questions for the cursor as a real one does."""

    def __init__(self, descriptor: int, process: Popen[bytes], bytes_per_second: float | None) -> None:
        self.process = process
        self.bytes_read = 0
        self._descriptor = descriptor
        self._rate = bytes_per_second
        self._free_at = 0.0

    def press(self, key: str) -> float:
        """Type a key; gives when."""
        at = time.monotonic()
        os.write(self._descriptor, key.encode())
        return at

    def read(self, seconds: float) -> bytes:
        """What is painted within that time at most: the first bytes that come."""
        until = time.monotonic() + seconds
        while True:
            now = time.monotonic()
            start = max(now, self._free_at)
            if start >= until:
                time.sleep(max(0.0, until - now))
                return b""
            if not select.select([self._descriptor], [], [], until - now)[0]:
                return b""
            time.sleep(max(0.0, self._free_at - time.monotonic()))
            return self._take()

    def _take(self) -> bytes:
        most = CHUNK_BYTES if self._rate is None else max(1, int(self._rate * SLICE_SECONDS))
        data = os.read(self._descriptor, most)
        if self._rate is not None:
            self._free_at = max(time.monotonic(), self._free_at) + len(data) / self._rate
            time.sleep(max(0.0, self._free_at - time.monotonic()))
        self.bytes_read += len(data)
        for _ in range(data.count(PROBE)):
            os.write(self._descriptor, ANSWER)
        return data

    def rest(self, seconds: float) -> None:
        """Let it paint for that long."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self.read(left)

    def seconds_until(self, pattern: re.Pattern[bytes], since: float, patience_seconds: float) -> float:
        """From `since` until something that matches has been painted. Raises: TimeoutError."""
        seen = b""
        until = since + patience_seconds
        while (left := until - time.monotonic()) > 0:
            seen += self.read(left)
            if pattern.search(seen):
                return time.monotonic() - since
        raise TimeoutError(f"nothing painted matches {pattern.pattern!r}: {seen[-500:]!r}")

    def cpu_seconds(self) -> float:
        """What the process has used so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND

    def memory_mib(self) -> float:
        """What the process holds now."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) / 1_024


@contextlib.contextmanager
def terminal(
    command: list[str],
    environment: Mapping[str, str],
    *,
    columns: int,
    rows: int,
    bytes_per_second: float | None = None,
) -> Iterator[Terminal]:
    """The program, running in a terminal of that size, until the block ends."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    process = Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=dict(environment), start_new_session=True)
    os.close(theirs)
    try:
        yield Terminal(ours, process, bytes_per_second)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        os.close(ours)
