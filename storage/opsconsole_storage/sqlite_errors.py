"""What an error of SQLite means to a caller; it handles none."""

import errno
import sqlite3

from opsconsole_storage.errors import DiskFailed, DiskFull, StorageError, Unknown

_PRIMARY = 0xFF
_NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT})
_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


def storage_error(error: Exception, *, committing: bool = False) -> StorageError:
    """The storage error for an error of SQLite or of the file system.

    `committing`: a commit may have reached the disk.
    """
    if isinstance(error, StorageError):
        return error
    code = _code(error)
    if code & _PRIMARY == sqlite3.SQLITE_FULL or getattr(error, "errno", None) in _NO_SPACE:
        return DiskFull(f"no space to write: {error}")
    if committing and code & _PRIMARY == sqlite3.SQLITE_IOERR:
        return Unknown(f"the commit may or may not be on the disk: {error}")
    return DiskFailed(f"the database refused: {error}")


def is_damage(error: Exception) -> bool:
    """Whether the file itself is broken."""
    return _code(error) & _PRIMARY in _DAMAGED


def _code(error: Exception) -> int:
    return int(getattr(error, "sqlite_errorcode", 0) or getattr(error, "result", 0))
