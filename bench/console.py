"""How the console feels under load, in a real pseudo-terminal: key to paint, kill key to wire, CPU, memory, bytes."""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from subprocess import PIPE, Popen

from bench.console_opening import OPENINGS, opened
from bench.result import Row, percentile, spread
from bench.terminal import Terminal, terminal

PROGRAM = Path(sys.executable).with_name("opsconsole")
RUNS, UPDATES = 10_000, 5_000
WIDE, NARROW = (160, 45), (80, 24)
SLOW_BYTES_PER_SECOND = 32_000.0
CURSOR = re.compile(rb"\x1b\[(\d+);1H(?:\x1b\[[0-9;]*m)*\xe2\x96\x8c")
"""The bar that marks the row under the cursor, painted at the beginning of a line."""
SETTLE_SECONDS = 4.0
PATIENCE_SECONDS = 30.0
COMMAND_SECONDS = 2.0
MEMORY_MINUTES, QUICK_MINUTES = 10.0, 0.2
MEMORY_READINGS = 20
FLAT_MIB = 8.0
"""Between two sweeps of the collector it holds a few more than after one."""
DWELL_SECONDS = 0.55
"""A kill key does nothing until its row has been under the cursor for 400 ms."""


@dataclass(frozen=True, slots=True)
class Board:
    """The process that shows the fleet, and the wire to it."""

    process: Popen[str]
    wire: Popen[str]
    port: int
    """The near end of the wire."""

    def next_command(self) -> float | None:
        """When the next command reached the wire's other end, monotonic seconds; None when none came."""
        assert self.wire.stdout is not None
        if not select.select([self.wire.stdout], [], [], COMMAND_SECONDS)[0]:
            return None
        return float(json.loads(self.wire.stdout.readline())["at"])

    def changes(self) -> int:
        """How many changes of runs there were so far."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return int(json.loads(self.process.stdout.readline())["changes"])


@contextlib.contextmanager
def board(runs: int, updates: int) -> Iterator[Board]:
    """A fleet behind its wire, until the block ends."""
    with contextlib.ExitStack() as ends:
        process, port = _started(ends, "bench.board_server", runs, updates)
        wire, near = _started(ends, "bench.wire", port)
        yield Board(process, wire, near)


def _started(ends: contextlib.ExitStack, module: str, *arguments: int) -> tuple[Popen[str], int]:
    """A process that ends with `ends`, and the port that it told."""
    command = [sys.executable, "-m", module, *map(str, arguments)]
    process = ends.enter_context(Popen(command, stdin=PIPE, stdout=PIPE, text=True))
    ends.callback(process.kill)
    assert process.stdout is not None
    return process, int(json.loads(process.stdout.readline())["port"])


@contextlib.contextmanager
def console(fleet: Board, size: tuple[int, int], bytes_per_second: float | None = None) -> Iterator[Terminal]:
    """The console on that fleet, its table painted."""
    with tempfile.TemporaryDirectory() as data_dir:
        place = {"OPSCONSOLE_HUB": f"http://127.0.0.1:{fleet.port}", "OPSCONSOLE_DATA_DIR": data_dir}
        environment = os.environ | place | {"OPSCONSOLE_TOKEN": "ops_bench_" + "x" * 32, "TERM": "xterm-256color"}
        columns, rows = size
        with terminal(
            [str(PROGRAM)], environment, columns=columns, rows=rows, bytes_per_second=bytes_per_second
        ) as shown:
            shown.seconds_until(CURSOR, time.monotonic(), PATIENCE_SECONDS)
            shown.rest(SETTLE_SECONDS)
            yield shown


def run(*, is_quick: bool, minutes: float | None = None) -> list[Row]:
    """The rows of this benchmark; memory is watched for `minutes`, by default for ten, or for seconds when quick."""
    watched = (QUICK_MINUTES if is_quick else MEMORY_MINUTES) if minutes is None else minutes
    keys, kills, seconds = (30, 5, 3.0) if is_quick else (200, 100, 10.0)
    rows: list[Row] = []
    with board(RUNS, UPDATES) as fleet, console(fleet, WIDE) as shown:
        rows += _keys(shown, keys, "10,000 runs, 5,000 updates/s", 16.0)
        rows += _kills(shown, fleet, kills, "10,000 runs, 5,000 updates/s", 10.0)
        rows += _cost(shown, fleet, seconds)
        rows += _memory(shown, watched)
    with board(RUNS, UPDATES) as fleet, console(fleet, WIDE) as shown:
        rows += _openings(shown, 6 if is_quick else 60)
    with board(RUNS, UPDATES) as fleet, console(fleet, NARROW) as shown:
        rows.append(_bytes(shown, seconds, "busy fleet", 60.0))
    with board(200, 0) as fleet, console(fleet, NARROW) as shown:
        rows.append(_bytes(shown, seconds, "idle fleet", 2.0))
    with board(RUNS, UPDATES) as fleet, console(fleet, WIDE, SLOW_BYTES_PER_SECOND) as shown:
        rows += _keys(shown, keys // 4, "the same over 32 kB/s", 150.0)
        rows += _kills(shown, fleet, max(3, kills // 2), "the same over 32 kB/s", 10.0)
    return rows


def _keys(shown: Terminal, count: int, where: str, limit_ms: float) -> list[Row]:
    samples = []
    for number in range(count):
        shown.rest(0.13)
        key = "j" if number % 20 < 10 else "k"
        samples.append(1_000 * shown.seconds_until(CURSOR, shown.press(key), PATIENCE_SECONDS))
    what = f"key to painted cursor, p99, {where}"
    return [_row(what, percentile(samples, 0.99), "ms", limit_ms, spread(samples))]


def _kills(shown: Terminal, fleet: Board, count: int, where: str, limit_ms: float) -> list[Row]:
    samples, refused = [], 0
    while len(samples) < count and refused < count:
        shown.press("j")
        shown.rest(DWELL_SECONDS)
        pressed = shown.press("x")
        at = fleet.next_command()
        if at is None:  # the row came under the cursor too late for a key that is bound to it: the key is refused
            refused += 1
        else:
            samples.append(1_000 * (at - pressed))
        shown.rest(0.3)
        shown.press("\x1b")
        shown.rest(0.3)
    what = f"kill key to the command on the wire, p99, {where}"
    return [_row(what, percentile(samples, 0.99), "ms", limit_ms, {**spread(samples), "refused": refused})]


def _openings(shown: Terminal, count: int) -> list[Row]:
    rows = []
    for opening in OPENINGS:
        samples = opened(shown, opening, count)
        what = f"opening {opening.what}, p99, 10,000 runs, 5,000 updates/s"
        rows.append(_row(what, percentile(samples, 0.99), "ms", 50.0, spread(samples)))
    return rows


def _cost(shown: Terminal, fleet: Board, seconds: float) -> list[Row]:
    before, changes, began = shown.cpu_seconds(), fleet.changes(), time.monotonic()
    shown.rest(seconds)
    share = 100 * (shown.cpu_seconds() - before) / (time.monotonic() - began)
    rate = (fleet.changes() - changes) / (time.monotonic() - began)
    return [_row("CPU of the console, same load", share, "% of a core", 25.0, {"updates_per_second": round(rate)})]


def _memory(shown: Terminal, minutes: float) -> list[Row]:
    """What it holds at most, and by how much the second half of the time adds to the first."""
    halves = [[_held(shown, minutes) for _ in range(MEMORY_READINGS // 2)] for _ in range(2)]
    growth = max(halves[1]) - max(halves[0])
    over = f"over {minutes:g} minutes"
    return [
        _row(f"memory of the console, 10,000 runs, {over}", max(map(max, halves)), "MiB", 200.0),
        _row(f"memory of the console, growth in the second half, {over}", growth, "MiB", FLAT_MIB),
    ]


def _held(shown: Terminal, minutes: float) -> float:
    shown.rest(60 * minutes / MEMORY_READINGS)
    return shown.memory_mib()


def _bytes(shown: Terminal, seconds: float, what: str, limit: float) -> Row:
    before = shown.bytes_read
    shown.rest(seconds)
    return _row(f"bytes to an 80x24 terminal, {what}", (shown.bytes_read - before) / seconds / 1_000, "kB/s", limit)


def _row(what: str, measured: float, unit: str, limit: float, more: dict[str, float] | None = None) -> Row:
    return Row(bench="console", what=what, measured=round(measured, 2), unit=unit, limit=limit, more=more or {})
