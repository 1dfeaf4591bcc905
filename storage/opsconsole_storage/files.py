"""Small durable files: written whole or not at all, and locked directories; it knows nothing of what is in them."""

import fcntl
import os
from contextlib import suppress
from pathlib import Path

from opsconsole_storage.errors import Locked, ReadOnly

OWNER_ONLY = 0o600
FOR_ALL = 0o644
"""What holds no secret and is there to be fetched."""
_OTHERS = 0o077


def sync_directory(directory: Path) -> None:
    """Make the names in a directory durable."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_private(path: Path) -> None:
    """Make the file where there is none, for its owner alone; what a database keeps beside it takes its mode over.

    Never opens a file that is there: closing it would end this process's locks of it. Raises: OSError.
    """
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, OWNER_ONLY))
    except FileExistsError:
        close_to_others(path)


def close_to_others(path: Path) -> None:
    """Take a file from all but its owner; one of another owner is that owner's to close. Raises: OSError."""
    with suppress(FileNotFoundError, PermissionError):
        if path.stat().st_mode & _OTHERS:
            path.chmod(OWNER_ONLY)


def write_whole(path: Path, content: bytes, mode: int = OWNER_ONLY) -> None:
    """Replace the file at once and durably; a reader or a crash sees the old or the new content."""
    draft = path.with_name(f"{path.name}.new")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(descriptor, mode)
        file.write(content)
        file.flush()  # all of it or an error: a plain write may take a part and say so to nobody
        os.fsync(descriptor)
    os.replace(draft, path)
    sync_directory(path.parent)


class DirectoryLock:
    """The exclusive right to write in a directory, held by one open file; the system frees it when the process ends."""

    def __init__(self, path: Path) -> None:
        """Take the lock. Raises: Locked, ReadOnly."""
        try:
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, OWNER_ONLY)
        except OSError as error:
            raise ReadOnly(f"{path} can't be written: {error.strerror}") from error
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.read(self._descriptor, 32).decode("ascii", "replace").strip() or "unknown"
            os.close(self._descriptor)
            raise Locked(f"{path.parent} is in use by process {holder}") from error
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Give the lock back; a second call does nothing."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
