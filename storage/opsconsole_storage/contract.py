"""The values and the three protocols every engine implements; no engine's concept appears here."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

Handler = Callable[[bytes], Awaitable[bytes]]
Unserve = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One entry of the log. `at` is unix seconds of the hub's clock, as the caller gave it."""

    seq: int
    key: str
    at: float
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Consecutive events of one run: `body` is the JSON array of `count` events starting at `first_seq`, as stored."""

    run: str
    gen: str
    first_seq: int
    count: int
    at: float
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredBatch:
    """A batch and its place: positions strictly increase over all runs, day files and restarts; gaps are allowed."""

    position: int
    batch: Batch


class Log(Protocol):
    """One totally ordered, dense, durable log: audit and approvals."""

    def append(self, key: str, body: bytes, *, at: float, expect: int | None = None) -> asyncio.Future[int]:
        """The new entry's sequence number, after it is durable. Call it on the loop that opened the store.

        `expect` is the sequence number of the last entry with that key, 0 for none yet, None for no condition.
        A cancelled future is stored whole or not at all.

        Raises (from the future): Conflict, Unknown, DiskFull, DiskFailed, Overloaded, Closed, and ValueError for a
        key or a time that can't be stored.
        """
        ...

    async def last(self, key: str) -> Entry | None:
        """The newest entry with exactly that key; linearizable with `append`."""
        ...

    async def head(self) -> int:
        """The newest sequence number, 0 when the log is empty."""
        ...

    def tail(self, after: int) -> AsyncIterator[Entry]:
        """Every entry after `after` in order without a gap, then new ones as they become durable; ends on close."""
        ...

    async def read(self, after: int, limit: int, key_prefix: str = "") -> list[Entry]:
        """Up to `limit` entries after `after`, in order, whose key starts with `key_prefix`."""
        ...


class Events(Protocol):
    """What runs reported, in batches, kept for days; survives a killed process."""

    def publish(self, batch: Batch) -> asyncio.Future[int]:
        """The batch's position, after it is committed. Call it on the loop that opened the store.

        Raises (from the future): DiskFull, DiskFailed, Overloaded, Closed, and ValueError for what can't be stored.
        """
        ...

    def publish_all(self, batches: Sequence[Batch]) -> asyncio.Future[Sequence[int | Exception]]:
        """As `publish`, for several in order: one future, which gives of each its position or why it is not stored.

        Those behind one that the disk refused are refused too: the disk holds nothing that lacks what came before it.
        Raises (from the future): Overloaded, Closed; then none is stored.
        """
        ...

    async def read(self, after: int, limit: int, run: str | None = None) -> list[StoredBatch]:
        """Up to `limit` batches with a position above `after`, in order, of one run or of all."""
        ...

    def subscribe(self, after: int, run: str | None = None) -> AsyncIterator[StoredBatch]:
        """Every batch after position `after` in order, then new ones as they are committed; ends on close."""
        ...

    async def head(self) -> int:
        """The newest position, 0 when there is none."""
        ...

    async def last_seq(self, run: str, gen: str) -> int:
        """The last event number of the newest batch of that run and generation, 0 when there is none."""
        ...


class Bus(Protocol):
    """Requests to whoever serves a name, answered by one owner; nothing of it is stored."""

    async def serve(self, name: str, handler: Handler) -> Unserve:
        """Serve `name` until the returned function is awaited; the newest owner of a name gets its requests."""
        ...

    async def request(self, name: str, body: bytes, timeout_seconds: float) -> bytes:
        """The owner's answer.

        Raises: NoOwner at once when nobody serves the name, TimeoutError after `timeout_seconds`, and the handler's
        own error.
        """
        ...


class Store(Protocol):
    """One engine: the three protocols and their life."""

    @property
    def log(self) -> Log: ...
    @property
    def events(self) -> Events: ...
    @property
    def bus(self) -> Bus: ...

    async def close(self) -> None:
        """Finish what is queued, then release everything. Appends after it fail with Closed."""
        ...

    async def backup(self, target: Path) -> None:
        """Copy the store to the new directory `target` while it is in use."""
        ...

    def checkpoint(self) -> str:
        """The latest signed checkpoint (C2SP signed note)."""
        ...
