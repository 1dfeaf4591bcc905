"""Decisions: one exact call, one decision, on record before anybody acts on it."""

from __future__ import annotations

from collections import deque
from typing import Any

import pytest

from opsconsole.domain.digest import call_digest
from opsconsole.hub.desk.effects import Store
from opsconsole.policy.default import DefaultPolicy
from opsconsole.policy.interface import Decision, Proposal, Verdict
from opsconsole.protocol.frames import Res
from tests.hub.desk.office import ANA, BEN, BOT, EYE, RUN, Agent, Office, Operator


class NoDrops(DefaultPolicy):
    """Asks about everything, but for calls that drop something."""

    def judge(self, proposal: Proposal) -> Verdict:
        if "DROP" in str(proposal.args):
            return Verdict(decision=Decision.DENY, rule="test:drop", reason="no drops")
        return super().judge(proposal)


def held(**office: Any) -> tuple[Office, Agent, Operator]:
    """An office with one held call, `c1`."""
    place = Office(**office)
    agent = place.agent()
    agent.propose("c1", "sql", {"query": "SELECT"})
    return place, agent, place.operator()


def test_a_question_is_shown_once_it_is_on_record() -> None:
    office = Office()
    agent = office.agent()
    office.hold()
    agent.propose()
    assert (office.approval(), office.desk.approval_ids()) == (None, [])
    office.release()
    assert office.approval().status == "pending"


def test_a_question_that_cannot_be_recorded_is_a_refusal() -> None:
    office = Office()
    agent = office.agent()
    office.storage.problem = "disk full"
    agent.propose()
    assert (agent.verdict().outcome, agent.verdict().rule) == ("deny", "gate:storage")
    assert office.row().pending_approvals == 0


def test_a_question_shows_what_is_asked_and_why() -> None:
    office = Office()
    agent = office.agent()
    agent.propose("c1", "sql", {"query": "DELETE"}, reason="cleaning up", risk="high")
    row = office.approval()
    assert (row.tool, row.args, row.agent_reason) == ("sql", {"query": "DELETE"}, "cleaning up")
    assert (row.risk, row.rule, row.call_digest) == ("high", "default:ask", call_digest("sql", {"query": "DELETE"}))
    assert row.expires_at == row.requested_at + 600


def test_a_decision_is_recorded_before_the_agent_hears_it() -> None:
    office, agent, operator = held()
    office.hold()
    assert operator.decide("approve") is None
    assert agent.verdicts() == []
    assert office.approval().status == "pending"
    office.release()
    assert (agent.verdicts(), operator.answers) == (["allow"], ["recorded"])
    assert office.approval().status == "approved"


def test_an_approval_allows_exactly_what_was_proposed() -> None:
    _, agent, operator = held()
    operator.decide("approve")
    verdict = agent.verdict()
    assert (verdict.outcome, verdict.by, verdict.args) == ("allow", "ana", None)
    assert verdict.digest == call_digest("sql", {"query": "SELECT"})


def test_a_decision_that_cannot_be_recorded_is_not_taken() -> None:
    office, agent, operator = held()
    office.storage.problem = "disk full"
    assert operator.decide("approve").code == "storage_failed"
    assert (agent.verdicts(), office.approval().status) == ([], "pending")
    office.storage.problem = ""
    assert operator.decide("approve").ok


def test_a_question_whose_decision_could_not_be_recorded_still_expires() -> None:
    office, agent, operator = held()
    office.hold()
    operator.decide("approve")
    office.pass_time(700)
    office.storage.problem = "disk full"
    office.release()
    office.pass_time(1)
    assert agent.verdicts() == ["deny"]


def test_a_rejection_does_not_wait_for_the_disk() -> None:
    office, agent, operator = held()
    office.hold()
    operator.decide("reject", note="not now")
    assert (agent.verdicts(), agent.verdict().text) == (["deny"], "not now")


def test_the_giver_of_a_rejection_hears_soon_even_from_a_slow_disk() -> None:
    office, _, operator = held()
    office.hold()
    assert operator.decide("reject") is None
    office.pass_time(1.5)
    assert operator.answers == ["unrecorded"]


