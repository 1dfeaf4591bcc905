"""Pause, resume, inject, freeze, takeover and their like: what stops acts first, what lets go on is recorded first."""

from __future__ import annotations

from typing import Any

import pytest

from opsconsole.domain.command import NEEDS
from opsconsole.domain.digest import call_digest
from opsconsole.hub.desk.commands import ACTS
from opsconsole.hub.desk.settings import DeskSettings
from opsconsole.policy.default import DefaultPolicy
from opsconsole.policy.interface import Limits
from tests.hub.desk.office import ANA, BEN, EYE, RUN, Agent, Office

COMPOSED = {"id": "k1", "name": "sql", "args": {"query": "SELECT 1"}}


def taken_over() -> tuple[Office, Agent]:
    """A run that ana answers for, with a turn of the model that waits for her."""
    office = Office()
    agent = office.agent()
    office.operator().ask("takeover", run=RUN)
    agent.turn("m1")
    return office, agent


def test_every_command_that_an_operator_may_give_is_carried_out_somewhere() -> None:
    assert set(ACTS) == set(NEEDS)


def test_a_pause_is_told_before_it_is_recorded_and_a_resume_after() -> None:
    office = Office()
    agent, operator = office.agent(), office.operator()
    office.hold()
    operator.ask("pause", run=RUN)
    assert (len(agent.told("pause")), office.row().state) == (1, "pausing")
    office.commit()
    operator.ask("resume", run=RUN)
    assert (len(agent.told("resume")), office.row().state) == (0, "pausing")
    office.commit()
    assert (len(agent.told("resume")), office.row().state) == (1, "resuming")


def test_a_resume_that_cannot_be_recorded_does_not_happen() -> None:
    office = Office()
    agent, operator = office.agent(), office.operator()
    operator.ask("pause", run=RUN)
    office.storage.problem = "disk full"
    assert operator.ask("resume", run=RUN).code == "storage_failed"
    assert (agent.told("resume"), office.row().state) == ([], "pausing")


def test_a_run_cannot_work_its_way_out_of_a_pause() -> None:
    office = Office()
    agent = office.agent()
    office.operator().ask("pause", run=RUN)
    agent.state("working")
    assert office.row().state == "pausing"
    agent.state("paused")
    assert office.row().state == "paused"


def test_a_resumed_run_works_when_it_says_so() -> None:
    office = Office()
    agent, operator = office.agent(), office.operator()
    operator.ask("pause", run=RUN)
    operator.ask("resume", run=RUN)
    agent.state("working")
    assert office.row().state == "working"


@pytest.mark.parametrize(
    ("do", "about", "code"),
    [
        ("resume", {}, "precondition_failed"),
        ("inject", {}, "bad_request"),
        ("inject", {"text": "  "}, "bad_request"),
        ("annotate", {}, "bad_request"),
        ("freeze", {}, "no_point"),
        ("release", {}, "precondition_failed"),
        ("pause", {"run": "run_9"}, "not_found"),
        ("pause", {"if": {"state": ["paused"]}}, "precondition_failed"),
        ("pause", {"if": {"epoch": 7}}, "precondition_failed"),
        ("verdict", {}, "forbidden"),
    ],
)
def test_a_command_that_cannot_stand_is_refused(do: str, about: dict[str, Any], code: str) -> None:
    office = Office()
    office.agent()
    assert office.operator().ask(do, **{"run": RUN} | about).code == code


def test_an_observer_commands_nothing() -> None:
    office = Office()
    office.agent()
    for do in ("pause", "resume", "inject", "takeover", "release", "annotate", "freeze", "thaw"):
        assert office.operator(EYE).ask(do, run=RUN, text="x").code == "forbidden"


@pytest.mark.parametrize("do", ["pause", "inject", "takeover"])
def test_a_dead_run_takes_no_commands(do: str) -> None:
    office = Office()
    office.agent().state("completed")
    assert office.operator().ask(do, run=RUN, text="x").code == "precondition_failed"


def test_a_dead_run_can_be_annotated() -> None:
    office = Office()
    office.agent().state("completed")
    assert office.operator().ask("annotate", cmd="cmd_a", run=RUN, text="post mortem").ok
    assert office.desk.command_report("cmd_a").settled
    assert office.storage.facts("run.annotate")[0]["text"] == "post mortem"


def test_an_injected_message_reaches_the_agent_once_recorded() -> None:
    office = Office()
    agent = office.agent()
    office.hold()
    office.operator().ask("inject", run=RUN, text="look again")
    assert agent.told("inject") == []
    office.release()
    assert [one.text for one in agent.told("inject")] == ["look again"]


def test_an_injected_message_nobody_took_in_time_is_not_delivered_later() -> None:
    """A backlog is replayed as new after a stall: not here."""
    office = Office()
    agent = office.agent()
    agent.drop()
    office.operator().ask("inject", cmd="cmd_i", run=RUN, text="now!", ttl_seconds=60)
    office.pass_time(61)
    agent.connect()
    assert agent.told("inject") == []
    assert office.desk.command_report("cmd_i").status == "expired"


