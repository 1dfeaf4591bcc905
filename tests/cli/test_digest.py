"""`digest` and `notes` on the files of a data directory: the shift in one line, without any hub."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

import pytest

from opsconsole_storage.sqlite_store import SqliteStore
from tests.cli.conftest import Run
from tests.cli.fake_hub import FakeHub, approval_row, run_row

ANA = {"principal": "ana", "role": "operator"}
BODIES = [
    (900.0, {"kind": "kill", "who": ANA, "runs": ["run_0"]}),
    (901.0, {"kind": "kill.outcome", "run": "run_0", "status": "dead"}),
    (1_000.0, {"kind": "approval.requested", "approval": "apr_1", "run": "run_A", "tool": "sql"}),
    (
        1_010.0,
        {
            "kind": "approval.decided",
            "who": ANA,
            "approval": "apr_1",
            "answer": "approve",
            "seconds_to_decide": 1.0,
            "args": {"sql": "x" * 900},
        },
    ),
    (1_020.0, {"kind": "kill", "who": ANA, "runs": ["run_A"]}),
    (1_021.0, {"kind": "kill.outcome", "run": "run_A", "status": "dead"}),
    (1_030.0, {"kind": "run.ended", "run": "run_A", "state": "killed", "cost_usd": 41.2}),
    (1_040.0, {"kind": "run.annotate", "who": ANA, "run": "run_A", "text": "came back twice"}),
]


@pytest.fixture(autouse=True)
def record(data_dir: Path) -> None:
    async def fill() -> None:
        store = await SqliteStore.open(data_dir, clock=lambda: 1_000.0)
        for number, (at, body) in enumerate(BODIES):
            await store.log.append(f"key/{number}", json.dumps(body).encode(), at=at)
        await store.close()

    asyncio.run(fill())


def test_a_shift_is_summed_up_from_its_beginning(bare: Run) -> None:
    lines = bare("digest", "--since", "1970-01-01T00:16:30+00:00").stdout.splitlines()
    assert lines[0].endswith(": 1 kill, 1 approval, 0 of those asked since left, $41 by runs that ended")
    assert lines[-2].strip() == (
        "ana: 1 decision, yes 100%, median 1 s for 911 characters, 1 HASTY (yes faster than it can be read)"
    )
    assert lines[-1].endswith("ana on run_A: came back twice")


def test_a_digest_as_json_has_the_same_numbers(bare: Run) -> None:
    found = json.loads(bare("digest", "--since", "1970-01-01T00:00:01+00:00", "--json").stdout)
    assert (found["kills"], found["approvals"], found["left"], found["complete"]) == (2, 1, 0, True)


def test_the_files_alone_do_not_say_who_is_here(bare: Run) -> None:
    done = bare("digest")
    assert done.stderr == "opsconsole: who is here now is not known: its hub does not run\n"
    assert json.loads(bare("digest", "--json").stdout)["now"] is None


def test_another_hub_is_not_asked_about_this_record(cli: Run, hub: FakeHub, data_dir: Path) -> None:
    (data_dir / "hub.json").write_text(json.dumps({"url": "http://127.0.0.1:1", "pid": os.getpid()}))
    assert f"{hub.url} is not the hub of" in cli("digest").stderr
    assert hub.asked == []


def test_a_digest_says_who_holds_who_looks_and_who_is_here(cli: Run, hub: FakeHub, data_dir: Path) -> None:
    (data_dir / "hub.json").write_text(json.dumps({"url": hub.url, "pid": os.getpid()}))
    baton = {"by": "ben", "since": 1.0, "until": 2.0, "epoch": 1}
    hub.runs = {"run_A": run_row("run_A", baton=baton)}
    hub.approvals = {"apr_1": approval_row("apr_1", claimed_by="operator")}
    hub.present = [{"by": "cy", "run": "run_A", "since": 1.0}]
    now = [line.strip() for line in cli("digest").stdout.splitlines() if "now:" in line]
    assert now == [
        "now: ben holds researcher A",
        "now: you look at sql of researcher A",
        "now: cy has researcher A open",
    ]
    claim = {"approval": "apr_1", "run": "run_A", "agent": "researcher", "tool": "sql", "claimed_by": "operator"}
    assert json.loads(cli("digest", "--json").stdout)["now"] == {
        "left": 1,
        "cost_usd": run_row("run_A")["cost_usd"],
        "cost_known": True,
        "takeovers": [{"run": "run_A", "agent": "researcher", "baton": baton}],
        "claims": [claim],
        "present": hub.present,
    }


def test_what_a_digest_cannot_read_of_now_is_counted(cli: Run, hub: FakeHub, data_dir: Path) -> None:
    (data_dir / "hub.json").write_text(json.dumps({"url": hub.url, "pid": os.getpid()}))
    hub.runs, hub.approvals = {"run_A": {"run": "run_A"}}, {"apr_1": approval_row("apr_1", claimed_by=7)}
    assert "  now: 2 rows cannot be read\n" in cli("digest").stdout


def test_a_digest_says_so_when_nobody_is_here(cli: Run, hub: FakeHub, data_dir: Path) -> None:
    (data_dir / "hub.json").write_text(json.dumps({"url": hub.url, "pid": os.getpid()}))
    assert "  now: nobody else is here, and nothing is claimed or taken over\n" in cli("digest").stdout


def test_a_time_that_is_none_is_a_usage_error_that_says_what_is(bare: Run) -> None:
    done = bare("digest", "--since", "soon")
    assert (done.exit_code, "8h or 30m ago" in done.stderr) == (2, True)


def test_notes_are_listed_with_who_left_them(bare: Run) -> None:
    assert [line.split()[-5:] for line in bare("notes").stdout.splitlines()[1:]] == [
        ["ana", "run_A", "came", "back", "twice"]
    ]


def test_a_run_without_notes_has_none(bare: Run) -> None:
    assert bare("notes", "run_B").stdout == ""


def test_a_time_before_all_times_sums_up_everything(bare: Run) -> None:
    found = json.loads(bare("digest", "--since", "99999999h", "--json").stdout)
    assert (found["since"], found["kills"]) == (0.0, 2)
