"""The gate: one verdict for each proposal, an allow only when it is on record, and nothing past the fence."""

from __future__ import annotations

from typing import Any

import pytest

from opsconsole.domain.digest import call_digest
from opsconsole.policy.default import DefaultPolicy
from opsconsole.policy.interface import Decision, Limits, Proposal, Verdict
from tests.hub.desk.office import RUN, Office


class Denies(DefaultPolicy):
    """Says no to everything."""

    def judge(self, proposal: Proposal) -> Verdict:
        return Verdict(decision=Decision.DENY, rule="test:never", reason="never")


class Breaks(DefaultPolicy):
    """Fails at everything."""

    def judge(self, proposal: Proposal) -> Verdict:
        raise KeyError("oops")


def test_a_listed_read_only_tool_is_allowed() -> None:
    agent = Office().agent()
    agent.propose("c1", "read_file", {"path": "a"})
    verdict = agent.verdict("c1")
    assert (verdict.outcome, verdict.rule, verdict.by) == ("allow", "default:read-only", "policy")
    assert verdict.digest == call_digest("read_file", {"path": "a"})


def test_an_allow_is_recorded_before_the_agent_hears_it() -> None:
    office = Office()
    agent = office.agent()
    office.hold()
    agent.propose("c1", "read_file", {"path": "a"})
    assert agent.verdicts("c1") == []
    office.release()
    assert agent.verdicts("c1") == ["allow"]
    assert office.storage.facts("call.verdict")[0]["call_digest"] == call_digest("read_file", {"path": "a"})


def test_an_allow_that_cannot_be_recorded_becomes_a_refusal() -> None:
    office = Office()
    agent = office.agent()
    office.storage.problem = "disk full"
    agent.propose("c1", "read_file", {"path": "a"})
    assert (agent.verdict("c1").outcome, agent.verdict("c1").rule) == ("deny", "gate:storage")


def test_a_refusal_does_not_wait_for_the_disk() -> None:
    office = Office(policy=Denies())
    agent = office.agent()
    office.hold()
    agent.propose("c1")
    assert agent.verdicts("c1") == ["deny"]


def test_a_refusal_is_recorded_when_the_disk_is_back() -> None:
    office = Office(policy=Denies())
    agent = office.agent()
    office.storage.problem = "disk full"
    agent.propose("c1")
    office.storage.problem = ""
    office.pass_time(2.0)
    assert [fact["rule"] for fact in office.storage.facts("call.verdict")] == ["test:never"]


def test_a_policy_that_fails_refuses() -> None:
    agent = Office(policy=Breaks()).agent()
    agent.propose("c1")
    assert (agent.verdict().outcome, agent.verdict().rule) == ("deny", "policy:error")


def test_no_verdict_is_no_permission() -> None:
    """A missing decision executes: not here; the call of an unanswered question is never allowed, only refused."""
    office = Office()
    agent = office.agent()
    agent.propose()
    assert agent.verdicts() == []
    office.pass_time(599.0)
    assert agent.verdicts() == []
    office.pass_time(2.0)
    assert agent.verdicts() == ["deny"]


def test_arguments_that_differ_from_their_digest_are_refused() -> None:
    """Shown arguments differ from run arguments."""
    office = Office()
    agent = office.agent()
    agent.propose("c1", "sql", {"query": "SELECT"}, digest=call_digest("sql", {"query": "DROP"}))
    assert (agent.verdict().outcome, agent.verdict().rule) == ("deny", "gate:arguments")
    assert office.approval() is None


@pytest.mark.parametrize("missing", ["name", "args", "digest"])
def test_a_proposal_without_name_arguments_or_digest_is_refused(missing: str) -> None:
    agent = Office().agent()
    args = {"query": "x"}
    proposed: dict[str, Any] = {"type": "tool", "id": "c1", "status": "proposed", "gate": True}
    proposed |= {"name": "sql", "args": args, "digest": call_digest("sql", args)}
    del proposed[missing]
    agent.say(proposed)
    assert agent.verdict().rule == "gate:arguments"


def test_arguments_nobody_could_read_are_refused() -> None:
    agent = Office().agent()
    deep: Any = "x"
    for _ in range(40):
        deep = [deep]
    agent.propose("c1", "sql", {"query": "x" * 200_000})
    agent.propose("c2", "sql", {"query": deep}, digest="sha256:0")
    agent.say(
        {"type": "tool", "id": "c3", "status": "proposed", "gate": True, "name": "sql", "digest": "d"}
        | {"args": {"query": float("nan")}}
    )
    assert [agent.verdict(call).rule for call in ("c1", "c2", "c3")] == ["gate:arguments"] * 3


def test_the_same_proposal_twice_is_one_question() -> None:
    """One approval is minted several times on retry: not here."""
    office = Office()
    agent = office.agent()
    agent.propose()
    agent.propose()
    assert len(office.storage.facts("approval.requested")) == 1
    assert office.row().pending_approvals == 1


def test_a_call_proposed_by_two_points_is_one_question_with_one_verdict_for_both() -> None:
    office = Office()
    agent = office.agent()
    gateway = office.agent(point="gateway", state=None)
    agent.propose()
    gateway.propose()
    office.operator().decide("approve")
    assert len(office.storage.facts("approval.requested")) == 1
    assert agent.verdict().cmd == gateway.verdict().cmd


def test_a_call_whose_arguments_change_after_it_was_proposed_is_refused() -> None:
    office = Office()
    agent = office.agent()
    agent.propose("c1", "sql", {"query": "SELECT"})
    agent.propose("c1", "sql", {"query": "DROP"})
    assert (agent.verdict().outcome, agent.verdict().rule) == ("deny", "gate:changed")
    assert agent.verdict().digest == call_digest("sql", {"query": "DROP"})
    assert office.approval().args == {"query": "SELECT"}


