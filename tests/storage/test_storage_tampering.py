"""Everything that someone with the file could do to the audit, and that it shows."""

import random
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlite_utils

from opsconsole_storage import Tampered
from opsconsole_storage.audit_schema import SCHEMA
from opsconsole_storage.sqlite_store import SqliteStore
from opsconsole_storage.verify import read_entries, verify
from tests.storage.conftest import NOON, Opener

ENTRIES = 300


@pytest.fixture
async def sealed(open_store: Opener, directory: Path) -> Path:
    """A closed log of 300 entries."""
    store = await open_store()
    for start in range(0, ENTRIES, 100):
        appends = [store.log.append(f"key/{n % 7}", b'{"n": %d}' % n, at=NOON + n) for n in range(start, start + 100)]
        for append in appends:
            await append
    await store.close()
    return directory


def tamper(directory: Path, *statements: str, parameters: tuple[Any, ...] = ()) -> None:
    """Change the database as one would who knows it: triggers away, change, triggers back as they were."""
    with closing(sqlite3.connect(directory / "audit.db", isolation_level=None)) as connection:
        triggers = [statement for statement in SCHEMA if statement.startswith("CREATE TRIGGER")]
        for trigger in triggers:
            connection.execute(f"DROP TRIGGER {trigger.split()[2]}")
        connection.execute("PRAGMA ignore_check_constraints = ON")
        for statement in statements:
            connection.execute(statement, parameters)
        for trigger in triggers:
            connection.execute(trigger)


