"""The day files of events: which there are, which are lost, and the positions given; it starts no thread.

One thread writes, another reads; they share only `files`, which is replaced and never changed in place.
"""

import json
import logging
import sqlite3
import threading
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

from opsconsole_storage.audit_schema import open_reader, schema_version
from opsconsole_storage.contract import Batch, StoredBatch
from opsconsole_storage.event_rows import (
    COLUMNS,
    SCHEMA_VERSION,
    batch_of,
    day_of,
    insert_rows,
    open_day_file,
    row_of,
    unstorable,
)
from opsconsole_storage.files import write_whole
from opsconsole_storage.sqlite_errors import is_damage, storage_error

STATE_NAME = "events.json"
POSITIONS_RESERVED = 100_000
"""Positions that the state file grants ahead: after a crash counting goes on behind them, so none is given twice."""
OPEN_FILES_MAX = 32
"""Day files that stay open for reading."""
PAGE_BYTES_MAX = 32 * 1024 * 1024
"""Bodies that one read returns at most, though always one."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class DayFile:
    """One file; every position in it is at least `first` and below the next file's `first`."""

    name: str
    first: int


class EventFiles:
    """All day files of one directory."""

    def __init__(self, directory: Path, clock: Callable[[], float]) -> None:
        """Find the files and the next position. Raises: NewerSchema, OSError."""
        self._directory = directory
        self._clock = clock
        self._changing = threading.RLock()
        self._current: sqlite3.Connection | None = None
        self._day = ""
        self._readers: dict[str, sqlite3.Connection] = {}
        self.damaged: dict[str, str] = {}
        """Why a day file can't be read, by its name."""
        state = self._load_state()
        self.files, newest = self._find(state["files"])
        self._reserved: int = state["reserved"]
        self._last = newest if state["last"] == newest else max(newest, self._reserved)
        self.head = newest

    def _load_state(self) -> dict[str, Any]:
        path = self._directory / STATE_NAME
        try:
            state = json.loads(path.read_text())
            return {"files": dict(state["files"]), "reserved": int(state["reserved"]), "last": state["last"]}
        except FileNotFoundError:
            return {"files": {}, "reserved": 0, "last": 0}
        except (ValueError, KeyError, TypeError) as error:
            self.damaged[STATE_NAME] = f"can't be read: {error}"
            return {"files": {}, "reserved": 0, "last": None}

    def _find(self, known: dict[str, int]) -> tuple[tuple[DayFile, ...], int]:
        files, newest = [], 0
        for name in sorted({*known, *(path.name for path in self._directory.glob("events-*.db"))}):
            try:
                first, last = self._range(name)
            except (sqlite3.Error, FileNotFoundError) as error:
                self._lose(name, error)
                continue
            files.append(DayFile(name=name, first=known.get(name, first)))
            newest = max(newest, last)
        return tuple(sorted(files, key=lambda file: file.first)), newest

    def _range(self, name: str) -> tuple[int, int]:
        reader = self._reader(name)
        schema_version(reader, name, SCHEMA_VERSION)
        first, last = reader.execute("SELECT min(position), max(position) FROM batch").fetchone()
        return (first or 0, last or 0)

    def _lose(self, name: str, reason: Exception) -> None:
        if name not in self.damaged:
            log.error("events in %s are lost: %s", name, reason)
        self.damaged[name] = "missing" if isinstance(reason, FileNotFoundError) else str(reason)

    def append_group(self, group: Sequence[Batch]) -> list[int | Exception]:
        """Store all in one transaction; a result a batch: its position or ValueError. Raises: DiskFull, DiskFailed."""
        results: list[int | Exception] = []
        rows = []
        for batch in group:
            if error := unstorable(batch):
                results.append(error)
                continue
            self._last += 1
            rows.append(row_of(self._last, batch))
            results.append(self._last)
        if rows:
            self._store(rows)
            self.head = self._last
        return results

    def _store(self, rows: list[Any]) -> None:
        try:
            connection = self._writer(rows[0][0])
            if self._last > self._reserved:
                self._reserve()
            self._insert(connection, rows)
        except (sqlite3.Error, OSError) as error:
            if not is_damage(error):
                raise storage_error(error) from error
            self._lose(self.files[-1].name, error)
            self._leave_current()
            raise storage_error(error) from error

    def _insert(self, connection: sqlite3.Connection, rows: list[Any]) -> None:
        try:
            insert_rows(connection, rows)
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")

    def _writer(self, position: int) -> sqlite3.Connection:
        day = day_of(self._clock())
        if self._current is None or day != self._day:
            self._leave_current()
            self._current, self._day = self._start_day(day, position), day
        return self._current

    def _start_day(self, day: str, position: int) -> sqlite3.Connection:
        newest = self.files[-1].name if self.files else ""
        if newest.startswith(f"events-{day}") and newest not in self.damaged:
            return open_day_file(self._directory / newest)
        name, again = f"events-{day}.db", 1
        while (self._directory / name).exists() or name in self.damaged:
            again += 1
            name = f"events-{day}-{again}.db"
        with self._changing:
            before = self.files
            try:
                connection = open_day_file(self._directory / name)  # before a reader may look for it
            except (sqlite3.Error, OSError):
                self._remove(name)
                raise
            self.files = (*before, DayFile(name=name, first=position))
            try:
                self._reserve()
            except (sqlite3.Error, OSError):
                self.files = before
                connection.close()
                self._remove(name)
                raise
            return connection

    def _leave_current(self) -> None:
        if self._current:
            self._current.close()
            self._current = None

    def _reserve(self) -> None:
        with self._changing:
            self._reserved = self._last + POSITIONS_RESERVED
            self._save_state(last=None)

    def _save_state(self, last: int | None) -> None:
        state = {"files": {file.name: file.first for file in self.files}, "reserved": self._reserved, "last": last}
        write_whole(self._directory / STATE_NAME, json.dumps(state, indent=1).encode())

    def read(self, after: int, limit: int, run: str | None) -> list[StoredBatch]:
        """See `Events.read`; a day file that can't be read is left out and named in `damaged`."""
        found: list[StoredBatch] = []
        files = self.files
        for file, following in zip_longest(files, files[1:]):
            if len(found) >= limit:
                break
            if (following and following.first <= after + 1) or file.name in self.damaged:
                continue
            try:
                found += self._read_file(file.name, after, limit - len(found), run)
            except (sqlite3.Error, zlib.error, FileNotFoundError) as error:
                if isinstance(error, sqlite3.Error) and not is_damage(error):
                    raise storage_error(error) from error
                self._lose(file.name, error)
        return found

    def _read_file(self, name: str, after: int, limit: int, run: str | None) -> list[StoredBatch]:
        condition, parameters = ("", ()) if run is None else ("AND run = ?", (run,))
        rows = self._reader(name).execute(
            f"SELECT {COLUMNS} FROM batch WHERE position > ? {condition} ORDER BY position LIMIT ?",
            (after, *parameters, limit),
        )
        found: list[StoredBatch] = []
        size_bytes = 0
        for row in rows:
            found.append(batch_of(row))
            size_bytes += len(found[-1].batch.body)
            if size_bytes > PAGE_BYTES_MAX:
                break
        return found

    def last_seq(self, run: str, gen: str) -> int:
        """See `Events.last_seq`; newest file first."""
        statement = "SELECT first_seq + count - 1 FROM batch WHERE run = ? AND gen = ? ORDER BY position DESC LIMIT 1"
        for file in reversed(self.files):
            if file.name in self.damaged:
                continue
            try:
                row = self._reader(file.name).execute(statement, (run, gen)).fetchone()
            except (sqlite3.Error, FileNotFoundError) as error:
                if isinstance(error, sqlite3.Error) and not is_damage(error):
                    raise storage_error(error) from error
                self._lose(file.name, error)
                continue
            if row:
                return int(row[0])
        return 0

    def _reader(self, name: str) -> sqlite3.Connection:
        reader = self._readers.pop(name, None)
        if reader is None:
            path = self._directory / name
            if not path.exists():
                raise FileNotFoundError(name)
            if len(self._readers) >= OPEN_FILES_MAX:
                self._readers.pop(next(iter(self._readers))).close()
            reader = open_reader(path)
        self._readers[name] = reader
        return reader

    def forget_before(self, day: str) -> list[str]:
        """Unlink the files of days before `day`, but never the newest; their names. Call it on the reading thread."""
        with self._changing:
            old = [file.name for file in self.files[:-1] if file.name[len("events-") :][: len(day)] < day]
            if old:
                self.files = tuple(file for file in self.files if file.name not in old)
                self._save_state(last=None)
        for name in old:
            if reader := self._readers.pop(name, None):
                reader.close()
            self._remove(name)
            self.damaged.pop(name, None)
        return old

    def _remove(self, name: str) -> None:
        for suffix in ("", "-wal", "-shm"):
            (self._directory / f"{name}{suffix}").unlink(missing_ok=True)

    def close_readers(self) -> None:
        """Release what the reading thread holds."""
        for reader in self._readers.values():
            reader.close()
        self._readers.clear()

    def close(self) -> None:
        """Fold the newest file's write-ahead log and remember that all positions are known."""
        self._leave_current()
        try:
            self._save_state(last=self.head)
        except OSError as error:
            log.warning("%s was not written: %s", STATE_NAME, error)
