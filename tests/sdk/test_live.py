"""How a run stops, driven by hand: what is said of its end, and when a kill is answered as obeyed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from opsconsole.domain.command import Do
from opsconsole.domain.run import RunState
from opsconsole.sdk import live as live_module
from opsconsole.sdk.gate import LinkView
from opsconsole.sdk.identity import Identity
from opsconsole.sdk.journal import Journal
from opsconsole.sdk.live import LiveRun
from opsconsole.sdk.on_hub_lost import OnHubLost
from opsconsole.sdk.order import Order

KILL = Order(cmd="cmd_1", cseq=1, do=Do.KILL, by="ann")


class Link:
    """A link that is up and carries nothing."""

    view = LinkView(up=True)
    heard_at = 0.0

    def wake(self, urgent: bool) -> None: ...

    def check(self) -> None: ...

    def attach(self, point: object) -> None: ...


Begin = Callable[..., LiveRun]


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Begin]:
    """Begins runs of one process."""
    lives: list[LiveRun] = []

    def made(run: str = "run_1", parent: str | None = None, policy: OnHubLost | None = None) -> LiveRun:
        identity = Identity(agent="a", parent=parent)
        lives.append(LiveRun(Journal(tmp_path, run), identity, policy or OnHubLost(), Link(), lambda: lives))  # type: ignore[arg-type]
        return lives[-1]

    yield made
    for one in lives:
        one.journal.close()


def said(live: LiveRun) -> list[tuple[str, str]]:
    """The states told of a run, with the reasons."""
    told = [json.loads(body) for _, body in live.journal.read(1, 1_000)]
    return [(event["state"], event.get("reason", "")) for event in told if event["type"] == "state"]


def answers(live: LiveRun) -> list[tuple[str, str, str]]:
    """What the hub is told of its kills."""
    told: list[dict[str, Any]] = [json.loads(body) for body in live.point.due_answers()]
    return [(one["cmd"], one["status"], one.get("proof", "")) for one in told]


def test_a_kill_is_not_obeyed_while_a_call_of_its_ended_body_still_runs(begin: Begin) -> None:
    live = begin()
    assert live.session.started("call_1")
    live.order(KILL)
    live.end(RunState.FAILED)
    assert (answers(live), said(live), live.declared) == ([("cmd_1", "unconfirmed", "none")], [], False)
    live.call_ended("call_1")
    assert (answers(live), live.declared) == ([("cmd_1", "applied", "cooperative")], True)
    assert said(live) == [("killed", "killed by ann")]


def test_the_end_of_one_of_two_calls_is_not_the_end_of_a_killed_run(begin: Begin) -> None:
    live = begin()
    assert [live.session.started(call) for call in ("call_1", "call_2")] == [True, True]
    live.order(KILL)
    live.end(RunState.FAILED)
    live.call_ended("call_1")
    assert (said(live), live.declared) == ([], False)


def test_a_kill_that_comes_while_the_end_waits_for_a_call_is_not_answered_before_it(begin: Begin) -> None:
    live = begin()
    assert live.session.started("call_1")
    live.fence("its parent was stopped")
    live.end(RunState.FAILED)
    live.order(KILL)
    assert answers(live) == []
    live.call_ended("call_1")
    assert answers(live) == [("cmd_1", "applied", "cooperative")]


def test_a_kill_of_a_run_that_has_ended_is_answered_and_changes_nothing(begin: Begin) -> None:
    live = begin()
    live.end(RunState.COMPLETED)
    live.order(KILL)
    assert (answers(live), said(live)) == ([("cmd_1", "applied", "cooperative")], [("completed", "")])


def test_each_kill_is_answered_once(begin: Begin) -> None:
    live = begin()
    live.order(KILL)
    live.end(RunState.FAILED)
    live.order(Order(cmd="cmd_2", cseq=2, do=Do.KILL))
    assert sorted(live.point._answers) == ["cmd_1", "cmd_2"]
    live.point._answers.clear()
    live.order(Order(cmd="cmd_3", cseq=3, do=Do.KILL))
    assert sorted(live.point._answers) == ["cmd_3"]


def test_a_run_that_was_stopped_is_remembered_as_stopped_by_the_next_process(begin: Begin) -> None:
    live = begin()
    live.order(KILL)
    live.end(RunState.COMPLETED)
    assert live.journal.get("ended") == "killed"


def test_what_stopped_a_run_first_is_what_it_ends_as(begin: Begin) -> None:
    live = begin()
    live.order(KILL)
    live.fence("nothing was heard from the hub for 30 s", RunState.FAILED)
    live.end(RunState.COMPLETED)
    assert said(live) == [("killed", "killed by ann")]


def test_a_child_ends_as_what_stopped_its_parent_did(begin: Begin) -> None:
    parent, child = begin("run_1"), begin("run_2", parent="run_1")
    parent.fence("nothing was heard from the hub for 30 s", RunState.FAILED)
    child.end(RunState.COMPLETED)
    assert said(child) == [("failed", "its parent run_1 was stopped: nothing was heard from the hub for 30 s")]


def test_a_child_that_is_being_stopped_already_keeps_its_reason(begin: Begin) -> None:
    parent, child = begin("run_1"), begin("run_2", parent="run_1")
    child.order(KILL)
    cancelled: list[str] = []
    child.cancel_body = lambda: cancelled.append("again")
    parent.fence("lost", RunState.FAILED)
    child.end(RunState.COMPLETED)
    assert (cancelled, said(child)) == ([], [("killed", "killed by ann")])


def test_a_run_that_has_ended_is_not_stopped_with_its_parent(begin: Begin) -> None:
    parent, child = begin("run_1"), begin("run_2", parent="run_1")
    child.end(RunState.COMPLETED)
    cancelled: list[str] = []
    child.cancel_body = lambda: cancelled.append("body")
    parent.order(KILL)
    assert (cancelled, child.session.fenced, said(child)) == ([], "", [("completed", "")])


def test_a_run_that_does_not_end_says_so_once_and_is_then_left_alone(begin: Begin) -> None:
    live = begin()
    live.order(KILL)
    killed_at = live._killed_at
    assert killed_at is not None
    over = killed_at + live_module.CANCEL_SECONDS_MAX
    assert [live.tick(over), live.tick(over + 60.0)] == [None, None]
    assert answers(live) == [("cmd_1", "unconfirmed", "none")]
    assert sum(json.loads(body)["type"] == "note" for _, body in live.journal.read(1, 1_000)) == 1


def test_a_second_kill_does_not_put_off_the_word_that_the_first_is_not_obeyed(begin: Begin) -> None:
    live = begin()
    live.order(KILL)
    began = live._killed_at
    live.order(Order(cmd="cmd_2", cseq=2, do=Do.KILL))
    assert live._killed_at == began


def test_a_run_that_was_killed_is_not_said_to_have_lost_its_hub(begin: Begin) -> None:
    live = begin(policy=OnHubLost(run="stop", lease_seconds=30))
    live.order(KILL)
    live.tick(1e9)
    assert live.lease_over is False
