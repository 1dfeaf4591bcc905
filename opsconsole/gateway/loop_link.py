"""The gateway's link to the hub on the loop of its streams: a turn crosses no thread on its way to the gate and back.

An agent's link has a thread, to obey while the agent's own code stands still. A gateway has no such code: where its
loop stands still, so do the streams that a kill would cut.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable

from opsconsole.protocol.limits import HELLO_SECONDS_MAX
from opsconsole.sdk.link import Link


class LoopLink(Link):
    """A `Link` whose thread is the one that runs the gateway. Public methods may be called from any thread."""

    def begin(self) -> None:
        """Starts to connect, on the running loop."""
        self._over = threading.Event()
        self._here = threading.get_ident()
        self._keeping = asyncio.create_task(self._keep())
        self._keeping.add_done_callback(lambda _: self._over.set())

    def stop(self, *, flush_seconds: float = 0.0) -> bool:
        """From another thread: says goodbye once all is delivered or the time is over; True if all was delivered."""
        deadline = time.monotonic() + flush_seconds
        done = self._wait_delivered(deadline)
        self._call(self._stopping.set)
        self._over.wait(HELLO_SECONDS_MAX + max(0.0, deadline - time.monotonic()))
        return done

    def _call(self, what: Callable[..., None], *args: object) -> None:
        if not self._ready.is_set():
            return
        if threading.get_ident() == self._here:
            self._loop.call_soon(what, *args)
            return
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody sends any more
            self._loop.call_soon_threadsafe(what, *args)
