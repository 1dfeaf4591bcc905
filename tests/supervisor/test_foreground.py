"""`opsconsole run` in a terminal and in a pipeline must feel like the command itself."""

from __future__ import annotations

import fcntl
import os
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import pytest

from opsconsole.supervisor.linux import LinuxProcesses
from tests.supervisor.trees import DEADLINE_SECONDS, PYTHON, SLEEP, Bench, until

pytestmark = [pytest.mark.process, pytest.mark.skipif(sys.platform == "win32", reason="no terminals of this kind")]

RUN = """
import asyncio, sys
from pathlib import Path
from opsconsole.errors import CannotStart
from opsconsole.supervisor.foreground import foreground, status_of
from opsconsole.supervisor.process import SupervisedProcess

async def main():
    try:
        async with foreground(SupervisedProcess.start(sys.argv[2:], receipt_path=Path(sys.argv[1]))) as process:
            return (await process.wait()).status
    except CannotStart as error:
        print(error, file=sys.stderr)
        return status_of(error)

sys.exit(asyncio.run(main()))
"""

INTERRUPTIBLE = """
import sys, time
try: print('up', flush=True); time.sleep(600)
except KeyboardInterrupt: print('interrupted', flush=True); sys.exit(5)
"""


def command(place: Bench, *argv: str) -> list[str]:
    return [sys.executable, "-c", RUN, str(place.receipt), *argv]


@contextmanager
def running(place: Bench, code: str, *, under: Sequence[str] = (), **more: object) -> Iterator[subprocess.Popen[bytes]]:
    argv = [*under, *command(place, *PYTHON, code)]
    with subprocess.Popen(argv, env=place.env, **more) as process:  # type: ignore[call-overload]
        try:
            yield process
        finally:
            process.kill()


class Screen:
    """A terminal with somebody in front of it: the controlling terminal of what is started on it."""

    def __init__(self) -> None:
        self.master, self.slave = os.openpty()
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 99, 0, 0))
        self.shown = b""

    @property
    def streams(self) -> dict[str, object]:
        own: Callable[[], None] = lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0) and None  # noqa: E731
        return {
            "stdin": self.slave,
            "stdout": self.slave,
            "stderr": self.slave,
            "start_new_session": True,
            "preexec_fn": own,
        }

    def shows(self, text: bytes) -> bool:
        os.set_blocking(self.master, False)
        try:
            self.shown += os.read(self.master, 65536)
        except BlockingIOError:
            pass
        return text in self.shown

    def type(self, keys: bytes) -> None:
        os.write(self.master, keys)


@pytest.fixture
def screen() -> Iterator[Screen]:
    made = Screen()
    yield made
    os.close(made.master)
    os.close(made.slave)


def test_a_pipeline_gets_what_the_command_writes_and_its_status(place: Bench) -> None:
    code = "import sys; sys.stdout.write(sys.stdin.read().upper()); sys.stderr.write('aside'); sys.exit(9)"
    done = subprocess.run(command(place, *PYTHON, code), input=b"abc\r\n" * 9, env=place.env, capture_output=True)
    assert (done.stdout, done.stderr, done.returncode) == (b"ABC\r\n" * 9, b"aside", 9)


def test_all_output_arrives_however_slow_its_reader_is(place: Bench) -> None:
    with running(place, "print('x' * 5_000_000)", stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        size = 0
        while data := process.stdout.read1(4096):  # type: ignore[attr-defined]
            size += len(data)
        assert (size, process.wait(DEADLINE_SECONDS)) == (5_000_001, 0)


def test_a_reader_that_left_ends_the_command_as_it_would_directly(place: Bench) -> None:
    code = "import signal; signal.signal(13, signal.SIG_DFL)\nwhile True: print('y')"
    with running(place, code, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(DEADLINE_SECONDS) == 128 + signal.SIGPIPE


def test_a_missing_command_gives_the_shells_status(place: Bench) -> None:
    done = subprocess.run(command(place, "no-such-program-here"), env=place.env, capture_output=True)
    assert (done.returncode, done.stderr) == (127, b"cannot start 'no-such-program-here': no such program\n")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGUSR1])
