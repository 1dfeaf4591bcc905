"""Turns that can go with less than they reserve get what is left: never less than their least, nor more than is."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opsconsole.policy.interface import Limits
from tests.hub.desk.office import RUN, Agent, Office
from tests.hub.desk.test_desk_breakers import capped, gateway, spend
from tests.hub.desk.test_desk_budget import CAPS, TOKEN_USD, allowed, end, office_with, turn

AGENT = 'id = "day"\nagent = "bot*"\nper = "day"\ntrip = { cost_usd = 1.0 }'
AGENT_TOKENS = 'id = "tokens"\nagent = "bot*"\nper = "day"\ntrip = { tokens = 700 }'
ALL = 'id = "all"\nper = "fleet"\ntrip = { cost_usd = 1.0 }'
LABEL = 'id = "team"\nper = "label"\nlabel = "team"\ntrip = { cost_usd = 0.25 }'


def flexible(agent: Agent, call: str, usd: float | None, tokens: int = 0, *, least: tuple[float | None, int]) -> None:
    """A turn that takes so much at most, and can go with its least."""
    turn(agent, call, usd=usd, tokens=tokens, least={"usd": least[0], "tokens": least[1]})


def granted(agent: Agent, call: str) -> tuple[float, int] | None:
    """Dollars, but for what rounding takes off them, and tokens."""
    (told,) = [one.granted for one in agent.told("verdict") if one.call == call and one.outcome == "allow"]
    return None if told is None else (round(told.usd or 0.0, 9), told.tokens)


def test_a_turn_that_is_larger_than_the_whole_limit_gets_all_of_it() -> None:
    office, agent = office_with(cost_usd=0.5, tokens=800)
    flexible(agent, "m1", 1.5, 1_000, least=(0.01, 100))
    assert granted(agent, "m1") == (0.5, 800)
    assert office.row().state == "working"


def test_a_turn_that_fits_is_granted_no_less_than_all_of_its_own() -> None:
    _, agent = office_with(cost_usd=0.5)
    flexible(agent, "m1", 0.5, 1_000, least=(0.01, 100))
    assert granted(agent, "m1") is None


def test_a_turn_without_a_limit_is_granted_all_of_its_own() -> None:
    office = Office()
    agent = office.agent(point="gateway", caps=CAPS)
    office.operator().ask("resume", run=RUN, caps={"turns": 10})
    flexible(agent, "m1", 2.0, 10, least=(0.01, 1))
    assert granted(agent, "m1") is None


def test_a_turn_that_does_not_say_how_little_it_can_go_with_pauses_the_run() -> None:
    office, agent = office_with(cost_usd=0.5)
    turn(agent, "m1", usd=1.5, tokens=1_000)
    assert (allowed(agent), office.row().state) == ([], "paused")


def test_what_a_turn_has_used_is_not_granted_to_the_next() -> None:
    _, agent = office_with(cost_usd=0.5)
    flexible(agent, "m1", 1.5, least=(0.01, 0))
    end(agent, "m1", 20_000)
    flexible(agent, "m2", 1.5, least=(0.01, 0))
    assert granted(agent, "m2") == (0.3, 0)


def test_tokens_that_were_used_or_are_reserved_are_not_granted() -> None:
    _, agent = office_with(tokens=1_000)
    turn(agent, "m1", tokens=300)
    end(agent, "m1", 200)
    turn(agent, "m2", tokens=100)
    flexible(agent, "m3", None, 5_000, least=(None, 100))
    assert granted(agent, "m3") == (0.0, 700)


def test_what_is_left_fits_however_its_sum_is_rounded() -> None:
    office, agent = office_with(cost_usd=0.3)
    turn(agent, "m1", usd=0.01)
    end(agent, "m1", 3_500)
    assert 0.035 + (0.3 - 0.035) > 0.3
    flexible(agent, "m2", 1.5, least=(0.01, 0))
    assert (granted(agent, "m2"), office.row().state) == ((0.265, 0), "working")


def test_below_its_least_the_run_pauses_until_its_cap_leaves_room_for_the_least() -> None:
    office, agent = office_with(cost_usd=0.5)
    flexible(agent, "m1", 1.5, least=(0.6, 0))
    assert (allowed(agent), office.row().state) == ([], "paused")
    assert office.row().waiting.what == "budget: a turn reserves $1.5000, $0.5000 of $0.50 is left"
    operator = office.operator()
    assert operator.ask("resume", run=RUN, caps={"cost_usd": 0.55}).code == "precondition_failed"
    assert operator.ask("resume", run=RUN, caps={"cost_usd": 0.7}).ok
    assert granted(agent, "m1") == (0.7, 0)


def test_below_its_least_of_tokens_the_run_pauses_whatever_its_money() -> None:
    office, agent = office_with(cost_usd=5.0, tokens=99)
    flexible(agent, "m1", 1.0, 1_000, least=(0.01, 100))
    assert office.row().waiting.what == "budget: a turn reserves 1,000 tokens, 99 of 99 are left"


def test_a_turn_that_fits_whole_once_others_are_over_waits_for_them() -> None:
    _, agent = office_with(cost_usd=1.0)
    flexible(agent, "m1", 0.6, least=(0.01, 0))
    flexible(agent, "m2", 0.6, least=(0.01, 0))
    assert allowed(agent) == ["m1"]
    end(agent, "m1", 1_000)
    assert (allowed(agent), granted(agent, "m2")) == (["m1", "m2"], None)


def test_a_turn_that_never_fits_whole_gets_what_is_left_beside_the_others() -> None:
    _, agent = office_with(cost_usd=1.0)
    turn(agent, "m1", usd=0.6)
    flexible(agent, "m2", 1.5, least=(0.01, 0))
    assert granted(agent, "m2") == (0.4, 0)


def test_where_the_others_leave_less_than_its_least_it_waits_for_them() -> None:
    office, agent = office_with(cost_usd=1.0)
    turn(agent, "m1", usd=0.6)
    flexible(agent, "m2", 1.5, least=(0.5, 0))
    assert (allowed(agent), office.row().state) == (["m1"], "working")
    end(agent, "m1", 10_000)
    assert granted(agent, "m2") == (0.9, 0)


def test_it_overtakes_nobody_who_waits() -> None:
    _, agent = office_with(cost_usd=1.0)
    turn(agent, "m1", usd=0.6)
    turn(agent, "m2", usd=0.6)
    flexible(agent, "m3", 1.5, least=(0.01, 0))
    assert allowed(agent) == ["m1"]


@pytest.mark.parametrize(
    ("breakers", "usd", "tokens"),
    [
        ((AGENT,), 1.0, 1_000),
        ((AGENT, AGENT_TOKENS), 1.0, 700),
        ((ALL, AGENT_TOKENS), 1.0, 700),
        ((AGENT, LABEL), 0.25, 1_000),
    ],
    ids=["agent", "agent and its tokens", "fleet and tokens", "agent and label"],
)
def test_a_turn_gets_the_least_that_any_common_budget_has_left(
    breakers: tuple[str, ...], usd: float, tokens: int
) -> None:
    office = capped(*breakers)
    agent = gateway(office, "run_0")
    agent.say({"type": "run", "agent": "bot", "caps": CAPS, "labels": {"team": "a"}})
    flexible(agent, "m1", 1.5, 1_000, least=(0.01, 10))
    assert granted(agent, "m1") == (usd, tokens)
    assert office.row("run_0").held_by == []


def test_the_runs_own_limit_counts_beside_the_common_ones() -> None:
    office = capped(AGENT)
    agent = gateway(office, "run_0")
    office.operator().ask("pause", run="run_0")
    assert office.operator().ask("resume", run="run_0", caps={"cost_usd": 0.3}).ok
    flexible(agent, "m1", 1.5, least=(0.01, 0))
    assert granted(agent, "m1") == (0.3, 0)


def test_a_common_budget_trips_where_not_even_the_least_fits() -> None:
    office = capped(AGENT)
    first, second = gateway(office, "run_0"), gateway(office, "run_1")
    spend(first, 0.8)
    flexible(second, "m1", 1.5, least=(0.3, 0))
    assert (allowed(second), office.row("run_1").held_by) == ([], ["day"])
    assert office.storage.facts("breaker.tripped")[0]["reached"] == "a turn reserves $1.50, $0.20 is left"


def test_near_the_end_of_its_limit_a_run_pauses_rather_than_end_on_a_cut_answer() -> None:
    office, agent = office_with(cost_usd=0.8)
    turn(agent, "m1", usd=0.1)
    end(agent, "m1", 70_500)
    flexible(agent, "m2", 1.5, least=(0.01, 0))
    assert (allowed(agent), office.row().state) == (["m1"], "paused")
    assert office.row().waiting.what == "budget: a turn reserves $1.5000, $0.0950 of $0.80 is left"
    operator = office.operator()
    assert operator.ask("resume", run=RUN, caps={"cost_usd": 0.805}).code == "precondition_failed"
    assert operator.ask("resume", run=RUN, caps={"cost_usd": 0.905}).ok
    assert granted(agent, "m2") == (0.2, 0)


def test_near_the_end_of_its_limit_a_run_pauses_also_for_a_turn_that_fitted_at_its_beginning() -> None:
    office, agent = office_with(cost_usd=0.8)
    turn(agent, "m1", usd=0.1)
    end(agent, "m1", 70_500)
    flexible(agent, "m2", 0.5, least=(0.01, 0))
    assert (allowed(agent), office.row().state) == (["m1"], "paused")


def test_with_just_an_eighth_of_its_limit_left_a_turn_still_takes_it() -> None:
    _, agent = office_with(tokens=800)
    turn(agent, "m1", tokens=50)
    end(agent, "m1", 700)
    flexible(agent, "m2", None, 5_000, least=(None, 1))
    assert granted(agent, "m2") == (0.0, 100)


def test_with_less_than_an_eighth_of_its_tokens_left_the_run_pauses() -> None:
    office, agent = office_with(tokens=800)
    turn(agent, "m1", tokens=50)
    end(agent, "m1", 701)
    flexible(agent, "m2", None, 5_000, least=(None, 1))
    assert office.row().waiting.what == "budget: a turn reserves 5,000 tokens, 99 of 800 are left"


@pytest.mark.parametrize(("used", "held_by"), [(0.87, []), (0.88, ["day"])])
def test_near_the_end_of_a_common_budget_it_trips(used: float, held_by: list[str]) -> None:
    office = capped(AGENT)
    first, second = gateway(office, "run_0"), gateway(office, "run_1")
    spend(first, used)
    flexible(second, "m1", 1.5, least=(0.01, 0))
    assert office.row("run_1").held_by == held_by


def test_where_the_others_leave_less_than_an_eighth_it_waits_for_them_rather_than_take_so_little() -> None:
    office, agent = office_with(cost_usd=1.0)
    turn(agent, "m1", usd=0.95)
    flexible(agent, "m2", 1.5, least=(0.01, 0))
    assert (allowed(agent), office.row().state) == (["m1"], "working")
    end(agent, "m1", 10_000)
    assert granted(agent, "m2") == (0.9, 0)


def test_a_turn_whose_least_waits_for_another_run_goes_when_that_is_over() -> None:
    office = capped(AGENT)
    first, second = gateway(office, "run_0"), gateway(office, "run_1")
    turn(first, "m1", usd=0.9)
    flexible(second, "m1", 1.5, least=(0.2, 0))
    office.pass_time(1.0)
    assert (allowed(second), office.row("run_1").held_by) == ([], [])
    end(first, "m1", 10_000)
    office.pass_time(1.0)
    assert granted(second, "m1") == (0.9, 0)


def test_a_verdict_that_is_sent_again_grants_the_same() -> None:
    _, agent = office_with(cost_usd=0.5)
    flexible(agent, "m1", 1.5, least=(0.01, 0))
    agent.drop()
    agent.connect(cseq=0)
    told = [one.granted for one in agent.told("verdict")]
    assert (len(told), told[0]) == (2, told[1])


def test_after_a_restart_a_turn_under_way_reserves_what_it_was_granted() -> None:
    office, agent = office_with(cost_usd=0.5)
    flexible(agent, "m1", 1.5, 1_000, least=(0.01, 10))
    agent.tool("m1", "running", args={"model": "gpt", "reserve": {"usd": 0.5, "tokens": 1_000}})
    office.restart()
    office.agent(point="gateway", gen="g2", caps=CAPS)  # the one before it left nothing behind: what it had counts
    assert office.row().cost_usd == 0.5


def test_a_gateway_that_died_without_a_trace_used_no_more_than_it_was_granted() -> None:
    office, agent = office_with(cost_usd=0.5)
    flexible(agent, "m1", 1.5, 1_000, least=(0.01, 10))
    office.agent(point="gateway", gen="g2", caps=CAPS)
    assert office.row().cost_usd == pytest.approx(0.5)


@pytest.mark.parametrize(
    "least",
    [3, [], {"usd": -1}, {"usd": 0.6}, {"usd": 0.1, "tokens": 11}, {"usd": None}, {"usd": 0.1, "tokens": 1.5}],
)
def test_a_least_that_is_none_or_more_than_all_is_refused(least: Any) -> None:
    _, agent = office_with(cost_usd=1.0)
    turn(agent, "m1", usd=0.5, tokens=10, least=least)
    assert (agent.verdict("m1").outcome, agent.verdict("m1").rule) == ("deny", "gate:arguments")


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["run_0", "run_1"]),
        st.sampled_from(["propose", "propose", "end"]),
        st.integers(1, 150),
        st.integers(1, 100),
    ),
    max_size=40,
)
"""A run proposes a turn of so many thousand tokens that can go with a part of them, or ends one that used a part."""


@settings(max_examples=150, deadline=None)
@given(steps=STEPS, has_common=st.booleans())
def test_no_interleaving_grants_more_than_is_left_anywhere(
    steps: list[tuple[str, str, int, int]], has_common: bool
) -> None:
    office = capped(ALL) if has_common else office_with(cost_usd=1.0)[0]
    agents = {run: gateway(office, run) for run in ("run_0", "run_1")}
    taken: dict[str, float] = {}
    used = dict.fromkeys(agents, 0)
    over: set[str] = set()
    for number, (run, what, thousands, percent) in enumerate(steps):
        if what == "propose":
            most = thousands * 1_000 * TOKEN_USD
            taken[f"m{number}"] = most
            flexible(agents[run], f"m{number}", most, least=(most * percent / 100, 0))
        elif going := [call for call in allowed(agents[run]) if call not in over]:
            used[run] += int(takes(agents[run], going[0], taken) / TOKEN_USD * percent / 100)
            over.add(going[0])
            end(agents[run], going[0], used[run])
        office.pass_time(0.01)
        spent = [
            used[one] * TOKEN_USD + sum(takes(agent, call, taken) for call in allowed(agent) if call not in over)
            for one, agent in agents.items()
        ]
        assert (sum(spent) if has_common else max(spent)) <= 1.0 + 1e-9


def takes(agent: Agent, call: str, most: dict[str, float]) -> float:
    found = granted(agent, call)
    return most[call] if found is None else found[0]


def test_a_limit_that_somebody_lowers_narrows_the_next_turn() -> None:
    office, agent = office_with(cost_usd=5.0)
    operator = office.operator()
    operator.ask("pause", run=RUN)
    assert operator.ask("resume", run=RUN, caps={"cost_usd": 0.2}).ok
    assert office.desk._world.runs[RUN].limits == Limits(cost_usd=0.2)
    flexible(agent, "m1", 1.5, least=(0.01, 0))
    assert granted(agent, "m1") == (0.2, 0)
