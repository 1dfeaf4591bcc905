"""Power cuts under the audit: FULL synchronisation loses nothing that was acknowledged, and less would not do."""

import random
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import apsw
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from opsconsole_storage.audit_file import Append, AuditFile, check_tail, head_of
from opsconsole_storage.audit_schema import create_schema, set_pragmas
from opsconsole_storage.merkle import EMPTY_ROOT
from opsconsole_storage.notes import Signer
from tests.storage.powercut import Operation, RecordingDisk, acknowledged, after_a_cut

SIGNER = Signer("log.example/power", Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
GROUPS = 60
CUTS = 200


def record(directory: Path, *synchronous: str) -> list[Operation]:
    """What a disk saw while 60 groups were appended and the write-ahead log was folded in several times.

    Without `synchronous` as the hub has it.
    """
    name = "-".join(("recording", directory.name, *synchronous))
    disk = RecordingDisk(name)
    connection: Any = apsw.Connection(str(directory / "audit.db"), vfs=name)
    connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    set_pragmas(connection, *synchronous)
    create_schema(connection, SIGNER.sign(0, EMPTY_ROOT))
    connection.execute("PRAGMA wal_autocheckpoint = 25")
    audit = AuditFile(connection, SIGNER, [], database_error=apsw.Error)
    for group in range(GROUPS):
        appends = [Append(key=f"key/{n}", body=b"%d" % group * 90, at=1.0, expect=None) for n in range(1 + group % 5)]
        audit.append_group(appends)
        disk.acknowledge(audit.head)
    operations = list(disk.operations)
    connection.close()
    disk.unregister()
    return operations


def head_after(files: dict[str, bytes], directory: Path) -> int:
    """The head of a log that was found whole, 0 for one before its tables. Raises: Tampered, sqlite3.Error."""
    directory.mkdir()
    for name, content in files.items():
        (directory / name).write_bytes(content)
    with closing(sqlite3.connect(directory / "audit.db", isolation_level=None)) as connection:
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'entry'").fetchone():
            return 0
        head = head_of(connection)
        check_tail(connection, SIGNER)
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return head


def lost_by_cuts(operations: list[Operation], directory: Path) -> list[int]:
    """How many acknowledged entries each of 200 cuts lost."""
    chance = random.Random(20270115)
    first = next(index for index, operation in enumerate(operations) if operation[0] == "acknowledged")
    lost = []
    for cut in range(CUTS):
        seen = operations[: chance.randrange(first + 1, len(operations))]
        head = head_after(after_a_cut(seen, chance), directory / f"cut-{cut}")
        lost.append(max(0, acknowledged(seen) - head))
    return lost


@pytest.mark.slow
def test_no_power_cut_loses_an_acknowledged_entry(tmp_path: Path) -> None:
    assert lost_by_cuts(record(tmp_path), tmp_path) == [0] * CUTS


@pytest.mark.slow
def test_less_than_full_synchronisation_would_lose_acknowledged_entries(tmp_path: Path) -> None:
    lost = lost_by_cuts(record(tmp_path, "NORMAL"), tmp_path)
    assert sum(count > 0 for count in lost) > CUTS // 4
