"""Restarts: what was on record stands, what stopped stays stopped, and nothing is permitted by forgetting."""

from __future__ import annotations

from collections import deque
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec import structs

from opsconsole.domain.command import Role
from opsconsole.domain.tool_call import CallKind, CallStatus, Risk
from opsconsole.hub.desk.desk import Desk
from opsconsole.hub.desk.effects import Record, Store
from opsconsole.hub.desk.principal import Principal
from opsconsole.hub.desk.state import Call, Reserve
from opsconsole.policy.default import DefaultPolicy
from opsconsole.policy.interface import Limits
from opsconsole.protocol.frames import Welcome
from tests.hub.desk.office import ANA, BEN, RUN, SDK_CAPS, SEALED, Agent, Office

MATTERS = {"run", "agent", "parent", "owner", "state", "turns", "input_tokens", "cost_usd", "caps"}
"""What of a run's row must survive a restart exactly, besides its kill and its baton."""

DOES_NOT_MATTER = {"rev", "claimed_by", "decided_at", "requested_at", "expires_at"}


def what_matters(desk: Desk, now: float) -> dict[str, Any]:
    """What two desks must agree on."""
    known: dict[str, Any] = {}
    for run in desk.run_ids():
        row = desk.run_row(run, now)
        kill = row.kill and (row.kill.status.replace("sent", "stopping"), row.kill.proof, row.kill.mode)
        baton = row.baton and (row.baton.by, row.baton.epoch)
        state = str(row.state).replace("pausing", "paused")  # a turn of the model is judged again, which holds it
        known[run] = row.model_dump(include=MATTERS) | {"state": state, "kill": kill, "baton": baton}
    for approval in desk.approval_ids():
        shown = desk.approval_row(approval).model_dump(exclude=DOES_NOT_MATTER)
        if shown["kind"] == "model_call":  # its verdict is not on record, so it is asked about or admitted again
            continue
        known[approval] = shown | {"delivery": shown["delivery"].replace("delivered", "recorded")}
    return known


def test_a_recorded_decision_reaches_the_agent_after_a_restart() -> None:
    office = Office()
    agent = office.agent()
    agent.propose()
    agent.drop()
    office.operator().decide("approve")
    office.restart()
    assert agent.verdicts() == []
    agent.connect()
    assert agent.verdicts() == ["allow"]


def test_a_decision_that_was_not_recorded_never_was() -> None:
    office = Office()
    agent = office.agent()
    agent.propose()
    office.hold()
    office.operator().decide("approve")
    office.restart()
    agent.connect()
    assert (agent.verdicts(), office.approval().status) == ([], "pending")
    assert office.operator().decide("reject").ok


def test_a_decision_given_again_after_a_restart_is_the_same_decision() -> None:
    office = Office()
    agent, operator = office.agent(), office.operator()
    agent.propose()
    approval = office.approval()
    operator.decide("approve", cmd="cmd_x")
    office.restart()
    about = {"approval": approval.approval, "answer": "approve", "digest": approval.digest}
    again = operator.ask("decide", cmd="cmd_x", **about)
    assert (again.ok, again.replayed) == (True, True)
    assert len(office.storage.facts("approval.decided")) == 1
    assert operator.ask("decide", cmd="cmd_x", **about | {"answer": "reject"}).code == "idempotency_conflict"


def test_a_pending_question_waits_on_and_expires_as_it_would_have() -> None:
    office = Office()
    agent = office.agent()
    agent.propose()
    office.pass_time(300)
    office.restart()
    agent.connect()
    assert (office.approval().status, office.row().pending_approvals) == ("pending", 1)
    office.pass_time(301)
    assert agent.verdicts() == ["deny"]


def test_a_question_that_was_not_recorded_is_asked_again() -> None:
    office = Office()
    agent = office.agent()
    office.hold()
    agent.propose()
    office.commit(1)
    office.restart()
    agent.connect()
    assert (office.approval().status, agent.verdicts(), office.row().pending_approvals) == ("pending", [], 1)


