"""A case under a policy: verdicts from arguments or kept facts, histories, limits, and where the run would stop."""

from __future__ import annotations

from dataclasses import replace

import pytest

from opsconsole.policy.default import DefaultPolicy
from opsconsole.policy.interface import Decision, Limits
from opsconsole.scenario.case import Message, ToolCall
from opsconsole.scenario.replay import Basis, replay
from tests.scenario.incidents import SQL, call, case, policy, said, sql, turn

MASKED = "SELECT '[secret:value:7f3a]'"


def decisions(*steps: object, under: object = SQL) -> list[Decision | None]:
    return [one.decision for one in replay(case(*steps), under).calls]  # type: ignore[arg-type]


def test_each_call_is_judged_by_its_arguments() -> None:
    found = decisions(sql("SELECT 1"), sql("DROP TABLE x"), sql("UPDATE x SET a = 1 WHERE id = 2"), call("pay"))
    assert found == [Decision.ALLOW, Decision.DENY, Decision.ASK, Decision.ASK]


def test_masked_arguments_are_judged_by_the_facts_that_were_kept() -> None:
    kept = {"sql": {"changes_schema": False, "unbounded_write": False, "reads": True, "writes": False}}
    (judged,) = replay(case(sql(MASKED, facts=kept)), SQL).calls
    assert (judged.basis, judged.decision) == (Basis.FACTS, Decision.ALLOW)


def test_masked_arguments_without_facts_are_not_judged() -> None:
    (judged,) = replay(case(sql(MASKED)), SQL).calls
    assert (judged.basis, judged.verdict) == (Basis.NOTHING, None)


def test_facts_that_lack_what_a_rule_reads_do_not_do() -> None:
    (judged,) = replay(case(sql(MASKED, facts={"sql": {"reads": True}})), SQL).calls
    assert judged.verdict is None


def test_masked_arguments_that_no_rule_looks_at_are_no_hindrance() -> None:
    (judged,) = replay(case(call("send_email", args={"password": "[secret:value:7f3a]"})), SQL).calls
    assert judged.decision is Decision.ALLOW


def test_a_rule_that_reads_a_masked_argument_cannot_be_asked() -> None:
    rule = "[[rules]]\nid = 'r'\ntool = 'pay'\nwhen = 'args.amount > 10'\ndecision = 'ask'\n"
    steps = (
        call("pay", args={"amount": "[secret:value:7f3a]"}),
        call("pay", args={"amount": 3, "pin": "[secret:value:7f3a]"}),
    )
    first, second = replay(case(*steps), policy(rules=rule)).calls
    assert (first.verdict, second.decision) == (None, Decision.ASK)


def test_the_server_and_its_hints_are_judged_as_they_were() -> None:
    rule = "[[rules]]\nid = 'r'\nwhen = 'tool.trusted && tool.read_only'\ndecision = 'allow'\n"
    trusting = policy(rules='trusted_servers = ["docs"]\n' + rule)
    known = call("get_page", server="docs", annotations={"readOnlyHint": True})
    assert decisions(known, call("get_page"), under=trusting) == [Decision.ALLOW, Decision.ASK]


def test_a_call_is_judged_at_its_own_hour() -> None:
    hours = "[hours]\nnight = 'Mon-Sun 20:26-20:27'\n"
    rule = "[[rules]]\nid = 'r'\ntool = 'deploy'\nwhen = 'hours.night'\ndecision = 'deny'\n"
    steps = (call("deploy", at=1.0), call("deploy", at=60.0))
    assert decisions(*steps, under=policy(rules=hours + rule)) == [Decision.DENY, Decision.ASK]


def test_the_policys_limits_stop_the_run_where_they_are_reached() -> None:
    found = replay(case(turn(), call("a"), turn(), call("b"), turn()), DefaultPolicy(run_limits=Limits(turns=2)))
    assert found.stop is not None
    assert (found.stop.turn, found.stop.why, found.stop.cost_usd) == (2, "limit: turns 2 of 2", 0.02)
    assert [one.reached for one in found.calls] == [True, False]


def test_a_limit_of_cost_counts_known_prices_only() -> None:
    limits = DefaultPolicy(run_limits=Limits(cost_usd=0.02))
    found = replay(case(turn(cost=None), turn(cost=0.01), turn(cost=0.01), turn()), limits)
    assert found.stop is not None
    assert found.stop.turn == 3