def test_an_edit_is_over_the_edited_arguments() -> None:
    office, agent, operator = held()
    operator.decide("edit", args={"query": "SELECT 1"})
    verdict = agent.verdict()
    assert (verdict.outcome, verdict.args) == ("allow", {"query": "SELECT 1"})
    assert verdict.digest == call_digest("sql", {"query": "SELECT 1"})
    assert (office.approval().status, office.approval().edited_args) == ("edited", {"query": "SELECT 1"})


def test_an_edit_keeps_values_that_are_null() -> None:
    _, agent, operator = held()
    operator.decide("edit", args={"query": "SELECT", "limit": None})
    verdict = agent.verdict()
    assert verdict.args == {"query": "SELECT", "limit": None}
    assert verdict.digest == call_digest("sql", verdict.args)


def test_an_edit_into_what_policy_forbids_is_refused() -> None:
    _, agent, operator = held(policy=NoDrops())
    assert operator.decide("edit", args={"query": "DROP"}).code == "policy_denied"
    assert agent.verdicts() == []


def test_an_edit_that_still_holds_a_mask_is_refused() -> None:
    office = Office()
    office.agent().propose("c1", "sql", {"query": "x", "password": "hunter2hunter2"})
    args = office.approval().args | {"query": "y"}
    assert office.operator().decide("edit", args=args).code == "bad_request"


def test_the_real_value_of_an_edited_secret_reaches_only_the_agent() -> None:
    office, agent, operator = held()
    operator.decide("edit", args={"query": "x", "password": "hunter2hunter2"})
    assert agent.verdict().args["password"] == "hunter2hunter2"
    assert office.approval().edited_args["password"].startswith("[secret:")
    office.save_records()
    kept = b"".join(entry.body for entry in office.storage.entries) + b"".join(
        record.body or b"" for record in office.saved.values()
    )
    assert b"hunter2" not in kept


@pytest.mark.parametrize(
    "bad",
    [{"args": None}, {"args": {"query": "x" * 200_000}}, {"args": {"query": float("nan")}}],
    ids=["none", "too large", "nan"],
)
def test_a_bad_edit_is_refused(bad: dict[str, Any]) -> None:
    _, agent, operator = held()
    assert operator.decide("edit", **bad).code == "bad_request"
    assert agent.verdicts() == []


def test_a_response_stands_in_for_the_result() -> None:
    _, agent, operator = held()
    operator.decide("respond", text="42")
    assert (agent.verdict().outcome, agent.verdict().text) == ("answer", "42")


@pytest.mark.parametrize(
    ("about", "code"),
    [
        ({"digest": "sha256:0"}, "digest_mismatch"),
        ({"answer": "respond"}, "bad_request"),
        ({"answer": None}, "bad_request"),
        ({"answer": "respond", "text": "x", "calls": [{"id": "k", "name": "n", "args": {}}]}, "bad_request"),
        ({"approval": "apr_none"}, "not_found"),
    ],
)
def test_a_decision_that_does_not_fit_is_refused_and_on_record(about: dict[str, Any], code: str) -> None:
    office, agent, operator = held()
    assert operator.decide(**{"answer": "approve"} | about).code == code
    assert agent.verdicts() == []
    assert [fact["code"] for fact in office.storage.facts("command.refused")] == [code]


def test_of_two_operators_one_decides() -> None:
    office, agent, ana = held()
    ben = office.operator(BEN)
    office.hold()
    ana.decide("approve")
    late = ben.decide("reject")
    assert (late.code, late.message) == ("already_settled", "another decision is being recorded")
    office.release()
    assert agent.verdicts() == ["allow"]
    assert ben.decide("reject").current["by"] == "ana"


@pytest.mark.parametrize("who", [EYE, BOT])
def test_only_operators_decide(who: Any) -> None:
    office, agent, _ = held()
    assert office.operator(who).decide("approve").code == "forbidden"
    assert agent.verdicts() == []


def test_the_same_command_twice_is_one_decision_with_one_answer() -> None:
    office, agent, operator = held()
    first = operator.decide("approve", cmd="cmd_x")
    again = operator.decide("approve", cmd="cmd_x")
    assert (first.replayed, again.replayed, again.status) == (False, True, "recorded")
    assert len(office.storage.facts("approval.decided")) == 1
    assert agent.verdicts() == ["allow"]


