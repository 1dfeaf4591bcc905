"""Carries the desk's Store and Record effects to storage and tells when they are durable; it decides nothing.

The disk has one group of batches at a time, the oldest; all others wait behind it, and what it refuses is offered again
until it is taken. So the disk holds, at any moment at which the hub may die, all that came before whatever it holds.
Points keep what they told until it is stored; the hub's own lines are only here, and where too many wait for a disk
that refuses, further ones are left out and counted.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from opsconsole.hub.desk.effects import HUB_GEN, Record, Store
from opsconsole_storage import Batch, Closed, Conflict
from opsconsole_storage import Store as Storage

PROBLEM_CHARS_MAX = 500
GATHER_SECONDS = 0.04
"""Batches are given to the disk at once, but not twice within this: a commit costs as much for one as for many."""
GATHERED_MAX = 64
"""Batches for which no more is waited."""
NEAR_SECONDS = 0.005
"""So little is not waited for: what is handled together is given to the disk together, and what wakes the hub costs."""
MISSING_RUNS_MAX = 1_000
"""Runs whose missing lines are counted one by one; those of further ones are counted together."""
OFFERED_MAX = 500
OFFERED_BYTES_MAX = 8 * 1024 * 1024
"""Of a group: a disk that is nearly full may have room for a part of what waits only. One batch may be larger."""

log = logging.getLogger(__name__)
Stored = Callable[[Sequence[tuple[Store, int]]], None]
"""(batch, position) of each, in order"""
Missing = Callable[[Mapping[str, int]], None]
"""(run -> how many of the hub's own lines were left out; "" for all further runs)"""
Recorded = Callable[[int, int], None]
"""(token, seq)"""
Failed = Callable[[int, str], None]
"""(token, problem)"""


@dataclass(slots=True)
class _Waiting:
    """One batch between the desk and the disk."""

    effect: Store
    at: float

    def batch(self) -> Batch:
        """As storage knows it."""
        effect = self.effect
        return Batch(
            run=effect.run,
            gen=effect.gen,
            first_seq=effect.first_seq,
            count=effect.count,
            at=self.at,
            body=effect.body,
        )


class Recorder:
    """One hub's writer. Everything is called on the loop that opened the store; callbacks come on it too."""

    def __init__(
        self,
        storage: Storage,
        *,
        stored: Stored,
        recorded: Recorded,
        failed: Failed,
        missing: Missing,
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
        self._missing = missing
        self._left_out: dict[str, int] = {}
        self._batches_max = batches_max
        self._bytes_max = bytes_max
        self._retry_seconds = retry_seconds
        self._queue: deque[_Waiting] = deque()
        """What is not durable, oldest first."""
        self._offered = 0
        """How many of them, the oldest, the disk has just now."""
        self._gather_seconds = gather_seconds
        self._offered_at = -math.inf
        self._next: asyncio.Handle | None = None
        self._relief: asyncio.Event = asyncio.Event()
        self._relief.set()
        self._idle: asyncio.Event = asyncio.Event()
        self._idle.set()

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
        """Make a batch durable; `stored` follows in the order of these calls.

        While the disk refuses and too much waits, a line of the hub's own is left out: `missing` tells of it later.
        """
        if self.events_problem and effect.gen == HUB_GEN and self._is_behind:
            self._leave_out(effect.run)
            return
        self._queue.append(_Waiting(effect, at))
        self.batches_waiting += 1
        self.bytes_waiting += len(effect.body)
        self._weigh()
        self._offer_soon()

    def _offer_soon(self) -> None:
        """Give the disk what waits: at once, when more has gathered, or when what it refused is due again."""
        if self._offered or not self._queue:
            return
        loop = asyncio.get_running_loop()
        wait = self._offered_at + self._gather_seconds - loop.time()
        if self.events_problem:
            wait = self._retry_seconds
        elif len(self._queue) >= GATHERED_MAX:
            self._offer()
            return
        if self._next is None:
            self._next = loop.call_later(wait, self._offer) if wait > NEAR_SECONDS else loop.call_soon(self._offer)

    def _offer(self) -> None:
        if self._next is not None:
            self._next.cancel()
            self._next = None
        batches: list[Batch] = []
        size = 0
        for waiting in self._queue:
            size += len(waiting.effect.body)
            if batches and (size > OFFERED_BYTES_MAX or len(batches) >= OFFERED_MAX):
                break
            batches.append(waiting.batch())
        self._offered, self._offered_at = len(batches), asyncio.get_running_loop().time()
        self._storage.events.publish_all(batches).add_done_callback(self._answered)

    def _answered(self, future: asyncio.Future[Sequence[int | Exception]]) -> None:
        offered, self._offered = self._offered, 0
        if future.cancelled():
            return
        problem = future.exception()
        if isinstance(problem, Closed):
            self._drop_all()
            return
        stored = self._take_answers(future.result() if problem is None else [problem] * offered)
        self._weigh()
        self._offer_soon()
        if stored:
            self._stored(stored)
        if self._left_out and not self.events_problem and not self._is_behind:
            left_out, self._left_out = self._left_out, {}
            self._missing(left_out)

    def _leave_out(self, run: str) -> None:
        if not self._left_out:
            log.error("too much waits for storage: lines of the hub's own are left out from now on")
        known = run if run in self._left_out or len(self._left_out) < MISSING_RUNS_MAX else ""
        self._left_out[known] = self._left_out.get(known, 0) + 1

    def _take_answers(self, answers: Sequence[int | BaseException]) -> list[tuple[Store, int]]:
        """What is stored, with its positions; from the first that was refused on everything stays in the queue."""
        stored: list[tuple[Store, int]] = []
        for answer in answers:
            if not isinstance(answer, int | ValueError):
                self._note_refusal(answer)
                return stored
            effect = self._queue.popleft().effect
            self.batches_waiting -= 1
            self.bytes_waiting -= len(effect.body)
            if isinstance(answer, int):
                stored.append((effect, answer))
            else:
                log.error("a batch of run %s can't be stored: %s", effect.run, answer)
        self.events_problem = ""
        return stored

    def _note_refusal(self, problem: BaseException) -> None:
        if not self.events_problem:
            log.error("events are not stored: %s", problem)
        self.events_problem = str(problem)[:PROBLEM_CHARS_MAX] or repr(problem)

    def _drop_all(self) -> None:
        """The store is closed: what was not acknowledged is still in the agents' journals."""
        self._queue.clear()
        self.batches_waiting = self.bytes_waiting = 0
        self._weigh()

    @property
    def _is_behind(self) -> bool:
        return self.batches_waiting >= self._batches_max or self.bytes_waiting >= self._bytes_max

    def _weigh(self) -> None:
        if self._is_behind and not self.events_problem:
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
