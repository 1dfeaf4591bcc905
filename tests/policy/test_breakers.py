"""Breakers trip, hold and let go; what was counted and decided outlives a restart."""

from __future__ import annotations

import json

import pytest

from opsconsole.policy.breakers import TOOLS_MAX, Amount, Breakers, Note, StillReached, Subject
from opsconsole.policy.file.settings import BreakerRule, Per
from opsconsole.policy.rules.pattern import EVERY, Pattern

TURN = Amount(cost_usd=1.0, turns=1, tokens=1_000)
CALL = Amount(tool_calls=1)
HOUR = 3_600.0


def breakers(*rules: BreakerRule) -> Breakers:
    made = Breakers(rules)
    for run, agent, team in (("r1", "bot", "a"), ("r2", "bot", "b"), ("r3", "other", "a")):
        made.started(Subject(run=run, agent=agent, labels={"team": team}, started_at=0.0))
    return made


def rule(per: Per = Per.RUN, **more) -> BreakerRule:
    trip = more.pop("trip", {"cost_usd": 3.0})
    agent = Pattern.parse(more.pop("agent")) if "agent" in more else EVERY
    return BreakerRule(id="cap", per=per, trip=trip, agent=agent, **more)


def spend(made: Breakers, run: str, count: int = 1, at: float = 0.0) -> list[tuple[str, str]]:
    return [(str(one.note), one.text) for _ in range(count) for one in made.use(run, TURN, at)]


def held(made: Breakers) -> list[str]:
    return [run for run in ("r1", "r2", "r3") if made.holding(run)]


def test_a_cap_warns_at_its_share_and_trips_when_it_is_reached_each_once() -> None:
    made = breakers(rule(warn_at=0.6))
    assert spend(made, "r1", 5) == [("warn", "$2 of $3"), ("trip", "$3 of $3")]
    assert held(made) == ["r1"]


@pytest.mark.parametrize(
    ("given", "holds"),
    [
        (rule(Per.RUN), ["r1"]),
        (rule(Per.AGENT), ["r1", "r2"]),
        (rule(Per.LABEL, label="team"), ["r1", "r3"]),
        (rule(Per.FLEET), ["r1", "r2", "r3"]),
        (rule(Per.DAY, agent="bot"), ["r1", "r2"]),
        (rule(Per.DAY, label="team=a"), ["r1", "r3"]),
    ],
    ids=["run", "agent", "label", "fleet", "agent's day", "label's day"],
)
def test_a_breaker_holds_all_whose_use_it_adds_up(given: BreakerRule, holds: list[str]) -> None:
    made = breakers(given)
    spend(made, "r1", 3)
    assert held(made) == holds


def test_a_breaker_about_other_agents_counts_nothing() -> None:
    assert spend(breakers(rule(agent="billing*")), "r1", 9) == []


@pytest.mark.parametrize(("within", "seconds"), [("hour", HOUR), ("day", 24 * HOUR)])
def test_what_leaves_the_window_counts_no_more(within: str, seconds: float) -> None:
    made = breakers(rule(Per.AGENT, within=within))
    assert spend(made, "r1", 2) == []
    assert spend(made, "r1", at=seconds * 1.05) == []
    assert spend(made, "r1", 2, at=seconds * 1.06) == [
        ("trip", "$3 of $3 in an hour" if within == "hour" else "$3 of $3 in a day")
    ]


def test_rates_count_calls_of_the_last_minute_and_of_the_same_tool() -> None:
    made = breakers(rule(Per.AGENT, trip={"tool_calls_per_minute": 5, "same_tool_per_minute": 3}))
    assert [made.use("r1", CALL, 0.0, tool) for tool in ("a", "b", "a", "b")] == [[]] * 4
    assert [one.limit for one in made.use("r1", CALL, 1.0, "a")] == ["tool_calls_per_minute"]
    made = breakers(rule(Per.AGENT, trip={"same_tool_per_minute": 3}))
    assert [len(made.use("r1", CALL, float(at), "a")) for at in range(4)] == [0, 0, 1, 0]


