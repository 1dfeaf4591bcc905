"""What an operator sees of runs, supervised or not, with or without the SDK, and what the program's exit says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.spec.manifest import proves
from tests.spec.place import Place, Puppet, Row
from tests.support.hub import RunningHub, held_port

pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def agent(place: Place) -> Puppet:
    return place.puppet("watched")


@proves("watch.runs")
def test_a_live_run_is_listed_with_what_scripts_rely_on(place: Place, agent: Puppet) -> None:
    run = agent.run
    agent.does("model", input_tokens=1_000)
    place.row_when(run, lambda row: (row["turns"], row["input_tokens"]) == (1, 1_000))
    (listed,) = [row for row in place.json("runs") if row["run"] == run]
    names = ("run", "agent", "state", "link", "turns", "input_tokens")
    assert {name: listed[name] for name in names} == {
        "run": run, "agent": "watched", "state": "working", "link": "live", "turns": 1, "input_tokens": 1_000,
    }  # fmt: skip
    assert listed["cost_usd"] == pytest.approx(0.00251)
    assert listed["started_at"] < listed["progress_at"]


@proves("watch.show")
def test_one_run_is_shown_with_its_points_and_its_timeline(place: Place, agent: Puppet) -> None:
    agent.does("note", text="half way")
    place.row_when(agent.run, lambda row: len(row["points"]) == 2)
    shown = place.json("show", agent.run)
    assert {point["name"] for point in shown["points"]} == {"supervisor", "sdk"}
    assert "half way" in [stored["event"].get("text") for stored in shown["events"]]
    text = place.does("show", agent.run.removeprefix("run_"))
    assert "half way" in text
    assert "watched" in text


@proves("watch.console")
async def test_a_console_is_told_of_a_change_without_asking(place: Place, hub: RunningHub, agent: Puppet) -> None:
    async with hub.console() as console:
        await console.follow("board")
        await console.follow("run", run=agent.run)
        agent.does("note", text="look here")
        row = await console.row(lambda row: row.get("event", {}).get("text") == "look here")
        assert row["event"]["type"] == "note"


@proves("watch.plain")
def test_any_command_is_supervised_without_knowing_it(place: Place) -> None:
    done = place.cli("run", "--agent", "plain", "--", "sh", "-c", "read word; echo got $word; exit 3", stdin="tea\n")
    assert (done.returncode, done.stdout, done.stderr) == (3, "got tea\n", "")
    row = place.row("plain")
    assert row is not None
    row = place.row_when(row["run"], lambda row: row.get("ended_at"))
    assert (row["state"], row["reason"], row["exit_code"]) == ("failed", "exit status 3", 3)
    (ended,) = [event for event in place.timeline(row["run"]) if event.get("exit")]
    assert ended["exit"]["last_output"] == ["got tea"]


@pytest.fixture(scope="module")
def nowhere() -> Iterator[str]:
    """Where no hub is, and none comes."""
    with held_port() as port:
        yield f"http://127.0.0.1:{port}"


@proves("watch.without-hub")
def test_an_agent_runs_though_no_hub_is_there(place: Place, nowhere: str, tmp_path: object) -> None:
    elsewhere = {"OPSCONSOLE_HUB": nowhere, "OPSCONSOLE_DATA_DIR": str(tmp_path)}
    done = place.cli("run", "--", "sh", "-c", "echo on; exit 5", **elsewhere)
    assert (done.returncode, done.stdout) == (5, "on\n")
    assert done.stderr == "opsconsole: the hub cannot be reached; the command goes on, and is reported later\n"


@proves("watch.beginning")
def test_a_beginning_that_fits_several_runs_does_nothing(place: Place, agent: Puppet) -> None:
    place.cli("run", "--agent", "second", "--", "true")
    done = place.cli("kill", "run_")
    assert done.returncode != 0
    assert place.row_of(agent.run)["state"] == "working"


@pytest.fixture(scope="module")
def refused(place: Place, agent: Puppet, nowhere: str) -> dict[str, tuple[int, str, str]]:
    """What the program says in each situation; all at the same time."""
    agent.does("tool", args={"path": str(place.data_dir / "never"), "text": "x"})
    held = place.held(agent.run)
    place.decide(held, "reject")
    alone = place.puppet("alone", supervised=False)
    place.row_when(alone.run, lambda row: row["state"] == "working")
    observer = place.ask("POST", "tokens", "admin", json={"name": "eye", "role": "observer"}).json()["token"]
    situations: dict[str, tuple[tuple[str, ...], dict[str, str]]] = {
        "done": (("runs",), {}),
        "refused": (("freeze", alone.run), {}),
        "misused": (("kill",), {}),
        "misconfigured": (("runs",), {"OPSCONSOLE_HUB": "carrier-pigeon://home"}),
        "unreachable": (("runs",), {"OPSCONSOLE_HUB": nowhere}),
        "forbidden": (("kill", agent.run), {"OPSCONSOLE_TOKEN": observer}),
        "unauthorised": (("runs",), {"OPSCONSOLE_TOKEN": "nonsense"}),
        "unknown": (("show", "run_nobody"), {}),
        "settled": (("approve", held["approval"], "--digest", held["digest"]), {}),
    }

    def situation(args: tuple[str, ...], environment: dict[str, str]) -> tuple[int, str, str]:
        done = place.cli(*args, **environment)
        return done.returncode, done.stdout, done.stderr

    with ThreadPoolExecutor(2) as pool:
        told = {name: pool.submit(situation, *how) for name, how in situations.items()}
    return {name: future.result() for name, future in told.items()}


CODES = [
    ("done", 0),
    ("refused", 1),
    ("misused", 2),
    ("misconfigured", 2),
    ("unreachable", 4),
    ("forbidden", 5),
    ("unauthorised", 5),
    ("unknown", 6),
    ("settled", 7),
]


@proves("exit.0", "exit.1", "exit.2", "exit.4", "exit.5", "exit.6", "exit.7")
@pytest.mark.parametrize(("situation", "code"), CODES)
def test_the_exit_status_says_what_became_of_a_command(
    refused: dict[str, tuple[int, str, str]], situation: str, code: int
) -> None:
    status, _, error = refused[situation]
    assert status == code, error
    assert ("Traceback" in error, bool(error)) == (False, code != 0)


@proves("exit.kill-some")
def test_a_kill_of_a_known_and_an_unknown_run_kills_the_one_and_says_6(place: Place) -> None:
    alone = place.puppet("known", supervised=False)
    receipts: list[Row] = json.loads(place.does("kill", alone.run, "run_nobody", "--json", status=6))
    assert {receipt["run"]: receipt["proof"] for receipt in receipts} == {
        alone.run: "cooperative", "run_nobody": "none",
    }  # fmt: skip