def test_a_question_that_was_not_recorded_and_whose_arguments_are_gone_is_a_refusal() -> None:
    office = Office()
    agent = office.agent()
    office.hold()
    agent.propose()
    office.commit(1)
    office.save_records()
    office.restart()
    agent.connect()
    assert (agent.verdicts(), office.row().pending_approvals) == (["deny"], 0)


def test_a_proposal_whose_secret_is_only_in_the_agent_is_refused_after_a_restart() -> None:
    office = Office()
    agent = office.agent()
    office.hold()
    agent.propose("c1", "sql", {"query": "x", "password": "hunter2hunter2"})
    office.commit(1)
    office.restart()
    agent.connect()
    assert (agent.verdict().outcome, agent.verdict().rule) == ("deny", "gate:restart")


def test_a_proposal_that_was_not_stored_is_sent_again_and_asked_once() -> None:
    office = Office()
    agent = office.agent()
    office.hold()
    agent.propose()
    office.restart()
    agent.connect()
    agent.send(agent.frame(agent.journal[agent.acked :]))
    assert (office.approval().status, len(office.storage.facts("approval.requested"))) == ("pending", 1)


def test_a_killed_run_stays_killed() -> None:
    """Recovery restarts a cancelled run: not here."""
    office = Office()
    agent = office.agent()
    office.operator().ask("kill", run=RUN, note="runaway")
    agent.answer(f"cmd_ana1.{RUN}", proof="cooperative")
    office.restart()
    agent.connect()
    agent.state("working")
    row = office.row()
    assert (row.state, row.kill.status, row.kill.reason, row.zombie) == ("killed", "dead", "runaway", True)


def test_a_kill_that_was_under_way_goes_on() -> None:
    office = Office()
    agent = office.agent()
    agent.drop()
    office.operator().ask("kill", cmd="cmd_k", run=RUN, mode="now")
    office.restart()
    agent.connect()
    assert [(one.cmd, one.mode) for one in agent.told("kill")] == [(f"cmd_k.{RUN}", "now")]
    agent.answer(f"cmd_k.{RUN}", proof="cooperative")
    assert (office.row().kill.status, office.desk.command_report("cmd_k").status) == ("dead", "dead")


def test_a_kill_that_was_under_way_becomes_unconfirmed_in_time() -> None:
    office = Office()
    agent = office.agent()
    agent.drop()
    office.operator().ask("kill", run=RUN)
    office.restart()
    office.pass_time(16)
    assert office.row().kill.status == "unconfirmed"


def test_a_child_killed_at_its_birth_stays_killed() -> None:
    office = Office()
    office.agent(RUN)
    office.operator().ask("kill", run=RUN)
    child = office.agent("run_2", parent=RUN)
    child.drop()
    office.restart()
    child.heard.clear()
    child.cseq = 0
    child.connect()
    child.propose("c1", "read_file", {"path": "a"})
    assert (office.row("run_2").state, child.verdicts("c1"), len(child.told("kill"))) == ("stopping", ["deny"], 1)


def test_a_permission_given_before_the_fence_is_not_delivered_after_a_restart() -> None:
    office = Office()
    agent, operator = office.agent(), office.operator()
    agent.propose()
    agent.drop()
    operator.decide("approve")
    operator.ask("kill", run=RUN)
    office.restart()
    agent.connect()
    assert agent.verdicts() == ["deny"]


def test_a_paused_run_stays_paused() -> None:
    office = Office()
    agent, operator = office.agent(), office.operator()
    operator.ask("pause", run=RUN)
    office.restart()
    agent.connect()
    agent.propose("c1", "read_file", {"path": "a"})
    assert (agent.verdicts("c1"), office.row().state) == ([], "paused")
    operator.ask("resume", run=RUN)
    assert agent.verdicts("c1") == ["allow"]


def test_the_spend_of_a_run_survives_a_restart() -> None:
    """A spend window resets on restart: not here."""
    office = Office(policy=DefaultPolicy(run_limits=Limits(cost_usd=1.0)))
    agent = office.agent()
    agent.usage(input_tokens=90_000)
    office.restart()
    agent.connect()
    assert office.row().cost_usd == 0.9
    agent.usage(input_tokens=101_000)
    assert office.row().state == "pausing"


