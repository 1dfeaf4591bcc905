"""hub.db: tokens, seals, the desk's records with the marks from which a restart replays; it knows no meaning of them.

One thread owns the connection. What is lost with the file is only time: the audit and the events hold everything else,
but for the tokens, which are made anew.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from sqlite_utils import Database
from sqlite_utils.migrations import Migrations

from opsconsole.hub.desk.records import DeskRecord
from opsconsole_storage import CannotOpen, NewerSchema, ReadOnly
from opsconsole_storage.files import make_private

NAME = "hub.db"
PAGE_RECORDS = 500
"""Records read at once at a start."""
Result = TypeVar("Result")
migrations = Migrations("opsconsole.hub")


@migrations()
def tokens_and_records(database: Database) -> None:
    """The first schema."""
    database.execute(
        """CREATE TABLE token (
  id TEXT PRIMARY KEY, name TEXT NOT NULL, role TEXT NOT NULL, secret_hash BLOB NOT NULL, created_at REAL NOT NULL,
  created_by TEXT NOT NULL, expires_at REAL, revoked_at REAL, agent_prefix TEXT
)"""
    )
    database.execute(
        "CREATE TABLE record (kind TEXT NOT NULL, id TEXT NOT NULL, body BLOB NOT NULL, PRIMARY KEY (kind, id))"
    )
    database.execute("CREATE TABLE mark (name TEXT PRIMARY KEY, value INTEGER NOT NULL)")


@migrations()
def decoys(database: Database) -> None:
    """What made-up calls are whose seal is closed."""
    database.execute("CREATE TABLE decoy (approval TEXT PRIMARY KEY, body TEXT NOT NULL)")


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRow:
    """One token as stored; the secret itself is nowhere."""

    id: str
    name: str
    role: str
    secret_hash: bytes
    created_at: float
    created_by: str
    expires_at: float | None = None
    revoked_at: float | None = None
    agent_prefix: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """Everything up to here is in the records; what follows is replayed."""

    audit_seq: int = 0
    position: int = 0


_TOKEN = "id, name, role, secret_hash, created_at, created_by, expires_at, revoked_at, agent_prefix"


class Records:
    """The open hub.db."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        """Use `open`."""
        self._connection = connection
        self._path = path
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="hub-records")

    @classmethod
    def open(cls, directory: Path) -> Records:
        """Open or create the file. Raises: NewerSchema, ReadOnly, CannotOpen."""
        path = directory / NAME
        try:
            make_private(path)
            connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        except (OSError, sqlite3.Error) as error:
            raise ReadOnly(f"{path} can't be written: {error}") from error
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA busy_timeout = 5000")
            _migrate(connection, path)
        except sqlite3.Error as error:
            connection.close()
            raise CannotOpen(f"{path} can't be opened: {error}") from error
        except BaseException:
            connection.close()
            raise
        return cls(connection, path)

    async def _run(self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        """Do `work` in one transaction on the owning thread. Raises: sqlite3.Error."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, _transaction, self._connection, work)

    # -- tokens ----------------------------------------------------------------------------------------------------

    async def tokens(self) -> list[TokenRow]:
        """All tokens, revoked ones too, oldest first."""
        return await self._run(
            lambda connection: [
                TokenRow(**dict(zip(_TOKEN.split(", "), row, strict=True)))
                for row in connection.execute(f"SELECT {_TOKEN} FROM token ORDER BY created_at, id")
            ]
        )

    async def put_token(self, token: TokenRow) -> None:
        """Insert or replace one token."""
        values = [getattr(token, column) for column in _TOKEN.split(", ")]
        await self._run(
            lambda connection: connection.execute(
                f"INSERT OR REPLACE INTO token ({_TOKEN}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", values
            )
        )

    # -- the desk's records ----------------------------------------------------------------------------------------

    def load(self) -> Iterator[DeskRecord]:
        """Every record; call it before anything is written."""
        for kind, key, body in self._connection.execute("SELECT kind, id, body FROM record"):
            yield DeskRecord(kind=kind, id=key, body=body)

    def marks(self) -> Marks:
        """Where replay begins; call it before anything is written."""
        values = dict(self._connection.execute("SELECT name, value FROM mark"))
        return Marks(audit_seq=values.get("audit_seq", 0), position=values.get("position", 0))

    async def save(self, records: Iterable[DeskRecord], marks: Marks | None) -> None:
        """Put and forget records, and with `marks` move the start of replay, in one transaction."""
        changes = list(records)

        def write(connection: sqlite3.Connection) -> None:
            connection.executemany(
                "INSERT OR REPLACE INTO record (kind, id, body) VALUES (?, ?, ?)",
                [(record.kind, record.id, record.body) for record in changes if record.body is not None],
            )
            connection.executemany(
                "DELETE FROM record WHERE kind = ? AND id = ?",
                [(record.kind, record.id) for record in changes if record.body is None],
            )
            if marks is not None:
                connection.executemany(
                    "INSERT OR REPLACE INTO mark (name, value) VALUES (?, ?)",
                    [("audit_seq", marks.audit_seq), ("position", marks.position)],
                )

        await self._run(write)

    # -- made-up calls ---------------------------------------------------------------------------------------------

    async def decoys(self) -> list[tuple[str, str]]:
        """The approvals of those whose seal is closed, each with what was kept of it."""
        return await self._run(lambda connection: connection.execute("SELECT approval, body FROM decoy").fetchall())

    async def keep_decoy(self, approval: str, body: str) -> None:
        """Keep what one is."""
        values = (approval, body)
        await self._run(lambda connection: connection.execute("INSERT OR REPLACE INTO decoy VALUES (?, ?)", values))

    async def forget_decoy(self, approval: str) -> None:
        """Its seal is open."""
        await self._run(lambda connection: connection.execute("DELETE FROM decoy WHERE approval = ?", (approval,)))

    # -- the file --------------------------------------------------------------------------------------------------

    async def backup(self, target: Path) -> None:
        """Copy the file into the directory `target`. Raises: sqlite3.Error, OSError."""
        path = target / NAME
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))

        def copy() -> None:
            with closing(sqlite3.connect(path)) as writer:
                self._connection.backup(writer)

        await asyncio.get_running_loop().run_in_executor(self._thread, copy)

    def close(self) -> None:
        """Finish and release the file."""
        self._thread.shutdown(wait=True)
        self._connection.close()


def _transaction(connection: sqlite3.Connection, work: Callable[[sqlite3.Connection], Result]) -> Result:
    connection.execute("BEGIN IMMEDIATE")
    try:
        result = work(connection)
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
    return result


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    database = Database(connection)
    known = {migration.name for migration in migrations.pending(database)} | {
        migration.name for migration in migrations.applied(database)
    }
    ours = {migration.name for migration in Migrations.pending(migrations, Database(memory=True))}
    if newer := known - ours:
        raise NewerSchema(f"{path} was written by a newer opsconsole ({', '.join(sorted(newer))}): use that version")
    migrations.apply(database)
