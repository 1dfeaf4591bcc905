"""A store in memory with the same contract, for simulations and tests; nothing of it survives or is signed."""

import asyncio
import base64
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from opsconsole_storage import export
from opsconsole_storage.broadcast import Broadcast
from opsconsole_storage.contract import Batch, Entry, StoredBatch
from opsconsole_storage.errors import Closed, Conflict, StorageError
from opsconsole_storage.event_rows import unstorable
from opsconsole_storage.leaves import leaf_bytes, storable
from opsconsole_storage.local_bus import LocalBus
from opsconsole_storage.merkle import Frontier, leaf_hash
from opsconsole_storage.notes import Checkpoint

ORIGIN = "opsconsole.audit/memory"


class Refusal:
    """The error that a store answers with instead of storing, None while it stores."""

    def __init__(self) -> None:
        self.error: StorageError | None = None
        self.is_closed = False

    def check(self) -> None:
        """Raises: the error that is set, or Closed."""
        if self.is_closed:
            raise Closed("the store is closed")
        if self.error:
            raise self.error


def _future(outcome: int | Exception) -> asyncio.Future[int]:
    future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    if isinstance(outcome, int):
        future.set_result(outcome)
    else:
        future.set_exception(outcome)
    return future


class MemoryLog:
    """A `Log` that is durable at once."""

    def __init__(self, refusal: Refusal) -> None:
        self._refusal = refusal
        self._entries: list[Entry] = []
        self._newest: dict[str, Entry] = {}
        self._frontier = Frontier()
        self._changed = Broadcast()
        self.pending = 0

    def append(self, key: str, body: bytes, *, at: float, expect: int | None = None) -> asyncio.Future[int]:
        """See `Log.append`."""
        try:
            return _future(self._append(key, body, at, expect))
        except (StorageError, ValueError) as error:
            return _future(error)

    def _append(self, key: str, body: bytes, at: float, expect: int | None) -> int:
        self._refusal.check()
        encoded, at = storable(key, at, body)
        current = self._newest.get(key)
        if expect is not None and expect != (current.seq if current else 0):
            raise Conflict(current)
        entry = Entry(seq=len(self._entries) + 1, key=key, at=at, body=bytes(body))
        self._frontier.append(leaf_hash(leaf_bytes(entry.seq, encoded, at, entry.body)))
        self._entries.append(entry)
        self._newest[key] = entry
        self._changed.wake()
        return entry.seq

    async def last(self, key: str) -> Entry | None:
        """See `Log.last`."""
        return self._newest.get(key)

    async def head(self) -> int:
        """See `Log.head`."""
        return len(self._entries)

    async def read(self, after: int, limit: int, key_prefix: str = "") -> list[Entry]:
        """See `Log.read`."""
        return [entry for entry in self._entries[after:] if entry.key.startswith(key_prefix)][:limit]

    async def tail(self, after: int) -> AsyncIterator[Entry]:
        """See `Log.tail`."""
        while not self._refusal.is_closed:
            if after >= len(self._entries):
                await self._changed.wait()
                continue
            after += 1
            yield self._entries[after - 1]

    def statement(self) -> Checkpoint:
        """The size and root of the log now."""
        return Checkpoint(origin=ORIGIN, size=self._frontier.size, root=self._frontier.root())

    def wake(self) -> None:
        """Let tails see that the store was closed."""
        self._changed.wake()


class MemoryEvents:
    """`Events` that are committed at once; positions count from 1."""

    def __init__(self, refusal: Refusal) -> None:
        self._refusal = refusal
        self._batches: list[Batch] = []
        self._last_seq: dict[tuple[str, str], int] = {}
        self._changed = Broadcast()
        self.pending = 0
        self.damaged: dict[str, str] = {}

    def publish(self, batch: Batch) -> asyncio.Future[int]:
        """See `Events.publish`."""
        return _future(self._publish(batch))

    def publish_all(self, batches: Sequence[Batch]) -> asyncio.Future[Sequence[int | Exception]]:
        """See `Events.publish_all`."""
        future: asyncio.Future[Sequence[int | Exception]] = asyncio.get_running_loop().create_future()
        outcomes: list[int | Exception] = []
        for batch in batches:
            refused = outcomes and isinstance(outcomes[-1], StorageError)
            outcomes.append(outcomes[-1] if refused else self._publish(batch))
        closed = next((outcome for outcome in outcomes if isinstance(outcome, Closed)), None)
        if closed is None:
            future.set_result(outcomes)
        else:
            future.set_exception(closed)
        return future

    def _publish(self, batch: Batch) -> int | Exception:
        try:
            self._refusal.check()
        except StorageError as error:
            return error
        if reason := unstorable(batch):
            return reason
        self._batches.append(batch)
        self._last_seq[batch.run, batch.gen] = batch.first_seq + batch.count - 1
        self._changed.wake()
        return len(self._batches)

    async def read(self, after: int, limit: int, run: str | None = None) -> list[StoredBatch]:
        """See `Events.read`."""
        numbered = enumerate(self._batches[after:], start=after + 1)
        found = (
            StoredBatch(position=position, batch=batch) for position, batch in numbered if run in (None, batch.run)
        )
        return [stored for stored, _ in zip(found, range(limit), strict=False)]

    async def subscribe(self, after: int, run: str | None = None) -> AsyncIterator[StoredBatch]:
        """See `Events.subscribe`."""
        while not self._refusal.is_closed:
            if after >= len(self._batches):
                await self._changed.wait()
                continue
            after += 1
            batch = self._batches[after - 1]
            if run in (None, batch.run):
                yield StoredBatch(position=after, batch=batch)

    async def head(self) -> int:
        """See `Events.head`."""
        return len(self._batches)

    async def last_seq(self, run: str, gen: str) -> int:
        """See `Events.last_seq`."""
        return self._last_seq.get((run, gen), 0)

    def wake(self) -> None:
        """Let subscriptions see that the store was closed."""
        self._changed.wake()


class MemoryStore:
    """A `Store` for tests; `refuse` makes it fail like a full or broken disk."""

    def __init__(self) -> None:
        self._refusal = Refusal()
        self.log = MemoryLog(self._refusal)
        self.events = MemoryEvents(self._refusal)
        self.bus = LocalBus()

    @property
    def pending(self) -> int:
        """Always 0: nothing waits for a disk."""
        return 0

    def refuse(self, error: StorageError | None) -> None:
        """Answer every append and publish with `error` from now on; None lets them pass again."""
        self._refusal.error = error

    def checkpoint(self) -> str:
        """The checkpoint's text with an empty signature: nobody vouches for memory."""
        return f"{self.log.statement().text()}\n— {ORIGIN} {base64.b64encode(b'').decode()}\n"

    async def backup(self, target: Path) -> None:
        """Write the log's entries as JSON lines into the new directory `target`. Raises: FileExistsError."""
        entries = await self.log.read(0, await self.log.head())
        await asyncio.to_thread(_write_entries, entries, target)

    async def close(self) -> None:
        """End all tails and subscriptions."""
        self._refusal.is_closed = True
        self.log.wake()
        self.events.wake()


def _write_entries(entries: list[Entry], target: Path) -> None:
    target.mkdir(parents=True)
    with (target / "audit.jsonl").open("w", encoding="utf-8") as lines:
        export.write_json_lines(entries, lines)
