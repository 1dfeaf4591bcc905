"""`policy`: problems by line, cases, and why a call is judged so, from a file alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from opsconsole.cli import program
from opsconsole.cli.exits import Exit
from tests.cli.conftest import Run
from tests.policy.file.documented import EXAMPLE, FILES

Policy = Callable[..., Result]
SUNDAY = "2026-11-22T10:00+01:00"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A directory with the documented example and what it names."""
    directory = tmp_path / "a policy"
    directory.mkdir()
    for name, data in FILES.items():
        (directory / name).write_bytes(data)
    (directory / "policy.toml").write_text(EXAMPLE, encoding="utf-8")
    return directory


@pytest.fixture
def policy(bare: Run, monkeypatch: pytest.MonkeyPatch) -> Policy:
    monkeypatch.setitem(program.COMMANDS, "policy", ("policy:policy", "Check, test and explain a policy file."))
    return lambda *args, **more: bare("policy", *map(str, args), **more)


def written(place: Path, text: str) -> Path:
    path = place / "other.toml"
    path.write_text(text, encoding="utf-8")
    return path


def answered(result: Result) -> Any:
    assert result.exit_code == Exit.OK, result.output
    return json.loads(result.stdout)


def test_a_file_in_order_is_said_to_be_with_its_hash(policy: Policy, place: Path) -> None:
    result = policy("check", place / "policy.toml")
    assert result.exit_code == Exit.OK
    assert "is in order: 10 rules, 4 facts, 4 breakers, 9 expectations\nsha256:" in result.stdout


def test_problems_are_told_by_line_and_the_status_says_so(policy: Policy, place: Path) -> None:
    path = written(place, "version = 1\nnmae = 'x'\n[[rules]]\nid = 'a'\ndecision = 'aks'\n")
    result = policy("check", path)
    assert result.exit_code == Exit.USAGE
    assert result.stderr.splitlines() == [
        f"{path}:2: nmae: unknown key; did you mean name?",
        f"{path}:5: rules[1].decision: give one of allow, ask, deny; did you mean ask?",
    ]


def test_problems_are_told_as_json(policy: Policy, place: Path) -> None:
    result = policy("check", written(place, "version = 1\nnmae = 'x'\n"), "--json")
    problem = {"line": 2, "field": "nmae", "message": "unknown key; did you mean name?"}
    assert (result.exit_code, json.loads(result.stdout)) == (Exit.USAGE, {"ok": False, "problems": [problem]})


def test_a_checked_file_is_told_as_json(policy: Policy, place: Path) -> None:
    found = answered(policy("check", place / "policy.toml", "--json"))
    assert found.pop("hash").startswith("sha256:")
    counts = {"rules": 10, "facts": 4, "breakers": 4, "expectations": 9}
    assert found == {"ok": True, "name": "acme-production", **counts, "problems": []}


@pytest.mark.parametrize("command", ["check", "test", "explain"])
def test_a_file_that_does_not_load_is_a_wrong_configuration(policy: Policy, place: Path, command: str) -> None:
    more = ["--tool", "x"] if command == "explain" else []
    assert policy(command, written(place, "version = 2"), *more).exit_code == Exit.USAGE


@pytest.mark.parametrize(("data", "why"), [(b"\xff\xfe", "is not UTF-8"), (b"#" * 1_100_000, "longer than")])
def test_a_file_that_is_no_text_of_ours_is_one_problem(policy: Policy, place: Path, data: bytes, why: str) -> None:
    path = place / "other.toml"
    path.write_bytes(data)
    result = policy("check", path)
    assert result.exit_code == Exit.USAGE
    assert why in result.stderr


def test_a_file_that_is_not_there_is_wrong_usage(policy: Policy, place: Path) -> None:
    assert policy("check", place / "none.toml").exit_code == Exit.USAGE


def test_the_cases_of_the_example_come_out(policy: Policy, place: Path) -> None:
    result = policy("test", place / "policy.toml")
    assert (result.exit_code, result.stdout) == (Exit.OK, "9 of 9 cases came out as expected\n")


def test_a_case_that_does_not_come_out_is_told_and_the_status_says_so(policy: Policy, place: Path) -> None:
    path = written(place, 'version = 1\n[[expect]]\nname = "reads"\ntool = "read"\ndecision = "allow"\nrisk = "low"\n')
    result = policy("test", path)
    assert result.exit_code == Exit.FAILED
    assert result.stdout.splitlines() == [
        f"{path}:2: case 1 (reads): decision: expected allow, found ask; risk: expected low, found medium",
        "  No rule of the policy is about this call of read.",
        "0 of 1 cases came out as expected",
    ]


