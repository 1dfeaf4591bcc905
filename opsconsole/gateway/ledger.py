"""What turns may cost, on disk before a provider is asked, and what they cost, before a client has the answer's end.

A gateway that dies takes with it what it had counted in the last moment and not told. The next one finds here which
turns were under way, and counts them at the most that they may have used; and the counts of those that were over. The
file is appended to by single writes: what was written survives the death of the process, not of the machine. It says
nothing that the runs' journals have: those take counts once a second, and then the file begins anew.
"""

from __future__ import annotations

import fcntl
import json
import os
import threading
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from opsconsole.domain.light import light_dataclass
from opsconsole.sdk.new_ids import new_id
from opsconsole.sdk.private_folder import make_private_folder

SUFFIX = ".turns"
FILE_BYTES_MAX = 262_144
"""Beyond this, and beyond twice what it began with, the file begins anew, once the journals have what is in it."""


_ENCODE = msgspec.json.Encoder().encode


@light_dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """A turn that was let go, and the most that it may use."""

    turn: str
    run: str
    model: str
    provider: str = ""
    input_tokens: int = 0
    output_tokens: int = 0
    usd: float | None = None
    """None: no price is known."""
    priced_by: str = ""
    verdict: str = ""
    turns: int = 1
    asked: bool = True
    """Whether the provider may have been asked; else it has only been proposed."""


@dataclass(slots=True)
class Left:
    """What dead processes left of their turns."""

    open: dict[str, list[Begun]] = field(default_factory=dict)
    """run -> the turns that were not over."""
    counts: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    """run -> model -> its latest counts, cumulative."""


class TurnLedger:
    """The file of one process. Its methods may be called from any thread."""

    def __init__(self, folder: Path) -> None:
        """Raises: OSError."""
        make_private_folder(folder)
        self._path = folder / f"{os.getpid()}-{new_id('led')}{SUFFIX}"
        self._lock = threading.Lock()
        self._file = _opened(self._path)
        self._size = 0
        self._full_at = FILE_BYTES_MAX
        self._open: dict[str, bytes] = {}
        self._counted: dict[tuple[str, str], bytes] = {}
        """Since the last `mark`."""
        self._marked: dict[tuple[str, str], bytes] = {}
        self._unwritten: list[bytes] = []
        self._carried: list[bytes] = []
        """Of runs that nobody here speaks for: kept until a later process takes them up."""

    def begun(self, turn: Begun) -> None:
        """A turn is let go, or proposed. Raises: OSError: then it may not go."""
        line = _line({"begun": turn})
        with self._lock:
            self._write(line)
            self._open[turn.turn] = line

    def counted(self, run: str, model: str, counts: Mapping[str, Any]) -> None:
        """The run's counts with a model have grown to these; written with the end of the turn that used them."""
        line = _line({"run": run, "model": model, "counts": counts})
        with self._lock:
            self._counted[run, model] = line
            self._unwritten.append(line)

    def over(self, turn: str) -> None:
        """The turn is over, and what it used was counted."""
        with self._lock:
            self._unwritten.append(b'{"over":"%b"}\n' % turn.encode())  # an id of ours: nothing in it to escape
            lines, self._unwritten = b"".join(self._unwritten), []
            self._open.pop(turn, None)
            try:
                self._write(lines)
            except OSError:  # a full disk: should we die, the turn counts as one that was cut by our death
                pass

    def carry(self, left: Left) -> None:
        """What could not be taken up stays on record, also behind an end in order. Raises: OSError."""
        lines = [_line({"begun": turn}) for turns in left.open.values() for turn in turns]
        for run, models in left.counts.items():
            lines += [_line({"run": run, "model": model, "counts": counts}) for model, counts in models.items()]
        with self._lock:
            self._write(b"".join(lines))
            self._carried += lines

    def mark(self) -> None:
        """What is counted up to here the journals will have by `trim`."""
        with self._lock:
            self._marked, self._counted = {**self._marked, **self._counted}, {}

    def trim(self) -> None:
        """The journals have what was marked: a file that has grown begins anew without it. Raises: OSError."""
        with self._lock:
            self._marked = {}
            if self._size < self._full_at:
                return
            self._begin_anew(b"".join([*self._carried, *self._open.values(), *self._counted.values()]))

    def untrimmed(self) -> None:
        """A journal could not be settled: what was marked is kept."""
        with self._lock:
            self._counted, self._marked = {**self._marked, **self._counted}, {}

    def close(self) -> None:
        """The process ends in order: the journals have all of it, and nothing more is kept."""
        with self._lock:
            if self._carried:
                with suppress(OSError):  # then the file says more than it has to
                    self._begin_anew(b"".join(self._carried))
            else:
                self._path.unlink(missing_ok=True)
            os.close(self._file)
            self._file = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)

    def _write(self, lines: bytes) -> None:
        if os.write(self._file, lines) != len(lines):
            os.ftruncate(self._file, self._size)  # lest the next line be glued to half of this one
            raise OSError("the disk took only a part of it")
        self._size += len(lines)

    def _begin_anew(self, kept: bytes) -> None:
        """The file has these lines only; on an OSError it stays as it was."""
        beside = self._path.with_suffix(".new")
        file = _opened(beside)
        try:
            if os.write(file, kept) != len(kept):
                raise OSError("the disk took only a part of it")
            beside.replace(self._path)
        except OSError:
            os.close(file)
            raise
        os.close(self._file)
        self._file, self._size = file, len(kept)
        self._full_at = max(FILE_BYTES_MAX, 2 * len(kept))  # else a file of many open turns is written at each trim


def left_behind(folder: Path) -> tuple[Left, list[Path]]:
    """What dead processes wrote, and their files, to be removed once it is taken up."""
    left, files = Left(), []
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        with suppress(OSError):
            if (data := _read_if_dead(path)) is not None:
                _gather(left, data.splitlines())
                files.append(path)
    return left, files


def _opened(path: Path) -> int:
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(file)
        raise
    return file


def _read_if_dead(path: Path) -> bytes | None:
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return None
        return file.read()


def _gather(left: Left, lines: Iterable[bytes]) -> None:
    begun: dict[str, Begun] = {}
    for line in lines:
        with suppress(ValueError, KeyError, TypeError, AttributeError):  # the last one may be half
            told = json.loads(line)
            if "begun" in told:
                turn = Begun(**told["begun"])
                begun[turn.turn] = turn
            elif "over" in told:
                begun.pop(told["over"], None)
            else:
                known = left.counts.setdefault(told["run"], {})
                known[told["model"]] = larger(known.get(told["model"], {}), dict(told["counts"]))
    for turn in begun.values():
        left.open.setdefault(turn.run, []).append(turn)


def larger(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """The later of two readings of one counter."""
    return max(one, other, key=_reading)


def _reading(counts: Mapping[str, Any]) -> tuple[float, ...]:
    names = ("turns", "input_tokens", "output_tokens", "cost_usd")
    return tuple(float(counts.get(name) or 0.0) for name in names)


def _line(told: Mapping[str, Any]) -> bytes:
    try:
        return _ENCODE(told) + b"\n"
    except ValueError:  # a name that is no text, as only JSON can write it
        plain = {key: asdict(value) if isinstance(value, Begun) else value for key, value in told.items()}
        return json.dumps(plain).encode() + b"\n"
