"""The audit database's shape, and what a connection to it may do; no entry passes here."""

import sqlite3
from pathlib import Path

from opsconsole_storage.errors import NewerSchema, Tampered

AUDIT_NAME = "audit.db"
SCHEMA_VERSION = 1
APPLICATION_ID = 0x4F505341
TILE_ENTRIES = 256
"""Leaves under one stored subtree root: start-up and proofs rehash at most this many entries."""
JOURNAL_BYTES_MAX = 16 * 1024 * 1024
"""A write-ahead log left larger than this by a slow reader is cut back."""

SCHEMA = (
    """CREATE TABLE entry (
  seq INTEGER PRIMARY KEY,
  key TEXT NOT NULL CHECK (typeof(key) = 'text'),
  at REAL NOT NULL CHECK (typeof(at) = 'real'),
  body BLOB NOT NULL CHECK (typeof(body) = 'blob')
)""",
    "CREATE INDEX entry_key ON entry (key)",
    "CREATE TABLE tile (number INTEGER PRIMARY KEY, root BLOB NOT NULL CHECK (length(root) = 32))",
    "CREATE TABLE checkpoint (id INTEGER PRIMARY KEY CHECK (id = 1), note TEXT NOT NULL)",
    """CREATE TRIGGER entry_is_dense BEFORE INSERT ON entry
WHEN NEW.seq <> (SELECT coalesce(max(seq), 0) + 1 FROM entry)
BEGIN SELECT RAISE(ABORT, 'append-only: an entry follows the last one'); END""",
    """CREATE TRIGGER entry_never_changes BEFORE UPDATE ON entry
BEGIN SELECT RAISE(ABORT, 'append-only: an entry never changes'); END""",
    """CREATE TRIGGER entry_stays BEFORE DELETE ON entry
BEGIN SELECT RAISE(ABORT, 'append-only: an entry stays'); END""",
    """CREATE TRIGGER tile_is_dense BEFORE INSERT ON tile
WHEN NEW.number <> (SELECT coalesce(max(number), -1) + 1 FROM tile)
BEGIN SELECT RAISE(ABORT, 'append-only: a tile follows the last one'); END""",
    """CREATE TRIGGER tile_never_changes BEFORE UPDATE ON tile
BEGIN SELECT RAISE(ABORT, 'append-only: a tile never changes'); END""",
    """CREATE TRIGGER tile_stays BEFORE DELETE ON tile
BEGIN SELECT RAISE(ABORT, 'append-only: a tile stays'); END""",
    """CREATE TRIGGER checkpoint_stays BEFORE DELETE ON checkpoint
BEGIN SELECT RAISE(ABORT, 'the checkpoint stays'); END""",
)

_READABLE = frozenset({"entry", "tile", "checkpoint"})
_INSERTABLE = frozenset({"entry", "tile"})
_FUNCTIONS = frozenset({"coalesce", "max", "typeof", "length", "raise"})


def allow_only_appending(
    action: int, first: str | None, second: str | None, _database: str | None, _trigger: str | None
) -> int:
    """The authorizer of the writing connection: what is not needed to append is denied."""
    allowed = {
        sqlite3.SQLITE_SELECT: True,
        sqlite3.SQLITE_TRANSACTION: True,
        sqlite3.SQLITE_READ: first in _READABLE,
        sqlite3.SQLITE_INSERT: first in _INSERTABLE,
        sqlite3.SQLITE_UPDATE: (first, second) == ("checkpoint", "note"),
        sqlite3.SQLITE_FUNCTION: second in _FUNCTIONS,
    }
    return sqlite3.SQLITE_OK if allowed.get(action) else sqlite3.SQLITE_DENY


def create_schema(connection: sqlite3.Connection, note: str) -> None:
    """Lay out an empty audit database with the checkpoint of an empty log; all of it or nothing."""
    connection.execute("BEGIN IMMEDIATE")
    for statement in SCHEMA:
        connection.execute(statement)
    connection.execute("INSERT INTO checkpoint (id, note) VALUES (1, ?)", (note,))
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    connection.execute("COMMIT")


def set_pragmas(connection: sqlite3.Connection, synchronous: str = "FULL") -> None:
    """Durable commits, triggers that also see REPLACE, and no trust in functions named by the schema."""
    connection.execute("PRAGMA busy_timeout = 5000")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute(f"PRAGMA synchronous = {synchronous}")
    connection.execute("PRAGMA recursive_triggers = ON")
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.execute(f"PRAGMA journal_size_limit = {JOURNAL_BYTES_MAX}")


def open_reader(path: Path, *, is_immutable: bool = False) -> sqlite3.Connection:
    """A connection that can't write; usable from one thread at a time. Raises: sqlite3.Error.

    `is_immutable`: nobody else writes the file now, so it is read without any lock or log.
    """
    uri = f"{path.absolute().as_uri()}?mode=ro{'&immutable=1' if is_immutable else ''}"
    connection = sqlite3.connect(uri, uri=True, check_same_thread=False)
    connection.isolation_level = None
    connection.execute("PRAGMA busy_timeout = 5000")
    connection.execute("PRAGMA query_only = ON")
    connection.execute("PRAGMA trusted_schema = OFF")
    return connection


def schema_version(connection: sqlite3.Connection, name: str, newest: int) -> int:
    """The file's schema version, 0 for an empty file. Raises: NewerSchema."""
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > newest:
        raise NewerSchema(f"{name} has schema {version}, this version knows {newest}: use a newer opsconsole")
    return version


def check_schema(connection: sqlite3.Connection) -> None:
    """Raises: Tampered when a table, an index or a trigger is not as it was laid out."""
    rows = connection.execute("SELECT type, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_stat%'").fetchall()
    if sorted(str(sql) for _, sql in rows) != sorted(SCHEMA):
        raise Tampered(f"{AUDIT_NAME}: the tables or triggers were changed")
