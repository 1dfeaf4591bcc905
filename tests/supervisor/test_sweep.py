"""Freezing and killing as such, on a process table made by the test."""

from __future__ import annotations

import signal
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest

from opsconsole.supervisor import sweep
from opsconsole.supervisor.processes import Identity, ProcessInfo


def process(pid: int, parent: int, *, state: str = "S") -> ProcessInfo:
    return ProcessInfo(pid=pid, name=f"p{pid}", age=1.0, rss=1, cpu=0.0, start=float(pid), state=state, parent=parent)


@dataclass
class Table:
    """A process table in memory; `on_signal` lets a process react before the signal lands."""

    live: dict[int, ProcessInfo]
    untouchable: frozenset[int] = frozenset()
    on_signal: Callable[[Table, int, int], None] = lambda *_: None
    sent: list[tuple[int, int]] = field(default_factory=list)

    def children(self, pid: int) -> list[int]:
        return [info.pid for info in self.live.values() if info.parent == pid]

    def look(self, pid: int) -> ProcessInfo | None:
        return self.live.get(pid)

    def send(self, target: Identity, number: int) -> bool:
        info = self.live.get(target.pid)
        if info is None or info.identity != target:
            return False
        if target.pid in self.untouchable:
            raise PermissionError
        self.on_signal(self, target.pid, number)
        self.sent.append((target.pid, number))
        if number == signal.SIGKILL:
            del self.live[target.pid]
            for child in self.children(target.pid):
                self.live[child] = replace(self.live[child], parent=0)
        else:
            self.live[target.pid] = replace(info, state="T" if number == signal.SIGSTOP else "S")
        return True

    def pids(self) -> list[int]:
        return list(self.live)

    def carries(self, pid: int, token: str) -> bool:
        return False

    def session(self, pid: int) -> int | None:
        return pid if pid in self.live else None


@dataclass
class Keeper:
    """Keeps everything below pid 0."""

    table: Table
    felled: list[ProcessInfo] = field(default_factory=list)

    def roots(self) -> list[int]:
        return self.table.children(0)

    def reap(self) -> bool:
        return not self.table.live

    def wait(self, seconds: float) -> bool:
        return False

    def strike(self) -> None:
        return


def keeper(*infos: ProcessInfo, **more: object) -> Keeper:
    return Keeper(Table({info.pid: info for info in infos}, **more))  # type: ignore[arg-type]


def test_every_process_is_stopped_before_the_first_is_killed() -> None:
    kept = keeper(process(1, 0), process(2, 1), process(3, 2))
    swept = sweep.kill(kept, verify_seconds=1)
    stops = [(pid, signal.SIGSTOP) for pid in (1, 2, 3)]
    assert kept.table.sent == stops + [(pid, signal.SIGKILL) for pid in (1, 2, 3)]
    assert (swept.empty, swept.survivors, [info.pid for info in swept.killed]) == (True, (), [1, 2, 3])


def test_a_child_forked_while_its_parent_is_being_stopped_is_found() -> None:
    def fork(table: Table, pid: int, number: int) -> None:
        if pid == 1 and number == signal.SIGSTOP:
            table.live[2] = process(2, 1)

    swept = sweep.kill(keeper(process(1, 0), on_signal=fork), verify_seconds=1)
    assert (swept.empty, [info.pid for info in swept.killed]) == (True, [1, 2])


def test_what_appears_during_the_kill_is_killed_too() -> None:
    def respawn(table: Table, pid: int, number: int) -> None:
        if number == signal.SIGKILL and pid < 10:
            table.live[pid + 1] = process(pid + 1, 0)

    swept = sweep.kill(keeper(process(1, 0), on_signal=respawn), verify_seconds=5)
    assert (swept.empty, len(swept.killed)) == (True, 10)


