"""Brings a new desk to where the last one stopped: its records, then what storage holds after; it decides nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

from opsconsole.hub.desk.desk import Desk
from opsconsole.hub.records import Marks, Records
from opsconsole_storage import Entry, Events, Log, Store, StoredBatch

PAGE_ENTRIES = 500
PAGE_BATCHES = 200
"""Read at once; small enough that the loop can answer `not ready` in between."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovered:
    """How far replay came; the hub counts on from here. `newest_at` is the latest time found in storage."""

    marks: Marks
    newest_at: float
    entries: int
    batches: int


async def recover(desk: Desk, storage: Store, records: Records) -> Recovered:
    """Load records and replay the rest, by the time of arrival. Raises: StorageError, sqlite3.Error."""
    marks = records.marks()
    desk.load(records.load())
    async for foreseen in _entries(storage.log, marks.audit_seq):
        desk.foresee_entry(foreseen.body)
    entries = _entries(storage.log, marks.audit_seq)
    batches = _batches(storage.events, marks.position)
    entry, batch = await anext(entries, None), await anext(batches, None)
    seq, position, newest_at, counted = marks.audit_seq, marks.position, 0.0, [0, 0]
    while entry is not None or batch is not None:
        if batch is not None and (entry is None or batch.batch.at <= entry.at):
            _replay_batch(desk, batch)
            position, newest_at = batch.position, max(newest_at, batch.batch.at)
            counted[1] += 1
            batch = await anext(batches, None)
        elif entry is not None:
            desk.replay_entry(entry.seq, entry.key, entry.at, entry.body)
            seq, newest_at = entry.seq, max(newest_at, entry.at)
            counted[0] += 1
            entry = await anext(entries, None)
    newest_at = max(newest_at, await _last_at(storage, seq))
    return Recovered(
        marks=Marks(audit_seq=seq, position=position), newest_at=newest_at, entries=counted[0], batches=counted[1]
    )


def _replay_batch(desk: Desk, stored: StoredBatch) -> None:
    batch = stored.batch
    desk.replay_batch(
        run=batch.run, gen=batch.gen, first_seq=batch.first_seq, count=batch.count, at=batch.at, body=batch.body
    )


async def _entries(log: Log, after: int) -> AsyncIterator[Entry]:
    while page := await log.read(after, PAGE_ENTRIES):
        for entry in page:
            yield entry
        after = page[-1].seq
        await asyncio.sleep(0)


async def _batches(events: Events, after: int) -> AsyncIterator[StoredBatch]:
    while page := await events.read(after, PAGE_BATCHES):
        for stored in page:
            yield stored
        after = page[-1].position
        await asyncio.sleep(0)


async def _last_at(storage: Store, seq: int) -> float:
    """The time of the newest entry and batch, so that the clock starts behind them even when nothing was replayed."""
    entries = await storage.log.read(max(0, seq - 1), 1)
    batches = await storage.events.read(max(0, await storage.events.head() - 1), 1)
    return max([0.0, *(entry.at for entry in entries), *(stored.batch.at for stored in batches)])
