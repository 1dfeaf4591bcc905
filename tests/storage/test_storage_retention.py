"""Pruning the audit: only what is old, only on the record, and what remains still proves its past."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from opsconsole_storage import Locked, Tampered
from opsconsole_storage.proofs import ConsistencyProof
from opsconsole_storage.retention import Pruned, retain_audit
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
    prune(directory, now=LATER + 10_000 * DAY_SECONDS)
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