def test_raised_limits_survive_a_restart() -> None:
    office = Office(policy=DefaultPolicy(run_limits=Limits(cost_usd=1.0)))
    agent, operator = office.agent(), office.operator()
    agent.usage(input_tokens=101_000)
    operator.ask("resume", run=RUN, caps={"cost_usd": 2.0})
    office.restart()
    assert (office.row().state, office.row().caps.cost_usd) == ("resuming", 2.0)


def test_a_limit_reached_just_before_a_crash_pauses_after_it() -> None:
    office = Office(policy=DefaultPolicy(run_limits=Limits(turns=2)))
    agent = office.agent()
    office.hold()
    agent.usage(turns=2)
    office.commit(1)
    office.restart()
    assert office.row().state == "pausing"


def test_a_takeover_goes_on_and_still_ends() -> None:
    office = Office()
    agent, operator = office.agent(), office.operator()
    operator.ask("takeover", run=RUN)
    agent.turn("m1")
    office.restart()
    agent.connect()
    assert (office.row().baton.by, office.approval("m1").status) == ("ana", "pending")
    assert operator.decide("respond", "m1", text="x").ok
    assert agent.verdicts("m1") == ["answer"]
    office.pass_time(901)
    assert (office.row().baton, office.row().state) == (None, "pausing")


def test_a_lapsed_takeover_stays_lapsed() -> None:
    office = Office()
    agent, operator = office.agent(), office.operator()
    operator.ask("takeover", run=RUN)
    agent.turn("m1")
    office.pass_time(901)
    office.restart()
    agent.connect()
    row = office.row()
    assert (row.baton, row.state, office.approval("m1").status) == (None, "paused", "cancelled")
    operator.ask("resume", run=RUN)
    assert agent.verdicts("m1") == ["allow"]


def test_a_composed_call_consumed_before_a_restart_is_not_admitted_again() -> None:
    office = Office()
    agent, operator = office.agent(), office.operator()
    operator.ask("takeover", run=RUN)
    agent.turn("m1")
    composed = {"id": "k1", "name": "sql", "args": {"query": "SELECT 1"}}
    operator.decide("respond", "m1", text="", calls=[composed])
    office.save_records()
    agent.propose("k1", "sql", composed["args"])
    office.restart()
    agent.connect()
    agent.propose("k2", "sql", composed["args"])
    assert (set(agent.verdicts("k1")), agent.verdicts("k2")) == ({"allow"}, [])


def test_an_edit_with_a_secret_is_refused_after_a_restart_rather_than_sent_masked() -> None:
    office = Office()
    agent, operator = office.agent(), office.operator()
    agent.propose()
    agent.drop()
    operator.decide("edit", args={"query": "x", "password": "hunter2hunter2"})
    for save in (False, True):
        if save:
            office.save_records()
        office.restart()
        agent.heard.clear()
        agent.connect()
        assert (agent.verdict().outcome, agent.verdict().rule) == ("deny", "gate:restart")
        agent.drop()


def test_an_old_command_is_not_delivered_after_a_restart() -> None:
    """A backlog is replayed as new after a stall: not here."""
    office = Office()
    agent = office.agent()
    agent.drop()
    office.operator().ask("inject", cmd="cmd_i", run=RUN, text="now!", ttl_seconds=60)
    office.save_records()
    office.now += 61
    office.restart()
    agent.connect()
    assert agent.told("inject") == []
    office.pass_time(1)
    assert office.desk.command_report("cmd_i").status == "expired"


def test_after_a_restart_links_are_stale_until_they_are_heard() -> None:
    office = Office()
    agent = office.agent()
    office.restart()
    assert office.row().link == "stale"
    agent.connect()
    assert office.row().link == "live"
    office.pass_time(100)
    assert office.row().link == "live"