def test_the_same_id_for_another_command_is_refused() -> None:
    _, _, operator = held()
    operator.decide("approve", cmd="cmd_x")
    assert operator.decide("reject", cmd="cmd_x").code == "idempotency_conflict"


def test_a_command_sent_again_while_it_is_being_recorded_is_answered_for_both() -> None:
    office, _, operator = held()
    office.hold()
    operator.decide("approve", cmd="cmd_x")
    operator.decide("approve", cmd="cmd_x")
    office.release()
    assert [operator.answer_to(number).status for number in (1, 2)] == ["recorded", "recorded"]


def test_an_expired_question_is_a_refusal_and_stays_one() -> None:
    """A denial becomes an allow at the timeout: not here."""
    office, agent, operator = held()
    approval = office.approval()
    office.pass_time(601)
    assert (agent.verdicts(), agent.verdict().rule) == (["deny"], "gate:expired")
    late = operator.ask("decide", approval=approval.approval, answer="approve", digest=approval.digest)
    assert late.code == "already_settled"
    assert (agent.verdicts(), office.approval().status) == (["deny"], "expired")


def test_a_rejected_question_does_not_expire_into_anything() -> None:
    office, agent, operator = held()
    operator.decide("reject")
    office.pass_time(5_000)
    assert (agent.verdicts(), office.approval().status) == (["deny"], "rejected")


def test_an_agent_that_gives_up_withdraws_its_question() -> None:
    office, agent, _ = held()
    agent.tool("c1", "denied", error="gave up")
    assert office.approval().status == "cancelled"


def test_the_agents_own_patience_shortens_the_time_to_answer() -> None:
    office = Office()
    agent = office.agent()
    agent.propose(ttl_seconds=5)
    office.pass_time(6)
    assert agent.verdicts() == ["deny"]


def test_the_clock_of_an_agent_decides_nothing() -> None:
    """Clocks an hour apart: only the hub's counts."""
    office = Office()
    agent = office.agent()
    agent.propose(ts=office.now - 3_600)
    agent.propose("c2", "sql", {"query": "x"}, ts=office.now + 3_600)
    assert office.approval("c1").requested_at == pytest.approx(office.now, abs=1)
    assert office.approval("c2").expires_at == pytest.approx(office.now + 600, abs=1)


def test_a_kill_while_a_decision_is_being_recorded_wins() -> None:
    office, agent, operator = held()
    office.hold()
    operator.decide("approve")
    office.operator(BEN).ask("kill", run=RUN)
    office.release()
    assert operator.answers == ["precondition_failed"]
    assert agent.verdicts() == ["deny"]
    assert (office.approval().status, office.approval().delivery) == ("cancelled", "void")


def test_a_decision_travels_from_recorded_over_delivered_to_applied() -> None:
    office, agent, operator = held()
    steps = [office.approval().delivery]
    operator.decide("approve")
    steps.append(office.approval().delivery)
    agent.acknowledge()
    steps.append(office.approval().delivery)
    agent.answer(agent.verdict().cmd)
    steps.append(office.approval().delivery)
    assert steps == ["none", "recorded", "delivered", "applied"]
    assert office.desk.command_report("cmd_ana1").to_json()["status"] == "applied"


@pytest.mark.parametrize("ok", [True, False])
def test_a_verdict_that_the_point_turned_down_is_void(ok: bool) -> None:
    office, agent, operator = held()
    operator.decide("approve")
    agent.answer(agent.verdict().cmd, "void", ok=ok)
    assert office.approval().delivery == "void"


def test_what_became_of_an_approved_call_is_on_its_row_and_on_record() -> None:
    office, agent, operator = held()
    operator.decide("approve")
    agent.tool("c1", "running")
    agent.tool("c1", "completed", result="3 rows", duration_ms=4.5)
    assert (office.approval().result, office.approval().delivery) == ("completed: 3 rows", "applied")
    assert [(fact["status"], fact["result"]) for fact in office.storage.facts("call.outcome")] == [
        ("completed", "3 rows")
    ]


