"""A policy file in force: what it is told of each call, what of it is kept, and what a change of it does."""

from __future__ import annotations

from opsconsole.domain.command import Role
from opsconsole.domain.tool_call import CallKind
from opsconsole.hub.desk.principal import Principal
from opsconsole.policy.interface import Proposal
from tests.hub.desk.office import BEN, RUN
from tests.hub.desk.papers import TEXT, policy, ruled_office

TRUSTED = {"server": "docs", "annotations": {"readOnlyHint": True, "openWorldHint": False}}


def test_a_tool_of_a_trusted_server_is_believed_to_be_read_only() -> None:
    agent = ruled_office().agent()
    agent.propose("c1", "get_page", {}, **TRUSTED)
    assert (agent.verdict().outcome, agent.verdict().rule) == ("allow", "read-only")


def test_a_tool_of_another_server_is_not() -> None:
    office = ruled_office()
    office.agent().propose("c1", "get_page", {}, **TRUSTED | {"server": "elsewhere"})
    assert office.approval().status == "pending"


def test_what_is_told_of_a_tool_has_a_bound() -> None:
    agent = ruled_office().agent()
    agent.propose("c1", "get_page", {}, input_schema={"description": "x" * 300_000})
    assert (agent.verdict().outcome, agent.verdict().rule) == ("deny", "gate:arguments")


def test_whoever_started_a_run_may_not_approve_where_the_policy_says_so() -> None:
    office = ruled_office()
    office.agent(who=Principal(name="ben", role=Role.AGENT)).propose("c1", "deploy", {})
    assert office.approval().not_by == ["ben"]
    assert office.operator(BEN).decide("approve").code == "excluded"


def test_an_identifier_that_the_run_was_shown_is_grounded() -> None:
    agent = ruled_office().agent()
    agent.say({"type": "message", "id": "m1", "role": "user", "text": "please refund order ord_48213"})
    agent.propose("c1", "refund", {"order_id": "ord_48213"})
    agent.propose("c2", "refund", {"order_id": "ord_99999"})
    assert (agent.verdicts("c1"), agent.verdicts("c2")) == (["allow"], ["deny"])


def test_an_identifier_in_a_tool_s_result_is_grounded() -> None:
    agent = ruled_office().agent()
    agent.say({"type": "tool", "id": "c0", "name": "look", "status": "completed", "result": "found ord_48213"})
    agent.propose("c1", "refund", {"order_id": "ord_48213"})
    assert agent.verdicts() == ["allow"]


def test_what_the_agent_itself_says_grounds_nothing() -> None:
    agent = ruled_office().agent()
    agent.say({"type": "message", "id": "m1", "role": "assistant", "text": "I refund ord_48213"})
    agent.propose("c1", "refund", {"order_id": "ord_48213"})
    assert agent.verdicts() == ["deny"]


def test_an_operator_s_words_ground_what_they_name() -> None:
    office = ruled_office()
    agent = office.agent()
    office.operator().ask("inject", run=RUN, text="use ord_48213")
    agent.propose("c1", "refund", {"order_id": "ord_48213"})
    assert agent.verdicts() == ["allow"]


def test_after_a_restart_nothing_of_a_run_under_way_is_called_known() -> None:
    office = ruled_office()
    agent = office.agent()
    agent.say({"type": "message", "id": "m1", "role": "user", "text": "order ord_48213"})
    office.restart()
    agent.connect()
    agent.propose("c1", "refund", {"order_id": "ord_48213"})
    assert agent.verdicts() == ["deny"]


def test_a_table_that_the_run_made_is_known_from_then_on() -> None:
    agent = ruled_office().agent()
    agent.propose("c1", "run_sql", {"query": "CREATE TABLE notes (body text)"})
    agent.propose("c2", "run_sql", {"query": "SELECT body FROM notes"})
    agent.tool("c1", "completed")
    agent.propose("c3", "run_sql", {"query": "SELECT body FROM notes"})
    assert (agent.verdicts("c2"), agent.verdicts("c3")) == (["deny"], ["allow"])


def test_a_table_that_the_run_made_is_known_after_a_restart() -> None:
    office = ruled_office()
    agent = office.agent()
    agent.propose("c1", "run_sql", {"query": "CREATE TABLE notes (body text)"})
    agent.tool("c1", "completed")
    office.save_records()
    office.restart()
    agent.connect()
    agent.propose("c3", "run_sql", {"query": "SELECT body FROM notes"})
    assert agent.verdicts("c3") == ["allow"]


