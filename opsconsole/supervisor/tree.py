"""Lists the live processes under a process and signals one of them safely; it never decides which should die."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any, Protocol

MARKER = "OPSCONSOLE_TREE"
"""Environment variable that every process of a tree inherits: colon-joined tokens, outermost supervisor first."""

PROCESSES_MAX = 100_000
"""One scan looks at no more processes than this: beyond it the machine itself is out of pids."""

CENSUS_WALKS_MAX = 8
"""A tree that is never twice the same is one that forks and dies all the time: what is listed of it is old anyhow."""

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

    def session(self, pid: int) -> int | None:
        """Gives the session that the process is in, dead ones included until they are reaped; None when it is gone."""
        ...


def walk(table: Processes, roots: Iterable[int]) -> Iterator[ProcessInfo | None]:
    """Yields what is at and under `roots`, dead processes too, parents first; None for one that went before it could be
    looked at. A parent's children are asked for only after the consumer has seen the parent: who stops each process as
    it comes leaves no time for another child. One walk is no proof: what loses its parent meanwhile moves to where the
    walk has already been."""
    seen: set[int] = set()
    waiting = list(roots)
    while waiting and len(seen) < PROCESSES_MAX:
        pid = waiting.pop()
        if pid in seen:
            continue
        seen.add(pid)
        info = table.look(pid)
        yield info
        if info is not None:
            waiting.extend(table.children(pid))


def descendants(table: Processes, roots: Iterable[int]) -> Iterator[ProcessInfo]:
    """Yields the live processes of one walk."""
    return (info for info in walk(table, roots) if info is not None and not info.dead)


def census(table: Processes, roots: Callable[[], Iterable[int]]) -> list[ProcessInfo]:
    """Lists the live processes at and under `roots()`, parents first: walks until two walks agree on who is there and
    who of them is dead, at most `CENSUS_WALKS_MAX` times, so that a death meanwhile hides nobody."""
    found: list[ProcessInfo | None] = []
    earlier: set[tuple[Identity, bool]] | None = None
    for _ in range(CENSUS_WALKS_MAX):
        found = list(walk(table, roots()))
        now = {(info.identity, info.dead) for info in found if info is not None}
        if now == earlier and None not in found:
            break
        earlier = now
    return [info for info in found if info is not None and not info.dead]


def settled_children(table: Processes, pid: int) -> list[int] | None:
    """Lists the direct children as they were at one moment; None while they change too fast to tell.

    The kernel may skip a child when another, listed just before it, is collected in between; that other one is then in
    this list and not in the next. So two equal lists in a row are whole."""
    earlier: list[int] | None = None
    for _ in range(CENSUS_WALKS_MAX):
        found = table.children(pid)
        if found == earlier:
            return found
        earlier = found
    return None


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
        field = _after_name(raw)
        start, state = int(field[19]), field[0].decode()
        if state in DEAD and int(field[17]) > 1:
            state = self._state_of_threads(pid) or state
        return ProcessInfo(
            pid=pid,
            name=name.decode("utf-8", "replace"),
            age=max(0.0, round(time.clock_gettime(time.CLOCK_BOOTTIME) - start / self._ticks, 2)),
            rss=int(field[21]) * self._page,
            cpu=(int(field[11]) + int(field[12])) / self._ticks,
            start=start,
            state=state,
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

    def session(self, pid: int) -> int | None:
        raw = _read(f"/proc/{pid}/stat")
        return int(_after_name(raw)[3]) if raw else None

    def _state_of_threads(self, pid: int) -> str | None:
        """A process whose first thread has ended looks like a dead one, and its other threads work on."""
        try:
            threads = os.listdir(f"/proc/{pid}/task")
        except OSError:
            return None
        raws = filter(None, (_read(f"/proc/{pid}/task/{thread}/stat") for thread in threads))
        states = (_after_name(raw)[0].decode() for raw in raws)
        return next((state for state in states if state not in DEAD), None)

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


def _after_name(stat: bytes) -> list[bytes]:
    """The fields of a stat line from the state on: the name before them may hold anything."""
    return stat[stat.rindex(b")") + 2 :].split()


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
