"""Drives one kill up the ladder: asks, waits, strikes, writes down each step; the rules are ladder.py's."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Protocol

from opsconsole.supervisor.ladder import FINAL, LadderSettings, Move, Rung, Seen, next_move, remaining_ms
from opsconsole.supervisor.receipts import KillReceipt, Step
from opsconsole.supervisor.sweep import Swept

Cooperative = Callable[[], Awaitable[bool]]


class Target(Protocol):
    """The tree a kill works on."""

    @property
    def empty(self) -> bool: ...

    @property
    def frozen(self) -> bool: ...

    @property
    def lost(self) -> bool: ...

    async def terminate(self) -> None:
        """Sends SIGTERM to the tree; a tree that cannot be reached is left to the strike."""
        ...

    async def strike(self) -> Swept:
        """Freezes, kills and verifies the tree."""
        ...


class Climb:
    """One kill under way. `hurry` and `look` may be called at any time; `run` once."""

    def __init__(
        self, target: Target, settings: LadderSettings, *, cooperative: Cooperative | None = None, now: bool = False
    ) -> None:
        self._target = target
        self._settings = settings
        self._cooperative = cooperative
        self._hurried = now
        self._answered: bool | None = None
        self._swept: Swept | None = None
        self._rung = Rung.START
        self._began = self._entered = time.monotonic()
        self._steps: list[Step] = []
        self._changed = asyncio.Event()
        self._asking: asyncio.Task[None] | None = None

    def hurry(self) -> None:
        """Skips what is left of the waiting."""
        self._hurried = True
        self._changed.set()

    def look(self) -> None:
        """Tells that the target may have changed."""
        self._changed.set()

    async def run(self) -> KillReceipt:
        """Climbs to the end and gives the receipt."""
        while self._rung not in FINAL:
            self._changed.clear()
            seen = self._seen()
            move = next_move(self._rung, seen, self._settings)
            if move is None:
                await self._wait(remaining_ms(self._rung, seen, self._settings))
            else:
                self._leave(move, seen.elapsed_ms)
                await self._enter()
        return self._receipt()

    def _seen(self) -> Seen:
        return Seen(
            elapsed_ms=(time.monotonic() - self._entered) * 1000,
            empty=self._target.empty if self._swept is None else self._swept.empty,
            hurried=self._hurried,
            frozen=self._target.frozen,
            lost=self._target.lost,
            offered=self._cooperative is not None,
            answered=self._answered,
            struck=self._swept is not None,
        )

    async def _wait(self, ms: float | None) -> None:
        try:
            async with asyncio.timeout(None if ms is None else ms / 1000):
                await self._changed.wait()
        except TimeoutError:
            return

    def _leave(self, move: Move, elapsed_ms: float) -> None:
        if self._asking is not None:
            self._asking.cancel()
        if self._rung in (Rung.COOPERATIVE, Rung.TERM):
            self._steps.append(Step(self._rung.value, round(elapsed_ms, 3), move.outcome))
        elif self._rung is Rung.START and move.then is Rung.PROVEN:
            self._steps.append(Step("verify", round(elapsed_ms, 3), move.outcome))
        self._rung = move.then
        self._entered = time.monotonic()

    async def _enter(self) -> None:
        if self._rung is Rung.COOPERATIVE and self._cooperative is not None:
            self._asking = asyncio.create_task(self._ask(self._cooperative))
        elif self._rung is Rung.TERM:
            await self._target.terminate()
        elif self._rung is Rung.STRIKE:
            self._swept = await self._target.strike()
            self._steps.extend(Step(stage.name, stage.ms, stage.outcome) for stage in self._swept.stages)

    async def _ask(self, cooperative: Cooperative) -> None:
        try:
            self._answered = await cooperative()
        except Exception:  # the end of a task that is not ours: whatever it raises is no consent
            self._answered = False
        self._changed.set()

    def _receipt(self) -> KillReceipt:
        swept = self._swept
        return KillReceipt(
            proof="process" if self._rung is Rung.PROVEN else "none",
            steps=tuple(self._steps),
            killed=swept.killed if swept else (),
            survivors=swept.survivors if swept else (),
            total_ms=round((time.monotonic() - self._began) * 1000, 3),
        )
