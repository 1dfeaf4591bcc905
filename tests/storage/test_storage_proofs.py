"""Proofs that leave the house: they hold for what is there, and for nothing else."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from opsconsole_storage import Entry
from opsconsole_storage.proofs import ConsistencyProof, InclusionProof
from opsconsole_storage.sqlite_store import SqliteStore
from opsconsole_storage.verify import consistency_proof, inclusion_proof, verify
from tests.storage.conftest import NOON, Opener, open_to_all, unwritable

SIZE = 600


@pytest.fixture
async def log(store: SqliteStore) -> SqliteStore:
    for append in [store.log.append(f"key/{n}", b'{"n": %d}' % n, at=NOON + n) for n in range(1, SIZE + 1)]:
        await append
    return store


@pytest.mark.parametrize("seq", [1, 2, 255, 256, 257, 512, 513, SIZE])
async def test_an_entry_is_proven_while_the_hub_runs(log: SqliteStore, directory: Path, seq: int) -> None:
    proof = InclusionProof.from_json(inclusion_proof(directory, seq).to_json())
    assert proof.check() == Entry(seq=seq, key=f"key/{seq}", at=NOON + seq, body=b'{"n": %d}' % seq)


async def test_a_proof_uses_the_signed_checkpoint(log: SqliteStore, directory: Path) -> None:
    assert inclusion_proof(directory, 1).checkpoint == log.checkpoint()


async def test_a_proof_shows_the_entry_to_people(log: SqliteStore, directory: Path) -> None:
    shown = json.loads(inclusion_proof(directory, 7).to_json())["entry"]
    assert shown == {"seq": 7, "key": "key/7", "at": NOON + 7, "body": {"n": 7}, "body_base64": "eyJuIjogN30="}


async def test_a_proof_that_shows_another_entry_is_refused(log: SqliteStore, directory: Path) -> None:
    text = inclusion_proof(directory, 7).to_json().replace('"key/7"', '"key/8"')
    with pytest.raises(ValueError, match="not the one that is proven"):
        InclusionProof.from_json(text)


async def test_a_leaf_of_another_place_is_not_proven(log: SqliteStore, directory: Path) -> None:
    proof, other = inclusion_proof(directory, 7), inclusion_proof(directory, 8)
    forged = InclusionProof(leaf=other.leaf, path=proof.path, checkpoint=proof.checkpoint, public_key=proof.public_key)
    with pytest.raises(ValueError, match="not proven"):
        forged.check()


async def test_a_proof_by_another_key_is_refused(
    log: SqliteStore, directory: Path, open_store: Opener, tmp_path: Path
) -> None:
    await open_store(tmp_path / "other")
    trusted = (tmp_path / "other" / "audit.pub").read_text()
    with pytest.raises(ValueError, match="no valid signature"):
        inclusion_proof(directory, 7).check(trusted)


@pytest.mark.parametrize("old_size", [0, 1, 255, 256, 300, 512, 599, SIZE])
async def test_a_log_is_proven_to_start_with_an_earlier_one(log: SqliteStore, directory: Path, old_size: int) -> None:
    proof = ConsistencyProof.from_json(consistency_proof(directory, old_size).to_json())
    assert proof.check() == SIZE


async def test_a_pinned_checkpoint_is_proven_to_be_continued(log: SqliteStore, directory: Path) -> None:
    pinned = log.checkpoint()
    await log.log.append("key", b"", at=NOON)
    assert consistency_proof(directory, SIZE).check(old_checkpoint=pinned) == SIZE + 1


async def test_a_checkpoint_of_another_size_is_not_what_was_proven(log: SqliteStore, directory: Path) -> None:
    pinned = log.checkpoint()
    await log.log.append("key", b"", at=NOON)
    with pytest.raises(ValueError, match="another checkpoint"):
        consistency_proof(directory, SIZE - 1).check(old_checkpoint=pinned)


async def test_there_is_no_proof_of_an_entry_that_is_not_there(log: SqliteStore, directory: Path) -> None:
    with pytest.raises(LookupError, match="there is no entry 601; the log holds 1 to 600"):
        inclusion_proof(directory, SIZE + 1)
    with pytest.raises(ValueError, match="no earlier size 601"):
        consistency_proof(directory, SIZE + 1)


@pytest.mark.parametrize("text", ["{}", "[]", "null", "x", '{"format": "opsconsole.audit.inclusion/1"}'])
def test_what_is_no_proof_is_refused(text: str) -> None:
    for kind in (InclusionProof, ConsistencyProof):
        with pytest.raises(ValueError):
            kind.from_json(text)


async def test_an_open_store_proves_by_itself(log: SqliteStore) -> None:
    assert (await log.inclusion_proof(7)).check().seq == 7
    assert (await log.consistency_proof(7)).check() == SIZE


async def test_a_copy_that_can_not_be_written_verifies(log: SqliteStore, reachable: Path) -> None:
    await log.backup(reachable / "evidence")
    open_to_all(reachable / "evidence")
    with unwritable(reachable / "evidence"):
        report = verify(reachable / "evidence")
    assert (report.ok, report.entries, report.problems) == (True, SIZE, [])


HOSTILE = {
    "infinity": '{"format": "FORMAT", "old_size": Infinity, "old_root": "", "path": [], "checkpoint": "", '
    '"public_key": "", "leaf": "", "entry": {}}',
    "too-deep": "[" * 100_000,
    "no-object": "[]",
    "nothing-in-it": '{"format": "FORMAT"}',
    "a-path-of-numbers": '{"format": "FORMAT", "old_size": 1, "old_root": "", "path": [1], "leaf": ""}',
}


@pytest.mark.parametrize("kind", [InclusionProof, ConsistencyProof])
@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_what_is_no_proof_is_said_to_be_none_whatever_it_is(
    kind: type[InclusionProof] | type[ConsistencyProof], text: str
) -> None:
    with pytest.raises(ValueError):
        kind.from_json(text.replace("FORMAT", kind.FORMAT))


async def test_a_continuation_signed_by_another_key_is_refused(
    log: SqliteStore, directory: Path, open_store: Opener, tmp_path: Path
) -> None:
    await open_store(tmp_path / "other")
    trusted = (tmp_path / "other" / "audit.pub").read_text()
    with pytest.raises(ValueError, match="no valid signature"):
        consistency_proof(directory, 7).check(trusted)


@pytest.mark.parametrize("old_size", [0, 7, SIZE])
async def test_a_past_that_is_another_is_not_proven_to_be_continued(
    log: SqliteStore, directory: Path, old_size: int
) -> None:
    proof = consistency_proof(directory, old_size)
    changes: list[dict[str, Any]] = [{"old_root": bytes(32)}, {"path": (*proof.path, bytes(32))}]
    if proof.path:
        changes += [{"path": proof.path[:-1]}, {"path": ()}, {"old_size": old_size + 1}]
    for change in changes:
        with pytest.raises(ValueError, match="is not proven to start with"):
            replace(proof, **change).check()


async def test_a_proof_of_a_later_format_is_not_read_as_this_one(log: SqliteStore, directory: Path) -> None:
    for proof in (inclusion_proof(directory, 7), consistency_proof(directory, 7)):
        later = proof.to_json().replace(proof.FORMAT, f"{proof.FORMAT[:-1]}2")
        with pytest.raises(ValueError, match="not a proof of the format"):
            type(proof).from_json(later)
