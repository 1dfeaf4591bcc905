"""`claim`: what it sends, shows and exits with; a claim is set, never turned round."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.cli.conftest import Run
from tests.cli.fake_hub import FakeHub, approval_row

APPROVAL = "apr_aaaaaaaaaaaaaaaaaaaaaaaa"


@pytest.fixture(autouse=True)
def one_approval(hub: FakeHub) -> dict[str, Any]:
    hub.approvals = {APPROVAL: approval_row(APPROVAL)}
    return hub.approvals[APPROVAL]


def sent(hub: FakeHub) -> list[dict[str, Any]]:
    return [{name: value for name, value in one.items() if name != "cmd"} for one in hub.commands]


def test_a_claim_names_its_giver_so_that_the_same_again_changes_nothing(cli: Run, hub: FakeHub) -> None:
    assert [cli("claim", "apr_a").stdout for _ in range(2)] == [f"{APPROVAL}: operator looks at it\n"] * 2
    assert sent(hub) == [{"do": "claim", "approval": APPROVAL, "text": "operator"}] * 2


def test_a_call_is_passed_on_by_name(cli: Run, hub: FakeHub) -> None:
    told = json.loads(cli("claim", APPROVAL, "--for", " ben ", "--json").stdout)
    assert told.pop("cmd") == hub.commands[0]["cmd"]
    assert told == {"approval": APPROVAL, "run": "run_A", "claimed_by": "ben", "status": "recorded"}


def test_a_claim_is_given_up(cli: Run, hub: FakeHub, one_approval: dict[str, Any]) -> None:
    one_approval["claimed_by"] = "operator"
    assert cli("claim", APPROVAL, "--release").stdout == f"{APPROVAL}: nobody looks at it\n"
    assert sent(hub) == [{"do": "claim", "approval": APPROVAL, "text": ""}]


def test_what_nobody_has_claimed_may_be_given_up(cli: Run) -> None:
    assert cli("claim", APPROVAL, "--release").exit_code == 0


def test_somebody_elses_claim_is_not_given_up(cli: Run, hub: FakeHub, one_approval: dict[str, Any]) -> None:
    one_approval["claimed_by"] = "ben"
    done = cli("claim", APPROVAL, "--release")
    assert (done.exit_code, done.stderr, sent(hub)) == (7, "opsconsole: ben looks at it, not you\n", [])


def test_a_settled_call_is_not_claimed(cli: Run, hub: FakeHub, one_approval: dict[str, Any]) -> None:
    one_approval["status"] = "approved"
    done = cli("claim", APPROVAL)
    assert (done.exit_code, done.stderr, sent(hub)) == (7, f"opsconsole: {APPROVAL} is approved\n", [])


@pytest.mark.parametrize("given", [("--for", "ben", "--release"), ("--for", " ")])
def test_what_cannot_be_meant_is_wrong_usage(cli: Run, hub: FakeHub, given: tuple[str, ...]) -> None:
    assert (cli("claim", APPROVAL, *given).exit_code, hub.commands) == (2, [])