def test_signals_are_forwarded(place: Bench, number: signal.Signals) -> None:
    code = f"import signal, sys, time; signal.signal({int(number)}, lambda n, _: sys.exit(n + 50))\n"
    with running(place, f"{code}print('up', flush=True); time.sleep(600)", stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        process.send_signal(number)
        assert process.wait(DEADLINE_SECONDS) == number + 50


async def test_a_command_in_a_terminal_sees_a_terminal_of_the_same_size(place: Bench, screen: Screen) -> None:
    code = (
        "import os; print([os.isatty(n) for n in (0, 1, 2)], os.get_terminal_size(), os.tcgetpgrp(0) == os.getpgrp())"
    )
    with running(place, code, **screen.streams) as process:
        await until(lambda: screen.shows(b"[True, True, True] os.terminal_size(columns=99, lines=33) True\r\n"))
        assert process.wait(DEADLINE_SECONDS) == 0


async def test_ctrl_c_reaches_the_command(place: Bench, screen: Screen) -> None:
    with running(place, INTERRUPTIBLE, **screen.streams) as process:
        await until(lambda: screen.shows(b"up\r\n"))
        screen.type(b"\x03")
        await until(lambda: screen.shows(b"interrupted\r\n"))
        assert process.wait(DEADLINE_SECONDS) == 5


async def test_what_is_typed_reaches_the_command_and_is_echoed_once(place: Bench, screen: Screen) -> None:
    with running(place, "print('up', flush=True); print(input().upper())", **screen.streams) as process:
        await until(lambda: screen.shows(b"up\r\n"))
        screen.type(b"word\r")
        await until(lambda: screen.shows(b"WORD\r\n"))
        assert (process.wait(DEADLINE_SECONDS), screen.shown) == (0, b"up\r\nword\r\nWORD\r\n")


async def test_a_resized_terminal_is_passed_on(place: Bench, screen: Screen) -> None:
    # os.write: a handler that prints may interrupt the print of "up" itself
    code = "import os, signal, time\n"
    code += "signal.signal(28, lambda *_: os.write(1, b'%d\\n' % os.get_terminal_size().columns))\n"
    with running(place, f"{code}print('up', flush=True); time.sleep(600)", **screen.streams):
        await until(lambda: screen.shows(b"up\r\n"))
        fcntl.ioctl(screen.slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 123, 0, 0))
        await until(lambda: screen.shows(b"123\r\n"))


async def test_ctrl_z_leaves_the_supervisor_reachable(place: Bench, screen: Screen) -> None:
    with running(place, INTERRUPTIBLE, **screen.streams) as process:
        await until(lambda: screen.shows(b"up\r\n"))
        screen.type(b"\x1a\x03")
        await until(lambda: screen.shows(b"interrupted\r\n"))
        assert process.wait(DEADLINE_SECONDS) == 5


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
async def test_the_terminal_is_given_back(place: Bench, screen: Screen, number: signal.Signals) -> None:
    before = termios.tcgetattr(screen.slave)
    with running(place, f"print('up', flush=True); {SLEEP}", **screen.streams) as process:
        await until(lambda: screen.shows(b"up\r\n"))
        await until(lambda: termios.tcgetattr(screen.slave) != before)
        process.send_signal(number)
        process.wait(DEADLINE_SECONDS)
        await until(lambda: termios.tcgetattr(screen.slave) == before)


async def test_the_terminal_is_given_back_to_the_shell_of_a_supervisor_that_is_killed(
    place: Bench, screen: Screen
) -> None:
    before = termios.tcgetattr(screen.slave)
    stays = ("sh", "-c", '"$@"; read line', "sh")  # so the terminal is not hung up
    with running(place, f"print('up', flush=True); {SLEEP}", under=stays, **screen.streams) as process:
        await until(lambda: screen.shows(b"up\r\n"))
        await until(lambda: termios.tcgetattr(screen.slave) != before)
        (supervisor,) = LinuxProcesses().children(process.pid)
        os.kill(supervisor, signal.SIGKILL)
        await until(lambda: termios.tcgetattr(screen.slave) == before)


async def test_a_redirected_stream_is_no_terminal_while_the_other_is(place: Bench, screen: Screen) -> None:
    code = "import os; print([os.isatty(n) for n in (0, 1, 2)])"
    streams = {**screen.streams, "stdout": subprocess.PIPE}
    with running(place, code, **streams) as process:
        assert process.stdout is not None
        assert process.stdout.read() == b"[True, False, True]\n"
        assert process.wait(DEADLINE_SECONDS) == 0
