"""A disk that is full or fails: nothing is acknowledged that is not there, and the store goes on afterwards."""

import asyncio
import errno
import random
import sqlite3
from pathlib import Path
from typing import Any, cast

import pytest

from opsconsole_storage import Batch, DiskFailed, DiskFull, Unknown
from opsconsole_storage.sqlite_store import SqliteStore
from opsconsole_storage.verify import verify
from tests.storage.conftest import NOON

NOISE = random.Random(20270115).randbytes(30_000)


def batch(number: int, body: bytes = b"x" * 150) -> Batch:
    return Batch(run="run-1", gen="g", first_seq=number, count=1, at=NOON, body=body)


def limit_pages(connection: Any, extra: int | None) -> None:
    """Let the database grow by `extra` pages, or without a limit."""
    connection.set_authorizer(None)
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count = {2**31 if extra is None else pages + extra}")


async def fill_up(store: SqliteStore) -> tuple[list[int], int]:
    """Append until the disk is full: the acknowledged entries and the number of refusals."""
    outcomes = []
    for _ in range(30):
        appends = [store.log.append("key", b"x" * 900, at=NOON) for _ in range(3)]
        outcomes += await asyncio.gather(*appends, return_exceptions=True)
    return [seq for seq in outcomes if isinstance(seq, int)], sum(isinstance(one, DiskFull) for one in outcomes)


async def test_a_full_disk_refuses_and_keeps_what_was_acknowledged(store: SqliteStore, directory: Path) -> None:
    limit_pages(store._audit._connection, 5)
    acknowledged, refused = await fill_up(store)
    assert (len(acknowledged) + refused, refused > 0) == (90, True)
    assert acknowledged == [entry.seq for entry in await store.log.read(0, 1000)]
    assert verify(directory).ok


async def test_the_log_goes_on_when_space_returns(store: SqliteStore, directory: Path) -> None:
    limit_pages(store._audit._connection, 5)
    acknowledged, _ = await fill_up(store)
    limit_pages(store._audit._connection, None)
    assert await store.log.append("key", b"x" * 900, at=NOON) == len(acknowledged) + 1
    assert verify(directory).ok


async def test_events_go_on_when_space_returns(store: SqliteStore) -> None:
    await store.events.publish(batch(1))
    limit_pages(store.events._files._current, 0)
    with pytest.raises(DiskFull):
        await store.events.publish(batch(2, NOISE))
    limit_pages(store.events._files._current, None)
    await store.events.publish(batch(2, NOISE))
    assert [stored.batch.first_seq for stored in await store.events.read(0, 10)] == [1, 2]


async def test_nothing_of_a_group_overtakes_what_a_full_disk_refused(store: SqliteStore) -> None:
    await store.events.publish(batch(1))
    limit_pages(store.events._files._current, 0)
    outcomes = await store.events.publish_all([batch(2, NOISE), batch(3)])
    assert [type(outcome) for outcome in outcomes] == [DiskFull, DiskFull]
    assert [stored.batch.first_seq for stored in await store.events.read(0, 10)] == [1]


async def test_a_day_that_can_not_start_on_a_full_disk_starts_when_space_returns(
    store: SqliteStore, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as full:
        full.setattr("opsconsole_storage.event_files.write_whole", fail)
        for number in range(3):
            with pytest.raises(DiskFull):
                await store.events.publish(batch(number))
    await store.events.publish(batch(9))
    assert [path.name for path in directory.glob("events-*.db")] == ["events-20270115.db"]  # noqa: ASYNC240
    assert [stored.batch.first_seq for stored in await store.events.read(0, 10)] == [9]


class FailingConnection:
    """A connection whose statements that start with `failing` raise `error`, as often as it is armed."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection
        self.failing = ""
        self.error = sqlite3.OperationalError("disk I/O error")
        self.error.sqlite_errorcode = sqlite3.SQLITE_IOERR
        self.does_it_anyway = False

    @property
    def in_transaction(self) -> bool:
        return bool(self.connection.in_transaction)

    def execute(self, statement: str, parameters: Any = ()) -> Any:
        if self.failing and statement.startswith(self.failing):
            self.failing = ""
            if self.does_it_anyway:
                self.connection.execute(statement, parameters)
            raise self.error
        return self.connection.execute(statement, parameters)

    def executemany(self, statement: str, parameters: Any) -> Any:
        if self.failing and statement.startswith(self.failing):
            self.failing = ""
            raise self.error
        return self.connection.executemany(statement, parameters)

    def close(self) -> None:
        self.connection.close()


@pytest.fixture
def failing(store: SqliteStore) -> FailingConnection:
    connection = FailingConnection(store._audit._connection)
    store._audit._connection = connection
    return connection


@pytest.mark.parametrize("statement", ["BEGIN", "INSERT INTO entry", "INSERT INTO tile", "UPDATE checkpoint"])
async def test_a_failing_disk_fails_the_group_and_not_the_store(
    store: SqliteStore, failing: FailingConnection, statement: str
) -> None:
    await store.log.append("key", b"", at=NOON)
    failing.failing = statement
    with pytest.raises(DiskFailed):
        await store.log.append("key", b"lost", at=NOON)
    assert await store.log.append("key", b"", at=NOON) == 2


@pytest.mark.parametrize("is_stored", [False, True])
async def test_a_commit_of_unknown_outcome_is_resolved_by_appending_again(
    store: SqliteStore, failing: FailingConnection, directory: Path, is_stored: bool
) -> None:
    first = await store.log.append("key", b"", at=NOON)
    failing.failing, failing.does_it_anyway = "COMMIT", is_stored
    with pytest.raises(Unknown):
        await store.log.append("key", b"decision", at=NOON, expect=first)
    outcome = (
        await asyncio.gather(store.log.append("key", b"decision", at=NOON, expect=first), return_exceptions=True)
    )[0]
    last = await store.log.last("key")
    assert last is not None
    assert last.body == b"decision"
    assert (outcome == 2) is not is_stored
    assert await store.log.append("key", b"", at=NOON) == 3
    assert verify(directory).ok


async def test_an_outside_checkpoint_that_can_not_be_written_leaves_the_outcome_unknown(
    store: SqliteStore, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: str) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as broken:
        broken.setattr(store._audit._sidecars[0], "write", fail)
        with pytest.raises(Unknown, match="outside checkpoint was not written"):
            await store.log.append("key", b"", at=NOON)
    assert await store.log.append("key", b"", at=NOON) == 2
    assert verify(directory).ok


@pytest.mark.parametrize("statement", ["BEGIN", "INSERT", "COMMIT"])
async def test_events_go_on_after_whatever_the_disk_refused(store: SqliteStore, statement: str) -> None:
    await store.events.publish(batch(1))
    connection = FailingConnection(store.events._files._current)
    connection.failing = statement
    store.events._files._current = cast(sqlite3.Connection, connection)
    with pytest.raises(DiskFailed):
        await store.events.publish(batch(2))
    await store.events.publish(batch(3))
    assert [stored.batch.first_seq for stored in await store.events.read(0, 10)] == [1, 3]
