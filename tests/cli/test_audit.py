"""`audit` on the files of a data directory: reads, verifies, proves and exports without any hub."""

from __future__ import annotations

import asyncio
import base64
import csv
import io
import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from opsconsole_storage.keys import load_signer
from opsconsole_storage.sqlite_store import SqliteStore
from tests.cli.conftest import Run
from tests.cli.fake_hub import FakeHub

BODIES = [
    {"kind": "login", "who": {"principal": "ada"}, "how": "http"},
    {"kind": "decision", "who": {"principal": "ada"}, "run": "run_A", "answer": "approve"},
    {
        "kind": "kill",
        "who": {"principal": "bob"},
        "run": "run_A",
        "mode": "ladder",
        "runs": ["run_A"],
        "reason": "runaway",
    },
]


@pytest.fixture(autouse=True)
def record(data_dir: Path) -> None:
    async def fill() -> None:
        store = await SqliteStore.open(data_dir, clock=lambda: 1_000.0)
        for number, body in enumerate(BODIES):
            await store.log.append(f"key/{number}", json.dumps(body).encode(), at=1_000.0 + number)
        await store.close()

    asyncio.run(fill())


def test_a_whole_record_verifies(bare: Run) -> None:
    done = bare("audit", "verify", "--json")
    report = json.loads(done.stdout)
    assert (done.exit_code, report["ok"], report["entries"], report["problems"]) == (0, True, 3, [])


def test_a_changed_record_exits_8_and_says_what(bare: Run, data_dir: Path) -> None:
    path = data_dir / "audit.db"
    path.write_bytes(path.read_bytes().replace(b"runaway", b"runaxay"))
    done = bare("audit", "verify")
    assert done.exit_code == 8
    assert done.stdout.startswith(f"NOT VERIFIED: {path}\n  ")


def test_a_record_that_is_another_ones_fails_with_the_key_kept_elsewhere(bare: Run, tmp_path: Path) -> None:
    elsewhere = tmp_path / "other"

    async def other() -> None:
        await (await SqliteStore.open(elsewhere, clock=lambda: 1.0)).close()

    asyncio.run(other())
    assert bare("audit", "verify", "--public-key", str(elsewhere / "audit.pub")).exit_code == 8


@pytest.mark.parametrize(
    ("filters", "seqs"),
    [
        ((), [1, 2, 3]),
        (("--limit", "2"), [2, 3]),
        (("--after", "1", "--limit", "1"), [2]),
        (("--before", "3"), [1, 2]),
        (("--kind", "kill"), [3]),
        (("--run", "run_A"), [2, 3]),
        (("--actor", "ada"), [1, 2]),
        (("--text", "RUNAWAY"), [3]),
        (("--kind", "kill", "--actor", "ada"), []),
    ],
)
def test_the_list_is_filtered(bare: Run, filters: tuple[str, ...], seqs: list[int]) -> None:
    assert [entry["seq"] for entry in json.loads(bare("audit", "list", *filters, "--json").stdout)] == seqs


def test_the_list_is_a_table_for_people(bare: Run) -> None:
    lines = bare("audit", "list").stdout.splitlines()
    assert len(lines) == 4
    assert lines[3].split()[0] == "3"
    assert "bob" in lines[3]


def test_the_list_says_what_happened_in_words(bare: Run) -> None:
    header, *lines = bare("audit", "list").stdout.splitlines()
    what = header.index("WHAT")
    assert [line[what:] for line in lines] == [
        "login over http",
        '{"answer": "approve"}',
        "kill ladder of 1 run: runaway",
    ]


def test_one_entry_is_shown_whole(bare: Run) -> None:
    found = json.loads(bare("audit", "show", "2", "--json").stdout)
    assert found == {**BODIES[1], "seq": 2, "key": "key/1", "at": 1_001.0}


def test_an_entry_that_is_not_there_exits_6(bare: Run) -> None:
    assert bare("audit", "show", "9").exit_code == 6
    assert bare("audit", "prove", "9").exit_code == 6


