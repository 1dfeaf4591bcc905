"""What is said of a run: claim and link joined, and never more than is known."""

from datetime import UTC
from typing import Any

import pytest

from opsconsole.console.sample import NOW, run
from opsconsole.console.view.ingest import run_row
from opsconsole.console.view.status import NEEDS_ME, Rank, Status, runway_ends, status_of

KILL = {
    "command": "c",
    "by": "ana",
    "mode": "ladder",
    "reason": "",
    "sent_at": NOW - 20,
    "proof": "none",
    "points": [],
}


def status(**fields: Any) -> Status:
    return status_of(run_row(run("run_1", "coder", **fields)), now=NOW, zone=UTC)


def test_a_run_on_a_lost_link_is_unknown_since_then_and_never_working() -> None:
    assert status(link="lost", link_since=NOW - 640) == Status(
        glyph="◌",
        word="unknown",
        tone="bad",
        rank=Rank.UNKNOWN,
        now="since 03:02 (was working)",
        since=NOW - 640,
    )


@pytest.mark.parametrize("link", ["stale", "lost", "detached"])
@pytest.mark.parametrize("state", ["working", "idle", "submitted", "input_required", "resuming", "paused"])
def test_no_state_is_claimed_over_a_link_that_is_not_live(state: str, link: str) -> None:
    assert status(state=state, link=link).word in ("silent", "unknown", "detached")


def test_an_ended_run_stays_ended_whatever_its_link() -> None:
    assert status(state="completed", link="lost", ended_at=NOW - 5).word == "done"


def test_a_pending_approval_says_what_is_held_and_how_many_more() -> None:
    found = status(pending_approvals=3, doing="shell rm x", state="input_required")
    assert (found.word, found.now, found.rank) == ("approval", "shell rm x +2", Rank.APPROVAL)


def test_an_unconfirmed_kill_is_the_loudest_thing_there_is() -> None:
    found = status(state="stopping", kill={**KILL, "status": "unconfirmed"}, pending_approvals=1)
    assert (found.word, found.tone, found.rank) == ("KILL?", "alarm", Rank.UNCONFIRMED)
    assert found.now == "KILL UNCONFIRMED for 20s: no proof of death"


@pytest.mark.parametrize("state", ["completed", "killed", "failed"])
def test_a_claimed_end_does_not_silence_an_unconfirmed_kill(state: str) -> None:
    found = status(state=state, ended_at=NOW - 30, kill={**KILL, "status": "unconfirmed"})
    assert (found.word, found.tone, found.rank) == ("KILL?", "alarm", Rank.UNCONFIRMED)


def test_a_claimed_end_under_a_kill_is_not_believed_before_its_proof() -> None:
    found = status(state="completed", ended_at=NOW - 1, kill={**KILL, "status": "stopping"})
    assert (found.word, found.now) == ("stopping", "killed by ana: waiting for proof")


def test_a_run_that_is_being_stopped_is_not_said_to_be_dead() -> None:
    found = status(state="stopping", kill={**KILL, "status": "sent"})
    assert (found.word, found.now) == ("stopping", "killed by ana: waiting for proof")


def test_a_zombie_is_shown_as_one() -> None:
    assert status(state="killed", zombie=True, ended_at=NOW - 9).word == "zombie"


def test_a_beat_without_progress_does_not_hide_a_hang() -> None:
    found = status(progress_at=NOW - 250, doing="shell make")
    assert (found.word, found.now) == ("stalled", "no step for 4m10: shell make")


def test_waiting_for_another_agent_is_not_stalling() -> None:
    waiting = {"kind": "handoff", "what": "writer", "since": NOW - 250}
    assert status(progress_at=NOW - 250, waiting=waiting).word == "working"


def test_a_paused_run_that_has_used_up_a_cap_says_which() -> None:
    found = status(state="paused", cost_usd=5.1, reason="cost $5.10 of $5.00")
    assert (found.word, found.now) == ("capped", "cost $5.10 of $5.00")


SPENDS_ON = {"state": "pausing", "cost_usd": 100.62, "turns": 241, "caps": {"cost_usd": 5.0, "turns": 200}}


def test_a_capped_run_that_goes_on_is_said_to_go_on_and_stands_above_every_question() -> None:
    found = status(**SPENDS_ON, pending_approvals=1, waiting={"kind": "pause", "what": "limit", "since": NOW - 20})
    assert found.now == "OVER CAP, GOES ON: $100.62 of $5.00, 241 of 200 turns"
    assert (found.word, found.tone) == ("overrun", "alarm")
    assert found.rank < Rank.APPROVAL


def test_a_capped_run_whose_last_turn_may_still_be_ending_is_not_said_to_be_paused() -> None:
    waiting = {"kind": "pause", "what": "limit", "since": NOW - 2}
    found = status(**SPENDS_ON, reason="cost $5.10 of $5.00", waiting=waiting)
    assert (found.word, found.now) == ("capped", "not paused yet: cost $5.10 of $5.00")


