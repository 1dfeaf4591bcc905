"""What the storage tests share: a directory, a clock that stands still, and a store to open and reopen."""

import os
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from opsconsole_storage.sqlite_store import SqliteStore

NOBODY = 65_534
NOON = 1_800_000_000.0

Opener = Callable[..., Awaitable[SqliteStore]]


class SteadyClock:
    """Unix seconds that move only when a test moves them."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def reachable() -> Iterator[Path]:
    """A directory that any user of the machine can reach."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


def open_to_all(directory: Path) -> None:
    """Everybody may read what is in it, and write it."""
    directory.chmod(0o755)
    for path in directory.iterdir():
        path.chmod(0o666)


@contextmanager
def unwritable(directory: Path) -> Iterator[None]:
    """Meanwhile this process can't write in the directory; a privileged one gives its rights away."""
    directory.chmod(0o555)
    is_privileged = os.geteuid() == 0
    if is_privileged:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if is_privileged:
            os.seteuid(0)
        directory.chmod(0o755)


@pytest.fixture
def clock() -> SteadyClock:
    return SteadyClock()


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
async def open_store(directory: Path, clock: SteadyClock) -> AsyncIterator[Opener]:
    """Open a store, of the test's directory when none is named; whatever is still open at the end is closed."""
    async with AsyncExitStack() as stack:

        async def open_one(path: Path = directory, **options: Any) -> SqliteStore:
            store = await SqliteStore.open(path, clock=clock, **options)
            stack.push_async_callback(store.close)
            return store

        yield open_one


@pytest.fixture
async def store(open_store: Opener) -> SqliteStore:
    return await open_store()
