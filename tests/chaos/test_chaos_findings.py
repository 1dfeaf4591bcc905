"""The comparison itself: each kind of loss and repetition is found where it is planted, and nothing where none is."""

from __future__ import annotations

import json
from typing import Any

from opsconsole.domain.digest import call_digest
from opsconsole_storage import Batch, StoredBatch
from tests.chaos.findings import Findings, check_decisions, check_events, check_executions

ARGS = {"command": "ls"}


def journalled(*seqs: int) -> list[dict[str, Any]]:
    return [{"run": "r", "gen": "sdk/g", "seq": seq, "body": json.dumps(event(seq))} for seq in seqs]


def event(seq: int) -> dict[str, Any]:
    return {"seq": seq, "text": f"event {seq}"}


def stored(*events: dict[str, Any]) -> list[StoredBatch]:
    return [
        StoredBatch(
            position=position,
            batch=Batch(run="r", gen="sdk/g", first_seq=one["seq"], count=1, at=0.0, body=json.dumps([one]).encode()),
        )
        for position, one in enumerate(events, 1)
    ]


def events_found(batches: list[StoredBatch], lines: list[dict[str, Any]]) -> list[str]:
    findings = Findings()
    check_events(findings, batches, lines)
    return [problem.split(":")[0] for problem in findings.problems]


def requested(**more: Any) -> dict[str, Any]:
    made = {"kind": "approval.requested", "approval": "a", "run": "r", "call": "c"}
    return made | {"call_digest": call_digest("shell", ARGS)} | more


def decided(**more: Any) -> dict[str, Any]:
    digest = call_digest("shell", ARGS)
    made = {"kind": "approval.decided", "approval": "a", "command": "cmd_1", "answer": "approve", "tool": "shell"}
    return made | {"run": "r", "call": "c", "call_digest": digest} | more


def decisions_found(audit: list[dict[str, Any]], acknowledged: list[tuple[str, str]]) -> list[str]:
    findings = Findings()
    check_decisions(findings, audit, acknowledged, {"cmd_1", "cmd_2"})
    return [problem.split(":")[0] for problem in findings.problems]


def executions_found(executed: list[dict[str, Any]], audit: list[dict[str, Any]]) -> list[str]:
    findings = Findings()
    check_executions(findings, executed, audit)
    return [problem.split(":")[0] for problem in findings.problems]


def executed(**args: str) -> dict[str, Any]:
    return {"run": "r", "call": "c", "tool": "shell", "args": args or ARGS}


def test_a_log_that_equals_the_journals_has_no_findings() -> None:
    assert events_found(stored(event(1), event(2)), journalled(1, 2)) == []


def test_a_lost_event_is_found() -> None:
    assert events_found(stored(event(1)), journalled(1, 2)) == [
        "1 events of ('r', 'sdk/g') lost",
        "1 holes in ('r', 'sdk/g')",
    ]


def test_an_event_stored_twice_is_found() -> None:
    assert events_found(stored(event(1), event(1)), journalled(1)) == ["1 events stored twice"]


def test_an_invented_event_is_found() -> None:
    assert events_found(stored(event(1), event(2)), journalled(1)) == ["1 events of ('r', 'sdk/g') invented"]


def test_a_changed_event_is_found() -> None:
    assert events_found(stored({"seq": 1, "text": "else"}), journalled(1)) == ["1 events of ('r', 'sdk/g') changed"]


def test_a_number_given_again_after_a_kill_counts_by_its_last_event() -> None:
    undone = [{**journalled(1)[0], "body": json.dumps({"seq": 1, "text": "undone"})}]
    assert events_found(stored(event(1)), undone + journalled(1)) == []


def test_decisions_made_once_and_told_have_no_findings() -> None:
    assert decisions_found([requested(), decided()], [("cmd_1", "a")]) == []


def test_an_approval_decided_twice_is_found() -> None:
    audit = [requested(), decided(), decided(command="cmd_2")]
    assert decisions_found(audit, [("cmd_1", "a")]) == ["1 approvals decided twice"]


def test_a_decision_that_was_told_and_is_not_on_record_is_found() -> None:
    assert decisions_found([requested()], [("cmd_1", "a")]) == ["1 decisions acknowledged and not on record"]


def test_a_call_asked_about_twice_is_found() -> None:
    assert decisions_found([requested(), requested(approval="b")], []) == ["1 calls asked about twice"]


def test_an_allowed_execution_has_no_findings() -> None:
    assert executions_found([executed()], [decided()]) == []


def test_a_call_executed_twice_is_found() -> None:
    assert executions_found([executed(), executed()], [decided()]) == ["1 calls executed twice"]


def test_an_execution_with_other_arguments_than_allowed_is_found() -> None:
    found = executions_found([executed(command="rm")], [decided()])
    assert found == ["1 executions without an allow on record"]


def test_an_execution_with_edited_arguments_is_judged_by_these() -> None:
    edit = decided(answer="edit", edited_args={"command": "rm"})
    assert executions_found([executed(command="rm")], [edit]) == []
    assert executions_found([executed()], [edit]) == ["1 executions without an allow on record"]


def test_an_execution_of_a_rejected_call_is_found() -> None:
    assert executions_found([executed()], [decided(answer="reject")]) == ["1 executions without an allow on record"]