def test_a_call_is_passed_on_to_somebody_by_name() -> None:
    office, _agent, ana = held()
    ana.ask("claim", approval=office.desk.approval_ids()[0], text="ben" + "x" * 99)
    claimed = office.approval().claimed_by
    assert (claimed[:3], len(claimed)) == ("ben", 64)


def test_a_claim_without_a_name_at_all_ends_ones_own_and_nobody_elses() -> None:
    office, _agent, ana = held()
    (approval,) = office.desk.approval_ids()
    for cmd, text in (("cmd_1", "ben"), ("cmd_2", "")):
        ana.ask("claim", cmd=cmd, approval=approval, text=text)
    assert office.approval().claimed_by == "ben"
    office.operator(BEN).ask("claim", cmd="cmd_3", approval=approval, text="")
    assert office.approval().claimed_by is None


def test_who_passed_a_call_on_is_known_until_the_other_takes_it() -> None:
    office, _agent, ana = held()
    (approval,) = office.desk.approval_ids()
    ana.ask("claim", cmd="cmd_1", approval=approval, text="ben")
    passed = office.approval()
    office.operator(BEN).ask("claim", cmd="cmd_2", approval=approval)
    taken = office.approval()
    assert [(row.claimed_by, row.passed_by) for row in (passed, taken)] == [("ben", "ana"), ("ben", None)]


def test_a_claim_shows_who_is_looking_and_binds_nobody() -> None:
    office, _, _ = held()
    approval = office.approval().approval
    office.operator(BEN).ask("claim", cmd="cmd_b", approval=approval)
    office.operator(BEN).ask("claim", cmd="cmd_b", approval=approval)
    assert office.approval().claimed_by == "ben"
    assert office.operator(ANA).decide("approve").ok


@pytest.mark.parametrize("about", [{"answer": "approve"}, {"answer": "edit", "args": {"query": "SELECT 1"}}])
def test_a_permit_given_while_the_run_is_paused_is_on_record_at_once_and_told_when_it_goes_on(
    about: dict[str, Any],
) -> None:
    office, agent, operator = held()
    operator.ask("pause", run=RUN)
    assert operator.decide(**about).ok
    assert (agent.verdicts(), office.approval().delivery, office.row().state) == ([], "recorded", "paused")
    operator.ask("resume", run=RUN)
    assert (agent.verdicts(), agent.verdict().by, office.row().pending_approvals) == (["allow"], "ana", 0)


def test_a_response_given_while_the_run_is_paused_waits_too() -> None:
    _, agent, operator = held()
    operator.ask("pause", run=RUN)
    operator.decide("respond", text="use the replica")
    assert agent.verdicts() == []
    operator.ask("resume", run=RUN)
    assert (agent.verdicts(), agent.verdict().text) == (["answer"], "use the replica")


def test_a_rejection_of_a_paused_run_is_told_at_once() -> None:
    _, agent, operator = held()
    operator.ask("pause", run=RUN)
    operator.decide("reject")
    assert agent.verdicts() == ["deny"]


def test_a_permit_whose_record_is_slower_than_a_pause_waits_for_the_resume() -> None:
    office, agent, operator = held()
    office.hold()
    operator.decide("approve")
    operator.ask("pause", run=RUN)
    office.release()
    assert agent.verdicts() == []


def test_an_acknowledgement_of_later_commands_does_not_take_a_kept_back_permit_along() -> None:
    office, agent, operator = held()
    operator.ask("pause", run=RUN)
    operator.decide("approve")
    operator.ask("inject", run=RUN, text="careful")
    agent.acknowledge()
    agent.propose("c1", "sql", {"query": "SELECT"})
    agent.drop()
    agent.connect()
    assert (agent.verdicts(), office.approval().delivery) == ([], "recorded")
    operator.ask("resume", run=RUN)
    assert agent.verdicts() == ["allow"]


@pytest.mark.parametrize("is_saved", [True, False])
def test_a_kept_back_permit_survives_a_restart_and_is_still_kept_back(is_saved: bool) -> None:
    office, agent, operator = held()
    operator.ask("pause", run=RUN)
    operator.decide("approve")
    if is_saved:
        office.save_records()
    office.restart()
    agent.connect()
    assert (agent.verdicts(), office.approval().status) == ([], "approved")
    operator.ask("resume", run=RUN)
    assert agent.verdicts() == ["allow"]


