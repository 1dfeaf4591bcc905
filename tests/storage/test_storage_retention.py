"""Pruning the audit: only what is old, only on the record, and what remains still proves its past."""

import json
import os
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

from opsconsole_storage import Locked, Tampered
from opsconsole_storage.files import sync_directory
from opsconsole_storage.keys import load_signer, load_verifier
from opsconsole_storage.merkle import Frontier
from opsconsole_storage.proofs import ConsistencyProof
from opsconsole_storage.retention import Pruned, retain_audit
from opsconsole_storage.sidecar import read_sidecar
from opsconsole_storage.verify import consistency_proof, inclusion_proof, read_entries, verify
from tests.storage.conftest import NOON, Opener

DAY_SECONDS = 86_400
OLD = 600
LATER = NOON + 200 * DAY_SECONDS


@pytest.fixture
async def pinned(open_store: Opener) -> str:
    """A closed log of 600 old entries and 3 of today; the checkpoint that somebody pinned after the old ones."""
    store = await open_store()
    for append in [store.log.append(f"key/{n}", b"old", at=NOON) for n in range(OLD)]:
        await append
    note = store.checkpoint()
    for n in range(3):
        await store.log.append(f"new/{n}", b"new", at=LATER)
    await store.close()
    return note


def prune(directory: Path, days: int = 183, now: float = LATER, archive: Path | None = None) -> Pruned:
    return retain_audit(directory, days=days, now=now, actor="ada", archive=archive)


@pytest.mark.usefixtures("pinned")
def test_old_entries_go_in_whole_tiles(directory: Path) -> None:
    assert prune(directory) == Pruned(through=512, removed=512)
    assert [entry.seq for entry in read_entries(directory)] == list(range(513, OLD + 5))


@pytest.mark.usefixtures("pinned")
def test_what_remains_verifies(directory: Path) -> None:
    prune(directory)
    report = verify(directory)
    assert (report.ok, report.first, report.entries) == (True, 513, OLD + 4 - 512)


def test_what_remains_continues_a_pinned_checkpoint(directory: Path, pinned: str) -> None:
    prune(directory)
    proof = ConsistencyProof.from_json(consistency_proof(directory, OLD).to_json())
    assert proof.check(old_checkpoint=pinned) == OLD + 4


@pytest.mark.usefixtures("pinned")
@pytest.mark.parametrize("seq", [513, OLD, OLD + 4])
def test_what_remains_is_proven(directory: Path, seq: int) -> None:
    prune(directory)
    assert inclusion_proof(directory, seq).check().seq == seq


@pytest.mark.usefixtures("pinned")
def test_the_pruning_is_an_entry(directory: Path) -> None:
    prune(directory)
    last = list(read_entries(directory, key_prefix="audit.retention"))[-1]
    body = json.loads(last.body)
    assert (body["pruned_through"], body["removed"], body["days"], body["actor"]) == (512, 512, 183, "ada")


@pytest.mark.usefixtures("pinned")
def test_the_archive_verifies_on_its_own(directory: Path, tmp_path: Path) -> None:
    prune(directory, archive=tmp_path / "archive")
    report = verify(tmp_path / "archive")
    assert (report.ok, report.first, report.entries) == (True, 1, OLD + 3)


@pytest.mark.usefixtures("pinned")
async def test_a_pruned_log_goes_on(directory: Path, open_store: Opener) -> None:
    prune(directory)
    store = await open_store()
    assert await store.log.append("key", b"", at=LATER) == OLD + 5
    assert await store.log.last("key/1") is None
    assert verify(directory).ok


@pytest.mark.usefixtures("pinned")
async def test_a_pruned_log_can_be_pruned_again(directory: Path, open_store: Opener) -> None:
    prune(directory)
    store = await open_store()
    for append in [store.log.append("key", b"", at=LATER) for _ in range(300)]:
        await append
    await store.log.append("key", b"", at=LATER + 400 * DAY_SECONDS)
    await store.close()
    assert prune(directory, now=LATER + 400 * DAY_SECONDS) == Pruned(through=768, removed=256)
    assert verify(directory).ok


