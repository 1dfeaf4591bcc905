"""When an inherited tree may be called empty, on a process table in which things happen between two looks."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest

from opsconsole.supervisor import custody
from opsconsole.supervisor.custody import AdoptedTree, LostTree, OwnTree, TrackedTree
from opsconsole.supervisor.processes import Identity, ProcessInfo
from opsconsole.supervisor.tree import census, descendants, settled_children
from tests.supervisor.test_sweep import process

REAPER, MAIN, ORPHAN, STRANGER = 9_000_001, 9_000_002, 9_000_003, 9_000_004
"""Above the largest pid there can be: nothing real is ever collected."""

OURS = os.getpid()
OUR_SESSION = 1


@dataclass
class Table:
    """Processes of sessions of their own below this one; `on_look` lets something happen before a look."""

    live: dict[int, ProcessInfo]
    on_look: Callable[[Table, int], None] = lambda *_: None
    token_of: dict[int, str] = field(default_factory=dict)
    near: frozenset[int] = frozenset()

    def children(self, pid: int) -> list[int]:
        return [info.pid for info in self.live.values() if info.parent == pid]

    def look(self, pid: int) -> ProcessInfo | None:
        self.on_look(self, pid)
        return self.live.get(pid)

    def send(self, target: Identity, number: int) -> bool:
        return target.pid in self.live

    def pids(self) -> list[int]:
        return list(self.live)

    def carries(self, pid: int, token: str) -> bool:
        return self.token_of.get(pid) == token

    def session(self, pid: int) -> int | None:
        return OUR_SESSION if pid == OURS or pid in self.near else pid

    def die(self, pid: int) -> None:
        """The process becomes a zombie, and its children ours."""
        self.live = {
            info.pid: replace(info, parent=OURS) if info.parent == pid else info for info in self.live.values()
        }
        self.live[pid] = replace(self.live[pid], state="Z")


def table(*infos: ProcessInfo, **more: object) -> Table:
    return Table({info.pid: info for info in infos}, **more)  # type: ignore[arg-type]


def adopted(processes: Table, *others: int) -> AdoptedTree:
    foreign = {Identity(pid, pid) for pid in others}
    return AdoptedTree(processes, reaper=Identity(REAPER, REAPER), main=Identity(MAIN, MAIN), others=lambda: foreign)


def dies_when_looked_at(pid: int) -> Callable[[Table, int], None]:
    def on_look(processes: Table, looked: int) -> None:
        if looked == pid and not processes.live[pid].dead:
            processes.die(pid)

    return on_look


def test_a_command_that_dies_between_list_and_look_proves_nothing() -> None:
    processes = table(process(MAIN, OURS), process(ORPHAN, MAIN), on_look=dies_when_looked_at(MAIN))
    tree = adopted(processes)
    assert tree.reap() is False
    assert [info.pid for info in descendants(processes, tree.roots())] == [ORPHAN]


def test_a_child_that_was_never_seen_alive_proves_nothing() -> None:
    processes = table(process(STRANGER, OURS), process(ORPHAN, STRANGER), on_look=dies_when_looked_at(STRANGER))
    assert adopted(processes).reap() is False


def test_a_reaper_that_dies_while_it_is_looked_past_proves_nothing() -> None:
    processes = table(process(REAPER, OURS), process(MAIN, REAPER))
    tree = adopted(processes)
    assert tree.reap() is False
    processes.die(REAPER)
    assert (tree.reap(), tree.roots()) == (False, [MAIN])


def test_a_child_that_goes_between_list_and_look_proves_nothing() -> None:
    def collected(processes: Table, looked: int) -> None:
        if looked == MAIN and MAIN in processes.live:
            processes.die(MAIN)
            del processes.live[MAIN]

    assert adopted(table(process(MAIN, OURS), process(ORPHAN, MAIN), on_look=collected)).reap() is False


def test_nothing_of_ours_is_the_proof() -> None:
    other, near = process(STRANGER, OURS), process(ORPHAN, OURS)
    processes = table(other, near, near=frozenset({ORPHAN}))
    tree = adopted(processes, STRANGER)
    assert (tree.reap(), tree.roots()) == (True, [])


def test_without_a_subreaper_the_command_and_what_carries_its_token_deny_the_proof() -> None:
    processes = table(process(MAIN, 1), process(ORPHAN, 1), process(STRANGER, 1), token_of={ORPHAN: "t"})
    tree = LostTree(processes, reaper=Identity(REAPER, REAPER), main=Identity(MAIN, MAIN), others=frozenset, token="t")
    assert (sorted(tree.roots()), tree.reap()) == ([MAIN, ORPHAN], False)
    processes.live = {STRANGER: processes.live[STRANGER]}
    assert tree.reap() is True


def test_a_census_is_repeated_when_somebody_dies_during_it() -> None:
    processes = table(process(MAIN, OURS), process(ORPHAN, MAIN), on_look=dies_when_looked_at(MAIN))
    assert [info.pid for info in census(processes, lambda: processes.children(OURS))] == [ORPHAN]


def test_a_list_of_children_counts_when_it_is_the_same_twice() -> None:
    @dataclass
    class Changing(Table):
        lists: list[list[int]] = field(default_factory=list)

        def children(self, pid: int) -> list[int]:
            return self.lists.pop(0)

    assert settled_children(Changing({}, lists=[[1, 3], [2, 3], [2, 3]]), OURS) == [2, 3]
    assert settled_children(Changing({}, lists=[[pid] for pid in range(20)]), OURS) is None


@dataclass
class Group:
    """A cgroup with these members."""

    pids: list[int]

    def members(self) -> list[int]:
        return self.pids


def test_what_lives_in_the_cgroup_denies_the_proof_wherever_it_hangs() -> None:
    tree = adopted(table(process(ORPHAN, 1)))
    tree.cgroup = Group([ORPHAN])  # type: ignore[assignment]
    assert (tree.reap(), tree.roots()) == (False, [ORPHAN])
    tree.cgroup = Group([])  # type: ignore[assignment]
    assert tree.reap() is True


def test_what_lives_in_the_cgroup_belongs_to_a_reapers_tree_too() -> None:
    tree = OwnTree(table(process(ORPHAN, 1), process(MAIN, OURS)), wait=lambda seconds: False)
    tree.cgroup = Group([ORPHAN])  # type: ignore[assignment]
    assert tree.roots() == [ORPHAN, MAIN]


def test_without_a_subreaper_a_process_that_is_just_becoming_another_program_is_not_missed() -> None:
    @dataclass
    class Becoming(Table):
        looks: int = 0

        def carries(self, pid: int, token: str) -> bool:
            self.looks += 1
            return self.looks > 1

    processes = Becoming({ORPHAN: process(ORPHAN, 1)})
    tree = LostTree(processes, reaper=Identity(REAPER, REAPER), main=Identity(MAIN, MAIN), others=frozenset, token="t")
    assert tree.reap() is False


def tracked(processes: Table, monkeypatch: pytest.MonkeyPatch) -> TrackedTree:
    """The tree of a process that has no child of its own to collect."""

    def no_child(*_: int) -> None:
        raise ChildProcessError

    monkeypatch.setattr(custody.os, "wait4", no_child)
    return TrackedTree(processes, wait=lambda seconds: False, token="t")


def test_without_a_subreaper_no_child_left_is_no_proof(monkeypatch: pytest.MonkeyPatch) -> None:
    processes = table(process(ORPHAN, 1), token_of={ORPHAN: "t"})
    tree = tracked(processes, monkeypatch)
    assert tree.reap() is False
    processes.live = {}
    assert tree.reap() is True


def test_without_a_subreaper_a_process_that_has_left_is_remembered_until_its_pid_names_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    processes = table(process(ORPHAN, OURS))
    tree = tracked(processes, monkeypatch)
    tree.watch()
    processes.live[ORPHAN] = replace(processes.live[ORPHAN], parent=1)
    assert tree.roots() == [ORPHAN]
    processes.live[ORPHAN] = replace(processes.live[ORPHAN], start=1.0)
    assert tree.roots() == []
