"""The synchronous twin: the same names without await, the same gate, journal and kill."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from opsconsole.sdk import CallDenied, NoCurrentRun, RunStopped
from opsconsole.sdk.sync import Hub, current_run, guard
from tests.sdk.fake_hub import TIME_LIMIT_SECONDS, FakeHub, deny, silent

ConnectSync = Callable[..., Hub]


def test_an_allowed_call_runs_in_the_agents_own_thread(connect_sync: ConnectSync, fake_hub: FakeHub) -> None:
    with connect_sync() as hub, hub.run(agent="a") as run:
        assert run.tool("which", {}, threading.get_ident) == threading.get_ident()
        run.message("assistant", "hello")
        run.note("noted")
        run.usage("gpt", input_tokens=5)
        run.checkpoint({"n": 1})
        assert run.restore() == {"n": 1}
    record = fake_hub.only()
    assert (record.statuses(), record.states()) == (["proposed", "running", "completed"], ["working", "completed"])


def test_a_denied_call_does_not_run(connect_sync: ConnectSync, fake_hub: FakeHub) -> None:
    fake_hub.verdict = deny("no")
    with connect_sync() as hub, hub.run(agent="a") as run, pytest.raises(CallDenied):
        run.tool("sql", {}, lambda: pytest.fail("it ran"))


def test_a_guarded_function_stays_synchronous(connect_sync: ConnectSync, fake_hub: FakeHub) -> None:
    @guard(risk="low")
    def add(left: int, right: int) -> int:
        return left + right

    with connect_sync() as hub, hub.run(agent="a") as run:
        assert add(1, right=2) == 3
        assert current_run() is run
    with pytest.raises(NoCurrentRun):
        add(1, 2)


def test_an_operator_answers_as_the_model(connect_sync: ConnectSync, fake_hub: FakeHub) -> None:
    fake_hub.verdict = lambda event: {"outcome": "answer", "text": "I am the model now", "by": "ann"}
    with connect_sync() as hub, hub.run(agent="a") as run:
        reply = run.model_call({"model": "gpt", "messages": []}, lambda request: pytest.fail("it was called"))
    assert (reply.text, reply.author) == ("I am the model now", "ann")


def test_a_kill_wakes_a_waiting_call(connect_sync: ConnectSync, fake_hub: FakeHub) -> None:
    fake_hub.verdict = silent
    with connect_sync() as hub, pytest.raises(RunStopped), hub.run(agent="a") as run:
        killing = threading.Thread(
            target=lambda: fake_hub.send(run.id, "kill") if fake_hub.wait(lambda: fake_hub.only().of("tool")) else None
        )
        fake_hub.wait(lambda: fake_hub.runs)
        killing.start()
        run.tool("sql", {}, lambda: None)
    killing.join()
    assert (fake_hub.only().states()[-1], fake_hub.results[-1].proof) == ("killed", "cooperative")


def test_a_kill_ends_a_body_that_only_computes(connect_sync: ConnectSync, fake_hub: FakeHub) -> None:
    with connect_sync() as hub, pytest.raises(RunStopped, match="killed"), hub.run(agent="a") as run:
        fake_hub.wait(lambda: fake_hub.runs and fake_hub.only().states())
        give_up = time.monotonic() + TIME_LIMIT_SECONDS
        fake_hub.send(run.id, "kill")
        while time.monotonic() < give_up:
            pass
    assert fake_hub.only().states() == ["working", "killed"]


def test_an_asynchronous_tool_belongs_to_the_other_twin(connect_sync: ConnectSync, fake_hub: FakeHub) -> None:
    async def tool() -> None: ...

    with connect_sync() as hub, hub.run(agent="a") as run, pytest.raises(TypeError, match="asynchronous"):
        run.tool("sql", {}, tool)


def test_a_handoff_opens_a_child(connect_sync: ConnectSync, fake_hub: FakeHub) -> None:
    with connect_sync() as hub, hub.run(agent="planner") as run:

        def write(topic: str) -> str:
            with hub.run(agent="writer"):
                return topic

        assert run.handoff("writer", {"topic": "x"}, write) == "x"
    assert fake_hub.run_of("writer").of("run")[0]["parent"] == run.id