def test_cases_are_told_as_json(policy: Policy, place: Path) -> None:
    text = 'version = 1\n[[expect]]\ntool = "read"\ndecision = "allow"\n'
    result = policy("test", written(place, text), "--json")
    found = json.loads(result.stdout)
    assert (result.exit_code, found["ok"]) == (Exit.FAILED, False)
    assert found["cases"][0]["differences"] == {"decision": ["allow", "ask"]}


def test_an_explanation_tells_the_verdict_every_rule_and_every_fact(policy: Policy, place: Path) -> None:
    args = json.dumps({"query": "DROP TABLE users"})
    result = policy("explain", place / "policy.toml", "--tool", "run_sql", "--args", args, "--at", SUNDAY)
    assert result.exit_code == Exit.OK
    lines = result.stdout.splitlines()
    assert lines[0] == "deny by sql-schema-change, risk critical"
    told = {line.split()[0]: " ".join(line.split()[1:4]) for line in lines[2:] if line}
    assert told["sql-schema-change"].startswith("deny matched")
    assert told["shell-destructive"].startswith("deny not about")
    assert (told["sql.changes_schema"], told["hours.office"], told["tool.trusted"]) == ("yes", "no", "no")


def test_who_is_asked_is_told(policy: Policy, place: Path) -> None:
    result = policy("explain", place / "policy.toml", "--tool", "pay_x", "--args", '{"amount": 500}')
    assert "  asks 2 of finance within 1h00m; the arguments cannot be edited" in result.stdout.splitlines()


def test_an_explanation_is_told_as_json(policy: Policy, place: Path) -> None:
    given = [
        "--tool",
        "deploy",
        "--args",
        '{"environment": "prod"}',
        "--at",
        "2026-11-20T10:00+01:00",
        "--starter",
        "ben",
    ]
    found = answered(policy("explain", place / "policy.toml", *given, "--json"))
    assert found["verdict"] == {
        "decision": "ask",
        "rule": "deploy-prod",
        "risk": "high",
        "reason": "Rule deploy-prod says ask.",
        "approvers": 1,
        "quorums": [{"group": "release", "approvers": 1}],
        "timeout_seconds": 1_800.0,
        "may_edit": True,
        "not_by": ["ben"],
    }
    assert found["facts"]["hours"] == {"office": True}
    assert [one["rule"] for one in found["rules"] if one["outcome"] == "matched"] == ["deploy-prod"]


def test_a_server_its_annotations_and_labels_are_looked_at(policy: Policy, place: Path) -> None:
    hints = '{"readOnlyHint": true, "openWorldHint": false}'
    given = ["--tool", "get_page", "--server", "docs", "--annotations", hints, "--label", "team=a"]
    found = answered(policy("explain", place / "policy.toml", *given, "--json"))
    assert (found["verdict"]["decision"], found["verdict"]["rule"]) == ("allow", "read-only")


def test_the_schema_of_a_tool_is_held_against_its_arguments(policy: Policy, place: Path) -> None:
    rule = "[[rules]]\nid = 'odd'\ntool = 'pay'\nwhen = '!schema.valid'\ndecision = 'deny'\n"
    path = written(place, "version = 1\n[facts]\nschema = { tool = 'pay' }\n" + rule)
    (place / "pay.json").write_text('{"required": ["amount"]}', encoding="utf-8")
    given = ["--tool", "pay", "--args", '{"sum": 1}', "--schema", place / "pay.json", "--json"]
    found = answered(policy("explain", path, *given))["facts"]["schema"]
    assert found == {"valid": False, "errors": ['arguments: "amount" is a required property'], "unclear": False}


@pytest.mark.parametrize(
    "wrong",
    [
        ["--schema", "absent.json"],
        ["--args", "no json"],
        ["--args", "[]"],
        ["--at", "noon"],
        ["--at", "nan"],
        ["--at", "1e300"],
        ["--label", "team"],
    ],
    ids=" ".join,
)
def test_what_cannot_be_understood_is_wrong_usage(policy: Policy, place: Path, wrong: list[str]) -> None:
    assert policy("explain", place / "policy.toml", "--tool", "x", *wrong).exit_code == Exit.USAGE


def test_nothing_of_a_policy_or_its_arguments_drives_a_terminal(policy: Policy, place: Path) -> None:
    path = written(place, 'version = 1\nname = "\\u001b[2J"\n"\\u001b[31m" = 1\n')
    args = json.dumps({"query": "\x1b[2J\u202e"})
    for result in (
        policy("check", path),
        policy("explain", place / "policy.toml", "--tool", "run_sql", "--args", args),
        policy("explain", place / "policy.toml", "--tool", "\x1b[2J"),
    ):
        assert "\x1b" not in result.output
