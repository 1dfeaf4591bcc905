"""Makes a supervised command feel as if it ran directly: signals, keyboard, window size, exit status; nothing else.

With a terminal, its keyboard goes to the command's own pseudo-terminal byte by byte: Ctrl-C and Ctrl-\\ reach what runs
there in the foreground. Without one, the signals that we get are sent on to the command's process group. Ctrl-Z does
not suspend us: a suspended supervisor could not be reached by the kill key.
"""

from __future__ import annotations

import asyncio
import errno
import signal
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from opsconsole.errors import CannotStart
from opsconsole.supervisor.process import SupervisedProcess

FORWARDED = ("SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM", "SIGUSR1", "SIGUSR2")
IGNORED = ("SIGTSTP", "SIGTTIN", "SIGTTOU")

DELIVERED_LOOK_SECONDS = 0.02
"""How often a stalled terminal is looked at again when the command has ended but its output is not all delivered."""

NOT_FOUND_STATUS = 127
NOT_STARTED_STATUS = 126


@asynccontextmanager
async def foreground(starting: Coroutine[Any, Any, SupervisedProcess]) -> AsyncIterator[SupervisedProcess]:
    """Awaits `starting` and forwards signals and window sizes to its process; a signal that comes before it is there
    is forwarded then. On leaving, delivers the rest of the output, gives the terminal back and lets go of the process.
    For the main thread only. Raises: what `starting` raises.
    """
    loop = asyncio.get_running_loop()
    began: asyncio.Future[SupervisedProcess] = loop.create_future()
    sending: set[asyncio.Task[None]] = set()

    def forward(number: int) -> None:
        task = loop.create_task(_send(began, number))
        sending.add(task)
        task.add_done_callback(sending.discard)

    # What was ignored when we were started (nohup) stays ignored, for us as for the command.
    handled = [number for name in FORWARDED if signal.getsignal(number := signal.Signals[name]) is not signal.SIG_IGN]
    for number in handled:
        loop.add_signal_handler(number, forward, number)
    try:
        process = await starting
        began.set_result(process)
        with _terminal_signals(loop, process):
            yield process
            await _deliver(process)
        await process.close()
    finally:
        began.cancel()
        for number in handled:
            loop.remove_signal_handler(number)


@contextmanager
def _terminal_signals(loop: asyncio.AbstractEventLoop, process: SupervisedProcess) -> Iterator[None]:
    loop.add_signal_handler(signal.SIGWINCH, process.terminal.resize)
    loop.add_signal_handler(signal.SIGCONT, process.terminal.take)
    process.terminal.resize()  # the window may have changed while nobody listened
    # Only now: the command would have inherited that they are ignored.
    earlier = {name: signal.signal(signal.Signals[name], signal.SIG_IGN) for name in IGNORED}
    try:
        yield
    finally:
        process.terminal.give_back()
        for number in (signal.SIGWINCH, signal.SIGCONT):
            loop.remove_signal_handler(number)
        for name, handler in earlier.items():
            signal.signal(signal.Signals[name], handler)


def status_of(failure: CannotStart) -> int:
    """Gives the exit status a shell gives for a command that could not be started."""
    cause = failure.__cause__
    missing = isinstance(cause, OSError) and cause.errno == errno.ENOENT
    return NOT_FOUND_STATUS if missing else NOT_STARTED_STATUS


async def _deliver(process: SupervisedProcess) -> None:
    """Waits for the user's streams to take the last output, as long as they take."""
    while process.empty and not process.terminal.drain(0):  # noqa: ASYNC110  (copying threads set no event of a loop)
        await asyncio.sleep(DELIVERED_LOOK_SECONDS)


async def _send(began: asyncio.Future[SupervisedProcess], number: int) -> None:
    process = await asyncio.shield(began)
    await process.signal(number)