def test_a_turn_that_fits_only_without_the_others_waits_and_one_that_never_fits_trips() -> None:
    made = breakers(rule())
    two = Amount(cost_usd=2.0, turns=1)
    assert made.reserve("a", "r1", two, 0.0).admitted
    assert made.reserve("b", "r1", two, 0.0).waits
    assert made.settle("a", two, 1.0) == []
    short = made.reserve("b", "r1", two, 1.0)
    assert [(one.note, one.text) for one in short.notices] == [(Note.TRIP, "a turn reserves $2, $1 is left")]
    assert not made.reserve("c", "r1", Amount(cost_usd=0.1), 2.0).admitted


def test_a_model_without_a_price_is_an_alarm_and_counts_as_what_was_reserved() -> None:
    made = breakers(rule())
    made.reserve("a", "r1", Amount(cost_usd=2.0), 0.0)
    assert [one.note for one in made.settle("a", Amount(cost_usd=None), 1.0)] == [Note.UNPRICED]
    assert spend(made, "r1") == [("trip", "$3 of $3")]
    assert [one.note for one in breakers(rule()).reserve("a", "r1", Amount(cost_usd=None), 0.0).notices] == [
        Note.UNPRICED
    ]


def test_the_alarm_about_a_price_is_told_once_an_account() -> None:
    made = breakers(rule(Per.AGENT))
    assert [len(made.use(run, Amount(cost_usd=None, turns=1), 0.0)) for run in ("r1", "r2", "r3")] == [1, 0, 1]


def test_a_run_may_last_only_so_long() -> None:
    made = breakers(rule(trip={"wall_clock": 600.0}))
    assert made.tick(599.0) == []
    assert [one.text for one in made.tick(600.0)] == ["runs for 10 min of 10 min"] * 3
    assert made.tick(601.0) == []
    assert held(made) == ["r1", "r2", "r3"]


def test_slow_calls_in_a_row_trip_and_a_fast_one_breaks_the_row() -> None:
    made = breakers(rule(Per.AGENT, trip={"latency_ratio": 3.0, "in_a_row": 3}))
    for at in range(20):
        made.latency("r1", "gpt-5", 100.0, float(at))
    slow = [made.latency("r1", "gpt-5", ms, 30.0) for ms in (301, 301, 299, 301, 301, 301)]
    assert [len(one) for one in slow] == [0, 0, 0, 0, 0, 1]
    assert slow[-1][0].text == "gpt-5 took over 3 times its usual 100 ms, 3 calls in a row"


def test_resuming_needs_a_raised_cap_while_it_is_reached() -> None:
    made = breakers(rule())
    spend(made, "r1", 3)
    account = made.holding("r1")[0].account
    with pytest.raises(StillReached, match=r"\$3 of \$3"):
        made.resume("cap", account, 1.0)
    with pytest.raises(StillReached):
        made.resume("cap", account, 1.0, {"cost_usd": 2.5})
    assert made.resume("cap", account, 1.0, {"cost_usd": 5.0}).note is Note.RESUME
    assert spend(made, "r1", 2) == [("trip", "$5 of $5")]
    assert spend(made, "r2", 3) == [("trip", "$3 of $3")]


def test_a_breaker_with_a_time_lets_go_by_itself_once_there_is_room() -> None:
    made = breakers(rule(Per.AGENT, trip={"tool_calls_per_minute": 2}, resume_seconds=30.0))
    for _ in range(2):
        made.use("r1", CALL, 0.0)
    assert [made.tick(at) for at in (29.0, 30.0)] == [[], []]
    assert [one.note for one in made.tick(90.0)] == [Note.RESUME]
    assert held(made) == []


def test_windows_trips_caps_and_reservations_outlive_a_restart() -> None:
    given = rule(Per.AGENT, warn_at=0.5)
    made = breakers(given)
    made.reserve("a", "r1", TURN, 0.0)
    spend(made, "r2", 3)
    made.set_cap("cap", made.holding("r1")[0].account, "cost_usd", 4.0)
    again = Breakers.load([given], json.loads(json.dumps(made.dump())))
    for run in ("r1", "r2"):
        again.started(Subject(run=run, agent="bot"))
    assert again.holding("r1") == made.holding("r1")
    assert again.dump() == made.dump()
    assert again.settle("a", TURN, 2.0) == made.settle("a", TURN, 2.0)


