"""What a supervisor tells of its run is told in words that the hub takes."""

from __future__ import annotations

import json
from pathlib import Path

from opsconsole.protocol.events import RunEvent, parse_agent_events
from opsconsole.sdk.journal import Journal
from opsconsole.supervisor.report import POINT, Description, Report


def test_labels_too_long_for_the_wire_do_not_hide_the_run(tmp_path: Path) -> None:
    report = Report(
        "run_1",
        key="k",
        folder=tmp_path,
        url="http://127.0.0.1:9",
        token=lambda: None,
        on_order=lambda _order: None,
        on_trouble=lambda _why: None,
    )
    report.begin(Description(run="run_1", agent="a", labels={"n" * 1_000: "v" * 10_000}))
    report.close()
    journal = Journal(tmp_path, "run_1", point=POINT)
    (event,) = parse_agent_events([json.loads(body) for _, body in journal.read(1, 1)])
    journal.close()
    assert isinstance(event, RunEvent)
