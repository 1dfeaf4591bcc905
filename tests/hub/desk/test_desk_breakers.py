"""Breakers at work: what agents, labels and the fleet may use together, held over restarts, ended by one decision."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opsconsole.policy.file.loader import load
from opsconsole.policy.file.policy import FilePolicy
from opsconsole.policy.interface import Limits
from opsconsole.protocol.audit_words import audit_words
from tests.hub.desk.office import BEN, Agent, Office

CAPS = ["hold", "pause", "inject", "takeover", "kill_cooperative"]
TOKEN_USD = 1e-5
"""The office's price."""
HEAD = 'version = 1\nname = "capped"\n[defaults]\ndecision = "allow"\n'


def policy(*breakers: str) -> FilePolicy:
    text = HEAD + "".join(f"[[breakers]]\n{one}\n" for one in breakers)
    return load(text, read=lambda _name: b"", run_limits=Limits())


def capped(*breakers: str) -> Office:
    return Office(policy=policy(*breakers))


DAY = 'id = "day"\nagent = "bot*"\nper = "day"\ntrip = { cost_usd = 1.0 }\nwarn_at = 0.8'
FLEET = 'id = "all"\nper = "fleet"\ntrip = { cost_usd = 1.0 }'
RATE = 'id = "rate"\nper = "run"\ntrip = { tool_calls_per_minute = 3 }\nresume = "2m"'


LIFTED = {
    "breaker": "day",
    "account": "day/agent/bot",
    "caps": {"cost_usd": 3.0},
    "written": {"cost_usd": 1.0},
}


def gateway(office: Office, run: str, agent: str = "bot") -> Agent:
    return office.agent(run, point="gateway", caps=CAPS, agent=agent)


def spend(agent: Agent, usd: float) -> None:
    """In all, as the run's usage tells."""
    agent.say({"type": "usage", "model": "gpt", "turns": 1, "input_tokens": round(usd / TOKEN_USD)})


def turn(agent: Agent, call: str, **reserve: Any) -> None:
    agent.propose(call, "gpt", {"model": "gpt", "messages": [], "reserve": reserve}, kind="model_call")


def allowed(agent: Agent) -> list[str]:
    return [str(one.call) for one in agent.told("verdict") if one.outcome == "allow"]


def states(office: Office, *runs: str) -> list[str]:
    return [str(office.row(run).state) for run in runs]


def test_a_cap_of_an_agent_a_day_holds_all_its_runs() -> None:
    office = capped(DAY)
    first, second, other = (office.agent(f"run_{n}", agent=a) for n, a in enumerate(("bot", "bot", "clerk")))
    spend(first, 0.6)
    spend(other, 5.0)
    assert states(office, "run_0", "run_1", "run_2") == ["working"] * 3
    spend(second, 0.5)
    assert states(office, "run_0", "run_1", "run_2") == ["pausing", "pausing", "working"]
    assert [office.row(run).held_by for run in ("run_0", "run_1", "run_2")] == [["day"], ["day"], []]


def test_the_trip_is_one_entry_that_names_what_it_paused() -> None:
    office = capped(DAY)
    spend(office.agent("run_0", agent="bot"), 0.6)
    spend(office.agent("run_1", agent="bot"), 0.6)
    (entry,) = office.storage.facts("breaker.tripped")
    about = ("breaker", "account", "limit", "reached", "run", "runs")
    assert [entry[name] for name in about] == [
        *("day", "day/agent/bot", "cost_usd", "$1.20 of $1 in a day", "run_1", ["run_0", "run_1"]),
    ]


def test_each_run_says_why_and_its_agent_is_told() -> None:
    office = capped(DAY)
    agent = office.agent("run_0", agent="bot")
    spend(agent, 1.2)
    (alert,) = [one for one in office.row("run_0").alerts if one.detector == "breaker"]
    assert (alert.severity, alert.text) == ("trip", "breaker day: $1.20 of $1 in a day")
    assert office.row("run_0").waiting.what == "breaker day: $1.20 of $1 in a day"
    assert "breaker day" in (agent.told("inject")[0].text or "")


def test_a_cap_that_is_near_is_told_before_it_is_reached() -> None:
    office = capped(DAY)
    spend(office.agent("run_0", agent="bot"), 0.85)
    assert [(one.kind, one.severity) for one in office.row("run_0").alerts] == [("breaker", "warn")]
    assert (office.storage.kinds("alert."), states(office, "run_0")) == (["alert.raised"], ["working"])


