"""An operator pauses a run, speaks to it, answers as its model, freezes it, and raises its limits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.spec.manifest import proves
from tests.spec.place import Place, living, until

pytestmark = pytest.mark.process

SETTINGS = {"OPSCONSOLE_LIMITS_TURNS": "3", "OPSCONSOLE_LIMITS_TOKENS": "unlimited"}


@proves("steer.pause")
def test_a_paused_run_holds_at_its_next_step_until_it_is_resumed(place: Place) -> None:
    agent = place.puppet("pausing")
    (told,) = place.json("pause", place.supervised(agent), "--reason", "let me look")
    assert (told["do"], told["status"]) == ("pause", "applied")
    agent.does("model")
    row = place.row_when(agent.run, lambda row: row["state"] == "paused" and row.get("waiting"))
    assert (row["waiting"]["kind"], agent.has_said_nothing()) == ("pause", True)
    place.json("resume", agent.run)
    assert agent.says() == {"model": "I read: nothing"}
    assert place.row_when(agent.run, lambda row: row["state"] == "working").get("waiting") is None


@proves("steer.pause-approved")
def test_what_is_approved_while_a_run_is_paused_runs_when_it_is_resumed(place: Place, tmp_path: Path) -> None:
    agent = place.puppet("approved-paused")
    agent.does("tool", args={"path": str(tmp_path / "out"), "text": "x"})
    held = place.held(agent.run)
    assert place.command("pause", run=agent.run)["ok"]
    place.row_when(agent.run, lambda row: row["state"] == "paused")
    assert place.decide(held, "approve")["ok"]
    assert place.approvals(agent.run)[0]["status"] == "approved"
    assert not (tmp_path / "out").exists()
    assert place.command("resume", run=agent.run)["ok"]
    assert agent.says()["result"] == "written"


@proves("steer.inject")
def test_the_model_reads_what_an_operator_says_at_its_next_step(place: Place) -> None:
    agent = place.puppet("listening", supervised=False)
    (told,) = place.json("inject", agent.run, "use the staging table")
    assert told["status"] == "recorded"
    until(lambda: place.get(f"commands/{told['cmd']}")["status"] == "delivered", "the delivery")
    agent.does("model")
    assert agent.says() == {"model": "I read: use the staging table"}
    assert place.settled(told["cmd"])["status"] == "applied"


@proves("steer.takeover-text", "steer.release")
def test_an_operator_answers_as_the_model_and_hands_back(place: Place) -> None:
    agent = place.puppet("taken-over", supervised=False)
    (told,) = place.json("takeover", agent.run, "--reason", "it repeats itself")
    assert told["status"] == "applied"
    assert place.row_of(agent.run)["baton"]["by"] == place.get("info")["principal"]
    agent.does("model")
    held = place.held(agent.run, "model_call")
    place.json("respond", held["approval"], "--text", "stop here")
    assert agent.says() == {"model": "stop here", "by": place.get("info")["principal"]}
    (told,) = place.json("release", agent.run, "--summary", "I told it to stop")
    place.row_when(agent.run, lambda row: "baton" not in row)
    until(lambda: place.get(f"commands/{told['cmd']}")["status"] != "recorded", "the delivery")
    agent.does("model")
    assert agent.says()["model"].endswith("I told it to stop")


@proves("steer.takeover-call")
def test_a_call_the_operator_composed_as_the_model_runs_once_without_asking_again(place: Place, tmp_path: Path) -> None:
    agent = place.puppet("composed", supervised=False)
    place.settled(place.command("takeover", run=agent.run)["cmd"])
    agent.does("model")
    held = place.held(agent.run, "model_call")
    args = {"path": str(tmp_path / "out"), "text": "by hand"}
    calls = [{"id": "call_mine", "name": "write_file", "args": args}]
    assert place.decide(held, "respond", text="", calls=calls)["ok"]
    assert agent.says()["model"] == ""
    assert agent.says() == {"tool": "write_file", "result": "written"}
    assert (tmp_path / "out").read_text() == "by hand"
    agent.does("tool", args=args)
    assert place.held(agent.run)["args"] == args


@proves("steer.takeover-waiting")
def test_a_turn_that_waited_for_the_operator_goes_to_the_model_when_it_is_handed_back(place: Place) -> None:
    agent = place.puppet("handed-back", supervised=False)
    place.settled(place.command("takeover", run=agent.run)["cmd"])
    agent.does("model")
    place.held(agent.run, "model_call")
    assert place.command("release", run=agent.run)["ok"]
    assert agent.says() == {"model": "I read: nothing"}


@proves("steer.freeze")
def test_a_frozen_run_stands_still_until_it_is_thawed(place: Place) -> None:
    agent = place.puppet("frozen")
    (told,) = place.json("freeze", place.supervised(agent))
    assert told["status"] == "applied"
    assert states(agent.run) == {"T"}
    agent.does("note", text="thawed")
    assert agent.has_said_nothing()
    place.json("thaw", agent.run)
    assert agent.says() == {"noted": "thawed"}


def states(run: str) -> set[str]:
    """The states of a run's processes, as the kernel names them."""
    return {Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] for pid in living(run)}


