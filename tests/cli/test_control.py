"""What `kill` and its kin send, print and exit with."""

from __future__ import annotations

import json
from typing import Any

import pytest

from opsconsole.cli.client import LIST_MAX
from tests.cli.conftest import Run
from tests.cli.fake_hub import FakeHub, refusal, run_row

RUN = "run_01K0000000000000000000000A"
OTHER = "run_01K0000000000000000000000B"


def line(run: str, proof: str = "process", status: str = "dead") -> dict[str, Any]:
    points = [{"name": "supervisor.term", "ms": 12.5, "outcome": "ended"}]
    return {"run": run, "status": status, "proof": proof, "points": points, "total_ms": 14.0}


@pytest.fixture(autouse=True)
def two_runs(hub: FakeHub) -> None:
    hub.runs = {RUN: run_row(RUN), OTHER: run_row(OTHER)}


def test_a_kill_exits_0_with_proof_of_every_run(cli: Run, hub: FakeHub) -> None:
    hub.report = {"settled": True, "runs": [line(RUN), line(OTHER, "cooperative")]}
    done = cli("kill", RUN, OTHER, "--reason", "runaway", "--json")
    assert done.exit_code == 0
    assert json.loads(done.stdout) == [line(RUN), line(OTHER, "cooperative")]
    sent = hub.commands[0]
    assert {**sent, "cmd": ""} == {"cmd": "", "do": "kill", "runs": [RUN, OTHER], "mode": "ladder", "note": "runaway"}


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        ([line(RUN, "process")], 0),
        ([line(RUN, "cooperative")], 0),
        ([line(RUN, "lease")], 0),
        ([line(RUN, "process", "already_dead")], 0),
        ([line(RUN, "none", "unconfirmed")], 3),
        ([line(RUN, "none", "stopping")], 3),
        ([line(RUN, "cooperative", "stopping")], 3),
        ([line(RUN, "cooperative", "unconfirmed")], 3),
        ([], 3),
    ],
)
def test_a_kill_without_proof_exits_3(cli: Run, hub: FakeHub, lines: list[dict[str, Any]], status: int) -> None:
    hub.report = {"settled": bool(lines), "runs": lines}
    assert cli("kill", RUN, "--timeout", "0").exit_code == status


@pytest.mark.parametrize("status", ["sent", "stopping", "unconfirmed"])
def test_what_is_claimed_of_a_kill_under_way_is_not_called_proof(cli: Run, hub: FakeHub, status: str) -> None:
    hub.report = {"settled": False, "runs": [line(RUN, "cooperative", status)]}
    told = cli("kill", RUN, "--timeout", "0").stdout
    assert ("KILL UNCONFIRMED: no proof" in told, "proof cooperative" in told) == (True, False)


def test_one_proof_of_two_is_not_enough(cli: Run, hub: FakeHub) -> None:
    hub.report = {"settled": True, "runs": [line(RUN), line(OTHER, "none", "unconfirmed")]}
    done = cli("kill", RUN, OTHER)
    assert done.exit_code == 3
    assert "KILL UNCONFIRMED" in done.stdout


def test_a_receipt_names_each_point_with_its_milliseconds(cli: Run, hub: FakeHub) -> None:
    hub.report = {"settled": True, "runs": [line(RUN)]}
    done = cli("kill", RUN, "--now")
    assert hub.commands[0]["mode"] == "now"
    assert done.stdout.splitlines() == [f"{RUN}  dead  proof process  14 ms", "    supervisor.term    12.5 ms  ended"]


def test_a_misspelt_run_does_not_save_the_others(cli: Run, hub: FakeHub) -> None:
    hub.report = {"settled": True, "runs": [line(RUN)]}
    done = cli("kill", "run_nobody", RUN, "--json")
    assert done.exit_code == 6
    assert [(one["run"], one["proof"], one["status"]) for one in json.loads(done.stdout)] == [
        (RUN, "process", "dead"),
        ("run_nobody", "none", "not_found"),
    ]
    assert hub.commands[0]["run"] == RUN


