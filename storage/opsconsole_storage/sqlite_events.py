"""The events over the day files: publishes through a writer thread, reads through another, live from memory."""

import asyncio
from bisect import bisect_right
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from operator import itemgetter
from typing import TypeVar

from opsconsole_storage.broadcast import Broadcast
from opsconsole_storage.contract import Batch, StoredBatch
from opsconsole_storage.errors import Closed
from opsconsole_storage.event_files import EventFiles
from opsconsole_storage.group_writer import GroupWriter

Result = TypeVar("Result")
PACE_SECONDS = 0.02
"""Commits of a stream are this far apart: a third less CPU than at 4 ms, and nobody waits for events but journals."""
RECENT_BATCHES_MAX = 2_048
RECENT_BYTES_MAX = 16 * 1024 * 1024
"""What stays in memory for subscribers that keep up; the others read the files."""
PAGE_BATCHES = 200
"""Batches that a subscription holds in memory at once."""
LAST_SEQ_MAX = 20_000
"""Runs whose last event number stays in memory, ten times the largest hub's live runs."""


class SqliteEvents:
    """`Events`. Made by `SqliteStore.open`."""

    def __init__(self, files: EventFiles) -> None:
        self._files = files
        self._head = files.head
        self._changed = Broadcast()
        self._is_closed = False
        self._recent: list[tuple[int, Batch]] = []
        self._recent_bytes = 0
        self._recent_after = files.head
        self._last_seq: dict[tuple[str, str], int] = {}
        self._reading = ThreadPoolExecutor(max_workers=1, thread_name_prefix="events-reader")
        self._writer: GroupWriter[Batch] = GroupWriter(
            "events-writer", files.append_group, self._settled, pace_seconds=PACE_SECONDS
        )

    @property
    def pending(self) -> int:
        """Batches that wait for the disk; see `group_writer.PENDING_MAX`."""
        return self._writer.pending

    @property
    def damaged(self) -> dict[str, str]:
        """Why a day file can't be read, by its name; the other files serve."""
        return dict(self._files.damaged)

    def publish(self, batch: Batch) -> asyncio.Future[int]:
        """See `Events.publish`."""
        return self._writer.submit(batch, len(batch.body))

    def publish_all(self, batches: Sequence[Batch]) -> asyncio.Future[Sequence[int | Exception]]:
        """See `Events.publish_all`."""
        return self._writer.submit_all(batches, sum(len(batch.body) for batch in batches))

    async def read(self, after: int, limit: int, run: str | None = None) -> list[StoredBatch]:
        """See `Events.read`."""
        return await self._on_reader(lambda: self._files.read(after, limit, run))

    async def subscribe(self, after: int, run: str | None = None) -> AsyncIterator[StoredBatch]:
        """See `Events.subscribe`."""
        while not self._is_closed:
            head = self._head
            if after >= head:
                await self._changed.wait()
            elif after >= self._recent_after:
                start = bisect_right(self._recent, after, key=itemgetter(0))
                for position, batch in self._recent[start : start + PAGE_BATCHES]:
                    after = position
                    if run is None or batch.run == run:
                        yield StoredBatch(position=position, batch=batch)
            else:
                page = await self.read(after, PAGE_BATCHES, run)
                for stored in page:
                    after = stored.position
                    yield stored
                if not page:
                    after = max(after, head)

    async def head(self) -> int:
        """See `Events.head`."""
        return self._head

    async def last_seq(self, run: str, gen: str) -> int:
        """See `Events.last_seq`."""
        known = self._last_seq.get((run, gen))
        return await self._on_reader(lambda: self._files.last_seq(run, gen)) if known is None else known

    async def _on_reader(self, read: Callable[[], Result]) -> Result:
        if self._is_closed:
            raise Closed("the store is closed")
        return await asyncio.get_running_loop().run_in_executor(self._reading, read)

    def _settled(self, group: Sequence[Batch], results: Sequence[int | Exception]) -> None:
        for batch, position in zip(group, results, strict=True):
            if not isinstance(position, int):
                continue
            self._head = position
            self._recent.append((position, batch))
            self._recent_bytes += len(batch.body)
            self._last_seq.pop((batch.run, batch.gen), None)
            self._last_seq[batch.run, batch.gen] = batch.first_seq + batch.count - 1
        if len(self._recent) > 2 * RECENT_BATCHES_MAX or self._recent_bytes > 2 * RECENT_BYTES_MAX:
            self._trim()
        while len(self._last_seq) > LAST_SEQ_MAX:
            del self._last_seq[next(iter(self._last_seq))]
        self._changed.wake()

    def _trim(self) -> None:
        kept, kept_bytes = 0, 0
        for _, batch in reversed(self._recent):
            if kept >= RECENT_BATCHES_MAX or kept_bytes + len(batch.body) > RECENT_BYTES_MAX:
                break
            kept += 1
            kept_bytes += len(batch.body)
        dropped = len(self._recent) - kept
        self._recent_after = self._recent[dropped - 1][0]
        del self._recent[:dropped]
        self._recent_bytes = kept_bytes

    async def retain(self, first_day: str) -> list[str]:
        """Unlink the day files before `first_day` (YYYYMMDD); their names."""
        return await self._on_reader(lambda: self._files.forget_before(first_day))

    async def close(self) -> None:
        """Commit what is queued, end all subscriptions, release the files."""
        await self._writer.close()
        self._is_closed = True
        self._changed.wake()
        self._reading.shutdown(wait=True)
        self._files.close_readers()
        self._files.close()
