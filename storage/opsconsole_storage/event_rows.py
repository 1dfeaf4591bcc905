"""One day file of events: its tables, and how a batch becomes a row and back; it knows no other file."""

import math
import sqlite3
import time
import zlib
from collections.abc import Sequence
from itertools import chain
from pathlib import Path

from opsconsole_storage.audit_schema import schema_version, set_pragmas
from opsconsole_storage.contract import Batch, StoredBatch
from opsconsole_storage.errors import StorageError
from opsconsole_storage.files import make_private
from opsconsole_storage.leaves import BODY_BYTES_MAX

SCHEMA_VERSION = 1
APPLICATION_ID = 0x4F505345
PACK_BYTES_MIN = 200
"""Shorter bodies hardly get smaller by packing."""
ROWS_A_STATEMENT = 16
"""Rows of one INSERT: each statement costs the writer one wait for the interpreter's lock."""
INTEGER_MAX = 2**63 - 1

SCHEMA = (
    """CREATE TABLE batch (
  position INTEGER PRIMARY KEY,
  run TEXT NOT NULL,
  gen TEXT NOT NULL,
  first_seq INTEGER NOT NULL,
  count INTEGER NOT NULL,
  at REAL NOT NULL,
  packed INTEGER NOT NULL,
  body BLOB NOT NULL
)""",
    "CREATE INDEX batch_run ON batch (run)",
)
COLUMNS = "position, run, gen, first_seq, count, at, packed, body"
_ONE_ROW = "(?, ?, ?, ?, ?, ?, ?, ?)"
_INSERT = f"INSERT INTO batch ({COLUMNS}) VALUES "
_INSERT_MANY = _INSERT + ", ".join([_ONE_ROW] * ROWS_A_STATEMENT)

Row = tuple[int, str, str, int, int, float, int, bytes]


def day_of(at: float) -> str:
    """The UTC day of a time, as it stands in a file's name."""
    return time.strftime("%Y%m%d", time.gmtime(at))


def open_day_file(path: Path) -> sqlite3.Connection:
    """A writing connection to a new or existing day file. Raises: sqlite3.Error, OSError, NewerSchema."""
    make_private(path)
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        set_pragmas(connection, synchronous="NORMAL")
        if schema_version(connection, path.name, SCHEMA_VERSION) == 0:
            connection.execute("BEGIN IMMEDIATE")
            for statement in SCHEMA:
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            connection.execute("COMMIT")
    except (sqlite3.Error, StorageError):
        connection.close()
        raise
    return connection


def insert_rows(connection: sqlite3.Connection, rows: Sequence[Row]) -> None:
    """Insert all rows in one transaction. Raises: sqlite3.Error."""
    whole = len(rows) - len(rows) % ROWS_A_STATEMENT
    connection.execute("BEGIN IMMEDIATE")
    for start in range(0, whole, ROWS_A_STATEMENT):
        connection.execute(_INSERT_MANY, list(chain.from_iterable(rows[start : start + ROWS_A_STATEMENT])))
    if rest := rows[whole:]:
        connection.execute(_INSERT + ", ".join([_ONE_ROW] * len(rest)), list(chain.from_iterable(rest)))
    connection.execute("COMMIT")


def row_of(position: int, batch: Batch) -> Row:
    """The row to store, its body deflated when that saves at least an eighth."""
    packed, body = 0, batch.body
    if len(body) >= PACK_BYTES_MIN:
        deflated = zlib.compress(body, 1)
        if len(deflated) * 8 <= len(body) * 7:
            packed, body = 1, deflated
    return (position, batch.run, batch.gen, batch.first_seq, batch.count, batch.at, packed, body)


def batch_of(row: Row) -> StoredBatch:
    """The batch of a row. Raises: zlib.error when the body is damaged."""
    position, run, gen, first_seq, count, at, packed, body = row
    if packed:
        body = zlib.decompress(body)
    batch = Batch(run=run, gen=gen, first_seq=first_seq, count=count, at=at, body=body)
    return StoredBatch(position=position, batch=batch)


def unstorable(batch: Batch) -> ValueError | None:
    """Why this batch can't be stored, so that it does not fail the group that it is in."""
    try:
        batch.run.encode()
        batch.gen.encode()
    except UnicodeEncodeError as error:
        return error
    if not math.isfinite(batch.at):
        return ValueError(f"{batch.at} is not a time")
    if not (0 <= batch.first_seq <= INTEGER_MAX and 0 <= batch.count <= INTEGER_MAX):
        return ValueError("an event number is out of range")
    if len(batch.body) > BODY_BYTES_MAX:
        return ValueError(f"a body of {len(batch.body)} bytes is over the limit")
    return None
