"""The audit database as its one writing thread sees it: grouped appends under a checkpoint; it starts no thread."""

import contextlib
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from opsconsole_storage.audit_schema import (
    AUDIT_NAME,
    TILE_ENTRIES,
)
from opsconsole_storage.contract import Entry
from opsconsole_storage.errors import Conflict, Tampered, Unknown
from opsconsole_storage.leaves import leaf_bytes, storable
from opsconsole_storage.merkle import Frontier, leaf_hash
from opsconsole_storage.notes import Checkpoint, Signer
from opsconsole_storage.sidecar import Sidecar
from opsconsole_storage.sqlite_errors import storage_error

ENTRY_COLUMNS = "seq, key, at, body"


@dataclass(frozen=True, slots=True, kw_only=True)
class Append:
    """One wish to append; `expect` as in `Log.append`."""

    key: str
    body: bytes
    at: float
    expect: int | None


class Connection(Protocol):
    """What the writer needs of a database connection, so that a test can put another file system under it."""

    def execute(self, statement: str, parameters: Any = ..., /) -> Any: ...
    def executemany(self, statement: str, parameters: Any, /) -> Any: ...
    def close(self) -> None: ...


def entry_from(row: tuple[int, str, float, bytes]) -> Entry:
    """The entry of a row of ENTRY_COLUMNS."""
    return Entry(seq=row[0], key=row[1], at=row[2], body=row[3])


def frontier_at(connection: Connection, size: int) -> Frontier:
    """The frontier over the first `size` entries from the stored tiles and at most one tile's entries.

    Raises: Tampered when entries or tiles are missing.
    """
    frontier = Frontier()
    tiles = size // TILE_ENTRIES
    for (root,) in connection.execute("SELECT root FROM tile WHERE number < ? ORDER BY number", (tiles,)):
        frontier.append_subtree(root, TILE_ENTRIES)
    rows = connection.execute(
        "SELECT seq, CAST(key AS BLOB), at, body FROM entry WHERE seq > ? AND seq <= ? ORDER BY seq",
        (tiles * TILE_ENTRIES, size),
    )
    try:
        for row in rows:
            frontier.append(leaf_hash(leaf_bytes(*row)))
    except ValueError as error:
        raise Tampered(f"{AUDIT_NAME}: {error}") from error
    if frontier.size != size:
        raise Tampered(f"{AUDIT_NAME}: entries or tiles are missing before entry {size}")
    return frontier


def head_of(connection: Connection) -> int:
    """The newest sequence number, 0 when there is none."""
    return int(connection.execute("SELECT coalesce(max(seq), 0) FROM entry").fetchone()[0])


def first_of(connection: Connection) -> int:
    """The oldest sequence number that was not pruned, 1 when there is none."""
    return int(connection.execute("SELECT coalesce(min(seq), 1) FROM entry").fetchone()[0])


def check_tail(connection: Connection, signer: Signer) -> tuple[Frontier, str]:
    """The frontier of the whole log and its note, after both were found to agree. Raises: Tampered."""
    row = connection.execute("SELECT note FROM checkpoint WHERE id = 1").fetchone()
    note = str(row[0]) if row else ""
    frontier = frontier_at(connection, head_of(connection))
    if signer.sign(frontier.size, frontier.root()) != note:
        raise Tampered(f"{AUDIT_NAME}: the {frontier.size} entries are not those of the signed checkpoint")
    return frontier, note


def check_against(connection: Connection, head: int, outside: Checkpoint, where: Path) -> None:
    """Raises: Tampered when the log is shorter than the outside checkpoint or does not contain its tree."""
    if outside.size > head:
        raise Tampered(f"{AUDIT_NAME} ends at entry {head}, {where} proves {outside.size}: the tail was cut")
    pruned = first_of(connection) - 1
    if outside.size < pruned and outside.size % TILE_ENTRIES:
        return
    if frontier_at(connection, outside.size).root() != outside.root:
        raise Tampered(f"{AUDIT_NAME}: the first {outside.size} entries are not those that {where} proves")


