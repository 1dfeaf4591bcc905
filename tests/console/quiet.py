"""Waits until what a console was told is done, asking only those of its widgets that have anything to do."""

from __future__ import annotations

import asyncio

from textual.message_pump import MessagePump
from textual.pilot import Pilot, WaitForScreenTimeout

ROUNDS_MAX = 50
"""Messages that follow from messages; timers go on for ever, and a test need not wait for their end."""
QUIET_ROUNDS = 4
"""Turns of the loop with nothing to do, so that a task which is no widget's has had its own."""


async def wait_for_screen(pilot: Pilot[object], timeout: float = 60.0) -> bool:
    """What `Pilot._wait_for_screen` does, which sends a message to every widget though nearly all have nothing to read.

    Gives False if the console failed meanwhile. Raises: WaitForScreenTimeout.
    """
    app = pilot.app
    try:
        async with asyncio.timeout(timeout):
            quiet = 0
            for _ in range(ROUNDS_MAX):
                screen = app.screen if app._screen_stack else None
                pumps = [app, *(screen.walk_children(with_self=True) if screen else ())]
                heard = [event for pump in pumps if not _is_idle(pump) and (event := _asked(pump))]
                quiet = 0 if heard else quiet + 1
                if quiet > QUIET_ROUNDS or not await _all_or_failure(heard, app._exception_event):
                    break
    except TimeoutError:
        raise WaitForScreenTimeout("a widget did not handle what it was told") from None
    return not app._exception_event.is_set()


def _is_idle(pump: MessagePump) -> bool:
    """Whether its task has read everything and waits for more."""
    queue = pump._message_queue
    return not queue.values and bool(queue.ready_event._waiters)


def _asked(pump: MessagePump) -> asyncio.Event | None:
    """Set once the pump has handled all that it was told before; None of one that takes no messages any more."""
    event = asyncio.Event()
    return event if pump.call_later(event.set) else None


async def _all_or_failure(heard: list[asyncio.Event], failure: asyncio.Event) -> bool:
    if not heard:
        await asyncio.sleep(0)
        return not failure.is_set()
    every = asyncio.ensure_future(asyncio.gather(*(event.wait() for event in heard)))
    failed = asyncio.ensure_future(failure.wait())
    try:
        await asyncio.wait((every, failed), return_when=asyncio.FIRST_COMPLETED)
        return not failed.done()
    finally:
        every.cancel()
        failed.cancel()
