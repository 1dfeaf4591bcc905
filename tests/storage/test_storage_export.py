"""Exports: exact for machines, readable and harmless for people."""

import csv
import io
import json
from pathlib import Path

from opsconsole_storage import Entry
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