class AuditFile:
    """The writer's side. Use it from one thread at a time."""

    def __init__(
        self,
        connection: Connection,
        signer: Signer,
        sidecars: Sequence[Sidecar],
        database_error: type[Exception] = sqlite3.Error,
    ) -> None:
        """Take over an open database and bring the outside checkpoints up to it. Raises: Tampered, Unknown."""
        self._connection = connection
        self._database_error = database_error
        self._is_stale = False
        self._signer = signer
        self._sidecars = sidecars
        self._frontier, self.note = check_tail(connection, signer)
        self._tell_outside(self.note)

    @property
    def head(self) -> int:
        return self._frontier.size

    def append_group(self, group: Sequence[Append]) -> list[int | Exception]:
        """Append all in one durable transaction; one result an append: its sequence number, Conflict or ValueError.

        Raises: DiskFull, DiskFailed when nothing was stored; Unknown when it can't be told.
        """
        if self._is_stale:
            self._frontier, self.note = check_tail(self._connection, self._signer)
            self._is_stale = False
        frontier = self._frontier.copy()
        is_stored = committing = False
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            results, note = self._write(group, frontier)
            if frontier.size == self._frontier.size:
                return results
            committing = True
            self._connection.execute("COMMIT")
            is_stored = True
        except self._database_error as error:
            self._is_stale = committing
            raise storage_error(error, committing=committing) from error
        finally:
            if not is_stored:
                self._roll_back()
        self._frontier, self.note = frontier, note
        self._tell_outside(note)
        return results

    def _write(self, group: Sequence[Append], frontier: Frontier) -> tuple[list[int | Exception], str]:
        rows: list[tuple[int, str, float, bytes]] = []
        tiles: list[tuple[int, bytes]] = []
        newest: dict[str, Entry] = {}
        results: list[int | Exception] = []
        for append in group:
            try:
                key, at = storable(append.key, append.at, append.body)
                self._expect(append, newest)
            except (Conflict, ValueError) as error:
                results.append(error)
                continue
            seq = frontier.size + 1
            tile = frontier.append(leaf_hash(leaf_bytes(seq, key, at, append.body)), TILE_ENTRIES)
            if tile:
                tiles.append((seq // TILE_ENTRIES - 1, tile))
            rows.append((seq, append.key, at, append.body))
            newest[append.key] = Entry(seq=seq, key=append.key, at=at, body=append.body)
            results.append(seq)
        self._connection.executemany(f"INSERT INTO entry ({ENTRY_COLUMNS}) VALUES (?, ?, ?, ?)", rows)
        self._connection.executemany("INSERT INTO tile (number, root) VALUES (?, ?)", tiles)
        note = self._signer.sign(frontier.size, frontier.root())
        self._connection.execute("UPDATE checkpoint SET note = ? WHERE id = 1", (note,))
        return results, note

    def _expect(self, append: Append, newest: dict[str, Entry]) -> None:
        if append.expect is None:
            return
        current = newest.get(append.key) or last_entry(self._connection, append.key)
        if append.expect != (current.seq if current else 0):
            raise Conflict(current)

    def _roll_back(self) -> None:
        with contextlib.suppress(self._database_error):
            self._connection.execute("ROLLBACK")

    def _tell_outside(self, note: str) -> None:
        try:
            for sidecar in self._sidecars:
                sidecar.write(note)
        except OSError as error:
            raise Unknown(f"stored, but the outside checkpoint was not written: {error}") from error

    def close(self) -> None:
        """Release all files; the last connection folds the write-ahead log into the database."""
        self._connection.close()
        for sidecar in self._sidecars:
            sidecar.close()


def last_entry(connection: Connection, key: str) -> Entry | None:
    """The newest entry with that key."""
    statement = f"SELECT {ENTRY_COLUMNS} FROM entry WHERE key = ? ORDER BY seq DESC LIMIT 1"
    row = connection.execute(statement, (key,)).fetchone()
    return entry_from(row) if row else None