def test_a_lease_counts_from_the_restart() -> None:
    office = Office()
    office.agent(lease_seconds=30)
    office.pass_time(100)
    office.operator().ask("kill", run=RUN)
    office.restart()
    office.pass_time(43)
    assert office.row().kill.status == "unconfirmed"
    office.pass_time(2)
    assert office.row().kill.proof == "lease"


def test_an_owner_is_known_after_a_restart() -> None:
    office = Office()
    office.agent()
    office.restart()
    assert office.row().owner == "bot"


def test_a_run_whose_start_was_not_recorded_belongs_to_who_speaks_for_it_next() -> None:
    office = Office()
    office.hold()
    agent = office.agent()
    office.commit(1)
    office.restart()
    agent.connect()
    assert office.row().owner == "bot"


def test_what_became_of_a_call_is_known_after_a_restart() -> None:
    office = Office()
    agent = office.agent()
    agent.propose()
    office.operator().decide("approve")
    agent.tool("c1", "completed", result="3 rows")
    office.restart()
    assert (office.approval().result, office.approval().delivery) == ("completed: 3 rows", "applied")


def test_no_event_is_stored_twice_by_a_point_that_reconnects_while_the_disk_is_slow() -> None:
    office = Office()
    agent = office.agent()
    office.hold()
    agent.say({"type": "note", "text": "one"}, {"type": "note", "text": "two"})
    agent.drop()
    agent.connect()
    agent.send(agent.frame(agent.journal[agent.acked :]))
    office.release()
    assert [event["seq"] for event in office.storage.events(RUN, "sdk/g1")] == [1, 2, 3, 4]
    assert agent.acked == 4


def test_records_that_cannot_be_read_are_made_again_from_the_logs() -> None:
    office = Office()
    agent = office.agent()
    agent.usage(turns=3)
    office.save_records()
    office.saved = {key: type(one)(kind=one.kind, id=one.id, body=b"{") for key, one in office.saved.items()}
    office.marks = (0, 0)
    office.restart()
    assert office.row().turns == 3


STEP_NAMES = (
    *("propose", "read", "turn", "usage", "approve", "reject", "edit", "respond", "pause", "resume", "takeover"),
    *("release", "kill", "dead", "drop", "connect", "finish", "child", "wait", "ack", "save"),
)
STEPS = st.lists(
    st.sampled_from(STEP_NAMES),
    max_size=24,
)


def perform(office: Office, agent: Agent, step: str, number: int) -> None:
    """One step of a shift; what cannot be done now is refused, which is part of the shift."""
    ana, ben = office.operator(ANA), office.operator(BEN)
    pending = office.desk.approval_ids(pending_only=True)
    match step:
        case "propose":
            agent.propose(f"c{number}", "sql", {"query": f"x{number}"})
        case "read":
            agent.propose(f"c{number}", "read_file", {"path": "a"})
        case "turn":
            agent.turn(f"m{number}")
        case "usage":
            agent.usage(turns=number, input_tokens=number * 1_000)
        case "approve" | "reject" | "edit" | "respond" if pending:
            row = office.desk.approval_row(pending[0])
            about: dict[str, Any] = {"args": {"query": "y"}} if step == "edit" else {"text": "z"}
            ana.ask("decide", approval=pending[0], answer=step, digest=row.digest, **about)
        case "pause" | "resume" | "release":
            ana.ask(step, run=RUN)
        case "takeover":
            ana.ask("takeover", run=RUN)
        case "kill":
            ben.ask("kill", run=RUN)
        case "dead" if agent.told("kill"):
            agent.answer(agent.told("kill")[-1].cmd, proof="cooperative")
        case "drop" if agent.conn:
            agent.drop()
        case "connect" if not agent.conn:
            agent.connect()
            if len(agent.journal) > agent.acked:
                agent.send(agent.frame(agent.journal[agent.acked :]))
        case "finish":
            agent.state("completed")
        case "child":
            office.agent(f"run_c{number}", parent=RUN, caps=SDK_CAPS)
        case "wait":
            office.pass_time(20)
        case "ack":
            agent.acknowledge()
        case "save" if number < 100:
            office.save_records()