def flipped(value: Any, bit: int) -> Any:
    if isinstance(value, float):
        return value + 2.0 ** (bit % 8)
    data = bytearray(value.encode() if isinstance(value, str) else value)
    data[bit // 8 % len(data)] ^= 1 << bit % 7
    return data.decode() if isinstance(value, str) else bytes(data)


def test_an_untouched_log_verifies(sealed: Path) -> None:
    report = verify(sealed)
    assert (report.ok, report.entries, report.first, report.problems) == (True, ENTRIES, 1, [])


@pytest.mark.parametrize("column", ["key", "at", "body"])
def test_a_flipped_bit_of_any_row_shows(sealed: Path, column: str) -> None:
    pristine = (sealed / "audit.db").read_bytes()
    for seq in (1, 2, 128, 255, 256, 257, 299, ENTRIES):
        (sealed / "audit.db").write_bytes(pristine)
        with closing(sqlite3.connect(sealed / "audit.db")) as connection:
            value = connection.execute(f"SELECT {column} FROM entry WHERE seq = ?", (seq,)).fetchone()[0]
        tamper(sealed, f"UPDATE entry SET {column} = ? WHERE seq = {seq}", parameters=(flipped(value, seq),))
        assert not verify(sealed).ok, seq


CHANGES: dict[str, tuple[str, ...]] = {
    "row removed": ("DELETE FROM entry WHERE seq = 100",),
    "first row removed": ("DELETE FROM entry WHERE seq = 1",),
    "first tile removed": ("DELETE FROM entry WHERE seq <= 256",),
    "last row removed": (f"DELETE FROM entry WHERE seq = {ENTRIES}",),
    "all rows removed": ("DELETE FROM entry", "DELETE FROM tile"),
    "row added": ("INSERT INTO entry VALUES (301, 'key', 1.0, x'00')",),
    "row before the first": ("INSERT INTO entry VALUES (0, 'key', 1.0, x'00')",),
    "row far away": ("INSERT INTO entry VALUES (9000, 'key', 1.0, x'00')",),
    "row replaced": ("INSERT OR REPLACE INTO entry VALUES (7, 'key/6', 1.0, x'00')",),
    "rows exchanged": (
        "UPDATE entry SET seq = 1000 WHERE seq = 3",
        "UPDATE entry SET seq = 3 WHERE seq = 4",
        "UPDATE entry SET seq = 4 WHERE seq = 1000",
    ),
    "key to body": ("UPDATE entry SET key = key || '{', body = CAST(substr(body, 2) AS BLOB) WHERE seq = 9",),
    "body as text": ("UPDATE entry SET body = CAST(body AS TEXT) WHERE seq = 9",),
    "key as blob": ("UPDATE entry SET key = CAST(key AS BLOB) WHERE seq = 9",),
    "tile changed": ("UPDATE tile SET root = zeroblob(32)",),
    "tile removed": ("DELETE FROM tile",),
    "tile added": ("INSERT INTO tile VALUES (1, zeroblob(32))",),
    "checkpoint removed": ("DELETE FROM checkpoint",),
    "checkpoint cut": ("UPDATE checkpoint SET note = substr(note, 1, length(note) - 1)",),
    "checkpoint longer": ("UPDATE checkpoint SET note = note || '— x AAAA' || char(10)",),
    "checkpoint as blob": ("UPDATE checkpoint SET note = CAST(note AS BLOB)",),
    "second checkpoint": ("INSERT INTO checkpoint VALUES (2, 'x')",),
    "index dropped": ("DROP INDEX entry_key",),
    "trigger added": ("CREATE TRIGGER extra AFTER INSERT ON entry BEGIN SELECT 1; END",),
    "column added": ("ALTER TABLE entry ADD COLUMN extra",),
    "mark changed": ("PRAGMA application_id = 1",),
}


@pytest.mark.parametrize("statements", CHANGES.values(), ids=CHANGES.keys())
def test_a_change_by_someone_with_the_file_shows(sealed: Path, statements: tuple[str, ...]) -> None:
    tamper(sealed, *statements)
    assert not verify(sealed).ok


def test_the_report_says_which_entries_were_changed(sealed: Path) -> None:
    tamper(sealed, "UPDATE entry SET body = x'00' WHERE seq = 17")
    assert "entries 1 to 256 differ from tile 0" in verify(sealed).problems


def test_a_dropped_trigger_shows(sealed: Path) -> None:
    with closing(sqlite3.connect(sealed / "audit.db")) as connection:
        connection.execute("DROP TRIGGER entry_stays")
    assert verify(sealed).problems == ["audit.db: the tables or triggers were changed"]


def test_a_trigger_weakened_through_the_schema_table_shows(sealed: Path) -> None:
    with closing(sqlite3.connect(sealed / "audit.db")) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute("UPDATE sqlite_master SET sql = replace(sql, 'DELETE', 'UPDATE') WHERE name = 'entry_stays'")
        connection.commit()
    assert not verify(sealed).ok


async def test_a_start_after_dropped_triggers_is_refused(sealed: Path, open_store: Opener) -> None:
    sqlite_utils.Database(sealed / "audit.db").table("entry").transform(types={"key": str})
    with pytest.raises(Tampered, match="tables or triggers were changed"):
        await open_store()


def test_a_log_exchanged_for_another_shows(sealed: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(sealed, other)
    tamper(other, "UPDATE entry SET body = x'00' WHERE seq = 17")
    shutil.copy(other / "audit.db", sealed / "audit.db")
    assert not verify(sealed).ok


async def test_a_log_exchanged_with_its_key_shows_to_who_kept_the_key(
    sealed: Path, open_store: Opener, tmp_path: Path
) -> None:
    mine = (sealed / "audit.pub").read_text()
    await (await open_store(tmp_path / "other")).close()
    report = verify(tmp_path / "other", public_key=mine)
    assert "audit.pub is not the given public key" in report.problems


async def test_a_cut_tail_shows_by_the_outside_checkpoint(sealed: Path, open_store: Opener) -> None:
    earlier = (sealed / "audit.db").read_bytes()
    store = await open_store()
    await store.log.append("key", b"", at=NOON)
    await store.close()
    (sealed / "audit.db").write_bytes(earlier)
    assert "proves 301: the tail was cut" in verify(sealed).problems[0]


async def test_a_directory_rolled_back_whole_shows_by_the_checkpoint_kept_elsewhere(
    sealed: Path, open_store: Opener, tmp_path: Path
) -> None:
    copy = tmp_path / "elsewhere.checkpoint"
    shutil.copytree(sealed, tmp_path / "earlier")
    store = await open_store(checkpoint_copy=copy)
    await store.log.append("key", b"", at=NOON)
    await store.close()
    assert (verify(sealed, checkpoint_copy=copy).ok, verify(tmp_path / "earlier").ok) == (True, True)
    problems = verify(tmp_path / "earlier", checkpoint_copy=copy).problems
    assert problems == [f"the log ends at entry 300, {copy} proves 301: the tail was cut"]


@pytest.mark.parametrize("content", [None, b"", b"\n" * 2048, b"nonsense"], ids=["gone", "empty", "blank", "nonsense"])
def test_an_outside_checkpoint_that_says_nothing_shows(sealed: Path, content: bytes | None) -> None:
    path = sealed / "audit.checkpoint"
    path.unlink() if content is None else path.write_bytes(content)
    (problem,) = verify(sealed).problems
    assert problem.startswith(str(path))


async def test_a_cut_write_ahead_log_shows(open_store: Opener, directory: Path, tmp_path: Path) -> None:
    store = await open_store()
    for _ in range(20):
        await store.log.append("key", b"", at=NOON)
    crashed = tmp_path / "crashed"
    shutil.copytree(directory, crashed)
    wal = crashed / "audit.db-wal"
    (crashed / "audit.db-shm").unlink()
    wal.write_bytes(wal.read_bytes()[:-9000])
    assert "the tail was cut" in verify(crashed).problems[0]


async def test_the_index_can_not_hide_an_entry(sealed: Path) -> None:
    with closing(sqlite3.connect(sealed / "audit.db")) as connection:
        page, size = (
            connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'entry_key'").fetchone()[0],
            connection.execute("PRAGMA page_size").fetchone()[0],
        )
    content = bytearray((sealed / "audit.db").read_bytes())
    index = bytes(content[(page - 1) * size : page * size])
    content[(page - 1) * size : page * size] = index.replace(b"key/1", b"kex/1")
    (sealed / "audit.db").write_bytes(content)
    assert not verify(sealed).ok


def test_no_flipped_bit_of_the_file_changes_an_entry_unseen(sealed: Path) -> None:
    pristine, entries = (sealed / "audit.db").read_bytes(), list(read_entries(sealed))
    chance = random.Random(20270115)
    unseen = []
    for _ in range(150):
        content = bytearray(pristine)
        bit = chance.randrange(len(content) * 8)
        content[bit // 8] ^= 1 << bit % 8
        (sealed / "audit.db").write_bytes(content)
        if verify(sealed).ok and list(read_entries(sealed)) != entries:
            unseen.append(bit)
    assert unseen == []


FORBIDDEN: dict[str, str] = {
    "update": "UPDATE entry SET body = x'00'",
    "delete": "DELETE FROM entry",
    "replace": "INSERT OR REPLACE INTO entry VALUES (1, 'k', 1.0, x'00')",
    "gap": "INSERT INTO entry VALUES (9000, 'k', 1.0, x'00')",
    "tile": "INSERT OR REPLACE INTO tile VALUES (0, zeroblob(32))",
    "checkpoint": "INSERT OR REPLACE INTO checkpoint VALUES (1, 'x')",
    "checkpoint id": "UPDATE checkpoint SET id = 1",
    "drop trigger": "DROP TRIGGER entry_stays",
    "drop table": "DROP TABLE entry",
    "rename": "ALTER TABLE entry RENAME TO gone",
    "writable schema": "PRAGMA writable_schema = ON",
    "durability": "PRAGMA synchronous = OFF",
    "recursive triggers": "PRAGMA recursive_triggers = OFF",
    "schema table": "DELETE FROM sqlite_master",
    "attach": "ATTACH 'other.db' AS other",
    "vacuum": "VACUUM INTO 'other.db'",
    "create": "CREATE TABLE extra (a)",
    "temporary trigger": "CREATE TEMP TRIGGER t BEFORE INSERT ON entry BEGIN SELECT 1; END",
}


@pytest.mark.parametrize("statement", FORBIDDEN.values(), ids=FORBIDDEN.keys())
async def test_the_hubs_own_connection_can_only_append(store: SqliteStore, statement: str) -> None:
    await store.log.append("key", b"first", at=NOON)
    connection: Any = store._audit._connection
    with pytest.raises(
        sqlite3.DatabaseError, match=r"not authorized|append-only|authorization denied|may not be modified"
    ):
        connection.execute(statement)


async def test_a_table_tool_on_the_hubs_own_connection_is_denied(store: SqliteStore) -> None:
    connection: Any = store._audit._connection
    with pytest.raises(sqlite3.DatabaseError, match=r"not authorized|prohibited"):
        sqlite_utils.Database(connection, recursive_triggers=False).table("entry").transform(types={"key": str})