def test_a_proof_convinces_whoever_holds_the_key(bare: Run, tmp_path: Path, data_dir: Path) -> None:
    proof = tmp_path / "proof.json"
    proof.write_text(bare("audit", "prove", "2").stdout)
    done = bare("audit", "prove", "--check", str(proof), "--public-key", str(data_dir / "audit.pub"))
    assert (done.exit_code, done.stdout) == (0, "proven: entry 2 stands in the record\n")


def test_a_proof_of_something_else_convinces_nobody(bare: Run, tmp_path: Path) -> None:
    proof = tmp_path / "proof.json"
    document = json.loads(bare("audit", "prove", "2").stdout)
    document["leaf"] = json.loads(bare("audit", "prove", "1").stdout)["leaf"]
    proof.write_text(json.dumps(document))
    assert bare("audit", "prove", "--check", str(proof)).exit_code == 8


def test_that_nothing_was_rewritten_is_proven_since_a_size(bare: Run, tmp_path: Path) -> None:
    proof = tmp_path / "proof.json"
    proof.write_text(bare("audit", "prove", "--since", "2").stdout)
    done = bare("audit", "prove", "--check", str(proof))
    assert done.exit_code == 0
    assert "first 2 entries stand unchanged" in done.stdout


def test_an_export_holds_every_entry(bare: Run) -> None:
    lines = [json.loads(line) for line in bare("audit", "export").stdout.splitlines()]
    assert [line["body"] for line in lines] == BODIES
    rows = list(csv.DictReader(io.StringIO(bare("audit", "export", "--format", "csv", "--after", "1").stdout)))
    assert [row["seq"] for row in rows] == ["2", "3"]


def test_an_export_overwrites_nothing(bare: Run, tmp_path: Path) -> None:
    target = tmp_path / "audit.csv"
    assert bare("audit", "export", "--format", "csv", "--output", str(target)).exit_code == 0
    before = target.read_bytes()
    assert bare("audit", "export", "--output", str(target)).exit_code == 1
    assert target.read_bytes() == before


def test_the_checkpoint_is_a_signed_note_of_the_newest_entry(bare: Run) -> None:
    assert bare("audit", "checkpoint").stdout.splitlines()[1] == "3"


def test_the_checkpoint_of_an_empty_record_is_there_too(bare: Run, tmp_path: Path) -> None:
    async def other() -> None:
        await (await SqliteStore.open(tmp_path / "other", clock=lambda: 1.0)).close()

    asyncio.run(other())
    done = bare("audit", "checkpoint", "--data-dir", str(tmp_path / "other"))
    assert (done.exit_code, done.stdout.splitlines()[1]) == (0, "0")


def test_with_hub_the_hub_is_asked(bare: Run, hub: FakeHub) -> None:
    hub.overrides["GET", "/v1/audit"] = lambda: (200, {"head": 9, "entries": [{"seq": 9, "key": "k", "at": 1.0}]})
    hub.overrides["GET", "/v1/audit/verify"] = lambda: (200, {"ok": False, "problems": ["the tail was cut"]})
    assert [entry["seq"] for entry in json.loads(bare("audit", "list", "--hub", hub.url, "--json").stdout)] == [9]
    assert bare("audit", "verify", "--hub", hub.url).exit_code == 8


def test_a_damaged_file_is_told_in_one_line(bare: Run, data_dir: Path) -> None:
    with sqlite3.connect(data_dir / "audit.db") as connection:
        connection.execute("PRAGMA journal_mode=DELETE")
    (data_dir / "audit.db").write_bytes(b"not a database" * 100)
    done = bare("audit", "list")
    assert done.exit_code == 1
    assert len(done.stderr.splitlines()) == 1


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """The data directory of another hub, with a record of its own."""

    async def fill() -> None:
        store = await SqliteStore.open(tmp_path / "elsewhere", clock=lambda: 1.0)
        for number in range(5):
            await store.log.append(f"other/{number}", b"{}", at=1.0)
        await store.close()

    asyncio.run(fill())
    return tmp_path / "elsewhere"


