"""What standing grants look like from the command line, and what it sends for them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from opsconsole.cli.client import HubClient
from tests.cli.conftest import Run
from tests.cli.fake_hub import Answer, FakeHub, approval_row, refusal

APPROVAL = "apr_aaaaaaaaaaaaaaaaaaaaaaaa"
GRANT = {
    "grant": "grant.cmd_1", "state": "standing", "agent": "worker", "run": None, "tool": "sql", "used": 1, "uses": 3,
    "expires_at": 1_600.0, "by": "ana", "pattern": {"query": {"like": "DELETE FROM *"}},
}  # fmt: skip
OVER = GRANT | {"grant": "grant.cmd_2", "state": "used up", "used": 3}


@pytest.fixture(autouse=True)
def one_approval(hub: FakeHub) -> None:
    hub.approvals = {APPROVAL: approval_row(APPROVAL)}
    hub.overrides["GET", "/v1/grants"] = lambda: (200, {"grants": [GRANT, OVER], "time": 1_000.0})


def given(hub: FakeHub) -> dict[str, Any]:
    (one,) = [command["grant"] for command in hub.commands if command["do"] == "grant"]
    return dict(one)


def test_an_approval_may_give_a_grant_for_the_same_call(cli: Run, hub: FakeHub) -> None:
    assert cli("approve", APPROVAL, "--grant-uses", "3", "--grant-for", "30m").exit_code == 0
    assert [command["do"] for command in hub.commands] == ["grant", "decide"]
    assert given(hub) == {"uses": 3, "seconds": 1_800.0, "scope": "run"}


def test_a_grant_ends_with_an_approval_that_was_refused(cli: Run, hub: FakeHub) -> None:
    answers = iter(
        [(200, {"ok": True, "status": "recorded", "current": {"grant": "grant.cmd_9"}}), refusal(409, "stale")]
    )
    hub.overrides["POST", "/v1/commands"] = lambda: next(answers, (200, {"ok": True, "status": "recorded"}))
    assert cli("approve", APPROVAL, "--grant-uses", "3", "--grant-for", "30m").exit_code != 0
    sent = [body for method, _, _, body in hub.asked if method == "POST"]
    assert [command["do"] for command in sent] == ["grant", "decide", "revoke_grant"]
    assert sent[-1]["grant_id"] == "grant.cmd_9"


def test_an_argument_of_a_grant_may_be_a_pattern(cli: Run, hub: FakeHub) -> None:
    cli("approve", APPROVAL, "--grant-uses", "3", "--grant-for", "30m", "--grant-arg", "query=DELETE FROM *")
    assert given(hub)["args"] == {"query": {"like": "DELETE FROM *"}}


@pytest.mark.parametrize("args", [["--grant-uses", "3"], ["--grant-for", "3m"], ["--grant-arg", "query=*"]])
def test_a_grant_without_an_end_is_wrong_usage(cli: Run, hub: FakeHub, args: list[str]) -> None:
    assert (cli("approve", APPROVAL, *args).exit_code, hub.commands) == (2, [])


def test_a_grant_may_be_given_without_a_word_on_the_call_itself(cli: Run, hub: FakeHub) -> None:
    hub.result = {"ok": True, "status": "recorded", "current": {"grant": "grant.cmd_9"}}
    done = cli("grants", "give", "apr_a", "--grant-uses", "3", "--grant-for", "30m")
    assert (done.stdout.endswith("granted: grant.cmd_9\n"), "DELETE FROM users" in done.stdout) == (True, True)
    assert [(command["do"], command["digest"]) for command in hub.commands] == [("grant", "sha256:shown")]


def test_a_grant_as_json_says_which_one_it_is(cli: Run, hub: FakeHub) -> None:
    hub.result = {"ok": True, "status": "recorded", "current": {"grant": "grant.cmd_9"}}
    done = cli("grants", "give", APPROVAL, "--grant-uses", "3", "--grant-for", "30m", "--json")
    expected = {"approval": APPROVAL, "run": "run_A", "grant": "grant.cmd_9", "status": "recorded"}
    assert json.loads(done.stdout) == expected


def test_a_grant_on_a_decoy_says_that_it_was_one(cli: Run, hub: FakeHub) -> None:
    hub.result = {"ok": True, "status": "decoy", "message": "that was a DECOY: it had to be refused"}
    options = ("give", APPROVAL, "--grant-uses", "3", "--grant-for", "30m")
    assert cli("grants", *options).stdout.endswith("grant: that was a DECOY: it had to be refused\n")
    assert json.loads(cli("grants", *options, "--json").stdout)["status"] == "decoy"


def test_a_grant_that_is_given_needs_an_end_too(cli: Run, hub: FakeHub) -> None:
    assert (cli("grants", "give", APPROVAL).exit_code, hub.commands) == (2, [])


def test_the_grants_that_stand_are_listed(cli: Run) -> None:
    assert json.loads(cli("grants", "list", "--json").stdout) == [GRANT]


def test_those_that_are_over_are_listed_when_asked_for(cli: Run) -> None:
    done = cli("grants", "list", "--all").stdout
    assert ["1 of 3" in done, "used up" in done, "every run" in done] == [True, True, True]


def test_a_grant_is_revoked_by_a_beginning_of_its_id(cli: Run, hub: FakeHub) -> None:
    done = cli("grants", "revoke", "cmd_1", "--note", "enough", "--json")
    (sent,) = hub.commands
    assert (sent["do"], sent["grant_id"], sent["note"]) == ("revoke_grant", "grant.cmd_1", "enough")
    assert json.loads(done.stdout)["grant"] == "grant.cmd_1"


def test_a_yes_of_several_is_told_as_one(cli: Run, hub: FakeHub) -> None:
    hub.result = {"ok": True, "status": "voted", "current": {"votes": ["dee"], "approvers": 2}}
    assert "voted, 1 of 2" in cli("approve", APPROVAL).stdout
    told = json.loads(cli("approve", APPROVAL, "--json", "--timeout", "1").stdout)
    assert (told["status"], told["votes"], told["approvers"]) == ("voted", ["dee"], 2)


@pytest.mark.parametrize(("code", "exit_code"), [("not_in_group", 5), ("excluded", 5), ("already_voted", 7)])
def test_who_may_not_decide_is_told_by_the_exit_code(cli: Run, hub: FakeHub, code: str, exit_code: int) -> None:
    hub.overrides["POST", "/v1/commands"] = lambda: refusal(403 if exit_code == 5 else 409, code)
    assert cli("approve", APPROVAL).exit_code == exit_code


def test_the_list_shows_who_has_said_yes(cli: Run, hub: FakeHub) -> None:
    hub.approvals = {APPROVAL: approval_row(APPROVAL, votes=["dee"], approvers=2, groups=["finance"])}
    assert "1 of 2 (dee), from finance" in cli("approvals").stdout


def test_the_list_shows_whose_yes_does_not_count(cli: Run, hub: FakeHub) -> None:
    hub.approvals = {APPROVAL: approval_row(APPROVAL, approvers=2, groups=["finance"], not_by=["dee"])}
    assert "0 of 2, from finance, not dee" in cli("approvals").stdout
    hub.approvals = {APPROVAL: approval_row(APPROVAL, not_by=["starter"])}
    assert "not starter" in cli("approvals").stdout


GIVEN = (200, {"ok": True, "status": "recorded", "current": {"grant": "grant.cmd_9"}})
GRANTS = ("--grant-uses", "3", "--grant-for", "30m")


def told(hub: FakeHub, decided: Answer | None, revoked: Answer | None) -> list[str]:
    """Have the hub answer each command so (None: not at all); what it is asked, as it comes."""
    asked: list[str] = []

    def answer() -> Answer | None:
        asked.append(hub.asked[-1][3]["do"])
        return {"grant": GIVEN, "decide": decided, "revoke_grant": revoked}[asked[-1]]

    hub.overrides["POST", "/v1/commands"] = answer
    return asked


def test_a_grant_ends_when_nobody_knows_whether_its_call_was_approved(cli: Run, hub: FakeHub) -> None:
    asked = told(hub, None, (200, {"ok": True, "status": "recorded"}))
    done = cli("approve", APPROVAL, *GRANTS)
    assert (done.exit_code, list(dict.fromkeys(asked))) == (4, ["grant", "decide", "revoke_grant"])
    assert "grant.cmd_9 was taken back" in done.stderr


def test_a_grant_that_could_not_be_taken_back_is_named(cli: Run, hub: FakeHub) -> None:
    told(hub, refusal(409, "stale", "not any more"), None)
    done = cli("approve", APPROVAL, *GRANTS)
    assert "grant.cmd_9 may still stand: end it with opsconsole grants revoke" in done.stderr
    assert "not any more" in done.stderr


def test_a_grant_ends_when_the_answer_is_not_waited_for(
    cli: Run, hub: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, give = told(hub, None, (200, {"ok": True, "status": "recorded"})), HubClient.give

    def interrupted(client: HubClient, do: str, **body: Any) -> tuple[str, dict[str, Any]]:
        if do == "decide":
            raise KeyboardInterrupt
        return give(client, do, **body)

    monkeypatch.setattr(HubClient, "give", interrupted)
    assert cli("approve", APPROVAL, *GRANTS).exit_code != 0
    assert asked == ["grant", "revoke_grant"]


def test_a_first_yes_of_several_gives_no_grant(cli: Run, hub: FakeHub) -> None:
    voted = {"ok": True, "status": "voted", "current": {"votes": ["dee"], "approvers": 2}}
    asked = told(hub, (200, voted), (200, {"ok": True, "status": "recorded"}))
    done = cli("approve", APPROVAL, *GRANTS, "--json")
    assert (done.exit_code, asked) == (0, ["grant", "decide", "revoke_grant"])
    assert "grant" not in json.loads(done.stdout)
