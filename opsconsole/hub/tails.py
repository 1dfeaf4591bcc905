"""Following one run's timeline for one console: a cursor into storage and a window; it keeps no queue of events."""

from __future__ import annotations

import asyncio
import json
import logging
from collections import deque
from collections.abc import Callable, Iterable

from opsconsole.hub.timeline import TimelineRow, all_rows, newest, newest_between
from opsconsole.protocol.limits import DELTA_BYTES_MAX, WINDOW_FRAMES
from opsconsole_storage import Events, StorageError

SNAPSHOT_EVENTS = 200
"""Events shown at first; older ones are paged over HTTP."""
BEHIND_EVENTS_MAX = 500
"""A console further behind jumps to the newest events and is told how many it missed."""
PAUSE_SECONDS = 0.05
"""Events gather this long between two reads."""
SNAPSHOT_BYTES_MAX = 2 * 1024 * 1024
"""Text of the events shown at first; of larger ones fewer are shown."""

log = logging.getLogger(__name__)


class Tail:
    """One subscription to one run."""

    def __init__(self, *, sub: str, run: str, epoch: str, events: Events, wake: Callable[[], None]) -> None:
        self.sub = sub
        self.run = run
        self.unacked: deque[int] = deque()
        self._epoch = epoch
        self._events = events
        self._wake = wake
        self._cursor: int | None = None
        self._ready: deque[tuple[int, str]] = deque()
        self._is_dirty = False
        self._task: asyncio.Task[None] | None = None
        self._is_off = False

    def start(self, epoch: str | None, rev: int | None) -> None:
        """Begin, or begin again: after `rev` if it is this hub's, else with the newest events."""
        self.unacked.clear()
        self._ready.clear()
        self._cursor = rev if epoch == self._epoch else None
        self.stop()
        self._is_off = False
        self.stored()

    def stop(self) -> None:
        """Follow no longer."""
        self._is_off = True
        if self._task is not None:
            self._task.cancel()
            self._task = None

    def stored(self) -> None:
        """The run has new events."""
        self._is_dirty = True
        self._pump()

    def ack(self, rev: int) -> None:
        """The console applied a frame of revision `rev`."""
        while self.unacked and self.unacked[0] < rev:
            self.unacked.popleft()
        if self.unacked and self.unacked[0] == rev:
            self.unacked.popleft()
        if self._ready:
            self._wake()
        self._pump()

    def next_text(self) -> str | None:
        """The next frame, counted as sent; None while the window is shut or nothing is there."""
        if not self._ready or len(self.unacked) >= WINDOW_FRAMES:
            return None
        rev, text = self._ready.popleft()
        self.unacked.append(rev)
        return text

    def _pump(self) -> None:
        has_room = not self._ready and len(self.unacked) < WINDOW_FRAMES
        if self._is_dirty and has_room and self._task is None and not self._is_off:
            self._task = asyncio.get_running_loop().create_task(self._read())

    async def _read(self) -> None:
        self._is_dirty = False
        try:
            frames = await (self._snapshot() if self._cursor is None else self._delta(self._cursor))
        except StorageError as error:
            log.warning("the events of run %s can't be read: %s", self.run, error)
            self._is_dirty, frames = True, []
        self._ready.extend(frames)
        if frames:
            self._wake()
        await asyncio.sleep(PAUSE_SECONDS)
        self._task = None
        self._pump()

    async def _snapshot(self) -> list[tuple[int, str]]:
        batches = await newest(self._events, self.run, limit=SNAPSHOT_EVENTS)
        rows = _newest_fitting(all_rows(batches)[-SNAPSHOT_EVENTS:])
        rev = batches[-1].position if batches else 0
        self._cursor = rev
        parts = list(_in_parts(rows)) or [[]]
        head = f'{{"t":"snap","sub":{json.dumps(self.sub)},"epoch":{json.dumps(self._epoch)}'
        return [
            (
                rev,
                f'{head},"part":{number},"end":{"true" if number == len(parts) - 1 else "false"},'
                f'"rev":{rev},"rows":[{",".join(row.text for row in part)}]}}',
            )
            for number, part in enumerate(parts)
        ]

    async def _delta(self, cursor: int) -> list[tuple[int, str]]:
        batches, skipped = await newest_between(
            self._events, self.run, after=cursor, through=None, limit=BEHIND_EVENTS_MAX
        )
        rows = all_rows(batches)
        if skipped:
            skipped += max(0, len(rows) - SNAPSHOT_EVENTS)
            rows = rows[-SNAPSHOT_EVENTS:]
        frames = []
        parts = list(_in_parts(rows))
        for part, following in zip(parts, [*parts[1:], None], strict=True):
            is_cut = following is not None and following[0].position == part[-1].position
            rev = part[-1].position - 1 if is_cut else part[-1].position
            frames.append((max(rev, cursor), self._delta_text(cursor, max(rev, cursor), part, skipped)))
            cursor, skipped = max(rev, cursor), 0
        self._cursor = cursor
        return frames

    def _delta_text(self, cursor: int, rev: int, rows: list[TimelineRow], skipped: int) -> str:
        return (
            f'{{"t":"delta","sub":{json.dumps(self.sub)},"from_rev":{cursor},"rev":{rev},'
            f'"rows":[{",".join(row.text for row in rows)}],"gone":[],"skipped":{skipped}}}'
        )


def _newest_fitting(rows: list[TimelineRow]) -> list[TimelineRow]:
    size = 0
    for index in range(len(rows) - 1, -1, -1):
        size += rows[index].size
        if size > SNAPSHOT_BYTES_MAX:
            return rows[index + 1 :]
    return rows


def _in_parts(rows: Iterable[TimelineRow]) -> Iterable[list[TimelineRow]]:
    part: list[TimelineRow] = []
    size = 0
    for row in rows:
        if part and size + row.size > DELTA_BYTES_MAX:
            yield part
            part, size = [], 0
        part.append(row)
        size += row.size
    if part:
        yield part


class Tails:
    """All tails of a hub, by run, so that a stored batch finds who follows it."""

    def __init__(self) -> None:
        self._by_run: dict[str, set[Tail]] = {}

    def add(self, tail: Tail) -> None:
        """Tell this one of new events."""
        self._by_run.setdefault(tail.run, set()).add(tail)

    def remove(self, tail: Tail) -> None:
        """No longer."""
        tail.stop()
        followers = self._by_run.get(tail.run)
        if followers is not None:
            followers.discard(tail)
            if not followers:
                del self._by_run[tail.run]

    def stored(self, run: str) -> None:
        """A batch of `run` is in storage."""
        for tail in self._by_run.get(run, ()):
            tail.stored()
