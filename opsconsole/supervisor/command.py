"""Carries out the hub's orders on one supervised process and answers each with what was reached; it decides nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from opsconsole.domain.command import Do
from opsconsole.errors import SupervisorError
from opsconsole.sdk.journal import is_spoken_for
from opsconsole.sdk.order import Order
from opsconsole.supervisor.climb import Cooperative
from opsconsole.supervisor.processes import ProcessInfo
from opsconsole.supervisor.receipts import FreezeReceipt, KillReceipt
from opsconsole.supervisor.report import POINT, Report

KILLED_MAX = 10_000
"""Process ids in one answer, as the protocol bounds it."""
SNAPSHOT_SECONDS = 0.5
"""How long an answer waits for the list of what lived when the kill began; it was asked for before the first signal."""


class Process(Protocol):
    """What is needed of a supervised process."""

    pid: int

    async def kill(self, *, now: bool, cooperative: Cooperative | None = None) -> KillReceipt: ...
    async def freeze(self) -> FreezeReceipt: ...
    async def thaw(self) -> FreezeReceipt: ...
    async def tree(self) -> list[ProcessInfo]: ...


class Commands:
    """The orders of one run. Made on the process's event loop; `take` may be called from any thread, also before the
    process has started: orders wait for it."""

    def __init__(self, report: Callable[[], Report], *, agent_listens: Callable[[], bool]) -> None:
        """`agent_listens` tells whether something in the process cancels the run when the hub asks."""
        self._report = report
        self._agent_listens = agent_listens
        self._loop = asyncio.get_running_loop()
        self._process: Process | None = None
        self._waiting: list[tuple[Order, bool]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._holding = asyncio.Lock()
        self.killed_by: Order | None = None

    def take(self, order: Order) -> None:
        """An order of the hub."""
        # Asked as it comes: an agent that obeys at once may have left its run before our loop is there.
        listens = order.do is Do.KILL and self._agent_listens()
        self._loop.call_soon_threadsafe(self._begin, order, listens)

    def started(self, process: Process) -> None:
        """The process is there."""
        self._process = process
        waiting, self._waiting = self._waiting, []
        for order, listens in waiting:
            self._begin(order, listens)

    async def settled(self) -> None:
        """Waits until every order taken so far is answered."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    def refuse_waiting(self, why: str) -> None:
        """The process never started: what waited for it is void."""
        for order, _ in self._waiting:
            self._report().answer(order.cmd, ok=False, status="void", message=why)

    def _begin(self, order: Order, listens: bool) -> None:
        if order.do is Do.KILL:
            self.killed_by = self.killed_by or order
        if self._process is None:
            self._waiting.append((order, listens))
            return
        task = self._loop.create_task(self._carried_out(order, self._process, listens))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _carried_out(self, order: Order, process: Process, listens: bool) -> Coroutine[Any, Any, None]:
        if order.do is Do.KILL:
            return self._kill(order, process, listens)
        return self._hold(order, process.freeze if order.do is Do.FREEZE else process.thaw)

    async def _kill(self, order: Order, process: Process, listens: bool) -> None:
        now = order.mode == "now"
        before = None if now else self._loop.create_task(process.tree())
        cooperative = _let_the_hub_ask if (listens or self._agent_listens()) and not now else None
        receipt = await process.kill(now=now, cooperative=cooperative)
        dead = {info.pid for info in receipt.killed} | {process.pid}
        dead |= await _snapshot(before) if before is not None else set()
        proven = receipt.proof == "process"
        self._report().answer(
            order.cmd,
            ok=proven,
            status="applied",
            proof=receipt.proof,
            points=kill_points(receipt),
            killed=sorted(dead)[:KILLED_MAX] if proven else [],
            **({} if proven else {"code": "survivors", "message": _survivors(receipt)}),
        )

    async def _hold(self, order: Order, act: Callable[[], Coroutine[Any, Any, FreezeReceipt]]) -> None:
        async with self._holding:
            try:
                receipt = await act()
            except SupervisorError as error:
                self._report().answer(order.cmd, ok=False, status="void", code="failed", message=str(error))
                return
        done = "frozen" if receipt.frozen else "thawed"
        outcome = f"{_processes(receipt.count)} {done}"
        if receipt.running:
            outcome += f", {len(receipt.running)} not seen stopped"
        point = {"name": f"{POINT}.{order.do}", "ms": receipt.ms, "outcome": outcome}
        self._report().answer(order.cmd, ok=not receipt.running, status="applied", points=[point])
        self._report().note(outcome, command=order.cmd)


def kill_points(receipt: KillReceipt) -> list[dict[str, Any]]:
    """The lines of the receipt: milliseconds from the order's arrival here to the end of each step."""
    lines: list[dict[str, Any]] = []
    elapsed = 0.0
    for step in receipt.steps:
        elapsed += step.ms
        lines.append({"name": f"{POINT}.{step.name}", "ms": round(elapsed, 3), "outcome": step.outcome})
    return lines


def sdk_journal(folder: Path, run: str) -> Callable[[], bool]:
    """Tells whether an SDK in the process speaks for the run: it then keeps a journal, and the hub asks it to stop."""
    return partial(is_spoken_for, folder, run)


async def _let_the_hub_ask() -> bool:
    """The hub tells the SDK's point of a kill itself, at the same moment: there is only to wait for the end."""
    return True


async def _snapshot(looking: asyncio.Task[list[ProcessInfo]]) -> set[int]:
    done, _ = await asyncio.wait([looking], timeout=SNAPSHOT_SECONDS)
    if not done:
        looking.cancel()
        return set()
    return set() if isinstance(looking.exception(), SupervisorError) else {info.pid for info in looking.result()}


def _survivors(receipt: KillReceipt) -> str:
    if not receipt.survivors:
        return "nothing of it was seen alive, but the tree could not be proven empty"
    named = ", ".join(f"{info.name} ({info.pid})" for info in receipt.survivors[:10])
    return f"{_processes(len(receipt.survivors))} could not be proven dead: {named}"


def _processes(count: int) -> str:
    return "1 process" if count == 1 else f"{count} processes"
