"""`record`, `test` and `policy backtest` as a person runs them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from opsconsole.cli.exits import Exit
from opsconsole.scenario.case import Claim
from opsconsole.scenario.reading import read
from opsconsole.scenario.writing import written
from tests.cli.conftest import Run
from tests.cli.fake_hub import FakeHub, run_row
from tests.scenario import rows
from tests.scenario.incidents import SQL, case, expects, sql, turn

EVENTS = rows.timeline(
    rows.begun(name="Refund 1042"),
    rows.asked("t1", rows.user("Refund order 1042")),
    rows.answered("t1", "I wipe it."),
    rows.used(1),
    rows.proposed("c1", "run_sql", query="DROP TABLE orders"),
    rows.ended("c1", result="done"),
    rows.proposed("c2", "login", password="[secret:value:7f3a]"),
    rows.ended("c2", "denied", error="no"),
    rows.over(),
)
ENTRIES = [rows.allowed("c1", "run_sql"), rows.held("c2", "login"), rows.decided("c2", "login", "reject")]


@pytest.fixture
def incident(hub: FakeHub) -> FakeHub:
    """A hub that holds one run which wiped a table and was refused a login."""
    hub.runs[rows.RUN] = run_row(rows.RUN)
    hub.events, hub.clock = EVENTS, rows.BEGAN + 3_600.0
    hub.overrides["GET", "/v1/audit"] = lambda: (200, {"entries": ENTRIES, "looked_to": 0, "head": 3})
    hub.overrides["GET", "/v1/info"] = lambda: (200, {"version": "0.1.0", "time": hub.clock})
    return hub


@pytest.fixture
def policy_file(tmp_path: Path) -> Path:
    path = tmp_path / "candidate.toml"
    path.write_text(SQL.text)
    return path


def case_file(tmp_path: Path, text: str, name: str = "one.case.toml") -> Path:
    path = tmp_path / "cases" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return path


@pytest.mark.usefixtures("incident")
def test_a_recorded_run_is_a_case_that_says_what_should_hold(ops: Run) -> None:
    result = ops("record", rows.RUN)
    assert result.exit_code == Exit.OK, result.output
    scenario = read(result.stdout)
    assert (scenario.name, len(scenario.steps), scenario.task) == ("Refund 1042", 4, "Refund order 1042")
    *claims, cost = [str(one) for one in scenario.expectations]
    assert claims == [
        "verdicts no weaker than recorded",
        "asks before login",
        "never calls login after run_sql",
        "stops by turn 1",
    ]
    assert cost.startswith("costs at most $0.00")


@pytest.mark.usefixtures("incident")
def test_a_case_can_be_named_and_left_bare(ops: Run) -> None:
    scenario = read(ops("record", rows.RUN, "--name", "wiped", "--bare").stdout)
    assert (scenario.name, scenario.expectations) == ("wiped", ())


@pytest.mark.usefixtures("incident")
def test_a_run_that_nobody_knows_is_not_recorded(ops: Run) -> None:
    assert ops("record", "run_2").exit_code == Exit.NOT_FOUND


@pytest.mark.usefixtures("incident")
def test_what_was_recorded_fails_until_the_policy_is_better(ops: Run, tmp_path: Path, policy_file: Path) -> None:
    text = ops("record", rows.RUN, "--bare").stdout
    asks = '\n[[expect]]\nasks_before = "run_sql"\nmatching = "DROP"\n'
    path = case_file(tmp_path, text.replace("\n[[steps]]", f"{asks}\n[[steps]]", 1))
    lax = tmp_path / "lax.toml"
    lax.write_text("version = 1\n[defaults]\ndecision = 'allow'\n")
    assert ops("test", str(path), "--policy", str(lax)).exit_code == Exit.FAILED
    assert ops("test", str(path), "--policy", str(policy_file)).exit_code == Exit.OK


def test_a_failed_case_shows_what_was_expected_and_what_is(ops: Run, tmp_path: Path, policy_file: Path) -> None:
    scenario = case(turn(), sql("SELECT 1"), expect=expects(Claim.DENIES, "run_sql"))
    path = case_file(tmp_path, written(scenario))
    result = ops("test", str(path.parent), "--policy", str(policy_file))
    assert result.exit_code == Exit.FAILED
    assert result.stdout.splitlines() == [
        f"FAIL {path}: 0 of 1 expectations hold, 1 turn, 1 call, $0.0100",
        "  FAIL denies run_sql (line 9)",
        '      turn 1, run_sql {"query": "SELECT 1"}',
        "        - expected  deny",
        "        + actual    allow by reads",
        "                    Rule reads says allow.",
        "1 case, 1 failed; 0 of 1 expectations hold",
    ]


def test_changed_verdicts_stand_beside_a_failure(ops: Run, tmp_path: Path, policy_file: Path) -> None:
    steps = (turn(), sql("DROP TABLE x", rule="lax"), sql("SELECT 1"))
    path = case_file(tmp_path, written(case(*steps, expect=expects(Claim.DETECTS, "loop"))))
    lines = ops("test", str(path), "--policy", str(policy_file)).stdout.splitlines()
    assert '   * turn 1: run_sql {"query": "DROP TABLE x"}: allow by lax -> deny by no-wipe' in lines


def test_json_holds_every_call_then_and_now(ops: Run, tmp_path: Path, policy_file: Path) -> None:
    path = case_file(tmp_path, written(case(sql("DROP TABLE x", rule="lax"))))
    result = ops("test", str(path), "--policy", str(policy_file), "--json")
    assert result.exit_code == Exit.OK
    (call,) = json.loads(result.stdout)["cases"][0]["calls"]
    assert (call["recorded"], call["now"]["decision"]) == ({"decision": "allow", "rule": "lax"}, "deny")


def test_a_case_that_does_not_load_is_told_by_line(ops: Run, tmp_path: Path) -> None:
    path = case_file(tmp_path, 'version = 1\nagent = "a"\nnmae = "x"\n')
    result = ops("test", str(path))
    assert (result.exit_code, result.stderr) == (Exit.USAGE, f"{path}:3: nmae: unknown key; did you mean name?\n")


def test_a_case_that_does_not_load_is_told_in_json_too(ops: Run, tmp_path: Path) -> None:
    path = case_file(tmp_path, "version = 1\n")
    result = ops("test", str(path), "--json")
    assert result.exit_code == Exit.USAGE
    report = json.loads(result.stdout)
    assert (report["ok"], [one["message"] for one in report["problems"]]) == (False, ["agent is missing"])


def test_a_policy_that_does_not_load_is_told_by_line(ops: Run, tmp_path: Path) -> None:
    path, wrong = case_file(tmp_path, written(case())), tmp_path / "wrong.toml"
    wrong.write_text("version = 1\nrulse = 1\n")
    result = ops("test", str(path), "--policy", str(wrong))
    assert (result.exit_code, result.stderr) == (Exit.USAGE, f"{wrong}:2: rulse: unknown key; did you mean rules?\n")


def test_a_directory_without_cases_is_no_success(ops: Run, tmp_path: Path) -> None:
    assert ops("test", str(tmp_path)).exit_code == Exit.USAGE


def backtested(ops: Run, *args: str) -> Any:
    result = ops("policy", "backtest", "--json", *args)
    assert result.exit_code == Exit.OK, result.output
    return json.loads(result.stdout)


@pytest.mark.usefixtures("incident")
def test_the_past_is_judged_again(ops: Run, policy_file: Path) -> None:
    report = backtested(ops, "--since", "2h", str(policy_file))
    assert (report["then"], report["now"]) == ({"allow": 1, "ask": 1, "deny": 0}, {"allow": 0, "ask": 1, "deny": 1})
    assert report["questions_per_hour"] == {"then": 1.0, "now": 1.0}
    assert report["finished_runs_with_a_call_refused"] == 1


@pytest.mark.usefixtures("incident")
def test_the_settings_of_ones_own_prices_hold_for_what_is_recorded_and_judged_again(
    ops: Run, policy_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPSCONSOLE_PRICES", json.dumps({"gpt-4o": {"input": 1_000, "output": 10_000}}))
    assert read(ops("record", rows.RUN).stdout).cost_usd == 2.0
    assert backtested(ops, "--since", "2h", str(policy_file))["cost_usd"] == 2.0


@pytest.mark.usefixtures("incident")
def test_what_cannot_be_judged_again_is_said(ops: Run, tmp_path: Path) -> None:
    nosy = tmp_path / "nosy.toml"
    nosy.write_text(
        "version = 1\n[[rules]]\nid = 'r'\ntool = 'login'\nwhen = 'args.password == \"x\"'\ndecision = 'deny'\n"
    )
    assert backtested(ops, "--since", "2h", str(nosy))["calls"]["not_judged"] == 1
    text = ops("policy", "backtest", "--since", "2h", str(nosy)).stdout
    assert "not judged         1 calls (masked, no facts kept)" in text


@pytest.mark.usefixtures("incident")
def test_a_person_reads_it_as_a_table(ops: Run, policy_file: Path) -> None:
    result = ops("policy", "backtest", "--since", "2h", str(policy_file))
    assert result.exit_code == Exit.OK, result.output
    lines = result.stdout.splitlines()
    assert lines[2:7] == [
        "              ALLOW NOW  ASK NOW  DENY NOW  THEN",
        "allowed then          0        0         1     1",
        "asked then            0        1         0     1",
        "denied then           0        0         0     0",
        "now                   0        1         1     2",
    ]
    assert "questions an hour  1.00 then, 1.00 now" in lines


@pytest.mark.usefixtures("incident")
def test_what_is_older_is_not_looked_at(ops: Run, policy_file: Path) -> None:
    assert backtested(ops, "--since", "10m", str(policy_file))["runs"] == 0


@pytest.mark.usefixtures("incident")
def test_other_agents_are_left_out_if_one_is_named(ops: Run, policy_file: Path) -> None:
    assert backtested(ops, "--since", "2h", "--agent", "sre", str(policy_file))["runs"] == 0


def test_a_candidate_that_does_not_load_is_not_tried(ops: Run, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.toml"
    wrong.write_text("version = 1\nrulse = 1\n")
    assert ops("policy", "backtest", str(wrong)).exit_code == Exit.USAGE
