"""Breakers over time: what they take from before they began, what a crash leaves of them, and how they end late."""

from __future__ import annotations

import json
from collections import Counter, deque
from dataclasses import replace
from typing import Any

import pytest

from opsconsole.hub.desk import budgets
from opsconsole.hub.desk.effects import Store
from opsconsole.policy.file.policy import FilePolicy
from opsconsole.policy.interface import Proposal, Verdict
from tests.hub.desk.office import Agent, Office
from tests.hub.desk.test_desk_breakers import (
    DAY,
    FLEET,
    RATE,
    allowed,
    capped,
    gateway,
    policy,
    spend,
    states,
    turn,
)

HOUR = 'id = "hour"\nper = "fleet"\nwithin = "hour"\ntrip = { cost_usd = 10.0 }'
KILL = FLEET + '\non_trip = "kill"'
SLOW = 'id = "slow"\nper = "agent"\ntrip = { latency_ratio = 3.0 }'
LONG = 'id = "long"\nper = "run"\ntrip = { wall_clock = "5m" }'


def change(office: Office, *breakers: str) -> None:
    office.policy = policy(*breakers)
    office.step(lambda now: office.desk.change_policy(office.policy, "", now))


def call(agent: Agent, *numbers: int) -> None:
    for number in numbers:
        agent.propose(f"c{number}", "look", {"n": number})


def used(office: Office) -> float:
    return round(office.desk.budgets(office.now)[0]["used"], 6)


# -- from where they count ---------------------------------------------------------------------------------------------


def test_breakers_that_begin_with_a_reload_count_nothing_of_the_past() -> None:
    office = capped()
    agent = office.agent("run_0")
    spend(agent, 500.0)
    change(office, HOUR)
    spend(agent, 500.25)
    assert (states(office, "run_0"), used(office)) == (["working"], 0.25)


def test_what_is_used_while_there_are_no_breakers_is_in_no_window() -> None:
    office = capped(HOUR)
    agent = office.agent("run_0")
    spend(agent, 1.0)
    change(office)
    spend(agent, 500.0)
    change(office, HOUR)
    spend(agent, 500.25)
    assert (states(office, "run_0"), used(office)) == (["working"], 1.25)


def test_a_first_start_with_breakers_kills_nothing_for_what_was_used_before() -> None:
    office = capped()
    for number in range(3):
        agent = office.agent(f"run_{number}")
        spend(agent, 5.0)
        agent.state("completed")
    office.agent("run_9")
    office.pass_time(1)
    office.save_records()
    office.policy = policy(KILL)
    office.restart()
    assert (states(office, "run_9"), office.storage.kinds("breaker."), used(office)) == (["working"], [], 0.0)


def test_a_record_that_cannot_be_read_is_told_and_the_past_is_no_present() -> None:
    office = capped(HOUR)
    agent = office.agent("run_0")
    spend(agent, 9.0)
    office.save_records()
    office.saved["watch", "breakers"] = replace(office.saved["watch", "breakers"], body=b'{"state": 3}')
    office.restart()
    agent.connect()
    spend(agent, 9.5)
    assert ([one["of"] for one in office.storage.facts("record.unreadable")], used(office)) == (["watch"], 0.5)


def test_what_a_run_used_before_the_first_save_is_counted_after_a_crash() -> None:
    office = capped(HOUR)
    spend(office.agent("run_0"), 9.0)
    office.restart()
    assert used(office) == 9.0


@pytest.mark.parametrize("restarts", [False, True], ids=["at once", "after a restart"])
def test_what_a_gateway_tells_after_the_end_of_a_run_is_counted(restarts: bool) -> None:
    office = capped(FLEET)
    agent = office.agent("run_0")
    spend(agent, 0.1)
    agent.state("completed")
    office.agent("run_1")
    office.pass_time(1)
    if restarts:
        office.save_records()
        office.restart()
        agent.connect()
    spend(agent, 5.1)
    assert (states(office, "run_1"), office.storage.facts("breaker.tripped")[0]["reached"]) == (
        *(["pausing"], "$5.10 of $1"),
    )


# -- over a crash ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("rule", "state"), [(FLEET, "pausing"), (KILL, "stopping")], ids=["pause", "kill"])
def test_a_trip_that_a_crash_kept_off_the_record_is_acted_on_at_the_next_start(rule: str, state: str) -> None:
    office = capped(rule)
    agent = office.agent("run_0")
    office.hold()
    spend(agent, 1.5)
    office.commit(1)
    assert office.storage.kinds() == ["run.started"]
    office.restart()
    assert (states(office, "run_0"), len(office.storage.facts("breaker.tripped"))) == ([state], 1)
    office.restart()
    assert (states(office, "run_0"), len(office.storage.facts("breaker.tripped"))) == ([state], 1)


def test_a_trip_that_was_saved_before_it_was_on_record_is_put_on_record() -> None:
    office = capped(KILL)
    agent = office.agent("run_0")
    office.hold()
    spend(agent, 1.5)
    office.commit(1)
    office.save_records()
    office.restart()
    assert len(office.storage.facts("breaker.tripped")) == 1
    office.save_records()
    office.restart()
    assert len(office.storage.facts("breaker.tripped")) == 1


