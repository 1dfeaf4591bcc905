"""Checking a whole audit and proving parts of it, read-only and beside a running hub; it repairs nothing."""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from opsconsole_storage.audit_reader import AuditReader, open_snapshot
from opsconsole_storage.audit_schema import APPLICATION_ID, AUDIT_NAME, TILE_ENTRIES, check_schema
from opsconsole_storage.contract import Entry
from opsconsole_storage.errors import StorageError
from opsconsole_storage.keys import PUBLIC_NAME, load_verifier
from opsconsole_storage.leaves import leaf_bytes
from opsconsole_storage.merkle import Frontier, consistency_path, inclusion_path, leaf_hash
from opsconsole_storage.notes import Checkpoint, Verifier
from opsconsole_storage.proofs import ConsistencyProof, InclusionProof
from opsconsole_storage.sidecar import SIDECAR_NAME, read_sidecar

RETENTION_KEY = "audit.retention"
TYPES = ("text", "real", "blob")
PROBLEMS_MAX = 100
"""More are counted as one: the report is for people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyReport:
    """What was found. `first` is above 1 when older entries were pruned; `root` is in hex."""

    ok: bool
    entries: int
    first: int
    root: str
    checkpoint: str
    problems: list[str]

    def to_json(self) -> str:
        """The report as a JSON document."""
        return json.dumps(asdict(self), indent=2)


@dataclass(slots=True)
class _Findings:
    problems: list[str] = field(default_factory=list)

    def add(self, problem: str) -> None:
        if len(self.problems) < PROBLEMS_MAX:
            self.problems.append(problem)
        elif len(self.problems) == PROBLEMS_MAX:
            self.problems.append("more problems follow")


def verify(directory: Path, *, checkpoint_copy: Path | None = None, public_key: str | None = None) -> VerifyReport:
    """Read every stored byte of the audit in `directory` and compare it with the signed checkpoints, in and outside.

    Give `public_key` (the text of `audit.pub`, kept elsewhere) to detect a log that was replaced with its key.
    Never raises for a damaged log: the report says so.
    """
    findings = _Findings()
    head, first, root, note = 0, 1, b"", ""
    try:
        verifier = _verifier(directory, public_key, findings)
        outside = _outside(directory, checkpoint_copy, verifier, findings)
        with open_snapshot(directory) as reader:
            head, first, note = reader.head, reader.first, reader.note()
            _check_file(reader, findings)
            root = _check_tree(reader, outside, findings)
            _check_note(reader, verifier, Checkpoint(origin=verifier.name, size=head, root=root), findings)
    except (StorageError, OSError, ValueError, sqlite3.Error) as error:
        findings.add(f"{AUDIT_NAME} can't be read to its end: {error}")
    return VerifyReport(
        ok=not findings.problems,
        entries=head - first + 1,
        first=first,
        root=root.hex(),
        checkpoint=note,
        problems=findings.problems,
    )


def _verifier(directory: Path, public_key: str | None, findings: _Findings) -> Verifier:
    if public_key is None:
        return load_verifier(directory)
    verifier = Verifier.parse(public_key)
    try:
        if str(load_verifier(directory)) != str(verifier):
            findings.add(f"{PUBLIC_NAME} is not the given public key")
    except StorageError as error:
        findings.add(str(error))
    return verifier


def _outside(
    directory: Path, checkpoint_copy: Path | None, verifier: Verifier, findings: _Findings
) -> list[tuple[Path, Checkpoint]]:
    """The outside checkpoints; read before the database, so that a running hub can't be ahead of its own entries."""
    found = []
    for path in (directory / SIDECAR_NAME, checkpoint_copy):
        if path is None:
            continue
        try:
            newest = read_sidecar(path, verifier)
        except ValueError as error:
            findings.add(str(error))
            continue
        if newest is None:
            findings.add(f"{path} is missing or blank")
        else:
            found.append((path, newest[0]))
    return found


def _check_file(reader: AuditReader, findings: _Findings) -> None:
    for (message,) in reader.connection.execute("PRAGMA integrity_check(20)"):
        if message != "ok":
            findings.add(f"{AUDIT_NAME} is damaged: {message}")
    if reader.connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
        findings.add(f"{AUDIT_NAME} is not marked as an audit database")
    try:
        check_schema(reader.connection)
    except StorageError as error:
        findings.add(str(error))