def test_a_beginning_that_fits_two_runs_kills_neither(cli: Run, hub: FakeHub) -> None:
    done = cli("kill", "run_01K")
    assert done.exit_code == 1
    assert hub.commands == []
    assert RUN in done.stderr
    assert OTHER in done.stderr


def test_a_run_is_named_as_the_console_shows_it_too(cli: Run, hub: FakeHub) -> None:
    run = "run_01M838Y8RQEE75TGV31F6VPSNJ.vdmhleucpodov3ii"
    hub.runs[run] = run_row(run)
    hub.report = {"settled": True, "runs": [line(run)]}
    assert cli("kill", "6VPSNJ").exit_code == 0
    assert hub.commands[0]["run"] == run


def test_what_the_console_shows_alike_of_two_runs_kills_neither(cli: Run, hub: FakeHub) -> None:
    alike = ["run_01M838Y8RQEE75TGV31F6VPSNJ", "run_01M838Y8RQEE75TGV31G6VPSNJ"]
    hub.runs |= {run: run_row(run) for run in alike}
    assert (cli("kill", "6VPSNJ").exit_code, hub.commands) == (1, [])


def test_a_name_that_no_run_has_is_not_called_an_unproven_kill(cli: Run, hub: FakeHub) -> None:
    assert "no such run: nothing was killed" in cli("kill", "run_nobody").stdout


def test_a_unique_beginning_is_enough(cli: Run, hub: FakeHub) -> None:
    del hub.runs[OTHER]
    hub.report = {"settled": True, "runs": [line(RUN)]}
    assert cli("kill", "01K").exit_code == 0
    assert hub.commands[0]["run"] == RUN


def test_killing_all_of_nothing_is_done(cli: Run, hub: FakeHub) -> None:
    hub.report = {"settled": True, "runs": []}
    done = cli("kill", "--all", "--json")
    assert (done.exit_code, json.loads(done.stdout)) == (0, [])
    assert hub.commands[0]["all"] is True


@pytest.mark.parametrize("args", [("kill",), ("kill", RUN, "--all")])
def test_a_kill_names_its_runs_or_all_never_both(cli: Run, hub: FakeHub, args: tuple[str, ...]) -> None:
    assert cli(*args).exit_code == 2
    assert hub.commands == []


@pytest.mark.parametrize(
    ("args", "body"),
    [
        (("pause", RUN, "--reason", "why"), {"do": "pause", "run": RUN, "note": "why"}),
        (("resume", RUN, "--cost", "9.5"), {"do": "resume", "run": RUN, "caps": {"cost_usd": 9.5}}),
        (("resume", RUN), {"do": "resume", "run": RUN}),
        (("freeze", RUN), {"do": "freeze", "run": RUN}),
        (("thaw", RUN), {"do": "thaw", "run": RUN}),
        (("inject", RUN, "stop that"), {"do": "inject", "run": RUN, "text": "stop that", "when": "next_step"}),
        (("takeover", RUN), {"do": "takeover", "run": RUN}),
        (("release", RUN, "--summary", "done"), {"do": "release", "run": RUN, "text": "done"}),
    ],
)
def test_a_control_command_sends_what_was_asked(
    cli: Run, hub: FakeHub, args: tuple[str, ...], body: dict[str, Any]
) -> None:
    assert cli(*args).exit_code == 0
    sent = hub.commands[0]
    assert sent.pop("cmd").startswith("cmd_")
    assert sent == body


def test_a_command_that_was_not_applied_in_time_exits_3(cli: Run, hub: FakeHub) -> None:
    hub.report = {"settled": False, "status": "delivered", "runs": []}
    done = cli("pause", RUN, "--timeout", "0.1", "--json")
    assert done.exit_code == 3
    assert [(one["run"], one["status"]) for one in json.loads(done.stdout)] == [(RUN, "delivered")]


