"""Every rule is tried and the strictest match wins, whatever the order; an error never allows."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opsconsole.domain.tool_call import CallKind, Risk
from opsconsole.policy.interface import Decision, Escalation, Quorum, Verdict
from opsconsole.policy.rules.rule import STRICTNESS
from opsconsole.policy.rules.strictest import verdict_of
from tests.policy.file.writing import call, policy, rule

ALLOW = rule("allow", "allow", risk="'low'")
ASK = rule("ask", "ask")
DENY = rule("deny", "deny")
PEOPLE = "[people]\nfinance = ['dee', 'eli', 'fay']\nrelease = ['ben', 'fay']\n"


def judged(text: str, args: dict[str, Any] | None = None, **more: Any) -> Verdict:
    return policy(text).judge(call(args=args, **more))


def short(verdict: Verdict) -> tuple[str, str]:
    return str(verdict.decision), verdict.rule


@pytest.mark.parametrize("order", itertools.permutations([ALLOW, ASK, DENY]))
def test_the_strictest_match_wins_in_any_order(order: tuple[str, ...]) -> None:
    assert short(judged("".join(order))) == ("deny", "deny")


@pytest.mark.parametrize("order", itertools.permutations([ALLOW, ASK]))
def test_a_question_beats_an_allow_in_any_order(order: tuple[str, ...]) -> None:
    assert short(judged("".join(order))) == ("ask", "ask")


@pytest.mark.parametrize("order", itertools.permutations(["'high'", "'critical'", "'low'"]))
def test_of_two_questions_the_riskier_decides(order: tuple[str, ...]) -> None:
    rules = "".join(rule(f"risk-{risk.strip(chr(39))}", "ask", risk=risk) for risk in order)
    assert short(judged(rules)) == ("ask", "risk-critical")


def test_every_match_is_told() -> None:
    verdict = judged(ALLOW + rule("never", "deny", "false") + ASK + rule("broken", "allow", "args.nope == 1"))
    assert (verdict.matched, verdict.failed) == (("allow", "ask"), ("broken",))


def test_where_no_rule_matches_the_default_holds() -> None:
    assert short(judged(rule("a", "deny", tool="'other'"))) == ("ask", "policy:default")
    assert short(judged("[defaults]\ndecision = 'deny'")) == ("deny", "policy:default")


def test_a_rule_about_other_agents_does_not_match() -> None:
    text = rule("a", "deny", agent="'billing-*'")
    assert short(judged(text, agent="billing-1")) == ("deny", "a")
    assert short(judged(text, agent="refunds")) == ("ask", "policy:default")


@pytest.mark.parametrize("decision", ["allow", "ask", "deny"])
def test_a_rule_that_cannot_be_evaluated_is_refused(decision: str) -> None:
    verdict = judged(rule("a", decision, "args.amount > 1.0") + ALLOW, {"amount": "250"})
    assert (short(verdict), verdict.failed) == (("deny", "a"), ("a",))


@pytest.mark.parametrize("decision", ["allow", "ask", "deny"])
def test_a_rule_that_cannot_be_evaluated_asks_where_the_policy_says_so(decision: str) -> None:
    text = "[defaults]\non_error = 'ask'\n" + rule("a", decision, "args.amount > 1.0") + ALLOW
    assert short(judged(text, {"amount": "250"})) == ("ask", "a")


@pytest.mark.parametrize(
    "args", [{"x": "a\0"}, {"x": float("nan")}, {"x": "\ud800"}, {"x": 2**63}, {"x": "y" * 65_537}]
)
def test_arguments_that_no_rule_may_see_are_refused(args: dict[str, Any]) -> None:
    assert short(judged(ALLOW, args)) == ("deny", "policy:arguments")


def test_arguments_that_no_rule_may_see_do_not_hide_a_rule_that_needs_none() -> None:
    text = (
        "[defaults]\non_error = 'ask'\n" + rule("never", "deny", tool="'drop_*'") + rule("seen", "allow", "has(args.x)")
    )
    verdict = judged(text, {"x": "\0"}, tool="drop_all")
    assert (short(verdict), verdict.matched, verdict.failed) == (("deny", "never"), ("never",), ("seen",))


def test_arguments_that_no_rule_may_see_ask_whom_the_rules_about_them_ask() -> None:
    ask = "{ from = 'finance', approvers = 2 }"
    text = "[defaults]\non_error = 'ask'\n" + PEOPLE + rule("pay", "ask", "args.amount > 1.0", ask=ask)
    verdict = judged(text, {"amount": float("nan")})
    assert [(quorum.group, quorum.approvers) for quorum in verdict.quorums] == [("finance", 2)]


def test_a_tool_with_a_name_that_no_engine_reads_whole_is_refused() -> None:
    assert short(judged(ALLOW, tool="read\0file")) == ("deny", "policy:arguments")
    assert short(judged(ALLOW, tool="x" * 257)) == ("deny", "policy:arguments")


def test_an_agent_may_raise_the_risk_and_never_lower_it() -> None:
    text = rule("a", "ask", risk="'high'")
    assert judged(text, risk_claimed=Risk.CRITICAL).risk is Risk.CRITICAL
    assert judged(text, risk_claimed=Risk.LOW).risk is Risk.HIGH


def test_what_every_question_asks_has_to_be_met() -> None:
    verdict = judged(
        PEOPLE
        + rule("a", "ask", risk="'critical'", ask="{ from = 'finance', approvers = 1, timeout = '1h', not_by = 'dee' }")
        + rule("b", "ask", ask="{ from = 'finance', approvers = 2, timeout = '2h', edit = false }")
        + rule("c", "ask", ask="{ from = 'release', timeout = '30m', remind = '5m', not_by = 'starter' }")
        + rule("d", "ask", ask="{ escalate = { after = '5m', to = 'release' } }"),
        starter="ana",
    )
    finance, release = frozenset({"dee", "eli", "fay"}), frozenset({"ben", "fay"})
    assert verdict.quorums == (
        Quorum(approvers=2, group="finance", people=finance),
        Quorum(approvers=1, group="operators"),
        Quorum(approvers=1, group="release", people=release),
    )
    assert (verdict.rule, verdict.ttl_seconds, verdict.may_edit, verdict.not_by, verdict.remind_seconds) == (
        *("a", 600.0, False),
        ("ana", "dee"),
        300.0,
    )
    assert verdict.escalations == (
        Escalation(after_seconds=300.0, group="release", people=release, widens="operators"),
    )
    assert verdict.approvers == 2


def test_a_rule_that_leaves_it_to_the_defaults_adds_nothing_to_one_that_says_whom_to_ask() -> None:
    own = rule("a", "ask", ask="{ from = 'finance', approvers = 2, timeout = '1h', edit = true }")
    alone = judged(PEOPLE + own)
    for both in (own + ASK, ASK + own):
        verdict = judged(PEOPLE + "[defaults]\nask = { timeout = '5m', edit = false }\n" + both)
        assert (verdict.quorums, verdict.ttl_seconds, verdict.may_edit) == (alone.quorums, 3_600.0, True)


def test_defaults_that_want_more_people_than_any_rule_still_get_them() -> None:
    text = PEOPLE + "[defaults]\nask = { approvers = 2 }\n" + ASK
    verdict = judged(text + rule("a", "ask", ask="{ from = 'finance', approvers = 1 }"))
    assert {quorum.group: quorum.approvers for quorum in verdict.quorums} == {"finance": 1, "operators": 2}


def test_a_starter_whom_nobody_knows_is_named_by_the_word() -> None:
    assert judged(rule("a", "ask", ask="{ not_by = 'starter' }")).not_by == ("starter",)


@pytest.mark.parametrize("kind", [CallKind.MODEL_CALL, CallKind.HANDOFF])
def test_turns_and_handoffs_pass(kind: CallKind) -> None:
    assert short(judged(DENY, kind=kind)) == ("allow", f"policy:{kind}")


TRUST = "trusted_servers = ['docs']\n"
HINTS = {"readOnlyHint": True, "openWorldHint": False}


@pytest.mark.parametrize(
    ("server", "hints", "held"),
    [
        ("docs", HINTS, {"mcp", "trusted", "read_only"}),
        ("docs", {}, {"mcp", "trusted", "destructive", "open_world"}),
        ("docs", {"destructiveHint": False, "idempotentHint": True}, {"mcp", "trusted", "idempotent", "open_world"}),
        ("docs", {"readOnlyHint": "true", "openWorldHint": 0}, {"mcp", "trusted", "destructive", "open_world"}),
        ("evil", HINTS, {"mcp", "destructive", "open_world"}),
        ("", HINTS, {"mcp", "destructive", "open_world"}),
        (None, HINTS, {"destructive", "open_world"}),
    ],
    ids=lambda value: str(sorted(value) if isinstance(value, set) else value),
)
def test_hints_are_believed_of_trusted_servers_only(server: str | None, hints: dict[str, Any], held: set[str]) -> None:
    facts = judged(TRUST, server=server, annotations=hints).facts["tool"]
    assert {name for name, value in facts.items() if value} == held


def test_an_argument_cannot_pass_for_a_fact() -> None:
    text = "[facts]\nsql = { tool = 'run_sql', arg = 'query' }\n" + rule("a", "deny", "sql.writes", tool="'run_sql'")
    args = {"query": "DELETE FROM orders", "sql.writes": False, "sql": {"writes": False}}
    assert short(judged(text, args, tool="run_sql")) == ("deny", "a")


def test_the_facts_are_kept_with_the_verdict_and_judge_it_again() -> None:
    text = "[facts]\nsql = { tool = 'run_sql', arg = 'query' }\n" + rule("a", "deny", "sql.writes", tool="'run_sql'")
    found, proposal = policy(text), call("run_sql", {"query": "DELETE FROM orders"})
    first = found.judge(proposal)
    masked = replace(proposal, args={"query": "[secret]"})
    assert first.facts["sql"]["writes"] is True
    assert found.rejudge(masked, first.facts) == first


def test_only_the_arguments_that_rules_read_are_handed_to_the_engine() -> None:
    read = policy(rule("a", "ask", "args.a == 1 || has(args.b.c)") + rule("b", "ask", tool="'x'")).ruleset.args_read
    assert read == {"a", "b"}
    assert policy(rule("a", "ask", "size(args) > 3 || args.a == 1")).ruleset.args_read is None


def test_an_explanation_tells_every_rule_in_the_order_of_the_file() -> None:
    text = ALLOW + rule("no", "deny", "args.a == 2") + rule("bad", "ask", "args.b == 1") + rule("x", "deny", tool="'x'")
    found = policy(text).explain(call(args={"a": 1}))
    assert [(one.id, one.outcome, one.when) for one in found.rules] == [
        ("allow", "matched", ""),
        ("no", "not matched", "args.a == 2"),
        ("bad", "failed", "args.b == 1"),
        ("x", "not about this", ""),
    ]
    assert found.rules[2].why == 'there is no "b"'
    assert found.verdict == policy(text).judge(call(args={"a": 1}))


RULES = st.lists(
    st.tuples(
        st.sampled_from(["allow", "ask", "deny"]),
        st.sampled_from(["", "true", "args.n > 1", "args.n == 1", "has(args.m)"]),
        st.sampled_from(["'low'", "'high'"]),
        st.sampled_from(["", "{ from = 'finance', approvers = 2 }", "{ from = 'release', edit = false }"]),
    ),
    max_size=5,
)


def _text(chosen: list[tuple[str, str, str, str]]) -> str:
    return PEOPLE + "".join(
        rule(f"r{number}", decision, when, risk=risk, **({"ask": ask} if ask and decision == "ask" else {}))
        for number, (decision, when, risk, ask) in enumerate(chosen)
    )


@settings(max_examples=60, deadline=None)
@given(RULES, RULES, st.sampled_from([{}, {"n": 1}, {"n": 2}, {"n": "1"}, {"m": 1}]))
def test_adding_rules_never_weakens_a_policy_that_matched(
    first: list[tuple[str, str, str, str]], more: list[tuple[str, str, str, str]], args: dict[str, Any]
) -> None:
    before, after = (judged(_text(chosen), args) for chosen in (first, first + more))
    if before.rule == "policy:default":
        return
    assert STRICTNESS[after.decision] >= STRICTNESS[before.decision]
    if before.decision is after.decision is Decision.ASK:
        asked = {quorum.group: quorum.approvers for quorum in after.quorums}
        named = [quorum for quorum in before.quorums if quorum.group != "operators"]
        assert all(asked.get(quorum.group, 0) >= quorum.approvers for quorum in named)
        assert after.approvers >= before.approvers
        assert after.may_edit <= before.may_edit


def test_a_verdict_needs_a_match() -> None:
    with pytest.raises(ValueError):
        verdict_of([], call())
