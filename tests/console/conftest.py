"""A console on fakes, of the size that a test asks for."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest
from textual.pilot import Pilot

from tests.console.quiet import wait_for_screen
from tests.console.support import Bench, Seat

OpenConsole = Callable[..., AbstractAsyncContextManager[Seat]]


@pytest.fixture(scope="session", autouse=True)
def quiet_pilot() -> Iterator[None]:
    """Pilots that wait for the widgets that have anything to do: half of what these tests cost."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Pilot, "_wait_for_screen", wait_for_screen)
        yield


@pytest.fixture
def console() -> OpenConsole:
    """Opens a console; `filled=False` leaves it without a hub."""

    @asynccontextmanager
    async def opened(*, size: tuple[int, int] = (80, 24), filled: bool = True, **options: Any) -> AsyncIterator[Seat]:
        bench = Bench(**options)
        async with bench.app.run_test(size=size) as pilot:
            seat = Seat(bench, pilot)
            if filled:
                bench.fill()
            await seat.settle()
            await seat.settle()
            yield seat

    return opened