def test_a_run_that_starts_under_a_trip_is_held() -> None:
    office = capped(DAY)
    spend(office.agent("run_0", agent="bot"), 1.2)
    office.agent("run_1", agent="bot", state=None)
    assert states(office, "run_1") == ["pausing"]


def test_one_decision_raises_the_cap_and_lets_the_run_go_on() -> None:
    office = capped(DAY)
    agent = office.agent("run_0", agent="bot")
    spend(agent, 1.2)
    agent.state("paused")
    refused = office.operator().ask("resume", run="run_0")
    assert (refused.code, "breaker day" in refused.message) == ("precondition_failed", True)
    assert office.operator().ask("resume", run="run_0", caps={"cost_usd": 3.0}, note="month end").ok
    row = office.row("run_0")
    assert (row.state, row.held_by, row.caps.cost_usd, row.alerts) == ("resuming", [], None, [])
    (entry,) = office.storage.facts("run.resume")
    assert (entry["caps"]["cost_usd"], entry["note"], entry["lifted"]) == (
        *(3.0, "month end"),
        [LIFTED],
    )
    spend(agent, 3.1)
    assert office.row("run_0").held_by == ["day"]


def test_a_resume_counts_once_it_is_on_record() -> None:
    office = capped(DAY)
    spend(office.agent("run_0", agent="bot"), 1.2)
    office.hold()
    office.operator().ask("resume", run="run_0", caps={"cost_usd": 3.0})
    assert office.row("run_0").held_by == ["day"]
    office.release()
    assert office.row("run_0").held_by == []


def test_what_another_resume_ended_stays_paused_until_somebody_resumes_it() -> None:
    office = capped(DAY)
    for run in ("run_0", "run_1"):
        spend(office.agent(run, agent="bot"), 0.6)
    assert office.operator().ask("resume", run="run_0", caps={"cost_usd": 3.0}).ok
    assert states(office, "run_0", "run_1") == ["resuming", "pausing"]
    assert office.operator(BEN).ask("resume", run="run_1").ok


def test_turns_of_different_runs_share_what_is_left() -> None:
    office = capped(FLEET)
    first, second = gateway(office, "run_0"), gateway(office, "run_1")
    turn(first, "m1", usd=0.7)
    turn(second, "m1", usd=0.7)
    assert (allowed(first), allowed(second), states(office, "run_0", "run_1")) == (["m1"], [], ["working"] * 2)
    first.say(
        {"type": "usage", "model": "gpt", "turns": 1, "input_tokens": 10_000},
        {"type": "tool", "id": "m1", "status": "completed"},
    )
    office.pass_time(0.01)
    assert allowed(second) == ["m1"]


def test_a_turn_that_fits_nowhere_trips_the_breaker() -> None:
    office = capped(FLEET)
    agent = gateway(office, "run_0")
    turn(agent, "m1", usd=1.4)
    assert (allowed(agent), states(office, "run_0")) == ([], ["paused"])
    assert office.storage.facts("breaker.tripped")[0]["reached"] == "a turn reserves $1.40, $1 is left"


def test_no_turns_go_ahead_where_others_share_the_budget() -> None:
    office = capped('id = "all"\nper = "fleet"\ntrip = { cost_usd = 100.0 }')
    agent = gateway(office, "run_0")
    turn(agent, "m1", usd=0.01, tokens=10)
    (verdict,) = agent.told("verdict")
    assert (str(verdict.outcome), verdict.lease) == ("allow", None)


def test_tools_called_too_often_pause_the_run_for_a_time() -> None:
    office = capped(RATE)
    agent = office.agent("run_0")
    for number in range(3):
        agent.propose(f"c{number}", "look", {"n": number})
    assert (agent.verdicts("c0"), agent.verdicts("c2"), states(office, "run_0")) == (["allow"], [], ["paused"])
    office.pass_time(140)
    assert (states(office, "run_0"), agent.verdicts("c2")) == (["resuming"], ["allow"])
    assert office.storage.kinds("breaker.") == ["breaker.tripped", "breaker.resumed"]


def test_no_breaker_ends_by_time_before_that_is_on_record() -> None:
    office = capped(RATE)
    agent = office.agent("run_0")
    for number in range(3):
        agent.propose(f"c{number}", "look", {"n": number})
    office.hold()
    office.pass_time(140)
    assert states(office, "run_0") == ["paused"]


