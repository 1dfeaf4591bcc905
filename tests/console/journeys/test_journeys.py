"""What an operator does at night, key by key: a real console in tmux, a real hub, real agents; two consoles at once."""

from __future__ import annotations

import re
import tomllib

import pytest

from tests.console.journeys.world import World

WON = "✔ approve refund"
LOST = "approve refund .* refused: (another decision is being recorded|already [a-z]+ by (ana|ben))"
LATER_STEP = re.compile(r"step ([3-9]|\d\d+): looked at order")
"""None of the first, which may have scrolled away before a busy machine has drawn them."""

pytestmark = [pytest.mark.process, pytest.mark.slow]


def test_watch_and_open_a_run(world: World) -> None:
    run = world.agent("watched", "talks")
    console = world.console()
    console.shows("watched", "working")
    console.press("Enter")
    console.shows(run)
    console.until(lambda screen: LATER_STEP.search(screen) is not None, "a step that came while the run was open")


def test_approve_a_call(world: World) -> None:
    run = world.agent("approved", "refunds")
    console = world.console()
    console.shows("approved", "refund")
    console.press("2")
    console.shows("waits for a decision", "order: 7", "the customer was charged twice")
    console.act("a", "✔ approve refund")
    assert world.said("approved", "refunded")["refunded"] == {"amount": 12.5, "order": 7}
    assert "approval.decided" in world.audit(run)


def test_edit_a_call_and_see_the_difference_before_it_is_sent(world: World) -> None:
    world.agent("edited", "refunds")
    console = world.console()
    console.press("2")
    console.shows("waits for a decision")
    console.act("e", "edit the arguments of refund")
    console.press("Down", "End", *["Left"] * len("12.5,"), "Delete")
    console.shows('"amount": 2.5,')
    console.press("Escape")
    console.shows("12.5", "2.5", "a send")
    console.act("a", "✔ edit refund")
    assert world.said("edited", "refunded")["refunded"] == {"amount": 2.5, "order": 7}


def test_reject_a_call_with_a_reason_that_the_agent_reads(world: World) -> None:
    world.agent("rejected", "refunds")
    console = world.console()
    console.press("2")
    console.shows("waits for a decision")
    console.ask("d", "reason for the agent", "it was paid back on Monday")
    console.shows("✔ reject refund")
    assert "it was paid back on Monday" in world.said("rejected", "denied")["denied"]


def test_kill_a_run_and_read_the_receipt(world: World) -> None:
    run = world.agent("killed", "talks")
    console = world.console()
    console.shows("killed", "working")
    console.act("x", "KILL ", "cooperative")
    assert "stopped" in world.said("killed", "stopped")
    (row,) = world.runs("killed")
    assert (row["state"], row["kill"]["status"]) == ("killed", "dead")
    assert [kind for kind in world.audit(run) if kind.startswith("kill.")]


def test_kill_all_that_a_selector_names_and_nothing_else(world: World) -> None:
    world.agent("bystander", "talks")
    for number in range(3):
        world.agent(f"herd{number}", "talks")
    console = world.console()
    console.shows("herd0", "herd1", "herd2", "bystander")
    console.ask("/", "filter", "agent:herd0,herd1,herd2")
    console.no_longer_shows("bystander")
    console.ask("X", "WOULD STOP 3 live runs", "3")
    for number in range(3):
        assert world.said(f"herd{number}", "stopped")
    console.shows("KILL 3 runs: 3 dead")
    assert [row["state"] for row in world.runs("bystander")] == ["working"]


def test_take_over_answer_as_the_model_and_hand_back(world: World) -> None:
    world.agent("held", "asks its model")
    console = world.console()
    console.shows("held", "working")
    console.act("t", "you hold this run", "was order 7 charged twice?", "waits for")
    console.act("r", "answer as the model")
    console.type("yes, on Monday and on Tuesday")
    console.shows("yes, on Monday and on Tuesday")
    console.press("Escape")
    console.shows("a send")
    console.act("a", "✔ respond ")
    assert world.said("held", "answered")["answered"] == "yes, on Monday and on Tuesday"
    console.ask("R", "summary for it", "it was charged twice")
    assert "it was charged twice" in world.said("held", "read")["read"]


def test_a_hub_that_dies_is_said_and_one_that_is_back_is_live_again(world: World) -> None:
    world.agent("lasting", "talks")
    console = world.console()
    console.shows("lasting", "working")
    world.kill_hub()
    console.shows("OFFLINE", "decisions are off")
    world.start_hub()
    console.press("C-r")
    console.shows("● live", "lasting", "working")
    world.agent("later", "talks")
    console.shows("later")


def test_search_the_audit_and_verify_it(world: World) -> None:
    run = world.agent("noted", "talks")
    console = world.console()
    console.shows("noted", "working")
    console.ask("N", "note", "tea was spilt at four")
    console.shows("✔ annotate")
    console.press("4")
    console.ask("/", "audit filter", "tea was spilt")
    console.shows("tea was spilt at four", run[-6:])
    console.act("v", "✔ verified by the hub", "✔ signed head")


def test_replay_a_run_and_record_it_as_a_case(world: World) -> None:
    run = world.agent("recorded", "refunds")
    console = world.console()
    console.press("2")
    console.shows("waits for a decision")
    console.act("a", "✔ approve refund")
    world.said("recorded", "refunded")
    console.press("1")
    console.shows("recorded", "completed")
    console.press("h")
    console.shows("REPLAY", "refund")
    console.press("C")
    console.shows(".case.toml")
    (path,) = world.directory.glob("cases/*.case.toml")
    assert run in path.read_text()
    assert tomllib.loads(path.read_text())


def test_two_operators_see_each_other_claim_and_decide_and_exactly_one_wins(world: World) -> None:
    run = world.agent("contested", "refunds")
    ana, ben = world.console("ana"), world.console("ben")
    for console in (ana, ben):
        console.press("2")
        console.shows("waits for a decision", "order: 7")
    ana.shows("ben has it open too")
    ben.shows("ana has it open too")
    ana.act("c", "ana looks at it")
    ben.shows("ana looks at it")
    with world.hub_standing_still():
        ana.act("a", "approve refund: sent")
        ben.act("a", "approve refund: sent")
    screens = [
        console.until(lambda screen: re.search(WON + "|" + LOST, screen) is not None, "an answer")
        for console in (ana, ben)
    ]
    assert sorted((bool(re.search(WON, screen)), bool(re.search(LOST, screen))) for screen in screens) == [
        (False, True),
        (True, False),
    ]
    assert world.audit(run).count("approval.decided") == 1
    world.said("contested", "refunded")
