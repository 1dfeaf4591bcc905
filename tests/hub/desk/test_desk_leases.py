"""Turns let go ahead: to gateways only, a small part of what is left, and nothing while anything holds the run."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opsconsole.hub.desk.leases import GRACE_SECONDS, LEASE_SECONDS, RETURN_SECONDS
from opsconsole.policy.default import DefaultPolicy
from opsconsole.policy.interface import Limits
from opsconsole.protocol.frames import TurnLease
from tests.hub.desk.office import RUN, Agent, Office
from tests.hub.desk.test_desk_breakers import CAPS, capped, policy
from tests.hub.desk.test_desk_budget import TOKEN_USD, end, office_with, turn


def lease_of(agent: Agent, call: str) -> TurnLease | None:
    (told,) = [one for one in agent.told("verdict") if one.call == call]
    return told.lease


def test_a_turn_of_a_gateway_brings_a_part_of_what_is_left() -> None:
    _, agent = office_with(cost_usd=0.9, turns=82, tokens=9_000)
    turn(agent, "m1", usd=0.1, tokens=1_000)
    assert lease_of(agent, "m1") is None  # an eighth of what is left is less than four such turns
    end(agent, "m1", 1_000)
    turn(agent, "m2", usd=0.01, tokens=100)
    lease = lease_of(agent, "m2")
    assert lease is not None
    assert (lease.turns, lease.tokens, lease.seconds) == (10, 987, LEASE_SECONDS)
    assert lease.usd == pytest.approx((0.9 - 1_000 * TOKEN_USD - 0.01) / 8)


def test_nobody_but_a_gateway_has_a_lease() -> None:
    office = Office(policy=DefaultPolicy(run_limits=Limits(cost_usd=5.0)))
    agent = office.agent()
    turn(agent, "m1", usd=0.001, tokens=1)
    assert lease_of(agent, "m1") is None


def test_a_turn_of_unknown_price_brings_none_where_the_price_matters() -> None:
    _, agent = office_with(cost_usd=5.0)
    turn(agent, "m1", usd=None, tokens=10)
    assert lease_of(agent, "m1") is None


def test_a_policy_that_looks_at_turns_gives_none() -> None:
    office = Office(policy=Looks())
    agent = office.agent(point="gateway")
    turn(agent, "m1", usd=0.0001, tokens=10)
    assert lease_of(agent, "m1") is None


def test_a_verdict_that_is_sent_again_has_no_lease() -> None:
    _, agent = office_with(tokens=10_000)
    turn(agent, "m1", tokens=10)
    assert lease_of(agent, "m1") is not None
    agent.drop()
    agent.connect()
    assert all(one.lease is None for one in agent.told("verdict")[1:])


def test_what_is_leased_is_reserved_until_its_time_is_over() -> None:
    office, agent = office_with(tokens=1_000)
    turn(agent, "m1", tokens=10)
    lease = lease_of(agent, "m1")
    assert lease is not None
    end(agent, "m1", 10)
    turn(agent, "m2", tokens=990)  # fits what is left, were it not leased
    assert [one.call for one in agent.told("verdict")] == ["m1"]
    office.pass_time(LEASE_SECONDS + GRACE_SECONDS)
    assert [one.call for one in agent.told("verdict")] == ["m1", "m2"]


def test_what_is_leased_to_a_gateway_that_is_away_stays_reserved_until_it_is_back_and_has_told() -> None:
    office, agent = office_with(tokens=1_000)
    turn(agent, "m1", tokens=10)
    end(agent, "m1", 10)
    agent.drop()
    office.pass_time(10 * LEASE_SECONDS)
    agent.connect()
    turn(agent, "m2", tokens=990)
    office.pass_time(RETURN_SECONDS - 1.0)
    before = "m2" in [one.call for one in agent.told("verdict")]
    office.pass_time(1.0)
    assert (before, agent.told("verdict")[-1].call) == (False, "m2")


def test_a_lease_that_a_restart_of_the_hub_outlives_ends_all_the_same() -> None:
    office, agent = office_with(tokens=1_000)
    turn(agent, "m1", tokens=10)
    end(agent, "m1", 10)
    office.save_records()
    office.restart()
    agent.connect()
    turn(agent, "m2", tokens=990)
    office.pass_time(RETURN_SECONDS)
    assert agent.told("verdict")[-1].call == "m2"


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 40), st.floats(0.0, 1.0), st.booleans()), min_size=1, max_size=60))
def test_whatever_a_gateway_does_with_its_leases_no_limit_is_passed(steps: list[tuple[int, float, bool]]) -> None:
    """Each turn uses what it reserved at most, under a lease or a verdict; all is told in the end."""
    office, agent = office_with(tokens=1_000, cost_usd=1_000 * TOKEN_USD)
    left, used = 0, 0
    for number, (tokens, seconds, is_told) in enumerate(steps):
        office.pass_time(seconds)
        if tokens <= left:
            left, used = left - tokens, used + tokens
            continue
        call = f"m{number}"
        turn(agent, call, usd=tokens * TOKEN_USD, tokens=tokens)
        told = [one for one in agent.told("verdict") if one.call == call and one.outcome == "allow"]
        if told:
            used += tokens
            left = min(told[0].lease.tokens or 0, 10**6) if told[0].lease else 0
        if is_told or not told:
            left = 0
            agent.say({"type": "usage", "model": "gpt", "input_tokens": used})
        if told:
            agent.tool(call, "completed")
    assert used <= 1_000
    assert office.row(RUN).state in ("working", "paused")


def test_a_run_whose_takeover_another_point_is_told_has_no_lease() -> None:
    office, agent = office_with(tokens=10_000)
    office.agent()
    turn(agent, "m1", tokens=10)
    assert lease_of(agent, "m1") is None


def test_a_takeover_while_turns_go_ahead_is_told_to_the_gateway_though_the_agent_can_take_it() -> None:
    office, agent = office_with(tokens=10_000)
    turn(agent, "m1", tokens=10)
    assert lease_of(agent, "m1") is not None
    sdk = office.agent()
    office.operator().ask("takeover", run=RUN)
    assert ([one.do for one in agent.told("takeover")], sdk.told("takeover")) == (["takeover"], [])


def recalled(agent: Agent) -> list[str | None]:
    return [one.text for one in agent.told("budget")]


def test_lower_limits_end_at_the_gateway_what_it_was_let_go_ahead_with() -> None:
    office, agent = office_with(tokens=10_000, turns=None)
    turn(agent, "m1", tokens=10)
    office.operator().ask("budget", run=RUN, caps={"turns": 5}, note="at most five")
    assert recalled(agent) == ["its limits are lower"]
    assert office.row().state == "working"


def test_higher_limits_take_nothing_back() -> None:
    office, agent = office_with(tokens=10_000)
    turn(agent, "m1", tokens=10)
    office.operator().ask("budget", run=RUN, caps={"tokens": 20_000}, note="more to do")
    assert recalled(agent) == []


def test_where_nothing_is_let_go_ahead_lower_limits_tell_the_gateway_nothing() -> None:
    office, agent = office_with(tokens=10_000)
    turn(agent, "m1", tokens=10)
    end(agent, "m1", 10)
    office.pass_time(LEASE_SECONDS + GRACE_SECONDS)
    office.operator().ask("budget", run=RUN, caps={"tokens": 9_000}, note="less")
    office.step(lambda now: office.desk.change_policy(Looks(), "", now))
    assert recalled(agent) == []


class Looks(DefaultPolicy):
    """A policy that judges turns."""

    hash = "other"
    passes_turns = False  # type: ignore[assignment]


def test_a_policy_that_looks_at_turns_from_now_on_takes_back_what_the_last_one_let_go_ahead() -> None:
    office, agent = office_with(tokens=10_000)
    turn(agent, "m1", tokens=10)
    office.step(lambda now: office.desk.change_policy(Looks(), "", now))
    assert len(recalled(agent)) == 1


BREAKER = 'id = "all"\nper = "agent"\nagent = "bot*"\ntrip = { cost_usd = 5.0 }'


@pytest.mark.parametrize(("agent", "times"), [("bot", 1), ("clerk", 0)])
def test_a_breaker_that_a_reload_brings_takes_back_what_it_binds(agent: str, times: int) -> None:
    office = capped()
    gateway = office.agent(point="gateway", caps=CAPS, agent=agent)
    turn(gateway, "m1", usd=0.001, tokens=10)
    assert lease_of(gateway, "m1") is not None
    office.step(lambda now: office.desk.change_policy(policy(BREAKER), "", now))
    assert len(recalled(gateway)) == times


def test_a_run_whose_agent_makes_known_a_name_that_a_breaker_binds_has_no_lease_any_more() -> None:
    office = capped(BREAKER)
    gateway = office.agent(point="gateway", caps=CAPS, agent="guessed")
    turn(gateway, "m1", usd=0.001, tokens=10)
    assert lease_of(gateway, "m1") is not None
    office.agent(agent="bot")
    assert len(recalled(gateway)) == 1


def test_what_was_taken_back_is_not_told_to_a_gateway_that_comes_back_later() -> None:
    office, agent = office_with(tokens=10_000)
    turn(agent, "m1", tokens=10)
    agent.drop()
    office.operator().ask("budget", run=RUN, caps={"tokens": 9_000}, note="less")
    office.pass_time(LEASE_SECONDS)
    agent.connect()
    assert recalled(agent) == []


def test_a_run_that_goes_on_with_higher_limits_has_leases_again() -> None:
    office, agent = office_with(tokens=1_000)
    agent.usage(input_tokens=1_000)
    office.operator().ask("resume", run=RUN, caps={"tokens": 100_000})
    agent.state("working")
    turn(agent, "m1", tokens=10)
    assert lease_of(agent, "m1") is not None


def test_what_is_leased_stays_reserved_while_its_last_turns_are_being_told() -> None:
    office, agent = office_with(tokens=1_000)
    turn(agent, "m1", tokens=10)
    end(agent, "m1", 10)
    turn(agent, "m2", tokens=990)
    office.pass_time(LEASE_SECONDS + GRACE_SECONDS / 2)
    assert [one.call for one in agent.told("verdict")] == ["m1"]


def test_what_an_embedding_costs_brings_no_turns_ahead_while_an_operator_has_taken_over() -> None:
    office, agent = office_with(tokens=10_000)
    office.operator().ask("takeover", run=RUN)
    embedding = {"model": "gpt", "messages": [], "embeds": True, "reserve": {"tokens": 10}}
    agent.propose("m1", "gpt", embedding, kind="model_call")
    assert (agent.verdicts("m1"), lease_of(agent, "m1")) == (["allow"], None)