def test_no_call_that_waited_over_a_crash_is_let_go_under_a_trip() -> None:
    office = capped(FLEET)
    agent = office.agent("run_0")
    office.hold()
    agent.propose("c1", "look", {})
    spend(agent, 1.5)
    office.storage.waiting = deque(one for one in office.storage.waiting if isinstance(one[0], Store))
    office.commit()
    office.restart()
    agent.connect()
    assert (agent.verdicts("c1"), office.storage.kinds("call."), office.row("run_0").held_by) == ([], [], ["all"])


@pytest.mark.parametrize("took", [float("inf"), float("nan"), -1.0, 1e300], ids=["inf", "nan", "negative", "huge"])
def test_a_call_that_took_no_length_of_time_is_no_measure(took: float) -> None:
    office = capped(SLOW, DAY)
    agent = office.agent("run_0", agent="bot")
    spend(agent, 0.5)
    for number in range(140):
        call(agent, number)
        agent.tool(f"c{number}", "completed", duration_ms=took if number % 2 else 10.0)
        office.pass_time(0.1)
    office.save_records()
    body = json.loads(office.saved["watch", "breakers"].body or b"")
    assert set(body["state"]["usual"]["tool look"]) == {10.0}
    office.restart()
    assert (office.storage.facts("record.unreadable"), used(office)) == ([], 0.5)


# -- how they end ------------------------------------------------------------------------------------------------------


def test_a_run_that_another_breaker_holds_meanwhile_does_not_go_on_by_time() -> None:
    office = capped(RATE, FLEET)
    agent, other = office.agent("run_0"), office.agent("run_1")
    call(agent, 0, 1, 2)
    office.hold()
    office.pass_time(140)
    spend(other, 1.5)
    office.release()
    assert (states(office, "run_0"), office.row("run_0").held_by, agent.verdicts("c2")) == (["paused"], ["all"], [])


def test_a_resume_does_not_let_a_run_go_on_that_another_breaker_holds_meanwhile() -> None:
    office = capped(DAY, 'id = "few"\nper = "fleet"\ntrip = { turns = 3 }')
    agent, other = office.agent("run_0", agent="bot"), office.agent("run_1", agent="clerk")
    spend(agent, 1.5)
    office.hold()
    operator = office.operator()
    operator.ask("resume", run="run_0", caps={"cost_usd": 3.0, "turns": 9})
    other.say({"type": "usage", "model": "gpt", "turns": 3})
    office.release()
    answer = operator.answer_to(operator.given)
    assert (answer.code, answer.message) == ("precondition_failed", "another breaker has tripped meanwhile")
    assert (states(office, "run_0"), office.row("run_0").held_by) == (["pausing"], ["day", "few"])


def test_a_resume_that_was_refused_when_it_was_on_record_raises_no_cap_after_a_restart_either() -> None:
    office = capped(DAY, 'id = "few"\nper = "fleet"\ntrip = { turns = 3 }')
    agent, other = office.agent("run_0", agent="bot"), office.agent("run_1", agent="clerk")
    spend(agent, 1.5)
    office.hold()
    office.operator().ask("resume", run="run_0", caps={"cost_usd": 3.0, "turns": 9})
    other.say({"type": "usage", "model": "gpt", "turns": 3})
    office.release()
    assert [one["was_recorded"] for one in office.storage.facts("command.refused")] == [True]
    before = office.desk.budgets(office.now)
    office.restart()
    assert (office.desk.budgets(office.now), office.row("run_0").held_by) == (before, ["day", "few"])


def test_a_breaker_ends_once_however_slow_the_disk_is() -> None:
    office = capped(RATE)
    call(office.agent("run_0"), 0, 1, 2)
    office.hold()
    office.pass_time(200)
    office.release()
    assert (states(office, "run_0"), len(office.storage.facts("breaker.resumed"))) == (["resuming"], 1)


def test_an_end_that_storage_refused_is_tried_again() -> None:
    office = capped(RATE)
    call(office.agent("run_0"), 0, 1, 2)
    office.storage.problem = "disk full"
    office.pass_time(150)
    assert states(office, "run_0") == ["paused"]
    office.storage.problem = ""
    office.pass_time(30)
    assert states(office, "run_0") == ["resuming"]


def test_an_end_that_comes_late_ends_no_newer_trip() -> None:
    office = capped(RATE)
    agent = office.agent("run_0")
    call(agent, 0, 1, 2)
    office.hold()
    office.pass_time(140)
    change(office)
    change(office, RATE)
    assert office.row("run_0").held_by == []
    call(agent, 3, 4, 5)
    office.release()
    assert office.row("run_0").held_by == ["rate"]


