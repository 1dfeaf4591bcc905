"""What turns of the model reserve: none goes that does not fit, they wait in order, and no interleaving overshoots."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opsconsole.policy.default import DefaultPolicy
from opsconsole.policy.interface import Limits
from tests.hub.desk.office import RUN, Agent, Office

CAPS = ["hold", "pause", "inject", "takeover", "kill_cooperative"]
TOKEN_USD = 1e-5
"""The office's price."""


def office_with(**limits: Any) -> tuple[Office, Agent]:
    office = Office(policy=DefaultPolicy(run_limits=Limits(**limits)))
    return office, office.agent(point="gateway", caps=CAPS)


def turn(agent: Agent, call: str, **reserve: Any) -> None:
    args = {"model": "gpt", "messages": [], "reserve": reserve}
    agent.propose(call, "gpt", args, kind="model_call")


def allowed(agent: Agent) -> list[str]:
    return [str(one.call) for one in agent.told("verdict") if one.outcome == "allow"]


def end(agent: Agent, call: str, tokens: int, status: str = "completed") -> None:
    agent.say({"type": "usage", "model": "gpt", "input_tokens": tokens}, {"type": "tool", "id": call, "status": status})


def test_turns_go_side_by_side_while_their_reservations_fit() -> None:
    office, agent = office_with(cost_usd=1.0)
    for call in ("m1", "m2"):
        turn(agent, call, usd=0.5, tokens=10)
    assert (allowed(agent), office.row().state) == (["m1", "m2"], "working")


def test_a_turn_that_would_fit_alone_waits_for_the_others_and_the_run_goes_on() -> None:
    office, agent = office_with(cost_usd=1.0)
    for call in ("m1", "m2"):
        turn(agent, call, usd=0.6)
    assert (allowed(agent), office.row().state) == (["m1"], "working")
    end(agent, "m1", 10_000)
    assert (allowed(agent), office.row().cost_usd) == (["m1", "m2"], 0.1)


def test_who_waits_is_not_overtaken_by_who_needs_less() -> None:
    _, agent = office_with(cost_usd=1.0)
    turn(agent, "m1", usd=0.6)
    turn(agent, "m2", usd=0.6)
    turn(agent, "m3", usd=0.1)
    assert allowed(agent) == ["m1"]
    end(agent, "m1", 1_000)
    assert allowed(agent) == ["m1", "m2", "m3"]


def test_a_turn_that_waited_and_is_given_up_makes_room() -> None:
    _, agent = office_with(cost_usd=1.0)
    turn(agent, "m1", usd=0.6)
    turn(agent, "m2", usd=0.6)
    turn(agent, "m3", usd=0.1)
    agent.tool("m2", "denied")
    assert allowed(agent) == ["m1", "m3"]


def test_a_turn_that_does_not_fit_what_is_left_pauses_the_run_until_the_cap_is_raised() -> None:
    office, agent = office_with(cost_usd=1.0)
    turn(agent, "m1", usd=1.5)
    row = office.row()
    assert (allowed(agent), row.state, office.alerts()) == ([], "paused", ["limit"])
    assert row.waiting.what == "budget: a turn reserves $1.5000, $1.0000 of $1.00 is left"
    assert office.operator().ask("resume", run=RUN).code == "precondition_failed"
    assert office.operator().ask("resume", run=RUN, caps={"cost_usd": 2.0}).ok
    assert (allowed(agent), office.row().state) == (["m1"], "resuming")


def test_a_pause_for_the_budget_survives_a_restart() -> None:
    office, agent = office_with(cost_usd=1.0)
    turn(agent, "m1", usd=1.5)
    office.restart()
    agent.connect()
    assert (office.row().state, office.row().waiting.what[:6], allowed(agent)) == ("paused", "budget", [])


@pytest.mark.parametrize("is_saved", [True, False])
def test_what_a_turn_under_way_reserved_is_still_reserved_after_a_restart(is_saved: bool) -> None:
    office, agent = office_with(cost_usd=1.0)
    turn(agent, "m1", usd=0.6)
    agent.tool("m1", "running")
    if is_saved:
        office.save_records()
    office.restart()
    agent.connect()
    turn(agent, "m2", usd=0.6)
    assert "m2" not in allowed(agent)