def test_a_freeze_goes_to_the_supervisor() -> None:
    office = Office()
    _, supervisor = office.supervised()
    operator = office.operator()
    operator.ask("freeze", run=office.run)
    operator.ask("thaw", run=office.run)
    assert [str(one.do) for one in supervisor.commands] == ["freeze", "thaw"]


def test_a_command_report_follows_the_points_answer() -> None:
    office = Office()
    agent = office.agent()
    office.operator().ask("pause", cmd="cmd_p", run=RUN)
    assert not office.desk.command_report("cmd_p").settled
    agent.answer("cmd_p")
    assert (office.desk.command_report("cmd_p").status, office.desk.command_report("cmd_p").settled) == (
        "applied",
        True,
    )


# -- limits ------------------------------------------------------------------------------------------------------------


def test_a_run_over_its_limit_is_resumed_only_with_a_higher_one() -> None:
    office = Office(policy=DefaultPolicy(run_limits=Limits(cost_usd=1.0)))
    agent, operator = office.agent(), office.operator()
    agent.usage(input_tokens=120_000)
    assert (office.row().state, "limit" in office.alerts()) == ("pausing", True)
    assert operator.ask("resume", run=RUN).code == "precondition_failed"
    assert operator.ask("resume", run=RUN, caps={"cost_usd": 5.0}).ok
    assert (office.row().state, office.row().caps.cost_usd, office.alerts()) == ("resuming", 5.0, [])


def test_a_limit_pauses_once() -> None:
    office = Office(policy=DefaultPolicy(run_limits=Limits(turns=2)))
    agent = office.agent()
    agent.usage(turns=2)
    agent.usage(turns=3)
    assert len(agent.told("pause")) == 1


def test_a_counter_that_runs_backwards_is_not_believed() -> None:
    office = Office()
    agent = office.agent()
    agent.usage(turns=5, input_tokens=100)
    agent.usage(turns=1, input_tokens=10)
    assert (office.row().turns, office.row().input_tokens) == (5, 100)


# -- takeover ----------------------------------------------------------------------------------------------------------


def test_under_a_takeover_the_operator_answers_as_the_model() -> None:
    office, agent = taken_over()
    approval = office.approval("m1")
    assert (approval.kind, approval.rule, approval.may_edit) == ("model_call", "takeover", False)
    assert office.operator().decide("respond", "m1", text="I will look").ok
    assert (agent.verdict("m1").outcome, agent.verdict("m1").text) == ("answer", "I will look")


def test_under_a_takeover_only_its_holder_answers() -> None:
    office, agent = taken_over()
    assert office.operator(BEN).decide("respond", "m1", text="me!").code == "forbidden"
    assert office.operator().decide("approve", "m1").code == "bad_request"
    assert agent.verdicts("m1") == []


def test_a_call_the_operator_composed_is_admitted_once() -> None:
    office, agent = taken_over()
    office.operator().decide("respond", "m1", text="", calls=[COMPOSED])
    assert agent.verdict("m1").calls[0].args == COMPOSED["args"]
    agent.propose("k1", "sql", COMPOSED["args"])
    agent.propose("k2", "sql", COMPOSED["args"])
    assert (agent.verdict("k1").outcome, agent.verdict("k1").by) == ("allow", "ana")
    assert (agent.verdicts("k2"), office.approval("k2").status) == ([], "pending")


def test_a_composed_call_with_other_arguments_is_asked_about() -> None:
    office, agent = taken_over()
    office.operator().decide("respond", "m1", text="", calls=[COMPOSED])
    agent.propose("k1", "sql", {"query": "SELECT 2"})
    assert (agent.verdicts("k1"), office.approval("k1").status) == ([], "pending")


def test_two_operators_contending_for_a_run_need_a_reason() -> None:
    office = Office()
    agent = office.agent()
    ana, ben = office.operator(ANA), office.operator(BEN)
    assert ana.ask("takeover", run=RUN).ok
    assert ben.ask("takeover", run=RUN).code == "precondition_failed"
    assert ben.ask("takeover", run=RUN, note="ana is asleep").ok
    assert (office.row().baton.by, office.row().baton.epoch) == ("ben", 2)
    assert [(one.by, one.epoch) for one in agent.told("takeover")] == [("ana", 1), ("ben", 2)]
    assert ana.ask("release", run=RUN).code == "forbidden"


def test_a_released_run_gets_its_turn_from_the_real_model() -> None:
    office, agent = taken_over()
    office.operator().ask("release", run=RUN, text="fixed the query")
    assert agent.verdicts("m1") == ["allow"]
    assert [one.text for one in agent.told("release")] == ["fixed the query"]
    assert (office.row().baton, office.approval("m1").status) == (None, "cancelled")
    assert office.storage.kinds("approval.handed") == ["approval.handed_back"]


