"""The console as a process on a real pseudo-terminal, and the pacing of its frames."""

from __future__ import annotations

import asyncio
import fcntl
import os
import queue
import struct
import subprocess
import sys
import termios
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pyte
import pytest

from opsconsole.console import sample
from opsconsole.console.sample import approval
from opsconsole.console.surroundings import needs_ascii
from opsconsole.console.terminal import FORGET_SECONDS, PROBE, FramePacer, watch_for_hangup
from tests.console.fake_hub import TOKEN, FakeHub, fake_hub
from tests.console.test_hostile import evil_calls, evil_runs

COLUMNS, LINES = 80, 24
PATIENCE_SECONDS = 60.0
"""How long anything may take on a machine that does much else."""
REST_SECONDS = 0.5
"""Longer than any time for which a call must have been on screen, or no other key have come, before a key acts."""
MAIN = """
import sys
from pathlib import Path
from opsconsole.console.settings import ConsoleSettings
from opsconsole.console.start import run_console
sys.exit(run_console(ConsoleSettings(url=sys.argv[1], token=sys.argv[2], log_path=Path(sys.argv[3]))))
"""


class Terminal:
    """What an emulator makes of the bytes that the console writes."""

    def __init__(self, master: int, process: subprocess.Popen[bytes]) -> None:
        self.master = master
        self.process = process
        self.raw = bytearray()
        self.screen = pyte.Screen(COLUMNS, LINES)
        self.stream = pyte.ByteStream(self.screen)

    def read(self) -> None:
        try:
            data = os.read(self.master, 65_536)
        except OSError:
            asyncio.get_running_loop().remove_reader(self.master)
            return
        self.raw += data
        self.stream.feed(data)
        for _ in range(data.count(PROBE.encode())):
            os.write(self.master, b"\x1b[1;1R")

    def press(self, keys: str) -> None:
        os.write(self.master, keys.encode())

    async def act(self, key: str, holds: Callable[[], object]) -> None:
        """Press a key that acts, and again whenever the console says that it came too early, until something holds."""
        while True:
            await asyncio.sleep(REST_SECONDS)
            self.press(key)
            await self.until(lambda: holds() or "ignored" in self.text)
            if holds():
                return
            self.press("\x03")  # does nothing, and says so: what says "ignored" afterwards is said anew
            await self.until(lambda: "ignored" not in self.text)

    @property
    def text(self) -> str:
        return "\n".join(self.screen.display)

    async def until(self, holds: Callable[[], object], seconds: float = PATIENCE_SECONDS) -> None:
        async with asyncio.timeout(seconds):
            while not holds():  # noqa: ASYNC110
                await asyncio.sleep(0.01)


@asynccontextmanager
async def on_terminal(hub: FakeHub, log: Path, **environment: str) -> AsyncIterator[Terminal]:
    master, slave = os.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(log.parent),
        "TERM": "xterm-256color",
        "PYTHONUTF8": "1",
        **environment,
    }
    command = [sys.executable, "-c", MAIN, hub.url, TOKEN, str(log)]
    process = subprocess.Popen(  # noqa: ASYNC220
        command, stdin=slave, stdout=slave, stderr=slave, env=env, start_new_session=True
    )
    os.close(slave)
    terminal = Terminal(master, process)
    asyncio.get_running_loop().add_reader(master, terminal.read)
    try:
        yield terminal
    finally:
        asyncio.get_running_loop().remove_reader(master)
        process.kill()
        process.wait()
        os.close(master)


@pytest.mark.process
async def test_a_hostile_agent_reaches_neither_clipboard_nor_title_nor_cursor_of_a_real_terminal(
    tmp_path: Path,
) -> None:
    async with fake_hub() as hub:
        hub.rows["board"] = {row["key"]: row for row in evil_runs()}
        hub.rows["approvals"] = {row["key"]: row for row in evil_calls()}
        async with on_terminal(hub, tmp_path / "log") as terminal:
            await terminal.until(lambda: "evil" in terminal.text)
            terminal.press("2")
            await terminal.until(lambda: "waits for a decision" in terminal.text)
            raw = bytes(terminal.raw)
            assert b"\x1b]52" not in raw
            assert b"pwned\x07" not in raw
            assert b"\x1b[3;1HSPOOFED" not in raw
            assert "\u202e".encode() not in raw
            assert terminal.screen.title != "pwned"


