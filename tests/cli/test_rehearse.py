"""`limits` and `rehearse`: what they ask the hub for, and what they say."""

from __future__ import annotations

import json
from typing import Any

import pytest

from opsconsole.cli.rehearse_cost import seconds_per_event
from tests.cli.conftest import Run
from tests.cli.fake_hub import FakeHub, approval_row, run_row

LIMIT: dict[str, Any] = {
    "provider": "openai",
    "model": "gpt-4o",
    "account": "",
    "kind": "tokens",
    "source": "headers",
    "limit": 60_000,
    "per_minute": 22_800,
    "used_share": 0.38,
    "full_in_seconds": 360,
    "level": "ok",
    "gateway": "box",
    "at": 5_000.0,
}


@pytest.fixture
def busy(hub: FakeHub) -> FakeHub:
    """An hour of one run: sixty turns, and an approval now and then."""
    hub.clock = 8_000.0
    hub.runs = {"run_A": run_row("run_A", started_at=1_000.0, progress_at=7_900.0)}
    hub.events = [
        {
            "position": turn + 1,
            "gen": "g",
            "at": 2_000.0 + 60 * turn,
            "event": {
                "type": "usage",
                "model": "gpt-4o",
                "provider": "openai",
                "turns": turn + 1,
                "input_tokens": 10_000 * (turn + 1),
                "output_tokens": 100 * (turn + 1),
            },
        }
        for turn in range(60)
    ]
    for number in range(6):
        asked = 2_000.0 + 300 * number
        decided = {"status": "approved", "decided_at": asked + 40, "decided_by": "ana", "requested_at": asked}
        hub.approvals[f"a{number}"] = approval_row(f"a{number}", run="run_A", **decided)
    return hub


def test_limits_are_listed_what_fills_first_on_top(cli: Run, hub: FakeHub) -> None:
    hub.limits = [LIMIT | {"model": "other", "full_in_seconds": None, "used_share": 0.9}, LIMIT]
    lines = cli("limits").stdout.splitlines()
    assert lines[1].split() == ["openai", "gpt-4o", "TPM", "22,800", "60,000", "38", "%", "6m00s", "headers", "box"]


def test_the_settings_of_ones_own_prices_hold(cli: Run, busy: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPSCONSOLE_PRICES", json.dumps({"gpt-4o": {"input": 1e6, "output": 0}}))
    loads = json.loads(cli("rehearse", "--usd-per-hour", "1", "--json").stdout)["loads"]
    assert next(load["load"] for load in loads if load["what"] == "dollars an hour") > 1e6


def test_limits_as_json_name_the_first(cli: Run, hub: FakeHub) -> None:
    hub.limits = [LIMIT | {"model": "other", "full_in_seconds": None, "used_share": 0.9}, LIMIT]
    found = json.loads(cli("limits", "--json").stdout)
    assert (found["first"], len(found["limits"])) == (LIMIT, 2)


def test_no_limit_is_said_to_be_none(cli: Run, hub: FakeHub) -> None:
    assert (cli("limits").stdout, json.loads(cli("limits", "--json").stdout)) == ("", {"first": None, "limits": []})


def test_a_rehearsal_names_what_breaks_first(cli: Run, busy: FakeHub) -> None:
    busy.limits = [LIMIT]
    found = json.loads(cli("rehearse", "--times", "10", "--json").stdout)
    assert (found["first"]["what"], found["first"]["limit"], found["breaks"]) == ("TPM", 60_000, True)
    assert found["recorded"] | {"seconds": 0} == {
        "seconds": 0,
        "runs": 1,
        "turns": 60,
        "calls": 0,
        "questions": 6,
        "events": 60,
    }


def test_a_given_limit_goes_before_a_seen_one(cli: Run, busy: FakeHub) -> None:
    busy.limits = [LIMIT]
    given = ("--tpm", "gpt-4o=100_000_000", "--rpm", "openai/gpt-4o=5")
    found = json.loads(cli("rehearse", *given, "--json").stdout)
    assert (found["first"]["what"], found["first"]["limit"]) == ("RPM", 5)


def test_the_same_seed_gives_the_same_replay(cli: Run, busy: FakeHub) -> None:
    def asked(seed: int) -> list[Any]:
        loads = json.loads(cli("rehearse", "--tpm", "*=50000", "--seed", str(seed), "--json").stdout)["loads"]
        return [load for load in loads if load["what"] != "hub CPU"]

    assert asked(3) == asked(3)
    assert asked(3) != asked(4)


def test_the_report_says_what_breaks_when_and_what_it_assumes(cli: Run, busy: FakeHub) -> None:
    text = cli("rehearse", "--tpm", "gpt-4o=60000", "--operators", "2").stdout
    assert "breaks first: TPM (openai gpt-4o), at " in text
    assert "each of 2 operators" in text
    assert "assumed:\n  each recorded run is started 10 times" in text


def test_only_the_named_runs_and_only_the_period_are_rehearsed(cli: Run, busy: FakeHub) -> None:
    busy.runs["run_B"] = run_row("run_B", started_at=1_000.0, progress_at=7_900.0)
    found = json.loads(cli("rehearse", "--runs", "run_A", "--since", "55m", "--json").stdout)
    assert (found["recorded"]["runs"], found["recorded"]["turns"]) == (1, 15)


def test_a_run_that_is_not_there_is_named(cli: Run, busy: FakeHub) -> None:
    result = cli("rehearse", "--runs", "run_Z")
    assert (result.exit_code != 0, "run_Z" in result.stderr) == (True, True)


@pytest.mark.parametrize("given", ["gpt-4o", "gpt-4o=", "=5", "gpt-4o=-1", "gpt-4o=many"])
def test_a_limit_that_is_none_is_refused(cli: Run, hub: FakeHub, given: str) -> None:
    result = cli("rehearse", "--tpm", given)
    assert (result.exit_code, "--tpm" in result.stderr) == (2, True)


def test_nothing_recorded_is_said(cli: Run, hub: FakeHub) -> None:
    result = cli("rehearse")
    assert (result.exit_code, "nothing was recorded" in result.stderr) == (0, True)


def test_what_an_event_costs_a_hub_is_measured() -> None:
    assert 0 < seconds_per_event() < 1
