"""What a candidate would have made of the past: verdicts then and now, questions, dollars, stopped runs."""

from __future__ import annotations

from opsconsole.domain.tool_call import CallStatus
from opsconsole.policy.default import DefaultPolicy
from opsconsole.policy.interface import Decision, Limits, Policy
from opsconsole.scenario.backtest import Backtest, json_of
from opsconsole.scenario.case import Scenario
from opsconsole.scenario.replay import replay
from tests.scenario.incidents import SQL, call, case, sql, turn


def backtested(*runs: Scenario, under: Policy = SQL, **more: float) -> Backtest:
    found = Backtest(**{"seconds": 7_200.0} | more)
    for run in runs:
        found.add(replay(run, under))
    return found


def test_verdicts_are_counted_then_against_now() -> None:
    found = backtested(
        case(sql("SELECT 1", Decision.ASK, rule="old"), sql("SELECT 2", Decision.ASK, rule="old")),
        case(sql("DROP TABLE x", Decision.ALLOW, rule="lax"), call("pay", Decision.ASK)),
    )
    assert found.verdicts == {
        (Decision.ASK, Decision.ALLOW): 2,
        (Decision.ALLOW, Decision.DENY): 1,
        (Decision.ASK, Decision.ASK): 1,
    }
    assert found.changes.most_common(1) == [(("old", Decision.ASK, "reads", Decision.ALLOW), 2)]


def test_questions_are_told_by_the_hour() -> None:
    report = json_of(backtested(case(*(sql("SELECT 1", Decision.ASK) for _ in range(3)), call("pay", Decision.ASK))))
    assert report["questions_per_hour"] == {"then": 2.0, "now": 0.5}


def test_a_call_that_a_grant_answered_was_no_question() -> None:
    found = backtested(case(call("pay", Decision.ASK, answer="grant"), call("pay", Decision.ASK)))
    assert found.questions == (0.5, 1.0)


def test_what_cannot_be_judged_again_is_counted_and_not_guessed() -> None:
    found = backtested(case(sql("SELECT '[secret:value:7f3a]'"), sql("SELECT 1", None), sql("SELECT 1")))
    assert (found.judged, found.unjudged, found.unasked) == (1, 1, 1)


def test_calls_from_before_the_stretch_are_not_counted() -> None:
    run = case(sql("SELECT 1", at=1.0), sql("SELECT 1", at=100.0))
    assert backtested(run, since=run.started_at + 50).judged == 1


def test_a_stopped_run_saves_what_it_spent_afterwards() -> None:
    cap = DefaultPolicy(run_limits=Limits(turns=2))
    found = backtested(case(turn(), turn(), turn(), turn(), state="failed"), case(turn()), under=cap)
    (stopped,) = found.stopped
    assert (stopped.turn, stopped.turns, round(stopped.saved_usd, 6)) == (2, 4, 0.02)
    assert (round(found.saved_usd, 6), round(found.cost_usd, 6)) == (0.02, 0.05)


def test_a_finished_run_that_would_have_been_stopped_is_a_loss() -> None:
    cap = DefaultPolicy(run_limits=Limits(turns=2))
    runs = [case(turn(), turn(), turn(), state=state) for state in ("completed", "completed", "failed")]
    found = backtested(*runs, case(turn(), state="completed"), under=cap)
    assert (len(found.stopped), len(found.stopped_finished), found.finished) == (3, 2, 3)


def test_a_stop_after_which_nothing_ran_stops_nothing() -> None:
    cap = DefaultPolicy(run_limits=Limits(turns=2))
    assert backtested(case(turn(), turn(), call("pay", status=CallStatus.DENIED)), under=cap).stopped == []
    assert len(backtested(case(turn(), turn(), call("pay")), under=cap).stopped) == 1


def test_a_finished_run_that_needed_a_call_now_refused_is_told() -> None:
    assert backtested(case(sql("DROP TABLE x"), state="completed")).refused_finished == 1
    assert backtested(case(sql("DROP TABLE x", status=CallStatus.DENIED), state="completed")).refused_finished == 0


def test_the_json_says_all_of_it() -> None:
    report = json_of(backtested(case(turn(cost=None), sql("SELECT 1", Decision.ASK), state="completed")))
    assert report["then"] == {"allow": 0, "ask": 1, "deny": 0}
    assert report["now"] == {"allow": 1, "ask": 0, "deny": 0}
    assert (report["runs"], report["finished_runs"], report["turns_without_price"]) == (1, 1, 1)
