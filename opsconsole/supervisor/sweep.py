"""Freezes a tree until no new process appears, and kills it until none is left; whose tree it is, custody.py knows."""

from __future__ import annotations

import signal
import time
from dataclasses import dataclass, field
from typing import Protocol

from opsconsole.supervisor.processes import Identity, Processes, ProcessInfo
from opsconsole.supervisor.tree import census, walk

STOP_SECONDS = 0.5
"""A tree that still grows after this long is killed as it is: what appears later is killed as it appears."""

SETTLE_SECONDS = 0.1
"""SIGSTOP is a request: so long may a process take to be seen stopped (one in the kernel's D state takes longer)."""

SETTLE_LOOK_SECONDS = 0.0005
FIRST_WAIT_SECONDS = 0.002
LONGEST_WAIT_SECONDS = 0.02
"""Deaths are told by SIGCHLD; these only bound how long a process that slipped in goes unseen."""


class Custody(Protocol):
    """One tree as its keeper sees it."""

    table: Processes
    felled: list[ProcessInfo]
    """What the last `reap` collected that had died of SIGKILL, as far as that can be known."""

    def roots(self) -> list[int]:
        """Gives the topmost processes of the tree."""
        ...

    def reap(self) -> bool:
        """Collects the dead; True when the tree is proven empty."""
        ...

    def wait(self, seconds: float) -> bool:
        """Waits for a death at most so long; True when there was one."""
        ...

    def strike(self) -> None:
        """Kills what the kernel can kill in one go (a cgroup); may do nothing."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One measured part of a sweep, as it goes on the receipt."""

    name: str
    ms: float
    outcome: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Frozen:
    """What a freeze reached. `held`: as each looked before its SIGSTOP; `running`: those not seen stopped."""

    held: tuple[ProcessInfo, ...]
    running: tuple[ProcessInfo, ...]
    ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """What a kill reached; `empty` is the proof, `killed` all that were signalled, or fell with their cgroup, and are
    gone."""

    stages: tuple[Stage, ...]
    killed: tuple[ProcessInfo, ...]
    survivors: tuple[ProcessInfo, ...]
    empty: bool


def freeze(custody: Custody) -> Frozen:
    """Stops every process of the tree and waits until each is seen stopped, at most `SETTLE_SECONDS`."""
    began = time.monotonic()
    held: _Held = {}
    _stop(custody, held)
    running = _running(custody.table, held)
    while running and time.monotonic() - began < SETTLE_SECONDS:
        time.sleep(SETTLE_LOOK_SECONDS)
        running = _running(custody.table, {info.identity: info for info in running})
    return Frozen(held=tuple(held.values()), running=tuple(running), ms=_ms(began))


def thaw(custody: Custody, frozen: Frozen) -> tuple[ProcessInfo, ...]:
    """Lets go on what `freeze` stopped, not what was stopped before; gives those that it continued."""
    return tuple(
        info for info in frozen.held if not info.stopped and _send(custody.table, info.identity, signal.SIGCONT)
    )


def terminate(custody: Custody) -> int:
    """Sends SIGTERM to every process of the tree; gives how many."""
    found = census(custody.table, custody.roots)
    return sum(_send(custody.table, info.identity, signal.SIGTERM) for info in found)


def kill(custody: Custody, *, verify_seconds: float) -> Swept:
    """Freezes, kills and waits until the tree is proven empty, at most `verify_seconds`."""
    killing = _Killing(custody)
    for stage in (killing.stop, killing.strike):
        stage()
    killing.verify(verify_seconds)
    return killing.result()


_Held = dict[Identity, ProcessInfo]


@dataclass(slots=True)
class _Killing:
    custody: Custody
    held: _Held = field(default_factory=dict)
    felled: _Held = field(default_factory=dict)
    stages: list[Stage] = field(default_factory=list)
    survivors: tuple[ProcessInfo, ...] = ()
    empty: bool = False

    def stop(self) -> None:
        began = time.monotonic()
        self.custody.reap()  # what is dead already is nobody that this kill killed
        _stop(self.custody, self.held)
        self._record("freeze", began, _processes(len(self.held)))

    def strike(self) -> None:
        began = time.monotonic()
        self.custody.strike()
        signalled = sum(_send(self.custody.table, target, signal.SIGKILL) for target in self.held)
        self._record("kill", began, f"{signalled} signalled")

    def verify(self, seconds: float) -> None:
        began = time.monotonic()
        patience = FIRST_WAIT_SECONDS
        self._reap()
        while not self.empty and time.monotonic() - began < seconds:
            if not self.custody.wait(patience):
                self._kill_again()
                patience = min(patience * 2, LONGEST_WAIT_SECONDS)
            self._reap()
        self.survivors = () if self.empty else tuple(census(self.custody.table, self.custody.roots))
        self._record("verify", began, "empty tree" if self.empty else f"{len(self.survivors)} left")

    def result(self) -> Swept:
        alive = {info.identity for info in self.survivors}
        # A process in both looked different when it died; as it was held is what is told.
        killed = tuple(info for target, info in (self.felled | self.held).items() if target not in alive)
        return Swept(stages=tuple(self.stages), killed=killed, survivors=self.survivors, empty=self.empty)

    def _reap(self) -> None:
        self.empty = self.custody.reap()
        self.felled |= {info.identity: info for info in self.custody.felled}

    def _kill_again(self) -> None:
        _stop(self.custody, self.held)
        self.custody.strike()
        for target in self.held:
            _send(self.custody.table, target, signal.SIGKILL)

    def _record(self, name: str, began: float, outcome: str) -> None:
        self.stages.append(Stage(name=name, ms=_ms(began), outcome=outcome))


def _stop(custody: Custody, held: _Held) -> None:
    """Stops what is found, parents first, again until a whole walk finds nothing that is not held and meets no death:
    what dies during a walk hands its children to where the walk has already been."""
    until = time.monotonic() + STOP_SECONDS
    dead: set[Identity] = set()
    growing = True
    while growing and time.monotonic() < until:
        growing = False
        for info in walk(custody.table, custody.roots()):
            if info is None:
                growing = True
            elif info.dead:
                growing |= info.identity not in dead
                dead.add(info.identity)
            elif info.identity not in held:
                growing = True
                held[info.identity] = info
                _send(custody.table, info.identity, signal.SIGSTOP)


def _running(table: Processes, held: _Held) -> list[ProcessInfo]:
    looks = ((target, table.look(target.pid)) for target in held)
    return [info for target, info in looks if info is not None and info.identity == target and not info.stopped]


def _send(table: Processes, target: Identity, number: int) -> bool:
    try:
        return table.send(target, number)
    except PermissionError:  # another user's process: it will be among the survivors, and the proof will be missing
        return False


def _processes(count: int) -> str:
    return "1 process" if count == 1 else f"{count} processes"


def _ms(began: float) -> float:
    return round((time.monotonic() - began) * 1000, 3)
