"""The demo's policy loads, comes out as its own cases say, and never needs a second person for what the agents do."""

from __future__ import annotations

from opsconsole.cli.policy import read_policy
from opsconsole.demo.surroundings import POLICY
from opsconsole.demo.tools import TABLES
from opsconsole.domain.tool_call import CallKind
from opsconsole.policy.facts.interface import NO_HISTORY
from opsconsole.policy.interface import Decision, Proposal


def test_every_case_of_the_policy_comes_out_as_it_says() -> None:
    outcomes = read_policy(POLICY).test()
    assert len(outcomes) > 8
    assert [outcome.differences for outcome in outcomes if not outcome.passed] == []


def test_one_person_alone_can_answer_the_dearest_refund_of_the_demo() -> None:
    args = {
        "statement": "UPDATE refunds SET status = 'paid', paid_cents = :cents WHERE id = :id",
        "parameters": {"cents": 25_000, "id": 1},
    }
    call = Proposal(run="r", agent="refunds", call="c", kind=CallKind.TOOL_CALL, tool="sql", args=args)
    verdict = read_policy(POLICY).judge(call)
    assert (verdict.decision, verdict.approvers) == (Decision.ASK, 1)


def test_the_schema_of_the_policy_has_the_shops_tables() -> None:
    facts = read_policy(POLICY).ruleset.facts
    (sql,) = [bound for bound in facts if bound.name == "sql"]
    assert getattr(sql.fact, "has_schema", False)
    for table in sorted(TABLES):
        call = {"statement": f"SELECT id FROM {table}"}
        assert sql.fact(call, NO_HISTORY)["unknown_tables"] == []
