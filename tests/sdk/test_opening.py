"""Which run a body becomes, and what it inherits."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from opsconsole.domain.command import Do
from opsconsole.domain.run import RunState
from opsconsole.errors import ConfigError, RunStopped
from opsconsole.sdk.journal import CallRecord, Journal
from opsconsole.sdk.opening import Adoption, open_run
from opsconsole.sdk.order import Order
from opsconsole.sdk.settings import agent_url, hub_name, read_settings


def opened(folder: Path, key: str | None = None, adopted: str | None = None) -> Journal:
    return open_run(folder, agent="worker", key=key, adopted=adopted).journal


def ended(journal: Journal, state: RunState) -> str:
    journal.save_checkpoint("ckp_1", b'{"done":1}')
    journal.put("ended", state)
    journal.close()
    return journal.run


def test_without_key_or_supervisor_every_run_is_new(tmp_path: Path) -> None:
    assert opened(tmp_path).run != opened(tmp_path).run


def test_a_run_that_has_not_ended_is_resumed_by_its_key(tmp_path: Path) -> None:
    first = opened(tmp_path, "k")
    first.close()
    assert opened(tmp_path, "k").run == first.run
    assert opened(tmp_path, "another").run != first.run


def test_a_killed_run_is_not_started_again_by_its_key(tmp_path: Path) -> None:
    ended(opened(tmp_path, "k"), RunState.KILLED)
    with pytest.raises(RunStopped, match="another key"):
        opened(tmp_path, "k")


def test_a_completed_run_is_followed_by_a_fresh_one(tmp_path: Path) -> None:
    run = ended(opened(tmp_path, "k"), RunState.COMPLETED)
    again = opened(tmp_path, "k")
    assert (again.run != run, again.checkpoint()) == (True, None)


def test_a_failed_run_is_followed_by_one_that_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    run = ended(opened(tmp_path, "k"), RunState.FAILED)
    again = opened(tmp_path, "k")
    assert (again.run != run, again.checkpoint()) == (True, ("ckp_1", b'{"done":1}'))


def test_a_new_supervised_run_takes_up_what_a_crashed_one_with_its_key_left(tmp_path: Path) -> None:
    first = opened(tmp_path, "k", "run_1")
    first.save_checkpoint("ckp_1", b"{}")
    first.note_call(CallRecord(call="call_1", status="running", digest="sha256:1"))
    first.close()
    second = open_run(tmp_path, agent="worker", key="k", adopted="run_2")
    assert second.journal.run == "run_2"
    assert second.left_behind is not None
    assert second.left_behind.run == "run_1"
    known = second.journal.call("call_1")
    assert known is not None
    assert known.status == "interrupted"


def test_the_first_run_of_a_supervised_process_is_the_supervisors_and_the_rest_are_its_children() -> None:
    adoption = Adoption({"OPSCONSOLE_RUN": "run_1"})
    assert [adoption.claim() for _ in range(3)] == [("run_1", None), (None, "run_1"), (None, "run_1")]
    assert Adoption({}).claim() == (None, None)


def test_a_supervised_run_that_could_not_be_opened_may_be_tried_again() -> None:
    adoption = Adoption({"OPSCONSOLE_RUN": "run_1"})
    adoption.give_back(adoption.claim()[0])
    assert adoption.claim() == ("run_1", None)


def test_a_program_beside_the_one_that_has_the_supervised_run_gets_a_run_of_its_own(tmp_path: Path) -> None:
    first = open_run(tmp_path, agent="one", key=None, adopted="run_1")
    second = open_run(tmp_path, agent="two", key=None, adopted="run_1")
    assert (first.adopted, first.journal.run, second.adopted) == (True, "run_1", False)
    assert second.journal.run != "run_1"


def test_a_program_after_the_one_that_had_the_supervised_run_gets_a_run_of_its_own(tmp_path: Path) -> None:
    ended(opened(tmp_path, adopted="run_1"), RunState.COMPLETED)
    second = open_run(tmp_path, agent="two", key=None, adopted="run_1")
    assert (second.adopted, second.journal.run == "run_1") == (False, False)


def test_a_supervised_run_that_was_killed_is_not_taken_up_by_the_next_program(tmp_path: Path) -> None:
    ended(opened(tmp_path, adopted="run_1"), RunState.KILLED)
    with pytest.raises(RunStopped, match="was killed"):
        opened(tmp_path, adopted="run_1")


def test_a_kill_that_was_kept_and_not_obeyed_stops_the_next_run_of_the_key(tmp_path: Path) -> None:
    journal = opened(tmp_path, "k")
    journal.command("cmd_1", 1, Order(cmd="cmd_1", cseq=1, do=Do.KILL).to_json())
    journal.close()
    for adopted in (None, "run_1"):
        with pytest.raises(RunStopped, match="was killed"):
            opened(tmp_path, "k", adopted)


@pytest.mark.parametrize(
    ("hub", "url"),
    [
        ("http://127.0.0.1:8787", "ws://127.0.0.1:8787/v1/agent"),
        ("https://ops.example/base/", "wss://ops.example/base/v1/agent"),
        ("ws://localhost:1/v1/agent", "ws://localhost:1/v1/agent"),
    ],
)
def test_the_hub_is_given_as_an_http_or_ws_url(hub: str, url: str) -> None:
    assert agent_url(hub) == url


@pytest.mark.parametrize("hub", ["127.0.0.1:8787", "ftp://x", "http://"])
def test_another_address_is_refused_by_name(hub: str) -> None:
    with pytest.raises(ConfigError, match="OPSCONSOLE_HUB"):
        agent_url(hub)


def test_arguments_win_over_the_environment_and_the_token_file_comes_last(tmp_path: Path) -> None:
    (tmp_path / "agent.token").write_text("from-file\n")
    environ = {"OPSCONSOLE_HUB": "http://one:1", "OPSCONSOLE_TOKEN": "from-env", "OPSCONSOLE_DATA_DIR": str(tmp_path)}
    given = read_settings(hub="http://two:2", token="given", environ=environ)
    assert (given.url, given.token(), given.data_dir) == ("ws://two:2/v1/agent", "given", tmp_path)
    assert read_settings(environ=environ).token() == "from-env"
    assert read_settings(environ={"OPSCONSOLE_DATA_DIR": str(tmp_path)}).token() == "from-file"
    assert read_settings(environ={"OPSCONSOLE_DATA_DIR": str(tmp_path / "none")}).token() is None


HEAVY = (
    "click",
    "cryptography",
    "httpx",
    "prometheus_client",
    "psutil",
    "sqlite_utils",
    "starlette",
    "textual",
    "uvicorn",
)


@pytest.mark.process
@pytest.mark.parametrize("module", ["opsconsole.sdk", "opsconsole.sdk.sync", "opsconsole.sdk.link"])
def test_an_agent_gets_nothing_heavier_than_websockets_and_pydantic(module: str) -> None:
    script = f"import sys, {module}; print([name for name in {HEAVY!r} if name in sys.modules])"
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert told.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("ws://127.0.0.1:8787/v1/agent", "http://localhost:8787/", True),
        ("wss://ops.example/v1/agent", "https://OPS.example:443", True),
        ("ws://127.0.0.1:8787/v1/agent", "ws://127.0.0.1:8788/v1/agent", False),
        ("wss://ops.example/one/v1/agent", "wss://ops.example/two/v1/agent", False),
        ("ws://127.0.0.1:8787/v1/agent", "ws://127.0.0.2:8787/v1/agent", False),
    ],
)
def test_a_hub_has_one_name_however_its_address_is_written(one: str, other: str, same: bool) -> None:
    assert (hub_name(one) == hub_name(other)) is same


def test_a_person_may_let_a_new_run_go_on_from_the_checkpoint_of_a_killed_one(tmp_path: Path) -> None:
    first = opened(tmp_path, "k")
    first.note_call(CallRecord(call="c1", status="running", digest="d"))
    run = ended(first, RunState.KILLED)
    again = open_run(tmp_path, agent="worker", key="k", adopted="run_2", resumes=run)
    assert (again.journal.run, again.journal.checkpoint()) == ("run_2", ("ckp_1", b'{"done":1}'))
    assert [(one.call, one.status) for one in again.journal.calls()] == [("c1", "interrupted")]
    again.journal.close()
    assert opened(tmp_path, "k", "run_2").run == "run_2"


@pytest.mark.parametrize("kept", [True, False], ids=["no checkpoint", "no journal"])
def test_without_a_checkpoint_there_is_nothing_to_go_on_from(tmp_path: Path, kept: bool) -> None:
    if kept:
        Journal(tmp_path, "run_1").close()
    with pytest.raises(ConfigError, match="kept no checkpoint" if kept else "left no journal"):
        open_run(tmp_path, agent="worker", key=None, adopted="run_2", resumes="run_1")
    assert opened(tmp_path, None, "run_2").fresh


def test_only_the_supervised_run_goes_on_from_another_one() -> None:
    adoption = Adoption({"OPSCONSOLE_RUN": "run_2", "OPSCONSOLE_RESUME": "run_1"})
    assert (adoption.claim(), adoption.resumes) == (("run_2", None), "run_1")
    assert Adoption({}).resumes is None
