"""Every error that storage raises, as one tree; it decides nothing about what a caller does next.

StorageError                 root: the store could not do what was asked
├── Conflict                 `expect` did not hold; `current` is the entry that won, None when the key has none
├── Unknown                  the outcome can't be told: append again with the same `expect` to resolve it
├── DiskFull                 no space: nothing of the group was stored; try again when space has returned
├── DiskFailed               the disk or the file system refused: nothing of the group was acknowledged
├── Overloaded               the bounded queue is full: nothing was stored; stop reading from the source
├── Closed                   the store was closed
├── NoOwner                  nobody serves that name on the bus
└── CannotOpen               the store refuses to start
    ├── Locked               another process holds the directory
    ├── NewerSchema          written by a newer version
    ├── ReadOnly             the directory or a file can't be written
    └── Tampered             the log is shorter than, or inconsistent with, a signed checkpoint
"""

from opsconsole_storage.contract import Entry


class StorageError(Exception):
    """Root of all storage errors."""


class Conflict(StorageError):
    """The key's last entry was not the expected one; `current` is the last entry, None when there is none."""

    def __init__(self, current: Entry | None) -> None:
        super().__init__(f"last entry with this key is {current.seq if current else 'absent'}")
        self.current = current


class Unknown(StorageError):
    """Stored or not, nobody can tell: appending again with the same `expect` resolves it."""


class DiskFull(StorageError):
    """No space left; nothing of the group was stored, and the store goes on when space returns."""


class DiskFailed(StorageError):
    """The disk refused; nothing of the group was acknowledged."""


class Overloaded(StorageError):
    """The bounded queue before the writer is full; nothing was stored."""


class Closed(StorageError):
    """The store was closed before this could be done."""


class NoOwner(StorageError):
    """Nobody serves that name."""


class CannotOpen(StorageError):
    """The store refuses to start."""


class Locked(CannotOpen):
    """Another process holds the directory."""


class NewerSchema(CannotOpen):
    """The file was written by a newer version than this one knows."""


class ReadOnly(CannotOpen):
    """The directory or one of its files can't be written."""


class Tampered(CannotOpen):
    """The log is shorter than, or inconsistent with, a signed checkpoint, or its schema was changed."""
