"""How long the SDK takes to import, the program to give help, and the console to paint for the first time."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import statistics
import struct
import sys
import termios
import time
from pathlib import Path
from subprocess import DEVNULL, Popen
from subprocess import run as run_process

from bench.hub_process import HubProcess, hub_process
from bench.result import Row

IMPORT_MS_MAX = 150.0
HELP_MS_MAX = 300.0
PAINT_MS_MAX = 800.0
PROGRAM = Path(sys.executable).with_name("opsconsole")
ROWS, COLUMNS = 40, 140
PAINTED = b"STATUS"
"""The head of the table: the first frame with anything on it."""
LIVE = b"No runs yet"
"""The table once the hub has answered."""
PAINT_SECONDS_MAX = 20.0


def run(*, is_quick: bool) -> list[Row]:
    """The rows of this benchmark."""
    rounds = 3 if is_quick else 11
    bare = _median(rounds, [sys.executable, "-c", "pass"])
    imported = _median(rounds, [sys.executable, "-c", "import opsconsole.sdk"])
    helped = _median(rounds, [str(PROGRAM), "--help"])
    with hub_process() as hub:
        _until_shown_ms(hub, PAINTED)
        painted = statistics.median(_until_shown_ms(hub, PAINTED) for _ in range(rounds))
        live = statistics.median(_until_shown_ms(hub, LIVE) for _ in range(rounds))
    more = {"python_pass_ms": bare}
    beside = f"(python -c pass: {bare:.0f} ms)"
    return [
        _row(f"python -c 'import opsconsole.sdk' {beside}", imported, IMPORT_MS_MAX, more),
        _row("opsconsole --help", helped, HELP_MS_MAX, more),
        _row("opsconsole: from the command to the first paint, a hub running", painted, PAINT_MS_MAX, more),
        Row(bench="startup", what="opsconsole: from the command to live rows", measured=live, unit="ms"),
    ]


def _row(what: str, measured: float, limit: float, more: dict[str, float]) -> Row:
    return Row(bench="startup", what=what, measured=measured, unit="ms", limit=limit, more=more)


def _median(rounds: int, command: list[str]) -> float:
    _milliseconds(command)
    return statistics.median(_milliseconds(command) for _ in range(rounds))


def _milliseconds(command: list[str]) -> float:
    begin = time.perf_counter()
    run_process(command, stdin=DEVNULL, stdout=DEVNULL, check=True)
    return 1_000 * (time.perf_counter() - begin)


def _until_shown_ms(hub: HubProcess, mark: bytes) -> float:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    environment = os.environ | {
        "OPSCONSOLE_HUB": hub.url,
        "OPSCONSOLE_DATA_DIR": str(hub.data_dir),
        "TERM": "xterm-256color",
    }
    begin = time.perf_counter()
    process = Popen([str(PROGRAM)], stdin=theirs, stdout=theirs, stderr=theirs, env=environment, start_new_session=True)
    os.close(theirs)
    try:
        _read_until(mark, ours, begin)
        return 1_000 * (time.perf_counter() - begin)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        os.close(ours)


def _read_until(mark: bytes, terminal: int, begin: float) -> None:
    seen = b""
    while mark not in seen:
        left = begin + PAINT_SECONDS_MAX - time.perf_counter()
        if left <= 0 or not select.select([terminal], [], [], left)[0]:
            raise TimeoutError(f"the console painted nothing known: {seen[-2_000:]!r}")
        seen += os.read(terminal, 65_536)