@pytest.mark.usefixtures("pinned")
def test_pruning_by_hand_shows(directory: Path) -> None:
    with closing(sqlite3.connect(directory / "audit.db")) as connection:
        trigger = connection.execute("SELECT sql FROM sqlite_master WHERE name = 'entry_stays'").fetchone()[0]
        connection.execute("DROP TRIGGER entry_stays")
        connection.execute("DELETE FROM entry WHERE seq <= 256")
        connection.execute(trigger)
        connection.commit()
    assert verify(directory).problems == ["entries 1 to 256 are gone, and no entry says that they were pruned"]


@pytest.mark.usefixtures("pinned")
def test_less_than_six_months_is_refused(directory: Path) -> None:
    with pytest.raises(ValueError, match="at least 183 days"):
        prune(directory, days=182)


@pytest.mark.usefixtures("pinned")
def test_a_clock_that_runs_ahead_removes_nothing_younger(directory: Path) -> None:
    assert prune(directory, now=LATER + 10_000 * DAY_SECONDS).removed == 512
    assert [entry.key for entry in read_entries(directory, key_prefix="new/")] == ["new/0", "new/1", "new/2"]


@pytest.mark.usefixtures("pinned")
def test_nothing_old_enough_changes_nothing(directory: Path) -> None:
    assert prune(directory, days=300) == Pruned(through=0, removed=0)
    assert verify(directory).entries == OLD + 3


@pytest.mark.usefixtures("pinned")
async def test_a_running_hub_is_not_pruned(directory: Path, open_store: Opener) -> None:
    await open_store()
    with pytest.raises(Locked):
        prune(directory)


