"""How much one agent, or one refused console, may make the desk hold, look at and record."""

from __future__ import annotations

from typing import Any

import pytest

from opsconsole.domain.digest import call_digest
from opsconsole.hub.desk import questions, world
from opsconsole.hub.desk.settings import OPEN_CALLS_MAX
from opsconsole.policy.default import DefaultPolicy
from opsconsole.policy.interface import Limits
from tests.hub.desk.office import BEN, EYE, Agent, Office, Storage


def proposal(number: int) -> dict[str, Any]:
    """A gated call that a person is asked about."""
    args = {"q": number}
    proposed = {"type": "tool", "id": f"c{number}", "status": "proposed", "gate": True, "name": "sql", "args": args}
    return proposed | {"digest": call_digest("sql", args)}


def flood(agent: Agent, count: int) -> None:
    """Many calls at once."""
    for first in range(0, count, 100):
        agent.say(*(proposal(number) for number in range(first, min(first + 100, count))))


def kept_calls(office: Office) -> int:
    """How many calls of the run the desk's record holds."""
    office.save_records()
    body = office.saved["run", "run_1"].body
    assert body is not None
    return body.count(b'"call_digest"')


def test_calls_that_wait_beyond_what_a_person_could_answer_are_refused() -> None:
    office = Office()
    agent = office.agent()
    flood(agent, OPEN_CALLS_MAX + 2)
    assert office.row().pending_approvals == OPEN_CALLS_MAX
    assert [verdict.rule for verdict in agent.told("verdict")] == ["gate:flood"] * 2


def test_a_call_may_wait_again_when_another_has_its_answer() -> None:
    office = Office()
    agent = office.agent()
    flood(agent, OPEN_CALLS_MAX)
    office.operator().decide("reject", "c0")
    agent.propose("last")
    assert office.approval("last").status == "pending"


def test_calls_that_never_end_are_not_all_kept() -> None:
    office = Office()
    agent = office.agent()
    for number in range(2_000):
        agent.tool(f"c{number}", "running", name="t")
    assert kept_calls(office) <= 3 * OPEN_CALLS_MAX


def test_calls_that_never_end_do_not_keep_others_from_being_asked_about() -> None:
    office = Office()
    agent = office.agent()
    for number in range(OPEN_CALLS_MAX + 10):
        agent.propose(f"r{number}", "read_file", {"path": "a"})
    agent.propose("last")
    assert (office.approval("last").status, len(agent.verdicts(f"r{OPEN_CALLS_MAX + 9}"))) == ("pending", 1)


def test_the_oldest_settled_questions_leave_the_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(questions, "ENDED_APPROVALS_KEPT_MAX", 2)
    office = Office()
    agent = office.agent()
    flood(agent, 5)
    office.save_records()
    for number in (0, 1):
        office.operator().decide("reject", f"c{number}")
    office.restart()
    agent.connect()
    for number in (2, 3):
        office.operator().decide("reject", f"c{number}")
    left = [office.desk.approval_row(key).call for key in office.desk.approval_ids()]
    assert sorted(left) == ["c2", "c3", "c4"]


def test_a_full_disk_and_a_flood_do_not_keep_a_kill_from_the_audit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(world, "UNRECORDED_MAX", 3)
    office = Office()
    agent = office.agent()
    office.storage.problem = "disk full"
    for number in range(10):
        agent.propose(f"c{number}", "sql", {"q": number})
    assert office.operator().ask("kill", run="run_1").status == "unrecorded"
    office.storage.problem = ""
    office.pass_time(5)
    assert [fact["command"] for fact in office.storage.facts("kill")] == ["cmd_ana1"]


def test_what_a_full_disk_refuses_is_offered_to_it_once_a_second_however_much_there_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    office = Office()
    agent = office.agent()
    office.storage.problem = "disk full"
    for number in range(5):
        agent.propose(f"c{number}", "sql", {"q": number})
        office.pass_time(0.1)
    offered: list[float] = []
    monkeypatch.setattr(Storage, "take", lambda _storage, _item, at: (0, offered.append(at) or "disk full"))
    office.pass_time(100)
    assert len(offered) <= 5 * 100


def test_entries_that_no_storage_took_are_counted_in_the_audit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(world, "UNRECORDED_MAX", 3)
    office = Office()
    agent = office.agent()
    office.storage.problem = "disk full"
    for number in range(10):
        agent.propose(f"c{number}", "sql", {"q": number})
    office.storage.problem = ""
    office.pass_time(5)
    (gap,) = office.storage.facts("audit.gap")
    assert (gap["dropped"], len(office.storage.facts("call.verdict"))) == (7, 3)
    assert gap["first_at"] < gap["last_at"]


