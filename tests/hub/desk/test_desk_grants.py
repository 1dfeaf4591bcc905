"""Standing grants: what they let run, what is on record of it, and everything that ends them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsconsole.hub.desk.grant_pattern import matches, problem_of
from opsconsole.policy.default import DefaultPolicy
from tests.hub.desk.office import ANA, BEN, RUN, Agent, Office, Operator
from tests.hub.desk.papers import DEE, TEXT, policy, ruled_office

ARGS = {"query": "DELETE"}


def granted(**asked: Any) -> tuple[Office, Agent, Operator]:
    """An office where the call `c1` was approved and is granted for the future."""
    office = Office()
    agent = office.agent()
    agent.propose("c1")
    operator = office.operator()
    operator.decide("approve")
    assert grant(operator, **asked).ok
    return office, agent, operator


def grant(operator: Operator, call: str = "c1", **asked: Any) -> Any:
    row = operator.office.approval(call)
    return operator.ask("grant", approval=row.approval, digest=row.digest, grant={"uses": 2, "seconds": 600.0} | asked)


def listed(office: Office) -> dict[str, Any]:
    (one,) = office.desk.grants(office.now)
    return one


def test_a_granted_call_runs_without_a_question() -> None:
    office, agent, _ = granted()
    agent.propose("c2")
    assert (agent.verdict("c2").outcome, agent.verdict("c2").by) == ("allow", "ana")
    assert office.approval("c2") is None


def test_each_use_is_on_record_before_its_allow() -> None:
    office, agent, _ = granted()
    office.hold()
    agent.propose("c2")
    office.commit(2)
    assert (office.storage.kinds("grant"), agent.verdicts("c2")) == (["grant.given", "grant.used"], [])
    office.release()
    (use,) = office.storage.facts("grant.used")
    assert (use["call"], use["used"], use["uses"], use["by"], agent.verdicts("c2")) == ("c2", 1, 2, "ana", ["allow"])


def test_a_grant_is_used_up() -> None:
    office, agent, _ = granted()
    for call in ("c2", "c3", "c4"):
        agent.propose(call)
    assert [agent.verdicts(call) for call in ("c2", "c3", "c4")] == [["allow"], ["allow"], []]
    assert (listed(office)["state"], office.approval("c4").status) == ("used up", "pending")


def test_a_grant_ends_with_its_time() -> None:
    office, agent, _ = granted()
    office.pass_time(601)
    agent.propose("c2")
    assert (listed(office)["state"], office.approval("c2").status) == ("expired", "pending")


@pytest.mark.parametrize("args", [{"query": "DROP"}, {"query": "DELETE", "more": 1}, {}])
def test_other_arguments_are_asked_about(args: dict[str, Any]) -> None:
    office, agent, _ = granted()
    agent.propose("c2", "sql", args)
    assert office.approval("c2").status == "pending"


def test_another_tool_is_asked_about() -> None:
    office, agent, _ = granted()
    agent.propose("c2", "shell", ARGS)
    assert office.approval("c2").status == "pending"


def test_another_run_is_asked_about() -> None:
    office, _, _ = granted()
    office.agent("run_2").propose("c2")
    assert office.approval("c2", "run_2").status == "pending"


def test_a_grant_for_an_agent_is_for_its_other_runs_too() -> None:
    office, _, _ = granted(scope="agent")
    other = office.agent("run_2")
    other.propose("c2")
    office.agent("run_3", agent="somebody").propose("c2")
    assert (other.verdicts("c2"), office.approval("c2", "run_3").status) == (["allow"], "pending")


def test_a_pattern_takes_words_in_the_place_of_a_star() -> None:
    _, agent, _ = granted(args={"query": {"like": "DELETE FROM *"}})
    agent.propose("c2", "sql", {"query": "DELETE FROM carts"})
    agent.propose("c3", "sql", {"query": "DELETE FROM carts; DROP TABLE users"})
    assert (agent.verdicts("c2"), agent.verdicts("c3")) == (["allow"], [])


def test_a_grant_can_be_given_while_its_call_waits() -> None:
    office = Office()
    agent = office.agent()
    agent.propose("c1")
    assert grant(office.operator()).ok
    agent.propose("c2")
    assert (agent.verdicts("c1"), agent.verdicts("c2")) == ([], ["allow"])


def test_a_grant_is_not_given_for_what_was_refused() -> None:
    office = Office()
    office.agent().propose("c1")
    office.operator().decide("reject", note="no")
    assert grant(office.operator()).code == "precondition_failed"


def test_a_grant_is_bound_to_what_was_shown() -> None:
    office = Office()
    office.agent().propose("c1")
    asked = {"approval": office.approval().approval, "digest": "sha256:0", "grant": {"uses": 1, "seconds": 60.0}}
    assert office.operator().ask("grant", **asked).code == "digest_mismatch"


def test_a_secret_is_never_part_of_a_grant() -> None:
    office = Office()
    office.agent().propose("c1", "sql", {"password": "hunter2hunter2"})
    assert grant(office.operator()).code == "bad_request"


def test_a_secret_of_the_granters_own_is_never_part_of_a_grant() -> None:
    office = Office()
    office.agent().propose("c1", "sql", {"query": "x"})
    asked = grant(office.operator(), args={"query": "ghp_abcdefghijklmnopqrstuvwxyz0123456789"})
    assert (asked.code, office.desk.grants(office.now)) == ("bad_request", [])


def test_one_person_grants_nothing_that_two_must_approve() -> None:
    office = ruled_office()
    office.agent().propose("c1", "pay", {"amount": 50.0})
    assert grant(office.operator(DEE)).code == "not_in_group"


def test_only_who_may_approve_alone_may_grant() -> None:
    office = ruled_office()
    agent = office.agent()
    agent.propose("c1", "deploy", {})
    assert (grant(office.operator(ANA)).code, grant(office.operator(BEN)).ok) == ("not_in_group", True)
    agent.propose("c2", "deploy", {})
    assert agent.verdicts("c2") == ["allow"]


def test_a_grant_never_outweighs_a_refusal() -> None:
    office = ruled_office()
    agent = office.agent()
    agent.propose("c1", "deploy", {})
    grant(office.operator(BEN))
    office.pass_time(1)
    changed = policy(TEXT + '[[rules]]\nid = "frozen"\ntool = "deploy"\ndecision = "deny"\n')
    office.step(lambda now: office.desk.change_policy(changed, "", now))
    agent.propose("c2", "deploy", {})
    assert agent.verdicts("c2") == ["deny"]


def test_another_policy_ends_every_grant() -> None:
    office, agent, _ = granted()
    office.step(lambda now: office.desk.change_policy(DefaultPolicy(ask_ttl_seconds=9.0), "", now))
    agent.propose("c2")
    assert (office.approval("c2").status, listed(office)["revoked"]) == ("pending", "the policy has changed")
    assert office.storage.facts("grant.revoked")[0]["why"] == "the policy has changed"


def test_an_alarm_of_the_run_ends_its_grants() -> None:
    office, agent, _ = granted()
    agent.say({"type": "note", "text": "boom", "level": "error"})
    agent.propose("c2")
    office.pass_time(1)
    assert (office.approval("c2").status, listed(office)["revoked"]) == ("pending", "alert error")
    assert [one["why"] for one in office.storage.facts("grant.revoked")] == ["alert error"]


def test_another_model_ends_the_grants_of_its_run() -> None:
    office, agent, _ = granted()
    agent.usage(turns=1, served_model="gpt-a")
    agent.usage(turns=2, served_model="gpt-b")
    assert listed(office)["revoked"] == "alert model_changed"


def test_a_model_that_the_run_did_not_use_before_ends_its_grants() -> None:
    office = Office()
    agent = office.agent()
    for model in ("gpt-a", "gpt-b"):
        agent.usage(model=model, turns=1)
    agent.propose("c1")
    operator = office.operator()
    operator.decide("approve")
    assert grant(operator).ok
    agent.usage(model="gpt-a", turns=2)
    assert listed(office)["state"] == "standing"
    agent.usage(model="gpt-c", turns=1)
    assert listed(office)["revoked"] == "the run uses another model: gpt-c"


@pytest.mark.parametrize(("scope", "state"), [("run", "revoked"), ("agent", "standing")])
def test_a_grant_of_one_run_ends_with_it(scope: str, state: str) -> None:
    office, agent, _ = granted(scope=scope)
    agent.state("completed")
    office.pass_time(1)
    ended = ["its run is completed"] if scope == "run" else []
    assert (listed(office)["state"], [one["why"] for one in office.storage.facts("grant.revoked")]) == (state, ended)
    office.restart()
    assert (listed(office)["state"], len(office.storage.facts("grant.revoked"))) == (state, len(ended))


def test_a_grant_that_was_used_up_before_an_alarm_is_not_said_to_be_revoked() -> None:
    office, agent, _ = granted(uses=1)
    agent.propose("c2")
    agent.say({"type": "note", "text": "boom", "level": "error"})
    office.pass_time(1)
    assert (listed(office)["state"], office.storage.facts("grant.revoked")) == ("used up", [])


def test_an_end_by_an_alarm_is_on_record_even_after_a_crash() -> None:
    office, agent, _ = granted()
    agent.say({"type": "note", "text": "boom", "level": "error"})
    office.save_records()
    office.restart()
    assert (listed(office)["state"], len(office.storage.facts("grant.revoked"))) == ("revoked", 1)


def test_an_operator_ends_a_grant() -> None:
    office, agent, operator = granted()
    assert operator.ask("revoke_grant", grant_id=listed(office)["grant"], note="enough").ok
    agent.propose("c2")
    assert (office.approval("c2").status, listed(office)["revoked"]) == ("pending", "enough")
    assert operator.ask("revoke_grant", grant_id=listed(office)["grant"]).code == "precondition_failed"


def test_a_grant_that_ends_while_its_use_is_recorded_lets_nothing_run() -> None:
    office, agent, operator = granted()
    office.hold()
    agent.propose("c2")
    operator.ask("revoke_grant", grant_id=listed(office)["grant"])
    office.release()
    assert (agent.verdicts("c2"), office.approval("c2").status) == ([], "pending")


def test_a_use_that_cannot_be_recorded_becomes_a_question_which_that_refuses() -> None:
    office, agent, _ = granted()
    office.storage.problem = "disk full"
    agent.propose("c2")
    assert agent.verdict("c2").rule == "gate:storage"


def test_a_killed_run_uses_no_grant() -> None:
    office, agent, operator = granted()
    office.hold()
    agent.propose("c2")
    operator.ask("kill", run=RUN)
    office.release()
    assert agent.verdicts("c2") == ["deny"]


@pytest.mark.parametrize("is_saved", [True, False])
def test_grants_and_their_uses_survive_a_restart(is_saved: bool) -> None:
    office, agent, _ = granted()
    agent.propose("c2")
    before = listed(office)
    if is_saved:
        office.save_records()
    office.restart()
    assert (listed(office), before["used"]) == (before, 1)


@given(
    steps=st.lists(st.sampled_from(["propose", "restart", "save", "hold", "commit", "release", "alarm"]), max_size=20)
)
def test_no_grant_lets_more_run_than_it_says_and_none_after_an_alarm(steps: list[str]) -> None:
    office, agent, _ = granted()
    calls, is_alarmed, late = 1, False, set()
    for step in steps:
        match step:
            case "propose":
                calls += 1
                late |= {f"c{calls}"} if is_alarmed else set()
                agent.propose(f"c{calls}")
            case "restart":
                office.restart()
                agent.connect(seq=len(agent.journal))
            case "save":
                office.save_records()
            case "hold":
                office.hold()
            case "commit":
                office.commit(1)
            case "release":
                office.release()
            case "alarm":
                is_alarmed = True
                agent.say({"type": "note", "text": "boom", "level": "error"})
    office.release()
    allowed = {one.call for one in agent.told("verdict") if one.outcome == "allow"} - {"c1"}
    assert len(allowed) <= 2
    assert not allowed & late


@pytest.mark.parametrize(
    ("like", "text", "is_meant"),
    [
        ("ord_*", "ord_17", True),
        ("ord_*", "ord_", False),
        ("ord_*", "ord_1 or 1", False),
        ("/srv/*/log", "/srv/app/log", True),
        ("/srv/*/log", "/srv/../log", False),
        ("/srv/*/log", "/srv/a/b/log", False),
        ("/srv/*.txt", "/srv/a.b.txt", True),
        ("*@acme.example", "ana@acme.example", True),
        ("*@acme.example", "ana@acme.example.evil", False),
        ("git log *", "git log -p\n", False),
        ("git log *", "git log $(rm)", False),
        ("a*b*c", "axbyc", True),
        ("a*b*c", "abc", False),
    ],
)
def test_a_star_stands_for_one_plain_word(like: str, text: str, is_meant: bool) -> None:
    assert matches({"x": {"like": like}}, {"x": text}) is is_meant


@pytest.mark.parametrize(
    ("wanted", "value", "is_meant"),
    [
        (1, 1, True),
        (1, True, False),
        (1, "1", False),
        (None, "", False),
        ([1], [1], True),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, True),
        ("ord_*", "ord_1", False),
    ],
)
def test_a_value_means_exactly_itself(wanted: Any, value: Any, is_meant: bool) -> None:
    assert matches({"x": wanted}, {"x": value}) is is_meant


@pytest.mark.parametrize("like", ["*", "**", "a**b", "*a*b*c*d*e*"])
def test_a_pattern_that_means_anything_is_none(like: str) -> None:
    assert problem_of({"x": {"like": like}}) is not None
