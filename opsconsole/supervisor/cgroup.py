"""A cgroup v2 for one tree, where one can be made: the kernel then kills it whole; without one, sweep.py suffices."""

from __future__ import annotations

import errno
import os
import time
from dataclasses import dataclass

SELF = "/proc/self/cgroup"
MOUNTS = "/proc/self/mounts"

BUSY_SECONDS = 0.2
BUSY_LOOK_SECONDS = 0.002
"""A process that was waited for may still be on its way out of its cgroup, for a moment."""


@dataclass(frozen=True, slots=True)
class Cgroup:
    """One directory below our own cgroup."""

    path: str

    def join(self) -> None:
        """Moves the calling process in. Raises: OSError."""
        _write(f"{self.path}/cgroup.procs", "0")

    def kill(self) -> None:
        """Kills every process in it, those being forked too; a failure leaves the work to the signals."""
        try:
            _write(f"{self.path}/cgroup.kill", "1")
        except OSError:
            return

    def members(self) -> list[int]:
        """Gives the live processes in it; those in a cgroup that the command made below it are not among them."""
        try:
            with open(f"{self.path}/cgroup.procs", encoding="ascii") as file:
                return [pid for pid in map(int, file) if pid > 0]  # 0: in a pid namespace that is not below ours
        except OSError:
            return []

    def remove(self) -> None:
        """Removes it when it is empty; waits at most `BUSY_SECONDS` for the kernel to have let its last process go."""
        until = time.monotonic() + BUSY_SECONDS
        while not self._removed() and time.monotonic() < until:
            time.sleep(BUSY_LOOK_SECONDS)

    def _removed(self) -> bool:
        try:
            os.rmdir(self.path)
        except OSError as error:
            return error.errno != errno.EBUSY
        return True


def name_of(token: str) -> str:
    """Gives the name of the cgroup of the tree with this token."""
    return f"opsconsole-{token}"


def make(name: str) -> Cgroup | None:
    """Makes a cgroup of this name below the caller's own; None where the system gives none (no v2, no right, no
    `cgroup.kill` before Linux 5.14)."""
    parent = _own_directory()
    if parent is None:
        return None
    made = Cgroup(f"{parent}/{name}")
    try:
        os.mkdir(made.path)
    except OSError:
        return None
    if not os.path.exists(f"{made.path}/cgroup.kill"):
        made.remove()
        return None
    return made


def find(name: str) -> Cgroup | None:
    """Gives the cgroup that a child of the caller has made of this name, if it has."""
    parent = _own_directory()
    return Cgroup(f"{parent}/{name}") if parent and os.path.isdir(f"{parent}/{name}") else None


def _own_directory() -> str | None:
    try:
        with open(MOUNTS, encoding="utf-8") as mounts, open(SELF, encoding="utf-8") as own:
            points = [fields[1] for fields in map(str.split, mounts) if fields[2] == "cgroup2"]
            paths = [line[3:].strip() for line in own if line.startswith("0::")]
    except OSError:
        return None
    if not points or not paths:
        return None
    return points[0] + paths[0].rstrip("/")


def _write(path: str, text: str) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(handle, text.encode())
    finally:
        os.close(handle)
