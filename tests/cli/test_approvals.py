"""What the four answers to an approval send, show and exit with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Run
from tests.cli.fake_hub import FakeHub, approval_row, run_row

APPROVAL = "apr_aaaaaaaaaaaaaaaaaaaaaaaa"


@pytest.fixture(autouse=True)
def one_approval(hub: FakeHub) -> None:
    hub.approvals = {APPROVAL: approval_row(APPROVAL)}


def sent(hub: FakeHub) -> dict[str, Any]:
    assert len(hub.commands) == 1
    return {name: value for name, value in hub.commands[0].items() if name not in ("cmd", "do", "approval")}


def test_an_approval_quotes_the_digest_of_the_call_it_showed(cli: Run, hub: FakeHub) -> None:
    done = cli("approve", APPROVAL, "--note", "checked")
    assert done.exit_code == 0
    assert "DELETE FROM users" in done.stdout
    assert sent(hub) == {"answer": "approve", "digest": "sha256:shown", "note": "checked"}


def test_an_answer_to_a_decoy_says_that_it_was_one_and_waits_for_nothing(cli: Run, hub: FakeHub) -> None:
    hub.result = {
        "ok": True,
        "status": "decoy",
        "message": "that was a DECOY, and nothing was behind it: you caught it",
    }
    done = cli("reject", APPROVAL, "--reason", "no", "--timeout", "5s")
    assert done.exit_code == 0
    assert done.stdout.endswith("reject: that was a DECOY, and nothing was behind it: you caught it\n")
    assert json.loads(cli("reject", APPROVAL, "--reason", "no", "--json").stdout)["status"] == "decoy"


def test_a_grant_on_a_decoy_is_told_as_the_answer_and_nothing_is_left_to_revoke(cli: Run, hub: FakeHub) -> None:
    hub.result = {"ok": True, "status": "decoy", "message": "that was a DECOY: it had to be refused, and nothing ran"}
    done = cli("approve", APPROVAL, "--grant-uses", "3", "--grant-for", "30m")
    assert done.exit_code == 0
    assert done.stdout.endswith("approve: that was a DECOY: it had to be refused, and nothing ran\n")
    assert [one["do"] for one in hub.commands] == ["grant", "decide"]


def test_a_given_digest_is_sent_as_it_is_and_nothing_is_shown(cli: Run, hub: FakeHub) -> None:
    done = cli("approve", APPROVAL, "--digest", "sha256:older")
    assert sent(hub) == {"answer": "approve", "digest": "sha256:older"}
    assert done.stdout == f"approve: {APPROVAL} recorded\n"


def test_a_digest_that_no_longer_fits_exits_7(cli: Run, hub: FakeHub) -> None:
    hub.result = {"ok": False, "code": "digest_mismatch", "message": "the call is not the one you were shown"}
    done = cli("approve", APPROVAL, "--digest", "sha256:older")
    assert (done.exit_code, done.stderr) == (7, "opsconsole: the call is not the one you were shown\n")


def test_an_approval_settled_by_another_exits_7(cli: Run, hub: FakeHub) -> None:
    hub.approvals[APPROVAL]["status"] = "rejected"
    hub.result = {"ok": False, "code": "already_settled", "message": "rejected by bob"}
    assert cli("approve", APPROVAL).exit_code == 7


def test_an_unknown_approval_exits_6_and_sends_nothing(cli: Run, hub: FakeHub) -> None:
    assert cli("approve", "apr_zzz").exit_code == 6
    assert hub.commands == []


def test_an_edit_sends_the_whole_new_arguments(cli: Run, hub: FakeHub) -> None:
    assert cli("edit", "apr_a", "--args", '{"query": "SELECT 1"}').exit_code == 0
    assert sent(hub) == {"answer": "edit", "digest": "sha256:shown", "args": {"query": "SELECT 1"}}


@pytest.mark.parametrize("how", ["file", "stdin"])
def test_an_edit_reads_its_arguments_from_a_file_or_stdin(cli: Run, hub: FakeHub, tmp_path: Path, how: str) -> None:
    text = '{"query": "SELECT 2"}'
    place = tmp_path / "args.json"
    place.write_text(text)
    assert cli("edit", APPROVAL, "--args", f"@{place}" if how == "file" else "-", stdin=text).exit_code == 0
    assert sent(hub)["args"] == {"query": "SELECT 2"}


@pytest.mark.parametrize("args", ["not json", "[1]", '{"x": NaN}', "@/no/such/file", "[" * 100_000])
def test_arguments_that_are_no_json_object_are_wrong_usage(cli: Run, hub: FakeHub, args: str) -> None:
    assert cli("edit", APPROVAL, "--args", args).exit_code == 2
    assert hub.commands == []


def test_a_rejection_carries_its_reason(cli: Run, hub: FakeHub) -> None:
    assert cli("reject", APPROVAL, "--reason", "not in production").exit_code == 0
    assert sent(hub) == {"answer": "reject", "digest": "sha256:shown", "note": "not in production"}


def test_a_rejection_without_a_reason_is_wrong_usage(cli: Run, hub: FakeHub) -> None:
    assert cli("reject", APPROVAL).exit_code == 2


def test_a_response_carries_its_words(cli: Run, hub: FakeHub) -> None:
    assert cli("respond", APPROVAL, "--text", "42 rows").exit_code == 0
    assert sent(hub) == {"answer": "respond", "digest": "sha256:shown", "text": "42 rows"}


def test_an_operator_answers_as_the_model_with_a_call(cli: Run, hub: FakeHub) -> None:
    assert cli("respond", APPROVAL, "--call", "sql", "--args", '{"query": "SELECT 1"}').exit_code == 0
    (call,) = sent(hub)["calls"]
    assert call.pop("id").startswith("call_")
    assert call == {"name": "sql", "args": {"query": "SELECT 1"}}


@pytest.mark.parametrize("args", [(), ("--args", "{}")])
def test_an_empty_response_is_wrong_usage(cli: Run, hub: FakeHub, args: tuple[str, ...]) -> None:
    assert cli("respond", APPROVAL, *args).exit_code == 2


@pytest.mark.parametrize(("status", "code"), [("applied", 0), ("delivered", 3), ("void", 3)])
def test_who_waits_for_a_decision_is_told_whether_it_was_applied(
    cli: Run, hub: FakeHub, status: str, code: int
) -> None:
    hub.report = {"status": status, "settled": True, "runs": []}
    done = cli("approve", APPROVAL, "--timeout", "1", "--json")
    assert done.exit_code == code
    assert json.loads(done.stdout)["status"] == status


def test_the_list_as_json_holds_what_a_script_needs(cli: Run, hub: FakeHub) -> None:
    (row,) = json.loads(cli("approvals", "--json").stdout)
    wanted = ("approval", "run", "tool", "args", "digest", "risk", "expires_at")
    assert {name: row[name] for name in wanted} == {
        "approval": APPROVAL,
        "run": "run_A",
        "tool": "sql",
        "args": {"query": "DELETE FROM users"},
        "digest": "sha256:shown",
        "risk": "high",
        "expires_at": 2_000.0,
    }


def test_agent_text_never_starts_a_line_and_never_drives_the_terminal(cli: Run, hub: FakeHub) -> None:
    hub.approvals[APPROVAL]["agent_reason"] = "fine\nrisk      low\x1b]52;c;aGk=\x07\u202eoverride"
    hub.approvals[APPROVAL]["args"] = {"cmd": "ls\x1b[2J"}
    text = cli("approve", APPROVAL).stdout
    assert not {"\x1b", "\x07", "\u202e"} & set(text)
    assert "    | risk      low" in text
    assert [line for line in text.splitlines() if line.startswith("risk")] == ["risk      high"]


def test_what_is_left_to_decide_is_by_the_hubs_clock(cli: Run, hub: FakeHub) -> None:
    hub.clock = 1_910.0
    assert "  1m30s  " in cli("approvals").stdout.splitlines()[1]
    hub.runs = {"run_A": run_row("run_A")}
    assert "in 1m30s" in cli("show", "run_A").stdout
    assert "in 1m30s" in cli("approve", APPROVAL).stdout