@settings(max_examples=200, deadline=None)
@given(STEPS, STEPS, st.integers(0, 2**12))
@example(before=[], after=["propose"] * 3 + ["usage"] + ["approve"] * 3 + ["kill"], which=128)
def test_records_saved_in_part_before_a_crash_are_completed_by_the_logs(
    before: list[str], after: list[str], which: int
) -> None:
    """A pass over the records was cut short: some hold the present, some an earlier time; the marks are the earlier."""
    office = Office(policy=DefaultPolicy(run_limits=Limits(turns=20)))
    agent = office.agent()
    for number, step in enumerate(before, 1):
        perform(office, agent, step, number)
    office.save_records()
    earlier, marks = dict(office.saved), office.marks
    for number, step in enumerate(after, 101):
        perform(office, agent, step, number)
    known = what_matters(office.desk, office.now)
    office.save_records()
    present = [key for place, key in enumerate(sorted(office.saved)) if which >> (place % 12) & 1]
    office.saved, office.marks = earlier | {key: office.saved[key] for key in present}, marks
    desk = office.recovered()
    desk.finish_recovery(office.now)
    recovered = what_matters(desk, office.now)
    assert recovered.keys() == known.keys()
    for key, one in recovered.items():
        assert one == known[key]


@settings(max_examples=150, deadline=None)
@given(STEPS)
def test_a_recovered_desk_knows_what_the_live_one_knew(steps: list[str]) -> None:
    office = Office(policy=DefaultPolicy(run_limits=Limits(turns=20)))
    agent = office.agent()
    for number, step in enumerate(steps, 1):
        perform(office, agent, step, number)
    known = what_matters(office.desk, office.now)
    with_records = office.recovered()
    office.saved, office.marks = {}, (0, 0)
    from_logs = office.recovered()
    for desk in (from_logs, with_records):
        desk.finish_recovery(office.now)
        recovered = what_matters(desk, office.now)
        assert recovered.keys() == known.keys()
        for key, one in recovered.items():
            assert one == known[key]


def test_what_was_replayed_is_in_the_next_records() -> None:
    office = Office()
    agent = office.agent()
    office.save_records()
    agent.state("completed")
    office.restart()
    office.save_records()
    office.restart()
    assert office.row().state == "completed"


def test_a_call_held_before_a_restart_and_asked_about_since_is_asked_about_once() -> None:
    office = Office()
    agent, operator = office.agent(), office.operator()
    operator.ask("pause", run=RUN)
    agent.propose()
    office.save_records()
    operator.ask("resume", run=RUN)
    office.restart()
    agent.connect()
    operator.ask("pause", run=RUN)
    operator.ask("resume", run=RUN)
    operator.decide("approve")
    assert len(office.storage.facts("approval.requested")) == 1
    assert (office.approval().status, set(agent.verdicts())) == ("approved", {"allow"})


def test_what_was_acknowledged_between_two_records_is_not_forgotten() -> None:
    office = Office()
    agent = office.agent()
    office.save_records()
    office.hold()
    agent.state("idle")
    office.save_records()
    office.release()
    office.save_records()
    office.restart()
    agent.connect()
    assert [frame.acked[RUN] for frame in agent.heard if isinstance(frame, Welcome)][-1] == 3


def test_a_permission_recorded_between_two_records_is_not_forgotten() -> None:
    office = Office()
    agent = office.agent()
    office.hold()
    agent.propose("c1", "read_file", {"path": "a"})
    office.save_records()
    office.release()
    office.save_records()
    office.restart()
    agent.connect()
    assert set(agent.verdicts("c1")) == {"allow"}


def test_a_run_of_which_only_the_start_is_on_record_is_still_its_owners() -> None:
    office = Office()
    office.hold()
    agent = office.agent()
    office.storage.waiting = deque(one for one in office.storage.waiting if isinstance(one[0], Record))
    office.release()
    office.restart()
    assert office.row().owner == "bot"
    agent.connect()
    agent.send(agent.frame(agent.journal))
    assert (agent.problems, office.row().agent) == ([], "worker")


