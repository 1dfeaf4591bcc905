"""What a run costs at the desk: whose word counts, models nobody prices, and by what it was priced."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opsconsole.hub.desk.settings import DeskSettings
from opsconsole.policy.prices import Prices, Rates
from tests.hub.desk.office import Agent, Office

CAPS = ["hold", "pause", "inject", "takeover", "kill_cooperative"]
FLAT = Rates(input=1e-3, output=2e-3, cache_read=1e-3, cache_write=1e-3)
BY = "genai-prices 0.2.3"


def office_with(**prices: Any) -> Office:
    return Office(settings=DeskSettings(prices=Prices(**prices), priced_by="the desk's"))


def gateway(office: Office) -> Agent:
    return office.agent(point="gateway", caps=CAPS)


def test_the_sum_that_a_gateway_tells_goes_before_an_estimate() -> None:
    office = Office()
    gateway(office).usage(turns=1, input_tokens=1_000, cost_usd=0.25, priced_by=BY)
    assert (office.row().cost_usd, office.row().cost_known) == (0.25, True)


def test_the_word_of_others_counts_only_where_no_price_is_known() -> None:
    office = Office()
    agent = office.agent()
    agent.usage(turns=1, input_tokens=1_000, cost_usd=0.25)
    agent.say({"type": "usage", "model": "secret-1", "turns": 1, "cost_usd": 0.5})
    assert office.row().cost_usd == pytest.approx(0.01 + 0.5)


def test_what_a_gateway_told_already_is_not_counted_again_when_the_agent_tells_it() -> None:
    office = Office()
    gateway(office).usage(turns=1, input_tokens=1_000, cost_usd=0.25)
    office.agent().usage(turns=1, input_tokens=1_000)
    assert office.row().cost_usd == 0.25


def test_turns_that_went_past_the_gateway_are_estimated_beside_its_sum() -> None:
    office = Office()
    gateway(office).usage(turns=1, input_tokens=1_000, cost_usd=0.25)
    office.agent().usage(turns=3, input_tokens=3_000)
    assert office.row().cost_usd == pytest.approx(0.25 + 0.02)


def test_past_the_gateway_a_model_without_a_price_is_as_dear_as_what_it_told() -> None:
    office = Office()
    gateway(office).say({"type": "usage", "model": "secret-1", "turns": 1, "input_tokens": 1_000, "cost_usd": 0.25})
    office.agent().say({"type": "usage", "model": "secret-1", "turns": 2, "input_tokens": 3_000})
    assert office.row().cost_usd == pytest.approx(0.75)


READINGS = st.lists(
    st.tuples(st.booleans(), st.integers(0, 9_000), st.none() | st.floats(0, 9), st.integers(0, 2)), max_size=12
)


@settings(max_examples=60, deadline=None)
@given(READINGS)
def test_whatever_is_told_in_whatever_order_a_cost_never_goes_down(readings: list[Any]) -> None:
    office = Office()
    points = gateway(office), office.agent()
    before = 0.0
    for is_agent, tokens, usd, unpriced in readings:
        points[is_agent].usage(turns=1, input_tokens=tokens, cost_usd=usd, unpriced_turns=unpriced)
        assert office.row().cost_usd >= before
        before = office.row().cost_usd


def test_a_flat_price_counts_what_nobody_prices_and_an_alert_says_so_once() -> None:
    office = office_with(unknown_model=FLAT)
    agent = office.agent()
    for turns in (1, 2):
        agent.say({"type": "usage", "model": "secret-1", "turns": turns, "output_tokens": turns * 100})
    row = office.row()
    assert (row.cost_usd, row.cost_known, [alert.text for alert in row.alerts]) == (
        pytest.approx(0.4),
        True,
        ["no price is known for secret-1: a flat price counts it"],
    )
    assert row.alerts[0].at < office.now - 0.001


def test_an_agent_cannot_make_a_model_cheaper_than_the_flat_price() -> None:
    office = office_with(unknown_model=FLAT)
    office.agent().say({"type": "usage", "model": "secret-1", "turns": 1, "output_tokens": 100, "cost_usd": 0.0})
    assert office.row().cost_usd == pytest.approx(0.2)


@pytest.mark.parametrize(("prices", "known"), [({}, False), ({"unknown_model": FLAT}, True)])
def test_turns_that_a_gateway_could_not_price_are_an_alert(prices: dict[str, Any], known: bool) -> None:
    office = office_with(**prices)
    gateway(office).usage(turns=2, input_tokens=1_000, cost_usd=0.25, unpriced_turns=1)
    assert (office.row().cost_usd, office.row().cost_known, office.alerts()) == (0.25, known, ["unpriced"])


def test_a_turn_of_a_model_without_a_price_is_refused_where_the_settings_say_so() -> None:
    office = office_with(unknown_model="block")
    agent = office.agent()
    agent.propose("m1", "secret-1", {"model": "secret-1", "messages": []}, kind="model_call")
    agent.turn("m2")
    (refused,) = (one for one in agent.told("verdict") if one.call == "m1")
    assert (agent.verdicts("m1"), refused.rule, agent.verdicts("m2")) == (["deny"], "gate:unpriced", ["allow"])
    assert refused.text == "No price is known for secret-1: the settings refuse models without one."


def test_a_turn_that_its_gateway_has_a_price_for_is_not_refused() -> None:
    office = office_with(unknown_model="block")
    agent = gateway(office)
    args = {"model": "secret-1", "messages": [], "reserve": {"usd": 0.1, "tokens": 10}}
    agent.propose("m1", "secret-1", args, kind="model_call")
    assert agent.verdicts("m1") == ["allow"]


def test_by_what_a_run_was_priced_is_on_record_at_its_end() -> None:
    office = office_with()
    gateway(office).usage(turns=1, cost_usd=0.25, priced_by=BY)
    agent = office.agent()
    agent.say({"type": "usage", "model": "mine", "turns": 1, "input_tokens": 1})
    agent.say({"type": "state", "state": "completed"})
    (ended,) = office.storage.facts("run.ended")
    assert ended["priced_by"] == f"{BY}, the desk's"


@pytest.mark.parametrize("is_saved", [True, False])
def test_what_a_gateway_told_is_known_after_a_restart(is_saved: bool) -> None:
    office = Office()
    gateway(office).usage(turns=1, input_tokens=1_000, cost_usd=0.25)
    if is_saved:
        office.save_records()
    office.restart()
    office.agent().usage(turns=1, input_tokens=1_000)
    assert office.row().cost_usd == 0.25


def test_models_beyond_those_kept_apart_are_counted_too_dear_rather_than_too_cheap() -> None:
    office = Office()
    agent = gateway(office)
    for number in range(40):
        agent.say({"type": "usage", "model": f"m{number}", "turns": 1, "input_tokens": 10, "cost_usd": 0.5})
    assert office.row().cost_usd == pytest.approx(20.0)