def test_what_may_not_be_signalled_is_named_and_denies_the_proof() -> None:
    kept = keeper(process(1, 0), process(2, 1), untouchable=frozenset({2}))
    swept = sweep.kill(kept, verify_seconds=0.01)
    assert (swept.empty, [info.pid for info in swept.survivors]) == (False, [2])
    assert [info.pid for info in swept.killed] == [1]


def test_a_thaw_leaves_stopped_what_was_stopped_before() -> None:
    kept = keeper(process(1, 0), process(2, 1, state="T"))
    thawed = sweep.thaw(kept, sweep.freeze(kept))
    assert ([info.pid for info in thawed], kept.table.live[2].state) == ([1], "T")


def test_a_freeze_names_what_it_could_not_stop() -> None:
    kept = keeper(process(1, 0), process(2, 1), untouchable=frozenset({2}))
    assert [info.pid for info in sweep.freeze(kept).running] == [2]


def test_termination_reaches_every_process() -> None:
    kept = keeper(process(1, 0), process(2, 1), process(3, 2))
    assert (sweep.terminate(kept), kept.table.sent) == (3, [(pid, signal.SIGTERM) for pid in (1, 2, 3)])


def test_what_was_dead_before_the_kill_is_not_said_to_have_been_killed() -> None:
    @dataclass
    class Late(Keeper):
        """Collects at its first look what died earlier."""

        unseen: list[ProcessInfo] = field(default_factory=lambda: [process(9, 0)])

        def reap(self) -> bool:
            self.felled, self.unseen = self.unseen, []
            return super().reap()

    swept = sweep.kill(Late(Table({1: process(1, 0)})), verify_seconds=1)
    assert [info.pid for info in swept.killed] == [1]


def test_what_falls_with_its_cgroup_falls_before_the_first_is_signalled() -> None:
    @dataclass
    class Grouped(Keeper):
        def strike(self) -> None:
            self.table.sent.append((0, signal.SIGKILL))

    kept = Grouped(Table({1: process(1, 0)}))
    sweep.kill(kept, verify_seconds=1)
    assert kept.table.sent == [(1, signal.SIGSTOP), (0, signal.SIGKILL), (1, signal.SIGKILL)]


@pytest.mark.parametrize("is_collected", [True, False])
def test_a_child_of_one_that_dies_while_it_is_looked_at_is_stopped_too(is_collected: bool) -> None:
    @dataclass
    class Dying(Table):
        """The topmost process dies as it is looked at, and its child takes its place."""

        def look(self, pid: int) -> ProcessInfo | None:
            if pid == 1 and self.live[2].parent == 1:
                self.live[2] = replace(self.live[2], parent=0)
                self.live[1] = replace(self.live[1], state="Z")
                if is_collected:
                    del self.live[1]
            return super().look(pid)

    kept = Keeper(Dying({1: process(1, 0), 2: process(2, 1)}))
    assert [info.pid for info in sweep.freeze(kept).held] == [2]


def test_what_joins_the_cgroup_during_the_kill_falls_with_it_again() -> None:
    @dataclass
    class Grouped(Keeper):
        """A process of another user's joins the group just after it was struck."""

        strikes: int = 0

        def strike(self) -> None:
            self.strikes += 1
            if self.strikes == 1:
                self.table.live[2] = process(2, 0)
            else:
                self.table.live.pop(2, None)

    kept = Grouped(Table({1: process(1, 0)}, untouchable=frozenset({2})))
    assert sweep.kill(kept, verify_seconds=5).empty is True


def test_all_that_fell_is_told_though_it_fell_at_different_times() -> None:
    @dataclass
    class Slow(Keeper):
        """Collects one dead process at a look, first nothing."""

        unseen: list[int] = field(default_factory=lambda: [9, 8])

        def reap(self) -> bool:
            self.felled = [process(self.unseen.pop(), 0)] if self.unseen and not self.table.live else []
            return not self.table.live and not self.felled

    swept = sweep.kill(Slow(Table({1: process(1, 0)})), verify_seconds=5)
    assert (swept.empty, [info.pid for info in swept.killed]) == (True, [8, 9, 1])