def test_a_wall_clock_trips_without_any_event() -> None:
    office = capped('id = "long"\nper = "run"\ntrip = { wall_clock = "5m" }')
    office.agent("run_0")
    office.pass_time(290)
    assert states(office, "run_0") == ["working"]
    office.pass_time(20)
    assert (states(office, "run_0"), office.row("run_0").held_by) == (["pausing"], ["long"])
    assert office.operator().ask("resume", run="run_0", caps={"wall_clock": 3_600}).ok


def test_windows_and_trips_are_as_they_were_after_a_restart() -> None:
    office = capped(DAY)
    agent = office.agent("run_0", agent="bot")
    spend(agent, 0.6)
    office.save_records()
    spend(agent, 0.7)
    office.restart()
    (account,) = office.desk.budgets(office.now)
    assert (account["account"], round(account["used"], 6)) == ("day/agent/bot", 0.7)
    agent.connect()
    spend(agent, 1.2)
    office.restart()
    assert (states(office, "run_0"), office.row("run_0").held_by) == (["pausing"], ["day"])


def test_a_raised_cap_is_as_it_was_after_a_restart() -> None:
    office = capped(DAY)
    spend(office.agent("run_0", agent="bot"), 1.2)
    assert office.operator().ask("resume", run="run_0", caps={"cost_usd": 3.0}).ok
    for _ in range(2):
        office.restart()
        assert (office.desk.budgets(office.now)[0]["cap"], office.row("run_0").held_by) == (3.0, [])
        office.save_records()


def test_what_ended_runs_used_counts_on_over_a_restart() -> None:
    office = capped(DAY)
    agent = office.agent("run_0", agent="bot")
    spend(agent, 0.6)
    agent.state("completed")
    office.pass_time(1)
    office.save_records()
    office.restart()
    spend(office.agent("run_1", agent="bot"), 0.5)
    assert states(office, "run_1") == ["pausing"]


def test_a_budget_is_retuned_for_a_reason_and_on_record() -> None:
    office = capped(DAY)
    agent = office.agent("run_0", agent="bot")
    account = "day/agent/bot"
    assert office.operator().ask("budget", account=account, caps={"cost_usd": 9.0}).code == "bad_request"
    assert office.operator().ask("budget", account=account, caps={"cost_usd": 9.0}, note="launch day").ok
    spend(agent, 1.2)
    assert (states(office, "run_0"), office.storage.facts("budget.changed")[0]["note"]) == (["working"], "launch day")


def change_policy(office: Office, *breakers: str) -> None:
    office.step(lambda now: office.desk.change_policy(policy(*breakers), "", now))


@pytest.mark.parametrize("restarts", [0, 1, 2])
def test_a_file_that_is_written_stricter_later_wins_over_a_cap_that_a_person_raised(restarts: int) -> None:
    office = capped(DAY)
    agent = office.agent("run_0", agent="bot")
    assert office.operator().ask("budget", account="day/agent/bot", caps={"cost_usd": 9.0}, note="launch day").ok
    spend(agent, 1.2)
    for _ in range(restarts):
        office.save_records()
        office.restart()
    assert (states(office, "run_0"), office.desk.budgets(office.now)[0]["cap"]) == (["working"], 9.0)
    change_policy(office, DAY.replace("1.0", "0.5"))
    assert (states(office, "run_0"), office.desk.budgets(office.now)[0]["cap"]) == (["pausing"], 0.5)


def test_a_stricter_file_that_was_written_while_the_hub_was_away_wins_too() -> None:
    office = capped(DAY)
    spend(office.agent("run_0", agent="bot"), 0.2)
    assert office.operator().ask("budget", account="day/agent/bot", caps={"cost_usd": 9.0}, note="launch day").ok
    office.policy = policy(DAY.replace("1.0", "0.5"))
    office.restart()
    assert office.desk.budgets(office.now)[0]["cap"] == 0.5


def test_a_budget_that_is_set_below_what_was_used_pauses_at_once_and_says_what_it_was() -> None:
    office = capped(DAY)
    spend(office.agent("run_0", agent="bot"), 0.7)
    assert office.operator().ask("budget", account="day/agent/bot", caps={"cost_usd": 0.5}, note="enough").ok
    assert (states(office, "run_0"), office.row("run_0").held_by) == (["pausing"], ["day"])
    assert office.storage.facts("budget.changed")[0]["before"] == {"cost_usd": 1.0}


