"""Which processes belong to a tree, and when the tree is proven empty; how to stop and kill them is sweep.py's."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Set
from dataclasses import dataclass
from typing import Protocol

from opsconsole.supervisor.cgroup import Cgroup
from opsconsole.supervisor.processes import Identity, Processes, ProcessInfo
from opsconsole.supervisor.tree import descendants, settled_children

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
        self.felled: list[ProcessInfo] = []
        self._wait = wait

    def roots(self) -> list[int]:
        return [*_members(self.cgroup), *self.table.children(os.getpid())]

    def reap(self) -> bool:
        self.felled.clear()
        while True:
            try:
                info = self._next_dead() if self.cgroup is not None else None
                pid, status, used = os.wait4(info.pid if info else -1, os.WNOHANG)
            except ChildProcessError:
                return True
            if pid == 0:
                return False
            self.usage.add(used.ru_utime, used.ru_stime, used.ru_maxrss)
            if pid == self.main:
                self.status = status
            if info is not None and _was_killed(status):
                self.felled.append(info)

    def wait(self, seconds: float) -> bool:
        return self._wait(seconds)

    def strike(self) -> None:
        if self.cgroup is not None:
            self.cgroup.kill()

    def _next_dead(self) -> ProcessInfo | None:
        """Looks at whom the next wait will collect: what falls with a cgroup may never have been seen before."""
        dead = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        return self.table.look(dead.si_pid) if dead is not None else None


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
        return [*self._near(), *_carriers(self.table, self._token, {os.getpid()})]

    def reap(self) -> bool:
        return super().reap() and _looks_empty(self)

    def _near(self) -> list[int]:
        looks = ((target, self.table.look(target.pid)) for target in self._known)
        return [*super().roots(), *(info.pid for target, info in looks if info and info.identity == target)]


class AdoptedTree:
    """What the outer process inherits when its reaper is killed: its new children. Its other children, which `others`
    gives as they are now, and those in its own session (a tree never shares its supervisor's) are left alone.

    The proof is one look that finds no reaper and no child of ours, neither living nor dead: a child that dies hands
    its own children to this process only while it dies, so a look that meets one tells nothing about them.
    """

    def __init__(
        self, table: Processes, *, reaper: Identity, main: Identity, others: Callable[[], Set[Identity]]
    ) -> None:
        self.table = table
        self.status: int | None = None
        self.usage = Usage()
        self.cgroup: Cgroup | None = None
        self.felled: list[ProcessInfo] = []
        self._main = main
        self._reaper = reaper
        self._others = others

    def roots(self) -> list[int]:
        hung = self._hung()  # before the children: what it keeps becomes ours before it is seen dead
        looks = map(self.table.look, self.table.children(os.getpid()))
        return [*_members(self.cgroup), *hung, *(info.pid for info in looks if info and self._is_ours(info))]

    def reap(self) -> bool:
        self.felled.clear()
        hung = self._hung()
        children = settled_children(self.table, os.getpid())
        looks = [self.table.look(pid) for pid in children or ()]
        ours = [info for info in looks if info is not None and self._is_ours(info)]
        for info in ours:
            self._collect(info)
        known = children is not None and None not in looks
        return known and not (hung or ours or any(descendants(self.table, _members(self.cgroup))))

    def wait(self, seconds: float) -> bool:
        time.sleep(min(seconds, ADOPTED_LOOK_SECONDS))
        return False

    def strike(self) -> None:
        if self.cgroup is not None:
            self.cgroup.kill()

    def _hung(self) -> list[int]:
        reaper = self.table.look(self._reaper.pid)
        return [reaper.pid] if reaper and reaper.identity == self._reaper and not reaper.dead else []

    def _is_ours(self, info: ProcessInfo) -> bool:
        if info.identity == self._reaper or info.identity in self._others():
            return False
        return self.table.session(info.pid) != self.table.session(os.getpid())

    def _collect(self, info: ProcessInfo) -> None:
        try:
            ended, status, used = os.wait4(info.pid, os.WNOHANG)
        except ChildProcessError:
            return
        if ended == 0:
            return
        self.usage.add(used.ru_utime, used.ru_stime, used.ru_maxrss)
        if info.identity == self._main:
            self.status = status
        if _was_killed(status):
            self.felled.append(info)


class LostTree(AdoptedTree):
    """What is left of a tree whose reaper was killed where no subreaper is to be had: nobody inherits it. The command
    itself and what carries the tree's token is found; what cleared its environment is not."""

    def __init__(
        self, table: Processes, *, reaper: Identity, main: Identity, others: Callable[[], Set[Identity]], token: str
    ) -> None:
        super().__init__(table, reaper=reaper, main=main, others=others)
        self._token = token

    def roots(self) -> list[int]:
        hung = self._hung()
        main = self.table.look(self._main.pid)
        found = [main.pid] if main and main.identity == self._main else []
        return [*_carriers(self.table, self._token, {os.getpid(), self._reaper.pid}), *found, *hung]

    def reap(self) -> bool:
        return _looks_empty(self)


class _Rooted(Protocol):
    table: Processes

    def roots(self) -> list[int]: ...


def _looks_empty(tree: _Rooted) -> bool:
    """Two looks: a process that is just becoming another program shows no environment for a moment."""
    return not any(any(descendants(tree.table, tree.roots())) for _ in range(2))


def _carriers(table: Processes, token: str, but: Set[int]) -> list[int]:
    return [pid for pid in table.pids() if pid not in but and table.carries(pid, token)]


def _members(group: Cgroup | None) -> list[int]:
    return group.members() if group is not None else []


def _was_killed(status: int) -> bool:
    return os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
