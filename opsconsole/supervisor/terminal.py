"""Joins a command's standard streams to the user's, unchanged, and keeps the last lines; it starts no process.

A stream that is a terminal goes through a pseudo-terminal, so that the command sees a terminal too and has job control
of its own; any other goes through a pipe. stdin is passed on as it is, unless it is the terminal of such a pair.
Each copy runs in a thread of its own: a stalled terminal stops the command, as it would without us, and nothing else.
"""

from __future__ import annotations

import os
import select
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from opsconsole.supervisor.tail import Tail

if sys.platform != "win32":
    import fcntl
    import termios
    import tty

COPY_BYTES = 65536
TERMINAL = "terminal"
FIRST_PASSED_HANDLE = 10
"""Handles for the command start here, out of the way of 0, 1 and 2, which they become."""

STALLED_LOOK_SECONDS = 0.5
"""How long one wait for a non-blocking sink lasts before it is tried again."""


@dataclass(slots=True)
class Terminal:
    """The streams of one command. `stdio` are its ends of them, until `handed_over`."""

    stdio: tuple[int, ...]
    controlling: int | None
    user_terminal: int | None
    tail: Tail
    _copies: list[tuple[str, int, int]] = field(default_factory=list)
    _threads: list[threading.Thread] = field(default_factory=list)
    _pty: int | None = None
    _input: int | None = None
    _stop: int | None = None
    _saved: list[int | list[bytes | int]] | None = None

    def open(self) -> None:
        """Begins to copy and takes the keyboard: before the command starts, so that nothing of it is missed."""
        for stream, source, sink in self._copies:
            self._run(_copy, source, sink, self.tail, stream)
        if self._input is not None and self._pty is not None:
            self.take()
            stop, self._stop = os.pipe()
            self._run(_type, self._input, os.dup(self._pty), stop)

    def handed_over(self) -> None:
        """Closes the command's ends: it has them now, or will never start. May be called again."""
        for handle in set(self.stdio):
            os.close(handle)
        self.stdio = ()

    def take(self) -> None:
        """Hands the user's keyboard to the command, byte by byte, if we are in the foreground; may be called again."""
        if self._input is None or not _in_foreground(self._input):
            return
        if self._saved is None:
            self._saved = termios.tcgetattr(self._input)
        tty.setraw(self._input, termios.TCSADRAIN)
        self.resize()

    def give_back(self) -> None:
        """Restores the user's terminal."""
        if self._saved is not None and self._input is not None:
            termios.tcsetattr(self._input, termios.TCSADRAIN, self._saved)
            self._saved = None

    def saved(self) -> dict[str, Any] | None:
        """Gives, JSON-ready, the handle and the attributes with which a reaper gives the terminal back when we are
        killed; None when it was not taken."""
        if self._saved is None:
            return None
        *flags, characters = self._saved
        numbers = [byte if isinstance(byte, int) else ord(byte) for byte in cast("list[bytes | int]", characters)]
        return {"handle": self.user_terminal, "attributes": [*flags, numbers]}

    def resize(self) -> None:
        """Gives the command's terminal the size of the user's."""
        if self._pty is not None and self.user_terminal is not None:
            _copy_size(self.user_terminal, self._pty)

    def drain(self, seconds: float | None) -> bool:
        """Waits until all that was written has been copied, at most so long (None: for ever); True when it has."""
        until = None if seconds is None else time.monotonic() + seconds
        for thread in self._threads:
            thread.join(None if until is None else max(0.0, until - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def close(self) -> None:
        """Gives the user's terminal back and stops reading its keyboard; what is being copied still arrives."""
        self.give_back()
        if self._stop is not None:
            os.close(self._stop)
            self._stop = None
        for handle in (self._pty, self.user_terminal):
            if handle is not None:
                os.close(handle)
        self._pty = self.user_terminal = None

    def _run(self, work: object, *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)  # type: ignore[arg-type]
        thread.start()
        if work is _copy:
            self._threads.append(thread)


def wire(stdio: Sequence[int], tail: Tail) -> Terminal:
    """Makes the streams for a command whose user's are `stdio` (handles of stdin, stdout, stderr; left open)."""
    user_in, user_out, user_err = stdio
    shown = [handle for handle in (user_out, user_err) if os.isatty(handle)]
    if not shown:
        out, err, copies = _pipes(user_out, user_err)
        terminal = _passed(user_in) if os.isatty(user_in) else None
        return Terminal((_passed(user_in), out, err), None, terminal, tail, copies)
    return _with_pty(user_in, user_out, user_err, shown[0], tail)


def _with_pty(user_in: int, user_out: int, user_err: int, shown: int, tail: Tail) -> Terminal:
    master, slave = os.openpty()
    typed = os.isatty(user_in)
    _copy_size(shown, slave)
    attributes = termios.tcgetattr(shown)
    if not typed:
        attributes[1] &= ~termios.OPOST  # the user's terminal stays cooked: it ends the lines itself
    termios.tcsetattr(slave, termios.TCSANOW, attributes)
    copies = [(TERMINAL, master, shown)]
    ends = [_passed(slave) if typed else _passed(user_in)]
    for stream, handle in (("stdout", user_out), ("stderr", user_err)):
        if os.isatty(handle):
            ends.append(_passed(slave))
        else:
            source, end = _pipe()
            ends.append(end)
            copies.append((stream, source, handle))
    os.close(slave)
    controlling = next(end for end in ends if os.isatty(end) and end is not ends[0]) if not typed else ends[0]
    passed = (ends[0], ends[1], ends[2])
    made = Terminal(passed, controlling, _passed(shown), tail, copies)
    made._pty = os.dup(master)  # the copying thread closes its own
    made._input = user_in if typed else None
    return made


def _pipes(user_out: int, user_err: int) -> tuple[int, int, list[tuple[str, int, int]]]:
    out_source, out = _pipe()
    # With 2>&1 both are one file: one pipe keeps the order in which the command wrote.
    if os.path.samestat(os.fstat(user_out), os.fstat(user_err)):
        return out, out, [("output", out_source, user_out)]
    err_source, err = _pipe()
    return out, err, [("stdout", out_source, user_out), ("stderr", err_source, user_err)]


def _copy(source: int, sink: int, tail: Tail, stream: str) -> None:
    shown = True
    try:
        while data := _read(source):
            tail.feed(stream, data)
            shown = shown and _write(sink, data)
            # With its pipe closed the command learns at its next write what it would have learnt without us; a
            # terminal that went away is told by SIGHUP, and the rest is only kept.
            if not shown and stream != TERMINAL:
                return
    finally:
        os.close(source)


def _type(source: int, sink: int, stop: int) -> None:
    try:
        while stop not in (ready := select.select([source, stop], [], [])[0]):
            data = _read(source) if source in ready else b""
            if not data or not _write(sink, data):
                return
    finally:
        os.close(stop)
        os.close(sink)


def _read(source: int) -> bytes:
    try:
        return os.read(source, COPY_BYTES)
    except OSError:  # EIO: the last holder of the pseudo-terminal closed it
        return b""


def _write(sink: int, data: bytes) -> bool:
    while data:
        try:
            data = data[os.write(sink, data) :]
        except BlockingIOError:  # somebody made the user's stream non-blocking: wait for room
            select.select([], [sink], [], STALLED_LOOK_SECONDS)
        except OSError:
            return False
    return True


def _pipe() -> tuple[int, int]:
    source, end = os.pipe()
    passed = _passed(end)
    os.close(end)
    return source, passed


def _passed(handle: int) -> int:
    try:
        return fcntl.fcntl(handle, fcntl.F_DUPFD_CLOEXEC, FIRST_PASSED_HANDLE)
    except OSError:  # a closed stream: the command gets an empty one
        null = os.open(os.devnull, os.O_RDWR)
        try:
            return fcntl.fcntl(null, fcntl.F_DUPFD_CLOEXEC, FIRST_PASSED_HANDLE)
        finally:
            os.close(null)


def _copy_size(source: int, target: int) -> None:
    try:
        fcntl.ioctl(target, termios.TIOCSWINSZ, fcntl.ioctl(source, termios.TIOCGWINSZ, b"\0" * 8))
    except OSError:
        return


def _in_foreground(terminal: int) -> bool:
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
