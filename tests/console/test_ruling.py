"""What a person ruled on a call, as the run's timeline tells it."""

from __future__ import annotations

from datetime import UTC
from typing import Any

import pytest

from opsconsole.console.sample import NOW, approval
from opsconsole.console.view.ingest import held_call
from opsconsole.console.view.queue import Queue
from opsconsole.console.view.ruling import in_full, in_short
from opsconsole.console.view.timeline_lines import step_detail
from opsconsole.protocol.frames import Delta, Snap
from tests.console.test_timeline import row as event
from tests.console.test_timeline import timeline


def row(**fields: Any) -> dict[str, Any]:
    return approval("apr_1", "run_1", "sre", "shell", {"command": "rm a"}, call="call_1", **fields)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "waits 41s"),
        ({"claimed_by": "ben"}, "waits 41s, ben looks"),
        ({"status": "approved", "decided_by": "ana"}, "approved by ana"),
        ({"status": "edited", "decided_by": "ana"}, "edited by ana"),
        ({"status": "rejected", "decided_by": "ana"}, "denied by ana"),
        ({"status": "responded", "decided_by": "ana"}, "answered by ana"),
        ({"status": "responded", "decided_by": "ana", "kind": "model_call"}, "answered by ana as the model"),
        ({"status": "expired"}, "expired"),
    ],
)
def test_a_ruling_in_short(fields: dict[str, Any], words: str) -> None:
    assert in_short(held_call(row(**fields)), now=NOW)[0] == words


def test_an_edit_is_shown_as_the_difference_that_it_made() -> None:
    held = held_call(row(status="edited", decided_by="ana", decided_at=NOW, edited_args={"command": "ls a"}, note="no"))
    lines = ["".join(part for part, _ in line) for line in in_full(held, now=NOW, width=60)]
    assert "ruling: edited by ana after 41s" in lines
    assert '-   "command": "rm a"' in lines
    assert '+   "command": "ls a"' in lines


def test_a_question_is_found_by_the_call_it_is_about_until_the_hub_drops_it() -> None:
    queue = Queue()
    queue.rows.snap(Snap(sub="a", epoch="e", part=0, end=True, rev=1, rows=[row()]))
    found = queue.of_call("run_1", "call_1")
    assert found is not None
    assert found.key == "apr_1"
    queue.rows.delta(Delta(sub="a", from_rev=1, rev=2, rows=[], gone=["apr_1"]))
    assert queue.of_call("run_1", "call_1") is None


def test_the_two_digests_of_a_held_call_are_told_apart_by_name() -> None:
    held = held_call(approval("apr_1", "run_1", "coder", "shell", {}))
    step = timeline(event(1, type="tool", id="c1", name="shell", status="held", digest="sha256:abc")).steps["tool:c1"]
    ruling = in_full(held, now=NOW, width=80)
    lines = ["".join(text for text, _ in line) for line in step_detail(step, width=80, zone=UTC, ruling=ruling)]
    assert "digest of the call: sha256:abc" in lines
    assert f"digest of the approval: {held.row.digest}" in lines
