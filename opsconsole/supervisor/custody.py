"""Which processes belong to a tree, and when the tree is proven empty; how to stop and kill them is sweep.py's."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Set
from dataclasses import dataclass

from opsconsole.supervisor.cgroup import Cgroup
from opsconsole.supervisor.tree import Identity, Processes, ProcessInfo, descendants

MAX_RSS_UNIT = 1024 if sys.platform == "linux" else 1
"""`ru_maxrss` counts KiB on Linux, bytes on macOS."""

ADOPTED_LOOK_SECONDS = 0.001
"""How often the outer process looks for the end of what it adopted: another part of it may own SIGCHLD."""


@dataclass(slots=True)
class Usage:
    """Summed over every process of the tree that ended: seconds of CPU; the largest resident size, in bytes."""

    user_seconds: float = 0.0
    system_seconds: float = 0.0
    max_rss: int = 0
    ended: int = 0

    def add(self, user: float, system: float, max_rss: int) -> None:
        self.user_seconds += user
        self.system_seconds += system
        self.max_rss = max(self.max_rss, max_rss * MAX_RSS_UNIT)
        self.ended += 1


class OwnTree:
    """The tree of a subreaper that started one command: everything below this process. The kernel's "no child" is the
    proof: with a subreaper, a descendant without a living ancestor below it is its child."""

    def __init__(self, table: Processes, *, wait: Callable[[float], bool]) -> None:
        self.table = table
        self.main = 0
        self.status: int | None = None
        self.usage = Usage()
        self.cgroup: Cgroup | None = None
        self._wait = wait

    def roots(self) -> list[int]:
        return self.table.children(os.getpid())

    def reap(self) -> bool:
        while True:
            try:
                pid, status, used = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return True
            if pid == 0:
                return False
            self.usage.add(used.ru_utime, used.ru_stime, used.ru_maxrss)
            if pid == self.main:
                self.status = status

    def wait(self, seconds: float) -> bool:
        return self._wait(seconds)

    def strike(self) -> None:
        if self.cgroup is not None:
            self.cgroup.kill()


class TrackedTree(OwnTree):
    """The tree where no subreaper is to be had: what was seen below this process at any look, and what carries its
    token. `watch` must be called often; what escapes between two looks and clears its environment is not seen."""

    def __init__(self, table: Processes, *, wait: Callable[[float], bool], token: str) -> None:
        super().__init__(table, wait=wait)
        self._token = token
        self._known: set[Identity] = set()

    def watch(self) -> None:
        """Looks at the tree once and remembers what is in it."""
        self._known = {info.identity for info in descendants(self.table, self._near())}

    def roots(self) -> list[int]:
        others = (pid for pid in self.table.pids() if pid != os.getpid())
        return [*self._near(), *(pid for pid in others if self.table.carries(pid, self._token))]

    def reap(self) -> bool:
        childless = super().reap()
        return childless and not any(descendants(self.table, self.roots()))

    def _near(self) -> list[int]:
        looks = ((target, self.table.look(target.pid)) for target in self._known)
        return [*super().roots(), *(info.pid for target, info in looks if info and info.identity == target)]


class AdoptedTree:
    """What the outer process inherits when its reaper is killed: its new children. Its other children, `others`, and
    those in its own session (a tree never shares its supervisor's) are left alone."""

    def __init__(self, table: Processes, *, reaper: Identity, main: int, token: str, others: Set[Identity]) -> None:
        self.table = table
        self.main = main
        self.status: int | None = None
        self.usage = Usage()
        self.cgroup: Cgroup | None = None
        self._reaper = reaper
        self._token = token
        self._others = others
        self._seen: set[Identity] = set()

    def roots(self) -> list[int]:
        reaper = self.table.look(self._reaper.pid)
        hung = [reaper.pid] if reaper and reaper.identity == self._reaper and not reaper.dead else []
        return [*hung, *self._adopted()]

    def reap(self) -> bool:
        for pid in self._adopted():
            self._collect(pid)
        return not any(descendants(self.table, self.roots()))

    def wait(self, seconds: float) -> bool:
        time.sleep(min(seconds, ADOPTED_LOOK_SECONDS))
        return False

    def strike(self) -> None:
        if self.cgroup is not None:
            self.cgroup.kill()

    def _adopted(self) -> list[int]:
        looks = filter(None, map(self.table.look, self.table.children(os.getpid())))
        ours = [info for info in looks if info.pid == self.main or self._is_ours(info)]
        self._seen.update(info.identity for info in ours)
        return [info.pid for info in ours]

    def _is_ours(self, info: ProcessInfo) -> bool:
        if info.identity in self._others or info.identity == self._reaper:
            return False
        # A dead process shows neither environment nor, reliably, session: only one seen alive is collected.
        if info.dead or info.identity in self._seen:
            return info.identity in self._seen
        return self.table.carries(info.pid, self._token) or _session(info.pid) not in (os.getsid(0), None)

    def _collect(self, pid: int) -> None:
        try:
            ended, status, used = os.wait4(pid, os.WNOHANG)
        except ChildProcessError:
            return
        if ended == 0:
            return
        self.usage.add(used.ru_utime, used.ru_stime, used.ru_maxrss)
        if ended == self.main:
            self.status = status


def _session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except (ProcessLookupError, PermissionError):
        return None