def test_lines_of_the_hub_that_no_storage_took_are_counted_on_their_timelines_and_in_the_audit() -> None:
    office = Office()
    office.agent("run_1")
    office.agent("run_2")
    office.step(lambda now: office.desk.missing({"run_1": 3, "run_gone": 1, "": 2}, now))
    (note,) = office.storage.events("run_1", "hub")
    assert (note["kind"], note["data"], office.storage.events("run_2", "hub")) == ("gap", {"lines": 3}, [])
    assert [one["dropped"] for one in office.storage.facts("events.gap")] == [6]


def test_a_refused_command_given_again_has_the_same_answer() -> None:
    office = Office()
    office.agent()
    operator = office.operator()
    refused = operator.ask("resume", cmd="cmd_x", run="run_1")
    operator.ask("pause", run="run_1")
    again = operator.ask("resume", cmd="cmd_x", run="run_1")
    assert again == refused.model_copy(update={"replayed": True})
    assert operator.ask("resume", cmd="cmd_x", run="run_1", note="please").code == "idempotency_conflict"


def test_equal_refusals_of_a_minute_are_one_entry_and_a_number() -> None:
    office = Office()
    for _ in range(5):
        office.operator(EYE).ask("kill", all=True)
    assert office.storage.kinds() == ["command.refused"]
    office.pass_time(61)
    assert [fact.get("more") for fact in office.storage.facts("command.refused")] == [None, 4]


def test_a_refusal_of_another_person_or_for_another_reason_is_an_entry_of_its_own() -> None:
    office = Office()
    office.operator(EYE).ask("kill", all=True)
    office.operator(BEN).ask("kill", run="run_9")
    office.operator(BEN).ask("decide", approval="apr_9", answer="approve", digest="d")
    office.pass_time(61)
    office.operator(EYE).ask("kill", all=True)
    codes = [fact["code"] for fact in office.storage.facts("command.refused") if "code" in fact]
    assert codes == ["forbidden", "not_found", "forbidden"]


def test_a_precondition_must_still_hold_when_the_command_is_on_record() -> None:
    office = Office()
    agent, operator = office.agent(), office.operator()
    office.hold()
    operator.ask("inject", run="run_1", text="do X", **{"if": {"epoch": 0}})
    office.operator(BEN).ask("takeover", run="run_1")
    office.release()
    assert (operator.answer_to(1).code, agent.told("inject")) == ("precondition_failed", [])


def test_parents_that_do_not_exist_are_not_collected() -> None:
    office = Office()
    agent = office.agent()
    for number in range(50):
        agent.say({"type": "run", "agent": "worker", "parent": f"p{number}"})
    assert office.row().parent == "p0"
    assert len(office.agent("p0").office.desk.run_ids()) == 2
    assert (office.row("p0").children, office.agent("p1") and office.row("p1").children) == (1, 0)


def test_turns_of_the_model_count_though_nobody_reports_what_they_used() -> None:
    office = Office(policy=DefaultPolicy(run_limits=Limits(turns=3)))
    agent = office.agent()
    for number in range(5):
        agent.turn(f"m{number}")
    assert (office.row().turns, office.row().state) == (3, "paused")
    assert [agent.verdicts(f"m{number}") for number in range(5)] == [["allow"]] * 3 + [[]] * 2


def test_a_turn_that_was_held_counts_when_it_runs() -> None:
    office = Office()
    agent, operator = office.agent(), office.operator()
    operator.ask("pause", run="run_1")
    agent.turn("m1")
    assert office.row().turns == 0
    operator.ask("resume", run="run_1")
    agent.tool("m1", "running")
    agent.tool("m1", "completed")
    assert office.row().turns == 1


def test_turns_without_usage_still_count_after_a_restart() -> None:
    office = Office(policy=DefaultPolicy(run_limits=Limits(turns=3)))
    agent = office.agent()
    agent.turn("m1")
    agent.turn("m2")
    office.restart()
    assert office.row().turns == 2


def test_an_act_is_offered_to_a_full_disk_until_it_is_taken_and_no_flood_pushes_it_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(world, "UNRECORDED_MAX", 3)
    office = Office()
    agent = office.agent()
    office.storage.problem = "disk full"
    for number in range(10):
        agent.propose(f"c{number}", "sql", {"q": number})
    assert office.operator().ask("kill", run="run_1").status == "unrecorded"
    office.pass_time(30)
    for number in range(10, 20):
        agent.propose(f"c{number}", "sql", {"q": number})
    office.pass_time(30)
    office.storage.problem = ""
    office.pass_time(5)
    assert [fact["command"] for fact in office.storage.facts("kill")] == ["cmd_ana1"]


@pytest.mark.parametrize("is_saved", [True, False])
def test_what_became_of_a_call_is_on_record_once_however_often_the_hub_starts(is_saved: bool) -> None:
    office = Office()
    agent = office.agent()
    agent.propose("c1")
    office.operator().decide("approve")
    agent.tool("c1", "completed", result="done")
    for _ in range(2):
        if is_saved:
            office.save_records()
        office.restart()
        agent.connect()
    assert [fact["status"] for fact in office.storage.facts("call.outcome")] == ["completed"]
