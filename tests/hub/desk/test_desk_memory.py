"""What the desk must not forget: a stop, an owner, an end; whatever an id looks like and whenever the hub dies."""

from __future__ import annotations

import json
from collections import deque
from typing import Any

import pytest

from opsconsole.domain.command import Role
from opsconsole.hub.desk import forgetting, settings
from opsconsole.hub.desk.effects import Store
from opsconsole.hub.desk.principal import Principal
from opsconsole.hub.desk.records import DeskRecord, masked_body
from opsconsole.policy.redaction import masker
from tests.hub.desk.office import BOT, Agent, Office

MALLORY = Principal(name="mallory", role=Role.AGENT, origin="127.0.0.1:9")
OFFLINE_RUN = {"type": "run", "agent": "worker", "on_hub_lost": {"gate": "allow"}}


def crash_with_events_alone(office: Office) -> None:
    """The hub dies when the events are on disk and the audit entries that follow from them are not."""
    office.storage.waiting = deque(one for one in office.storage.waiting if isinstance(one[0], Store))
    office.commit()
    office.restart()


def spoil(office: Office, kind: str, key: str) -> None:
    """The saved record cannot be read any more."""
    office.save_records()
    body = b'{"id": 7, "owner": "bot", "agent": "worker"}'
    office.saved[kind, key] = DeskRecord(kind=kind, id=key, body=body)


@pytest.mark.parametrize("ms", [float("nan"), float("inf"), -1.0, 10**400, "9", None])
def test_a_time_that_is_none_in_a_receipt_counts_as_zero(ms: Any) -> None:
    office = Office()
    agent = office.agent()
    office.operator().ask("kill", run="run_1")
    line = {"name": "sdk", "ms": ms, "outcome": "ended"}
    agent.answer(agent.told("kill")[0].cmd, proof="none", points=[line])
    assert office.row().kill.points[-1].model_dump() == {"name": "sdk", "ms": 0.0, "outcome": "ended"}
    office.save_records()
    office.restart()
    assert office.row().kill.command == "cmd_ana1"


def test_what_a_receipt_says_drives_no_terminal_and_tells_no_secret() -> None:
    office = Office()
    agent = office.agent()
    office.operator().ask("kill", run="run_1")
    line = {"name": "sdk\x1b[2J", "ms": 1, "outcome": "ghp_" + "A" * 36}
    agent.answer(agent.told("kill")[0].cmd, proof="none", points=[line])
    shown = office.row().kill.points[-1]
    assert "\x1b" not in shown.name
    assert shown.outcome.startswith("[secret:github:")


@pytest.mark.parametrize("seconds", [float("nan"), float("inf"), -5.0])
def test_a_lease_that_is_no_time_is_no_lease(seconds: float) -> None:
    """A deadline of NaN would stop every timer of the hub."""
    office = Office()
    agent = office.agent(lease_seconds=seconds)
    agent.drop()
    other = office.agent("run_2")
    other.propose()
    office.operator().ask("kill", run="run_1")
    office.pass_time(601)
    assert (office.row().kill.status, other.verdicts()) == ("unconfirmed", ["deny"])


def test_a_run_whose_record_cannot_be_read_is_fenced() -> None:
    office = Office()
    agent = office.agent()
    office.save_records()
    spoil(office, "run", "run_1")
    office.restart()
    agent.connect()
    agent.send(agent.frame(agent.journal))
    agent.propose("c1", "read_file", {"path": "a"})
    assert (office.row().state, agent.verdicts("c1"), office.alerts()) == ("stopping", ["deny"], ["unreadable"])
    assert [(fact["of"], fact["id"]) for fact in office.storage.facts("record.unreadable")] == [("run", "run_1")]


def test_a_run_whose_record_cannot_be_read_can_still_be_killed() -> None:
    office = Office()
    agent = office.agent()
    spoil(office, "run", "run_1")
    office.restart()
    agent.connect()
    office.operator().ask("kill", run="run_1")
    agent.answer(agent.told("kill")[0].cmd, proof="cooperative")
    assert (office.row().state, office.row().owner) == ("killed", "bot")


def test_a_record_that_cannot_be_read_is_told_of_once() -> None:
    office = Office()
    office.agent()
    spoil(office, "run", "run_1")
    office.restart()
    office.save_records()
    office.restart()
    assert len(office.storage.facts("record.unreadable")) == 1


def test_a_kill_of_a_run_whose_id_looks_like_a_secret_stands_after_a_restart() -> None:
    office = Office()
    run = "sk-AAAAAAAAAAAAAAAAAAAAAAAA1"
    agent = office.agent(run)
    office.save_records()
    office.operator().ask("kill", run=run)
    office.restart()
    agent.connect()
    agent.propose("c1", "read_file", {"path": "a"})
    assert (office.row(run).state, agent.verdicts("c1")) == ("stopping", ["deny"])


def test_a_decision_on_a_call_whose_id_looks_like_a_secret_reaches_it_after_a_restart() -> None:
    office = Office()
    agent = office.agent()
    agent.propose("get-token:user-4242")
    office.restart()
    agent.connect()
    office.operator().decide("approve", "get-token:user-4242")
    assert agent.verdicts("get-token:user-4242") == ["allow"]


def test_an_owner_whose_name_looks_like_a_secret_still_owns_its_run_after_a_restart() -> None:
    office = Office()
    agent = office.agent(who=Principal(name="token:deploy-42", role=Role.AGENT))
    office.restart()
    agent.connect()
    assert (agent.problems, office.row().owner) == ([], "token:deploy-42")


