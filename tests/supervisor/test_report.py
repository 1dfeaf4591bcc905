"""What a supervisor tells of its run is told in words that the hub takes."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from opsconsole.domain.run import RunState
from opsconsole.protocol.events import RunEvent, parse_agent_events
from opsconsole.sdk.journal import Journal, journal_path
from opsconsole.supervisor.report import POINT, Description, Report


def report_of(folder: Path) -> Report:
    """Of a run whose hub is not there."""
    return Report(
        "run_1",
        key="k",
        folder=folder,
        url="http://127.0.0.1:9",
        token=lambda: None,
        on_order=lambda _order: None,
        on_trouble=lambda _why: None,
    )


def key_in(folder: Path) -> str | None:
    """What whoever may read the journal finds there."""
    with closing(sqlite3.connect(journal_path(folder, "run_1", POINT))) as database:
        row = database.execute("SELECT value FROM meta WHERE name = 'key'").fetchone()
    return row[0] if row else None


@pytest.mark.parametrize(("survivors", "kept"), [(0, "k"), (1, None)])
def test_the_key_is_written_down_only_when_nothing_lives_that_could_read_it(
    tmp_path: Path, survivors: int, kept: str | None
) -> None:
    report = report_of(tmp_path)
    report.begin(Description(run="run_1", agent="a"))
    keys = [key_in(tmp_path)]
    report.end(RunState.COMPLETED, reason="", exit={"code": 0, "survivors": survivors})
    keys.append(key_in(tmp_path))
    report.close()
    assert keys == [None, kept]


def test_labels_too_long_for_the_wire_do_not_hide_the_run(tmp_path: Path) -> None:
    report = report_of(tmp_path)
    report.begin(Description(run="run_1", agent="a", labels={"n" * 1_000: "v" * 10_000}))
    report.close()
    journal = Journal(tmp_path, "run_1", point=POINT)
    (event,) = parse_agent_events([json.loads(body) for _, body in journal.read(1, 1)])
    journal.close()
    assert isinstance(event, RunEvent)
