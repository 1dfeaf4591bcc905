"""Lists the live processes under a process, whatever dies meanwhile; it never decides which should die."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator

from opsconsole.supervisor.linux import LinuxProcesses
from opsconsole.supervisor.processes import Identity, Processes, ProcessInfo

PROCESSES_MAX = 100_000
"""One scan looks at no more processes than this: beyond it the machine itself is out of pids."""

CENSUS_WALKS_MAX = 8
"""A tree that is never twice the same is one that forks and dies all the time: what is listed of it is old anyhow."""


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


def process_table() -> Processes:
    """Gives this system's process table."""
    if sys.platform == "linux":
        return LinuxProcesses()
    from opsconsole.supervisor.polled import PsutilProcesses  # psutil is heavy: only where `/proc` is missing

    return PsutilProcesses()
