"""What a hub does besides serving: saving the desk's records, forgetting, counting; each on its own period."""

from __future__ import annotations

import asyncio
import logging
import math
import secrets
import sqlite3
from collections.abc import Awaitable, Callable
from datetime import datetime

from ulid import ULID

from opsconsole.hub.admission import Door, Fact
from opsconsole.hub.decoy_seals import DecoySeals
from opsconsole.hub.decoys import LOOK_SECONDS as DECOY_SECONDS
from opsconsole.hub.desk.records import DeskRecord
from opsconsole.hub.http_points import HttpPoints
from opsconsole.hub.policy_file import LOOK_SECONDS, PolicyWatch
from opsconsole.hub.records import Marks, Records
from opsconsole.hub.server import Hub
from opsconsole_storage import StorageError

SWEEP_SECONDS = 5.0
SAVE_LOOK_SECONDS = 1.0
"""How often it is looked whether the desk's records are to be saved."""
RETAIN_SECONDS = 3_600.0
STORAGE_LOOK_SECONDS = 1.0
DICE = 1_000_000
"""Sides of the dice that nobody can foresee."""
NONCE_BYTES = 16
"""Nobody finds a sealed id by trying."""
SAVE_SHARE = 0.05
"""Of the hub's time, at most, for saving: under a flood a restart rather replays a few seconds more."""

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
        self._saved_at = hub.now()
        self._saved_events = hub.counts.events
        self._rests_until = -math.inf
        """A save is not begun sooner for all that happens: the last one took its share of the time."""

    async def save_if_due(self) -> None:
        """Save when it is time, or so much has happened that a restart would take long."""
        limits, hub = self._hub.limits, self._hub
        began = hub.now()
        is_late = began - self._saved_at >= limits.records_seconds
        if (is_late or hub.counts.events - self._saved_events >= limits.records_events) and began >= self._rests_until:
            self._saved_at, self._saved_events = began, hub.counts.events
            await self.save()
            self._rests_until = began + (hub.now() - began) / SAVE_SHARE

    async def save(self) -> None:
        """One pass: everything that changed, then the marks from which a restart would replay."""
        async with self._saving:
            marks = Marks(audit_seq=self._hub.audit_seq, position=self._hub.position)
            is_last = False
            while not is_last:
                is_last = await self._take_chunk()
                if not await self._put(marks if is_last else None):
                    return
            self._saved = marks

    async def _take_chunk(self) -> bool:
        """Take the records of one transaction; gives whether there are no more. Cut off, it has lost none."""
        limits = self._hub.limits
        for _ in range(max(1, limits.records_chunk // limits.records_slice)):
            taken = self._hub.desk.take_dirty(limits.records_slice)
            self._unsaved |= {(record.kind, record.id): record for record in taken}
            if len(taken) < limits.records_slice:
                return True
            await asyncio.sleep(0)
        return False

    async def _put(self, marks: Marks | None) -> bool:
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

    def __init__(
        self,
        hub: Hub,
        keeper: Keeper,
        door: Door,
        points: HttpPoints,
        events_days: int | None,
        policy: PolicyWatch | None = None,
        *,
        seals: DecoySeals,
    ) -> None:
        self._hub = hub
        self._keeper = keeper
        self._door = door
        self._points = points
        self._events_days = events_days
        self._policy = policy
        self._seals = seals
        self._tasks: list[asyncio.Task[None]] = []
        self._told_problem = ""

    def start(self) -> None:
        """Begin."""
        for seconds, work in (
            (SAVE_LOOK_SECONDS, self._keeper.save_if_due),
            (SWEEP_SECONDS, self._sweep),
            (STORAGE_LOOK_SECONDS, self._look_at_storage),
            (RETAIN_SECONDS, self._retain),
            *(((DECOY_SECONDS, self._look_at_decoys),) if self._hub.decoys.per_day else ()),
        ):
            self._tasks.append(asyncio.get_running_loop().create_task(_every(seconds, work)))
        if self._policy is not None:
            self._tasks.append(asyncio.get_running_loop().create_task(_every(LOOK_SECONDS, self._policy.look)))
        for work in (self._retain, self._seals.settle):
            self._tasks.append(asyncio.get_running_loop().create_task(work()))

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

    async def _look_at_decoys(self) -> None:
        """Whether a made-up call is due, of which nobody can tell when it comes."""
        await self._seals.settle()
        now, hub = self._hub.now(), self._hub
        local = datetime.fromtimestamp(now).astimezone()
        planned = hub.decoys.look(
            now,
            weekday=local.weekday(),
            minute=local.hour * 60 + local.minute,
            is_free=bool(hub.deciders) and not hub.desk.approval_ids(pending_only=True),
            dice=secrets.randbelow(DICE) / DICE,
            new_id=str(ULID()),
            nonce=secrets.token_hex(NONCE_BYTES),
        )
        if planned is not None:
            await self._seals.show(planned)

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