def test_a_failed_change_of_a_schema_changes_nothing() -> None:
    agent = ruled_office().agent()
    agent.propose("c1", "run_sql", {"query": "CREATE TABLE notes (body text)"})
    agent.tool("c1", "failed")
    agent.propose("c2", "run_sql", {"query": "SELECT body FROM notes"})
    assert agent.verdicts("c2") == ["deny"]


def test_the_entry_of_a_verdict_holds_what_it_was_judged_by() -> None:
    office = ruled_office()
    office.agent(agent="teller").propose("c1", "get_page", {"password": "hunter2hunter2"}, **TRUSTED)
    (entry,) = office.storage.facts("call.verdict")
    assert (entry["matched"], entry["failed"], entry["server"], entry["starter"]) == (["read-only"], [], "docs", "bot")
    assert entry["facts"]["tool"]["trusted"] is True
    assert entry["args"]["password"].startswith("[secret:")


def test_the_entry_of_a_refusal_holds_what_it_was_judged_by() -> None:
    office = ruled_office()
    office.agent().propose("c1", "pay", {"amount": 5000.0})
    (entry,) = office.storage.facts("call.verdict")
    assert (entry["outcome"], entry["rule"], entry["matched"]) == ("deny", "huge", ["pay", "huge"])
    assert (entry["args"], entry["policy"]) == ({"amount": 5000.0}, office.policy.hash)


def test_a_question_shows_the_rules_and_facts_behind_it() -> None:
    office = ruled_office()
    office.agent().propose("c1", "pay", {"amount": 50.0})
    row, (entry,) = office.approval(), office.storage.facts("approval.requested")
    assert (row.rule, row.why, row.matched, row.failed) == ("pay", "Money leaves.", ["pay"], [])
    assert row.facts == entry["facts"]


def test_what_was_kept_of_a_call_gives_the_same_verdict_again() -> None:
    office = ruled_office()
    office.agent().propose("c1", "run_sql", {"query": "SELECT nothing FROM users"})
    (entry,) = office.storage.facts("call.verdict")
    again = Proposal(
        run=entry["run"], agent=entry["agent"], call=entry["call"], kind=CallKind(entry["call_kind"]),
        tool=entry["tool"], args=entry["args"], labels=entry["labels"], starter=entry["starter"], now=entry["at"],
        server=entry["server"], annotations=entry["annotations"],
    )  # fmt: skip
    verdict = policy().rejudge(again, entry["facts"])
    assert (verdict.decision, verdict.rule, list(verdict.matched)) == ("deny", entry["rule"], entry["matched"])


def test_a_question_stays_bound_to_the_policy_it_was_asked_under() -> None:
    office = ruled_office()
    agent = office.agent()
    agent.propose("c1", "deploy", {})
    asked = office.approval()
    changed = policy(TEXT.replace('"test"', '"later"'))
    office.step(lambda now: office.desk.change_policy(changed, "", now))
    assert (office.approval().digest, office.desk.policy_name) == (asked.digest, "later")
    office.operator(BEN).decide("approve")
    (entry,) = office.storage.facts("approval.decided")
    assert (entry["policy"], agent.verdicts()) == (office.policy.hash, ["allow"])


def test_a_new_policy_judges_what_comes_after_it() -> None:
    office = ruled_office()
    agent = office.agent()
    changed = policy(TEXT + '[[rules]]\nid = "frozen"\ntool = "deploy"\ndecision = "deny"\n')
    office.step(lambda now: office.desk.change_policy(changed, "-a\n+b", now))
    agent.propose("c1", "deploy", {})
    (entry,) = office.storage.facts("policy.changed")
    assert agent.verdicts() == ["deny"]
    assert (entry["before"], entry["hash"], entry["diff"]) == (office.policy.hash, changed.hash, "-a\n+b")


def test_a_policy_that_cannot_be_read_leaves_the_old_one_and_an_alert() -> None:
    office = ruled_office()
    office.step(lambda now: office.desk.reject_policy(["line 2: version: too new"], now))
    row = office.desk.hub_row()
    assert (row.policy_hash, [one.level for one in row.alerts]) == (office.policy.hash, ["critical"])
    assert office.storage.facts("policy.rejected")[0]["problems"] == ["line 2: version: too new"]
