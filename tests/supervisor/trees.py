"""Real commands with awkward trees, and the means to wait for and to find what they started."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from opsconsole.supervisor.linux import LinuxProcesses
from opsconsole.supervisor.process import SupervisedProcess

MARK = "OPSCONSOLE_TEST_MARK"
DEADLINE_SECONDS = 60.0
GOING_SECONDS = 20.0
"""How long what is dying may take to be gone, on a machine that does much else."""
LOOK_SECONDS = 0.005

PYTHON = (sys.executable, "-I", "-S", "-c")

SLEEP = "import time; time.sleep(600)"
STUBBORN = "import signal, time; [signal.signal(n, signal.SIG_IGN) for n in (1, 2, 15)]; print('up', flush=True)\n"
STUBBORN += "while True: time.sleep(600)"
SPIN = "print('up', flush=True)\nwhile True: pass"

THREE_LEVELS = """
import os, subprocess, sys, time
run = lambda code, **kw: subprocess.Popen([sys.executable, '-I', '-S', '-c', code], **kw)
sleep = 'import time; time.sleep(600)'
middle = 'import subprocess, sys, time; subprocess.Popen([sys.executable, "-I", "-S", "-c", %r]); ' % sleep + sleep
run(middle)
run(middle, start_new_session=True)
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.execv(sys.executable, [sys.executable, '-I', '-S', '-c', sleep])
    os._exit(0)
os.wait()
print('up', flush=True)
time.sleep(600)
"""
"""Six processes: a plain and a setsid child with a child each, and a daemon of a double fork."""
THREE_LEVELS_COUNT = 6

LEAVES_A_DAEMON = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for n in (0, 1, 2): os.close(n)
        os.execve(sys.executable, [sys.executable, '-I', '-S', '-c', 'import time; time.sleep(600)'], dict(os.environ))
    os._exit(0)
os.wait()
sys.exit(7)
"""

FIRST_THREAD_ENDED = """
import ctypes, threading, time
def work():
    print('up', flush=True)
    while True: time.sleep(600)
threading.Thread(target=work).start()
ctypes.CDLL(None).pthread_exit(None)
"""
"""Its first thread ends and another works on: the process looks like a zombie and is none."""

RESPAWNS = """
import os, time, signal
def spawn(left):
    if left and os.fork() == 0:
        parent = os.getppid()
        os.setsid()
        while os.getppid() == parent: time.sleep(0.0005)
        spawn(left - 1)
        time.sleep(600)
for _ in range(4): spawn(50)
print('up', flush=True)
time.sleep(600)
"""
"""Each child waits for its parent's death and then starts another, in a new session; at most 200 altogether."""


@dataclass(frozen=True, slots=True)
class Bench:
    """One test's directory and the environment that marks all it starts."""

    directory: Path
    mark: str

    @property
    def env(self) -> dict[str, str]:
        return {**os.environ, MARK: self.mark}

    @property
    def receipt(self) -> Path:
        return self.directory / "receipt.json"

    def marked(self) -> list[int]:
        """Gives the live processes that carry the mark."""
        table, wanted = LinuxProcesses(), f"{MARK}={self.mark}".encode()
        return [pid for pid in table.pids() if wanted in _proc(pid, "environ").split(b"\0")]

    def leftovers(self) -> list[int]:
        """Gives those of them that are no reapers."""
        commands = ((pid, _proc(pid, "cmdline")) for pid in self.marked())
        return [pid for pid, command in commands if command and b"supervisor.reaper" not in command]


@contextmanager
def bench(directory: Path) -> Iterator[Bench]:
    """Gives a marked bench; kills and reports what a test left alive."""
    made = Bench(directory, secrets.token_hex(8))
    yield made
    deadline = time.monotonic() + GOING_SECONDS
    while (left := made.marked()) and time.monotonic() < deadline:
        time.sleep(LOOK_SECONDS)
    for pid in left:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    assert left == []


def begun(pid: int) -> None:
    """Waits until a process just started shows its environment: the kernel shows it last, after the start is told."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not _proc(pid, "environ"):
        assert time.monotonic() < deadline, f"{pid} shows no environment"
        time.sleep(LOOK_SECONDS)


def sleeper(place: Bench, *, new_session: bool = False) -> subprocess.Popen[bytes]:
    """Starts a child of the test itself."""
    return subprocess.Popen([*PYTHON, SLEEP], env=place.env, start_new_session=new_session)


def end(pid: int) -> None:
    """Kills and collects a child of the test, be it adopted."""
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


async def until(holds: Callable[[], bool | Awaitable[bool]]) -> None:
    """Waits until the condition holds; fails after `DEADLINE_SECONDS`."""
    async with asyncio.timeout(DEADLINE_SECONDS):
        while True:
            held = holds()
            if held if isinstance(held, bool) else await held:
                return
            await asyncio.sleep(LOOK_SECONDS)


async def grown(process: SupervisedProcess, count: int) -> None:
    """Waits until the tree has this many processes."""

    async def full() -> bool:
        return len(await process.tree()) >= count

    await until(full)


async def said(process: SupervisedProcess, line: str) -> None:
    """Waits until the command has written this line."""
    await until(lambda: line in process.terminal.tail.lines())


def _proc(pid: int, name: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""