@pytest.mark.usefixtures("pinned")
def test_a_log_that_is_being_read_is_not_pruned(directory: Path) -> None:
    with closing(sqlite3.connect(directory / "audit.db", isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM entry").fetchone()
        with pytest.raises(Locked, match="being read"):
            prune(directory)
    assert verify(directory).first == 1


@pytest.mark.usefixtures("pinned")
def test_a_log_that_does_not_verify_is_not_pruned(directory: Path) -> None:
    with closing(sqlite3.connect(directory / "audit.db")) as connection:
        trigger = connection.execute("SELECT sql FROM sqlite_master WHERE name = 'entry_never_changes'").fetchone()[0]
        connection.execute("DROP TRIGGER entry_never_changes")
        connection.execute("UPDATE entry SET body = x'00' WHERE seq = 3")
        connection.execute(trigger)
        connection.commit()
    with pytest.raises(Tampered, match="does not verify"):
        prune(directory)


@pytest.mark.usefixtures("pinned")
@pytest.mark.parametrize("size", [256, 512, OLD])
async def test_an_earlier_head_is_still_compared_with_what_is_gone_and_what_is_there(
    directory: Path, open_store: Opener, tmp_path: Path, size: int
) -> None:
    prune(directory)
    copy = tmp_path / "elsewhere.checkpoint"
    copy.write_text(load_signer(directory).sign(size, bytes(32)))
    assert verify(directory, checkpoint_copy=copy).problems == [
        f"the first {size} entries are not those that {copy} proves"
    ]
    with pytest.raises(Tampered, match=f"the first {size} entries are not those"):
        await open_store(checkpoint_copy=copy)


@pytest.mark.usefixtures("pinned")
def test_what_is_left_of_a_pruning_that_was_cut_short_is_in_nobodys_way(directory: Path) -> None:
    (directory / "audit.db.new").write_bytes(b"half of a database")
    assert prune(directory).removed == 512
    assert (verify(directory).ok, (directory / "audit.db.new").exists()) == (True, False)


@pytest.mark.usefixtures("pinned")
def test_a_pruned_log_is_still_its_owners_alone(directory: Path) -> None:
    before = os.umask(0o022)
    try:
        prune(directory)
    finally:
        os.umask(before)
    assert stat.S_IMODE((directory / "audit.db").stat().st_mode) == 0o600


@pytest.mark.usefixtures("pinned")
def test_the_pruned_log_has_its_name_on_the_disk_before_it_counts_as_pruned(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    replace = os.replace

    def replacing(source: Path, target: Path) -> None:
        replace(source, target)
        done.append(target.name)

    def syncing(folder: Path) -> None:
        sync_directory(folder)
        done.append("the folder")

    monkeypatch.setattr(os, "replace", replacing)
    monkeypatch.setattr("opsconsole_storage.retention.sync_directory", syncing)
    prune(directory)
    assert done == ["audit.db", "the folder"]


async def test_one_pruning_on_record_excuses_no_other(open_store: Opener, directory: Path) -> None:
    store = await open_store()
    for at, count in ((NOON, 300), (LATER - 100 * DAY_SECONDS, 300), (LATER, 3)):
        for append in [store.log.append("key", b"", at=at) for _ in range(count)]:
            await append
    await store.close()
    assert prune(directory) == Pruned(through=256, removed=256)
    with closing(sqlite3.connect(directory / "audit.db")) as connection:
        trigger = connection.execute("SELECT sql FROM sqlite_master WHERE name = 'entry_stays'").fetchone()[0]
        connection.execute("DROP TRIGGER entry_stays")
        connection.execute("DELETE FROM entry WHERE seq <= 512")
        connection.execute(trigger)
        connection.commit()
    assert verify(directory).problems == ["entries 1 to 512 are gone, and no entry says that they were pruned"]


@pytest.mark.parametrize("body", [b'{"pruned_through": [1]}', b'{"pruned_through": "512"}', b"[]", b"{", b"\xff"])
async def test_an_entry_that_only_has_the_key_of_a_pruning_harms_no_verification(
    open_store: Opener, directory: Path, body: bytes
) -> None:
    store = await open_store()
    await store.log.append("audit.retention", body, at=NOON)
    await store.close()
    assert verify(directory).problems == []


@pytest.mark.usefixtures("pinned")
def test_a_copy_that_is_not_what_it_was_made_of_replaces_nothing(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("opsconsole_storage.retention.frontier_at", lambda *_: Frontier())
    with pytest.raises(Tampered, match="nothing was replaced"):
        prune(directory)
    assert (verify(directory).problems, verify(directory).first) == ([], 1)


async def filled(open_store: Opener, *times: tuple[float, int]) -> None:
    """A closed log of so many entries at each of these times."""
    store = await open_store()
    for at, count in times:
        for append in [store.log.append("key", b"", at=at) for _ in range(count)]:
            await append
    await store.close()


@pytest.mark.parametrize(("old", "gone"), [(255, 0), (256, 256), (511, 256), (512, 512)])
async def test_no_entry_goes_that_is_not_old_enough(open_store: Opener, directory: Path, old: int, gone: int) -> None:
    await filled(open_store, (NOON, old), (LATER - 183 * DAY_SECONDS, 10), (LATER, 1))
    assert prune(directory) == Pruned(through=gone, removed=gone)


async def test_a_clock_that_runs_ahead_makes_no_entry_older(open_store: Opener, directory: Path) -> None:
    await filled(open_store, (LATER - 10 * DAY_SECONDS, 300), (LATER, 3))
    assert prune(directory, now=LATER + 180 * DAY_SECONDS) == Pruned(through=0, removed=0)


@pytest.mark.usefixtures("pinned")
async def test_the_checkpoint_kept_elsewhere_is_compared_and_told_of_a_pruning(
    directory: Path, open_store: Opener, tmp_path: Path
) -> None:
    copy = tmp_path / "elsewhere.checkpoint"
    copy.write_text(load_signer(directory).sign(OLD, bytes(32)))
    with pytest.raises(Tampered, match="the first 600 entries are not those"):
        retain_audit(directory, days=183, now=LATER, actor="ada", checkpoint_copy=copy)
    assert verify(directory).first == 1
    copy.unlink()
    await (await open_store(checkpoint_copy=copy)).close()
    retain_audit(directory, days=183, now=LATER, actor="ada", checkpoint_copy=copy)
    newest = read_sidecar(copy, load_verifier(directory))
    assert newest is not None
    assert newest[0].size == OLD + 4


@pytest.mark.usefixtures("pinned")
@pytest.mark.parametrize("size", [1, 255, 300, 511])
def test_a_past_within_what_is_gone_is_not_proven_by_what_is_left(directory: Path, size: int) -> None:
    prune(directory)
    with pytest.raises(LookupError, match="were pruned; ask the archive"):
        consistency_proof(directory, size)


@pytest.mark.usefixtures("pinned")
@pytest.mark.parametrize("size", [256, 512, 513, OLD])
def test_a_past_of_whole_tiles_is_proven_by_what_is_left(directory: Path, size: int) -> None:
    before = consistency_proof(directory, size)
    prune(directory)
    after = consistency_proof(directory, size)
    assert (after.old_root, after.check()) == (before.old_root, OLD + 4)