@pytest.mark.parametrize("is_saved", [True, False])
def test_a_restart_after_the_resume_tells_the_permit(is_saved: bool) -> None:
    office, agent, operator = held()
    operator.ask("pause", run=RUN)
    operator.decide("approve")
    if is_saved:
        office.save_records()
    agent.drop()
    operator.ask("resume", run=RUN)
    office.restart()
    agent.connect()
    assert agent.verdicts() == ["allow"]


def test_a_kill_makes_a_refusal_of_a_kept_back_permit() -> None:
    office, agent, operator = held()
    operator.ask("pause", run=RUN)
    operator.decide("approve")
    operator.ask("kill", run=RUN)
    assert (agent.verdicts(), office.approval().delivery) == (["deny"], "void")


def test_a_permit_for_a_call_that_was_given_up_meanwhile_is_not_told() -> None:
    office, agent, operator = held()
    operator.ask("pause", run=RUN)
    operator.decide("approve")
    agent.tool("c1", "denied")
    operator.ask("resume", run=RUN)
    assert (agent.verdicts(), office.approval().delivery) == ([], "void")


def test_a_call_that_runs_before_its_kept_back_permit_is_told_is_an_alarm() -> None:
    office, agent, operator = held()
    operator.ask("pause", run=RUN)
    operator.decide("approve")
    agent.tool("c1", "running")
    assert office.storage.kinds("call.unp") == ["call.unpermitted"]


@pytest.mark.parametrize("do", ["decide", "inject"])
def test_what_was_refused_because_the_disk_was_full_is_on_record_when_it_is_not(do: str) -> None:
    office, _, operator = held()
    office.storage.problem = "disk full"
    answer = operator.decide("approve") if do == "decide" else operator.ask("inject", run=RUN, text="hurry")
    assert (answer.code, office.storage.kinds("command")) == ("storage_failed", [])
    office.storage.problem = ""
    office.pass_time(5.0)
    (entry,) = office.storage.facts("command.refused")
    assert (entry["code"], entry["do"], entry["who"]["principal"]) == ("storage_failed", do, "ana")


@pytest.mark.parametrize("is_saved", [True, False])
def test_an_outcome_whose_entry_is_lost_in_a_crash_is_recorded_by_the_restart(is_saved: bool) -> None:
    office, agent, operator = held()
    operator.decide("approve")
    office.hold()
    agent.tool("c1", "completed", result="3 rows")
    if is_saved:
        office.save_records()
        office.marks = (office.marks[0], 0)
    office.storage.waiting = deque(one for one in office.storage.waiting if isinstance(one[0], Store))
    office.commit()
    office.restart()
    assert [fact["result"] for fact in office.storage.facts("call.outcome")] == ["3 rows"]
    assert office.approval().result == "completed: 3 rows"
    office.restart()
    assert len(office.storage.facts("call.outcome")) == 1


AMOUNT = {"type": "object", "properties": {"amount": {"type": "number"}}, "required": ["amount"]}


def edited(args: dict[str, Any], schema: dict[str, Any], proposed: dict[str, Any]) -> Res:
    """The answer to an edit of a call whose tool has that schema."""
    office = Office()
    office.agent().propose(tool="refund", args=proposed, input_schema=schema)
    answer = office.operator().decide("edit", args=args)
    assert answer is not None
    return answer


def test_an_edit_that_the_tools_own_schema_refuses_is_refused_with_the_place() -> None:
    answer = edited({"amount": "abc"}, AMOUNT, {"amount": 4})
    assert (answer.ok, answer.code) == (False, "bad_request")
    assert answer.message.startswith("the tool's schema refuses amount: ")


def test_an_edit_within_the_tools_schema_is_taken() -> None:
    assert edited({"amount": 3}, AMOUNT, {"amount": 4}).ok


@pytest.mark.parametrize("schema", [AMOUNT, {"type": "nonsense"}, {"$ref": "s.json"}])
def test_a_schema_that_refuses_the_proposal_too_or_cannot_be_read_stops_no_edit(schema: dict[str, Any]) -> None:
    assert edited({"amount": "12"}, schema, {"amount": "12", "note": "x"}).ok
