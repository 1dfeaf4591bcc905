"""Carries the desk's Store and Record effects to storage and tells when they are durable; it decides nothing.

Batches become known as stored in the order in which they came. One that the disk refused is offered again until it is
taken, and those behind it wait: an acknowledgement covers all earlier events, so none may overtake a lost one.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from opsconsole.hub.desk.effects import Record, Store
from opsconsole_storage import Batch, Closed, Conflict
from opsconsole_storage import Store as Storage

PROBLEM_CHARS_MAX = 500
GATHER_SECONDS = 0.04
"""Batches are given to the disk at once, but not twice within this: a commit costs as much for one as for many."""
GATHERED_MAX = 64
"""Batches for which no more is waited."""
OFFERED_MAX = 500
"""Refused batches that are offered again as one."""

log = logging.getLogger(__name__)
Stored = Callable[[Sequence[tuple[Store, int]]], None]
"""(batch, position) of each, in order"""
Recorded = Callable[[int, int], None]
"""(token, seq)"""
Failed = Callable[[int, str], None]
"""(token, problem)"""


@dataclass(slots=True)
class _Waiting:
    """One batch between the desk and the disk."""

    effect: Store
    at: float
    position: int | None = None


class Recorder:
    """One hub's writer. Everything is called on the loop that opened the store; callbacks come on it too."""

    def __init__(
        self,
        storage: Storage,
        *,
        stored: Stored,
        recorded: Recorded,
        failed: Failed,
        batches_max: int,
        bytes_max: int,
        retry_seconds: float,
        gather_seconds: float = GATHER_SECONDS,
    ) -> None:
        self.batches_waiting = 0
        self.bytes_waiting = 0
        self.records_waiting = 0
        self.events_problem = ""
        """Why batches are not stored just now; empty while they are."""
        self.audit_problem = ""
        self._storage = storage
        self._stored = stored
        self._recorded = recorded
        self._failed = failed
        self._batches_max = batches_max
        self._bytes_max = bytes_max
        self._retry_seconds = retry_seconds
        self._queue: deque[_Waiting] = deque()
        self._refused: deque[_Waiting] = deque()
        self._gathered: list[_Waiting] = []
        self._gathering: asyncio.TimerHandle | None = None
        self._gather_seconds = gather_seconds
        self._given_at = 0.0
        self._retry: asyncio.TimerHandle | None = None
        self._relief: asyncio.Event = asyncio.Event()
        self._relief.set()
        self._idle: asyncio.Event = asyncio.Event()
        self._idle.set()
        self._is_closed = False

    @property
    def problem(self) -> str:
        """Why storage is not working; empty while it is."""
        return self.audit_problem or self.events_problem

    @property
    def is_congested(self) -> bool:
        """Whether agents should not be read further just now: the disk is behind (but works)."""
        return not self._relief.is_set()

    async def relief(self) -> None:
        """Return when there is room again, or when storage fails: then frames must be read to be refused."""
        await self._relief.wait()

    async def idle(self) -> None:
        """Return when everything given is durable or refused."""
        await self._idle.wait()

    # -- events ----------------------------------------------------------------------------------------------------

    def store(self, effect: Store, at: float) -> None:
        """Make a batch durable; `stored` follows in the order of these calls."""
        waiting = _Waiting(effect, at)
        self._queue.append(waiting)
        self.batches_waiting += 1
        self.bytes_waiting += len(effect.body)
        self._weigh()
        self._gathered.append(waiting)
        self._gather()

    def _gather(self) -> None:
        loop = asyncio.get_running_loop()
        wait = self._given_at + self._gather_seconds - loop.time()
        if wait <= 0 or len(self._gathered) >= GATHERED_MAX:
            self._give()
        elif self._gathering is None:
            self._gathering = loop.call_later(wait, self._give)

    def _give(self) -> None:
        """Give the disk what has gathered; behind what it refused it waits."""
        if self._gathering is not None:
            self._gathering.cancel()
            self._gathering = None
        self._given_at = asyncio.get_running_loop().time()
        gathered, self._gathered = self._gathered, []
        if self._refused:
            self._refused.extend(gathered)
        elif gathered:
            self._publish(gathered)

    def _publish(self, given: Sequence[_Waiting]) -> None:
        batches = [
            Batch(
                run=waiting.effect.run,
                gen=waiting.effect.gen,
                first_seq=waiting.effect.first_seq,
                count=waiting.effect.count,
                at=waiting.at,
                body=waiting.effect.body,
            )
            for waiting in given
        ]
        future = self._storage.events.publish_all(batches)
        future.add_done_callback(lambda done: self._published(given, done))

    def _published(self, given: Sequence[_Waiting], future: asyncio.Future[Sequence[int | Exception]]) -> None:
        if future.cancelled():
            return
        problem = future.exception()
        if isinstance(problem, Closed):
            self._is_closed = True
            self._drop_all()
            return
        outcomes = future.result() if problem is None else [problem] * len(given)
        for waiting, outcome in zip(given, outcomes, strict=True):
            if isinstance(outcome, int):
                waiting.position = outcome
            elif isinstance(outcome, ValueError):
                log.error("a batch of run %s can't be stored: %s", waiting.effect.run, outcome)
                self._settle(waiting)
                self._queue.remove(waiting)
            else:
                self._refuse(waiting, outcome)
        if not self._refused:
            self.events_problem = ""
        self._tell_stored()

    def _tell_stored(self) -> None:
        stored: list[tuple[Store, int]] = []
        while self._queue and (position := self._queue[0].position) is not None:
            waiting = self._queue.popleft()
            self._settle(waiting)
            stored.append((waiting.effect, position))
        self._weigh()
        if stored:
            self._stored(stored)

    def _settle(self, waiting: _Waiting) -> None:
        self.batches_waiting -= 1
        self.bytes_waiting -= len(waiting.effect.body)

    def _refuse(self, waiting: _Waiting, problem: BaseException) -> None:
        if not self.events_problem:
            log.error("events are not stored: %s", problem)
        self.events_problem = str(problem)[:PROBLEM_CHARS_MAX] or repr(problem)
        self._refused.append(waiting)
        self._weigh()
        if self._retry is None and not self._is_closed:
            loop = asyncio.get_running_loop()
            self._retry = loop.call_later(self._retry_seconds, self._try_again)

    def _try_again(self) -> None:
        """Offer again what was refused, in the order in which it came."""
        self._retry = None
        refused, self._refused = self._refused, deque()
        order = {id(waiting): place for place, waiting in enumerate(self._queue)}
        again = sorted(refused, key=lambda waiting: order.get(id(waiting), 0))
        for first in range(0, len(again), OFFERED_MAX):  # the disk may have room for a part of them only
            self._publish(again[first : first + OFFERED_MAX])

    def _drop_all(self) -> None:
        """The store is closed: what was not acknowledged is still in the agents' journals."""
        self._queue.clear()
        self._refused.clear()
        self._gathered.clear()
        self.batches_waiting = self.bytes_waiting = 0
        self._weigh()

    def _weigh(self) -> None:
        behind = self.batches_waiting >= self._batches_max or self.bytes_waiting >= self._bytes_max
        if behind and not self.events_problem:
            self._relief.clear()
        else:
            self._relief.set()
        if self.batches_waiting or self.records_waiting:
            self._idle.clear()
        else:
            self._idle.set()

    # -- the audit -------------------------------------------------------------------------------------------------

    def record(self, effect: Record, at: float) -> None:
        """Make an audit entry durable; `recorded` or `failed` follows."""
        self.records_waiting += 1
        self._weigh()
        future = self._storage.log.append(effect.key, effect.body, at=at, expect=effect.expect)
        future.add_done_callback(lambda done: self._appended(effect.token, done))

    def _appended(self, token: int, future: asyncio.Future[int]) -> None:
        self.records_waiting -= 1
        self._weigh()
        if future.cancelled():
            return
        problem = future.exception()
        if problem is None:
            self.audit_problem = ""
            self._recorded(token, future.result())
            return
        text = str(problem)[:PROBLEM_CHARS_MAX] or repr(problem)
        if not isinstance(problem, Conflict | ValueError):
            if not self.audit_problem:
                log.error("the audit is not written: %s", problem)
            self.audit_problem = text
        self._failed(token, text)