def test_a_second_point_waits_until_the_first_shows_whose_a_run_is_that_a_crash_made_nobodys() -> None:
    office = Office()
    office.run = SEALED
    office.hold()
    supervisor = office.agent(point="supervisor", caps=["kill_process"], state=None)
    office.storage.waiting = deque(one for one in office.storage.waiting if isinstance(one[0], Store))
    office.commit()
    office.restart()
    sdk, stranger = Agent(office), Agent(office, point="mcp", who=Principal(name="eve", role=Role.AGENT))
    for point in (sdk, stranger):
        point.connect()
        point.start()
    assert (sdk.problems, stranger.problems, office.row().owner) == ([], [], "")
    supervisor.connect()
    assert (sdk.problems, stranger.problems, office.row().owner) == ([], ["forbidden"], "bot")
    sdk.send(sdk.frame(sdk.journal))
    assert (office.row().agent, [point.name for point in office.row().points]) == ("worker", ["supervisor", "sdk"])


def test_a_refusal_that_only_names_a_run_by_that_word_makes_no_command_void() -> None:
    office = Office()
    office.agent("was_recorded")
    operator = office.operator()
    operator.ask("resume", run="was_recorded")
    assert office.storage.facts("command.refused")[-1]["run"] == "was_recorded"
    assert office.recovered()._world.void == set()


FULL_CALL = Call(
    id="c1",
    kind=CallKind.MODEL_CALL,
    tool="gpt",
    status=CallStatus.RUNNING,
    since=1.5,
    gate=True,
    args={"token": "secret"},
    call_digest="sha256:1",
    edited_digest="sha256:2",
    edited={"token": "other"},
    agent_reason="why",
    read_only_claimed=True,
    risk_claimed=Risk.HIGH,
    ttl_seconds=9.5,
    target="other",
    point="gateway",
    reserve=Reserve(tokens=7, usd=0.25),
    least=Reserve(tokens=3, usd=0.125),
    server="files",
    annotations={"readOnlyHint": True},
    input_schema={"type": "object"},
    is_offered=False,
    schema_change="DROP TABLE t",
    approval="apr_1",
    verdict="vrd_1",
    permitted=True,
    counted=True,
    embeds=True,
    unpermitted=True,
    held="pause",
    asked=True,
    is_seen=True,
    seen_digest="1234",
)


def test_a_call_is_kept_whole_but_for_what_only_memory_may_hold() -> None:
    office = Office()
    office.agent()
    office.desk._world.runs[RUN].calls["c1"] = FULL_CALL
    office.save_records()
    loaded = office.recovered()._world.runs[RUN].calls["c1"]
    assert loaded == structs.replace(FULL_CALL, args=None, edited=None, input_schema=None)


def test_every_field_of_a_call_is_in_the_one_that_is_kept_whole() -> None:
    plain = Call(id="", kind=CallKind.TOOL_CALL, tool="", status=CallStatus.PROPOSED, since=0.0)
    assert [name for name in Call.__struct_fields__ if getattr(FULL_CALL, name) == getattr(plain, name)] == []


@pytest.mark.parametrize("saved", ["never", "before", "between the entry and its refusal", "after"])
def test_a_command_refused_when_it_was_on_record_stays_refused_to_who_gives_it_again(saved: str) -> None:
    office = Office()
    agent, ana = office.agent(), office.operator()
    ana.ask("pause", run=RUN)
    agent.state("paused")
    office.hold()
    ana.ask("inject", cmd="cmd_x", run=RUN, text="go on")
    office.operator(BEN).ask("kill", run=RUN)
    for moment, entries in (("before", 1), ("between the entry and its refusal", 1), ("after", 9)):
        if moment == saved:
            office.save_records()
        office.commit(entries)
    office.release()
    first = ana.answer_to(2)
    assert (first.code, first.current) == ("precondition_failed", {"state": "stopping"})
    office.restart()
    again = ana.ask("inject", cmd="cmd_x", run=RUN, text="go on")
    assert again == first.model_copy(update={"replayed": True})
    report = office.desk.command_report("cmd_x")
    assert (report.status, report.settled) == ("void", True)