def test_a_taken_over_run_says_who_holds_it_and_for_how_long() -> None:
    baton = {"by": "ana", "since": NOW - 60, "until": NOW + 90, "epoch": 1}
    assert status(baton=baton).now == "held by ana, 1m30 left"


def test_a_failure_needs_a_person_only_while_it_is_fresh() -> None:
    assert status(state="failed", ended_at=NOW - 60).rank is Rank.FAILED
    assert status(state="failed", ended_at=NOW - 6_000).rank is Rank.ENDED


def test_what_needs_a_person_is_everything_up_to_a_stalled_run() -> None:
    assert {Rank.APPROVAL, Rank.UNKNOWN, Rank.STALLED} <= NEEDS_ME
    assert not NEEDS_ME & {Rank.WORKING, Rank.PAUSED, Rank.ENDED, Rank.STOPPING}


def test_a_run_waits_for_the_call_that_is_held_and_not_for_the_one_that_runs() -> None:
    waiting = {"kind": "approval", "what": "send_wire", "since": NOW - 5, "id": "apr_1"}
    found = status(doing="search 4", pending_approvals=2, pending_risk="critical", waiting=waiting)
    assert found.now == "CRIT send_wire +1"


def test_a_dead_run_says_what_proves_it() -> None:
    found = status(state="killed", ended_at=NOW, kill={**KILL, "status": "dead", "proof": "process"})
    assert found.now == "killed by ana, proof: process"


def test_a_frozen_run_is_said_to_be_frozen_though_its_process_can_send_nothing() -> None:
    found = status(frozen=True, link="lost", link_since=NOW - 30, progress_at=NOW - 40, doing="shell make")
    assert (found.word, found.rank, found.now) == ("frozen", Rank.PAUSED, "its processes stand still: shell make")


def test_a_frozen_run_whose_supervisor_is_not_heard_is_unknown() -> None:
    points = [{"name": "supervisor", "link": "lost", "caps": ["kill_process", "freeze"]}]
    found = status(frozen=True, link="lost", link_since=NOW - 640, points=points)
    assert (found.word, found.now) == ("unknown", "since 03:02 (was frozen)")


def test_a_frozen_run_with_a_held_call_still_waits_for_a_person() -> None:
    assert status(frozen=True, pending_approvals=1).rank is Rank.APPROVAL


@pytest.mark.parametrize(("seconds", "rank"), [(2, Rank.STOPPING), (20, Rank.UNKNOWN)])
def test_an_end_that_the_supervisor_has_not_proved_is_only_the_runs_own_word(seconds: float, rank: Rank) -> None:
    found = status(state="completed", outlived=True, ended_at=NOW - seconds)
    assert (found.word, found.rank) == ("ended?", rank)
    assert found.now == "done by its own word: process not proven gone"


def test_a_run_paused_for_its_budget_is_capped_though_it_has_spent_less() -> None:
    alert = {"id": "a", "kind": "limit", "text": "paused at its limit: budget", "level": "critical", "at": NOW}
    assert (status(state="paused", alerts=[alert]).word, status(state="paused").word) == ("capped", "paused")


def test_a_run_that_is_capped_again_says_by_what_and_not_how_it_went_on_before() -> None:
    alert = {"id": "a", "kind": "limit", "text": "paused at its limit: $8.01 of $8.00", "level": "critical", "at": NOW}
    found = status(state="paused", reason="resumed by ana", alerts=[alert])
    assert (found.word, found.now) == ("capped", "paused at its limit: $8.01 of $8.00")


def test_a_run_that_a_breaker_holds_says_so_and_not_of_what_another_warns() -> None:
    trip = {"id": "a", "kind": "breaker", "text": "breaker day: $20.00 of $20.00", "level": "critical", "at": NOW - 9}
    warning = {**trip, "id": "b", "text": "breaker week: 80% of $100.00", "level": "warning", "at": NOW}
    assert status(state="paused", held_by=["day"], alerts=[trip, warning]).now == "breaker day: $20.00 of $20.00"


@pytest.mark.parametrize(
    ("state", "now"),
    [
        ("working", "the same call failed 14 times"),
        ("pausing", "not paused yet: the same call failed 14 times"),
        ("paused", "paused: the same call failed 14 times"),
    ],
)
def test_a_paused_run_with_an_alert_looks_paused(state: str, now: str) -> None:
    alert = {"id": "a", "kind": "loop", "text": "the same call failed 14 times", "level": "critical", "at": NOW}
    found = status(state=state, alerts=[alert])
    assert (found.word, found.now) == ("alert", now)


@pytest.mark.parametrize(
    ("fields", "ends"),
    [
        ({}, NOW + 300),
        ({"state": "paused"}, None),
        ({"state": "pausing"}, None),
        ({"frozen": True}, None),
        ({"state": "failed"}, None),
        ({"runway": ""}, None),
    ],
    ids=["working", "paused", "pausing", "frozen", "ended", "none"],
)
def test_only_a_run_that_goes_on_reaches_its_cap(fields: dict[str, Any], ends: float | None) -> None:
    about = {"runway": "its $10.00 cap", "runway_at": NOW + 300, **fields}
    assert runway_ends(run_row(run("run_1", "coder", **about))) == ends