def test_what_a_gateway_had_reserved_that_died_without_a_trace_counts_as_used() -> None:
    office, agent = office_with(cost_usd=1.0)
    turn(agent, "m1", usd=0.4, tokens=50)
    fresh = office.agent(point="gateway", gen="g2", caps=CAPS)
    row = office.row()
    assert (row.cost_usd, row.input_tokens, office.alerts()) == (0.4, 50, ["superseded", "lost_turns"])
    turn(fresh, "m2", usd=0.7)
    assert ("m2" in allowed(fresh), office.row().state) == (False, "paused")


def test_a_new_process_of_another_point_frees_nothing_of_a_gateways() -> None:
    office, agent = office_with(cost_usd=1.0)
    turn(agent, "m1", usd=0.6)
    for gen in ("g1", "g2"):
        office.agent(gen=gen)
    turn(agent, "m2", usd=0.6)
    assert (allowed(agent), office.row().cost_usd) == (["m1"], 0.0)


def test_tokens_are_reserved_as_money_is() -> None:
    office, agent = office_with(tokens=1_000)
    turn(agent, "m1", usd=None, tokens=600)
    turn(agent, "m2", usd=None, tokens=600)
    assert (allowed(agent), office.row().state) == (["m1"], "working")
    turn(agent, "m3", usd=None, tokens=1_600)
    assert office.row().state == "paused"


def test_turns_admitted_by_a_resume_count_against_the_cap_on_turns() -> None:
    office, agent = office_with(turns=2)
    office.operator().ask("pause", run=RUN)
    for call in ("m1", "m2", "m3"):
        turn(agent, call)
    office.operator().ask("resume", run=RUN)
    assert (allowed(agent), office.row().turns, office.row().state) == (["m1", "m2"], 2, "paused")


@pytest.mark.parametrize("reserve", [3, [], {"usd": -1}, {"usd": "1"}, {"tokens": 1.5}, {"tokens": True}, {"usd": 1e9}])
def test_a_reservation_that_is_none_is_refused(reserve: Any) -> None:
    _, agent = office_with(cost_usd=1.0)
    agent.propose("m1", "gpt", {"model": "gpt", "messages": [], "reserve": reserve}, kind="model_call")
    assert (agent.verdict("m1").outcome, agent.verdict("m1").rule) == ("deny", "gate:arguments")


STEPS = st.lists(
    st.tuples(st.sampled_from(["propose", "run", "end", "fail"]), st.integers(1, 60), st.integers(0, 90)), max_size=60
)
"""What happens: a turn reserves so many thousand tokens, or one under way goes on, or ends having used some."""


@settings(max_examples=150, deadline=None)
@given(steps=STEPS)
def test_no_interleaving_admits_more_than_is_left_and_the_run_overshoots_only_by_what_turns_used_beyond_their_own(
    steps: list[tuple[str, int, int]],
) -> None:
    cap = 1.0
    office, agent = office_with(cost_usd=cap)
    reserved: dict[str, float] = {}
    open_turns: dict[str, float] = {}
    used = beyond = 0.0
    for number, (do, thousands, actual) in enumerate(steps):
        before = allowed(agent)
        if do == "propose":
            reserved[f"m{number}"] = thousands * 1_000 * TOKEN_USD
            turn(agent, f"m{number}", usd=reserved[f"m{number}"])
        elif open_turns:
            call = sorted(open_turns)[actual % len(open_turns)]
            if do == "run":
                agent.tool(call, "running")
            else:
                used += actual * 1_000 * TOKEN_USD
                beyond += max(0.0, actual * 1_000 * TOKEN_USD - open_turns.pop(call))
                end(agent, call, round(used / TOKEN_USD), "completed" if do == "end" else "failed")
        for call in allowed(agent)[len(before) :]:
            open_turns[call] = reserved[call]
            assert office.row().cost_usd + sum(open_turns.values()) <= cap + 1e-9
    assert office.row().cost_usd <= cap + beyond + 1e-9


def test_a_turn_that_nothing_holds_counts_as_its_usage_says_after_a_restart_too() -> None:
    office = Office()
    agent = office.agent()
    agent.tool("m1", "running", kind="model_call", name="gpt")
    operator = office.operator()
    operator.ask("pause", run=RUN)
    operator.ask("resume", run=RUN)
    before = office.row().turns
    office.restart()
    assert (before, office.row().turns) == (0, 0)
