"""Copying a store while it is in use; restoring is using the copy as a data directory."""

import sqlite3
from contextlib import closing
from pathlib import Path

from opsconsole_storage.audit_schema import AUDIT_NAME, open_reader
from opsconsole_storage.event_files import STATE_NAME
from opsconsole_storage.files import make_private, sync_directory, write_whole
from opsconsole_storage.keys import PRIVATE_NAME, PUBLIC_NAME
from opsconsole_storage.sidecar import SIDECAR_NAME
from opsconsole_storage.sqlite_errors import storage_error

SMALL_FILES = (PRIVATE_NAME, PUBLIC_NAME, SIDECAR_NAME, STATE_NAME)


def copy_store(source: Path, target: Path) -> None:
    """Copy the store in `source` to the new directory `target`; the outside checkpoint first, so that it is not ahead.

    Raises: FileExistsError, StorageError, OSError.
    """
    target.mkdir(mode=0o700, parents=True)
    for name in SMALL_FILES:
        if (source / name).exists():
            write_whole(target / name, (source / name).read_bytes(), (source / name).stat().st_mode & 0o777)
    for path in (source / AUDIT_NAME, *sorted(source.glob("events-*.db"))):
        copy_database(path, target / path.name)
    sync_directory(target)


def copy_database(source: Path, target: Path) -> None:
    """Copy one database in one step: in smaller steps a busy writer would restart the copy for ever."""
    make_private(target)
    try:
        with closing(open_reader(source)) as reader, closing(sqlite3.connect(target)) as writer:
            reader.backup(writer, pages=-1)
    except sqlite3.Error as error:
        target.unlink(missing_ok=True)
        raise storage_error(error) from error
