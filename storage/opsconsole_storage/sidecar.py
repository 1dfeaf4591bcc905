"""The checkpoint outside the database: one file of two slots, written in turn; it does not judge the log.

A slot is written and synced before the other is touched, so a crash spoils at most the slot being written, and the
file is written after the commit it tells of, so it never claims what the database does not hold.
"""

import os
from pathlib import Path

from opsconsole_storage.files import OWNER_ONLY, sync_directory
from opsconsole_storage.notes import NOTE_BYTES_MAX, Checkpoint, Verifier

SIDECAR_NAME = "audit.checkpoint"
SLOTS = 2
_fdatasync = getattr(os, "fdatasync", os.fsync)


class Sidecar:
    """One writer of one checkpoint file."""

    def __init__(self, path: Path, last_slot: int = SLOTS - 1, mode: int = OWNER_ONLY) -> None:
        """Open or create the file; `last_slot` holds the newest note, `mode` is of a new file. Raises: OSError."""
        is_new = not path.exists()
        self.path = path
        self._last_slot = last_slot
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, mode)
        if is_new:
            os.pwrite(self._descriptor, b"\n" * (SLOTS * NOTE_BYTES_MAX), 0)
            os.fsync(self._descriptor)
            sync_directory(path.parent)

    def write(self, note: str) -> None:
        """Put a note into the older slot, durably. Raises: OSError."""
        slot = (self._last_slot + 1) % SLOTS
        content = note.encode().ljust(NOTE_BYTES_MAX, b"\n")
        os.pwrite(self._descriptor, content, slot * NOTE_BYTES_MAX)
        _fdatasync(self._descriptor)
        self._last_slot = slot

    def close(self) -> None:
        """Release the file; a second call does nothing."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def read_sidecar(path: Path, verifier: Verifier) -> tuple[Checkpoint, str, int] | None:
    """The newest checkpoint of the file with its note and slot; None when the file is absent or still blank.

    A lone plain note, as a person would copy it, is read as well.

    Raises: ValueError when the file holds something, but no note of this key.
    """
    try:
        content = path.read_bytes()[: SLOTS * NOTE_BYTES_MAX]
    except FileNotFoundError:
        return None
    if not content.strip():
        return None
    found = []
    for slot in range(SLOTS):
        note = content[slot * NOTE_BYTES_MAX :][:NOTE_BYTES_MAX].decode("utf-8", "replace").strip("\n") + "\n"
        try:
            found.append((verifier.open(note), note, slot))
        except ValueError:
            continue
    if not found:
        raise ValueError(f"{path} holds no checkpoint signed by {verifier.name}")
    return max(found, key=lambda one: one[0].size)
