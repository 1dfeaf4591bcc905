"""How long a turn's client waits without a sign of life, and when it gets the next; what a sign is the turn knows."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from opsconsole.gateway.output import Output
from opsconsole.gateway.settings import GatewaySettings

LOOK_SECONDS = 0.2
"""How often a turn that may not go on looks whether it may."""

Found = TypeVar("Found")


class Patience:
    """One client's. Everything happens on the gateway's loop."""

    def __init__(self, settings: GatewaySettings, output: Output, show_life: Callable[[], None]) -> None:
        """`show_life` gives the client one sign."""
        self._settings, self._output, self._show_life = settings, output, show_life
        self._timer: asyncio.TimerHandle | None = None

    @property
    def seconds(self) -> float:
        """Until the next sign is due: the first one settles the status, and comes by a time of its own."""
        return self._settings.keepalive_seconds if self._output.is_open else self._settings.patience_seconds

    async def waited(self, future: asyncio.Future[Found]) -> Found:
        """What comes of it; the client is told that it is being waited for. A future that outlives us is left alone."""
        while not future.done():
            await asyncio.wait((future,), timeout=self.seconds)
            if not future.done():
                self._show_life()
        return future.result()

    async def resumed(self, is_paused: Callable[[], bool]) -> None:
        """Waits while `is_paused`."""
        since = asyncio.get_running_loop().time()
        while is_paused():
            await asyncio.sleep(LOOK_SECONDS)
            now = asyncio.get_running_loop().time()
            if now - since >= self.seconds:
                self._show_life()
                since = now

    def keep(self) -> None:
        """Gives signs by itself from now on, whoever is silent, until `rest`."""
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._settings.keepalive_seconds, self._again)

    def _again(self) -> None:
        self._timer = None
        self._show_life()
        self.keep()

    def rest(self) -> None:
        """No more signs."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def end(self) -> None:
        """Nobody waits any more: the turn is let go of, which would else be kept until a look for cycles."""
        self.rest()
        self._show_life = _nothing


def _nothing() -> None:
    """Nobody is to be shown a sign."""
