"""One data directory as a store: opened under a lock after its audit was found intact; other files are not its own."""

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from opsconsole_storage import backups, verify
from opsconsole_storage.audit_file import AuditFile, check_against, head_of
from opsconsole_storage.audit_schema import (
    AUDIT_NAME,
    SCHEMA_VERSION,
    allow_only_appending,
    check_schema,
    create_schema,
    schema_version,
    set_pragmas,
)
from opsconsole_storage.errors import CannotOpen, ReadOnly, Tampered
from opsconsole_storage.event_files import STATE_NAME, EventFiles
from opsconsole_storage.event_rows import day_of
from opsconsole_storage.files import FOR_ALL, OWNER_ONLY, DirectoryLock, close_to_others, make_private
from opsconsole_storage.keys import PUBLIC_NAME, create_signer, load_signer
from opsconsole_storage.local_bus import LocalBus
from opsconsole_storage.merkle import EMPTY_ROOT
from opsconsole_storage.notes import Signer
from opsconsole_storage.proofs import ConsistencyProof, InclusionProof
from opsconsole_storage.sidecar import SIDECAR_NAME, Sidecar, read_sidecar
from opsconsole_storage.sqlite_events import SqliteEvents
from opsconsole_storage.sqlite_log import SqliteLog

LOCK_NAME = "store.lock"
SECONDS_A_DAY = 86_400
_OWN = ("audit.", "events-", STATE_NAME, LOCK_NAME)
"""How the names of a store's files begin."""


class SqliteStore:
    """The embedded engine: `audit.db`, `events-YYYYMMDD.db`, the signing key and the outside checkpoint."""

    def __init__(
        self, directory: Path, clock: Callable[[], float], lock: DirectoryLock, audit: AuditFile, files: EventFiles
    ) -> None:
        """Use `open`."""
        self._directory = directory
        self._clock = clock
        self._lock = lock
        self._audit = audit
        self._is_closed = False
        self.log = SqliteLog(audit, directory / AUDIT_NAME)
        self.events = SqliteEvents(files)
        self.bus = LocalBus()

    @classmethod
    async def open(
        cls, directory: Path, *, clock: Callable[[], float], checkpoint_copy: Path | None = None
    ) -> "SqliteStore":
        """Open or create the store in `directory`; `clock` gives unix seconds and names the day files.

        `checkpoint_copy` is a second file for the checkpoint, best on another disk.

        Raises: Locked, NewerSchema, ReadOnly, Tampered, CannotOpen.
        """
        lock, audit, files = await asyncio.to_thread(_open_files, directory, clock, checkpoint_copy)
        return cls(directory, clock, lock, audit, files)

    @property
    def pending(self) -> int:
        """Appends and batches that wait for the disk."""
        return self.log.pending + self.events.pending

    def checkpoint(self) -> str:
        """The latest signed checkpoint (C2SP signed note)."""
        return self._audit.note

    async def retain_events(self, days: int) -> list[str]:
        """Delete the day files older than `days` whole days; their names. Raises: ValueError below one day."""
        if days < 1:
            raise ValueError("events are kept for at least one day")
        return await self.events.retain(day_of(self._clock() - days * SECONDS_A_DAY))

    async def inclusion_proof(self, seq: int) -> InclusionProof:
        """The proof that entry `seq` stands in the log. Raises: LookupError, StorageError."""
        return await asyncio.to_thread(verify.inclusion_proof, self._directory, seq)

    async def consistency_proof(self, old_size: int) -> ConsistencyProof:
        """The proof that the log starts with its first `old_size` entries. Raises: ValueError, LookupError."""
        return await asyncio.to_thread(verify.consistency_proof, self._directory, old_size)

    async def backup(self, target: Path) -> None:
        """Copy everything, the signing key too, to the new directory `target` while the store is in use.

        Raises: FileExistsError when `target` exists, StorageError, OSError.
        """
        await asyncio.to_thread(backups.copy_store, self._directory, target)

    async def close(self) -> None:
        """Finish what is queued, then release everything; a second call does nothing."""
        if self._is_closed:
            return
        self._is_closed = True
        await self.log.close()
        await self.events.close()
        self._lock.release()