def test_a_proposal_repeated_with_other_arguments_under_the_old_digest_is_refused() -> None:
    office = Office()
    agent = office.agent()
    agent.state("working")
    operator = office.operator()
    operator.ask("pause", run=RUN)
    agent.propose("c1", "sql", {"query": "SELECT"})
    office.save_records()
    office.restart()
    agent.connect()
    agent.propose("c1", "sql", {"query": "DROP"}, digest=call_digest("sql", {"query": "SELECT"}))
    operator.ask("resume", run=RUN)
    assert office.approval() is None or office.approval().args != {"query": "DROP"}
    assert "allow" not in agent.verdicts()


def test_a_call_that_had_its_verdict_is_told_it_again() -> None:
    office = Office()
    agent = office.agent()
    agent.propose("c1", "read_file", {"path": "a"})
    agent.propose("c1", "read_file", {"path": "a"})
    assert agent.verdicts("c1") == ["allow", "allow"]
    assert len({one.cmd for one in agent.told("verdict")}) == 1
    assert len(office.storage.facts("call.verdict")) == 1


def test_a_repeated_call_whose_verdict_was_taken_is_not_allowed_again() -> None:
    office = Office()
    agent = office.agent()
    agent.propose("c1", "read_file", {"path": "a"})
    agent.acknowledge()
    agent.propose("c1", "read_file", {"path": "a"})
    assert agent.verdicts("c1") == ["allow", "deny"]


def test_a_turn_of_the_model_is_admitted_at_once() -> None:
    office = Office()
    agent = office.agent()
    office.hold()
    agent.turn()
    assert agent.verdicts("m1") == ["allow"]


def test_nothing_is_admitted_past_the_fence() -> None:
    office = Office()
    agent = office.agent()
    office.operator().ask("kill", run=RUN)
    agent.turn()
    agent.propose("c1", "read_file", {"path": "a"})
    assert (agent.verdicts("m1"), agent.verdicts("c1")) == (["deny"], ["deny"])


def test_an_allow_on_its_way_to_disk_when_the_run_is_killed_is_a_single_refusal() -> None:
    office = Office()
    agent = office.agent()
    office.hold()
    agent.propose("c1", "read_file", {"path": "a"})
    office.operator().ask("kill", run=RUN)
    office.release()
    assert agent.verdicts("c1") == ["deny"]


def test_a_paused_run_gets_no_verdict_until_it_goes_on() -> None:
    office = Office()
    agent, operator = office.agent(), office.operator()
    operator.ask("pause", run=RUN)
    agent.propose("c1", "read_file", {"path": "a"})
    assert (agent.verdicts("c1"), office.row().state) == ([], "paused")
    operator.ask("resume", run=RUN)
    assert agent.verdicts("c1") == ["allow"]


def test_an_allow_on_its_way_to_disk_when_the_run_is_paused_waits_for_the_resume() -> None:
    office = Office()
    agent, operator = office.agent(), office.operator()
    office.hold()
    agent.propose("c1", "read_file", {"path": "a"})
    operator.ask("pause", run=RUN)
    office.release()
    assert agent.verdicts("c1") == []
    operator.ask("resume", run=RUN)
    assert agent.verdicts("c1") == ["allow"]


def test_a_run_over_its_limit_is_paused_and_its_next_call_held() -> None:
    office = Office(policy=DefaultPolicy(run_limits=Limits(turns=3)))
    agent = office.agent()
    agent.usage(turns=3)
    agent.turn()
    assert (office.row().state, agent.verdicts("m1")) == ("paused", [])
    assert [command.by for command in agent.told("pause")] == ["hub"]
    assert office.storage.kinds("limit") == ["limit.tripped"]


def test_a_gated_call_that_runs_without_a_verdict_raises_the_alarm() -> None:
    office = Office()
    agent = office.agent()
    agent.propose()
    agent.tool("c1", "running")
    assert "unpermitted" in office.alerts()
    assert office.storage.kinds("call.unpermitted") == ["call.unpermitted"]


def test_a_call_that_ran_under_the_offline_policy_is_on_record_as_an_override() -> None:
    office = Office()
    agent = office.agent()
    agent.say(
        {"type": "run", "agent": "worker", "on_hub_lost": {"gate": "allow"}},
        {"type": "tool", "id": "c9", "status": "running", "name": "sql", "args": {"query": "x"}, "verdict": "offline"},
    )
    assert office.storage.kinds("override") == ["override.offline"]
    assert "offline" in office.alerts()


def test_masked_arguments_are_shown_while_the_verdict_is_over_the_real_ones() -> None:
    office = Office()
    agent = office.agent()
    args = {"query": "x", "password": "hunter2hunter2"}
    agent.propose("c1", "sql", args)
    approval = office.approval()
    assert approval.masked
    assert approval.args["password"].startswith("[secret:value:")
    office.operator().decide("approve")
    assert agent.verdict().digest == call_digest("sql", args)
    assert b"hunter2" not in b"".join(entry.body for entry in office.storage.entries)


def test_a_run_waits_for_the_worst_of_its_held_calls() -> None:
    office = Office()
    agent = office.agent()
    agent.propose("c1", "note", {"text": "a"}, risk="low")
    office.pass_time(1)
    agent.propose("c2", "send_wire", {"usd": 9}, risk="critical")
    row = office.row(RUN)
    assert (row.pending_approvals, row.pending_risk) == (2, "critical")
    assert row.waiting is not None
    assert row.waiting.what == "send_wire"