def test_a_run_that_ends_leaves_what_it_reserved_as_spent_by_its_agent() -> None:
    made = breakers(rule(Per.AGENT))
    made.reserve("a", "r1", Amount(cost_usd=2.0), 0.0)
    made.ended("r1", 1.0)
    assert spend(made, "r2") == [("trip", "$3 of $3")]


def test_other_rules_keep_the_count_of_a_breaker_of_the_same_name() -> None:
    made = breakers(rule())
    spend(made, "r1", 2)
    made.replace_rules([rule(trip={"cost_usd": 2.5})])
    assert spend(made, "r1") == [("trip", "$3 of $2.50")]
    made.replace_rules([])
    assert held(made) == []


def test_the_runway_of_a_run_begins_with_what_ends_first() -> None:
    made = breakers(rule(trip={"cost_usd": 10.0, "turns": 6}))
    for minute in range(5):
        made.use("r1", TURN, 1_000_020.0 + minute * 60)
    ways = made.runways("r1", 1_000_020.0 + 299)
    assert [way.text() for _, way in ways] == [
        "1.0 turns/min, reaches its 6 turns cap at 13:52",
        "$1.00/min, reaches its $10 cap at 13:56",
    ]


def test_tools_beyond_a_bound_share_one_count_as_agents_choose_their_names() -> None:
    made = breakers(rule(Per.AGENT, trip={"same_tool_per_minute": 100}))
    for number in range(1_000):
        made.use("r1", CALL, float(number), f"tool{number}")
    assert len({account for account, *_ in made.dump()["ledger"]["windows"]}) == TOOLS_MAX + 1


def test_tools_that_are_one_too_many_trip_together() -> None:
    made = breakers(rule(Per.AGENT, trip={"same_tool_per_minute": 3}))
    told = [made.use("r1", CALL, 0.0, f"tool{number}") for number in range(TOOLS_MAX + 3)]
    assert [len(one) for one in told] == [0] * (TOOLS_MAX + 2) + [1]
    assert [one.account for one in made.holding("r2")] == ["cap/agent/bot"]


@pytest.mark.parametrize(
    ("set_to", "written", "holds"),
    [(9.0, 3.0, 9.0), (9.0, 2.0, 2.0), (9.0, 5.0, 5.0), (1.0, 5.0, 1.0), (1.0, 0.5, 0.5), (9.0, 20.0, 9.0)],
)
def test_a_cap_that_a_person_set_holds_until_the_file_says_otherwise_then_the_stricter(
    set_to: float, written: float, holds: float
) -> None:
    made = breakers(rule(Per.AGENT))
    made.set_cap("cap", "cap/agent/bot", "cost_usd", set_to)
    made = Breakers.load([rule(Per.AGENT)], json.loads(json.dumps(made.dump())))
    assert made.caps_of("cap", "cap/agent/bot") == {"cost_usd": set_to}
    made.replace_rules([rule(Per.AGENT, trip={"cost_usd": written})])
    assert made.caps_of("cap", "cap/agent/bot") == {"cost_usd": holds}


def test_a_cap_that_a_stricter_file_has_ended_does_not_come_back_with_the_file_of_before() -> None:
    made = breakers(rule(Per.AGENT))
    made.set_cap("cap", "cap/agent/bot", "cost_usd", 9.0)
    for written in (1.0, 3.0):
        made.replace_rules([rule(Per.AGENT, trip={"cost_usd": written})])
        assert made.caps_of("cap", "cap/agent/bot") == {"cost_usd": written}


def test_a_cap_of_an_older_record_holds_until_the_file_changes() -> None:
    state = breakers().dump() | {"raised": [["cap", "cap/agent/bot", "cost_usd", 9.0], ["gone", "a", "turns", 9.0]]}
    made = Breakers.load([rule(Per.AGENT)], state)
    assert made.caps_of("cap", "cap/agent/bot") == {"cost_usd": 9.0}
    made.replace_rules([rule(Per.AGENT, trip={"cost_usd": 2.0})])
    assert made.caps_of("cap", "cap/agent/bot") == {"cost_usd": 2.0}