@pytest.mark.parametrize("wanted", [("2",), ("--since", "2")], ids=["entry", "past"])
def test_a_proof_signed_with_another_key_than_the_one_trusted_convinces_nobody(
    bare: Run, tmp_path: Path, elsewhere: Path, wanted: tuple[str, ...]
) -> None:
    proof = tmp_path / "proof.json"
    proof.write_text(bare("audit", "prove", *wanted).stdout)
    trusted = bare("audit", "prove", "--check", str(proof), "--public-key", str(elsewhere / "audit.pub"))
    assert (trusted.exit_code, trusted.stdout) == (8, "")
    assert trusted.stderr.startswith("opsconsole: not proven: no valid signature by ")
    believed = bare("audit", "prove", "--check", str(proof))
    assert believed.exit_code == 0
    assert believed.stdout.endswith(" (by the proof's own key: give --public-key to trust it)\n")


def test_a_proof_of_another_past_convinces_nobody(bare: Run, tmp_path: Path) -> None:
    proof = tmp_path / "proof.json"
    document = json.loads(bare("audit", "prove", "--since", "2").stdout)
    proof.write_text(json.dumps(document | {"old_root": base64.b64encode(bytes(32)).decode()}))
    done = bare("audit", "prove", "--check", str(proof))
    assert (done.exit_code, done.stdout) == (8, "")


@pytest.mark.parametrize("by_setting", [True, False])
def test_a_record_rolled_back_whole_fails_with_the_checkpoint_kept_elsewhere(
    bare: Run, data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by_setting: bool
) -> None:
    copy = tmp_path / "copy.checkpoint"
    copy.write_text(load_signer(data_dir).sign(4, bytes(32)))
    if by_setting:
        monkeypatch.setenv("OPSCONSOLE_CHECKPOINT_COPY", str(copy))
    done = bare("audit", "verify", *(() if by_setting else ("--checkpoint-copy", str(copy))))
    assert done.exit_code == 8
    assert f"the log ends at entry 3, {copy} proves 4: the tail was cut" in done.stdout


@pytest.mark.parametrize("option", ["--public-key", "--checkpoint-copy"])
def test_what_a_hub_cannot_compare_with_its_files_is_never_said_to_be_verified(
    bare: Run, hub: FakeHub, elsewhere: Path, option: str
) -> None:
    hub.overrides["GET", "/v1/audit/verify"] = lambda: (200, {"ok": True, "problems": [], "entries": 3, "first": 1})
    done = bare("audit", "verify", "--hub", hub.url, option, str(elsewhere / "audit.pub"))
    assert (done.exit_code == 0, "verified" in done.stdout, "run this on the hub's machine" in done.stderr) == (
        False,
        False,
        True,
    )


@pytest.mark.parametrize("report", [{}, {"ok": "yes"}, {"ok": 1, "problems": []}], ids=["empty", "word", "number"])
def test_a_report_that_does_not_say_that_all_is_well_verifies_nothing(
    bare: Run, hub: FakeHub, report: dict[str, Any]
) -> None:
    hub.overrides["GET", "/v1/audit/verify"] = lambda: (200, report)
    assert bare("audit", "verify", "--hub", hub.url).exit_code == 8
    assert bare("audit", "verify", "--hub", hub.url, "--json").exit_code == 8


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_an_export_of_a_hub_holds_every_entry_of_every_page(bare: Run, hub: FakeHub, form: str) -> None:
    def page() -> tuple[int, dict[str, Any]]:
        after = int(hub.asked[-1][2]["after"])
        found = [{"seq": seq, "key": "k", "at": 1.0, "n": seq} for seq in range(after + 1, min(after + 2, 5) + 1)]
        return 200, {"head": 5, "entries": found, "looked_to": found[-1]["seq"] if found else after}

    hub.overrides["GET", "/v1/audit"] = page
    text = bare("audit", "export", "--hub", hub.url, "--format", form).stdout
    told = (
        [json.loads(line)["body"] for line in text.splitlines()]
        if form == "jsonl"
        else [json.loads(row["body"]) for row in csv.DictReader(io.StringIO(text))]
    )
    assert told == [{"n": seq} for seq in range(1, 6)]