@pytest.mark.process
async def test_a_shift_on_a_real_terminal(tmp_path: Path) -> None:
    """Look, decide, kill, leave: keys in, commands at the hub, words on the screen."""
    async with fake_hub() as hub:
        hub.rows["board"] = {row["key"]: row for row in sample.runs()}
        hub.rows["approvals"] = {"apr_1": approval("apr_1", "run_01KASREXX02", "sre", "shell", {"command": "ls"})}
        async with on_terminal(hub, tmp_path / "log") as terminal:
            await terminal.until(lambda: "13 runs" in terminal.text)
            terminal.press("2")
            await terminal.until(lambda: 'command: "ls"' in terminal.text)
            await terminal.act("a", lambda: [command.approval for command in hub.commands] == ["apr_1"])
            await terminal.until(lambda: "✔ approve" in terminal.text)
            terminal.press("1")
            await terminal.until(lambda: "most urgent first" in terminal.text)
            await terminal.act("x", lambda: len(hub.commands) == 2)
            await terminal.until(lambda: "KILL " in terminal.text)
            await terminal.act("q", lambda: terminal.process.poll() is not None)
            assert terminal.process.returncode == 0


@pytest.mark.process
async def test_without_colour_no_colour_is_sent(tmp_path: Path) -> None:
    async with fake_hub() as hub:
        hub.rows["board"] = {row["key"]: row for row in sample.runs()}
        async with on_terminal(hub, tmp_path / "log", NO_COLOR="1", OPSCONSOLE_ASCII="1") as terminal:
            await terminal.until(lambda: "13 runs" in terminal.text)
            assert b"38;2;" not in terminal.raw
            assert b"48;2;" not in terminal.raw
            assert terminal.text.isascii()


@pytest.mark.process
async def test_it_ends_when_its_terminal_goes_away(tmp_path: Path) -> None:
    async with fake_hub() as hub, on_terminal(hub, tmp_path / "log") as terminal:
        await terminal.until(lambda: "opsconsole" in terminal.text)
        asyncio.get_running_loop().remove_reader(terminal.master)
        kept = os.dup(terminal.master)
        os.dup2(os.open(os.devnull, os.O_RDWR), terminal.master)
        os.close(kept)
        await terminal.until(lambda: terminal.process.poll() is not None)


def test_a_hung_up_terminal_is_noticed_and_a_console_that_stays_is_ended() -> None:
    master, slave = os.openpty()
    told: queue.Queue[object] = queue.Queue()
    watch_for_hangup(slave, lambda: told.put("gone"), patience_seconds=0.0, end=told.put)
    assert told.empty()
    os.close(master)
    assert [told.get(timeout=PATIENCE_SECONDS) for _ in range(2)] == ["gone", 1]
    os.close(slave)


@pytest.mark.process
async def test_it_ends_even_while_its_frames_wait_for_a_terminal_that_takes_none(tmp_path: Path) -> None:
    async with fake_hub() as hub, on_terminal(hub, tmp_path / "log") as terminal:
        await terminal.until(lambda: "opsconsole" in terminal.text)
        asyncio.get_running_loop().remove_reader(terminal.master)  # from here on nobody reads: what is written stays
        for _ in range(40):
            await hub.change("board", *sample.runs())
            terminal.press("?1")
            await asyncio.sleep(0.01)
        os.dup2(os.open(os.devnull, os.O_RDWR), terminal.master)
        await terminal.until(lambda: terminal.process.poll() is not None)


def test_no_load_frame_is_drawn_before_the_terminal_has_taken_the_last() -> None:
    pacer = FramePacer(enabled=True)
    assert (pacer.ready(now=0.0), pacer.ask(now=0.0)) == (True, PROBE)
    assert not pacer.ready(now=0.5)
    pacer.answered(now=0.6)
    assert (pacer.ready(now=0.6), pacer.round_trip_seconds) == (True, 0.6)


def test_a_terminal_that_never_answers_is_asked_three_times() -> None:
    pacer = FramePacer(enabled=True)
    asked = []
    for number in range(5):
        now = number * (FORGET_SECONDS + 0.1)
        assert pacer.ready(now=now)
        asked.append(pacer.ask(now=now))
    assert asked == [PROBE, PROBE, PROBE, "", ""]


@pytest.mark.parametrize(
    ("environment", "encoding", "expected"),
    [
        ({}, "utf-8", False),
        ({}, "latin-1", True),
        ({"TERM": "linux"}, "utf-8", True),
        ({"OPSCONSOLE_ASCII": "1"}, "utf-8", True),
    ],
)
def test_ascii_is_chosen_where_the_terminal_knows_nothing_else(
    environment: dict[str, str], encoding: str, expected: bool
) -> None:
    assert needs_ascii(environment, encoding) is expected
