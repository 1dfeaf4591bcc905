"""The bus inside one process; names and handlers live in a table and nowhere else."""

import asyncio

from opsconsole_storage.contract import Handler, Unserve
from opsconsole_storage.errors import NoOwner


class LocalBus:
    """A `Bus` for one hub."""

    def __init__(self) -> None:
        self._owners: dict[str, dict[object, Handler]] = {}

    async def serve(self, name: str, handler: Handler) -> Unserve:
        """See `Bus.serve`."""
        place = object()
        self._owners.setdefault(name, {})[place] = handler

        async def unserve() -> None:
            owners = self._owners.get(name, {})
            owners.pop(place, None)
            if not owners:
                self._owners.pop(name, None)

        return unserve

    async def request(self, name: str, body: bytes, timeout_seconds: float) -> bytes:
        """See `Bus.request`."""
        owners = self._owners.get(name)
        if not owners:
            raise NoOwner(f"nobody serves {name!r}")
        async with asyncio.timeout(timeout_seconds):
            return await owners[next(reversed(owners))](body)
