"""A shift in one line: what is counted, what is left, and how people decided."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest

from opsconsole.console import sample_history
from opsconsole.console.sample import approvals, run
from opsconsole.console.view.amounts import day_and_time
from opsconsole.console.view.digest import Note, Standing, digest_details, digest_line, digest_of
from opsconsole.console.view.ingest import held_call, run_row
from opsconsole.console.view.judges import judge_words, judges
from opsconsole.console.view.shift_lines import standing
from opsconsole.console.view.since import since_of
from opsconsole.domain.approval import OPEN
from opsconsole.protocol.audit_words import WORDS

ANA = {"principal": "ana", "role": "operator"}
BEN = {"principal": "ben", "role": "admin"}
HUB = {"principal": "hub", "role": "admin", "token": ""}
"""As the hub writes of itself."""


def entry(at: float, kind: str, who: dict[str, str] = HUB, **fields: Any) -> dict[str, Any]:
    return {"seq": int(at), "at": at, "kind": kind, "who": who, **fields}


SHIFT = [
    entry(90, "kill", ANA, runs=["r0"]),
    entry(100, "run.started", run="r1"),
    entry(101, "approval.requested", approval="a1"),
    entry(102, "approval.requested", approval="a2"),
    entry(103, "approval.requested", approval="a3"),
    entry(110, "approval.decided", ANA, approval="a1", answer="approve", seconds_to_decide=9.0, args={"q": "x" * 10}),
    entry(111, "approval.expired", approval="a2"),
    entry(120, "kill", BEN, runs=["r1"]),
    entry(121, "kill.outcome", run="r1", status="unconfirmed"),
    entry(122, "kill.outcome", run="r1", status="dead"),
    entry(130, "run.ended", run="r1", state="killed", cost_usd=40.6),
    entry(140, "run.annotate", ANA, run="r1", text="came \x1b]52;c;eA==\x07 back twice"),
    entry(150, "call.unpermitted", run="r1"),
]


def test_a_shift_is_one_line_with_what_stands_now() -> None:
    digest = digest_of(SHIFT, since=100.0)
    now = Standing(left=5, cost_usd=47.75)
    assert digest_line(digest, "02:00", now) == "since 02:00: 1 kill, 1 approval, 5 left, $88"


def test_a_shift_whose_hub_is_not_asked_says_what_its_record_tells() -> None:
    line = digest_line(digest_of(SHIFT, since=100.0), "02:00")
    assert line == "since 02:00: 1 kill, 1 approval, 1 of those asked since left, $41 by runs that ended"


def test_a_cost_of_which_a_part_has_no_price_is_at_least_so_much() -> None:
    now = Standing(left=0, cost_usd=2.0, cost_known=False)
    assert digest_line(digest_of([], since=1.0), "02:00", now).endswith("0 left, ≥$2")


def test_a_refusal_is_no_approval() -> None:
    told = [entry(110, "approval.decided", ANA, approval=answer, answer=answer) for answer in ("reject", "edit")]
    digest = digest_of(told, since=100.0)
    assert (digest.approvals, digest.refusals) == (1, 1)
    assert ", 1 approval, 1 refusal, " in digest_line(digest, "02:00")


def test_a_question_that_went_back_to_its_agent_is_not_left() -> None:
    asked = [entry(101, "approval.requested", approval="a1"), entry(102, "approval.handed_back", approval="a1")]
    assert digest_of(asked, since=100.0).left == 0


def test_what_stands_now_is_of_live_runs_and_open_questions() -> None:
    rows = [run_row(run(f"run_{state}", "coder", state=state, cost_usd=2.5)) for state in ("working", "failed")]
    calls = [held_call(one) for one in approvals()]
    settled = [held_call(one | {"status": "approved"}) for one in approvals()]
    waits = [call for call in calls if call.row.status in OPEN]
    assert standing(rows, [*calls, *settled]) == Standing(left=len(waits), cost_usd=2.5)


def test_what_was_before_the_time_is_not_counted_and_a_confirmed_kill_is_not_unconfirmed() -> None:
    digest = digest_of(SHIFT, since=100.0)
    assert (digest.kills, digest.unconfirmed, digest.left, digest.expired) == (1, 0, 1, 1)
    assert digest.people == Counter({"ana": 2, "ben": 1})


def test_a_kill_without_proof_stands_in_the_line() -> None:
    assert "1 kill (1 UNCONFIRMED)" in digest_line(digest_of(SHIFT[:9], since=100.0), "02:00")


def test_a_kill_of_many_counts_each_run_and_one_of_an_ended_run_none() -> None:
    many = [entry(120, "kill", ANA, runs=[f"r{number}" for number in range(7)])]
    many += [entry(121, "kill.outcome", run=f"r{number}", status="dead") for number in range(7)]
    again = [entry(130, "kill", ANA, runs=["r1"]), entry(131, "kill", ANA, runs=["r2"])]
    assert digest_of(many + again, since=100.0).kills == 7


def test_a_digest_that_does_not_reach_back_says_so() -> None:
    assert "older entries are not counted" in digest_line(digest_of(SHIFT, since=1.0, complete=False), "00:00")


def test_the_rest_is_a_line_each_and_what_is_amiss_comes_first() -> None:
    assert digest_details(digest_of(SHIFT, since=100.0)) == [
        "! 1 calls ran without permission",
        "decisions: 1 approve, 1 expired or withdrawn",
        "runs: 1 started, 1 killed",
        "people: 2 ana, 1 ben",
    ]


def test_a_note_is_kept_with_its_escapes_made_visible() -> None:
    [note] = digest_of(SHIFT, since=100.0).notes
    assert note == Note(at=140, by="ana", run="r1", text="came ␛]52;c;eA==␇ back twice")


def decided(seconds: float, args: object, answer: str = "approve", who: dict[str, str] = ANA) -> dict[str, Any]:
    return entry(100, "approval.decided", who, answer=answer, seconds_to_decide=seconds, args=args)


def test_a_yes_faster_than_anybody_reads_is_hasty() -> None:
    [ana] = judges([decided(1.0, {"sql": "x" * 2_000}), decided(60.0, {"sql": "x" * 2_000}), decided(1.0, {"n": 1})])
    assert (ana.decided, ana.hasty, ana.yes_share) == (3, 1, 1.0)


def test_a_hasty_no_is_no_fault() -> None:
    [ana] = judges([decided(1.0, {"sql": "x" * 2_000}, "reject")])
    assert (ana.hasty, ana.yes_share) == (0, 0.0)


def test_everybody_is_judged_alone_and_said_in_words() -> None:
    found = judges([decided(4.0, {}, who=BEN), decided(2.0, {}), decided(6.0, {}, "reject")])
    assert [judge_words(one) for one in found] == [
        "ana: 2 decisions, yes 50%, median 4 s for 2 characters",
        "ben: 1 decision, yes 100%, median 4 s for 2 characters",
    ]


def test_decoys_are_counted_beside_decisions_and_never_as_one() -> None:
    caught = entry(100, "decoy.answered", ANA, answer="reject", caught=True, seconds_to_decide=1.0)
    missed = entry(101, "decoy.answered", ANA, answer="approve", caught=False, seconds_to_decide=1.0)
    [ana] = judges([decided(4.0, {}), caught, missed])
    assert judge_words(ana) == "ana: 1 decision, yes 100%, median 4 s for 2 characters, caught 1 of 2 decoys"
    assert digest_of([caught, missed], since=0.0).people == {}


def test_who_answered_nothing_but_a_decoy_is_named_too() -> None:
    [ana] = judges([entry(100, "decoy.answered", ANA, answer="reject", caught=True)])
    assert judge_words(ana) == "ana: no decision, caught 1 of 1 decoy"


NOW = datetime(2026, 3, 2, 1, 30, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("text", "when"),
    [
        ("02:00", datetime(2026, 3, 1, 2, 0, tzinfo=UTC)),
        ("01:30", datetime(2026, 3, 2, 1, 30, tzinfo=UTC)),
        ("8h", datetime(2026, 3, 1, 17, 30, tzinfo=UTC)),
        ("2026-03-01 22:00", datetime(2026, 3, 1, 22, 0, tzinfo=UTC)),
    ],
)
def test_a_time_is_meant_as_people_write_it(text: str, when: datetime) -> None:
    assert since_of(text, now=NOW, zone=UTC) == when.timestamp()


@pytest.mark.parametrize("text", ["99999999h", "9" * 99 + "w", "0001-01-01", "0001-01-01T00:00+23:59"])
def test_a_time_before_all_times_is_the_first(text: str) -> None:
    assert since_of(text, now=NOW, zone=UTC) == 0.0


@pytest.mark.parametrize(
    ("at", "written"),
    [
        (float("-inf"), "1970-01-01 00:00:00"),
        (float("nan"), "1970-01-01 00:00:00"),
        (1e300, "9999-01-01 00:00:00"),
    ],
)
def test_a_moment_that_no_calendar_has_is_written_as_the_nearest(at: float, written: str) -> None:
    assert day_and_time(at, UTC) == written


@pytest.mark.parametrize("text", ["", "25:00", "tomorrow", "2026-03-03", "-3h"])
def test_what_is_no_time_in_the_past_is_refused_with_what_is(text: str) -> None:
    with pytest.raises(ValueError, match="accepted: a time of day"):
        since_of(text, now=NOW, zone=UTC)


def test_the_made_up_audit_says_in_words_what_it_says() -> None:
    assert {entry["kind"] for entry in sample_history.audit()} <= WORDS.keys()
