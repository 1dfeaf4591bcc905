"""Reads a run's events from storage, forwards or the newest first, and shapes them as rows; it follows nothing.

Storage reads forwards only. The newest events are found by looking at ever longer stretches before the end.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from pydantic_core import from_json, to_json

from opsconsole_storage import Events, StoredBatch

PAGE_BATCHES = 200
"""Batches read at once."""
STRETCH_FIRST = 512
"""Positions of the first look back."""
STRETCH_GROWTH = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineRow:
    """One event as consoles get it: its JSON and where it stands."""

    position: int
    text: str
    size: int


def rows_of(stored: StoredBatch) -> list[TimelineRow]:
    """The events of one batch, each with its position, generation and the hub's time of arrival."""
    batch = stored.batch
    head = b'{"position":%d,"gen":%b,"at":%b,"event":' % (stored.position, to_json(batch.gen), to_json(batch.at))
    rows = []
    for event in from_json(batch.body):
        data = head + to_json(event) + b"}"
        rows.append(TimelineRow(position=stored.position, text=data.decode(), size=len(data)))
    return rows


async def forward(events: Events, run: str, *, after: int, limit: int) -> list[StoredBatch]:
    """Whole batches of a run after a position until they hold `limit` events; the last may hold more."""
    found: list[StoredBatch] = []
    count = 0
    while count < limit:
        page = await events.read(after, min(PAGE_BATCHES, limit - count), run)
        if not page:
            break
        for stored in page:
            if count < limit:
                found.append(stored)
                count += stored.batch.count
        after = page[-1].position
    return found


async def newest(events: Events, run: str, *, limit: int, before: int | None = None) -> list[StoredBatch]:
    """The newest whole batches of a run (below position `before`) that hold `limit` events, in order."""
    top = await events.head() if before is None else before - 1
    kept: list[StoredBatch] = []
    stretch = STRETCH_FIRST
    while top > 0 and sum(stored.batch.count for stored in kept) < limit:
        low = max(0, top - stretch)
        older, _ = await newest_between(events, run, after=low, through=top, limit=limit)
        kept, top, stretch = older + kept, low, stretch * STRETCH_GROWTH
    return _last(kept, limit)[0]


async def newest_between(
    events: Events, run: str, *, after: int, through: int | None, limit: int
) -> tuple[list[StoredBatch], int]:
    """The newest whole batches of a stretch that hold `limit` events, and how many earlier events were left out."""
    kept: deque[StoredBatch] = deque()
    count, left_out = 0, 0
    while True:
        page = await events.read(after, PAGE_BATCHES, run)
        inside = [stored for stored in page if through is None or stored.position <= through]
        for stored in inside:
            kept.append(stored)
            count += stored.batch.count
            while count - kept[0].batch.count >= limit:
                first = kept.popleft().batch.count
                count, left_out = count - first, left_out + first
        if len(inside) < len(page) or not page:
            return list(kept), left_out
        after = page[-1].position


def _last(batches: list[StoredBatch], limit: int) -> tuple[list[StoredBatch], int]:
    count = sum(stored.batch.count for stored in batches)
    start = 0
    while start < len(batches) and count - batches[start].batch.count >= limit:
        count -= batches[start].batch.count
        start += 1
    return batches[start:], start


def all_rows(batches: Iterable[StoredBatch]) -> list[TimelineRow]:
    """The rows of batches, in order."""
    return [row for stored in batches for row in rows_of(stored)]
