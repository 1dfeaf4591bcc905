"""Those who wait over HTTP until something holds: they look again after news, and are let go when the hub goes down."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

LOOK_SECONDS = 0.005
"""News gathers this long before those who wait look again."""


class Waiters:
    """All who wait at one hub, on its loop."""

    def __init__(self) -> None:
        self._waiting: set[tuple[Callable[[], bool], asyncio.Future[None]]] = set()
        self._is_looking = False

    async def until(self, holds: Callable[[], bool], seconds: float) -> bool:
        """Whether `holds` within so many seconds; it is asked again after everything that happens at the desk."""
        if holds():
            return True
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiter = (holds, future)
        self._waiting.add(waiter)
        try:
            async with asyncio.timeout(seconds):
                await future
        except TimeoutError:
            return holds()
        finally:
            self._waiting.discard(waiter)
        return True

    def news(self) -> None:
        """Something happened: let all look again, soon."""
        if self._waiting and not self._is_looking:
            self._is_looking = True
            asyncio.get_running_loop().call_later(LOOK_SECONDS, self._look)

    def let_go(self) -> None:
        """Answer all, as things stand."""
        for _, future in self._waiting:
            if not future.done():
                future.set_result(None)

    def _look(self) -> None:
        self._is_looking = False
        for holds, future in list(self._waiting):
            if not future.done() and holds():
                future.set_result(None)
