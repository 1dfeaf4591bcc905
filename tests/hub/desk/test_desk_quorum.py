"""Held calls that several people must approve: who counts, what each sees, and what an edit, a no and a restart do."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from opsconsole.domain.digest import call_digest
from tests.hub.desk.office import ANA, BEN, Agent, Office
from tests.hub.desk.papers import DEE, ELI, FAY, policy, ruled_office

PEOPLE = (ANA, BEN, DEE, ELI, FAY)
FINANCE = {"dee", "eli@acme.example", "fay"}


def held(amount: float = 50.0) -> tuple[Office, Agent]:
    """An office with a payment that two people of finance must approve."""
    office = ruled_office()
    agent = office.agent()
    agent.propose("c1", "pay", {"amount": amount})
    return office, agent


def test_the_first_yes_of_two_lets_nothing_run() -> None:
    office, agent = held()
    res = office.operator(DEE).decide("approve")
    assert (res.ok, res.status, res.current) == (True, "voted", {"votes": ["dee"], "approvers": 2})
    assert (agent.verdicts(), office.approval().status, office.approval().votes) == ([], "pending", ["dee"])


def test_the_second_yes_lets_the_call_run() -> None:
    office, agent = held()
    office.operator(DEE).decide("approve")
    assert office.operator(ELI).decide("approve").status == "recorded"
    assert agent.verdicts() == ["allow"]
    assert (office.approval().status, office.approval().votes) == ("approved", ["dee", "eli@acme.example"])


def test_the_row_shows_how_many_of_whom_are_needed() -> None:
    row = held()[0].approval()
    assert (row.approvers, row.groups, row.votes, row.may_respond) == (2, ["finance"], [], False)


def test_where_any_one_operator_decides_nobody_is_named() -> None:
    office = Office(policy=policy('version = 1\nname = "plain"\n'))
    office.agent().propose("c1", "other", {})
    row = office.approval()
    assert (row.approvers, row.groups, row.may_respond) == (1, [], True)


def test_operators_who_are_listed_are_a_group_like_any_other() -> None:
    office = ruled_office()
    agent = office.agent()
    agent.propose("c1", "other", {})
    assert (office.operator(DEE).decide("approve").code, office.approval().groups) == ("not_in_group", ["operators"])
    office.operator(ANA).decide("approve")
    assert agent.verdicts() == ["allow"]


def test_each_yes_is_an_entry_of_the_audit() -> None:
    office, _ = held()
    office.operator(DEE).decide("approve", note="looks right")
    office.operator(ELI).decide("approve")
    (vote,), (decision,) = office.storage.facts("approval.voted"), office.storage.facts("approval.decided")
    assert (vote["who"]["principal"], vote["votes"], vote["approvers"], vote["note"]) == (
        "dee", ["dee"], 2, "looks right",
    )  # fmt: skip
    assert decision["votes"] == ["dee", "eli@acme.example"]


def test_a_yes_counts_once_it_is_on_record() -> None:
    office, _ = held()
    office.hold()
    assert office.operator(DEE).decide("approve") is None
    assert office.approval().votes == []
    office.release()
    assert office.approval().votes == ["dee"]


def test_a_yes_that_cannot_be_recorded_counts_nothing() -> None:
    office, _ = held()
    office.storage.problem = "disk full"
    assert office.operator(DEE).decide("approve").code == "storage_failed"
    assert (office.approval().votes, office.approval().status) == ([], "pending")


def test_nobody_says_yes_twice() -> None:
    office, agent = held()
    office.operator(DEE).decide("approve")
    assert office.operator(DEE).decide("approve").code == "already_voted"
    assert agent.verdicts() == []


def test_one_person_under_two_names_is_one_person() -> None:
    office, agent = held()
    office.operator(ELI).decide("approve")
    other = ELI.__class__(name="eli", role=ELI.role)
    assert office.operator(other).decide("approve").code == "already_voted"
    assert agent.verdicts() == []


def test_somebody_of_another_group_is_told_so() -> None:
    office, _ = held()
    res = office.operator(ANA).decide("approve")
    assert (res.code, res.message, res.current) == (
        "not_in_group", "ana is not in finance", {"groups": ["finance"]},
    )  # fmt: skip


def test_one_no_ends_it_whoever_says_it() -> None:
    office, agent = held()
    office.operator(DEE).decide("approve")
    office.operator(ANA).decide("reject", note="no")
    assert (agent.verdicts(), office.approval().status) == (["deny"], "rejected")


def test_nobody_answers_in_the_agent_s_place_where_two_must_agree() -> None:
    office, agent = held()
    assert office.operator(DEE).decide("respond", text="paid").code == "bad_request"
    assert agent.verdicts() == []


def test_votes_that_come_too_late_are_a_refusal() -> None:
    office, agent = held()
    office.operator(DEE).decide("approve")
    office.pass_time(3_601)
    assert (agent.verdicts(), office.approval().status) == (["deny"], "expired")


def test_a_yes_on_its_way_to_disk_does_not_outlive_the_question() -> None:
    office, agent = held()
    office.hold()
    office.operator(DEE).decide("approve")
    office.pass_time(3_601)
    office.release()
    office.pass_time(1)
    assert (agent.verdicts(), office.approval().status) == (["deny"], "expired")


def test_a_yes_to_a_run_that_is_killed_meanwhile_is_void() -> None:
    office, _ = held()
    office.hold()
    office.operator(DEE).decide("approve")
    office.operator(ANA).ask("kill", run="run_1")
    office.release()
    assert office.operator(DEE).answers == ["precondition_failed"]


def test_votes_survive_a_restart() -> None:
    office, agent = held()
    office.operator(DEE).decide("approve")
    office.restart()
    agent.connect()
    assert office.operator(DEE).decide("approve").code == "already_voted"
    office.operator(FAY).decide("approve")
    assert (agent.verdicts()[-1], office.approval().votes) == ("allow", ["dee", "fay"])


def test_votes_survive_a_restart_from_the_records() -> None:
    office, agent = held()
    office.operator(DEE).decide("approve")
    office.save_records()
    office.restart()
    agent.connect()
    assert office.approval().votes == ["dee"]


def test_an_edit_starts_the_count_anew_with_its_editor() -> None:
    office, agent = held()
    before = office.approval().digest
    office.operator(DEE).decide("approve")
    office.operator(ELI).decide("edit", args={"amount": 40.0})
    row = office.approval()
    assert (row.args, row.edited_by, row.votes) == ({"amount": 40.0}, "eli@acme.example", ["eli@acme.example"])
    assert (row.digest == before, agent.verdicts()) == (False, [])


def test_a_yes_to_what_was_shown_before_the_edit_is_refused() -> None:
    office, agent = held()
    before = office.approval().digest
    office.operator(ELI).decide("edit", args={"amount": 40.0})
    assert office.operator(DEE).decide("approve", digest=before).code == "digest_mismatch"
    assert agent.verdicts() == []


def test_who_agrees_to_an_edit_lets_the_edited_call_run() -> None:
    office, agent = held()
    office.operator(ELI).decide("edit", args={"amount": 40.0})
    office.operator(DEE).decide("approve")
    verdict = agent.verdict()
    assert (verdict.outcome, verdict.args, verdict.digest) == (
        "allow", {"amount": 40.0}, call_digest("pay", {"amount": 40.0}),
    )  # fmt: skip
    assert (office.approval().status, office.approval().edited_args) == ("edited", {"amount": 40.0})


def test_an_edit_that_the_policy_allows_needs_nobody_else() -> None:
    office, agent = held()
    office.operator(DEE).decide("edit", args={"amount": 0.5})
    assert (agent.verdict().outcome, agent.verdict().args) == ("allow", {"amount": 0.5})


def test_an_edit_that_the_policy_denies_is_refused() -> None:
    office, _ = held()
    assert office.operator(DEE).decide("edit", args={"amount": 5000.0}).code == "policy_denied"


def test_an_edit_survives_a_restart() -> None:
    office, agent = held()
    office.operator(ELI).decide("edit", args={"amount": 40.0})
    office.save_records()
    office.restart()
    agent.connect()
    office.operator(DEE).decide("approve")
    assert agent.verdicts()[-1] == "allow"
    assert agent.told("verdict")[-1].args == {"amount": 40.0}


def test_an_edit_with_a_secret_is_not_approved_after_a_restart() -> None:
    office, agent = held()
    office.operator(ELI).decide("edit", args={"amount": 40.0, "password": "hunter2hunter2"})
    office.restart()
    agent.connect()
    assert (office.approval().status, agent.verdicts()[-1]) == ("cancelled", "deny")


def test_half_of_the_time_over_people_are_reminded_once() -> None:
    office, _ = held()
    office.pass_time(1_790)
    assert office.storage.kinds("approval.reminded") == []
    office.pass_time(20)
    office.pass_time(500)
    assert office.storage.kinds("approval.reminded") == ["approval.reminded"]


def test_a_reminder_is_not_repeated_after_a_restart() -> None:
    office, agent = held()
    office.pass_time(1_810)
    office.restart()
    agent.connect()
    office.pass_time(100)
    assert office.storage.kinds("approval.reminded") == ["approval.reminded"]


def test_the_next_group_is_asked_when_nobody_answers() -> None:
    office, agent = held()
    assert office.operator(BEN).decide("approve").code == "not_in_group"
    office.pass_time(2_401)
    assert office.approval().groups == ["finance or release"]
    office.operator(BEN).decide("approve")
    office.operator(DEE).decide("approve")
    assert agent.verdicts() == ["allow"]


def test_the_next_group_is_still_asked_after_a_restart() -> None:
    office, agent = held()
    office.pass_time(2_401)
    office.restart()
    agent.connect()
    assert (office.approval().groups, office.storage.kinds("approval.escalated")) == (
        ["finance or release"], ["approval.escalated"],
    )  # fmt: skip


def test_who_composed_a_call_as_the_model_is_one_of_two() -> None:
    office = ruled_office()
    agent = office.agent()
    office.operator(DEE).ask("takeover", run="run_1")
    agent.turn("m1")
    office.operator(DEE).decide("respond", "m1", text="", calls=[{"id": "k1", "name": "pay", "args": {"amount": 9.0}}])
    agent.propose("c1", "pay", {"amount": 9.0})
    assert (agent.verdicts("c1"), office.approval().status) == ([], "pending")


STEPS = st.lists(
    st.one_of(
        st.tuples(
            st.sampled_from(["approve", "approve", "edit", "reject"]),
            st.sampled_from(PEOPLE),
            st.sampled_from([40.0, 60.0, 0.5]),
        ),
        st.tuples(st.sampled_from(["restart", "save", "hold", "release", "commit", "wait", "break", "mend"])),
    ),
    max_size=14,
)


@given(steps=STEPS)
def test_nothing_runs_without_two_of_the_group_whatever_happens_in_between(steps: list[tuple]) -> None:
    office, agent = held()
    for step in steps:
        _take(office, agent, step)
    office.storage.problem = ""
    office.release()
    permits = {verdict.digest for verdict in agent.told("verdict") if verdict.outcome == "allow"}
    assert permits <= _agreed(office)


def _take(office: Office, agent: Agent, step: tuple) -> None:
    row = office.approval()
    match step:
        case (str() as answer, who, amount) if row is not None and row.status == "pending":
            more = {"args": {"amount": amount}} if answer == "edit" else {}
            office.operator(who).decide(answer, **more)
        case ("restart",):
            office.storage.problem = ""
            office.restart()
            agent.connect(seq=len(agent.journal))
        case ("save",):
            office.save_records()
        case ("hold",):
            office.hold()
        case ("release",):
            office.release()
        case ("commit",):
            office.commit(1)
        case ("wait",):
            office.pass_time(900)
        case ("break",):
            office.storage.problem = "disk full"
        case ("mend",):
            office.storage.problem = ""


def _agreed(office: Office) -> set[str]:
    """The digests on which enough people agree by the audit alone, read without the desk's help."""
    agreed, voters, digest, group = set(), set(), call_digest("pay", {"amount": 50.0}), set(FINANCE)
    for fact in (entry.fact for entry in office.storage.entries):
        if fact["kind"] == "approval.escalated":
            group |= {"ben", "fay"}
        if fact["kind"] not in ("approval.voted", "approval.decided") or fact["answer"] == "reject":
            continue
        by, edited = fact["who"]["principal"], fact["edited_args"]
        if edited is not None and call_digest("pay", edited) != digest:
            voters, digest = set(), call_digest("pay", edited)
        voters |= {by} & group
        if len(voters) >= 2 or (edited is not None and edited["amount"] <= 1.0):
            agreed.add(digest)
    return agreed