def test_an_injected_message_comes_from_stdin(cli: Run, hub: FakeHub) -> None:
    assert cli("inject", RUN, "-", stdin="two\nlines").exit_code == 0
    assert hub.commands[0]["text"] == "two\nlines"


def test_an_answer_that_got_lost_is_asked_for_again_with_the_same_id(cli: Run, hub: FakeHub) -> None:
    losses = [True, True]

    def lose_twice() -> Any:
        body = hub.asked[-1][3]
        if losses:
            losses.pop()
            return None
        return hub._post(["commands"], body)

    hub.overrides["POST", "/v1/commands"] = lose_twice
    assert cli("pause", RUN).exit_code == 0
    posted = [body["cmd"] for method, path, _, body in hub.asked if (method, path) == ("POST", "/v1/commands")]
    assert len(posted) == 3
    assert len(set(posted)) == 1


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (refusal(401, "unauthorised"), 5),
        (refusal(403, "forbidden"), 5),
        (refusal(404, "not_found"), 6),
        (refusal(409, "already_settled"), 7),
        (refusal(409, "digest_mismatch"), 7),
        (refusal(412, "precondition_failed"), 7),
        (refusal(422, "bad_request"), 1),
        (refusal(503, "storage_failed"), 1),
        ((200, {"t": "res", "ok": False, "code": "no_point", "message": "no"}), 1),
        ((200, {"t": "res", "ok": False, "code": "forbidden", "message": "no"}), 5),
        ((409, {"t": "res", "ok": False, "code": "idempotency_conflict", "message": "no"}), 7),
        ((502, {}), 1),
        ((404, {}), 6),
    ],
)
def test_each_refusal_has_its_exit_code(cli: Run, hub: FakeHub, answer: Any, status: int) -> None:
    hub.overrides["POST", "/v1/commands"] = lambda: answer
    done = cli("pause", RUN)
    assert done.exit_code == status
    assert len(done.stderr.strip().splitlines()) == 1
    assert done.stdout == ""


def test_a_beginning_is_refused_when_the_list_of_runs_is_cut(cli: Run, hub: FakeHub) -> None:
    hub.runs = {run: run_row(run) for run in ["run_abc_old", *(f"run_z{n}" for n in range(LIST_MAX)), "run_abc_new"]}
    done = cli("kill", "abc")
    assert (done.exit_code, hub.commands) == (1, [])
    assert "too many runs for a beginning: give the whole id" in done.stderr
    assert cli("kill", "run_nobody").exit_code == 6
    assert cli("pause", "run_abc_old").exit_code == 0


def test_a_run_named_like_the_beginning_of_another_does_not_take_its_kill(cli: Run, hub: FakeHub) -> None:
    hub.runs = {run: run_row(run) for run in ("abc", "run_abc_1", "run_abc")}
    done = cli("kill", "abc")
    assert (done.exit_code, hub.commands) == (1, [])
    assert "'abc' may be any of 3 runs: abc, run_abc, run_abc_1" in done.stderr


@pytest.mark.parametrize("run", ["run_abc", "nightly"])
def test_a_whole_id_names_its_own_run(cli: Run, hub: FakeHub, run: str) -> None:
    hub.runs = {run: run_row(run) for run in ("run_abc_1", "run_abc", "nightly")}
    cli("pause", run)
    assert [command["run"] for command in hub.commands] == [run]


def test_a_note_says_as_json_which_command_left_it(cli: Run, hub: FakeHub) -> None:
    told = json.loads(cli("note", RUN, "looked at it", "--json").stdout)
    sent = hub.commands[0]
    assert (sent["do"], sent["run"], sent["text"]) == ("annotate", RUN, "looked at it")
    assert told == {"cmd": sent["cmd"], "do": "annotate", "run": RUN, "status": "recorded"}
