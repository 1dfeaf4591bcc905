"""Ending the life of old audit entries, offline and on the record; what remains still proves all of its past.

A log never loses entries while it is open. Pruning holds the directory's lock, checks the whole log, appends the entry
that says what goes, and then replaces the database by one that starts later. The tiles of the pruned entries stay: 32
bytes for 256 entries carry the old roots, so signed checkpoints and proofs of what remains hold as before.
"""

import base64
import json
import os
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opsconsole_storage.audit_file import Append, AuditFile, frontier_at
from opsconsole_storage.audit_reader import open_snapshot
from opsconsole_storage.audit_schema import (
    APPLICATION_ID,
    AUDIT_NAME,
    SCHEMA,
    SCHEMA_VERSION,
    TILE_ENTRIES,
)
from opsconsole_storage.backups import copy_database
from opsconsole_storage.errors import Locked, Tampered
from opsconsole_storage.files import DirectoryLock, make_private, sync_directory, write_whole
from opsconsole_storage.keys import PUBLIC_NAME
from opsconsole_storage.sidecar import SIDECAR_NAME
from opsconsole_storage.sqlite_store import LOCK_NAME, SECONDS_A_DAY, open_audit
from opsconsole_storage.verify import RETENTION_KEY, verify

AUDIT_DAYS_MIN = 183
"""Six months, the shortest time that Article 26(6) of the EU AI Act lets a deployer keep such logs."""


LOCK_SECONDS = 0.5
"""How long a reader may take to let go before pruning gives up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruned:
    """Entries 1 to `through` are gone, `removed` of them now; all zero when nothing was old enough."""

    through: int
    removed: int


def retain_audit(
    directory: Path,
    *,
    days: int,
    now: float,
    actor: str,
    archive: Path | None = None,
    checkpoint_copy: Path | None = None,
) -> Pruned:
    """Remove entries older than `days`, in whole tiles of 256; stop the hub first.

    Age counts from `now` or from the newest entry's time, whichever is earlier, so that a clock running ahead removes
    nothing. `archive`, a new directory, gets the log as it was, verifiable like any other. Name `checkpoint_copy` when
    the hub writes one.

    Raises: ValueError below 183 days, Locked while a hub or a reader has the log open, Tampered when the log does not
    verify, FileExistsError when `archive` exists, and as `SqliteStore.open`.
    """
    if days < AUDIT_DAYS_MIN:
        raise ValueError(f"the audit is kept for at least {AUDIT_DAYS_MIN} days")
    lock = DirectoryLock(directory / LOCK_NAME)
    try:
        audit = open_audit(directory, checkpoint_copy)
        try:
            pruned, before = _plan(directory, days, now)
            if pruned.removed:
                _check_whole(directory, checkpoint_copy)
                if archive:
                    _archive(directory, archive)
                _record(directory, audit, pruned, before, days, now, actor)
        finally:
            audit.close()
        if pruned.removed:
            _replace(directory, pruned.through)
        return pruned
    finally:
        lock.release()


def _plan(directory: Path, days: int, now: float) -> tuple[Pruned, float]:
    with open_snapshot(directory) as reader:
        newest = reader.connection.execute("SELECT at FROM entry ORDER BY seq DESC LIMIT 1").fetchone()
        before = min(now, newest[0] if newest else now) - days * SECONDS_A_DAY
        kept = reader.connection.execute("SELECT min(seq) FROM entry WHERE at >= ?", (before,)).fetchone()[0]
        through = ((kept or 1) - 1) // TILE_ENTRIES * TILE_ENTRIES
        removed = through - reader.first + 1
        return (Pruned(through=through, removed=removed) if removed > 0 else Pruned(through=0, removed=0)), before


def _check_whole(directory: Path, checkpoint_copy: Path | None) -> None:
    report = verify(directory, checkpoint_copy=checkpoint_copy)
    if not report.ok:
        raise Tampered(f"nothing is removed from a log that does not verify: {report.problems[0]}")


def _archive(directory: Path, archive: Path) -> None:
    archive.mkdir(mode=0o700, parents=True)
    for name in (PUBLIC_NAME, SIDECAR_NAME):
        write_whole(archive / name, (directory / name).read_bytes())
    copy_database(directory / AUDIT_NAME, archive / AUDIT_NAME)
    sync_directory(archive)


def _record(
    directory: Path, audit: AuditFile, pruned: Pruned, before: float, days: int, now: float, actor: str
) -> None:
    with open_snapshot(directory) as reader:
        root = base64.b64encode(reader.range_hash(0, pruned.through)).decode()
    body: dict[str, Any] = {
        "pruned_through": pruned.through,
        "removed": pruned.removed,
        "root": root,
        "before": before,
        "days": days,
        "actor": actor,
    }
    result = audit.append_group([Append(key=RETENTION_KEY, body=json.dumps(body).encode(), at=now, expect=None)])[0]
    if isinstance(result, Exception):
        raise result


def _replace(directory: Path, through: int) -> None:
    path, draft = directory / AUDIT_NAME, directory / f"{AUDIT_NAME}.new"
    draft.unlink(missing_ok=True)
    with closing(sqlite3.connect(path, isolation_level=None, timeout=LOCK_SECONDS)) as old:
        try:
            mode = old.execute("PRAGMA journal_mode = DELETE").fetchone()[0]
        except sqlite3.OperationalError as error:
            raise Locked(f"{path} is being read by another process: {error}") from error
    if mode != "delete":
        raise Locked(f"{path} is being read by another process")
    make_private(draft)
    with closing(sqlite3.connect(draft, isolation_level=None)) as new:
        _copy_after(new, path, through)
    os.replace(draft, path)
    sync_directory(directory)


def _copy_after(new: sqlite3.Connection, path: Path, through: int) -> None:
    """Fill the new database; its triggers come last, since its first entry follows none."""
    tables = [statement for statement in SCHEMA if statement.startswith("CREATE TABLE")]
    new.execute("PRAGMA synchronous = FULL")
    new.execute("ATTACH ? AS old", (str(path),))
    new.execute("BEGIN IMMEDIATE")
    for statement in tables:
        new.execute(statement)
    new.execute("INSERT INTO main.entry SELECT * FROM old.entry WHERE seq > ? ORDER BY seq", (through,))
    new.execute("INSERT INTO main.tile SELECT * FROM old.tile ORDER BY number")
    new.execute("INSERT INTO main.checkpoint SELECT * FROM old.checkpoint")
    for statement in SCHEMA:
        if statement not in tables:
            new.execute(statement)
    new.execute(f"PRAGMA main.application_id = {APPLICATION_ID}")
    new.execute(f"PRAGMA main.user_version = {SCHEMA_VERSION}")
    size = int(new.execute("SELECT max(seq) FROM main.entry").fetchone()[0])
    same = frontier_at(new, size).root()
    new.execute("COMMIT")
    new.execute("DETACH old")
    with open_snapshot(path.parent) as reader:
        if reader.root_at(size) != same:
            raise Tampered("the pruned log has another root; nothing was replaced")
