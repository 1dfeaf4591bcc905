"""The process table by psutil, for systems without `/proc`; slower, and blind to what happens between two looks."""

from __future__ import annotations

import os
import time

import psutil

from opsconsole.supervisor.processes import MARKER, Identity, ProcessInfo

STATES = {
    psutil.STATUS_ZOMBIE: "Z",
    psutil.STATUS_DEAD: "X",
    psutil.STATUS_STOPPED: "T",
    psutil.STATUS_TRACING_STOP: "t",
}


class PsutilProcesses:
    """The process table as psutil shows it; a signal is sent right after the start time was compared."""

    def children(self, pid: int) -> list[int]:
        try:
            return [child.pid for child in psutil.Process(pid).children()]
        except psutil.Error:
            return []

    def look(self, pid: int) -> ProcessInfo | None:
        try:
            process = psutil.Process(pid)
            with process.oneshot():
                return _info(process)
        except psutil.Error:
            return None

    def send(self, target: Identity, number: int) -> bool:
        info = self.look(target.pid)
        if info is None or info.identity != target:
            return False
        try:
            os.kill(target.pid, number)
        except ProcessLookupError:
            return False
        return True

    def pids(self) -> list[int]:
        return psutil.pids()

    def carries(self, pid: int, token: str) -> bool:
        return token in _environment(pid).get(MARKER, "").split(":")

    def session(self, pid: int) -> int | None:
        try:
            return os.getsid(pid)
        except (ProcessLookupError, PermissionError):
            return None


def _info(process: psutil.Process) -> ProcessInfo:
    start = process.create_time()
    state = STATES.get(process.status(), "R")
    try:
        times, rss = process.cpu_times(), process.memory_info().rss
        cpu = times.user + times.system
    except (psutil.AccessDenied, psutil.ZombieProcess):
        cpu, rss = 0.0, 0
    return ProcessInfo(
        pid=process.pid,
        name=process.name(),
        age=max(0.0, round(time.time() - start, 2)),
        rss=rss,
        cpu=cpu,
        start=start,
        state=state,
        parent=process.ppid(),
    )


def _environment(pid: int) -> dict[str, str]:
    try:
        return psutil.Process(pid).environ()
    except (psutil.Error, OSError):
        return {}
