"""The log over the audit database: appends through its writer thread, reads through a second connection."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from opsconsole_storage.audit_file import ENTRY_COLUMNS, Append, AuditFile, entry_from, last_entry
from opsconsole_storage.audit_schema import open_reader
from opsconsole_storage.broadcast import Broadcast
from opsconsole_storage.contract import Entry
from opsconsole_storage.errors import Closed
from opsconsole_storage.group_writer import GroupWriter
from opsconsole_storage.sqlite_errors import storage_error

Read = TypeVar("Read")
TAIL_PAGE_ENTRIES = 500
"""Entries that a tail holds in memory at once."""


class SqliteLog:
    """A `Log`. Made by `SqliteStore.open`."""

    def __init__(self, audit: AuditFile, path: Path) -> None:
        self._audit = audit
        self._head = audit.head
        self._changed = Broadcast()
        self._is_closed = False
        self._pages = _Reader(path, "audit-pages")
        self._single = _Reader(path, "audit-single")
        self._writer: GroupWriter[Append] = GroupWriter("audit-writer", audit.append_group, self._settled)

    @property
    def pending(self) -> int:
        """Appends that wait for the disk; see `group_writer.PENDING_MAX`."""
        return self._writer.pending

    def append(self, key: str, body: bytes, *, at: float, expect: int | None = None) -> asyncio.Future[int]:
        """See `Log.append`."""
        return self._writer.submit(Append(key=key, body=body, at=at, expect=expect), len(body) + len(key))

    async def last(self, key: str) -> Entry | None:
        """See `Log.last`."""
        return await self._on(self._single, lambda connection: last_entry(connection, key))

    async def head(self) -> int:
        """See `Log.head`."""
        return self._head

    async def read(self, after: int, limit: int, key_prefix: str = "") -> list[Entry]:
        """See `Log.read`."""
        return await self._on(self._pages, lambda connection: read_entries(connection, after, limit, key_prefix))

    async def tail(self, after: int) -> AsyncIterator[Entry]:
        """See `Log.tail`."""
        while not self._is_closed:
            if after >= self._head:
                await self._changed.wait()
                continue
            for entry in await self.read(after, TAIL_PAGE_ENTRIES):
                after = entry.seq
                yield entry

    async def _on(self, reader: "_Reader", read: Callable[[sqlite3.Connection], Read]) -> Read:
        if self._is_closed:
            raise Closed("the store is closed")
        try:
            return await asyncio.get_running_loop().run_in_executor(reader.thread, read, reader.connection)
        except sqlite3.Error as error:
            raise storage_error(error) from error

    def _settled(self, _group: Sequence[Append], results: Sequence[int | Exception]) -> None:
        self._head = max([self._head, *(result for result in results if isinstance(result, int))])
        self._changed.wake()

    async def close(self) -> None:
        """Commit what is queued, end all tails, release the database."""
        await self._writer.close()
        self._is_closed = True
        self._changed.wake()
        self._pages.close()
        self._single.close()
        self._audit.close()


class _Reader:
    """A connection and its thread: one reads pages, another single entries, which decisions wait for."""

    def __init__(self, path: Path, name: str) -> None:
        self.connection = open_reader(path)
        self.thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)

    def close(self) -> None:
        self.thread.shutdown(wait=True)
        self.connection.close()


def read_entries(connection: sqlite3.Connection, after: int, limit: int, key_prefix: str = "") -> list[Entry]:
    """Up to `limit` entries after `after`, in order, whose key starts with the prefix."""
    prefix = key_prefix.encode()
    rows = connection.execute(
        f"SELECT {ENTRY_COLUMNS} FROM entry WHERE seq > ? AND substr(CAST(key AS BLOB), 1, ?) = ? ORDER BY seq LIMIT ?",
        (after, len(prefix), prefix, limit),
    )
    return [entry_from(row) for row in rows]
