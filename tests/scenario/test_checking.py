"""What must hold of a case: each kind of expectation, met and broken, with a difference that says where."""

from __future__ import annotations

from opsconsole.domain.tool_call import CallStatus
from opsconsole.policy.default import DefaultPolicy
from opsconsole.policy.interface import Decision, Limits
from opsconsole.scenario.case import Claim, Expectation, Step
from opsconsole.scenario.checking import check
from opsconsole.scenario.replay import replay
from opsconsole.scenario.suggesting import suggested
from tests.scenario.incidents import SQL, call, case, expects, policy, sql, turn

ALLOW_ALL = policy(rules="[defaults]\ndecision = 'allow'\n")


def differences(expectation: Expectation, *steps: Step, under: object = SQL, **more: str) -> list[tuple[str, str, str]]:
    (checked,) = check(replay(case(*steps, expect=expectation, **more), under))  # type: ignore[arg-type]
    return [(one.where, one.expected, one.actual) for one in checked.differences]


def test_asking_and_refusing_both_are_asking_before() -> None:
    steps = (sql("DROP TABLE x"), sql("UPDATE x SET a = 1 WHERE id = 2"))
    assert differences(expects(Claim.ASKS_BEFORE, "run_sql"), *steps) == []


def test_a_call_that_nobody_is_asked_about_is_told_with_its_turn_and_rule() -> None:
    found = differences(expects(Claim.ASKS_BEFORE, "run_*"), turn(), turn(), sql("SELECT 1"))
    assert found == [("turn 2, run_sql", "ask or deny", "allow by reads")]


def test_only_calls_that_hold_the_text_are_meant_whatever_its_case() -> None:
    wanted = expects(Claim.ASKS_BEFORE, "run_sql", matching="delete")
    assert differences(wanted, sql("SELECT 1"), sql("DELETE FROM x WHERE id = 1")) == []
    assert len(differences(wanted, sql("DELETE FROM x WHERE id = 1"), under=ALLOW_ALL)) == 1


def test_to_refuse_is_more_than_to_ask() -> None:
    found = differences(expects(Claim.DENIES, "run_sql"), sql("DROP TABLE x"), sql("UPDATE x SET a = 1 WHERE id = 2"))
    assert found == [("turn 0, run_sql", "deny", "ask by policy:default")]


def test_what_is_masked_is_not_taken_for_asked() -> None:
    hidden = sql("SELECT '[secret:value:7f3a]'")
    for claim in (Claim.ASKS_BEFORE, Claim.DENIES, Claim.NEVER_CALLS):
        assert [actual for _, _, actual in differences(expects(claim, "run_sql"), hidden)] == [
            "not known: its arguments are masked"
        ]


def test_a_tool_that_may_never_run_unasked_after_another() -> None:
    wanted = expects(Claim.NEVER_CALLS, "send_email", after="run_sql")
    assert differences(wanted, call("send_email"), sql("SELECT 1")) == []
    found = differences(wanted, sql("SELECT 1"), turn(), call("send_email"))
    assert found == [("turn 1, send_email", "no such call unasked", "allow by mail")]


def test_a_call_that_was_refused_then_does_not_begin_the_after() -> None:
    denied = sql("DROP TABLE x", Decision.DENY, status=CallStatus.DENIED)
    assert differences(expects(Claim.NEVER_CALLS, "send_email", after="run_sql"), denied, call("send_email")) == []


def test_a_run_stops_by_its_end_or_by_the_policy() -> None:
    steps = (turn(), turn(), turn())
    wanted = expects(Claim.STOPS_BY_TURN, 2)
    assert differences(wanted, *steps) == [("run", "stopped by turn 2", "went on to turn 3")]
    assert differences(wanted, *steps, state="completed") == [("run", "stopped by turn 2", "stopped at turn 3")]
    assert differences(wanted, *steps, under=DefaultPolicy(run_limits=Limits(turns=2))) == []


def test_a_run_costs_what_it_spends_until_it_stops() -> None:
    steps = (turn(), turn(), turn())
    wanted = expects(Claim.COSTS_AT_MOST, 0.02)
    assert differences(wanted, *steps) == [("run", "at most $0.0200", "$0.0300")]
    assert differences(wanted, *steps, under=DefaultPolicy(run_limits=Limits(turns=2))) == []


def test_a_detector_finds_it_in_time() -> None:
    same = [step for _ in range(4) for step in (turn(), sql("SELECT 1"))]
    assert differences(expects(Claim.DETECTS, "loop", by_turn=3), *same) == []
    assert differences(expects(Claim.DETECTS, "loop", by_turn=2), *same) == [
        ("run", "an alarm of loop by turn 2", "an alarm at turn 3")
    ]
    assert differences(expects(Claim.DETECTS, "loop"), turn()) == [("run", "an alarm of loop", "no alarm")]


def test_no_verdict_may_be_weaker_than_it_was() -> None:
    steps = (sql("SELECT 1", Decision.ASK, rule="old"), sql("DROP TABLE x", Decision.ASK))
    assert differences(expects(Claim.VERDICTS, "no weaker"), *steps) == [
        ("turn 0, run_sql", "ask by old", "allow by reads")
    ]
    assert len(differences(expects(Claim.VERDICTS, "the same"), *steps)) == 2


def test_what_is_suggested_holds_under_the_policy_of_then() -> None:
    refused = sql("DROP TABLE x", Decision.DENY, status=CallStatus.DENIED)
    asked = call("pay", Decision.ASK, answer="reject", status=CallStatus.DENIED)
    steps = [step for _ in range(3) for step in (turn(), sql("SELECT 1", Decision.ALLOW))]
    recorded = case(*steps, refused, call("send_email", Decision.ALLOW), asked, state="completed")
    found = suggested(recorded)
    assert [str(one) for one in found] == [
        "verdicts no weaker than recorded",
        "asks before pay",
        "never calls pay after send_email",
        "stops by turn 3",
        "costs at most $0.032",
        "detects loop by turn 3",
    ]
    assert all(
        one.passed
        for each in found
        for one in check(replay(case(*recorded.steps, expect=each, state="completed"), SQL))
    )


def test_a_tool_whose_name_is_a_pattern_is_not_suggested() -> None:
    assert suggested(case(call("a*", Decision.ASK), call("a|b", Decision.ASK))) == ()


def test_a_run_that_ended_badly_should_have_stopped_where_the_detectors_say() -> None:
    same = [step for _ in range(8) for step in (turn(), sql("SELECT 1"))]
    words = {state: [str(one) for one in suggested(case(*same, state=state))] for state in ("failed", "completed")}
    assert {"stops by turn 4", "costs at most $0.042"} <= set(words["failed"])
    assert {"stops by turn 8", "costs at most $0.084"} <= set(words["completed"])
