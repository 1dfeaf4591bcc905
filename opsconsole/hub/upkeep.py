"""What a hub does besides serving: saving the desk's records, forgetting, counting; each on its own period."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Awaitable, Callable

from opsconsole.hub.admission import Door, Fact
from opsconsole.hub.desk.records import DeskRecord
from opsconsole.hub.http_points import HttpPoints
from opsconsole.hub.records import Marks, Records
from opsconsole.hub.server import Hub
from opsconsole_storage import StorageError

SWEEP_SECONDS = 5.0
RETAIN_SECONDS = 3_600.0
STORAGE_LOOK_SECONDS = 1.0

log = logging.getLogger(__name__)


class Keeper:
    """Saves what the desk remembers, so that a restart replays little."""

    def __init__(self, hub: Hub, records: Records) -> None:
        self.problem = ""
        """Why the records are not saved; empty while they are."""
        self._hub = hub
        self._records = records
        self._unsaved: dict[tuple[str, str], DeskRecord] = {}
        self._saved = Marks(audit_seq=hub.audit_seq, position=hub.position)
        self._saving = asyncio.Lock()

    async def save(self) -> None:
        """One pass: everything that changed, then the marks from which a restart would replay."""
        async with self._saving:
            marks = Marks(audit_seq=self._hub.audit_seq, position=self._hub.position)
            chunk = self._hub.limits.records_chunk
            is_last = False
            while not is_last:
                taken = self._hub.desk.take_dirty(chunk)
                is_last = len(taken) < chunk
                if not await self._put(taken, marks if is_last else None):
                    return
            self._saved = marks

    async def _put(self, taken: list[DeskRecord], marks: Marks | None) -> bool:
        self._unsaved |= {(record.kind, record.id): record for record in taken}
        if not self._unsaved and marks in (None, self._saved):
            return True
        try:
            await self._records.save(list(self._unsaved.values()), marks)
        except sqlite3.Error as error:
            if not self.problem:
                log.error("the hub's records are not saved: %s", error)
            self.problem = str(error)
            return False
        self.problem = ""
        self._unsaved.clear()
        return True


class Upkeep:
    """The periodic work of one hub, as tasks that end with `stop`."""

    def __init__(self, hub: Hub, keeper: Keeper, door: Door, points: HttpPoints, events_days: int | None) -> None:
        self._hub = hub
        self._keeper = keeper
        self._door = door
        self._points = points
        self._events_days = events_days
        self._tasks: list[asyncio.Task[None]] = []
        self._told_problem = ""

    def start(self) -> None:
        """Begin."""
        for seconds, work in (
            (self._hub.limits.records_seconds, self._keeper.save),
            (SWEEP_SECONDS, self._sweep),
            (STORAGE_LOOK_SECONDS, self._look_at_storage),
            (RETAIN_SECONDS, self._retain),
        ):
            self._tasks.append(asyncio.get_running_loop().create_task(_every(seconds, work)))
        self._tasks.append(asyncio.get_running_loop().create_task(self._retain()))

    async def stop(self) -> None:
        """End."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _sweep(self) -> None:
        self._hub.sweep()
        self._points.expire()
        for fact in self._door.counted(self._hub.now()):
            self._hub.fact(fact)

    async def _look_at_storage(self) -> None:
        """An outage is itself a fact; the desk offers it until storage takes it, which shows that space is back."""
        problem = self._hub.recorder.problem
        if bool(problem) != bool(self._told_problem):
            kind = "storage.failed" if problem else "storage.recovered"
            self._hub.fact(Fact(kind=kind, principal=None, details={"problem": problem or self._told_problem}))
        self._told_problem = problem

    async def _retain(self) -> None:
        retain = getattr(self._hub.storage, "retain_events", None)
        if retain is None or self._events_days is None:
            return
        try:
            dropped = await retain(self._events_days)
        except (StorageError, OSError) as error:
            log.warning("old events were not removed: %s", error)
            return
        if dropped:
            details = {"files": dropped, "days": self._events_days}
            self._hub.fact(Fact(kind="events.retention", principal=None, details=details))


async def _every(seconds: float, work: Callable[[], Awaitable[None]]) -> None:
    while True:
        await asyncio.sleep(seconds)
        try:
            await work()
        except Exception:  # the task's edge: one failed round must not end the upkeep
            log.exception("upkeep failed once")
