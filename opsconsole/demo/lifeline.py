"""How a demo server tells where it listens and notices that its parent is gone: stdout's first line and stdin's end."""

from __future__ import annotations

import signal
import sys
from http.server import ThreadingHTTPServer
from threading import Thread
from types import FrameType


def announce(url: str) -> None:
    """Prints where the server listens, for the parent that waits for this line."""
    print(url, flush=True)


def serve_until_orphaned(server: ThreadingHTTPServer) -> None:
    """Serves until SIGTERM, or until stdin ends: a parent that dies closes it, however it dies."""

    def stop(_number: int = 0, _frame: FrameType | None = None) -> None:
        Thread(target=server.shutdown, daemon=True).start()  # shutdown waits for the serving thread: never from it

    signal.signal(signal.SIGTERM, stop)

    def wait_for_end() -> None:
        sys.stdin.buffer.read()
        stop()

    Thread(target=wait_for_end, daemon=True).start()
    with server:
        server.serve_forever(poll_interval=0.1)
