"""Backups: taken while the store works, and used as a data directory."""

import asyncio
from pathlib import Path

import pytest

from opsconsole_storage import Batch
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
