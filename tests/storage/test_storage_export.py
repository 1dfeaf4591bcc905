"""Exports: exact for machines, readable and harmless for people."""

import csv
import io
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from opsconsole_storage import Entry, NewerSchema
from opsconsole_storage.audit_reader import open_snapshot
from opsconsole_storage.export import write_csv, write_json_lines
from opsconsole_storage.sqlite_store import SqliteStore
from opsconsole_storage.verify import read_entries
from tests.storage.conftest import NOON

ENTRIES = [
    Entry(seq=1, key="approval/1", at=NOON, body=b'{"decision": "approve"}'),
    Entry(seq=2, key="=cmd|calc", at=NOON + 0.125, body=b"\xff\x00\n"),
]


def test_json_lines_hold_one_entry_each() -> None:
    target = io.StringIO()
    assert write_json_lines(ENTRIES, target) == 2
    assert [json.loads(line) for line in target.getvalue().splitlines()] == [
        {
            "seq": 1,
            "key": "approval/1",
            "at": NOON,
            "body": {"decision": "approve"},
            "body_base64": "eyJkZWNpc2lvbiI6ICJhcHByb3ZlIn0=",
        },
        {"seq": 2, "key": "=cmd|calc", "at": NOON + 0.125, "body_base64": "/wAK"},
    ]


def test_a_number_that_json_can_not_hold_is_left_to_the_exact_body() -> None:
    target = io.StringIO()
    write_json_lines([Entry(seq=1, key="k", at=1.0, body=b"[1e999, NaN]")], target)
    assert json.loads(target.getvalue()) == {"seq": 1, "key": "k", "at": 1.0, "body_base64": "WzFlOTk5LCBOYU5d"}


def test_csv_runs_no_formula() -> None:
    target = io.StringIO(newline="")
    assert write_csv(ENTRIES, target) == 2
    rows = list(csv.reader(io.StringIO(target.getvalue(), newline="")))
    assert rows == [
        ["seq", "at", "key", "body", "body_base64"],
        ["1", "1800000000.0", "approval/1", '{"decision": "approve"}', "eyJkZWNpc2lvbiI6ICJhcHByb3ZlIn0="],
        ["2", "1800000000.125", "'=cmd|calc", "\ufffd\0\n", "/wAK"],
    ]


async def test_a_running_log_is_exported_as_it_is(store: SqliteStore, directory: Path) -> None:
    for entry in ENTRIES:
        await store.log.append(entry.key, entry.body, at=entry.at)
    assert list(read_entries(directory)) == ENTRIES
    assert list(read_entries(directory, key_prefix="approval/")) == ENTRIES[:1]


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_no_key_and_no_body_is_run_as_a_formula(start: str) -> None:
    target = io.StringIO(newline="")
    write_csv([Entry(seq=1, key=f"{start}1+1", at=1.0, body=f"{start}cmd|calc".encode())], target)
    (row,) = csv.DictReader(io.StringIO(target.getvalue(), newline=""))
    assert (row["key"], row["body"]) == (f"'{start}1+1", f"'{start}cmd|calc")


def test_a_body_too_deep_for_json_is_left_to_the_exact_body() -> None:
    target = io.StringIO()
    assert write_json_lines([Entry(seq=1, key="k", at=1.0, body=b"[" * 100_000)], target) == 1
    assert json.loads(target.getvalue()).keys() == {"seq", "key", "at", "body_base64"}


async def test_what_is_read_is_one_moment_of_the_log_however_long_it_takes(store: SqliteStore, directory: Path) -> None:
    for entry in ENTRIES:
        await store.log.append(entry.key, entry.body, at=entry.at)
    with open_snapshot(directory) as reader:
        note = reader.note()
        await store.log.append("later", b"", at=NOON)
        assert (reader.head, reader.note(), list(reader.entries())) == (2, note, ENTRIES)


async def test_a_log_of_a_newer_version_is_not_read(store: SqliteStore, directory: Path) -> None:
    await store.close()
    with closing(sqlite3.connect(directory / "audit.db")) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(NewerSchema):
        list(read_entries(directory))
