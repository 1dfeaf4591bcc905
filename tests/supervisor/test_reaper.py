"""What a reaper freezes, thaws and writes down, on a process table made by the test; real ones are in test_loss.py."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from opsconsole.supervisor import reaper
from opsconsole.supervisor.custody import Usage
from opsconsole.supervisor.processes import ProcessInfo
from opsconsole.supervisor.reaper import Reaper
from tests.supervisor.test_sweep import Keeper, Table, process


@dataclass
class Tree(Keeper):
    """The tree of a reaper, in memory."""

    status: int | None = None
    usage: Usage = field(default_factory=Usage)


def reaper_of(*infos: ProcessInfo, untouchable: frozenset[int] = frozenset()) -> Reaper:
    """A reaper that is asked directly: no socket, no signal handlers, nothing started."""
    made = Reaper.__new__(Reaper)
    made._tree = Tree(Table({info.pid: info for info in infos}, untouchable=untouchable))  # type: ignore[assignment]
    made._frozen = None
    return made


def left_by(lost: Reaper, place: Path) -> dict[str, Any]:
    """The receipt that it leaves when its supervisor is lost."""
    order = {"terminal": None, "key": "the key", "receipt": str(place)}
    lost._supervisor_lost(order, 0.01)
    receipt: dict[str, Any] = json.loads(place.read_bytes())
    return receipt


def test_a_proven_end_hands_the_key_on(tmp_path: Path) -> None:
    receipt = left_by(reaper_of(process(1, 0), process(2, 1)), tmp_path / "receipt")
    assert (receipt["proof"], receipt["empty"], receipt["key"]) == ("process", True, "the key")


def test_a_key_is_not_written_down_while_a_process_lives_that_could_misuse_it(tmp_path: Path) -> None:
    receipt = left_by(reaper_of(process(1, 0), process(2, 1), untouchable=frozenset({2})), tmp_path / "receipt")
    assert (receipt["proof"], receipt["empty"], "key" in receipt) == ("none", False, False)
    assert [info["pid"] for info in receipt["survivors"]] == [2]


def test_a_receipt_is_on_the_disk_before_it_bears_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place, done = tmp_path / "receipt", list[tuple[str, bool]]()

    def noted(name: str, act: Callable[..., None]) -> Callable[..., None]:
        def perform(*arguments: Any) -> None:
            done.append((name, place.exists()))
            act(*arguments)

        return perform

    monkeypatch.setattr(reaper.os, "fsync", noted("fsync", os.fsync))
    monkeypatch.setattr(reaper.os, "replace", noted("replace", os.replace))
    left_by(reaper_of(process(1, 0)), place)
    assert (done, list(tmp_path.iterdir())) == ([("fsync", False), ("replace", False)], [place])


def test_what_is_frozen_twice_is_thawed_once() -> None:
    kept = reaper_of(process(1, 0), process(2, 1), process(3, 1, state="T"))
    assert [kept._freeze()["count"] for _ in range(2)] == [3, 3]
    assert [kept._thaw()["count"] for _ in range(2)] == [2, 0]
    assert [kept._tree.table.look(pid).state for pid in (1, 2, 3)] == ["S", "S", "T"]  # type: ignore[union-attr]


def test_the_commands_end_is_told_once_and_that_its_tree_is_empty_once() -> None:
    kept, told = reaper_of(), list[Any]()
    kept._told_exit = kept._told_empty = False
    kept._tell = lambda **message: told.append(message["event"])  # type: ignore[method-assign]
    for empty in (False, True, True):
        kept._tell_exit([], empty=empty)
    assert told == ["exit", "empty"]


def test_a_reaper_is_guarded_on_all_sides_before_its_command_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    for name in ("keep_memory_private", "become_subreaper", "die_with_parent"):
        monkeypatch.setattr(reaper.kernel, name, lambda *_, name=name: done.append(name) or True)
    kept = reaper_of()
    kept._tell = lambda **message: done.append(message["event"])  # type: ignore[method-assign]
    kept._spawn = lambda order: {"stage": "exec", "errno": 2, "why": "none"}  # type: ignore[method-assign]
    kept._start({"subreaper": True, "cgroup": False, "token": "t", "stdio": []})
    assert done == ["keep_memory_private", "become_subreaper", "die_with_parent", "cannot_start"]