def killed_and_forgotten(monkeypatch: pytest.MonkeyPatch) -> tuple[Office, Agent]:
    """A run that was killed so long ago that it has left the board."""
    monkeypatch.setattr(forgetting, "RUNS_KEPT_MAX", 1)
    office = Office()
    agent = office.agent()
    office.operator().ask("kill", run="run_1")
    agent.answer(agent.told("kill")[0].cmd, proof="cooperative")
    office.agent("run_2")
    office.step(lambda _now: office.desk.forget_ended())
    assert office.row() is None
    return office, agent


def test_a_killed_run_that_was_forgotten_cannot_be_started_again(monkeypatch: pytest.MonkeyPatch) -> None:
    office, agent = killed_and_forgotten(monkeypatch)
    agent.journal.clear()
    agent.start()
    assert (office.row(), agent.problems) == (None, ["forbidden"])


def test_a_forgotten_run_stays_refused_after_a_restart(monkeypatch: pytest.MonkeyPatch) -> None:
    office, _ = killed_and_forgotten(monkeypatch)
    office.save_records()
    office.restart()
    again = Agent(office, gen="g2")
    again.connect()
    again.start()
    assert (office.row(), again.problems) == (None, ["forbidden"])


def test_the_oldest_of_the_forgotten_leave_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forgetting, "RUNS_KEPT_MAX", 0)
    monkeypatch.setattr(forgetting, "FORGOTTEN_KEPT_MAX", 2)
    office = Office()
    for number in (1, 2, 3):
        office.agent(f"run_{number}").state("completed")
    office.step(lambda _now: office.desk.forget_ended())
    office.save_records()
    assert [key for kind, key in office.saved if kind == "forgotten" and office.saved[kind, key].body] == [
        "run_2",
        "run_3",
    ]
    assert settings.FORGOTTEN_KEPT_MAX >= 100_000


def test_a_start_that_a_crash_kept_from_the_audit_is_recorded_by_the_restart() -> None:
    office = Office()
    office.hold()
    office.agent()
    crash_with_events_alone(office)
    assert office.storage.kinds("run") == ["run.started"]


def test_an_end_that_a_crash_kept_from_the_audit_is_recorded_by_the_restart() -> None:
    office = Office()
    agent = office.agent()
    office.save_records()
    office.hold()
    agent.state("completed")
    crash_with_events_alone(office)
    assert [fact["state"] for fact in office.storage.facts("run.ended")] == ["completed"]


def test_an_end_that_is_in_the_records_and_not_in_the_audit_is_recorded_by_the_restart() -> None:
    office = Office()
    agent = office.agent()
    office.hold()
    agent.state("completed")
    office.commit(1)
    office.save_records()
    crash_with_events_alone(office)
    assert len(office.storage.facts("run.ended")) == 1


def test_a_call_without_permission_that_a_crash_kept_from_the_audit_is_recorded_by_the_restart() -> None:
    office = Office()
    agent = office.agent()
    agent.propose()
    office.operator().decide("reject")
    office.hold()
    agent.tool("c1", "running")
    crash_with_events_alone(office)
    assert (office.storage.kinds("call.unp"), "unpermitted" in office.alerts()) == (["call.unpermitted"], True)


def test_an_override_that_a_crash_kept_from_the_audit_is_recorded_by_the_restart() -> None:
    office = Office()
    agent = office.agent()
    agent.say(OFFLINE_RUN)
    office.hold()
    agent.tool("c9", "running", name="sql", args={"query": "x", "password": "hunter2hunter2"}, verdict="offline")
    office.save_records()
    assert b"hunter2" not in b"".join(one.body or b"" for one in office.saved.values())
    crash_with_events_alone(office)
    assert [fact["call"] for fact in office.storage.facts("override.offline")] == ["c9"]


def test_a_zombie_that_a_crash_kept_from_the_audit_is_recorded_by_the_restart() -> None:
    office = Office()
    agent = office.agent()
    agent.state("completed")
    office.hold()
    agent.state("working")
    crash_with_events_alone(office)
    assert (office.storage.kinds("run.zombie"), office.alerts()) == (["run.zombie"], ["zombie"])


def test_what_is_on_record_is_not_recorded_again_by_a_restart() -> None:
    office = Office()
    agent = office.agent()
    agent.propose()
    agent.tool("c1", "running")
    agent.state("completed")
    agent.state("working")
    known = office.storage.kinds()
    for _ in range(2):
        office.restart()
    office.save_records()
    office.restart()
    assert office.storage.kinds() == known


def test_a_run_known_only_from_events_belongs_to_nobody_but_the_process_that_sent_them() -> None:
    office = Office()
    office.hold()
    agent = office.agent()
    crash_with_events_alone(office)
    stranger = Agent(office, gen="g9", who=MALLORY)
    stranger.connect()
    stranger.start()
    assert (stranger.problems, office.row().owner) == (["forbidden", "not_attached"], "")
    agent.connect()
    assert (agent.problems, office.row().owner, agent.who) == ([], "bot", BOT)


@pytest.mark.parametrize("name", ["id", "parent", "verdict", "digest", "command", "restored_from"])
def test_what_an_event_is_folded_by_is_kept_though_it_looks_like_a_secret(name: str) -> None:
    secret = "ghp_" + "A" * 36
    (kept,) = json.loads(masked_body(json.dumps([{name: secret, "text": secret}]).encode(), masker(b"key")))
    assert (kept[name], secret in kept["text"]) == (secret, False)
