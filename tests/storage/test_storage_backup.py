"""Backups: taken while the store works, and used as a data directory."""

import asyncio
import resource
from pathlib import Path

import pytest

from opsconsole_storage import Batch, StorageError
from opsconsole_storage.backups import copy_database
from opsconsole_storage.sqlite_store import SqliteStore
from opsconsole_storage.verify import verify
from tests.storage.conftest import NOON, Opener


async def test_a_backup_taken_under_load_verifies_and_goes_on(
    store: SqliteStore, open_store: Opener, tmp_path: Path
) -> None:
    async def load() -> None:
        while True:
            await store.log.append("key", b"x" * 100, at=NOON)

    await store.events.publish(Batch(run="r", gen="g", first_seq=1, count=1, at=NOON, body=b"[]"))
    before = [store.log.append("before", b"", at=NOON) for _ in range(100)]
    await asyncio.gather(*before)
    writing = asyncio.create_task(load())
    await store.backup(tmp_path / "backup")
    writing.cancel()
    assert verify(tmp_path / "backup").ok
    restored = await open_store(tmp_path / "backup")
    assert (await restored.log.head() >= 100, await restored.events.last_seq("r", "g")) == (True, 1)
    await restored.log.append("key", b"", at=NOON)


async def test_a_backup_replaces_nothing(store: SqliteStore, tmp_path: Path) -> None:
    (tmp_path / "backup").mkdir()
    with pytest.raises(FileExistsError):
        await store.backup(tmp_path / "backup")


async def test_the_checkpoint_is_copied_before_the_log_so_that_it_never_proves_more(
    store: SqliteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there: list[set[str]] = []

    def copying(source: Path, target: Path) -> None:
        there.append({path.name for path in target.parent.iterdir()})
        copy_database(source, target)

    monkeypatch.setattr("opsconsole_storage.backups.copy_database", copying)
    await store.log.append("key", b"", at=NOON)
    await store.backup(tmp_path / "backup")
    assert {"audit.checkpoint", "audit.key", "audit.pub"} <= there[0]


async def test_a_backup_for_which_there_is_no_room_leaves_no_half_of_a_log(store: SqliteStore, tmp_path: Path) -> None:
    for append in [store.log.append("key", b"x" * 900, at=NOON) for _ in range(300)]:
        await append
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        with pytest.raises(StorageError):
            await store.backup(tmp_path / "backup")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not (tmp_path / "backup" / "audit.db").exists()