def test_a_budget_lets_go_on_too_what_still_stands_still_for_a_trip_that_one_resume_has_ended() -> None:
    office = capped(DAY)
    runs = [f"run_{number}" for number in range(3)]
    agents = [office.agent(run, agent="bot") for run in runs]
    spend(agents[0], 1.2)
    for agent in agents:
        agent.state("paused")
    assert office.operator().ask("resume", run="run_0", caps={"cost_usd": 3.0}).ok
    assert states(office, *runs) == ["resuming", "paused", "paused"]
    more = {"account": "day/agent/bot", "caps": {"cost_usd": 4.0}, "note": "all of it"}
    assert office.operator().ask("budget", **more, go_on=True).current == {"going_on": 2}
    assert (states(office, *runs), office.storage.facts("budget.changed")[0]["runs"]) == (["resuming"] * 3, runs[1:])


def test_a_retuned_budget_lets_all_go_on_that_it_held() -> None:
    office = capped(DAY)
    for run in ("run_0", "run_1"):
        spend(office.agent(run, agent="bot"), 0.6)
    told = {"account": "day/agent/bot", "caps": {"cost_usd": 9.0}, "note": "launch day", "go_on": True}
    assert office.operator().ask("budget", **told).current == {"going_on": 2}
    assert states(office, "run_0", "run_1") == ["resuming"] * 2
    before = [office.row(run).held_by for run in ("run_0", "run_1")]
    office.restart()
    assert (states(office, "run_0", "run_1"), before) == (["resuming"] * 2, [[], []])


def test_a_budget_that_would_trip_again_lets_nothing_go_on() -> None:
    office = capped(DAY)
    spend(office.agent("run_0", agent="bot"), 1.2)
    told = {"account": "day/agent/bot", "caps": {"cost_usd": 1.1}, "note": "no", "go_on": True}
    assert office.operator().ask("budget", **told).code == "precondition_failed"


def test_a_run_s_own_limits_are_retuned_live() -> None:
    office = capped(DAY)
    agent = office.agent("run_0", agent="clerk")
    spend(agent, 2.0)
    assert office.operator().ask("budget", run="run_0", caps={"cost_usd": 1.5}, note="stop it soon").ok
    row = office.row("run_0")
    assert (row.state, row.caps.cost_usd) == ("pausing", 1.5)
    office.restart()
    assert office.row("run_0").caps.cost_usd == 1.5


@pytest.mark.parametrize(
    ("told", "code"),
    [
        ({"account": "day/agent/bot", "caps": {"turns": 3}}, "bad_request"),
        ({"account": "night/agent/bot", "caps": {"turns": 3}}, "not_found"),
        ({"run": "run_9", "caps": {"turns": 3}}, "not_found"),
        ({"account": "day/agent/bot"}, "bad_request"),
    ],
    ids=["no such limit", "no such breaker", "no such run", "no caps"],
)
def test_a_budget_that_is_not_there_is_not_changed(told: dict[str, Any], code: str) -> None:
    office = capped(DAY)
    office.agent("run_0", agent="bot")
    assert office.operator().ask("budget", note="why", **told).code == code


def test_a_breaker_kills_only_where_the_policy_says_so() -> None:
    office = capped('id = "stop"\nagent = "bot"\nper = "day"\ntrip = { cost_usd = 1.0 }\non_trip = "kill"')
    agents = [office.agent(f"run_{number}", agent=name) for number, name in enumerate(("bot", "bot", "clerk"))]
    spend(agents[0], 1.2)
    assert states(office, "run_0", "run_1", "run_2") == ["stopping", "stopping", "working"]
    assert ([one.by for one in agents[1].told("kill")], agents[2].told("kill")) == (["hub"], [])
    (entry,) = office.storage.facts("kill")
    assert (entry["runs"], entry["reason"]) == (["run_0", "run_1"], "breaker stop: $1.20 of $1 in a day")
    office.restart()
    assert states(office, "run_0", "run_1") == ["stopping"] * 2


def test_what_a_trip_kills_is_on_record_as_killed_not_as_paused() -> None:
    office = capped('id = "stop"\nagent = "bot"\nper = "day"\ntrip = { cost_usd = 1.0 }\non_trip = "kill"')
    spend(office.agent("run_0", agent="bot"), 1.2)
    (entry,) = office.storage.facts("breaker.tripped")
    assert (entry["runs"], entry["killed"]) == ([], ["run_0"])
    assert audit_words(entry).endswith(", 1 run killed")


