"""A read-only look at an audit database, beside a running hub or on a copy: one snapshot, no lock, nothing written."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opsconsole_storage.audit_file import first_of, frontier_at, head_of
from opsconsole_storage.audit_schema import AUDIT_NAME, SCHEMA_VERSION, TILE_ENTRIES, open_reader, schema_version
from opsconsole_storage.contract import Entry
from opsconsole_storage.errors import CannotOpen
from opsconsole_storage.leaves import leaf_bytes
from opsconsole_storage.merkle import Frontier, leaf_hash

_UNWRITABLE = frozenset({sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY})


@dataclass(frozen=True, slots=True)
class AuditReader:
    """One snapshot. Its methods raise sqlite3.Error when the file is damaged."""

    connection: sqlite3.Connection

    @property
    def head(self) -> int:
        """The newest sequence number, 0 when there is none."""
        return head_of(self.connection)

    @property
    def first(self) -> int:
        """The oldest sequence number that was not pruned."""
        return first_of(self.connection)

    def note(self) -> str:
        """The signed checkpoint inside the database."""
        row = self.connection.execute("SELECT CAST(note AS BLOB) FROM checkpoint WHERE id = 1").fetchone()
        return row[0].decode("utf-8", "replace") if row else ""

    def rows(self, after: int = 0, through: int | None = None) -> Iterator[tuple[Any, ...]]:
        """seq, key, at, body and the types of the last three, as stored and without using the index."""
        yield from self.connection.execute(
            "SELECT seq, CAST(key AS BLOB), at, body, typeof(key), typeof(at), typeof(body)"
            " FROM entry NOT INDEXED WHERE seq > ? AND seq <= ? ORDER BY seq",
            (after, 2**63 - 1 if through is None else through),
        )

    def leaf(self, seq: int) -> bytes:
        """The leaf of one entry. Raises: LookupError."""
        for row in self.rows(seq - 1, seq):
            return leaf_bytes(*row[:4])
        raise LookupError(f"there is no entry {seq}; the log holds {self.first} to {self.head}")

    def entries(self, after: int = 0, key_prefix: str = "") -> Iterator[Entry]:
        """All entries after `after` whose key starts with the prefix, one at a time."""
        prefix = key_prefix.encode()
        for seq, key, at, body, *_ in self.rows(after):
            if key.startswith(prefix):
                yield Entry(seq=seq, key=key.decode("utf-8", "replace"), at=at, body=body)

    def range_hash(self, start: int, end: int) -> bytes:
        """The root of the leaves from `start` (from 0) to `end` (exclusive), by stored tiles where they fit.

        Raises: LookupError for leaves that were pruned.
        """
        whole = -(-start // TILE_ENTRIES), end // TILE_ENTRIES
        frontier = Frontier()
        if whole[0] >= whole[1] or start % TILE_ENTRIES:
            self._add_leaves(frontier, start, end)
        else:
            for (root,) in self.connection.execute(
                "SELECT root FROM tile WHERE number >= ? AND number < ? ORDER BY number", whole
            ):
                frontier.append_subtree(root, TILE_ENTRIES)
            self._add_leaves(frontier, whole[1] * TILE_ENTRIES, end)
        if frontier.size != end - start:
            raise LookupError(f"entries {start + 1} to {end} were pruned; ask the archive")
        return frontier.root()

    def _add_leaves(self, frontier: Frontier, start: int, end: int) -> None:
        for row in self.rows(start, end):
            frontier.append(leaf_hash(leaf_bytes(*row[:4])))

    def root_at(self, size: int) -> bytes:
        """The root of the first `size` entries. Raises: Tampered when entries are missing."""
        return frontier_at(self.connection, size).root()


@contextmanager
def open_snapshot(directory: Path) -> Iterator[AuditReader]:
    """A snapshot of `directory`'s audit. Raises: CannotOpen, NewerSchema; sqlite3.Error when it is damaged."""
    path = directory / AUDIT_NAME
    if not path.exists():
        raise CannotOpen(f"there is no {path}")
    connection = _connect(path)
    try:
        schema_version(connection, AUDIT_NAME, SCHEMA_VERSION)
        connection.execute("BEGIN")
        connection.execute("SELECT 1 FROM entry LIMIT 1").fetchone()
        yield AuditReader(connection)
    finally:
        connection.close()


def _connect(path: Path) -> sqlite3.Connection:
    """A reader; on a medium that can't be written, where a write-ahead log can't be opened, without one."""
    connection = open_reader(path)
    try:
        connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone()
    except sqlite3.OperationalError as error:
        connection.close()
        if path.with_name(f"{path.name}-wal").exists() or error.sqlite_errorcode & 0xFF not in _UNWRITABLE:
            raise
        return open_reader(path, is_immutable=True)
    return connection
