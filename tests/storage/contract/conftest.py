"""The engines under the one contract: each test here runs on all of them."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from opsconsole_storage.contract import Store
from opsconsole_storage.memory import MemoryStore
from opsconsole_storage.sqlite_store import SqliteStore

NOON = 1_800_000_000.0


@pytest.fixture(params=["sqlite", "memory"])
async def engine(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    store: Store
    if request.param == "sqlite":
        store = await SqliteStore.open(tmp_path / "data", clock=lambda: NOON)
    else:
        store = MemoryStore()
    yield store
    await store.close()