def test_a_breaker_per_run_may_kill_at_its_limit() -> None:
    office = capped('id = "stop"\nper = "run"\ntrip = { turns = 3 }\non_trip = "kill"')
    office.agent("run_0").say({"type": "usage", "model": "gpt", "turns": 3})
    assert states(office, "run_0") == ["stopping"]


def test_the_row_tells_how_long_the_cap_will_last() -> None:
    office = capped(DAY)
    agent = office.agent("run_0", agent="bot")
    spend(agent, 0.25)
    row = office.row("run_0")
    assert row.runway == "the $1 cap a day of day"
    assert row.runway_at is not None
    assert office.now < row.runway_at < office.now + 3_600


def test_the_run_s_own_cap_has_a_runway() -> None:
    office = Office(policy=load(HEAD, read=lambda _name: b"", run_limits=Limits(cost_usd=10.0)))
    spend(office.agent("run_0"), 1.0)
    row = office.row("run_0")
    assert (row.runway, row.runway_at) == ("its $10.00 cap", office.now + 9 * 60)


@pytest.mark.parametrize(
    ("limits", "runway"),
    [
        (Limits(cost_usd=10.0, turns=4), ("its cap of 4 turns", 3 * 60)),
        (Limits(cost_usd=2.0, turns=4), ("its $2.00 cap", 60)),
        (Limits(tokens=60, turns=400), ("its cap of 60 tokens", 5 * 60)),
    ],
    ids=["turns", "cost", "tokens"],
)
def test_the_cap_that_comes_first_is_the_runway(limits: Limits, runway: tuple[str, float]) -> None:
    office = Office(policy=load(HEAD, read=lambda _name: b"", run_limits=limits))
    agent = office.agent("run_0")
    agent.usage(model="secret-model", turns=1, input_tokens=6, output_tokens=4, cost_usd=1.0)
    row = office.row("run_0")
    assert (row.runway, row.runway_at) == (runway[0], office.now + runway[1])


def test_a_price_next_to_nothing_gives_nobody_a_runway_without_end() -> None:
    office = capped(FLEET)
    agent, other = office.agent("run_0"), "run_1"
    office.agent(other)
    agent.usage(model="secret-model", turns=1, input_tokens=10, cost_usd=1e-305)
    office.pass_time(1)
    assert [(row.runway, row.runway_at) for row in (office.row("run_0"), office.row(other))] == [("", None)] * 2


def test_another_policy_keeps_what_was_counted() -> None:
    office = capped(DAY)
    agent = office.agent("run_0", agent="bot")
    spend(agent, 0.6)
    office.step(lambda now: office.desk.change_policy(policy(DAY.replace("1.0", "0.7")), "", now))
    spend(agent, 0.75)
    assert states(office, "run_0") == ["pausing"]


def test_a_policy_without_breakers_holds_nothing() -> None:
    office = capped(DAY)
    spend(office.agent("run_0", agent="bot"), 1.2)
    office.step(lambda now: office.desk.change_policy(policy(), "", now))
    assert (office.row("run_0").held_by, office.operator().ask("resume", run="run_0").ok) == ([], True)


TURNS = st.lists(
    st.tuples(st.sampled_from(["run_0", "run_1", "run_2"]), st.sampled_from(["begin", "end"]), st.integers(1, 40)),
    max_size=40,
)


@settings(max_examples=60, deadline=None)
@given(TURNS)
def test_no_interleaving_of_runs_spends_more_than_their_common_cap(steps: list[tuple[str, str, int]]) -> None:
    office = capped(FLEET)
    agents = {run: gateway(office, run) for run in ("run_0", "run_1", "run_2")}
    reserved: dict[str, dict[str, int]] = {run: {} for run in agents}
    used = dict.fromkeys(agents, 0)
    for number, (run, what, cents) in enumerate(steps):
        if what == "begin":
            reserved[run][f"m{number}"] = cents
            turn(agents[run], f"m{number}", usd=cents / 100)
        else:
            going = [call for call in allowed(agents[run]) if call in reserved[run]]
            if going:
                used[run] += reserved[run].pop(going[0]) * 1_000
                agents[run].say(
                    {"type": "usage", "model": "gpt", "turns": 1, "input_tokens": used[run]},
                    {"type": "tool", "id": going[0], "status": "completed"},
                )
        office.pass_time(0.01)
        under_way = sum(reserved[one].get(call, 0) for one in agents for call in allowed(agents[one]))
        assert sum(used.values()) / 1_000 + under_way <= 100