@pytest.mark.parametrize(
    ("trip", "begins"),
    [
        ("tool_calls = 2", "breaker b: "),
        ("tool_calls_per_minute = 2", "breaker b: "),
        ("same_tool_per_minute = 2", "breaker b: "),
        ("wall_clock = '10s'", "breaker b: "),
        ("cost_usd = 0.02", "limit: cost $0.02 of $0.02"),
    ],
)
def test_the_breakers_of_the_policy_stop_the_run(trip: str, begins: str) -> None:
    breakers = policy(rules=f"[[breakers]]\nid = 'b'\nper = 'run'\ntrip = {{ {trip} }}\n")
    steps = (turn(), call("a", at=1.0), turn(at=2.0), call("a", at=10.0), turn(at=11.0))
    found = replay(case(*steps), breakers)
    assert found.stop is not None
    assert (found.stop.why.startswith(begins), found.stop.turn) == (True, 2)


def test_a_breaker_that_is_not_reached_stops_nothing() -> None:
    breakers = policy(rules="[[breakers]]\nid = 'b'\nper = 'run'\ntrip = { tool_calls = 3, turns = 3 }\n")
    assert replay(case(turn(), call("a"), turn(), call("b")), breakers).stop is None


def test_a_loop_stops_the_run_and_says_so() -> None:
    same = [step for _ in range(5) for step in (turn(), sql("SELECT 1"))]
    found = replay(case(*same), SQL)
    assert found.stop is not None
    assert (found.stop.turn, [one.detector for one in found.alarms][:2]) == (4, ["loop", "loop"])
    assert "run_sql" in found.stop.why


def test_a_policy_that_switches_a_detector_off_is_obeyed() -> None:
    same = [step for _ in range(6) for step in (turn(), sql("SELECT 1"))]
    quiet = policy(rules="[detectors]\nloop = false\n")
    assert replay(case(*same), quiet).alarms == ()


GROUNDED = policy(
    rules="""
[facts]
grounding = { tool = "pay", args = ["order"] }
[[rules]]
id = "invented"
tool = "pay"
when = "size(grounding.ungrounded) > 0"
decision = "deny"
"""
)


def paid(order: str) -> ToolCall:
    return call("pay", args={"order": order})


def test_what_the_run_was_told_is_its_history() -> None:
    steps = (said("refund order_1042"), paid("order_1042"), paid("order_77"))
    assert decisions(*steps, under=GROUNDED) == [Decision.ASK, Decision.DENY]


def test_the_agents_own_words_ground_nothing() -> None:
    words = Message(at=0.0, role="assistant", text="order_77 it is")
    assert decisions(words, paid("order_77"), under=GROUNDED) == [Decision.DENY]


def test_the_same_case_gives_the_same_twice() -> None:
    scenario = case(said("go"), turn(), sql("SELECT 1"), sql("DROP TABLE x"), turn())
    assert replay(scenario, SQL) == replay(replace(scenario), SQL)


CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
CHECKED = policy(rules='[facts]\nschema = { tool = "*" }\n')


def alarms(*steps: object, under: object = SQL) -> list[tuple[str, str]]:
    return [(one.detector, one.text) for one in replay(case(*steps), under).alarms]  # type: ignore[arg-type]


def test_a_context_that_fills_up_is_found_again() -> None:
    assert alarms(replace(turn(), input_tokens=115_000)) == [
        ("context", "context 90% full (115,000 of 128,000 tokens)")
    ]
    assert alarms(replace(turn(), input_tokens=1_500_000), turn()) == []


def test_arguments_against_the_schema_that_was_told_are_found_again() -> None:
    wrong = call("lookup", args={"city": 7}, schema=CITY)
    assert alarms(wrong, under=CHECKED) == [
        ("parameters", 'lookup: against its schema: city: 7 is not of type "string"')
    ]
    assert alarms(replace(wrong, schema={}), under=CHECKED) == []


def test_a_tool_that_the_model_made_up_is_found_again() -> None:
    assert alarms(call("ghost", made_up=True)) == [("parameters", "ghost: no such tool")]


def test_without_a_policy_file_the_facts_that_were_kept_tell_what_was_wrong() -> None:
    kept = {"sql": {"unknown_tables": ["userz"], "unclear": False}}
    assert alarms(sql("SELECT 1 FROM userz", facts=kept), under=DefaultPolicy()) == [
        ("parameters", "run_sql: unknown names: userz")
    ]
