"""What a turn gives its client: bytes in a row that a client may read from their beginning, also one that comes back.

A turn writes, a viewer (the client's connection) reads; neither knows the other. What was written is kept while it is
small enough, so that a client that timed out and asks again reads the same answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Literal

from opsconsole.gateway.wire.exchange import Exchange
from opsconsole.gateway.wire.headers import Headers as Headers

REPLAY_BYTES_MAX = 8_388_608
"""Of one answer; a longer one can't be read a second time from its beginning."""
AHEAD_BYTES_MAX = 1_048_576
"""How far upstream may run ahead of a client that reads slowly."""

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
        self._on_room: Callable[[], None] | None = None

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

    @property
    def is_far_ahead(self) -> bool:
        """Whether the slowest client is far behind: no more should be written now."""
        return self.size > AHEAD_BYTES_MAX and any(self.size - one.read > AHEAD_BYTES_MAX for one in self._viewers)

    def keep_pace(self, pause: Callable[[], None], resume: Callable[[], None]) -> None:
        """Calls `pause` where the slowest client is far behind, and `resume` once it is not any more."""
        if self.is_far_ahead:
            pause()
            self._on_room = resume

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
        if self._on_room is not None and not self.is_far_ahead:
            then, self._on_room = self._on_room, None
            then()

    def _wake(self) -> None:
        for viewer in tuple(self._viewers):
            viewer.wake()


class Viewer:
    """One client's connection, listening to one turn. `on_over` is called once, when it listens no more."""

    def __init__(
        self, output: Output, exchange: Exchange, on_over: Callable[[Viewer], None], loop: asyncio.AbstractEventLoop
    ) -> None:
        self.gone = False
        self.index = 0
        self.read = 0
        self._output, self._exchange, self._on_over = output, exchange, on_over
        self._loop = loop
        self._has_begun = self._is_due = self._is_over = False

    def begin(self) -> None:
        """Sends what there is, and all that comes."""
        exchange = self._exchange
        if exchange.gone:
            self.leave()
            return
        exchange.on_gone, exchange.on_room = self.leave, self.wake
        if self._output.is_open:
            self.wake()

    def wake(self) -> None:
        """There is more to send: a cut, or what comes amid a stream, at once; else all of this round of the loop."""
        if self._output.ended == "cut" or (self._has_begun and not self._output.ended and not self._is_due):
            self._send()
        elif not self._is_due:
            self._is_due = True
            self._loop.call_soon(self._send)

    def leave(self) -> None:
        """The client has closed its connection."""
        self.gone = True
        self._end()

    def _send(self) -> None:
        self._is_due = False
        output, exchange = self._output, self._exchange
        if self._is_over or exchange.is_full:
            return
        data, index = output.after(self.index)
        ended = output.ended
        if not data and not ended:
            return
        self.index, self.read = index, self.read + len(data)
        if ended == "whole" and not self._has_begun:
            exchange.answer(output.status, output.headers, data)
        else:
            self._send_part(data)
        output.taken()
        if ended:
            output.delivered = True
            self._end()

    def _send_part(self, data: bytes) -> None:
        output, exchange = self._output, self._exchange
        if not self._has_begun:
            self._has_begun = True
            exchange.begin(output.status, output.headers)
        if output.ended == "whole":
            exchange.end(data)
            return
        exchange.write(data)
        if output.ended:
            exchange.cut()

    def _end(self) -> None:
        if not self._is_over:
            self._is_over = True
            self._on_over(self)