@pytest.mark.parametrize("account", ["cap/agent/bot", None])
def test_a_cap_below_what_was_used_trips_when_it_is_looked_at(account: str | None) -> None:
    made = breakers(rule(Per.AGENT))
    spend(made, "r1", 2)
    made.set_cap("cap", "cap/agent/bot", "cost_usd", 1.0)
    assert [(one.note, one.text) for one in made.recheck(1.0, account)] == [(Note.TRIP, "$2 of $1")]
    assert (held(made), made.recheck(1.0, account)) == (["r1", "r2"], [])


def test_a_wall_clock_of_seconds_is_told_in_seconds() -> None:
    made = breakers(rule(trip={"wall_clock": 8.0}))
    assert made.tick(11.0)[0].text == "runs for 11 s of 8 s"


def test_nothing_of_a_run_alone_is_kept_once_it_is_over() -> None:
    made = breakers(rule(trip={"cost_usd": 3.0, "same_tool_per_minute": 9, "wall_clock": 60.0}, warn_at=0.1))
    before = made.dump()
    for tool in ("a", "b"):
        made.use("r1", Amount(cost_usd=1.0, tool_calls=1), 0.0, tool)
    made.use("r1", Amount(cost_usd=None, turns=1), 0.0)
    for limit in ("cost_usd", "wall_clock"):
        made.set_cap("cap", "cap/run/r1", limit, 9.0)
    made.ended("r1", 1.0)
    assert made.dump() == before


def test_tools_that_were_not_called_for_long_are_forgotten_over_a_restart_too() -> None:
    given = rule(Per.AGENT, trip={"same_tool_per_minute": 9})
    made = breakers(given)
    made.use("r1", CALL, 0.0, "a")
    made = Breakers.load([given], json.loads(json.dumps(made.dump())))
    made.forget_idle(30.0)
    assert made.dump()["tools"] == {"cap/agent/bot": ["a"]}
    made.forget_idle(2 * HOUR)
    assert (made.dump()["tools"], made.dump()["ledger"]["windows"]) == ({}, [])


def test_a_latency_that_is_no_number_in_a_record_is_left_out() -> None:
    given = rule(Per.AGENT, trip={"latency_ratio": 3.0})
    state = breakers(given).dump() | {"usual": {"gpt-5": [100.0, None]}}
    assert Breakers.load([given], state).dump()["usual"] == {"gpt-5": [100.0]}


def test_whether_a_turn_must_wait_is_told_without_keeping_room() -> None:
    made = breakers(rule())
    two = Amount(cost_usd=2.0)
    assert [made.must_wait("r1", two, 0.0) for _ in range(3)] == [False] * 3
    made.reserve("a", "r1", two, 0.0)
    assert (made.must_wait("r1", two, 0.0), made.must_wait("r1", Amount(cost_usd=9.0), 0.0)) == (True, False)


def test_a_cap_that_a_person_set_outlives_a_file_that_says_nothing_of_its_limit() -> None:
    made = breakers(rule(Per.AGENT))
    made.set_cap("cap", "cap/agent/bot", "cost_usd", 1.0)
    for rules in ([], [rule(Per.AGENT)]):
        made.replace_rules(rules)
    assert made.caps_of("cap", "cap/agent/bot") == {"cost_usd": 1.0}


def test_a_cap_that_the_file_has_come_to_say_itself_is_the_files_from_then_on() -> None:
    made = breakers(rule(Per.AGENT))
    made.set_cap("cap", "cap/agent/bot", "cost_usd", 2.0)
    for written in (2.0, 9.0):
        made.replace_rules([rule(Per.AGENT, trip={"cost_usd": written})])
    assert made.caps_of("cap", "cap/agent/bot") == {"cost_usd": 9.0}


def test_the_wall_clock_of_an_agents_breaker_holds_the_run_that_has_lasted_so_long_and_no_other() -> None:
    made = breakers(rule(Per.AGENT, agent="bot", trip={"wall_clock": 60.0}))
    made.started(Subject(run="r2", agent="bot", labels={"team": "b"}, started_at=100.0))
    made.tick(120.0)
    assert held(made) == ["r1"]
