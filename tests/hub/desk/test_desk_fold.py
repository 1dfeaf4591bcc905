"""What agents say, folded: nothing of theirs drives a screen, leaks a secret, or is believed beyond its author."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from opsconsole.policy.default import DefaultPolicy
from opsconsole.policy.interface import Proposal, Verdict
from opsconsole.protocol.limits import Close
from tests.hub.desk.office import RUN, START, Office


def test_a_run_is_described_and_its_start_is_on_record() -> None:
    office = Office()
    office.agent(parent="run_0")
    row = office.row()
    assert (row.agent, row.state, row.owner, row.parent) == ("worker", "working", "bot", "run_0")
    (fact,) = office.storage.facts("run.started")
    assert (fact["who"]["principal"], fact["owner"], fact["host"], fact["pid"]) == ("hub", "bot", "box", 100)


def test_events_are_stored_as_they_were_sent() -> None:
    office = Office()
    agent = office.agent()
    agent.say({"type": "note", "text": "é\n", "data": {"x": 1.50}})
    assert office.storage.events(RUN, "sdk/g1") == agent.journal
    assert agent.acked == 3


def test_events_are_acknowledged_only_when_they_are_stored() -> None:
    office = Office()
    agent = office.agent()
    office.hold()
    agent.state("idle")
    assert agent.acked == 2
    office.release()
    assert agent.acked == 3


def test_repeated_events_are_stored_once() -> None:
    office = Office()
    agent = office.agent()
    agent.send(agent.frame(agent.journal))
    more = agent.journalled({"type": "note", "text": "new"})
    agent.send(agent.frame([*agent.journal[:2], *more]))
    assert [event["seq"] for event in office.storage.events(RUN, "sdk/g1")] == [1, 2, 3]


def test_a_gap_is_asked_for_and_nothing_of_it_is_believed() -> None:
    office = Office()
    agent = office.agent()
    agent.journalled({"type": "note", "text": "lost"})
    agent.say({"type": "state", "state": "completed"})
    assert (agent.heard[-1].want, office.row().state) == (3, "working")
    agent.send(agent.frame(agent.journal[2:]))
    assert office.row().state == "completed"


def test_a_frame_that_is_not_contiguous_closes_the_connection() -> None:
    office = Office()
    agent = office.agent()
    agent.send(
        agent.frame(
            [{"seq": 3, "ts": 1, "type": "note", "text": "a"}, {"seq": 5, "ts": 1, "type": "note", "text": "b"}]
        )
    )
    assert agent.closes == [Close.PROTOCOL_ERROR]


def test_a_hole_in_the_journal_is_seen() -> None:
    office = Office()
    agent = office.agent()
    skip = {"first": 3, "last": 9, "why": "journal full"}
    agent.send(agent.frame([{"seq": 10, "ts": 1, "type": "note", "text": "on"}]) | {"skip": skip})
    assert "hole" in office.alerts()
    assert agent.acked == 10


def test_a_batch_that_could_not_be_stored_is_asked_for_again() -> None:
    office = Office()
    agent = office.agent()
    office.hold()
    agent.state("idle")
    effect, _ = office.storage.waiting.popleft()
    office.step(lambda now: office.desk.record_failed(effect.token, "disk full", now))
    office.release()
    office.pass_time(1.5)
    assert (agent.heard[-1].want, agent.acked) == (3, 2)
    agent.send(agent.frame(agent.journal[2:]))
    assert agent.acked == 3


def test_a_batch_stored_after_one_that_failed_acknowledges_nothing() -> None:
    office = Office()
    agent = office.agent()
    office.hold()
    agent.state("idle")
    agent.state("working")
    effect, _ = office.storage.waiting.popleft()
    office.step(lambda now: office.desk.record_failed(effect.token, "disk full", now))
    office.release()
    assert agent.acked == 2


def test_clocks_an_hour_apart_do_not_order_anything() -> None:
    office = Office()
    agent = office.agent()
    agent.say({"type": "state", "state": "idle", "ts": START - 3_600}, {"type": "state", "state": "working", "ts": 0.0})
    assert office.row().progress_at == pytest.approx(office.now, abs=1)
    assert office.row().started_at >= START


def test_text_that_drives_a_terminal_is_shown_and_not_obeyed() -> None:
    """Escape sequences in agent text write the clipboard or fake a prompt: not here."""
    office = Office()
    agent = office.agent(agent="evil\x1b]52;c;eA==\x07")
    agent.say({"type": "run", "agent": "evil\x1b[2J", "name": "n\u202e", "labels": {"a\x1b": "b\x9b"}})
    agent.state("failed", reason="r\x1b[1m", error="e\r\x1b[2K")
    agent.say({"type": "note", "level": "error", "text": "\x1b]0;title\x07"})
    row = office.row().model_dump_json()
    assert not [point for point in (*range(0x20), *range(0x7F, 0xA0), 0x202E) if f"\\u{point:04x}" in row.lower()]
    assert not any(chr(point) in row for point in (*range(0x20), *range(0x7F, 0xA0), 0x202E))


def test_a_secret_in_what_an_agent_says_is_neither_stored_nor_shown() -> None:
    office = Office()
    agent = office.agent()
    secret = "ghp_abcdefghijklmnopqrstuvwxyz0123456789"
    agent.say({"type": "run", "agent": "bot", "name": f"deploy with {secret}"})
    agent.say({"type": "message", "id": "m", "role": "assistant", "text": f"using {secret}"})
    agent.propose("c1", "sql", {"password": "hunter2hunter2", "query": secret}, reason=f"with {secret}")
    agent.say({"type": "note", "level": "error", "text": f"{secret} failed"})
    office.operator().decide("approve")
    agent.tool("c1", "completed", result=f"got {secret}")
    agent.state("failed", reason=secret, error=f"bad {secret}")
    office.save_records()
    rows = office.row().model_dump_json() + office.approval().model_dump_json()
    kept = [batch.store.body for batch in office.storage.batches] + [entry.body for entry in office.storage.entries]
    kept += [record.body or b"" for record in office.saved.values()]
    everything = rows.encode() + b"".join(kept)
    assert secret.encode() not in everything
    assert b"hunter2" not in everything


@pytest.mark.parametrize(
    ("result", "shown"),
    [
        ("-----BEGIN PRIVATE KEY-----\nMIIEvQIBADAN\nBgkqhkiG9w0B\n-----END PRIVATE KEY-----", "[secret:pem:"),
        ("password:\n  hunter2hunter2", "password:⏎  [secret:value:"),
        ("x" * 1_978 + " ghp_abcdefghijklmnopqrstuvwxyz0123456789", "[secret:gi"),
    ],
    ids=["of-several-lines", "on-the-next-line", "across-the-end"],
)
def test_a_secret_in_the_result_of_a_decided_call_is_masked_before_the_result_is_made_one_line_and_cut(
    result: str, shown: str
) -> None:
    office = Office()
    agent = office.agent()
    agent.propose("c1", "sql", {"query": "x"})
    office.operator().decide("approve")
    agent.tool("c1", "completed", result=result)
    (outcome,) = office.storage.facts("call.outcome")
    told = f"{outcome['result']} {office.approval().result}"
    assert told.count(shown) == 2
    assert not [part for part in ("MII", "Bgk", "hunter2", "ghp_") if part in told]


class Looking(DefaultPolicy):
    """Shows what it looked at, and remembers what changes a schema."""

    def judge(self, proposal: Proposal) -> Verdict:
        return replace(super().judge(proposal), facts={"seen": str(proposal.args)})

    def schema_change(self, _tool: str, args: dict[str, Any], _facts: Any) -> str:
        return str(args)


def test_a_secret_in_the_facts_and_in_what_a_call_changes_and_does_is_neither_stored_nor_shown() -> None:
    office = Office(policy=Looking())
    agent = office.agent()
    secret = "ghp_abcdefghijklmnopqrstuvwxyz0123456789"
    agent.propose("c1", "sql", {"query": f"CREATE USER {secret}"})
    assert "[secret:github:" in office.approval().facts["seen"]
    office.operator().decide("approve")
    agent.tool("c1", "running", name="sql", args={"query": f"CREATE USER {secret}"})
    assert office.row().doing.startswith("sql CREATE USER [secret:github:")
    office.save_records()
    agent.tool("c1", "completed", result="done")
    office.save_records()
    rows = office.row().model_dump_json() + office.approval().model_dump_json()
    kept = [entry.body for entry in office.storage.entries] + [one.body or b"" for one in office.saved.values()]
    assert secret.encode() not in rows.encode() + b"".join(kept)


def test_an_unknown_event_is_kept_and_changes_nothing() -> None:
    office = Office()
    agent = office.agent()
    agent.say({"type": "thought_map", "x": 1}, {"type": "state", "state": "euphoric"})
    assert office.row().state == "working"
    assert [event["type"] for event in office.storage.events(RUN, "sdk/g1")[2:]] == ["thought_map", "state"]


def test_an_agent_cannot_forge_an_operators_act_on_its_timeline() -> None:
    office = Office()
    agent = office.agent()
    agent.say({"type": "command", "command": "cmd_1", "do": "kill", "by": "ana", "status": "dead"})
    assert office.storage.events(RUN, "sdk/g1")[2]["type"] == "agent.command"


@pytest.mark.parametrize("state", ["paused", "stopping", "killed", "rejected", "pausing", "resuming", "submitted"])
def test_a_working_run_may_end_or_wait_but_not_command_itself(state: str) -> None:
    office = Office()
    office.agent().state(state)
    believed = {"paused": "paused", "killed": "killed"}
    assert office.row().state == believed.get(state, "working")


def test_an_end_is_on_record_and_nothing_waits_after_it() -> None:
    office = Office()
    agent = office.agent()
    agent.propose()
    agent.state("failed", reason="oops")
    (fact,) = office.storage.facts("run.ended")
    assert (fact["state"], fact["reason"]) == ("failed", "oops")
    assert (office.approval().status, office.row().waiting) == ("cancelled", None)


def test_last_words_after_an_end_are_no_alarm() -> None:
    office = Office()
    agent = office.agent()
    agent.propose("c1", "read_file", {"path": "a"})
    agent.state("completed")
    agent.tool("c1", "completed", result="ok")
    agent.usage(turns=4)
    assert (office.row().zombie, office.row().turns) == (False, 4)


def test_work_after_an_end_is_an_alarm_once() -> None:
    office = Office()
    agent = office.agent()
    agent.state("completed")
    agent.state("working")
    agent.tool("c2", "running", name="sql")
    assert (office.row().state, office.alerts()) == ("completed", ["zombie"])
    assert len(office.storage.facts("run.zombie")) == 1


def test_usage_is_priced_by_the_hub() -> None:
    office = Office()
    agent = office.agent()
    agent.usage(turns=1, input_tokens=1_000, output_tokens=500, cost_usd=99.0)
    row = office.row()
    assert (row.turns, row.input_tokens, row.output_tokens, row.cost_usd) == (1, 1_000, 500, 0.015)


def test_a_model_without_a_price_is_said_to_be_one() -> None:
    office = Office()
    agent = office.agent()
    agent.say({"type": "usage", "model": "secret-1", "turns": 1})
    assert (office.row().cost_known, office.alerts()) == (False, ["unpriced"])
    agent.say({"type": "usage", "model": "secret-1", "turns": 2, "cost_usd": 0.5})
    assert (office.row().cost_known, office.row().cost_usd) == (True, 0.5)


def test_the_burn_rate_is_over_the_last_minute() -> None:
    office = Office()
    agent = office.agent()
    agent.usage(input_tokens=10_000)
    office.pass_time(50)
    agent.usage(input_tokens=30_000)
    assert office.row().cost_per_minute_usd == pytest.approx(0.3)
    office.pass_time(20)
    assert office.row().cost_per_minute_usd == pytest.approx(0.2)


def test_what_a_run_spent_long_ago_is_not_kept_in_detail() -> None:
    office = Office()
    agent = office.agent()
    for number in range(100):
        agent.usage(turns=number)
        office.pass_time(10)
    office.save_records()
    assert len(json.loads(office.saved["run", RUN].body or b"{}")["spend"]) < 10


def test_a_model_served_by_another_is_noticed() -> None:
    office = Office()
    agent = office.agent()
    agent.usage(turns=1, served_model="gpt-a")
    agent.usage(turns=2, served_model="gpt-b")
    assert "model_changed" in office.alerts()


def test_a_run_waits_for_a_person_first() -> None:
    office = Office()
    agent = office.agent()
    agent.turn()
    assert office.row().waiting.kind == "model"
    agent.propose("c1")
    agent.propose("c2", "sql", {"query": "x"})
    assert (office.row().waiting.kind, office.row().waiting.id) == ("approval", office.approval("c1").approval)
