"""How much of requests and held answers is kept in memory, all turns together: beyond it new ones are refused."""

from __future__ import annotations

import asyncio

FULL = "gateway_full"
"""The code of a refusal for want of room."""


class TooMuchHeld(Exception):
    """There is no room for it beside what is held already."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"{limit // 2**20} MiB of requests and held answers are kept here already (gateway.held_mib)")


class HeldBytes:
    """What all turns of a gateway keep. Everything happens on its loop."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.size = 0

    def share(self) -> Share:
        """One turn's part of it."""
        return Share(self)


class Share:
    """What one turn keeps."""

    def __init__(self, held: HeldBytes) -> None:
        self._held, self._size = held, 0

    def take(self, size: int) -> None:
        """So much more is kept. Raises: TooMuchHeld."""
        if self._held.size + size > self._held.limit:
            raise TooMuchHeld(self._held.limit)
        self._held.size += size
        self._size += size

    def give_back(self, *, after_seconds: float = 0.0) -> None:
        """Nothing is kept any more; or what there is, for its client to come back for, is in so many seconds."""
        if after_seconds and self._size:
            asyncio.get_running_loop().call_later(after_seconds, self.give_back)
            return
        self._held.size -= self._size
        self._size = 0
