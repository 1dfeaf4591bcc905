"""One thread that commits what a loop submits, in groups; it knows neither files nor what an item means."""

import asyncio
import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from opsconsole_storage.errors import Closed, Overloaded, StorageError, Unknown

Item = TypeVar("Item")
PENDING_MAX = 50_000
"""Items waiting for a commit: about 20 s of the fastest hub; beyond it the disk has stopped."""
PENDING_BYTES_MAX = 256 * 1024 * 1024
"""Memory that waiting items may hold."""
GROUP_ITEMS_MAX = 1_000
"""Items of one transaction: larger groups gain nothing and delay the first item's acknowledgement."""
GROUP_BYTES_MAX = 8 * 1024 * 1024
"""Bytes of one transaction, so that a commit stays within tens of milliseconds."""

log = logging.getLogger(__name__)
Outcomes = Sequence[int | Exception]
"""Of each item, in order: its number, or why it was not committed."""


@dataclass(frozen=True, slots=True)
class Submitted(Generic[Item]):
    """Items that were submitted together."""

    items: Sequence[Item]
    future: asyncio.Future[Any]
    size_bytes: int
    is_single: bool

    def tell(self, outcomes: Outcomes) -> None:
        """Resolve the future, unless nobody waits for it any more."""
        if self.future.done():
            return
        if not self.is_single:
            self.future.set_result(outcomes)
        elif isinstance(outcomes[0], int):
            self.future.set_result(outcomes[0])
        else:
            self.future.set_exception(outcomes[0])


class GroupWriter(Generic[Item]):
    """Items in, futures out: a future resolves with its commit's result, once a group through the loop."""

    def __init__(
        self,
        name: str,
        commit: Callable[[Sequence[Item]], Outcomes],
        settled: Callable[[Sequence[Item], Outcomes], None],
        pace_seconds: float = 0.0,
    ) -> None:
        """Start the thread. `commit` runs on it; `settled` runs on the loop after the futures were resolved.

        Two commits start at least `pace_seconds` apart, so that a stream forms groups while a lone item does not wait.
        """
        self._commit = commit
        self._settled = settled
        self._pace_seconds = pace_seconds
        self._loop = asyncio.get_running_loop()
        self._queue: queue.SimpleQueue[Submitted[Item] | None] = queue.SimpleQueue()
        self._is_closed = False
        self.pending = 0
        self.pending_bytes = 0
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def submit(self, item: Item, size_bytes: int) -> asyncio.Future[int]:
        """The future of the item's commit; already failed with Overloaded or Closed when it can't be queued."""
        return self._submit([item], size_bytes, is_single=True)

    def submit_all(self, items: Sequence[Item], size_bytes: int) -> asyncio.Future[Outcomes]:
        """As `submit`, for several in order: one future, which gives what became of each."""
        return self._submit(items, size_bytes, is_single=False)

    def _submit(self, items: Sequence[Item], size_bytes: int, *, is_single: bool) -> asyncio.Future[Any]:
        future: asyncio.Future[Any] = self._loop.create_future()
        is_full = self.pending + len(items) > PENDING_MAX or self.pending_bytes + size_bytes > PENDING_BYTES_MAX
        if is_full or self._is_closed:
            future.set_exception(
                Closed("the store is closed")
                if self._is_closed
                else Overloaded(f"{self.pending} items of {self.pending_bytes} bytes wait for the disk")
            )
            return future
        self.pending += len(items)
        self.pending_bytes += size_bytes
        self._queue.put(Submitted(items, future, size_bytes, is_single))
        return future

    async def close(self) -> None:
        """Commit what is queued, resolve its futures, and end the thread."""
        if not self._is_closed:
            self._is_closed = True
            self._queue.put(None)
        await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        is_last, next_commit = False, 0.0
        while not is_last:
            first = self._queue.get()
            if first is None:
                return
            wait_seconds = next_commit - time.monotonic()
            if wait_seconds > 0:
                time.sleep(wait_seconds)
            next_commit = time.monotonic() + self._pace_seconds
            group, is_last = self._gather(first)
            self._commit_group(group)

    def _gather(self, first: Submitted[Item]) -> tuple[list[Submitted[Item]], bool]:
        group, count, size_bytes = [first], len(first.items), first.size_bytes
        while count < GROUP_ITEMS_MAX and size_bytes < GROUP_BYTES_MAX:
            try:
                submitted = self._queue.get_nowait()
            except queue.Empty:
                break
            if submitted is None:
                return group, True
            group.append(submitted)
            count += len(submitted.items)
            size_bytes += submitted.size_bytes
        return group, False

    def _commit_group(self, group: Sequence[Submitted[Item]]) -> None:
        wanted = [submitted for submitted in group if not submitted.future.cancelled()]
        items = [item for submitted in wanted for item in submitted.items]
        results: Outcomes
        try:
            results = self._commit(items) if items else []
        except StorageError as error:
            results = [error] * len(items)
        except Exception as error:  # the thread's edge: a defect fails this group and not the store
            log.exception("committing a group failed")
            results = [Unknown(f"the writer failed: {error!r}")] * len(items)
        try:
            self._loop.call_soon_threadsafe(self._settle, group, wanted, items, results)
        except RuntimeError:
            log.warning("the loop ended before %d commits could be told", len(items))

    def _settle(
        self,
        group: Sequence[Submitted[Item]],
        wanted: Sequence[Submitted[Item]],
        items: Sequence[Item],
        results: Outcomes,
    ) -> None:
        self.pending -= sum(len(submitted.items) for submitted in group)
        self.pending_bytes -= sum(submitted.size_bytes for submitted in group)
        start = 0
        for submitted in wanted:
            end = start + len(submitted.items)
            submitted.tell(results[start:end])
            start = end
        self._settled(items, results)
