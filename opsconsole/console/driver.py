"""The terminal read and written on the loop that acts on keys; what is written, and what keys mean, is not its matter.

A thread that reads keys or writes frames would wait for a processor and for the interpreter when both are busiest.
"""

from __future__ import annotations

import os
from asyncio import AbstractEventLoop, TimerHandle
from codecs import getincrementaldecoder
from collections.abc import Callable, Iterable
from typing import TextIO

from textual import constants, events
from textual._xterm_parser import XTermParser
from textual.drivers._writer_thread import WriterThread
from textual.drivers.linux_driver import LinuxDriver
from textual.message import Message

READ_BYTES = 4_096
TICK_SECONDS = constants.ESCAPE_DELAY + 0.005
"""A moment after the parser's patience has ended."""
UNTAKEN_BYTES_MAX = 1_048_576
"""Above this nothing is drawn until the terminal has taken it all: nobody has looked for a long time."""


class LoopDriver(LinuxDriver):
    """A terminal of Unix, without threads."""

    def start_application_mode(self) -> None:
        """Take the terminal, and listen to it."""
        self._parser = XTermParser()
        self._decode = getincrementaldecoder("utf-8")("replace").decode
        self._timer: TimerHandle | None = None
        super().start_application_mode()  # type: ignore[no-untyped-call]
        self._write_on_loop()
        self._loop.add_reader(self.fileno, self._readable)

    def disable_input(self) -> None:
        """Listen no more; what is written from here on leaves the terminal as it was."""
        self._deafen()
        if isinstance(self._writer_thread, LoopWriter):
            self._writer_thread.is_bounded = False
        super().disable_input()

    def send_message(self, message: Message) -> None:
        """Hand it to the app, whose loop this is."""
        if isinstance(message, events.Key):
            self._app.key_read()  # type: ignore[attr-defined]
        self._app.post_message(message)

    def _run_input_thread(self) -> None:
        """What the driver beneath does with a thread is done on the loop."""

    def _write_on_loop(self) -> None:
        thread = self._writer_thread
        writer = None if self._file is None else loop_writer(self._file, self._loop, self._app.refresh)
        if thread is not None and writer is not None:
            thread.stop()  # what it was given is a few hundred bytes, to a terminal that has just been opened
            self._writer_thread = writer

    def _readable(self) -> None:
        try:
            data = os.read(self.fileno, READ_BYTES)
        except OSError:
            data = b""
        if not data:  # the terminal is gone: who watches for that ends it all
            self._deafen()
            return
        self._pass_on(self._parser.feed(self._decode(data)))
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(TICK_SECONDS, self._waited)

    def _waited(self) -> None:
        """Nothing followed: an escape that might have begun a sequence is the key."""
        self._pass_on(self._parser.tick())

    def _pass_on(self, messages: Iterable[Message]) -> None:
        for message in messages:
            self.process_message(message)

    def _deafen(self) -> None:
        self._loop.remove_reader(self.fileno)
        if self._timer is not None:
            self._timer.cancel()


class LoopWriter(WriterThread):
    """Writes what the terminal takes at once, and the rest when it takes more; a thread that is never started."""

    def __init__(
        self, file: TextIO, descriptor: int, loop: AbstractEventLoop, draw_anew: Callable[[], object] = lambda: None
    ) -> None:
        """`descriptor` is a second one of the same terminal, opened so that writing never waits; it is closed here.

        `draw_anew` is called when there is room again for what was left out.
        """
        super().__init__(file)
        self._encoding, self._errors = file.encoding or "utf-8", file.errors or "replace"
        self._descriptor = descriptor
        self._loop = loop
        self._left = b""
        self._gone = False
        self._draw_anew = draw_anew
        self._has_gaps = False
        self.is_bounded = True
        """Whether what is too much is left out."""

    def write(self, text: str) -> None:
        """Write it, now or in its turn, whole or not at all."""
        if self.is_bounded and len(self._left) > UNTAKEN_BYTES_MAX:
            self._has_gaps = True
            return
        waits = bool(self._left)
        self._left += text.encode(self._encoding, self._errors)
        if not waits and not self._taken() and not self._gone:
            self._loop.add_writer(self._descriptor, self._writable)

    def stop(self) -> None:
        """Write the rest, however long it takes, and end."""
        self._loop.remove_writer(self._descriptor)
        os.set_blocking(self._descriptor, True)
        self._taken()
        os.close(self._descriptor)

    def _writable(self) -> None:
        if self._taken() or self._gone:
            self._loop.remove_writer(self._descriptor)
            if self._has_gaps:
                self._has_gaps = False
                self._draw_anew()

    def _taken(self) -> bool:
        """Whether the terminal has all of it."""
        while self._left and not self._gone:
            try:
                self._left = self._left[os.write(self._descriptor, self._left) :]
            except BlockingIOError:
                return False
            except OSError:
                self._gone = True
        return not self._left


def loop_writer(file: TextIO, loop: AbstractEventLoop, draw_anew: Callable[[], object]) -> LoopWriter | None:
    """A writer to the terminal of `file`; None where that cannot be opened a second time."""
    try:
        descriptor = os.open(os.ttyname(file.fileno()), os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return None
    return LoopWriter(file, descriptor, loop, draw_anew)