def _open_files(
    directory: Path, clock: Callable[[], float], checkpoint_copy: Path | None
) -> tuple[DirectoryLock, AuditFile, EventFiles]:
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = DirectoryLock(directory / LOCK_NAME)
    except OSError as error:
        raise ReadOnly(f"{directory} can't be written: {error}") from error
    with ExitStack() as opened:
        opened.callback(lock.release)
        _close_what_is_there(directory)
        try:
            audit = open_audit(directory, checkpoint_copy)
            opened.callback(audit.close)
            files = EventFiles(directory, clock)
        except (sqlite3.Error, OSError) as error:
            raise _cannot_open(directory, error) from error
        opened.pop_all()
    return lock, audit, files


def _close_what_is_there(directory: Path) -> None:
    """Files of a directory that was open to others, such as one made by hand; the public key is for everybody."""
    for path in directory.iterdir():
        if path.name.startswith(_OWN) and path.name != PUBLIC_NAME and path.is_file():
            close_to_others(path)


def _cannot_open(directory: Path, error: Exception) -> CannotOpen:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN) or isinstance(error, OSError):
        return ReadOnly(f"{directory} can't be written: {error}")
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return Tampered(f"{directory}: the database is damaged: {error}")
    return CannotOpen(f"{directory} can't be opened: {error}")


def open_audit(directory: Path, checkpoint_copy: Path | None, *, is_resealed: bool = False) -> AuditFile:
    """The checked audit of a locked directory, made when there is none.

    `is_resealed`: a person took the outside checkpoints away, so that none need be there.

    Raises: CannotOpen, sqlite3.Error, OSError.
    """
    signer = load_signer(directory) if (directory / PUBLIC_NAME).exists() else _first_signer(directory)
    make_private(directory / AUDIT_NAME)
    connection = sqlite3.connect(directory / AUDIT_NAME, isolation_level=None, check_same_thread=False)
    try:
        set_pragmas(connection)
        if schema_version(connection, AUDIT_NAME, SCHEMA_VERSION) == 0:
            create_schema(connection, signer.sign(0, EMPTY_ROOT))
        check_schema(connection)
        _quick_check(connection)
        sidecars = _open_sidecars(connection, signer, directory / SIDECAR_NAME, checkpoint_copy, is_resealed)
        connection.set_authorizer(allow_only_appending)
        return AuditFile(connection, signer, sidecars)
    except BaseException:
        connection.close()
        raise


def _first_signer(directory: Path) -> Signer:
    if (directory / AUDIT_NAME).exists():
        raise Tampered(f"{directory}: {AUDIT_NAME} is there, its public key {PUBLIC_NAME} is not")
    return create_signer(directory)


def _quick_check(connection: sqlite3.Connection) -> None:
    found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if found != "ok":
        raise Tampered(f"{AUDIT_NAME} is damaged: {found}")


def _open_sidecars(
    connection: sqlite3.Connection, signer: Signer, own: Path, checkpoint_copy: Path | None, is_resealed: bool
) -> list[Sidecar]:
    head, slots = head_of(connection), {}
    for path in (own, checkpoint_copy):
        if path is None:
            continue
        try:
            newest = read_sidecar(path, signer.verifier)
        except ValueError as error:
            raise Tampered(str(error)) from error
        if newest:
            check_against(connection, head, newest[0], path)
        elif path == own and head and not is_resealed:
            raise Tampered(f"{own} is missing or blank, {AUDIT_NAME} has {head} entries")
        slots[path] = newest[2] if newest else 1
    return [Sidecar(path, slot, OWNER_ONLY if path == own else FOR_ALL) for path, slot in slots.items()]