def _check_tree(reader: AuditReader, outside: Sequence[tuple[Path, Checkpoint]], findings: _Findings) -> bytes:
    """The root over all entries, recomputed; compares every tile and every outside checkpoint on the way."""
    tiles = dict(reader.connection.execute("SELECT number, root FROM tile ORDER BY number"))
    pruned = reader.first - 1
    frontier, retentions = Frontier(), set()
    for number in range(pruned // TILE_ENTRIES):
        frontier.append_subtree(tiles.get(number, b""), TILE_ENTRIES)
    wanted = {checkpoint.size for _, checkpoint in outside}
    roots = {size: reader.root_at(size) for size in wanted if size <= pruned and size % TILE_ENTRIES == 0}
    for row in reader.rows():
        _check_row(row, frontier.size + 1, findings)
        tile = frontier.append(leaf_hash(leaf_bytes(*row[:4])), TILE_ENTRIES)
        number = frontier.size // TILE_ENTRIES - 1
        if tile and tiles.get(number) != tile:
            findings.add(f"entries {frontier.size - TILE_ENTRIES + 1} to {frontier.size} differ from tile {number}")
        if frontier.size in wanted:
            roots[frontier.size] = frontier.root()
        if row[1] == RETENTION_KEY.encode():
            retentions.add(_pruned_through(row[3]))
    if len(tiles) != frontier.size // TILE_ENTRIES or any(number not in tiles for number in range(len(tiles))):
        findings.add(f"there are {len(tiles)} tiles for {frontier.size} entries")
    if pruned and pruned not in retentions:
        findings.add(f"entries 1 to {pruned} are gone, and no entry says that they were pruned")
    for path, checkpoint in outside:
        _check_outside(path, checkpoint, frontier.size, roots, findings)
    return frontier.root()


def _check_row(row: tuple[Any, ...], expected: int, findings: _Findings) -> None:
    if row[0] != expected:
        raise ValueError(f"entry {row[0]} stands where {expected} belongs")
    if row[4:7] != TYPES:
        raise ValueError(f"entry {row[0]} has columns of the types {', '.join(row[4:7])}")


def _pruned_through(body: bytes) -> int | None:
    try:
        through = json.loads(body)["pruned_through"]
    except (ValueError, KeyError, TypeError):
        return None
    return through if isinstance(through, int) else None


def _check_outside(path: Path, checkpoint: Checkpoint, size: int, roots: dict[int, bytes], findings: _Findings) -> None:
    """`roots` has those of all sizes wanted but of what is gone and ended within a tile."""
    if checkpoint.size > size:
        findings.add(f"the log ends at entry {size}, {path} proves {checkpoint.size}: the tail was cut")
    elif roots.get(checkpoint.size, checkpoint.root) != checkpoint.root:
        findings.add(f"the first {checkpoint.size} entries are not those that {path} proves")


def _check_note(reader: AuditReader, verifier: Verifier, actual: Checkpoint, findings: _Findings) -> None:
    rows = reader.connection.execute("SELECT id, typeof(note) FROM checkpoint").fetchall()
    note = reader.note()
    if rows != [(1, "text")] or note.count("\n") != len(actual.text().splitlines()) + 2:
        findings.add(f"{AUDIT_NAME}: the checkpoint is not one signed note")
    try:
        signed = verifier.open(note)
    except ValueError as error:
        findings.add(f"{AUDIT_NAME}: the checkpoint is not valid: {error}")
        return
    if signed != actual:
        findings.add(f"the {actual.size} entries are not the {signed.size} of the signed checkpoint")


def inclusion_proof(directory: Path, seq: int) -> InclusionProof:
    """The proof that entry `seq` stands in the log. Raises: LookupError, StorageError, sqlite3.Error."""
    with open_snapshot(directory) as reader:
        leaf = reader.leaf(seq)
        path = inclusion_path(seq - 1, reader.head, reader.range_hash)
        return InclusionProof(
            leaf=leaf, path=tuple(path), checkpoint=reader.note(), public_key=str(load_verifier(directory))
        )


def consistency_proof(directory: Path, old_size: int) -> ConsistencyProof:
    """The proof that the log starts with its first `old_size` entries, unchanged.

    Raises: ValueError when the log is shorter, LookupError when what it needs was pruned, StorageError, sqlite3.Error.
    """
    with open_snapshot(directory) as reader:
        path = consistency_path(old_size, reader.head, reader.range_hash)
        return ConsistencyProof(
            old_size=old_size,
            old_root=reader.range_hash(0, old_size),
            path=tuple(path),
            checkpoint=reader.note(),
            public_key=str(load_verifier(directory)),
        )


def read_entries(directory: Path, after: int = 0, key_prefix: str = "") -> Iterator[Entry]:
    """Every entry of one snapshot, one at a time, for exports. Raises: StorageError, sqlite3.Error."""
    with open_snapshot(directory) as reader:
        yield from reader.entries(after, key_prefix)
