"""What the store refuses to start on, and that it says why."""

import json
import math
import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from opsconsole_storage import Batch, Locked, NewerSchema, ReadOnly, Tampered
from opsconsole_storage.audit_schema import create_schema
from opsconsole_storage.files import DirectoryLock
from opsconsole_storage.keys import PRIVATE_NAME, PUBLIC_NAME
from opsconsole_storage.resealing import reseal
from opsconsole_storage.sidecar import SIDECAR_NAME
from opsconsole_storage.sqlite_store import LOCK_NAME, SqliteStore
from opsconsole_storage.verify import verify
from tests.storage.conftest import NOON, Opener, open_to_all, unwritable


async def fill(store: SqliteStore, count: int) -> None:
    for number in range(count):
        await store.log.append("key", b"%d" % number, at=NOON)


def contents(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


@pytest.fixture
def open_umask() -> Iterator[None]:
    """What most systems come with: new files are for everybody to read."""
    before = os.umask(0o022)
    yield
    os.umask(before)


async def test_a_log_goes_on_where_it_ended(open_store: Opener) -> None:
    first = await open_store()
    await fill(first, 300)
    note = first.checkpoint()
    await first.close()
    second = await open_store()
    assert (await second.log.head(), second.checkpoint()) == (300, note)
    assert await second.log.append("key", b"", at=NOON, expect=300) == 301


async def test_a_second_hub_is_told_who_holds_the_directory(open_store: Opener) -> None:
    await open_store()
    with pytest.raises(Locked, match=f"in use by process {os.getpid()}"):
        await open_store()


async def test_a_closed_store_frees_its_directory(open_store: Opener) -> None:
    await (await open_store()).close()
    assert await (await open_store()).log.head() == 0


async def test_a_refused_start_frees_the_directory(open_store: Opener, directory: Path) -> None:
    await (await open_store()).close()
    note = (directory / SIDECAR_NAME).read_bytes()
    (directory / SIDECAR_NAME).write_bytes(b"nonsense")
    with pytest.raises(Tampered):
        await open_store()
    (directory / SIDECAR_NAME).write_bytes(note)
    assert await (await open_store()).log.head() == 0


@pytest.mark.parametrize("name", ["audit.db", "events-20270115.db"])
async def test_a_file_of_a_newer_version_is_refused(open_store: Opener, directory: Path, name: str) -> None:
    await (await open_store()).close()
    with sqlite3.connect(directory / name) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(NewerSchema, match=f"{name} has schema 99, this version knows 1"):
        await open_store()


async def test_a_directory_that_can_not_be_written_is_refused(open_store: Opener, reachable: Path) -> None:
    with unwritable(reachable), pytest.raises(ReadOnly):
        await open_store(reachable)


async def test_a_directory_below_a_file_is_refused(open_store: Opener, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ReadOnly):
        await open_store(tmp_path / "file" / "data")


async def test_a_file_that_is_no_database_is_refused(open_store: Opener, directory: Path) -> None:
    await (await open_store()).close()
    (directory / "audit.db").write_bytes(b"not a database at all" * 100)
    with pytest.raises(Tampered, match="damaged"):
        await open_store()


async def test_the_signing_key_is_readable_by_its_owner_only(open_store: Opener, directory: Path) -> None:
    await open_store()
    assert stat.S_IMODE((directory / PRIVATE_NAME).stat().st_mode) == 0o600


def modes(directory: Path) -> dict[str, int]:
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in directory.iterdir()}


@pytest.mark.usefixtures("open_umask")
async def test_every_file_but_the_public_key_is_its_owners_alone(
    open_store: Opener, directory: Path, tmp_path: Path
) -> None:
    store = await open_store()
    await store.events.publish(Batch(run="r", gen="g", first_seq=1, count=1, at=NOON, body=b"[]"))
    await store.backup(tmp_path / "copy")
    for place in (directory, tmp_path / "copy"):
        assert {"audit.db", "audit.checkpoint", "events-20270115.db", "events.json"} <= set(modes(place))
        assert {name for name, mode in modes(place).items() if mode != 0o600} == {PUBLIC_NAME}


async def test_files_that_were_open_to_others_are_closed(open_store: Opener, directory: Path) -> None:
    store = await open_store()
    await fill(store, 1)
    await store.close()
    (directory / "notes.txt").touch()
    open_to_all(directory)
    await open_store()
    assert {name for name, mode in modes(directory).items() if mode != 0o600} == {"notes.txt", PUBLIC_NAME}


@pytest.mark.usefixtures("open_umask")
async def test_a_second_checkpoint_may_be_fetched_by_others(
    open_store: Opener, directory: Path, tmp_path: Path
) -> None:
    await open_store(checkpoint_copy=tmp_path / "copy")
    assert stat.S_IMODE((tmp_path / "copy").stat().st_mode) == 0o644


