"""What a journal whose process is gone answers: a kill finds its work done, and nothing else is carried out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from opsconsole.domain.command import Do
from opsconsole.protocol.frames import PointCommand
from opsconsole.sdk.journal import Journal
from opsconsole.sdk.orphans import Orphan

RUN = "run_1"


def orphan(folder: Path, ended: str = "") -> Orphan:
    """The journal of a dead process, whose run had ended so, or had not."""
    journal = Journal(folder, RUN)
    journal.put("resumable", "1")
    if ended:
        journal.put("ended", ended)
    found = Orphan(journal, lambda urgent: None)
    found.lay_to_rest(over=False)
    return found


def hears(found: Orphan, do: Do) -> list[tuple[str, str]]:
    """An order comes with the hub's welcome; what is answered."""
    found.point.command(PointCommand(cmd="cmd_1", run=RUN, cseq=1, do=do, by="ann"))
    found.point.act()
    told = [json.loads(body) for body in found.point.due_answers()]
    return [(one["status"], one["proof"]) for one in told]


def states(found: Orphan) -> list[str]:
    events = [json.loads(body) for _, body in found.journal.read(1, 100)]
    return [event["state"] for event in events if event["type"] == "state"]


def test_a_kill_of_a_run_whose_process_is_gone_ends_it(tmp_path: Path) -> None:
    found = orphan(tmp_path)
    assert (hears(found, Do.KILL), states(found)) == ([("applied", "cooperative")], ["killed"])
    assert found.journal.get("ended") == "killed"
    found.journal.close()


def test_a_kill_of_a_run_that_had_ended_leaves_its_end_as_it_was(tmp_path: Path) -> None:
    found = orphan(tmp_path, "completed")
    assert (hears(found, Do.KILL), states(found)) == ([("applied", "cooperative")], [])
    assert found.journal.get("ended") == "completed"
    found.journal.close()


@pytest.mark.parametrize("do", [Do.PAUSE, Do.INJECT, Do.TAKEOVER])
def test_what_is_no_kill_waits_for_a_process_that_resumes_the_run(tmp_path: Path, do: Do) -> None:
    found = orphan(tmp_path)
    assert (hears(found, do), states(found)) == ([], [])
    assert [order.do for order in found.point.open_orders()] == [do]
    found.journal.close()