def test_a_wall_clock_that_comes_with_a_reload_trips_without_any_event() -> None:
    office = capped()
    office.agent("run_0")
    change(office, LONG)
    office.pass_time(310)
    assert (states(office, "run_0"), office.row("run_0").held_by) == (["pausing"], ["long"])


# -- who waits ---------------------------------------------------------------------------------------------------------


def waiting(rule: str = FLEET) -> tuple[Office, Agent, Agent]:
    """One run has reserved most of the budget, a turn of another waits."""
    office = capped(rule)
    first, second = gateway(office, "run_0"), gateway(office, "run_1")
    turn(first, "m1", usd=0.9)
    turn(second, "m1", usd=0.5)
    office.pass_time(0.1)
    assert allowed(second) == []
    return office, first, second


def test_a_turn_hears_of_the_end_of_the_run_it_waits_for() -> None:
    office, first, second = waiting('id = "all"\nper = "fleet"\nwithin = "hour"\ntrip = { cost_usd = 1.0 }')
    first.state("failed")
    office.pass_time(1)
    assert (allowed(second), states(office, "run_1"), office.row("run_1").held_by) == ([], ["paused"], ["all"])


def test_a_turn_that_waits_hears_of_a_raised_cap() -> None:
    office, _first, second = waiting()
    assert office.operator().ask("budget", account="all/fleet/all", caps={"cost_usd": 9.0}, note="more").ok
    office.pass_time(0.1)
    assert allowed(second) == ["m1"]


def test_a_turn_that_waits_hears_of_another_policy() -> None:
    office, _first, second = waiting()
    change(office, FLEET.replace("1.0", "9.0"))
    office.pass_time(0.1)
    assert allowed(second) == ["m1"]


class Judging:
    """A policy that counts what it is asked."""

    def __init__(self, policy: FilePolicy) -> None:
        self._policy = policy
        self.asked: Counter[str] = Counter()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._policy, name)

    def judge(self, proposal: Proposal) -> Verdict:
        self.asked[proposal.run] += 1
        return self._policy.judge(proposal)


def test_turns_that_wait_are_judged_again_only_when_there_is_room() -> None:
    judging = Judging(policy('id = "all"\nper = "fleet"\ntrip = { cost_usd = 100.0 }'))
    office = Office(policy=judging)
    holders = [gateway(office, f"run_{number}") for number in range(10)]
    waiters = [gateway(office, f"run_w{number}") for number in range(20)]
    for holder in holders:
        turn(holder, "m1", usd=9.9)
    for waiter in waiters:
        turn(waiter, "m1", usd=60.0)
    judging.asked.clear()
    for holder in holders[:5]:
        holder.say({"type": "tool", "id": "m1", "status": "completed"})
        office.pass_time(0.1)
    assert (sum(judging.asked.values()), [len(allowed(one)) for one in waiters]) == (0, [0] * 20)
    holders[5].say({"type": "tool", "id": "m1", "status": "completed"})
    office.pass_time(0.1)
    assert sum(judging.asked.values()) == sum(len(allowed(one)) for one in waiters) == 1


OWN = 'id = "own"\nper = "run"\ntrip = { cost_usd = 1.0 }'
RUNS_HOUR = 'id = "own"\nper = "run"\nwithin = "hour"\ntrip = { cost_usd = 1.0 }'


def test_a_run_that_was_over_before_the_record_is_not_counted_again_when_its_count_is_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(budgets, "COUNTED_KEPT_MAX", 1)
    office = capped(HOUR)
    for number in range(2):
        agent = office.agent(f"run_{number}")
        spend(agent, 2.0)
        agent.state("completed")
    office.agent("run_9")
    office.save_records()
    office.restart()
    assert used(office) == 4.0


def test_a_reservation_of_a_turn_that_a_crash_made_unknown_holds_nobody_up() -> None:
    office = capped(FLEET)
    first, second = gateway(office, "run_0"), gateway(office, "run_1")
    office.save_records()
    earlier, marks = dict(office.saved), office.marks
    office.hold()
    turn(first, "m1", usd=0.9)
    office.save_records()
    office.saved, office.marks = earlier | {key: office.saved[key] for key in office.saved if key[0] == "watch"}, marks
    office.restart()
    second.connect()
    turn(second, "m1", usd=0.5)
    assert allowed(second) == ["m1"]


def test_one_resume_raises_the_runs_own_cap_and_that_of_a_breaker_where_both_hold_it() -> None:
    office = capped(OWN, DAY)
    agent = office.agent("run_0", agent="bot")
    spend(agent, 1.5)
    assert office.operator().ask("resume", run="run_0", caps={"cost_usd": 3.0}).ok
    assert (states(office, "run_0"), office.row("run_0").caps.cost_usd) == (["resuming"], 3.0)


def test_what_a_gateway_tells_after_the_end_of_a_run_trips_nothing_of_that_run_alone() -> None:
    office = capped(RUNS_HOUR)
    agent = office.agent("run_0")
    spend(agent, 0.1)
    agent.state("completed")
    office.pass_time(1)
    spend(agent, 5.1)
    assert office.storage.kinds("breaker.") == []
