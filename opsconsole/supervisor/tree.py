"""Lists the live processes under a process and signals one of them safely; it never decides which should die."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any, Protocol

MARKER = "OPSCONSOLE_TREE"
"""Environment variable that every process of a tree inherits: colon-joined tokens, outermost supervisor first."""

PROCESSES_MAX = 100_000
"""One scan looks at no more processes than this: beyond it the machine itself is out of pids."""

DEAD = frozenset("ZXx")
STOPPED = frozenset("Tt")


@dataclass(frozen=True, slots=True)
class Identity:
    """One process for its whole life: `start` (kernel ticks, or seconds on macOS) tells it from a reuse of its pid."""

    pid: int
    start: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessInfo:
    """One look at one process. `age` and `cpu` in seconds, `rss` in bytes, `state` as the kernel's letter."""

    pid: int
    name: str
    age: float
    rss: int
    cpu: float
    start: float
    state: str
    parent: int

    @property
    def identity(self) -> Identity:
        return Identity(self.pid, self.start)

    @property
    def dead(self) -> bool:
        return self.state in DEAD

    @property
    def stopped(self) -> bool:
        return self.state in STOPPED or self.dead

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


class Processes(Protocol):
    """The process table, as much of it as a kill needs."""

    def children(self, pid: int) -> list[int]:
        """Gives the direct children, dead ones included until they are reaped; empty when there is no such process."""
        ...

    def look(self, pid: int) -> ProcessInfo | None:
        """Gives one look at a process, or None when there is none."""
        ...

    def send(self, target: Identity, number: int) -> bool:
        """Signals exactly this process; False when it is gone or its pid now names another. Raises: PermissionError."""
        ...

    def pids(self) -> list[int]:
        """Gives every pid there is."""
        ...

    def carries(self, pid: int, token: str) -> bool:
        """Tells whether the process started with this token in `OPSCONSOLE_TREE`; False where that cannot be read."""
        ...


def descendants(table: Processes, roots: Iterable[int]) -> Iterator[ProcessInfo]:
    """Yields the live processes at and under `roots`, parents first, and asks for a parent's children only after the
    consumer has seen the parent: who stops each process as it comes leaves no time for another child."""
    seen: set[int] = set()
    waiting = list(roots)
    while waiting and len(seen) < PROCESSES_MAX:
        pid = waiting.pop()
        if pid in seen:
            continue
        seen.add(pid)
        info = table.look(pid)
        if info is None:
            continue
        if not info.dead:
            yield info
        waiting.extend(table.children(pid))


class LinuxProcesses:
    """The process table as `/proc` shows it; signals travel by pidfd, so that no reused pid is ever hit."""

    def __init__(self) -> None:
        self._ticks = os.sysconf("SC_CLK_TCK")
        self._page = os.sysconf("SC_PAGE_SIZE")
        self._children_files = os.path.exists(f"/proc/self/task/{os.getpid()}/children")
        self._pidfd = hasattr(os, "pidfd_open") and hasattr(signal, "pidfd_send_signal")

    def children(self, pid: int) -> list[int]:
        if not self._children_files:
            return self._children_by_scan(pid)
        found: list[int] = []
        try:
            threads = os.listdir(f"/proc/{pid}/task")
        except OSError:
            return found
        for thread in threads:
            found.extend(map(int, _read(f"/proc/{pid}/task/{thread}/children").split()))
        return found

    def look(self, pid: int) -> ProcessInfo | None:
        raw = _read(f"/proc/{pid}/stat")
        if not raw:
            return None
        name = raw[raw.index(b"(") + 1 : raw.rindex(b")")]
        field = raw[raw.rindex(b")") + 2 :].split()
        start = int(field[19])
        return ProcessInfo(
            pid=pid,
            name=name.decode("utf-8", "replace"),
            age=max(0.0, round(time.clock_gettime(time.CLOCK_BOOTTIME) - start / self._ticks, 2)),
            rss=int(field[21]) * self._page,
            cpu=(int(field[11]) + int(field[12])) / self._ticks,
            start=start,
            state=field[0].decode(),
            parent=int(field[1]),
        )

    def send(self, target: Identity, number: int) -> bool:
        if not self._pidfd:
            return _is(self.look(target.pid), target) and _kill(target.pid, number)
        try:
            handle = os.pidfd_open(target.pid)
        except ProcessLookupError:
            return False
        try:
            # The handle is held first: the process it names cannot change between this look and the signal.
            if not _is(self.look(target.pid), target):
                return False
            signal.pidfd_send_signal(handle, number)
        except ProcessLookupError:
            return False
        finally:
            os.close(handle)
        return True

    def pids(self) -> list[int]:
        return [int(name) for name in os.listdir("/proc") if name.isdigit()]

    def carries(self, pid: int, token: str) -> bool:
        return _carries(_read(f"/proc/{pid}/environ"), token.encode())

    def _children_by_scan(self, pid: int) -> list[int]:
        looks = filter(None, map(self.look, self.pids()))
        return [info.pid for info in looks if info.parent == pid]


def process_table() -> Processes:
    """Gives this system's process table."""
    if sys.platform == "linux":
        return LinuxProcesses()
    from opsconsole.supervisor.polled import PsutilProcesses  # psutil is heavy: only where `/proc` is missing

    return PsutilProcesses()


def _is(info: ProcessInfo | None, target: Identity) -> bool:
    return info is not None and info.identity == target


def _kill(pid: int, number: int) -> bool:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


def _carries(environ: bytes, token: bytes) -> bool:
    prefix = MARKER.encode() + b"="
    return any(entry.startswith(prefix) and token in entry[len(prefix) :].split(b":") for entry in environ.split(b"\0"))


def _read(path: str) -> bytes:
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    parts = []
    try:
        while part := os.read(handle, 65536):
            parts.append(part)
    except OSError:
        return b""
    finally:
        os.close(handle)
    return b"".join(parts)
