"""A simulated disk: commits come late, entries may be refused, and a crash keeps what was committed and no more."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from opsconsole.domain.digest import call_digest
from opsconsole.hub.desk.effects import Record, Store
from opsconsole.hub.desk.records import DeskRecord
from tests.simulation.stage import Stage

Told = Callable[[Store | Record, int, str], None]
"""(item, its number or 0, problem)"""


@dataclass(frozen=True, slots=True)
class Entry:
    """One committed audit entry."""

    seq: int
    key: str
    at: float
    body: bytes


@dataclass(frozen=True, slots=True)
class Batch:
    """One committed batch of events."""

    position: int
    at: float
    store: Store


@dataclass(slots=True)
class Disk:
    """What survives the hub, and the queues that do not."""

    stage: Stage
    needs_two: Callable[[str], bool] = lambda _call: False
    """Calls on which two people decide."""
    entries: list[Entry] = field(default_factory=list)
    batches: list[Batch] = field(default_factory=list)
    records: dict[tuple[str, str], DeskRecord] = field(default_factory=dict)
    marks: tuple[int, int] = (0, 0)
    is_full: bool = False
    is_slow: bool = False
    commands: set[str] = field(default_factory=set)
    """Commands that some committed entry names."""
    permits: dict[tuple[str, str], set[str]] = field(default_factory=dict)
    """(run, call) -> digests that some committed entry allows."""
    agreed: dict[tuple[str, str], tuple[str, frozenset[str]]] = field(default_factory=dict)
    """(run, call) -> the digest that people say yes to, and who does, by the committed entries."""
    ends: set[str] = field(default_factory=set)
    """Runs whose end is on record."""
    told: Told | None = None
    _last_of: dict[str, int] = field(default_factory=dict)
    _last_seq: dict[tuple[str, str], int] = field(default_factory=dict)
    _queues: dict[type, deque[tuple[Store | Record, float]]] = field(default_factory=dict)
    _armed: set[type] = field(default_factory=set)
    _life: int = 0

    def put(self, item: Store | Record, at: float) -> None:
        """Make an item durable some time."""
        queue = self._queues.setdefault(type(item), deque())
        queue.append((item, at))
        self._arm(type(item))

    def crash(self) -> None:
        """The hub is killed: of each queue some first items had been committed, though nobody heard of it."""
        self._life += 1
        self._armed.clear()
        self.told = None
        for queue in self._queues.values():
            for item, at in list(queue)[: self.stage.chance.randint(0, len(queue))]:
                self._commit(item, at)
            queue.clear()

    def _arm(self, kind: type) -> None:
        if kind in self._armed:
            return
        self._armed.add(kind)
        life = self._life
        slow = (0.2, 2.5) if self.is_slow else (0.0005, 0.015)
        self.stage.soon(*slow, lambda: self._group(kind, life))

    def _group(self, kind: type, life: int) -> None:
        if life != self._life:
            return
        self._armed.discard(kind)
        queue = self._queues[kind]
        for _ in range(self.stage.chance.randint(1, len(queue))):
            item, at = queue.popleft()
            number, problem = self._commit(item, at)
            if self.told:
                self.told(item, number, problem)
            if life != self._life:
                return
        if queue:
            self._arm(kind)

    def _commit(self, item: Store | Record, at: float) -> tuple[int, str]:
        if isinstance(item, Store):
            return self._store(item, at), ""
        if self.is_full:
            return 0, "disk full"
        if item.expect not in (None, self._last_of.get(item.key, 0)):
            return 0, "conflict"
        seq = len(self.entries) + 1
        self.entries.append(Entry(seq, item.key, at, item.body))
        self._last_of[item.key] = seq
        self._index(json.loads(item.body))
        return seq, ""

    def _store(self, item: Store, at: float) -> int:
        last = self._last_seq.get((item.run, item.gen), 0)
        if item.gen != "hub":
            expected = f"{item.run} {item.gen}: event {last + 1} comes next, not {item.first_seq}"
            self.stage.demand(item.first_seq == last + 1, f"no event is lost or stored twice ({expected})")
            self._last_seq[item.run, item.gen] = item.first_seq + item.count - 1
        self.batches.append(Batch(len(self.batches) + 1, at, item))
        return len(self.batches)

    def _count_yes(self, key: tuple[str, str], kind: str, fact: dict[str, Any]) -> None:
        """Somebody says yes to exact arguments; those who said yes to others do not count."""
        is_edit = fact["edited_args"] is not None
        digest = call_digest(fact["tool"], fact["edited_args"]) if is_edit else fact["call_digest"]
        before, voters = self.agreed.get(key, ("", frozenset()))
        voters = (voters if before == digest else frozenset()) | {fact["who"]["principal"]}
        self.agreed[key] = (digest, voters)
        if kind == "approval.decided" and len(voters) >= (2 if self.needs_two(key[1]) else 1):
            self.permits.setdefault(key, set()).add(digest)

    def _index(self, fact: dict[str, Any]) -> None:
        if fact.get("command"):
            self.commands.add(fact["command"])
        kind, key = fact["kind"], (fact.get("run", ""), fact.get("call", ""))
        if kind == "call.verdict" and fact["outcome"] == "allow":
            self.permits.setdefault(key, set()).add(fact["call_digest"])
        if kind == "approval.requested":
            self.agreed.pop(key, None)
        if kind in ("approval.voted", "approval.decided") and fact["answer"] in ("approve", "edit"):
            self._count_yes(key, kind, fact)
        if kind in ("run.ended", "run.given_up") or (kind == "kill.outcome" and fact["status"] == "dead"):
            self.ends.add(fact["run"])
