"""One run's journal: events until the hub has them, the hub's commands, calls, checkpoints; it decides nothing.

A SQLite file in WAL mode, synchronous=NORMAL: what was inserted survives the death of the process, not of the machine.
One process holds it, by a lock that dies with the process.
"""

from __future__ import annotations

import fcntl
import json
import os
import sqlite3
import threading
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opsconsole.domain.ids import is_id
from opsconsole.errors import ConfigError, JournalDamaged, RunInUse
from opsconsole.sdk.new_ids import new_gen
from opsconsole.sdk.private_folder import make_private_folder

JOURNAL_BYTES_MAX = 64 * 1024 * 1024
"""Undelivered events of one run; beyond this the oldest notes and messages give way."""
JOURNAL_KEPT_FRACTION = 0.9
"""Dropping goes down to this fraction of the cap, so that it is rare."""
ANSWERED_KEPT_MAX = 1_000
"""Carried-out commands remembered, so that one sent again is answered the same and not done again."""
CALLS_KEPT_MAX = 10_000
"""Ended calls remembered, so that they are not run again after a restart."""
WAL_PAGES_MAX = 4_000
"""The write-ahead log is folded in at this size (16 MB): seldom, because it waits for the disk."""
_DROPPABLE = ("note", "message")
_SCHEMA_VERSION = 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS events (seq INTEGER PRIMARY KEY, type TEXT NOT NULL, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS commands (cmd TEXT PRIMARY KEY, cseq INTEGER NOT NULL, body BLOB, answer BLOB);
CREATE TABLE IF NOT EXISTS calls (
  call TEXT PRIMARY KEY, status TEXT NOT NULL, digest TEXT NOT NULL, verdict TEXT, result BLOB, error TEXT);
CREATE TABLE IF NOT EXISTS usage (model TEXT PRIMARY KEY, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS checkpoint (one INTEGER PRIMARY KEY CHECK (one = 1), id TEXT NOT NULL, state BLOB NOT NULL);
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRecord:
    """What is known of one call across restarts."""

    call: str
    status: str
    """proposed, running, completed, failed, denied, answered or interrupted."""
    digest: str
    verdict: str | None = None
    result: bytes | None = None
    """JSON, where the result could be kept."""
    error: str | None = None


class RunLock:
    """Held by the one process that speaks for a run; the kernel lets go when that process ends."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd = _locked(path)
        _HELD.add(self)

    def release(self, *, remove: bool = False) -> None:
        """Lets go; with `remove`, the file goes first, while it is still ours."""
        if remove:
            self.path.unlink(missing_ok=True)
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = -1


_HELD: weakref.WeakSet[RunLock] = weakref.WeakSet()


def _let_go_in_fork() -> None:
    """A forked child does not speak for the run, and must not keep it from those who come after its parent."""
    for lock in list(_HELD):
        lock.release()


os.register_at_fork(after_in_child=_let_go_in_fork)


def _locked(path: Path) -> int:
    while True:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(fd)
            raise RunInUse(f"the run {path.stem} is already spoken for by a live process of this machine") from None
        if _same_file(fd, path):
            return fd
        os.close(fd)


def _same_file(fd: int, path: Path) -> bool:
    """Whether the locked file is still the one at `path`: its last holder may have removed it in between."""
    try:
        return os.fstat(fd).st_ino == path.stat().st_ino
    except FileNotFoundError:
        return False


def is_spoken_for(folder: Path, run: str) -> bool:
    """Whether a live process of this machine speaks for a run with the SDK."""
    path = journal_path(folder, run)
    try:
        fd = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(fd)
    return False


def journal_path(folder: Path, run: str, point: str = "sdk") -> Path:
    """Where the journal of a run's point lies. Raises: ConfigError if `run` is no id."""
    if not is_id(run):
        raise ConfigError(f"a run id is 1 to 128 of letters, digits and _.:-, not {run[:200]!r}")
    return journal_folder(folder, point) / f"{run}.db"


def journal_folder(folder: Path, point: str = "sdk") -> Path:
    """The folder of one point's journals: those of agents lie at the top."""
    return folder if point == "sdk" else folder / point


class Journal:
    """The open journal of one run and point. Its methods may be called from any thread."""

    def __init__(self, folder: Path, run: str, *, point: str = "sdk", bytes_max: int = JOURNAL_BYTES_MAX) -> None:
        """Opens or creates it. Raises: RunInUse, JournalDamaged, OSError, sqlite3.OperationalError."""
        self.path = journal_path(folder, run, point)
        make_private_folder(self.path.parent)
        self.bytes_max = bytes_max
        self._lock = threading.RLock()
        self._run_lock = RunLock(self.path.with_name(self.path.name + ".lock"))
        self._pid = os.getpid()
        try:
            self._db = _opened(self.path)
            self._load(run, point)
        except sqlite3.OperationalError:
            self._run_lock.release()
            raise
        except sqlite3.DatabaseError as error:
            self._run_lock.release()
            raise JournalDamaged(f"{self.path} cannot be read as a journal: {error}") from error
        except BaseException:
            self._run_lock.release()
            raise

    def _load(self, run: str, point: str) -> None:
        self.fresh = self.get("gen") is None
        if self.fresh:
            for name, value in (("run", run), ("point", point), ("gen", new_gen()), ("schema", str(_SCHEMA_VERSION))):
                self.put(name, value)
        if self.get("schema") != str(_SCHEMA_VERSION):
            raise JournalDamaged(f"{self.path} was written by another version (schema {self.get('schema')})")
        self.run = self.get("run") or run
        self.point = self.get("point") or point
        self.gen = self.get("gen") or ""
        self.acked = int(self.get("acked") or 0)
        self.cseq = int(self.get("cseq") or 0)
        last, size = self._db.execute("SELECT max(seq), coalesce(sum(length(body)), 0) FROM events").fetchone()
        self.last_seq = max(self.acked, last or 0)
        self.bytes = int(size)

    @property
    def hub(self) -> str | None:
        """The name of the hub that it is for, None while no link has taken it on."""
        return self.get("hub")

    @property
    def full(self) -> bool:
        """Even with all that may give way gone, the journal is far over its cap: the gate must not go on."""
        return self.bytes > 2 * self.bytes_max

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing."""
        with self._lock:
            if self._db.in_transaction:
                yield
                return
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:  # a full disk may have ended it already
                    self._db.execute("ROLLBACK")
                raise

    # -- events ----------------------------------------------------------------------------------------------------

    def append(self, seq: int, type: str, body: bytes) -> None:
        """One more event. Raises: sqlite3.Error when it could not be kept."""
        if os.getpid() != self._pid:
            raise RunInUse(f"run {self.run} belongs to the process that opened it, not to its fork")
        with self._lock:
            self._db.execute("INSERT INTO events VALUES (?, ?, ?)", (seq, type, body))
            self.last_seq = seq
            self.bytes += len(body)
            if self.bytes > self.bytes_max:
                self._make_room()

    def append_all(self, rows: Sequence[tuple[int, str, bytes]]) -> None:
        """Several events in order, each as `append` keeps it; all or none within a `transaction`."""
        for seq, type, body in rows:
            self.append(seq, type, body)

    def read(self, first: int, last: int) -> list[tuple[int, bytes]]:
        """The events still here in [first, last]; missing numbers are holes."""
        with self._lock:
            return self._db.execute(
                "SELECT seq, body FROM events WHERE seq BETWEEN ? AND ? ORDER BY seq", (first, last)
            ).fetchall()

    def next_after(self, seq: int) -> int:
        """The first event still here after `seq`, or one past the last."""
        with self._lock:
            (found,) = self._db.execute("SELECT min(seq) FROM events WHERE seq > ?", (seq,)).fetchone()
        return found or self.last_seq + 1

    def acknowledge(self, seq: int) -> None:
        """The hub has everything up to `seq`."""
        if seq <= self.acked:
            return
        with self.transaction():
            (size,) = self._db.execute(
                "SELECT coalesce(sum(length(body)), 0) FROM events WHERE seq <= ?", (seq,)
            ).fetchone()
            self._db.execute("DELETE FROM events WHERE seq <= ?", (seq,))
            self.put("acked", str(seq))
        self.acked = seq
        self.bytes -= size

    def _make_room(self) -> None:
        excess = self.bytes - int(self.bytes_max * JOURNAL_KEPT_FRACTION)
        doomed: list[tuple[int]] = []
        rows = self._db.execute(
            "SELECT seq, length(body) FROM events WHERE type IN (?, ?) AND seq < ? ORDER BY type = 'message', seq",
            (*_DROPPABLE, self.last_seq),
        )
        for seq, size in rows:
            if excess <= 0:
                break
            doomed.append((seq,))
            excess -= size
            self.bytes -= size
        self._db.executemany("DELETE FROM events WHERE seq = ?", doomed)

    # -- the hub's commands ----------------------------------------------------------------------------------------

    def command(self, cmd: str, cseq: int, body: bytes) -> bool:
        """Keeps a command; False if it was already here. Either way `cseq` is journalled afterwards."""
        with self.transaction():
            new = self._db.execute("INSERT OR IGNORE INTO commands VALUES (?, ?, ?, NULL)", (cmd, cseq, body)).rowcount
            self.put("cseq", str(max(self.cseq, cseq)))
        self.cseq = max(self.cseq, cseq)
        return bool(new)

    def answer(self, cmd: str, answer: bytes) -> None:
        """What was answered to a command, to be answered again if it comes again."""
        with self.transaction():
            self._db.execute("UPDATE commands SET answer = ?, body = NULL WHERE cmd = ?", (answer, cmd))
            self._db.execute(
                "DELETE FROM commands WHERE answer IS NOT NULL AND cseq <= ?", (self.cseq - ANSWERED_KEPT_MAX,)
            )

    def answered(self, cmd: str) -> bytes | None:
        """The answer given to a command, None while it has none."""
        with self._lock:
            row = self._db.execute("SELECT answer FROM commands WHERE cmd = ?", (cmd,)).fetchone()
        return row[0] if row else None

    def open_commands(self) -> list[bytes]:
        """Commands journalled and not answered, in order."""
        with self._lock:
            return [
                body for (body,) in self._db.execute("SELECT body FROM commands WHERE answer IS NULL ORDER BY cseq")
            ]

    # -- calls, checkpoint, usage, facts ---------------------------------------------------------------------------

    def note_call(self, record: CallRecord) -> None:
        """The latest of one call."""
        values = (record.call, record.status, record.digest, record.verdict, record.result, record.error)
        with self._lock:
            self._db.execute("INSERT OR REPLACE INTO calls VALUES (?, ?, ?, ?, ?, ?)", values)

    def call(self, call: str) -> CallRecord | None:
        """What is known of a call."""
        with self._lock:
            row = self._db.execute("SELECT * FROM calls WHERE call = ?", (call,)).fetchone()
        return _record(row) if row else None

    def calls(self) -> list[CallRecord]:
        """Every call known, oldest first."""
        with self._lock:
            return [_record(row) for row in self._db.execute("SELECT * FROM calls ORDER BY rowid")]

    def trim_calls(self) -> None:
        """Forgets the oldest ended calls beyond CALLS_KEPT_MAX; on a full disk, another time."""
        with self._lock, suppress(sqlite3.Error):
            self._db.execute(
                "DELETE FROM calls WHERE status NOT IN ('proposed', 'running')"
                " AND rowid <= (SELECT max(rowid) FROM calls) - ?",
                (CALLS_KEPT_MAX,),
            )

    def save_checkpoint(self, checkpoint: str, state: bytes) -> None:
        """The state to resume from; the one before is replaced, and one more is counted, or neither."""
        with self.transaction():
            self._db.execute("INSERT OR REPLACE INTO checkpoint VALUES (1, ?, ?)", (checkpoint, state))
            self.put("checkpoints", str(self.checkpoints + 1))

    @property
    def checkpoints(self) -> int:
        """How many there have been."""
        return int(self.get("checkpoints") or 0)

    def checkpoint(self) -> tuple[str, bytes] | None:
        """Id and state of the last checkpoint."""
        with self._lock:
            row = self._db.execute("SELECT id, state FROM checkpoint").fetchone()
        return (row[0], row[1]) if row else None

    def save_usage(self, model: str, counts: dict[str, Any]) -> None:
        """Cumulative counts with one model."""
        with self._lock:
            self._db.execute("INSERT OR REPLACE INTO usage VALUES (?, ?)", (model, json.dumps(counts)))

    def usage(self) -> dict[str, dict[str, Any]]:
        """model -> cumulative counts."""
        with self._lock:
            return {model: json.loads(body) for model, body in self._db.execute("SELECT model, body FROM usage")}

    def put(self, name: str, value: str) -> None:
        """Keeps a fact."""
        with self._lock:
            self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, value))

    def get(self, name: str) -> str | None:
        """A kept fact."""
        with self._lock:
            row = self._db.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return row[0] if row else None

    def close(self, *, remove: bool = False) -> None:
        """Lets go of the run; with `remove`, the journal goes too."""
        with self._lock:
            self._db.close()
            if remove:
                for suffix in ("", "-wal", "-shm"):
                    self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)
            self._run_lock.release(remove=remove)


def _opened(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5.0)
    try:
        path.chmod(0o600)
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        db.execute(f"PRAGMA wal_autocheckpoint = {WAL_PAGES_MAX}")
        db.executescript(_SCHEMA)
    except BaseException:
        db.close()
        raise
    return db


def _record(row: tuple[Any, ...]) -> CallRecord:
    call, status, digest, verdict, result, error = row
    return CallRecord(call=call, status=status, digest=digest, verdict=verdict, result=result, error=error)
