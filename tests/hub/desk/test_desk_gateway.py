"""A gateway at the desk: whose runs it speaks for, what it may not say of them, and which commands are its."""

from __future__ import annotations

import pytest

from opsconsole.domain.command import Role
from opsconsole.hub.desk.principal import Principal
from opsconsole.protocol.limits import Close
from tests.hub.desk.office import BOT, GATE, RUN, SEALED, Agent, Office

CAPS = ["hold", "pause", "inject", "takeover", "kill_cooperative"]


def gateway(office: Office, **about: object) -> Agent:
    return office.agent(point="gateway", agent="guessed", **{"state": None, "caps": CAPS} | about)


@pytest.mark.parametrize(("point", "who"), [("gateway", BOT), ("sdk", GATE), ("supervisor", GATE)])
def test_the_point_gateway_and_the_role_go_together(point: str, who: Principal) -> None:
    office = Office()
    peer = Agent(office, point=point, who=who).connect()
    assert (peer.problems, peer.closes) == (["forbidden"], [Close.FORBIDDEN])
    peer.start()
    assert office.desk.run_row(RUN) is None


def test_a_gateway_speaks_for_a_run_of_any_owner_and_does_not_own_it() -> None:
    office = Office()
    office.agent()
    gateway(office).turn("m1")
    assert (office.row().owner, [point.name for point in office.row().points]) == ("bot", ["sdk", "gateway"])


def test_a_run_that_a_gateway_starts_is_its_own_until_somebody_else_speaks_for_it() -> None:
    office = Office()
    gateway(office)
    assert office.row().owner == "gate"
    office.agent(agent="worker")
    assert office.row().owner == "bot"
    (entry,) = office.storage.facts("run.claimed")
    assert (entry["owner"], entry["before"], entry["point"]) == ("bot", "gate", "sdk")


def test_a_claimed_run_is_nobody_elses() -> None:
    office = Office()
    gateway(office)
    office.agent()
    stranger = office.agent(gen="g2", who=Principal(name="eve", role=Role.AGENT))
    assert (stranger.problems[0], office.row().owner) == ("forbidden", "bot")


def test_a_token_bound_to_some_agents_claims_no_run_of_others() -> None:
    office = Office()
    gateway(office)
    bound = Agent(office, who=Principal(name="bob", role=Role.AGENT, agent_prefix="billing-")).connect()
    assert (bound.problems, office.row().owner) == (["forbidden"], "gate")


@pytest.mark.parametrize("is_saved", [True, False])
@pytest.mark.parametrize("is_claimed", [True, False])
def test_whose_a_gateways_run_is_survives_a_restart(is_claimed: bool, is_saved: bool) -> None:
    office = Office()
    gateway(office)
    if is_claimed:
        office.agent()
    if is_saved:
        office.save_records()
    office.restart()
    assert office.row().owner == ("bot" if is_claimed else "gate")
    stranger = Agent(office, gen="g2", who=Principal(name="eve", role=Role.AGENT)).connect()
    assert stranger.problems == (["forbidden"] if is_claimed else [])


def test_what_a_gateway_guessed_yields_to_who_knows() -> None:
    office = Office()
    gate = gateway(office)
    gate.say({"type": "run", "agent": "guessed", "labels": {"guessed": "yes"}})
    assert (office.row().agent, office.row().labels) == ("guessed", {"guessed": "yes"})
    office.agent(agent="worker")
    gate.say({"type": "run", "agent": "guessed again", "parent": "run_0"})
    assert (office.row().agent, office.row().labels, office.row().parent) == ("worker", {}, None)


def test_a_gateway_ends_a_run_only_where_it_is_alone() -> None:
    office = Office()
    gate = gateway(office, state="working")
    sdk = office.agent()
    gate.state("completed")
    assert office.row().state == "working"
    sdk.drop(clean=True)
    gate.state("completed", reason="idle")
    assert office.row().state == "completed"


def test_a_gateway_ends_no_run_that_a_supervisor_holds_heard_or_not() -> None:
    office = Office()
    office.run = SEALED
    gate = gateway(office, state="working")
    gate.state("completed")
    assert office.row().state == "working"


def test_a_gateways_word_on_a_kill_proves_nothing_where_another_point_speaks() -> None:
    office = Office()
    sdk, gate = office.agent(), gateway(office)
    office.operator().ask("kill", run=RUN)
    gate.answer(gate.told("kill")[0].cmd, proof="cooperative", points=[{"name": "gateway", "ms": 1, "outcome": "cut"}])
    assert (office.row().kill.status, office.row().kill.points[-1].name) == ("stopping", "gateway")
    sdk.answer(sdk.told("kill")[0].cmd, proof="cooperative")
    assert (office.row().kill.status, office.row().kill.proof) == ("dead", "cooperative")


