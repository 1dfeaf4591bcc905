"""Accepting, offline and on the record, a log whose outside checkpoint is gone or ahead; it mends no entry.

For a person who restored an older backup, or lost `audit.checkpoint` and knows why: the store refuses to start until
this is done. The old checkpoint files are renamed and not deleted, and what they claimed becomes an entry.
"""

import json
import os
from pathlib import Path

from opsconsole_storage.audit_file import Append
from opsconsole_storage.files import DirectoryLock, sync_directory
from opsconsole_storage.sidecar import SIDECAR_NAME
from opsconsole_storage.sqlite_store import LOCK_NAME, open_audit

RESEALED_KEY = "audit.resealed"


def reseal(directory: Path, *, actor: str, reason: str, now: float, checkpoint_copy: Path | None = None) -> int:
    """Start new outside checkpoints from what the database holds; the number of the entry that says so.

    The database must still agree with the checkpoint inside it.

    Raises: Locked, Tampered and the rest of CannotOpen, StorageError, OSError.
    """
    lock = DirectoryLock(directory / LOCK_NAME)
    try:
        paths = [path for path in (directory / SIDECAR_NAME, checkpoint_copy) if path and path.exists()]
        claims = {str(path): _set_aside(path, now) for path in paths}
        audit = open_audit(directory, checkpoint_copy, is_resealed=True)
        try:
            body = {"actor": actor, "reason": reason, "head_before": audit.head, "set_aside": claims}
            appended = Append(key=RESEALED_KEY, body=json.dumps(body).encode(), at=now, expect=None)
            result = audit.append_group([appended])[0]
        finally:
            audit.close()
        if isinstance(result, Exception):
            raise result
        return result
    finally:
        lock.release()


def _set_aside(path: Path, now: float) -> str:
    """Rename the file; what it said."""
    claim = path.read_bytes().decode("utf-8", "replace").strip()
    os.replace(path, path.with_name(f"{path.name}.set-aside-{int(now)}"))
    sync_directory(path.parent)
    return claim
