"""The process table as a kill needs it: what one look tells, and what a table must be able to do; it is none itself."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Protocol

MARKER = "OPSCONSOLE_TREE"
"""Environment variable that every process of a tree inherits: colon-joined tokens, outermost supervisor first."""

DEAD = frozenset("ZXx")
STOPPED = frozenset("Tt")


@dataclass(frozen=True, slots=True)
class Identity:
    """One process for its whole life: `start` (kernel ticks, or seconds on macOS) tells it from a reuse of its pid."""

    pid: int
    start: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessInfo:
    """One look at one process. `age` and `cpu` in seconds, `rss` in bytes, `state` as the kernel's letter."""

    pid: int
    name: str
    age: float
    rss: int
    cpu: float
    start: float
    state: str
    parent: int

    @property
    def identity(self) -> Identity:
        return Identity(self.pid, self.start)

    @property
    def dead(self) -> bool:
        return self.state in DEAD

    @property
    def stopped(self) -> bool:
        return self.state in STOPPED or self.dead

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


class Processes(Protocol):
    """The process table, as much of it as a kill needs."""

    def children(self, pid: int) -> list[int]:
        """Gives the direct children, dead ones included until they are reaped; empty when there is no such process."""
        ...

    def look(self, pid: int) -> ProcessInfo | None:
        """Gives one look at a process, or None when there is none."""
        ...

    def send(self, target: Identity, number: int) -> bool:
        """Signals exactly this process; False when it is gone or its pid now names another. Raises: PermissionError."""
        ...

    def pids(self) -> list[int]:
        """Gives every pid there is."""
        ...

    def carries(self, pid: int, token: str) -> bool:
        """Tells whether the process started with this token in `OPSCONSOLE_TREE`; False where that cannot be read."""
        ...

    def session(self, pid: int) -> int | None:
        """Gives the session that the process is in, dead ones included until they are reaped; None when it is gone."""
        ...