@proves("steer.no-point")
def test_what_no_point_can_do_is_refused_and_says_so(place: Place) -> None:
    agent = place.puppet("unsupervised", supervised=False)
    place.row_when(agent.run, lambda row: row["state"] == "working")
    answer = place.command("freeze", run=agent.run)
    assert answer["error"]["code"] == "no_point"


@proves("steer.cap", "steer.cap-raise")
def test_a_run_at_its_limit_is_paused_and_goes_on_when_the_limit_is_raised(place: Place) -> None:
    agent = place.puppet("spender", supervised=False)
    for _ in range(4):
        agent.does("model")
    row = place.row_when(agent.run, lambda row: row["state"] == "paused" and row.get("waiting"))
    assert [agent.says()["model"] for _ in range(3)] == ["I read: nothing"] * 3
    assert (row["turns"], row["caps"]["turns"], [alert["kind"] for alert in row["alerts"]]) == (3, 3, ["limit"])
    place.does("resume", agent.run, status=7)
    assert agent.has_said_nothing()
    place.json("resume", agent.run, "--turns", "5", "--reason", "it is close")
    assert agent.says() == {"model": "I read: nothing"}
    row = place.row_when(agent.run, lambda row: row["turns"] == 4)
    assert (row["state"], row["caps"]["turns"], row["alerts"]) == ("working", 5, [])


@proves("steer.cap-cost")
def test_a_run_that_spent_its_money_is_paused_at_once(place: Place) -> None:
    agent = place.puppet("burner", supervised=False)
    agent.does("model", input_tokens=9_000_000)
    agent.does("model")
    row = place.row_when(agent.run, lambda row: row["state"] == "paused")
    assert [alert["text"] for alert in row["alerts"]] == ["paused at its limit: cost $22.50 of $5.00"]
    assert (agent.says(), agent.has_said_nothing()) == ({"model": "I read: nothing"}, True)


@proves("steer.unpriced")
def test_a_model_without_a_price_is_an_alert_not_zero(place: Place) -> None:
    agent = place.puppet("unpriced", supervised=False)
    agent.does("model", model="a-model-nobody-sells")
    row = place.row_when(agent.run, lambda row: row["turns"] == 1 and row["alerts"])
    assert any("price" in alert["text"] for alert in row["alerts"])
    assert row["cost_known"] is False


@proves("steer.second-operator")
def test_another_operator_takes_a_run_over_only_with_a_reason(place: Place) -> None:
    agent = place.puppet("contested", supervised=False)
    made: dict[str, Any] = place.ask("POST", "tokens", "admin", json={"name": "bo", "role": "operator"}).json()
    place.settled(place.command("takeover", run=agent.run)["cmd"])
    refused = place.cli("takeover", agent.run, OPSCONSOLE_TOKEN=made["token"])
    assert (refused.returncode, "give a reason" in refused.stderr) == (7, True)
    place.does("takeover", agent.run, "--reason", "your shift is over", OPSCONSOLE_TOKEN=made["token"])
    assert until(lambda: place.row_of(agent.run)["baton"], "the baton")["by"] == "bo"
