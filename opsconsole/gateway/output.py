"""What a turn gives its client: bytes in a row that a client may read from their beginning, also one that comes back.

A turn writes, a viewer (the client's connection) reads; neither knows the other. What was written is kept while it is
small enough, so that a client that timed out and asks again reads the same answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Literal

REPLAY_BYTES_MAX = 8_388_608
"""Of one answer; a longer one can't be read a second time from its beginning."""
AHEAD_BYTES_MAX = 1_048_576
"""How far upstream may run ahead of a client that reads slowly."""

Headers = list[tuple[bytes, bytes]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
End = Literal["", "whole", "cut"]


class Output:
    """The answer to one request."""

    def __init__(self) -> None:
        self.status = 0
        """0 while none is settled."""
        self.headers: Headers = []
        self.ended: End = ""
        self.size = 0
        self.delivered = False
        """Whether some client has been sent all of it."""
        self._parts: list[bytes] = []
        self._dropped = 0
        self._viewers: list[Viewer] = []
        self._room: asyncio.Future[None] | None = None

    # -- for the turn ----------------------------------------------------------------------------------------------

    @property
    def is_open(self) -> bool:
        """Whether the status is settled."""
        return self.status != 0

    def open(self, status: int, headers: Headers) -> None:
        """Settles status and headers; later ones are not sent."""
        if not self.status:
            self.status, self.headers = status, headers

    def write(self, data: bytes) -> None:
        """The next bytes."""
        if data and not self.ended:
            self._parts.append(data)
            self.size += len(data)
            self._wake()

    def end(self, how: End) -> None:
        """Nothing follows. `cut`: the connection is to break, so that no client takes what it has for an answer."""
        if not self.ended:
            self.ended = how
            self._wake()

    async def room(self) -> None:
        """Waits while the slowest client is far behind."""
        while self._behind() > AHEAD_BYTES_MAX:
            self._room = asyncio.get_running_loop().create_future()
            await self._room

    def _behind(self) -> int:
        return max((self.size - viewer.read for viewer in self._viewers), default=0)

    # -- for viewers -----------------------------------------------------------------------------------------------

    @property
    def viewed(self) -> bool:
        """Whether a client listens."""
        return bool(self._viewers)

    @property
    def replayable(self) -> bool:
        """Whether a client that comes now can have all of it."""
        return self._dropped == 0 and self.size <= REPLAY_BYTES_MAX

    def attach(self, viewer: Viewer) -> None:
        """A client listens from now on."""
        self._viewers.append(viewer)

    def detach(self, viewer: Viewer) -> None:
        """It does not any more."""
        if viewer in self._viewers:
            self._viewers.remove(viewer)
        self._let_on()

    def after(self, index: int) -> tuple[bytes, int]:
        """The bytes behind the first `index` parts, and the number of parts they end."""
        parts = self._parts[index - self._dropped :]
        return (parts[0] if len(parts) == 1 else b"".join(parts)), index + len(parts)

    def taken(self) -> None:
        """A client has been sent more: the turn may go on, and what is too long to be read again goes."""
        self._let_on()
        if self.size > REPLAY_BYTES_MAX and self._viewers:
            done = min(viewer.index for viewer in self._viewers) - self._dropped
            if done > 0:
                del self._parts[:done]
                self._dropped += done

    def _let_on(self) -> None:
        if self._room is not None and not self._room.done():
            self._room.set_result(None)

    def _wake(self) -> None:
        for viewer in self._viewers:
            viewer.wake()


class Viewer:
    """One client's connection, listening to one turn."""

    def __init__(self, output: Output) -> None:
        self.gone = False
        self.index = 0
        self.read = 0
        self._output = output
        self._more: asyncio.Future[None] | None = None

    def wake(self) -> None:
        """There is more to send, or the client is gone."""
        if self._more is not None and not self._more.done():
            self._more.set_result(None)

    def leave(self) -> None:
        """The client has closed its connection."""
        self.gone = True
        self.wake()

    async def follow(self, send: Send) -> bool:
        """Sends all there is and will be; False where it ended before it was whole (cut, or the client left)."""
        output = self._output
        started = False
        while not self.gone:
            data, index = output.after(self.index)
            ended = output.ended
            if not data and not ended:
                self._more = asyncio.get_running_loop().create_future()
                await self._more
                continue
            if not started:
                started = True
                await send({"type": "http.response.start", "status": output.status, "headers": self._headers(data)})
            self.index, self.read = index, self.read + len(data)
            whole = ended == "whole"
            if data or whole:
                await send({"type": "http.response.body", "body": data, "more_body": not whole})
            output.taken()
            if ended:
                output.delivered = output.delivered or not self.gone
                return whole
        return False

    def _headers(self, data: bytes) -> Headers:
        if self._output.ended == "whole":
            return [*self._output.headers, (b"content-length", str(len(data)).encode())]
        return self._output.headers