async def test_a_log_without_its_public_key_is_refused(open_store: Opener, directory: Path) -> None:
    await (await open_store()).close()
    (directory / PUBLIC_NAME).unlink()
    with pytest.raises(Tampered, match=r"audit.pub is not"):
        await open_store()


async def test_a_key_that_is_not_the_logs_is_refused(open_store: Opener, directory: Path, tmp_path: Path) -> None:
    await (await open_store()).close()
    await (await open_store(tmp_path / "other")).close()
    (directory / PRIVATE_NAME).write_bytes((tmp_path / "other" / PRIVATE_NAME).read_bytes())
    with pytest.raises(Tampered, match="not a pair"):
        await open_store()


async def test_a_log_shorter_than_its_outside_checkpoint_is_refused(open_store: Opener, directory: Path) -> None:
    store = await open_store()
    await fill(store, 5)
    await store.close()
    earlier = (directory / "audit.db").read_bytes()
    store = await open_store()
    await fill(store, 5)
    await store.close()
    (directory / "audit.db").write_bytes(earlier)
    with pytest.raises(Tampered, match=r"ends at entry 5, .* proves 10: the tail was cut"):
        await open_store()


async def test_a_copy_of_the_checkpoint_elsewhere_shows_a_rolled_back_directory(
    open_store: Opener, directory: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "elsewhere.checkpoint"
    store = await open_store(checkpoint_copy=copy)
    await fill(store, 5)
    await store.close()
    earlier = contents(directory)
    store = await open_store(checkpoint_copy=copy)
    await fill(store, 5)
    await store.close()
    for name, content in earlier.items():
        (directory / name).write_bytes(content)
    with pytest.raises(Tampered, match=r"elsewhere.checkpoint proves 10"):
        await open_store(checkpoint_copy=copy)


async def test_a_log_whose_outside_checkpoint_is_gone_is_refused(open_store: Opener, directory: Path) -> None:
    store = await open_store()
    await fill(store, 1)
    await store.close()
    (directory / SIDECAR_NAME).unlink()
    with pytest.raises(Tampered, match=r"audit.checkpoint is missing or blank"):
        await open_store()


async def test_a_log_without_its_checkpoint_opens_after_a_person_resealed_it(
    open_store: Opener, directory: Path
) -> None:
    store = await open_store()
    await fill(store, 1)
    await store.close()
    (directory / SIDECAR_NAME).unlink()
    assert reseal(directory, actor="ada", reason="disk replaced", now=NOON) == 2
    assert await (await open_store()).log.head() == 2
    assert verify(directory).ok


async def test_resealing_records_what_the_old_checkpoint_claimed(open_store: Opener, directory: Path) -> None:
    store = await open_store()
    await fill(store, 5)
    await store.close()
    earlier = (directory / "audit.db").read_bytes()
    store = await open_store()
    await fill(store, 5)
    await store.close()
    (directory / "audit.db").write_bytes(earlier)
    reseal(directory, actor="ada", reason="restored last night's backup", now=NOON)
    store = await open_store()
    (entry,) = await store.log.read(0, 10, "audit.resealed")
    body = json.loads(entry.body)
    assert (entry.seq, body["actor"], body["head_before"]) == (6, "ada", 5)
    assert "\n10\n" in body["set_aside"][str(directory / SIDECAR_NAME)]


async def test_resealing_accepts_no_changed_entry(open_store: Opener, directory: Path) -> None:
    store = await open_store()
    await fill(store, 5)
    await store.close()
    with sqlite3.connect(directory / "audit.db") as connection:
        trigger = connection.execute("SELECT sql FROM sqlite_master WHERE name = 'entry_never_changes'").fetchone()[0]
        connection.execute("DROP TRIGGER entry_never_changes")
        connection.execute("UPDATE entry SET body = x'00' WHERE seq = 3")
        connection.execute(trigger)
    with pytest.raises(Tampered, match="not those of the signed checkpoint"):
        reseal(directory, actor="mallory", reason="", now=NOON)


async def test_a_checkpoint_that_lags_behind_a_crash_is_accepted_and_brought_up(
    open_store: Opener, directory: Path
) -> None:
    store = await open_store()
    await fill(store, 3)
    lagging = (directory / SIDECAR_NAME).read_bytes()
    await fill(store, 300)
    await store.close()
    (directory / SIDECAR_NAME).write_bytes(lagging)
    await (await open_store()).close()
    assert b"\n303\n" in (directory / SIDECAR_NAME).read_bytes()


async def test_a_torn_slot_of_the_checkpoint_is_no_tampering(open_store: Opener, directory: Path) -> None:
    store = await open_store()
    await fill(store, 4)
    await store.close()
    content = bytearray((directory / SIDECAR_NAME).read_bytes())
    newest = content.index(b"\n4\n")
    content[newest : newest + 60] = bytes(60)
    (directory / SIDECAR_NAME).write_bytes(content)
    assert await (await open_store()).log.head() == 4


async def test_another_history_signed_with_the_logs_own_key_is_refused(open_store: Opener, directory: Path) -> None:
    store = await open_store()
    await fill(store, 5)
    await store.close()
    outside = (directory / SIDECAR_NAME).read_bytes()
    for name in ("audit.db", SIDECAR_NAME):
        (directory / name).unlink()
    store = await open_store()
    for number in range(7):
        await store.log.append("key", b"another %d" % number, at=NOON)
    await store.close()
    (directory / SIDECAR_NAME).write_bytes(outside)
    with pytest.raises(Tampered, match="the first 5 entries are not those that"):
        await open_store()


async def test_a_page_that_was_overwritten_is_found_at_the_start(open_store: Opener, directory: Path) -> None:
    store = await open_store()
    for append in [store.log.append("key", b"%d " % number * 300, at=NOON) for number in range(400)]:
        await append
    await store.close()
    content = (directory / "audit.db").read_bytes()
    page = content.index(b"100 " * 200) // 4096 * 4096
    (directory / "audit.db").write_bytes(content[:page] + b"\xff" * 64 + content[page + 64 :])
    with pytest.raises(Tampered, match="damaged"):
        await open_store()


async def test_the_newest_checkpoint_is_in_both_slots_once_a_log_goes_on(open_store: Opener, directory: Path) -> None:
    for count in (3, 4):
        store = await open_store()
        await fill(store, count)
        await store.close()
        store = await open_store()
        await store.close()
        head = b"\n%d\n" % await store.log.head()
        assert (directory / SIDECAR_NAME).read_bytes().count(head) == 2


async def test_a_directory_is_free_only_once_its_files_are_closed(
    open_store: Opener, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = await open_store()
    close, refused = store._audit.close, []

    def try_and_close() -> None:
        with pytest.raises(Locked) as locked:
            DirectoryLock(directory / LOCK_NAME)
        refused.append(locked)
        close()

    monkeypatch.setattr(store._audit, "close", try_and_close)
    await store.close()
    assert len(refused) == 1


async def test_what_was_queued_when_the_store_closes_is_stored(
    open_store: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = await open_store()
    close, pending = store._audit.close, []

    def count_and_close() -> None:
        pending.append(store.log.pending)
        close()

    monkeypatch.setattr(store._audit, "close", count_and_close)
    appends = [store.log.append("key", b"%d" % number, at=NOON) for number in range(50)]
    await store.close()
    assert pending == [0]
    assert [append.result() for append in appends if append.done()] == list(range(1, 51))
    assert await (await open_store()).log.head() == 50


@pytest.mark.parametrize("at", [-0.0, 5, 1e300])
async def test_a_log_opens_again_whatever_time_an_entry_was_given(
    open_store: Opener, directory: Path, at: float
) -> None:
    store = await open_store()
    await store.log.append("key", b"", at=at)
    await store.close()
    assert verify(directory).ok
    assert await (await open_store()).log.head() == 1


def test_a_database_whose_making_was_cut_short_is_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "audit.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.set_authorizer(lambda action, *_: int(action == sqlite3.SQLITE_PRAGMA))
        with pytest.raises(sqlite3.DatabaseError, match="not authorized"):
            create_schema(connection, "note")
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == []


async def test_a_log_behind_both_of_its_checkpoints_opens_once_both_are_set_aside(
    open_store: Opener, directory: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "elsewhere.checkpoint"
    store = await open_store(checkpoint_copy=copy)
    await fill(store, 5)
    await store.close()
    earlier = (directory / "audit.db").read_bytes()
    store = await open_store(checkpoint_copy=copy)
    await fill(store, 5)
    await store.close()
    (directory / "audit.db").write_bytes(earlier)
    claimed = {path.name: path.read_bytes() for path in (copy, directory / SIDECAR_NAME)}
    assert reseal(directory, actor="ada", reason="backup", now=NOON, checkpoint_copy=copy) == 6
    aside = {path.name: path.read_bytes() for place in (directory, tmp_path) for path in place.glob("*.set-aside-*")}
    assert aside == {f"{name}.set-aside-1800000000": content for name, content in claimed.items()}
    assert await (await open_store(checkpoint_copy=copy)).log.head() == 6


async def test_a_log_that_a_hub_has_open_is_not_resealed(open_store: Opener, directory: Path) -> None:
    await open_store()
    with pytest.raises(Locked):
        reseal(directory, actor="ada", reason="", now=NOON)
    assert (directory / SIDECAR_NAME).exists()


async def test_resealing_that_cannot_be_recorded_says_so(open_store: Opener, directory: Path) -> None:
    await (await open_store()).close()
    (directory / SIDECAR_NAME).unlink()
    with pytest.raises(ValueError, match="nan is not a time"):
        reseal(directory, actor="ada", reason="", now=math.nan)