def test_a_killed_run_that_only_a_gateway_knows_is_dead_when_it_is_cut_off() -> None:
    office = Office()
    gate = gateway(office)
    office.operator().ask("kill", run=RUN)
    gate.answer(gate.told("kill")[0].cmd, proof="cooperative")
    assert (office.row().state, office.row().kill.proof) == ("killed", "cooperative")


def test_words_for_the_agent_are_given_by_its_own_point_where_that_is_there() -> None:
    office = Office()
    gate, sdk = gateway(office), office.agent()
    office.operator().ask("inject", run=RUN, text="hurry")
    assert (len(gate.told("inject")), len(sdk.told("inject"))) == (0, 1)


def test_words_for_the_agent_are_given_by_the_gateway_where_nobody_else_can() -> None:
    office = Office()
    office.run = SEALED
    supervisor = office.agent(point="supervisor", caps=["kill_process", "freeze"], state=None)
    gate = gateway(office)
    office.operator().ask("inject", run=SEALED, text="hurry")
    assert (len(gate.told("inject")), len(supervisor.told("inject"))) == (1, 0)


def test_what_the_gateway_was_told_is_not_told_to_a_point_that_comes_back() -> None:
    office = Office()
    gate, sdk = gateway(office), office.agent()
    sdk.drop()
    office.operator().ask("inject", run=RUN, text="hurry")
    office.restart()
    sdk.connect()
    assert (len(gate.told("inject")), sdk.told("inject")) == (1, [])


def test_what_a_silent_point_missed_is_not_taken_off_it_by_the_gateways_acknowledgement() -> None:
    office = Office()
    gate, sdk = gateway(office), office.agent()
    sdk.acknowledge()
    office.hold()
    office.operator().ask("inject", run=RUN, text="hurry")
    office.release()
    office.operator().ask("pause", run=RUN)
    gate.acknowledge()
    sdk.drop()
    sdk.connect(cseq=0)
    assert len(sdk.told("inject")) == 2


def test_the_end_of_a_takeover_is_told_to_whom_its_beginning_was() -> None:
    office = Office()
    gate = gateway(office)
    office.operator().ask("takeover", run=RUN)
    sdk = office.agent()
    office.operator().ask("release", run=RUN, text="done")
    assert ([len(gate.told(do)) for do in ("takeover", "release")], sdk.told("release")) == ([1, 1], [])


@pytest.mark.parametrize("do", ["pause", "kill"])
def test_what_stops_is_told_to_everybody(do: str) -> None:
    office = Office()
    gate, sdk = gateway(office), office.agent()
    office.operator().ask(do, run=RUN)
    assert (len(gate.told(do)), len(sdk.told(do))) == (1, 1)


def test_a_turn_that_two_points_tell_of_counts_once() -> None:
    office = Office()
    gate, sdk = gateway(office), office.agent()
    sdk.turn("m1")
    gate.turn("g1")
    assert office.row().turns == 1


@pytest.mark.parametrize("answer", ["approve", "edit"])
def test_a_call_that_gateway_and_sdk_both_see_has_one_question_and_one_verdict(answer: str) -> None:
    office = Office()
    gate, sdk = gateway(office), office.agent()
    gate.propose("call_1")
    edited = {"query": "SELECT"} if answer == "edit" else None
    office.operator().decide(answer, "call_1", **({"args": edited} if edited else {}))
    gate.tool("call_1", "running", verdict=gate.verdict("call_1").cmd)
    for point in (gate, sdk):
        point.acknowledge()
        point.answer(point.verdict("call_1").cmd)
    sdk.propose("call_1", args=edited)
    sdk.tool("call_1", "running")
    assert (gate.verdicts("call_1"), sdk.verdicts("call_1")) == (["allow"], ["allow"])
    assert [entry["outcome"] for entry in office.storage.facts("call.verdict")] == []
    assert office.storage.facts("call.changed") == []
    row = office.row()
    assert row.waiting is not None
    assert (row.waiting.kind, row.waiting.id) == ("tool", "call_1")


def test_a_call_that_changed_on_its_way_from_the_gateway_to_the_sdk_is_refused() -> None:
    office = Office()
    gate, sdk = gateway(office), office.agent()
    gate.propose("call_1")
    office.operator().decide("approve", "call_1")
    sdk.propose("call_1", args={"query": "DROP"})
    assert sdk.verdicts("call_1") == ["allow", "deny"]
