"""The record: what stands in it, who can prove it, and that no change of it goes unnoticed."""

from __future__ import annotations

import base64
import csv
import io
import json
import shutil
import sqlite3
from pathlib import Path

import pytest

from tests.spec.manifest import proves
from tests.spec.place import Place, Row

pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def run(place: Place) -> str:
    """A run of which one call was rejected, and which was killed."""
    agent = place.puppet("recorded", supervised=False)
    agent.does("tool", args={"path": "/tmp/x", "text": "secret plan"})
    place.decide(place.held(agent.run), "reject", note="not today")
    place.settled(place.command("kill", run=agent.run, note="enough")["cmd"])
    return agent.run


@pytest.fixture(scope="module")
def entries(place: Place, run: str) -> list[Row]:
    listed: list[Row] = place.json("audit", "list", "--run", run)
    return listed


@pytest.fixture(scope="module")
def backup(place: Place, run: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of everything, made while the hub runs."""
    target = tmp_path_factory.mktemp("backup") / "copy"
    place.does("backup", str(target))
    return target


@pytest.fixture
def copy(backup: Path, tmp_path: Path) -> Path:
    """A data directory of this test's own, without a hub."""
    shutil.copytree(backup, tmp_path / "copy")
    return tmp_path / "copy"


@proves("record.entries")
def test_every_decision_is_recorded_with_who_what_and_why(entries: list[Row], run: str, place: Place) -> None:
    kinds = [entry["kind"] for entry in entries]
    expected = ["run.started", "approval.requested", "approval.decided", "kill", "kill.outcome"]
    assert [kind for kind in kinds if kind in expected] == expected
    decided = next(entry for entry in entries if entry["kind"] == "approval.decided")
    assert decided["who"]["principal"] == place.get("info")["principal"]
    assert decided["who"]["from"].startswith("127.0.0.1")
    said = {name: decided[name] for name in ("run", "answer", "tool", "args", "note")}
    args = {"path": "/tmp/x", "text": "secret plan"}
    assert said == {"run": run, "answer": "reject", "tool": "write_file", "args": args, "note": "not today"}


@proves("record.show")
def test_one_entry_is_shown_whole(place: Place, entries: list[Row]) -> None:
    entry = next(entry for entry in entries if entry["kind"] == "kill")
    assert place.json("audit", "show", str(entry["seq"])) == entry
    assert entry["reason"] == "enough"


@proves("record.verify")
def test_the_record_of_a_running_hub_verifies(place: Place, run: str) -> None:
    report = place.json("audit", "verify")
    assert (report["ok"], report["problems"]) == (True, [])
    assert report["entries"] >= 5


@proves("record.export")
def test_the_record_is_exported_whole_as_json_lines_and_as_csv(copy: Path, place: Place) -> None:
    lines = place.does("audit", "export", OPSCONSOLE_DATA_DIR=str(copy)).splitlines()
    table = place.does("audit", "export", "--format", "csv", OPSCONSOLE_DATA_DIR=str(copy))
    seqs = [json.loads(line)["seq"] for line in lines]
    assert seqs == list(range(1, len(seqs) + 1))
    assert [int(row["seq"]) for row in csv.DictReader(io.StringIO(table))] == seqs


@proves("record.prove")
def test_an_entry_is_proven_to_somebody_who_has_only_the_key(place: Place, entries: list[Row], tmp_path: Path) -> None:
    seq = str(entries[-1]["seq"])
    proof, key = tmp_path / "proof.json", place.data_dir / "audit.pub"
    proof.write_text(place.does("audit", "prove", seq))
    check = ("audit", "prove", "--check", str(proof), "--public-key", str(key))
    said = place.does(*check, OPSCONSOLE_DATA_DIR=str(tmp_path / "nowhere"))
    assert said == f"proven: entry {seq} stands in the record\n"


@proves("record.prove-false")
def test_a_proof_of_something_else_is_not_believed(place: Place, entries: list[Row], tmp_path: Path) -> None:
    proof = tmp_path / "proof.json"
    document = json.loads(place.does("audit", "prove", str(entries[-1]["seq"])))
    leaf = bytearray(base64.b64decode(document["leaf"]))
    leaf[-2] ^= 1
    proof.write_text(json.dumps(document | {"leaf": base64.b64encode(leaf).decode()}))
    key = place.data_dir / "audit.pub"
    place.does("audit", "prove", "--check", str(proof), "--public-key", str(key), status=8)


@proves("record.consistency")
def test_the_first_entries_are_proven_unchanged(place: Place, run: str, tmp_path: Path) -> None:
    proof = tmp_path / "proof.json"
    proof.write_text(place.does("audit", "prove", "--since", "3"))
    said = place.does("audit", "prove", "--check", str(proof), "--public-key", str(place.data_dir / "audit.pub"))
    assert said == "proven: the first 3 entries stand unchanged in the record\n"


@proves("record.changed", "exit.8")
def test_a_single_changed_byte_of_the_record_is_found(place: Place, copy: Path) -> None:
    data = bytearray((copy / "audit.db").read_bytes())
    data[data.index(b"not today")] ^= 1
    (copy / "audit.db").write_bytes(data)
    said = place.does("audit", "verify", status=8, OPSCONSOLE_DATA_DIR=str(copy))
    assert said.startswith("NOT VERIFIED")
    assert "Traceback" not in said


@proves("record.cut")
def test_a_cut_tail_is_found_and_no_hub_starts_on_it(place: Place, copy: Path) -> None:
    connection = sqlite3.connect(copy / "audit.db")
    triggers = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")]
    statements = [sql for (sql,) in connection.execute("SELECT sql FROM sqlite_master WHERE type = 'trigger'")]
    for trigger in triggers:
        connection.execute(f"DROP TRIGGER {trigger}")
    connection.execute("DELETE FROM entry WHERE seq = (SELECT max(seq) FROM entry)")
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()
    place.does("audit", "verify", status=8, OPSCONSOLE_DATA_DIR=str(copy))
    done = place.cli("hub", "--port", "0", "--data-dir", str(copy))
    assert (done.returncode, "opsconsole audit verify" in done.stderr) == (5, True)


@proves("record.append-only")
def test_the_database_itself_refuses_a_change(copy: Path) -> None:
    connection = sqlite3.connect(copy / "audit.db")
    for statement in (
        "UPDATE entry SET body = x'00'",
        "DELETE FROM entry",
        "INSERT OR REPLACE INTO entry SELECT * FROM entry",
    ):
        with pytest.raises(sqlite3.DatabaseError):
            connection.execute(statement)
    connection.close()


@proves("backup.complete")
def test_a_hub_starts_on_a_backup_and_knows_what_was_decided(place: Place, copy: Path, run: str) -> None:
    restored = Place(copy)
    restored.start_hub()
    try:
        row = restored.row_of(run)
        assert (row["state"], row["kill"]["proof"]) == ("killed", "cooperative")
        assert [one["status"] for one in restored.approvals(run)] == ["rejected"]
        assert restored.get("audit/verify")["ok"] is True
    finally:
        restored.close()


@proves("tokens.create", "tokens.list", "tokens.revoke")
def test_a_token_works_until_it_is_revoked(place: Place) -> None:
    made = place.json("tokens", "create", "dora", "--role", "operator", "--ttl", "8h")
    as_dora = {"OPSCONSOLE_TOKEN": made["token"]}
    assert json.loads(place.does("status", "--json", **as_dora))["principal"] == "dora"
    listed = {token["id"]: token for token in place.json("tokens", "list")}
    assert listed[made["id"]]["name"] == "dora"
    assert made["token"] not in json.dumps(listed)
    place.json("tokens", "revoke", made["id"])
    place.does("status", status=5, **as_dora)
    kinds = [entry["kind"] for entry in place.json("audit", "list", "--kind", "token.*", "--text", "dora")]
    assert "token.created" in kinds
    assert "token.revoked" in [entry["kind"] for entry in place.json("audit", "list", "--kind", "token.*")]


@proves("tokens.admin-only")
def test_an_operator_makes_no_tokens(place: Place) -> None:
    place.does("tokens", "create", "eve", "--role", "admin", status=5, OPSCONSOLE_TOKEN=place.token("operator"))