def test_a_takeover_nobody_renews_ends_in_a_paused_run() -> None:
    office, agent = taken_over()
    office.pass_time(901)
    assert (agent.verdicts("m1"), office.row().state, office.row().baton) == ([], "pausing", None)
    assert [one.by for one in agent.told("pause")] == ["hub"]
    assert office.storage.kinds("takeover") == ["takeover.expired"]


def test_a_turn_held_by_a_lapsed_takeover_goes_on_with_the_resume() -> None:
    office, agent = taken_over()
    office.pass_time(901)
    office.operator().ask("resume", run=RUN)
    assert agent.verdicts("m1") == ["allow"]


def test_a_turn_can_be_asked_of_an_operator_a_second_time() -> None:
    office, agent = taken_over()
    office.pass_time(901)
    operator = office.operator()
    operator.ask("takeover", run=RUN)
    operator.ask("resume", run=RUN)
    assert office.approval("m1").status == "pending"
    assert operator.decide("respond", "m1", text="here").ok
    assert agent.verdicts("m1") == ["answer"]


def test_a_renewed_takeover_lasts_longer() -> None:
    office, agent = taken_over()
    office.pass_time(500)
    office.operator().ask("takeover", run=RUN)
    office.pass_time(500)
    assert (office.row().baton.by, agent.told("pause")) == ("ana", [])


def test_the_lapse_of_a_takeover_leaves_a_killed_run_alone() -> None:
    office = Office(settings=DeskSettings(takeover_lease_seconds=5))
    agent, operator = office.agent(), office.operator()
    operator.ask("takeover", run=RUN)
    operator.ask("kill", run=RUN)
    office.pass_time(6)
    assert (agent.told("pause"), office.row().state, office.row().baton) == ([], "stopping", None)


def test_secrets_in_an_answer_are_masked_on_the_row_and_whole_for_the_agent() -> None:
    office, agent = taken_over()
    office.operator().decide("respond", "m1", text="use password=hunter2hunter2")
    assert "hunter2" in agent.verdict("m1").text
    assert "hunter2" not in office.approval("m1").response


def test_the_digest_of_an_answer_is_that_of_the_call() -> None:
    office, agent = taken_over()
    office.operator().decide("respond", "m1", text="x")
    assert agent.verdict("m1").digest == call_digest("gpt", {"model": "gpt", "messages": []})


@pytest.mark.parametrize("how", ["release", "lapse"])
def test_a_call_composed_under_a_takeover_that_is_over_is_asked_about(how: str) -> None:
    office, agent = taken_over()
    office.operator().decide("respond", "m1", text="", calls=[COMPOSED])
    if how == "release":
        office.operator().ask("release", run=RUN)
    else:
        office.pass_time(901)
        office.operator().ask("resume", run=RUN)
    agent.propose("k1", "sql", COMPOSED["args"])
    assert agent.verdicts("k1") == []
    assert office.approval("k1").status == "pending"


def test_the_end_of_a_takeover_is_an_epoch_of_its_own() -> None:
    office, _agent = taken_over()
    operator = office.operator()
    operator.ask("release", run=RUN)
    assert operator.ask("inject", run=RUN, text="go on", **{"if": {"epoch": 1}}).code == "precondition_failed"


def test_what_a_command_demands_of_the_run_must_still_hold_when_it_is_on_record() -> None:
    office = Office()
    agent, ana = office.agent(), office.operator(ANA)
    office.hold()
    ana.ask("inject", run=RUN, text="go on", **{"if": {"epoch": 0}})
    office.operator(BEN).ask("takeover", run=RUN)
    office.release()
    assert (ana.answer_to(ana.given).code, agent.told("inject")) == ("precondition_failed", [])


def test_words_for_a_run_that_was_killed_before_they_were_on_record_are_refused() -> None:
    office = Office()
    agent, ana = office.agent(), office.operator(ANA)
    office.hold()
    ana.ask("inject", run=RUN, text="go on")
    given = ana.given
    office.operator(BEN).ask("kill", run=RUN)
    office.release()
    assert (ana.answer_to(given).code, agent.told("inject")) == ("precondition_failed", [])


def test_an_agent_less_patient_than_a_takeover_is_not_made_to_wait_longer_by_its_renewal() -> None:
    office = Office(settings=DeskSettings(takeover_lease_seconds=900))
    agent, operator = office.agent(), office.operator()
    operator.ask("takeover", run=RUN)
    agent.turn("m1", ttl_seconds=60)
    before = office.approval("m1").expires_at
    office.pass_time(30)
    operator.ask("takeover", run=RUN)
    assert office.approval("m1").expires_at == before


def test_a_point_that_was_away_hears_of_the_takeover_that_still_stands() -> None:
    office = Office()
    agent = office.agent()
    agent.drop()
    office.operator().ask("takeover", run=RUN)
    agent.connect()
    assert [one.epoch for one in agent.told("takeover")] == [1]
