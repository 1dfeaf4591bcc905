"""The process table by `/proc` and pidfds, for Linux; it decides nothing about what it lists."""

from __future__ import annotations

import os
import signal
import time

from opsconsole.supervisor.processes import DEAD, MARKER, Identity, ProcessInfo


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
